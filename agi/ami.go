package agi

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

// AMI says how the agent reaches Asterisk's manager interface, by which it extends conversations under way.
type AMI struct {
	Address string // loopback address and port
	User    string // section of manager.conf; empty: no manager interface, and conversations are not extended
	Secret  string
}

var (
	errNoManager = errors.New("Asterisk's manager interface is not connected")
	errRefused   = errors.New("Asterisk refuses")
)

// manager keeps one connection to the manager interface, and makes it anew when it is lost.
type manager struct {
	ami     AMI
	log     *slog.Logger
	metrics *metrics
	up      atomic.Bool // logged in

	mu      sync.Mutex
	conn    net.Conn
	next    uint64
	waiting map[string]chan packet // by ActionID; nil while there is no connection
}

// packet is one response or event: its lines by name.
type packet map[string]string

func newManager(c AMI, log *slog.Logger, m *metrics) (*manager, error) {
	if c.User == "" {
		return &manager{log: log, metrics: m}, nil
	}
	host, _, err := net.SplitHostPort(c.Address)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("AMI address %q is not loopback: want 127.0.0.1:port", c.Address)
	}
	if strings.ContainsAny(c.User+c.Secret, "\r\n\x00") || c.Secret == "" {
		return nil, errors.New("AMI user and secret must be one line each, and the secret not empty")
	}
	return &manager{ami: c, log: log, metrics: m}, nil
}

func (m *manager) configured() bool { return m.ami.User != "" }

// run keeps the connection up until ctx is done, and looks every so often whether Asterisk still answers.
func (m *manager) run(ctx context.Context, every time.Duration) {
	if !m.configured() {
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
func (m *manager) session(ctx context.Context, every time.Duration) error {
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
		m.metrics.amiUp.Set(0)
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
	m.metrics.amiUp.Set(1)
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
func (m *manager) read(conn net.Conn) error {
	r := bufio.NewReaderSize(conn, maxLine)
	banner := true
	p := packet{}
	for lines := 0; ; {
		data, err := r.ReadSlice('\n')
		if err != nil {
			if errors.Is(err, bufio.ErrBufferFull) {
				err = errProtocol
			}
			_ = conn.Close() // who writes finds out too
			return err
		}
		line := strings.TrimRight(string(data), "\r\n")
		if banner {
			if banner = false; !strings.HasPrefix(line, "Asterisk Call Manager/") {
				_ = conn.Close()
				return fmt.Errorf("banner %q: %w", clip(line), errProtocol)
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

// do sends one action, with fields as name, value, …, and returns its response. errRefused is under the error when Asterisk had it and said no.
func (m *manager) do(ctx context.Context, action string, fields ...string) (packet, error) {
	reply := make(chan packet, 1)
	m.mu.Lock()
	if m.conn == nil {
		m.mu.Unlock()
		return nil, errNoManager
	}
	m.next++
	id := strconv.FormatUint(m.next, 10)
	var b strings.Builder
	fmt.Fprintf(&b, "Action: %s\r\nActionID: %s\r\n", action, id)
	for i := 0; i+1 < len(fields); i += 2 {
		if strings.ContainsAny(fields[i+1], "\r\n\x00") {
			m.mu.Unlock()
			return nil, fmt.Errorf("%s %q: %w", fields[i], clip(fields[i+1]), errGrammar)
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
				return nil, errNoManager
			case p["Response"] != "Success" && p["Response"] != "Goodbye":
				return p, fmt.Errorf("%s: %w: %s", action, errRefused, clip(p["Message"]))
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

// drop closes the connection: run makes another.
func (m *manager) drop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.conn != nil {
		_ = m.conn.Close()
	}
}

// absoluteTimeout has the channel hung up after that time, instead of what was set before.
func (m *manager) absoluteTimeout(ctx context.Context, channel string, after time.Duration) error {
	_, err := m.do(ctx, "AbsoluteTimeout", "Channel", channel, "Timeout", strconv.FormatFloat(max(after, time.Millisecond).Seconds(), 'f', 3, 64))
	return err
}

// variable reads a channel's variable; empty when it is not set.
func (m *manager) variable(ctx context.Context, channel, name string) (string, error) {
	p, err := m.do(ctx, "Getvar", "Channel", channel, "Variable", name)
	return p["Value"], err
}

// warn plays the warning into the bridge that the channel is in: the dialplan's ringmaster-warning joins it, and leaves it again.
func (m *manager) warn(ctx context.Context, channel string) error {
	_, err := m.do(ctx, "Originate", "Channel", "Local/s@ringmaster-warning/n", "Application", "BridgeAdd", "Data", channel, "Timeout", "2000", "Async", "true")
	return err
}
