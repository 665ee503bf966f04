package call

// ITU-T Q.850 causes that the engine releases with by itself.
const (
	CauseUnallocated      = 1  // unallocated number: no service has it
	CauseNormal           = 16 // normal call clearing
	CauseBusy             = 17 // user busy
	CauseNoAnswer         = 19 // no answer from user
	CauseRoutingError     = 25 // exchange routing error: a budget is used up
	CauseOutOfOrder       = 27 // destination out of order
	CauseUnspecified      = 31 // normal, unspecified: the service is not active
	CauseTemporaryFailure = 41 // temporary failure: the service went away in mid-call, or has never compiled
)
