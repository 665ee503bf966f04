package agi

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/kolo/xmlrpc"

	"ringmaster/rpc/api"
)

const (
	maxReply     = 1 << 20 // bytes of one reply
	firstBackoff = 250 * time.Millisecond
	lastBackoff  = 5 * time.Second
)

// errNoEngine is under every error that means "nobody answered": the fallback's case.
var errNoEngine = errors.New("no engine answered")

// asker asks engines. Safe for concurrent use.
type asker struct {
	engines []*engine
	client  *http.Client
	node    string
	secret  string
	log     *slog.Logger
	metrics *metrics
}

// engine is one engine's address and what the asker knows of its health.
type engine struct {
	url  string // of the XML-RPC endpoint
	name string // host:port, for logs and metrics

	mu       sync.Mutex
	down     bool
	failures int
	probeAt  time.Time // when down: not before this is it probed
}

// newAsker checks the engines' addresses. The secret never travels in the clear beyond this machine.
func newAsker(engines []string, node, secret string, tlsConfig *tls.Config, log *slog.Logger, m *metrics) (*asker, error) {
	a := &asker{node: node, secret: secret, log: log, metrics: m}
	if len(engines) == 0 {
		return nil, errors.New("no engine given: name at least one, such as https://scp1.example.net:4580")
	}
	for _, text := range engines {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil {
			return nil, fmt.Errorf("engine %q: want https://host:port", text)
		}
		if u.Scheme == "http" && !loopbackHost(u.Hostname()) {
			return nil, fmt.Errorf("engine %q: plain http is for loopback only, because the node's secret travels with each query; use https", text)
		}
		if u.Path == "" || u.Path == "/" {
			u.Path = api.PathRPC
		}
		a.engines = append(a.engines, &engine{url: u.String(), name: u.Host})
	}
	a.client = &http.Client{
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: 2 * time.Second, KeepAlive: 5 * time.Second}).DialContext,
			TLSClientConfig:     tlsConfig,
			TLSHandshakeTimeout: 2 * time.Second,
			MaxIdleConnsPerHost: 32,
			IdleConnTimeout:     2 * time.Minute,
			DisableCompression:  true,
		},
		// A redirect would carry the secret to an address that nobody configured.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return a, nil
}

// fault is an XML-RPC fault of an engine.
type fault struct {
	Code int
	Text string
}

func (f *fault) Error() string { return fmt.Sprintf("fault %d: %s", f.Code, f.Text) }

// Is compares codes: so errors.Is finds a fault among what several engines said.
func (f *fault) Is(target error) bool {
	other, ok := target.(*fault)
	return ok && other.Code == f.Code
}

// elsewhere says that the fault means "this engine cannot, now": another one is asked. One that does not know a session may only be behind
// the engine that made it, by an edit of the session keys or by a version.
func (f *fault) elsewhere() bool {
	switch f.Code {
	case api.FaultSessionInvalid, api.FaultOverBudget, api.FaultOverloaded, api.FaultNotReady, api.FaultNotDurable, api.FaultAccountLocked, api.FaultInternal, api.FaultSystem, api.FaultTransport:
		return true
	}
	return false
}

// httpError is a reply that is not XML-RPC at all.
type httpError struct{ status int }

func (e *httpError) Error() string {
	return fmt.Sprintf("HTTP %d %s", e.status, http.StatusText(e.status))
}

type attempt struct {
	engine *engine
	reply  *reply
	err    error
}

// ask sends one query and returns the first good reply. The engines are asked in order of health: the next one when one
// says that it cannot, and (hedge > 0) another one each time nobody has answered for that long. An engine is asked once at most.
// The error is a *fault when an engine said that the query itself is wrong, or every engine that it does not know the session, else errNoEngine
// is under it.
func (a *asker) ask(ctx context.Context, method string, params map[string]any, deadline, hedge time.Duration) (*reply, error) {
	began := time.Now()
	r, outcome, err := a.askInOrder(ctx, method, params, deadline, hedge)
	a.metrics.asked(method, outcome, time.Since(began))
	return r, err
}

func (a *asker) askInOrder(ctx context.Context, method string, params map[string]any, deadline, hedge time.Duration) (*reply, string, error) {
	var args []any
	if params != nil {
		args = append(args, params)
	}
	body, err := xmlrpc.EncodeMethodCall(method, args...)
	if err != nil {
		return nil, outcomeFault, fmt.Errorf("couldn't encode %s: %w", method, err)
	}
	order := a.order()
	answers := make(chan attempt, len(order))
	asked, waiting := 0, 0
	askNext := func() {
		e := order[asked]
		asked++
		waiting++
		go func() {
			// On a context of its own: an engine that lost the race finishes, its connection stays warm, its health is learnt.
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deadline)
			defer cancel()
			r, err := a.post(ctx, e, body)
			answers <- attempt{e, r, err}
		}()
	}
	askNext()

	end := time.NewTimer(deadline)
	defer end.Stop()
	var hedgeC <-chan time.Time
	if hedge > 0 && len(order) > 1 {
		t := time.NewTicker(hedge)
		defer t.Stop()
		hedgeC = t.C
	}
	var failures []error
	strangers := 0 // engines that do not know the session
	for {
		select {
		case at := <-answers:
			waiting--
			if at.err == nil {
				return at.reply, outcomeAnswered, nil
			}
			var f *fault
			if errors.As(at.err, &f) {
				if f.Code == api.FaultSessionInvalid {
					strangers++
				}
				if !f.elsewhere() || strangers == len(order) {
					return nil, outcomeFault, f
				}
			}
			failures = append(failures, fmt.Errorf("%s: %w", at.engine.name, at.err))
			if asked < len(order) {
				a.metrics.failovers.Inc()
				askNext()
			} else if waiting == 0 {
				return nil, outcomeFailed, fmt.Errorf("%w: %w", errNoEngine, errors.Join(failures...))
			}
		case <-hedgeC:
			if asked < len(order) {
				a.metrics.hedges.Inc()
				askNext()
			}
		case <-end.C:
			return nil, outcomeDeadline, fmt.Errorf("%w in %v: %w", errNoEngine, deadline, errors.Join(append(failures, context.DeadlineExceeded)...))
		case <-ctx.Done():
			return nil, outcomeDeadline, fmt.Errorf("%w: %w", errNoEngine, ctx.Err())
		}
	}
}

