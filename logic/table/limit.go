package table

import "ringmaster/logic/charging"

// CallLimit is a bound on calls, ready to be asked for.
type CallLimit struct {
	Name string
	Rule charging.LimitRule
}
