package main

import (
	"cmp"
	"context"
	"slices"
	"time"

	"ringmaster/logic"
	"ringmaster/store"
	"ringmaster/web"
)

// staleAfter is the age of a config above which an operator should know that edits may not have arrived.
const staleAfter = 5 * time.Second

// page answers the operator's page from a running engine. What needs Postgres is left out while Postgres is away.
type page struct {
	store *store.Store
	feed  *store.Feed
}

// Status implements web.Engine.
func (p page) Status(ctx context.Context) (web.Status, error) {
	status := web.Status{Version: version(), Now: time.Now().UTC(), Warnings: configWarnings(p.feed)}
	if snapshot := p.feed.Snapshot(); snapshot != nil {
		status.Ready, status.Revision = true, snapshot.Revision()
		for table, rows := range snapshot.Sizes() {
			status.Sizes = append(status.Sizes, web.Size{Table: table, Rows: rows})
		}
		for _, problem := range snapshot.Problems() {
			status.Problems = append(status.Problems, web.Problem(problem))
		}
		slices.SortFunc(status.Sizes, func(a, b web.Size) int { return cmp.Compare(a.Table, b.Table) })
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := p.fromPostgres(ctx, &status); err != nil {
		status.Warnings = append(status.Warnings, "Nodes are not known now: "+err.Error())
	}
	return status, nil
}

func (p page) fromPostgres(ctx context.Context, status *web.Status) error {
	since, err := p.store.ServedSince(ctx)
	if err != nil {
		return err
	}
	status.LoadedAt = since
	nodes, err := p.store.Nodes(ctx)
	if err != nil {
		return err
	}
	for _, node := range nodes {
		status.Nodes = append(status.Nodes, web.Node{Name: node.Node, InService: node.InService, Capacity: node.Capacity,
			Channels: node.Channels, HeardAt: node.LastSeen})
	}
	return nil
}

// configWarnings says what is wrong though the engine serves, for health and the page.
func configWarnings(feed *store.Feed) []string {
	if feed.Snapshot() == nil {
		warnings := []string{"No configuration has been loaded yet: is Postgres there, and migrated?"}
		if err := feed.SavedError(); err != nil {
			warnings = append(warnings, "The configuration saved beside this engine cannot be used: "+err.Error())
		}
		return warnings
	}
	if feed.FromDisk() {
		return []string{"Postgres could not be had since this engine started: the configuration is the one saved beside it, confirmed " +
			feed.Age().Round(time.Second).String() + " ago. Edits made since are not in effect, and ends of calls wait on the nodes."}
	}
	if age := feed.Age(); age > staleAfter {
		return []string{"Postgres has not confirmed the configuration for " + age.Round(time.Second).String() +
			". Calls go on as configured then; edits made since are not in effect, and ends of calls wait on the nodes."}
	}
	return nil
}

// LastCalls implements web.Engine.
func (p page) LastCalls(ctx context.Context, limit int) ([]web.Call, error) {
	list, err := p.store.LastCalls(ctx, limit)
	if err != nil {
		return nil, err
	}
	calls := make([]web.Call, 0, len(list))
	for _, cdr := range list {
		calls = append(calls, web.Call{CallID: cdr.CallID, StartedAt: cdr.StartedAt.UTC(), Node: cdr.Node, Trunk: cdr.Trunk, Caller: cdr.Caller,
			Called: cdr.Called, Service: cdr.Service, Path: cdr.Path, Outcome: string(cdr.Outcome), TalkSeconds: cdr.Talk.Seconds(), Cause: cdr.Cause})
	}
	return calls, nil
}

// Explain implements web.Engine. It asks the snapshot that calls are decided on, not the database.
func (p page) Explain(_ context.Context, q web.Question) (web.Explanation, error) {
	snapshot := p.feed.Snapshot()
	if snapshot == nil {
		return web.Explanation{}, errNoSnapshot
	}
	at := q.At
	if at.IsZero() {
		at = time.Now()
	}
	answer := explain(snapshot, logic.Session{Caller: q.Caller, Called: q.Called, Trunk: q.Trunk}, at.UTC())
	result := web.Explanation{Revision: answer.Revision, Service: answer.Service, At: answer.At, Instructions: answer.Instructions}
	for _, decision := range answer.Decisions {
		result.Decisions = append(result.Decisions, web.Decision(decision))
	}
	return result, nil
}
