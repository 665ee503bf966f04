package ledger

import (
	"context"
	"fmt"
	"slices"

	"ringmaster/logic/charging"
	"ringmaster/store/ledger/heartbeat"
)

// Register notes that a node has started: its boot id, new at each start, the channels it may carry, those in use and the ids
// of its live calls.
func (l *Ledger) Register(ctx context.Context, node, bootID string, capacity, channels int, calls []charging.LiveCall) error {
	return l.report(ctx, heartbeat.NewReport(node, bootID, &capacity, channels, calls))
}

// Heartbeat notes that a node is alive, with its channels in use and its live calls, and extends what those of them hold in which people talk. It returns what was extended; what is extended after ctx has ended is
// told with the next heartbeat.
func (l *Ledger) Heartbeat(ctx context.Context, node, bootID string, channels int, calls []charging.LiveCall) ([]charging.Extension, error) {
	r := heartbeat.NewReport(node, bootID, nil, channels, calls)
	var done <-chan extended
	if running := slices.DeleteFunc(slices.Clone(r.Live), func(one heartbeat.Live) bool { return !one.Grows() }); len(running) > 0 {
		done = l.extendSoon(r.Node, running)
	}
	if err := l.report(ctx, r); err != nil || done == nil {
		return nil, err
	}
	select {
	case came := <-done:
		return came.extensions, came.err
	case <-ctx.Done():
		return nil, fmt.Errorf("couldn't extend what calls hold in time: %w", ctx.Err())
	}
}

func (l *Ledger) report(ctx context.Context, r heartbeat.Report) error {
	if err := l.nodes.do(ctx, r); err != nil {
		return fmt.Errorf("couldn't note what node %q reports: %w", r.Node, err)
	}
	return nil
}
