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
		one := charging.Finished{Number: number}
		for i := range c.Legs {
			if c.Legs[i].Charge == number && c.Legs[i].Status == StatusAnswer {
				one.Talk += c.Legs[i].TalkMilliseconds
			}
		}
		all = append(all, one)
	}
	return all
}

// PaidSeconds is how many more seconds of conversation the payment in force is good for; bounded is false when nothing bounds them.
func (c *Session) PaidSeconds() (seconds int64, bounded bool) {
	if c.Granted == 0 {
		return 0, false
	}
	talk := int64(0)
	for i := range c.Legs {
		if c.Legs[i].Charge == c.Payment && c.Legs[i].Status == StatusAnswer && c.Payment > 0 {
			talk += c.Legs[i].TalkMilliseconds
		}
	}
	return max(c.Granted-(talk+999)/1000, 0), true
}
