package charging

import "math"

// Key names a charge: the call, the node that named the call, and the charge's number within it, counted from 1.
type Key struct {
	CallID string
	Node   string
	Number int
}

// MaxCharges is how many charges one call may have: what comes after them is refused.
const MaxCharges = 64

// Unlimited is a cap that does not hold.
const Unlimited = math.MaxInt64

// Account is the state of an account that a grant is decided on. The ledger gives it locked, and Take keeps it true for the next decision of the
// same transaction.
type Account struct {
	Name         string
	Currency     string
	Active       bool  // neither blocked, closed, nor past its validity
	Available    int64 // micro-units: balance + credit limit − pending
	Calls        int64 // that hold a reservation of it now
	MaximumCalls int64 // Unlimited where there is no cap
	SpentHour    int64 // micro-units: reservations and charges of calls admitted within the last hour
	SpendPerHour int64 // Unlimited where there is no cap
	SpentDay     int64
	SpendPerDay  int64
	NewCountry   bool // the number is in a country where the account has never paid for a call, and it may not
}

// Reason says in one word why something was refused. It is a metric's label and a variable of the call: the set is fixed.
type Reason string

// The reasons.
const (
	ReasonNone         Reason = ""
	ReasonNoRate       Reason = "no_rate"        // the tariff has no rate for the number now
	ReasonNoAccount    Reason = "no_account"     // nobody to pay
	ReasonBlocked      Reason = "blocked"        // the account is blocked, closed or past its validity
	ReasonCurrency     Reason = "currency"       // the account is in another currency than the tariff
	ReasonNoMoney      Reason = "no_money"       // too little for the shortest conversation
	ReasonTooManyCalls Reason = "too_many_calls" // maximum_calls of the account, or of the limit
	ReasonSpendPerHour Reason = "spend_per_hour"
	ReasonSpendPerDay  Reason = "spend_per_day"
	ReasonNewCountry   Reason = "new_country"
	ReasonRate         Reason = "too_many_in_window" // of the limit
	ReasonGap          Reason = "gap"                // of the limit
	ReasonBlindCap     Reason = "outage_cap"         // what may be spent while Postgres is away is spent
	ReasonWrong        Reason = "wrong"              // the secret
	ReasonLocked       Reason = "locked"             // too many wrong secrets
	ReasonCharges      Reason = "too_many_charges"   // of the call
	ReasonVoucher      Reason = "voucher"            // unknown, used by another account, past its validity, or in another currency
)

// Reserve asks for a reservation: as many seconds as wanted, or fewer, but not fewer than the minimum (Terms.bounds).
type Reserve struct {
	Key     Key
	Body    uint64 // what the call is: the same key with another body is another call that took the first one's name
	Terms   Terms
	Wanted  int64 // seconds to hold money for now; the ledger extends it while the call goes on
	Minimum int64 // seconds, at least 1
	Call    Facts
	// Finished are the call's earlier charges whose conversation is over: the ledger keeps of them only what they cost.
	Finished []Finished
	// While Postgres is away: whether to grant all the same, up to a cap per payer and hour.
	Blind    bool
	BlindCap int64 // micro-units
}

// Blind is a charge that was granted while the ledger was away. It rides with the call, and the ledger charges it when the call has ended.
type Blind struct {
	Number  int
	Granted int64 // seconds
	Terms   Terms
}

// Finished is a charge whose conversation is over.
type Finished struct {
	Number int
	Talk   int64 // milliseconds
}

// Facts are what the ledger must know of a call to write its record when its node is lost.
type Facts struct {
	Channel, Trunk, Caller, Called, Dialled, Presentation string
	Service, Subscriber, Script                           string
	Revision                                              int64
	StartedAt                                             int64 // Unix milliseconds
}

// Grant is what was decided of a reservation.
type Grant struct {
	Seconds int64            // 0: refused
	Amount  int64            // micro-units that are held, the sum of Parts
	Parts   [MaxPayers]int64 // by payer
	Reason  Reason           // when refused
	Payer   int              // when refused: which payer is the reason
	Final   bool             // no more can be granted later: there is no money for it, or it is the maximum
}

// Grant decides a reservation of these terms on the state of its payers, which stand in the order of Terms.Payers; nil: there is no such
// account. extended is what the same charge holds already, by payer; nil: it is a new one. A granted reservation is in the accounts' state afterwards.
func (t *Terms) Grant(wanted, minimum int64, extended *[MaxPayers]int64, payers []*Account) (g Grant) {
	extends, held := extended != nil, [MaxPayers]int64{}
	if extends {
		held = *extended
	}
	wanted, minimum = t.bounds(wanted, minimum)
	var most [MaxPayers]int64
	var tightest [MaxPayers]Reason
	for i := range t.Payers {
		account := payers[i]
		if reason := account.refuses(t.Currency, extends); reason != ReasonNone {
			return Grant{Reason: reason, Payer: i}
		}
		most[i], tightest[i] = account.most(held[i])
	}
	together := len(t.Payers) == MaxPayers && payers[0] == payers[1] // one account pays both parts
	if together {
		most[0], tightest[0] = payers[0].most(saturated(held[0], held[1]))
		most[1] = 0
	}
	g.Seconds = t.affordable(wanted, most, together)
	if g.Seconds < minimum {
		g.Reason, g.Payer = ReasonNoMoney, 0
		if together {
			g.Reason, g.Seconds = tightest[0], 0
			return g
		}
		parts := t.Split(t.Price.Amount(minimum))
		for i := range t.Payers {
			if parts[i] > most[i] {
				g.Reason, g.Payer = tightest[i], i
				break
			}
		}
		g.Seconds = 0
		return g
	}
	g.Amount = t.Price.Amount(g.Seconds)
	g.Parts = t.Split(g.Amount)
	g.Final = g.Seconds < wanted || g.Seconds == t.Maximum
	for i := range t.Payers {
		payers[i].take(g.Parts[i]-held[i], extends || together && i > 0)
	}
	return g
}

func (a *Account) refuses(currency string, extends bool) Reason {
	switch {
	case a == nil:
		return ReasonNoAccount
	case !a.Active:
		return ReasonBlocked
	case a.Currency != currency:
		return ReasonCurrency
	case extends:
		return ReasonNone
	case a.Calls >= a.MaximumCalls:
		return ReasonTooManyCalls
	case a.NewCountry:
		return ReasonNewCountry
	}
	return ReasonNone
}

// most is what a charge that holds so much already may hold in all, and what bounds it.
func (a *Account) most(held int64) (most int64, by Reason) {
	most, by = a.Available, ReasonNoMoney
	if left := remaining(a.SpendPerHour, a.SpentHour); left < most {
		most, by = left, ReasonSpendPerHour
	}
	if left := remaining(a.SpendPerDay, a.SpentDay); left < most {
		most, by = left, ReasonSpendPerDay
	}
	return saturated(most, held), by
}

func remaining(limit, spent int64) int64 {
	if limit == Unlimited {
		return Unlimited
	}
	return max(limit-spent, 0)
}

func (a *Account) take(amount int64, extends bool) {
	a.Available -= amount
	a.SpentHour += amount
	a.SpentDay += amount
	if !extends {
		a.Calls++
	}
}
