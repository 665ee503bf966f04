package storetest

import (
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// Proxy stands between a test and a server on a Unix socket, and does to connections what a network does.
type Proxy struct {
	dsn      string
	target   string
	listener net.Listener

	mu      sync.Mutex
	links   map[*link]struct{}
	mute    bool // for connections to come
	deaf    bool
	dropped chan struct{} // one token when bytes were thrown away
}

// link is one connection through the proxy.
type link struct {
	client, server net.Conn
	mute           atomic.Bool // bytes to the server are thrown away
	deaf           atomic.Bool // bytes from the server are thrown away
}

// NewProxy starts a proxy to the server of an address, which must name a Unix socket.
func NewProxy(t testing.TB, dsn string) *Proxy {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	const socket = ".s.PGSQL.5432"
	query := u.Query()
	dir, err := Dir()
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{target: filepath.Join(query.Get("host"), socket), links: make(map[*link]struct{}), dropped: make(chan struct{}, 1)}
	query.Set("host", dir)
	u.RawQuery = query.Encode()
	p.dsn = u.String()
	if p.listener, err = net.Listen("unix", filepath.Join(dir, socket)); err != nil {
		t.Fatal(err)
	}
	go p.accept()
	t.Cleanup(func() {
		p.listener.Close()
		p.Cut()
		os.RemoveAll(dir)
	})
	return p
}

// DSN is the address of the database through the proxy.
func (p *Proxy) DSN() string { return p.dsn }

// Mute throws away what clients send, on all connections there are and will be: nothing is stored, and nobody is told.
func (p *Proxy) Mute() { p.set(true, false) }

// Deafen throws away what the server sends, on all connections there are and will be: it is stored, but nobody is told.
func (p *Proxy) Deafen() { p.set(false, true) }

// Silence throws away everything on the connections that there are: they are half-open. New ones work.
func (p *Proxy) Silence() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.mute.Store(true)
		l.deaf.Store(true)
	}
}

// Heal lets new connections work. What is broken stays so until it is cut.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mute, p.deaf = false, false
}

// Cut closes all connections.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.client.Close()
		l.server.Close()
	}
	clear(p.links)
}

// Dropped gives a token when bytes were thrown away since it last gave one.
func (p *Proxy) Dropped() <-chan struct{} { return p.dropped }

func (p *Proxy) set(mute, deaf bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mute, p.deaf = mute, deaf
	for l := range p.links {
		l.mute.Store(mute)
		l.deaf.Store(deaf)
	}
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("unix", p.target)
		if err != nil {
			client.Close()
			continue
		}
		l := &link{client: client, server: server}
		p.mu.Lock()
		l.mute.Store(p.mute)
		l.deaf.Store(p.deaf)
		p.links[l] = struct{}{}
		p.mu.Unlock()
		go p.copy(l, server, client, &l.mute)
		go p.copy(l, client, server, &l.deaf)
	}
}

func (p *Proxy) copy(l *link, to, from net.Conn, drop *atomic.Bool) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if drop.Load() {
				select {
				case p.dropped <- struct{}{}:
				default:
				}
			} else if _, err := to.Write(buffer[:n]); err != nil {
				break
			}
		}
		if err == io.EOF && drop.Load() {
			return // the other side doesn't hear of this either
		}
		if err != nil {
			break
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.links, l)
	l.client.Close()
	l.server.Close()
}
