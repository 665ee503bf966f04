package store_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"ringmaster/store"
	"ringmaster/store/storetest"
)

var always = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// TestEveryRecordIsExportedOnce: transactions that store records end in another order than they began, while somebody exports and goes on with a cursor.
func TestEveryRecordIsExportedOnce(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	s := open(t, dsn)
	const writers, each = 8, 40
	var writing sync.WaitGroup
	for w := range writers {
		conn := dial(t, dsn)
		writing.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 1))
			for n := range each {
				sql := fmt.Sprintf("BEGIN; INSERT INTO cdr (call_id, node, outcome, started_at, ended_at) VALUES ('call/%d-%d', 'node%d', 'answered', now(), now()); SELECT pg_sleep(%f); %s", w, n, r.IntN(3), r.Float64()/30,
					[]string{"COMMIT", "COMMIT", "COMMIT", "ROLLBACK"}[n%4])
				if _, err := conn.PgConn().Exec(t.Context(), sql).ReadAll(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() {
		writing.Wait()
		close(done)
	}()
	seen := make(map[string]int)
	cursor, rounds := "", 0
	const want = writers * each * 3 / 4
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); rounds++ {
		if isDone(done) && len(seen) >= want { // transactions in other databases of the server hold records back, too
			break
		}
		var err error
		if cursor, err = s.ExportCDRs(t.Context(), cursor, time.Time{}, always, func(record []*string) error {
			seen[*record[2]]++
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if rounds < 5 {
		t.Fatalf("%d rounds: nobody wrote meanwhile", rounds)
	}
	if len(seen) != want {
		t.Errorf("%d records of %d", len(seen), want)
	}
	for call, n := range seen {
		if n > 1 {
			t.Errorf("call %s came %d times", call, n)
		}
	}
}

func isDone(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// TestExportOfARecord: what a record and a correction look like, and which are asked for.
func TestExportOfARecord(t *testing.T) {
	t.Parallel()
	dsn := storetest.Database(t)
	s := open(t, dsn)
	for _, sql := range []string{
		`INSERT INTO cdr (call_id, node, caller, outcome, started_at, ended_at, talk_ms, flags, charges, recorded_at)
			VALUES ('a/b', 'n1', '49"30', 'node_lost', '2026-11-27 12:00:00.5+02', '2026-11-27 10:01Z', 1500, '{excess}', '[{"charge": 1}]', '2026-11-27 10:02Z')`,
		`INSERT INTO cdr_correction (call_id, node, talk_ms, cause, ended_at, recorded_at) VALUES ('a/b', 'n1', 2500, 16, '2026-11-27 10:03Z', '2026-11-27 10:04Z')`,
	} {
		if err := exec2(t, dsn, sql); err != nil {
			t.Fatal(err)
		}
	}
	export := func(after string, from, to time.Time) (records []map[string]string) {
		t.Helper()
		if _, err := s.ExportCDRs(t.Context(), after, from, to, func(record []*string) error {
			fields := make(map[string]string)
			for i, value := range record {
				if value != nil {
					fields[store.CDRColumns()[i]] = *value
				}
			}
			records = append(records, fields)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return records
	}
	var all []map[string]string
	await(t, func() bool {
		all = export("", time.Time{}, always)
		return len(all) == 2
	})
	for column, want := range map[string]string{"kind": "cdr", "call_id": "a/b", "node": "n1", "caller": `49"30`, "outcome": "node_lost", "started_at": "2026-11-27T10:00:00.500000Z",
		"talk_ms": "1500", "flags": `["excess"]`, "charges": `[{"charge": 1}]`} {
		if all[0][column] != want {
			t.Errorf("%s is %q, not %q", column, all[0][column], want)
		}
	}
	if answered, is := all[0]["answered_at"]; is {
		t.Errorf("answered at %s", answered)
	}
	if all[1]["kind"] != "correction" || all[1]["talk_ms"] != "2500" || all[1]["ended_at"] != "2026-11-27T10:03:00.000000Z" {
		t.Errorf("the correction is %v", all[1])
	}
	if rest := export(all[0]["cursor"], time.Time{}, always); len(rest) != 1 || rest[0]["kind"] != "correction" {
		t.Errorf("after the first: %v", rest)
	}
	at := time.Date(2026, 11, 27, 10, 3, 0, 0, time.UTC)
	if before := export("", time.Time{}, at); len(before) != 1 || before[0]["kind"] != "cdr" {
		t.Errorf("until %v: %v", at, before)
	}
	if since := export("", at, always); len(since) != 1 || since[0]["kind"] != "correction" {
		t.Errorf("from %v: %v", at, since)
	}
	for _, cursor := range []string{"x", "1/n1", "/n1/a", "-1/n1/a", "99999999999999999999/n1/a", "1 OR/n1/a"} {
		if _, err := s.ExportCDRs(t.Context(), cursor, time.Time{}, always, func([]*string) error { return nil }); !errors.Is(err, store.ErrCursor) {
			t.Errorf("cursor %q: %v", cursor, err)
		}
	}
}
