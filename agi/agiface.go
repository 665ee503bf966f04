package agi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	"ringmaster/agi/asterisk"
	"ringmaster/rpc/api"
)

const maxSessions = 512

// sessions is the FastAGI face. Each connection is one visit of a channel to the agent.
type sessions struct {
	agent *Agent

	mu    sync.Mutex
	conns map[net.Conn]struct{}
	group sync.WaitGroup
}

func newSessions(a *Agent) *sessions {
	return &sessions{agent: a, conns: map[net.Conn]struct{}{}}
}

// serve accepts until the listener is closed. Queries to engines are given up with ctx.
func (s *sessions) serve(ctx context.Context, l net.Listener) error {
	for {
		conn, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return nil
			}
			s.agent.log.Error("couldn't accept a FastAGI connection", "error", err)
			time.Sleep(50 * time.Millisecond) // out of file descriptors: let some be closed
			continue
		}
		s.mu.Lock()
		full := len(s.conns) >= maxSessions
		if !full {
			s.conns[conn] = struct{}{}
			s.agent.metrics.sessions.Set(float64(len(s.conns)))
		}
		s.mu.Unlock()
		if full {
			_ = conn.Close()
			continue
		}
		s.group.Go(func() {
			defer s.forget(conn)
			s.agent.visit(ctx, conn)
		})
	}
}

func (s *sessions) forget(conn net.Conn) {
	_ = conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
	s.agent.metrics.sessions.Set(float64(len(s.conns)))
}

// shutdown waits for the visits under way, until grace is done; then their channels go to the fallback.
func (s *sessions) shutdown(grace context.Context) {
	done := make(chan struct{})
	go func() { s.group.Wait(); close(done) }()
	select {
	case <-done:
		return
	case <-grace.Done():
	}
	s.mu.Lock()
	for conn := range s.conns {
		_ = conn.Close()
	}
	s.mu.Unlock()
	<-done
}

// visit serves one channel: it asks, plays and collects until there is something that the dialplan does (connect, continue, release), leaves
// that in HASH(RM,…) and RINGMASTER_STATUS=OK, and goes. Whatever goes wrong leaves RINGMASTER_STATUS=UNAVAILABLE.
func (a *Agent) visit(ctx context.Context, conn net.Conn) {
	ch := asterisk.NewChannel(conn)
	script, form, err := ch.Begin()
	if err != nil {
		a.log.Warn("a FastAGI connection began wrongly", "error", err)
		return
	}
	v, err := url.ParseQuery(form)
	if err != nil {
		a.log.Warn("a FastAGI connection came with an argument that is not a form", "error", err)
		return
	}
	q := parseQuery(v)
	if err := ch.Prove(); err != nil {
		a.visitEnded(q, err)
		return
	}
	var s step
	switch script {
	case "start":
		s = a.start(ctx, q)
	case "next":
		got, err := parseResult(v, false)
		if err != nil {
			a.unavailable(fallbackInvalid, q, err)
			return
		}
		s = a.next(ctx, q, got)
	default:
		a.log.Warn("a FastAGI connection asked for a script that is not here", "script", clip(script))
		return
	}
	for s.OK && (s.Op == api.OpAnswer || s.Op == api.OpPlay || s.Op == api.OpCollect) {
		got, err := runOn(ch, s)
		if err != nil {
			a.visitEnded(q, err)
			return
		}
		if s.Session != "" {
			q.Session = s.Session
		}
		s = a.next(ctx, q, got)
	}
	if s.OK {
		err = leaveOn(ch, s, statusOK)
	} else {
		err = ch.Set("RINGMASTER_STATUS", statusNone)
	}
	if err != nil {
		a.visitEnded(q, err)
	}
}

// visitEnded notes why a visit ended early. A caller who hangs up is no news: the hangup handler tells the end.
func (a *Agent) visitEnded(q query, err error) {
	if errors.Is(err, asterisk.ErrHungUp) {
		return
	}
	a.unavailable(fallbackInvalid, q, err)
}

// runOn has Asterisk run one instruction, by the subroutine that the dialplan itself uses for the other face. Going through the dialplan bounds what the
// agent may do to the channel: the subroutine sets TIMEOUT(absolute) before it hands the channel back.
func runOn(c *asterisk.Channel, s step) (result, error) {
	if err := leaveOn(c, s, statusRunning); err != nil {
		return result{}, err
	}
	if err := c.Gosub("ringmaster-run", s.Op); err != nil {
		return result{}, err
	}
	form, err := c.Get("RINGMASTER_GOT")
	if err != nil {
		return result{}, err
	}
	v, err := url.ParseQuery(strings.TrimPrefix(form, "&"))
	if err != nil {
		return result{}, fmt.Errorf("RINGMASTER_GOT: %w", err)
	}
	got, err := parseResult(v, false)
	if err == nil && (got.Status == api.StatusHangup || got.step != s.Number) {
		err = asterisk.ErrHungUp // and the subroutine did not get to its end
	}
	return got, err
}

// leaveOn puts the step on the channel, the status last: it means that the rest is whole.
func leaveOn(c *asterisk.Channel, s step, status string) error {
	// RINGMASTER_GOT stays: should the agent be killed now, the dialplan tells it once more, and its step number says what to do.
	var list [][2]string
	for _, f := range s.fields() {
		if f[0] != "status" && f[0] != "session" {
			list = append(list, [2]string{"HASH(RM," + f[0] + ")", f[1]})
		}
	}
	if s.Session != "" {
		list = append(list, [2]string{"RINGMASTER_SESSION", s.Session})
	}
	list = append(list, [2]string{"RINGMASTER_STATUS", status})
	for _, v := range list {
		if err := c.Set(v[0], v[1]); err != nil {
			return err
		}
	}
	return nil
}
