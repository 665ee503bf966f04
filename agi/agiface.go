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

	"ringmaster/rpc/api"
)

const (
	maxSessions    = 512
	commandTimeout = 5 * time.Second // of a command that Asterisk answers at once
	// askGuard bounds, in seconds and inside Asterisk, how long a channel waits for the agent to say something. The dialplan sets the same before it
	// enters AGI(), so that a frozen agent never keeps a caller.
	askGuard = 4
)

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
	ch := newChannel(conn)
	script, form, err := ch.begin()
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
	// First of all, so that a visit broken off anywhere means the fallback. The reply also proves that the environment has
	// ended where it seemed to: a caller's name with line breaks in it would show now.
	if err := ch.set("RINGMASTER_STATUS", statusNone); err != nil {
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
	for s.OK {
		var got result
		switch s.Op {
		case api.OpAnswer, api.OpPlay, api.OpCollect:
			got, err = ch.run(s)
		default:
			err = ch.leave(s)
			if err == nil {
				return
			}
		}
		if err == nil {
			err = ch.set("TIMEOUT(absolute)", fmt.Sprint(askGuard))
		}
		if err != nil {
			a.visitEnded(q, err)
			return
		}
		if s.Session != "" {
			q.Session = s.Session
		}
		s = a.next(ctx, q, got)
	}
}

// visitEnded notes why a visit ended early. A caller who hangs up is no news: the hangup handler tells the end.
func (a *Agent) visitEnded(q query, err error) {
	if errors.Is(err, errHungUp) {
		return
	}
	a.unavailable(fallbackInvalid, q, err)
}

// run runs one instruction on the channel.
func (c *channel) run(s step) (result, error) {
	got := result{Op: s.Op}
	// The hangup handler wants to know what was running; a restarted agent which session to go on with.
	if err := c.setAll([][2]string{{"HASH(RM,op)", s.Op}, {"RINGMASTER_SESSION", s.Session}}); err != nil {
		return got, err
	}
	// While an application runs the agent is not needed; the guard then only has to be long enough.
	guard := 120 + 30*len(s.Prompts) + s.FirstTimeout + s.Maximum*s.DigitTimeout
	if err := c.set("TIMEOUT(absolute)", fmt.Sprint(guard)); err != nil {
		return got, err
	}
	if s.Language != "" {
		if err := c.set("CHANNEL(language)", s.Language); err != nil {
			return got, err
		}
	}
	wait := time.Duration(guard+5) * time.Second
	switch s.Op {
	case api.OpAnswer:
		reply, err := c.command(commandTimeout, "ANSWER")
		if err != nil {
			return got, err
		}
		got.Status = api.StatusDone
		if reply.result != "0" {
			got.Status = api.StatusFailed
		}
	case api.OpPlay:
		if err := c.exec(wait, "Playback", strings.Join(s.Prompts, "&")+",noanswer"); err != nil {
			return got, err
		}
		played, err := c.get("PLAYBACKSTATUS")
		if err != nil {
			return got, err
		}
		got.Status = playStatus(played)
	case api.OpCollect:
		err := c.setAll([][2]string{
			{"TIMEOUT(response)", fmt.Sprint(max(1, s.FirstTimeout))}, {"TIMEOUT(digit)", fmt.Sprint(max(1, s.DigitTimeout))}, {"RINGMASTER_DIGITS", ""},
		})
		if err == nil {
			err = c.exec(wait, "Read", fmt.Sprintf("RINGMASTER_DIGITS,%s,%d,nt(%s)", strings.Join(s.Prompts, "&"), s.Maximum, s.Terminator))
		}
		if err != nil {
			return got, err
		}
		digits, err := c.get("RINGMASTER_DIGITS")
		if err != nil {
			return got, err
		}
		read, err := c.get("READSTATUS")
		if err != nil {
			return got, err
		}
		got.Digits, got.Status = readStatus(read, digits, s.Minimum)
	}
	if got.Status == api.StatusHangup {
		return got, errHungUp
	}
	return got, nil
}

// leave hands the step to the dialplan, the status last: it means that the rest is whole.
func (c *channel) leave(s step) error {
	var list [][2]string
	for _, f := range s.fields() {
		if f[0] != "status" {
			list = append(list, [2]string{"HASH(RM," + f[0] + ")", f[1]})
		}
	}
	list = append(list, [2]string{"RINGMASTER_SESSION", s.Session}, [2]string{"RINGMASTER_STATUS", statusOK})
	return c.setAll(list)
}
