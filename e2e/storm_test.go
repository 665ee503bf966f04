//go:build e2e

package e2e

import (
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestStorm places calls while engines, agent and Postgres are killed and frozen at random instants: every call is
// answered, by the service or by the fallback, and leaves exactly one CDR with the true duration. The bad moments that nobody
// thought of are among these; a failure names the seed and what was done when.
func TestStorm(t *testing.T) {
	const calls = 40
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	s := newStack(t, []service{freephone(1, offices{}), vault(2, trunkAnswers)})
	s.startOtherEngine(t)

	type placed struct {
		*call
		e164 string
	}
	var all []placed
	var blows []string
	stop := make(chan struct{})
	var breaking sync.WaitGroup
	blow := func(what string) { blows = append(blows, time.Now().Format("15:04:05.000 ")+what) }
	chance := rand.New(rand.NewPCG(seed, 1))
	upTo := func(d time.Duration) time.Duration { return time.Duration(chance.Int64N(int64(d))) }
	breaking.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(upTo(500 * time.Millisecond)):
			}
			switch chance.IntN(5) {
			case 0:
				blow("an engine killed")
				s.engine.kill(t)
				s.engine = s.spawnEngine(t, "engine", s.engineHost)
			case 1:
				blow("both engines killed")
				s.engine.kill(t)
				s.other.kill(t)
				time.Sleep(upTo(time.Second))
				s.engine = s.spawnEngine(t, "engine", s.engineHost)
				s.other = s.spawnEngine(t, "other-engine", s.otherHost)
			case 2:
				blow("agent killed")
				s.agent.kill(t)
				time.Sleep(upTo(time.Second))
				s.agent = s.spawnAgent(t)
			case 3:
				blow("agent frozen")
				s.agent.signal(t, syscall.SIGSTOP)
				time.Sleep(upTo(3 * time.Second))
				s.agent.signal(t, syscall.SIGCONT)
			case 4:
				blow("Postgres killed")
				if err := s.postgres.Kill(); err != nil {
					t.Error(err)
				}
				time.Sleep(upTo(time.Second))
				s.startPostgres(t)
			}
		}
	})
	for i := range calls {
		from, e164 := s.callerNumber("")
		d := dial{From: from, To: freephone(1, offices{}).called, Ends: endsCaller, Wait: time.Duration(random.IntN(3000)) * time.Millisecond}
		if i%4 == 3 {
			d.To, d.Digits, d.Pause, d.Wait = vault(2, "").called, []string{"4711#"}, time.Second, d.Wait+3*time.Second
		}
		all = append(all, placed{s.dial(t, faces[i/2%2], d), e164})
		time.Sleep(time.Duration(random.IntN(400)) * time.Millisecond)
	}
	for _, c := range all {
		c.over(t)
	}
	close(stop)
	breaking.Wait()
	outcomes := map[string]int{}
	for _, c := range all {
		row := s.cdr(t, c.e164, recovered)
		outcomes[row.Outcome]++
		tr := c.seen()
		if !tr.has("200 INVITE") {
			continue // told by over
		}
		talk := tr.between(t, "200 INVITE", "BYE")
		if c.To == vault(2, "").called && (row.Outcome == "answered" || row.Outcome == "fallback") {
			// The conversation began after the digits, or after the fallback from them; TestCalls compares that.
			if row.talk() > talk+talkTooLong {
				t.Errorf("the conversation is %v in the CDR, and the caller was answered for %v only: %v", row.talk(), talk, row)
			}
			continue
		}
		if row.Outcome != "answered" && row.Outcome != "fallback" && row.Outcome != "abandoned" {
			t.Errorf("CDR %v\n%v", row, tr)
		}
		sameTalk(t, row, row.talk(), talk)
	}
	s.checkAllCDRs(t)
	if t.Failed() {
		for _, b := range blows {
			t.Log(b)
		}
	}
	progress("the storm: %d calls, %d blows, outcomes %v", calls, len(blows), outcomes)
}
