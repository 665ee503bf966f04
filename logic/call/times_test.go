package call_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"ringmaster/logic/call"
)

// TestOddTimes: what cannot have been is put within the call's own bounds, and flagged; what two clocks that are a little apart say is not.
func TestOddTimes(t *testing.T) {
	started := now.Add(-time.Minute)
	at := func(seconds int) time.Time { return started.Add(time.Duration(seconds) * time.Second) }
	for _, c := range []struct {
		name                    string
		answered, ended         time.Time
		talk                    time.Duration
		wantAnswered, wantEnded time.Time
		wantTalk                time.Duration
		corrected               bool
	}{
		{"as it should be", at(10), at(60), 50 * time.Second, at(10), at(60), 50 * time.Second, false},
		{"never answered", time.Time{}, at(30), 0, time.Time{}, at(30), 0, false},
		{"answered in 1970", time.Unix(0, 0).UTC(), at(60), 50 * time.Second, started, at(60), 50 * time.Second, true},
		{"answered before the call, by a clock that is a little off", at(-1), at(60), 50 * time.Second, started, at(60), 50 * time.Second, false},
		{"answered after the end", at(90), at(60), 0, at(60), at(60), 0, true},
		{"answered too late for the talk", at(30), at(60), 50 * time.Second, at(10), at(60), 50 * time.Second, true},
		{"talk longer than the call", at(10), at(60), time.Hour, started, at(60), time.Minute, true},
		{"talk longer than the call by a little", at(0), at(60), 61 * time.Second, started, at(60), time.Minute, false},
		{"talk below zero", time.Time{}, at(60), -time.Hour, time.Time{}, at(60), 0, false},
		{"a clock half a minute behind: the engine saw that the talk can be", at(-20), at(30), 50 * time.Second, started, at(50), 50 * time.Second, true},
		{"ended before it began", time.Time{}, at(-3600), 20 * time.Second, time.Time{}, at(20), 20 * time.Second, true},
		{"ended in 2099", at(10), time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC), 50 * time.Second, at(10), now, 50 * time.Second, true},
		{"a trial call that does not wait", at(60), at(120), time.Minute, at(60), at(120), time.Minute, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			cdr := call.EndCall(&call.Session{CallID: "c", StartedAt: started}, call.EndEvent{AnsweredAt: c.answered, EndedAt: c.ended, Talk: c.talk}, now)
			if cdr.StartedAt != started || !cdr.AnsweredAt.Equal(c.wantAnswered) || !cdr.EndedAt.Equal(c.wantEnded) || cdr.Talk != c.wantTalk || cdr.TimesCorrected != c.corrected {
				t.Errorf("answered %v, ended %v, talk %v, corrected %v", cdr.AnsweredAt, cdr.EndedAt, cdr.Talk, cdr.TimesCorrected)
			}
		})
	}
}

// A leg is no longer than its call.
func TestOddTimesOfLegs(t *testing.T) {
	session := call.Session{CallID: "c", StartedAt: now.Add(-time.Minute), Legs: []call.Leg{{Status: call.StatusAnswer, TalkMilliseconds: 1 << 62}, {Status: call.StatusAnswer, TalkMilliseconds: 1000}}}
	cdr := call.EndCall(&session, call.EndEvent{}, now)
	if cdr.Legs[0].TalkMilliseconds != 60_000 || cdr.Legs[1].TalkMilliseconds != 1000 || !cdr.TimesCorrected || session.Legs[0].TalkMilliseconds != 1<<62 {
		t.Errorf("%+v", cdr)
	}
}

// TestOddTimesOfFallback: of a call that no engine was asked about the node says the start too.
func TestOddTimesOfFallback(t *testing.T) {
	for _, c := range []struct {
		name      string
		started   time.Time
		want      time.Time
		corrected bool
	}{
		{"as it should be", now.Add(-time.Minute), now.Add(-time.Minute), false},
		{"unknown", time.Time{}, now.Add(-10 * time.Second), false},
		{"in 1970", time.Unix(0, 0), now.Add(-10 * time.Second), true},
		{"after the end", now.Add(time.Hour), now.Add(-10 * time.Second), true},
	} {
		cdr := call.FallbackCDR(&call.Session{CallID: "c", StartedAt: c.started}, call.EndEvent{EndedAt: now, Talk: 10 * time.Second}, now)
		if !cdr.StartedAt.Equal(c.want) || cdr.Talk != 10*time.Second || cdr.TimesCorrected != c.corrected || cdr.Outcome != call.OutcomeFallback {
			t.Errorf("%s: %+v", c.name, cdr)
		}
	}
}

// Whatever a node says, the times of the CDR agree, and what agrees already stays.
func TestTimesAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		around := rapid.OneOf(rapid.Int64Range(-1<<40, 1<<40), rapid.Int64Range(-100_000, 100_000))
		moment := func(name string) time.Time {
			if rapid.Bool().Draw(t, name+" unknown") {
				return time.Time{}
			}
			return now.Add(time.Duration(around.Draw(t, name)) * time.Millisecond)
		}
		end := call.EndEvent{AnsweredAt: moment("answered"), EndedAt: moment("ended"), Talk: time.Duration(around.Draw(t, "talk")) * time.Millisecond}
		session := call.Session{CallID: "c", StartedAt: now.Add(-time.Duration(rapid.Int64Range(0, 1<<40).Draw(t, "started")))}
		make := call.EndCall
		if rapid.Bool().Draw(t, "fallback") {
			make, session.StartedAt = call.FallbackCDR, moment("started by the node")
		}
		cdr := make(&session, end, now)
		if cdr.Talk < 0 || cdr.StartedAt.Add(cdr.Talk).After(cdr.EndedAt) {
			t.Fatalf("started %v, talk %v, ended %v", cdr.StartedAt, cdr.Talk, cdr.EndedAt)
		}
		if !cdr.AnsweredAt.IsZero() && (cdr.AnsweredAt.Before(cdr.StartedAt) || cdr.AnsweredAt.Add(cdr.Talk).After(cdr.EndedAt)) {
			t.Fatalf("answered %v of %+v", cdr.AnsweredAt, cdr)
		}
		session.StartedAt = cdr.StartedAt
		again := make(&session, call.EndEvent{AnsweredAt: cdr.AnsweredAt, EndedAt: cdr.EndedAt, Talk: cdr.Talk}, now)
		if again.StartedAt != cdr.StartedAt || again.AnsweredAt != cdr.AnsweredAt || again.EndedAt != cdr.EndedAt || again.Talk != cdr.Talk || again.TimesCorrected {
			t.Fatalf("%+v became %+v", cdr, again)
		}
	})
}
