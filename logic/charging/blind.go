package charging

// GrantBlind decides a reservation while the ledger is away: by what the service allows each payer to spend so, and no more. spent is what the payers were granted in that way within
// the hour, by Party.Key, and is kept true.
func GrantBlind(r *Reserve, spent map[string]int64) Answer {
	if !r.Blind {
		return Answer{State: StateUnavailable}
	}
	var most [MaxPayers]int64
	for i, payer := range r.Terms.Payers {
		most[i] = max(r.BlindCap-spent[payer.Key()], 0)
	}
	together := len(most) == len(r.Terms.Payers) && r.Terms.Payers[0].Key() == r.Terms.Payers[1].Key()
	wanted, minimum := r.Terms.bounds(r.Wanted, r.Minimum)
	seconds := r.Terms.affordable(wanted, most, together)
	if seconds < minimum {
		return Answer{State: StateRefused, Reason: ReasonBlindCap}
	}
	parts := r.Terms.Split(r.Terms.Price.Amount(seconds))
	for i, payer := range r.Terms.Payers {
		spent[payer.Key()] += parts[i]
	}
	return Answer{State: StateBlind, Seconds: seconds, Final: true, Account: r.Terms.Payers[0].Account}
}
