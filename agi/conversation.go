package agi

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"regexp"
	"time"

	"ringmaster/rpc/api"
)

// conversation is what the agent knows of the connect under way once somebody has answered. It is replaced whole, never changed.
type conversation struct {
	Since  time.Time `json:"since"`            // when the called party answered
	Peer   string    `json:"peer,omitempty"`   // its channel; empty: not known
	Limit  int       `json:"limit,omitempty"`  // seconds that are granted; 0: no limit
	Final  bool      `json:"final,omitempty"`  // there will be no more
	Warned int       `json:"warned,omitempty"` // the limit that the caller has been warned of
	// Lasted is how long a conversation was that is over. It is told until the next one is tried: should the node be lost in the dialogue between the two, it is charged.
	Lasted time.Duration `json:"lasted,omitempty"`
}

// channelGrammar is of channel names that go into an action of the manager interface.
var channelGrammar = regexp.MustCompile(`^[A-Za-z0-9_/@;:.-]{1,128}$`)

const (
	warnEvery = 250 * time.Millisecond // how often the agent looks whether somebody is to be warned
	// extendedBy is how long before the end it is clear that a conversation is not extended: engines try from two minutes before it.
	extendedBy = time.Minute
	warnTime   = time.Second // after that a warning comes too late: the agent was away
)

// movable says that the channel shall be connected with a limit that can grow: an absolute timeout of the called channel (S of Dial)
// instead of L of Dial. It ends the conversation too when agent and engines are dead, and the manager interface can move it.
func (a *Agent) movable(in *instruction) bool {
	return in.Op == api.OpConnect && in.Extendable && in.MaximumSeconds > 0 && a.manager.Up()
}

// answered notes that the called party has answered, as the dialplan tells it.
func (a *Agent) answered(v url.Values) error {
	c := a.calls.get(v.Get(formID))
	if c == nil {
		return errors.New("the call is not known")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if a.calls.hasEnded(c.ID) {
		return errors.New("the call has ended")
	}
	if step := integer(v.Get(formStep), math.MaxInt32); step != c.Step || len(c.Pending) == 0 || c.Pending[0].Op != api.OpConnect {
		return fmt.Errorf("step %d is told to be answered, step %d runs", step, c.Step)
	}
	if c.Conversation == nil {
		a.converse(c, v.Get(formPeer), epoch(v.Get(formAnswered)))
	}
	return nil
}

// converse begins a conversation; c.mu is held.
func (a *Agent) converse(c *call, peer string, at time.Time) {
	now := a.now()
	// The dialplan's time is of this machine's clock. What it says is made a time that the clock's next step does not change.
	if ago := now.Sub(at); !at.IsZero() && ago > 0 && ago < maxAge {
		now = now.Add(-ago)
	}
	if !channelGrammar.MatchString(peer) {
		peer = ""
	}
	c.Conversation = &conversation{Since: now, Peer: peer, Limit: c.Pending[0].MaximumSeconds}
	a.calls.save(c)
}

// conversationOver notes what a connect came to; c.mu is held.
func (c *call) conversationOver(got result) {
	was := c.Conversation
	c.Conversation = nil
	if was != nil && got.Status == api.StatusAnswer && got.Talk >= time.Millisecond {
		c.Conversation = &conversation{Since: was.Since, Lasted: got.Talk}
	}
}

// talk is a conversation as a heartbeat tells of it.
type talk struct {
	callID  string
	movable bool
	conversation
}

// grants is what a heartbeat came to: extensions, what it had told of conversations, and of which calls.
type grants struct {
	extensions []extension
	told       []talk
	calls      []string
}

// keepLimits obeys what the engines say of conversations, until ctx is done. It is apart from the heartbeats, so that an Asterisk that does not answer delays none.
func (a *Agent) keepLimits(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case g := <-a.granted:
			for _, e := range g.extensions {
				a.extend(ctx, e, g.told)
			}
			a.missed(ctx, g.calls)
		}
	}
}

// talking lists the conversations of these calls. One whose call is just being asked about is between two, and left out.
func (a *Agent) talking(ids []string) (list []talk) {
	for _, id := range ids {
		c := a.calls.get(id)
		if c == nil || !c.mu.TryLock() {
			continue
		}
		if c.Conversation != nil {
			list = append(list, talk{id, c.Movable, *c.Conversation})
		}
		c.mu.Unlock()
	}
	return list
}

// talkingMembers is the list as node.heartbeat carries it.
func talkingMembers(list []talk, now time.Time) []map[string]any {
	out := make([]map[string]any, len(list))
	for i, t := range list {
		lasted := t.Lasted
		if lasted == 0 {
			lasted = max(now.Sub(t.Since), time.Millisecond) // 0 would say that the duration is not known
		}
		out[i] = map[string]any{api.CallID: t.callID, api.AnsweredAt: stamp(t.Since), api.TalkSeconds: talkSeconds(lasted), api.Final: !t.movable || t.Lasted > 0, api.Over: t.Lasted > 0}
	}
	return out
}