// order is the engines as they are to be asked: those that are up first, each group as configured.
func (a *asker) order() []*engine {
	up := make([]*engine, 0, len(a.engines))
	var down []*engine
	for _, e := range a.engines {
		e.mu.Lock()
		isDown := e.down
		e.mu.Unlock()
		if isDown {
			down = append(down, e)
		} else {
			up = append(up, e)
		}
	}
	return append(up, down...)
}

// post asks one engine once and keeps its health.
func (a *asker) post(ctx context.Context, e *engine, body []byte) (*reply, error) {
	r, err := a.exchange(ctx, e, body)
	var f *fault
	var h *httpError
	switch {
	case err == nil:
		a.mark(e, nil)
	case errors.As(err, &f):
		// It talks, so it is up, except for one that has nothing to decide with.
		if f.Code == api.FaultNotReady {
			a.mark(e, err)
		} else {
			a.mark(e, nil)
		}
	case errors.As(err, &h) && h.status == http.StatusServiceUnavailable:
		// Shedding, not dead: the next query may well be served.
	default:
		a.mark(e, err)
	}
	return r, err
}

func (a *asker) exchange(ctx context.Context, e *engine, body []byte) (*reply, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "text/xml")
	// Every query may be sent twice (same key, same answer). The empty key says so to net/http, which then tries a kept-alive
	// connection that turned out dead again on a new one; nothing of it is sent.
	req.Header["Idempotency-Key"] = []string{}
	if a.secret != "" {
		req.SetBasicAuth(a.node, a.secret)
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxReply+1))
	if err != nil {
		return nil, fmt.Errorf("couldn't read the reply: %w", err)
	}
	if resp.StatusCode == http.StatusBadRequest || resp.StatusCode == http.StatusRequestEntityTooLarge {
		return nil, &fault{Code: api.FaultNotXMLRPC, Text: resp.Status} // this very query is wrong, here and elsewhere
	}
	if resp.StatusCode != http.StatusOK {
		return nil, &httpError{resp.StatusCode}
	}
	if len(data) > maxReply {
		return nil, fmt.Errorf("reply over %d bytes", maxReply)
	}
	return decodeReply(data)
}

// decodeReply reads a methodResponse. kolo/xmlrpc walks the document by reflection; a document of a shape it did not expect must not
// take the agent down, and with it every call on the node.
func decodeReply(data []byte) (r *reply, err error) {
	defer func() {
		if p := recover(); p != nil {
			r, err = nil, fmt.Errorf("reply is not XML-RPC: %v", p)
		}
	}()
	response := xmlrpc.Response(data)
	if err := response.Err(); err != nil {
		var f xmlrpc.FaultError
		if errors.As(err, &f) {
			return nil, &fault{Code: f.Code, Text: clip(f.String)}
		}
		return nil, fmt.Errorf("fault cannot be read: %w", err)
	}
	r = &reply{}
	if err := response.Unmarshal(r); err != nil {
		return nil, fmt.Errorf("reply cannot be read: %w", err)
	}
	return r, nil
}

// mark notes that the engine answered (err nil) or did not.
func (a *asker) mark(e *engine, err error) {
	e.mu.Lock()
	was := e.down
	if err == nil {
		e.down, e.failures = false, 0
	} else {
		e.down = true
		backoff := min(firstBackoff<<min(e.failures, 16), lastBackoff)
		e.failures++
		e.probeAt = time.Now().Add(backoff/2 + rand.N(backoff/2+1))
	}
	down := e.down
	e.mu.Unlock()
	if was != down {
		a.metrics.engineUp(e.name, !down)
		if down {
			a.log.Warn("engine is down", "engine", e.name, "error", err)
		} else {
			a.log.Info("engine is up", "engine", e.name)
		}
	}
}

// probe keeps connections warm and finds out when an engine is back, so that no call has to: an engine that is down is asked at its
// backoff, one that is up each few seconds. Returns when ctx is done.
func (a *asker) probe(ctx context.Context, every, deadline time.Duration) {
	body, err := xmlrpc.EncodeMethodCall(api.MethodGetCapabilities)
	if err != nil {
		a.log.Error("couldn't encode the probe", "error", err)
		return
	}
	var group sync.WaitGroup
	for _, e := range a.engines {
		group.Go(func() {
			for {
				wait := every
				e.mu.Lock()
				if e.down {
					wait = min(every, max(0, time.Until(e.probeAt)))
				}
				e.mu.Unlock()
				select {
				case <-ctx.Done():
					return
				case <-time.After(wait):
				}
				probeCtx, cancel := context.WithTimeout(ctx, deadline)
				_, _ = a.post(probeCtx, e, body) // the outcome is the mark
				cancel()
			}
		})
	}
	group.Wait()
}

// loopbackHost says whether host is this machine for sure.
func loopbackHost(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// listenLoopback listens on a loopback address and refuses any other: who reaches the faces can steer calls.
func listenLoopback(what, address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("%s listen address %q: want 127.0.0.1:port", what, address)
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return nil, fmt.Errorf("%s listen address %q is not loopback: want 127.0.0.1:port", what, address)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("couldn't listen for %s: %w", what, err)
	}
	return l, nil
}
