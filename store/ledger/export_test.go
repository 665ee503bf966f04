package ledger

import (
	"context"

	"ringmaster/logic/charging"
)

// GiveBackPlace takes back one claim to a call's place, as for an answer that came too late.
func (l *Ledger) GiveBackPlace(ctx context.Context, callID, node, limit, place, claim string) error {
	_, err := l.writeVoids(ctx, []void{{Key: charging.Key{CallID: callID, Node: node}, limit: limit, place: place, claim: claim}}, false)
	return err
}