// missed asks Asterisk about connects of which no answer was told: the agent was away when the called party answered.
func (a *Agent) missed(ctx context.Context, ids []string) {
	for _, id := range ids {
		c := a.calls.get(id)
		if !a.manager.Up() {
			return
		}
		if c == nil || !c.mu.TryLock() {
			continue
		}
		channel := c.Channel
		rings := c.Conversation == nil && len(c.Pending) > 0 && c.Pending[0].Op == api.OpConnect && channelGrammar.MatchString(channel)
		c.mu.Unlock()
		if !rings {
			continue
		}
		told, err := a.manager.Variable(ctx, channel, "RINGMASTER_TOLD")
		if err != nil || told == "" {
			continue
		}
		if v, err := url.ParseQuery(told); err == nil && v.Get(formID) == id && a.answered(v) == nil {
			a.log.Info("a call was answered while the agent was away", "call_id", id)
		}
	}
}

// extend lets a conversation go on for as long as an engine says. sent is what the heartbeat had told of it: what is granted to a conversation that is over must not
// lengthen the next one.
func (a *Agent) extend(ctx context.Context, e extension, sent []talk) {
	var told *talk
	for i := range sent {
		if sent[i].callID == e.CallID {
			told = &sent[i]
		}
	}
	c := a.calls.get(e.CallID)
	if told == nil || c == nil || e.MaximumSeconds <= 0 || e.MaximumSeconds > 30*maxSeconds {
		a.metrics.extensions.WithLabelValues(extendStale).Inc()
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.Conversation
	if a.calls.hasEnded(c.ID) || now == nil || now.Lasted > 0 || !now.Since.Equal(told.Since) || len(c.Pending) == 0 || !c.Pending[0].Extendable || e.MaximumSeconds < now.Limit {
		a.metrics.extensions.WithLabelValues(extendStale).Inc()
		return
	}
	if !c.Movable || now.Peer == "" {
		a.metrics.extensions.WithLabelValues(extendUnable).Inc() // it was connected with a limit that nobody can move
		return
	}
	// The limit is set anew each time that it is told, which is with every heartbeat: so one that Asterisk did not get, or that Dial set after it, is mended.
	if err := a.manager.AbsoluteTimeout(ctx, now.Peer, time.Duration(e.MaximumSeconds)*time.Second-a.now().Sub(now.Since)); err != nil {
		a.metrics.extensions.WithLabelValues(extendFailed).Inc()
		a.log.Warn("a conversation could not be extended", "call_id", e.CallID, "seconds", e.MaximumSeconds, "error", err)
		return
	}
	a.metrics.extensions.WithLabelValues(extendDone).Inc()
	if e.MaximumSeconds == now.Limit && e.Final == now.Final {
		return
	}
	a.log.Info("a conversation may go on", "call_id", e.CallID, "seconds", e.MaximumSeconds, "final", e.Final)
	next := *now
	next.Limit, next.Final = e.MaximumSeconds, e.Final
	c.Conversation = &next
	a.calls.save(c)
}

// warnCallers warns callers before their conversation is cut, until ctx is done. Of conversations with a limit that cannot grow Dial itself warns.
func (a *Agent) warnCallers(ctx context.Context) {
	if !a.manager.Configured() {
		return
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(warnEvery):
		}
		for _, c := range a.calls.all() {
			a.warnCaller(ctx, c)
		}
	}
}

func (a *Agent) warnCaller(ctx context.Context, c *call) {
	if !c.mu.TryLock() {
		return
	}
	defer c.mu.Unlock()
	now := c.Conversation
	if a.calls.hasEnded(c.ID) || now == nil || now.Lasted > 0 || !c.Movable || len(c.Pending) == 0 || now.Limit == now.Warned || now.Peer == "" {
		return
	}
	left := time.Duration(now.Limit)*time.Second - a.now().Sub(now.Since)
	before := time.Duration(c.Pending[0].WarningSeconds) * time.Second
	if !now.Final {
		before = min(before, extendedBy) // it may still be extended
	}
	if before == 0 || left > before {
		return
	}
	next := *now
	next.Warned = now.Limit
	c.Conversation = &next
	a.calls.save(c)
	if left < before-warnTime {
		return
	}
	if err := a.manager.Join(ctx, "ringmaster-warning", now.Peer); err != nil {
		a.metrics.warnings.WithLabelValues(extendFailed).Inc()
		a.log.Warn("a caller could not be warned", "call_id", c.ID, "error", err)
		return
	}
	a.metrics.warnings.WithLabelValues(extendDone).Inc()
}

// Health says what is wrong with the agent though it works, a line each.
func (a *Agent) Health() (warnings []string) {
	switch {
	case !a.manager.Configured():
		warnings = append(warnings, "conversations are not extended: no AMI user is given")
	case !a.manager.Up():
		warnings = append(warnings, "conversations are not extended: no connection to Asterisk's manager interface")
	}
	return warnings
}
