// Package endpoint serves an http.Handler on a socket within limits: timeouts, caps on connections, TLS, and no plain
// HTTP beyond the machine by accident. It knows nothing of what is served.
package endpoint

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"time"
)

// Defaults of an Endpoint.
const (
	DefaultHeaderTimeout         = 5 * time.Second   // from the first byte of a request to the end of its headers
	DefaultReadTimeout           = 10 * time.Second  // to the end of its body
	DefaultWriteTimeout          = 30 * time.Second  // from the end of its headers to the end of the reply
	DefaultIdleTimeout           = 120 * time.Second // between two requests on a connection
	DefaultMaxConnections        = 10_000
	DefaultMaxConnectionsAddress = 1_000
	maxHeaderBytes               = 8 << 10 // net/http adds 4 KiB of its own
)

// Endpoint says where a handler is served, and within which limits. Zero limits are the defaults.
type Endpoint struct {
	Address string // host:port; port 0 picks a free one
	Handler http.Handler

	// CertificateFile and KeyFile (PEM) turn TLS on. ClientCAFile besides them asks clients for a certificate
	// signed by one of its authorities; one that is shown must be good, and none need be shown.
	CertificateFile, KeyFile, ClientCAFile string
	// AllowPlain lets an address that is not loopback be served without TLS. It is for what carries no secrets.
	AllowPlain bool

	HeaderTimeout, ReadTimeout, WriteTimeout, IdleTimeout time.Duration
	MaxConnections, MaxConnectionsAddress                 int // in all, and from one address (IPv6: one /64)

	Refused func(limit string) // told of each connection over a cap: LimitAddress or LimitAll; may be nil
	Logger  *slog.Logger       // what net/http has to say; nil: slog.Default()
}

// Service is an Endpoint that listens.
type Service struct {
	listener net.Listener
	server   *http.Server
}

// Listen opens the endpoint's socket. Plain HTTP on an address that is not loopback is refused, unless allowed.
func (e Endpoint) Listen() (*Service, error) {
	if e.Logger == nil {
		e.Logger = slog.Default()
	}
	if e.Refused == nil {
		e.Refused = func(string) {}
	}
	config, err := e.tlsConfig()
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", e.Address)
	if err != nil {
		return nil, fmt.Errorf("couldn't listen on %s: %w", e.Address, err)
	}
	if config == nil && !e.AllowPlain && !isLoopback(listener.Addr()) {
		_ = listener.Close()
		return nil, fmt.Errorf("couldn't serve plain HTTP on %s: nodes' secrets would cross the network unencrypted; "+
			"give a certificate and key, or listen on 127.0.0.1", e.Address)
	}
	listener = &cappedListener{
		Listener: listener,
		all:      orDefault(e.MaxConnections, DefaultMaxConnections),
		each:     orDefault(e.MaxConnectionsAddress, DefaultMaxConnectionsAddress),
		open:     make(map[netip.Prefix]int),
		refused:  e.Refused,
	}
	if config != nil {
		listener = tls.NewListener(listener, config)
	}
	// HTTP/1 only: it is what XML-RPC is specified over, and the caps count connections.
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &Service{listener: listener, server: &http.Server{
		Handler:                      e.Handler,
		Protocols:                    protocols,
		DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout:            orDefault(e.HeaderTimeout, DefaultHeaderTimeout),
		ReadTimeout:                  orDefault(e.ReadTimeout, DefaultReadTimeout),
		WriteTimeout:                 orDefault(e.WriteTimeout, DefaultWriteTimeout),
		IdleTimeout:                  orDefault(e.IdleTimeout, DefaultIdleTimeout),
		MaxHeaderBytes:               maxHeaderBytes,
		ErrorLog:                     slog.NewLogLogger(e.Logger.Handler(), slog.LevelDebug),
	}}, nil
}

// Addr is the address the service listens on.
func (v *Service) Addr() net.Addr { return v.listener.Addr() }

// Serve serves until Shutdown, which is not an error.
func (v *Service) Serve() error {
	if err := v.server.Serve(v.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("couldn't go on serving %s: %w", v.listener.Addr(), err)
	}
	return nil
}

// Close ends the service and every connection at once.
func (v *Service) Close() error { return v.server.Close() }

// Shutdown takes no more connections, lets the queries under way finish until ctx ends, and then closes what is
// left.
func (v *Service) Shutdown(ctx context.Context) error {
	if err := v.server.Shutdown(ctx); err != nil {
		_ = v.server.Close()
		return fmt.Errorf("couldn't finish all queries on %s: %w", v.listener.Addr(), err)
	}
	return nil
}

func (e *Endpoint) tlsConfig() (*tls.Config, error) {
	if e.CertificateFile == "" && e.KeyFile == "" {
		if e.ClientCAFile != "" {
			return nil, errors.New("couldn't ask clients for certificates: that needs TLS, give a certificate and key too")
		}
		return nil, nil
	}
	certificate, err := tls.LoadX509KeyPair(e.CertificateFile, e.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("couldn't load certificate %q with key %q: %w", e.CertificateFile, e.KeyFile, err)
	}
	config := &tls.Config{
		Certificates: []tls.Certificate{certificate},
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"http/1.1"},
	}
	if e.ClientCAFile != "" {
		pem, err := os.ReadFile(e.ClientCAFile)
		if err != nil {
			return nil, fmt.Errorf("couldn't read the client authorities: %w", err)
		}
		config.ClientCAs = x509.NewCertPool()
		if !config.ClientCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("couldn't use %q: it holds no PEM certificate", e.ClientCAFile)
		}
		// Whether a certificate is needed is the authentication's affair: a node may have a secret instead.
		config.ClientAuth = tls.VerifyClientCertIfGiven
	}
	return config, nil
}

func isLoopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

func orDefault[T int | time.Duration](given, otherwise T) T {
	if given == 0 {
		return otherwise
	}
	return given
}

// Which cap refused a connection.
const (
	LimitAddress = "address"
	LimitAll     = "all"
)

// cappedListener closes connections over its caps at once, instead of leaving them in the kernel's queue: those
// who hold connections must not keep others out.
type cappedListener struct {
	net.Listener
	all, each int
	refused   func(which string)

	mu    sync.Mutex
	total int
	open  map[netip.Prefix]int
}

func (l *cappedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		origin := originOf(conn.RemoteAddr())
		if which := l.admit(origin); which != "" {
			l.refused(which)
			_ = conn.Close()
			continue
		}
		return &cappedConn{Conn: conn, release: sync.OnceFunc(func() { l.leave(origin) })}, nil
	}
}

// admit counts a connection, or says which cap is against it.
func (l *cappedListener) admit(origin netip.Prefix) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.total >= l.all:
		return LimitAll
	case l.open[origin] >= l.each:
		return LimitAddress
	}
	l.total++
	l.open[origin]++
	return ""
}

func (l *cappedListener) leave(origin netip.Prefix) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
	if l.open[origin]--; l.open[origin] == 0 {
		delete(l.open, origin)
	}
}

// originOf gives who is counted as one: an IPv4 address, or the /64 that an IPv6 host can choose from.
func originOf(addr net.Addr) netip.Prefix {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	prefix, _ := ip.Prefix(bits)
	return prefix
}

type cappedConn struct {
	net.Conn
	release func()
}

// CloseWrite lets net/http end a connection without resetting it, so that a client that is still sending reads why.
func (c *cappedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

func (c *cappedConn) Close() error {
	c.release()
	return c.Conn.Close()
}
