package call

import "ringmaster/logic/charging"

// Body tells the call from another one that took its name: a hash of what the node said of it first.
func (c *Session) Body() uint64 {
	h := fnv1a(fnvOffset, c.Caller)
	for _, text := range [...]string{c.Called, c.Dialled, c.Trunk, c.Channel, c.Presentation.String()} {
		h = fnv1a(fnv1a(h, "\x00"), text)
	}
	return mix(h)
}

// Facts are what the call's record needs if its node is lost.
func (c *Session) Facts() charging.Facts {
	return charging.Facts{
		Channel: c.Channel, Trunk: c.Trunk, Caller: c.Caller, Called: c.Called, Dialled: c.Dialled, Presentation: c.Presentation.String(),
		Service: c.Service, Subscriber: c.Subscriber, Script: c.Script, Revision: c.Revision, StartedAt: c.StartedAt.UnixMilli(),
	}
}

// FinishedCharges are the call's earlier charges: when another one is asked for, their conversations are over.
func (c *Session) FinishedCharges() (all []charging.Finished) {
	for number := 1; number < c.Charge; number++ {
		all = append(all, charging.Finished{Number: number, Talk: talkOf(c.Talk, number)})
	}
	return all
}

// Extendable reports whether the ledger may hold more for the conversation that begins. Of one that goes on with what an earlier one has left of the same charge it does not know how long that was: what is left is all.
func (c *Session) Extendable() bool {
	return c.Payment > 0 && !c.Final && talkOf(c.Talk, c.Payment) == 0
}

// PaidSeconds is how many more seconds of conversation the payment in force is good for; bounded is false when nothing bounds them.
func (c *Session) PaidSeconds() (seconds int64, bounded bool) {
	if c.Granted == 0 {
		return 0, false
	}
	return max(c.Granted-(talkOf(c.Talk, c.Payment)+999)/1000, 0), true
}

func talkOf(talk []charging.Finished, number int) int64 {
	for i := range talk {
		if talk[i].Number == number {
			return talk[i].Talk
		}
	}
	return 0
}

// appendTalk adds the conversations of results to what was talked by the charge that pays for them. Unlike legs none of it is ever forgotten.
func appendTalk(talk []charging.Finished, targets []Target, results []Result, payment int) []charging.Finished {
	for i := range results {
		result := &results[i]
		if payment == 0 || result.Op != OpConnect || result.Status != StatusAnswer || result.Target < 0 || result.Target >= len(targets) || result.Talk <= 0 {
			continue
		}
		talk = addTalk(talk, payment, result.Talk.Milliseconds())
	}
	return talk
}

func addTalk(talk []charging.Finished, number int, milliseconds int64) []charging.Finished {
	for i := range talk {
		if talk[i].Number == number {
			talk[i].Talk += milliseconds
			return talk
		}
	}
	return append(talk, charging.Finished{Number: number, Talk: milliseconds})
}
