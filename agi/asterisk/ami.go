package asterisk

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// The manager interface of Asterisk (main/manager.c, "AMI" in its documentation): after a banner line, packets of "Name: value" lines up to an
// empty one. An action carries an ActionID, and its response the same.
const (
	amiTimeout = 2 * time.Second // of connecting, and of an action: Asterisk answers at once
	amiFirst   = 100 * time.Millisecond
	amiLast    = 5 * time.Second // between two tries to connect; the wait doubles up to that
	maxPacket  = 256             // lines
)

// AMI says how to reach Asterisk's manager interface, by which it extends conversations under way.
type AMI struct {
	Address string // loopback address and port
	User    string // section of manager.conf; empty: no manager interface, and conversations are not extended
	Secret  string
}

// Errors of actions.
var (
	ErrNoManager = errors.New("Asterisk's manager interface is not connected")
	ErrRefused   = errors.New("Asterisk refuses") // Asterisk has the action, and says no
)

// Manager keeps one connection to the manager interface, and makes it anew when it is lost.
type Manager struct {
	ami     AMI
	log     *slog.Logger
	changed func(up bool)
	up      atomic.Bool // logged in

	mu      sync.Mutex
	conn    net.Conn
	next    uint64
	waiting map[string]chan packet // by ActionID; nil while there is no connection
}

// packet is one response or event: its lines by name.
type packet map[string]string

// NewManager checks the configuration and connects to nothing yet. changed is told when the agent has logged in, and when the connection is lost.
func NewManager(c AMI, log *slog.Logger, changed func(up bool)) (*Manager, error) {
	m := &Manager{ami: c, log: log, changed: changed}
	if c.User == "" {
		return m, nil
	}
	host, _, err := net.SplitHostPort(c.Address)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("AMI address %q is not loopback: want 127.0.0.1:port", c.Address)
	}
	if strings.ContainsAny(c.User+c.Secret, "\r\n\x00") || c.Secret == "" {
		return nil, errors.New("AMI user and secret must be one line each, and the secret not empty")
	}
	return m, nil
}

// Configured reports whether there is a manager interface to be used at all.
func (m *Manager) Configured() bool { return m.ami.User != "" }

// Up reports whether actions can be sent now.
func (m *Manager) Up() bool { return m.up.Load() }

// Run keeps the connection up until ctx is done, and looks every so often whether Asterisk still answers.
func (m *Manager) Run(ctx context.Context, every time.Duration) {
	if !m.Configured() {
		m.log.Warn("no AMI user is given: conversations end at what was granted first, and are not extended")
		return
	}
	wait, said := amiFirst, ""
	for ctx.Err() == nil {
		began := time.Now()
		err := m.session(ctx, every)
		if ctx.Err() != nil {
			return
		}
		if text := err.Error(); text != said { // once, not with every try
			m.log.Warn("no connection to Asterisk's manager interface; conversations are not extended", "address", m.ami.Address, "error", err)
			said = text
		}
		if time.Since(began) > amiLast {
			wait, said = amiFirst, ""
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, amiLast)
	}
}

// session connects, logs in, and serves until the connection is lost.
func (m *Manager) session(ctx context.Context, every time.Duration) error {
	dialer := net.Dialer{Timeout: amiTimeout}
	conn, err := dialer.DialContext(ctx, "tcp", m.ami.Address)
	if err != nil {
		return err
	}
	m.mu.Lock()
	m.conn, m.waiting = conn, map[string]chan packet{}
	m.mu.Unlock()
	lost := make(chan error, 1)
	go func() { lost <- m.read(conn) }()
	defer func() {
		m.up.Store(false)
		m.changed(false)
		_ = conn.Close()
		m.mu.Lock()
		for _, c := range m.waiting {
			close(c)
		}
		m.conn, m.waiting = nil, nil
		m.mu.Unlock()
	}()
	if _, err := m.do(ctx, "Login", "Username", m.ami.User, "Secret", m.ami.Secret, "Events", "off"); err != nil {
		return fmt.Errorf("couldn't log in: %w", err)
	}
	m.up.Store(true)
	m.changed(true)
	m.log.Info("connected to Asterisk's manager interface", "address", m.ami.Address)
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-lost:
			return err
		case <-time.After(every):
			if _, err := m.do(ctx, "Ping"); err != nil {
				return fmt.Errorf("it does not answer: %w", err)
			}
		}
	}
}

