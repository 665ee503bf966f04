package charging

// Suppose answers an ask as if every account could pay, every limit had room and every PIN were right: for those who only want to know where a call would go.
func Suppose(ask *Ask) Answer {
	answer := Answer{State: StateGranted}
	switch ask.Kind {
	case KindReserve:
		answer.Seconds, _ = ask.Reserve.Terms.bounds(ask.Reserve.Wanted, ask.Reserve.Minimum)
		answer.Final = answer.Seconds == ask.Reserve.Terms.Maximum
		answer.Account = ask.Reserve.Terms.Payers[0].Key() + ", supposed to have the money"
	case KindSecret:
		answer.Account = "supposed"
	}
	return answer
}
