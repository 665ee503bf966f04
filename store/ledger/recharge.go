package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"ringmaster/logic/charging"
	"ringmaster/store/ledger/record"
)

// Recharge redeems a voucher for an account, once, and returns what the account may spend then. The same voucher for the same account again is no error, and puts in nothing. A voucher that cannot be redeemed is
// refused without saying why; wrong ones are counted by account and in all (secret_budget).
func (l *Ledger) Recharge(ctx context.Context, account, voucher string) (answer charging.Answer, err error) {
	var state, currency string
	var available int64
	err = l.pool.QueryRow(ctx, "SELECT state, currency, (available * 1000000)::bigint FROM redeem_voucher($1, $2)", record.Cut(account, record.MaxText), record.Cut(voucher, record.MaxText)).Scan(&state, &currency, &available)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return charging.Answer{}, fmt.Errorf("couldn't redeem a voucher for account %q: Postgres gave no answer", account)
	case err != nil:
		return charging.Answer{}, fmt.Errorf("couldn't redeem a voucher for account %q: %w", account, err)
	}
	switch state {
	case "redeemed":
		return charging.Answer{State: charging.StateGranted, Account: account, Balance: available, Currency: currency}, nil
	case "no_account":
		return charging.Answer{State: charging.StateRefused, Reason: charging.ReasonNoAccount}, nil
	}
	return charging.Answer{State: charging.StateRefused, Reason: charging.ReasonVoucher}, nil
}