// read hands each response to who waits for it.
func (m *Manager) read(conn net.Conn) error {
	r := bufio.NewReaderSize(conn, maxLine)
	banner := true
	p := packet{}
	for lines := 0; ; {
		data, err := r.ReadSlice('\n')
		if err != nil {
			if errors.Is(err, bufio.ErrBufferFull) {
				err = ErrProtocol
			}
			_ = conn.Close() // who writes finds out too
			return err
		}
		line := strings.TrimRight(string(data), "\r\n")
		if banner {
			if banner = false; !strings.HasPrefix(line, "Asterisk Call Manager/") {
				_ = conn.Close()
				return fmt.Errorf("banner %.48q: %w", line, ErrProtocol)
			}
			continue
		}
		if line != "" {
			if lines++; lines <= maxPacket {
				name, value, _ := strings.Cut(line, ":")
				p[textproto.CanonicalMIMEHeaderKey(name)] = strings.TrimSpace(value)
			}
			continue
		}
		if p["Response"] != "" {
			m.mu.Lock()
			if c := m.waiting[p["Actionid"]]; c != nil {
				c <- p // holds one
				delete(m.waiting, p["Actionid"])
			}
			m.mu.Unlock()
		}
		p, lines = packet{}, 0
	}
}

// do sends one action, with fields as name, value, …, and returns its response. ErrRefused is under the error when Asterisk had it and said no.
func (m *Manager) do(ctx context.Context, action string, fields ...string) (packet, error) {
	reply := make(chan packet, 1)
	m.mu.Lock()
	if m.conn == nil {
		m.mu.Unlock()
		return nil, ErrNoManager
	}
	m.next++
	id := strconv.FormatUint(m.next, 10)
	var b strings.Builder
	fmt.Fprintf(&b, "Action: %s\r\nActionID: %s\r\n", action, id)
	for i := 0; i+1 < len(fields); i += 2 {
		if strings.ContainsAny(fields[i+1], "\r\n\x00") {
			m.mu.Unlock()
			return nil, fmt.Errorf("%s %.48q: %w", fields[i], fields[i+1], ErrGrammar)
		}
		fmt.Fprintf(&b, "%s: %s\r\n", fields[i], fields[i+1])
	}
	b.WriteString("\r\n")
	m.waiting[id] = reply
	_ = m.conn.SetWriteDeadline(time.Now().Add(amiTimeout))
	_, err := io.WriteString(m.conn, b.String())
	m.mu.Unlock()
	if err == nil {
		select {
		case p, ok := <-reply:
			switch {
			case !ok:
				return nil, ErrNoManager
			case p["Response"] != "Success" && p["Response"] != "Goodbye":
				return p, fmt.Errorf("%s: %w: %.48s", action, ErrRefused, p["Message"])
			}
			return p, nil
		case <-time.After(amiTimeout):
			err = fmt.Errorf("%s: no response", action)
			m.drop() // who asks next shall not wait for it too
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	m.mu.Lock()
	delete(m.waiting, id)
	m.mu.Unlock()
	return nil, err
}

// drop closes the connection: Run makes another.
func (m *Manager) drop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.conn != nil {
		_ = m.conn.Close()
	}
}

// AbsoluteTimeout has the channel hung up after that time, instead of what was set before.
func (m *Manager) AbsoluteTimeout(ctx context.Context, channel string, after time.Duration) error {
	_, err := m.do(ctx, "AbsoluteTimeout", "Channel", channel, "Timeout", strconv.FormatFloat(max(after, time.Millisecond).Seconds(), 'f', 3, 64))
	return err
}

// Variable reads a channel's variable; empty when it is not set.
func (m *Manager) Variable(ctx context.Context, channel, name string) (string, error) {
	p, err := m.do(ctx, "Getvar", "Channel", channel, "Variable", name)
	return p["Value"], err
}

// Join has the dialplan's extension s of a context join the bridge that a channel is in: what it plays is heard by all. It is not waited for.
func (m *Manager) Join(ctx context.Context, from, channel string) error {
	_, err := m.do(ctx, "Originate", "Channel", "Local/s@"+from+"/n", "Application", "BridgeAdd", "Data", channel, "Timeout", "2000", "Async", "true")
	return err
}
