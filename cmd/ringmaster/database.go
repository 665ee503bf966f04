package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"ringmaster/logic"
	"ringmaster/store"
)

// openTimeout bounds the first connection of a command that cannot do without the database.
const openTimeout = 10 * time.Second

// draft is the database as it is now, or as it would be after an edit, compiled by itself: nothing is left of what an engine may keep serving.
type draft struct {
	snapshot *logic.Snapshot
	problems []logic.Problem
	rows     *logic.Rows
}

// loadDraft reads and compiles the database at an address.
func loadDraft(ctx context.Context, f databaseFlag) (draft, error) {
	s, err := f.open(ctx)
	if err != nil {
		return draft{}, err
	}
	defer s.Close()
	return draftFlag{}.load(ctx, s)
}

// open opens the database, which must have every migration that this program knows.
func (f databaseFlag) open(ctx context.Context) (*store.Store, error) {
	address, err := f.address()
	if err != nil {
		return nil, err
	}
	s, err := store.Open(ctx, store.Config{DSN: address, Engine: "ringmaster tool"})
	if err != nil {
		return nil, err
	}
	checked, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	if err := s.Check(checked); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// draftFlag is an edit that is not made.
type draftFlag struct {
	Draft      string `placeholder:"FILE" type:"existingfile" xor:"draft" help:"SQL of an edit to try: it is run in a transaction that is rolled back."`
	AtRevision *int64 `name:"revision" placeholder:"N" xor:"draft" help:"The rows as they were at an older config revision."`
}

// given reports whether there is an edit.
func (f draftFlag) given() bool { return f.Draft != "" || f.AtRevision != nil }

// load reads and compiles the committed rows, or those of the draft when there is one.
func (f draftFlag) load(ctx context.Context, s *store.Store) (draft, error) {
	var rows *logic.Rows
	var err error
	switch {
	case f.AtRevision != nil:
		rows, err = s.LoadRevision(ctx, *f.AtRevision)
	case f.Draft != "":
		var sql []byte
		if sql, err = os.ReadFile(f.Draft); err == nil {
			rows, err = s.LoadDraft(ctx, string(sql))
		}
	default:
		rows, err = s.LoadPublic(ctx)
	}
	if err != nil {
		return draft{}, err
	}
	snapshot, problems := logic.Compile(rows, nil, zones)
	return draft{snapshot, problems, rows}, nil
}

// words is "revision 12", or "revision 12 with draft.sql".
func (f draftFlag) words(revision int64) string {
	if f.AtRevision != nil {
		return fmt.Sprintf("revision %d as it was", *f.AtRevision)
	}
	text := fmt.Sprintf("revision %d", revision)
	if f.Draft != "" {
		text += " with " + filepath.Base(f.Draft)
	}
	return text
}

// instant is a time on the command line: RFC 3339, or a local date and time in the system's zone.
type instant time.Time

// UnmarshalText reads 2026-11-24T03:15:00Z or 2026-11-24T03:15Z, or 2026-11-24T03:15 as the system's local time.
func (i *instant) UnmarshalText(text []byte) error {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02T15:04:05", "2006-01-02T15:04"} {
		if at, err := time.ParseInLocation(layout, string(text), time.Local); err == nil && !at.IsZero() { // the zero instant is one that was not given
			*i = instant(at)
			return nil
		}
	}
	return fmt.Errorf("%q is no time: write 2026-11-24T03:15:00+01:00, or 2026-11-24T03:15 for the local time of this machine", text)
}

// or is the instant, or another one when it was not given.
func (i instant) or(otherwise time.Time) time.Time {
	if at := time.Time(i); !at.IsZero() {
		return at
	}
	return otherwise
}
