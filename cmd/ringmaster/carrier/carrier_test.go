package carrier_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"ringmaster/cmd/ringmaster/carrier"
	"ringmaster/logic"
	"ringmaster/store"
	"ringmaster/store/storetest"
	"ringmaster/testdata/demo"
)

func TestMain(m *testing.M) { storetest.Main(m) }

// small is a carrier that is made in a moment.
var small = carrier.Size{Numbers: 300, Services: 20, Entries: 2000, Calendars: 10, Seed: 7}

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

// TestMake: a made-up carrier is one that engines can use, the same for the same seed, made once, and told to engines as one edit.
func TestMake(t *testing.T) {
	t.Parallel()
	var prints [2]string
	for i := range prints {
		conn := connect(t, storetest.Database(t))
		if _, err := carrier.Make(t.Context(), conn, small, nil); err == nil || errors.Is(err, carrier.ErrThere) {
			t.Errorf("without the demo carrier's trunks: %v", err)
		}
		if _, err := conn.Exec(t.Context(), demo.SQL, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatal(err)
		}
		var before int64
		if err := conn.QueryRow(t.Context(), "SELECT revision FROM config_revision").Scan(&before); err != nil {
			t.Fatal(err)
		}
		var told []string
		made, err := carrier.Make(t.Context(), conn, small, func(what string, rows int64, _ time.Duration) { told = append(told, what) })
		if err != nil {
			t.Fatal(err)
		}
		if len(told) != 3 || made.Revision != before+1 {
			t.Errorf("told of %v, revision %d after %d", told, made.Revision, before)
		}
		if _, err := carrier.Make(t.Context(), conn, small, nil); !errors.Is(err, carrier.ErrThere) {
			t.Errorf("a second one: %v", err)
		}
		var numbers, services, calendars, entries int
		if err := conn.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM service_number WHERE service LIKE 'carrier%'), (SELECT count(*) FROM service WHERE service LIKE 'carrier%'),
				(SELECT count(*) FROM calendar WHERE calendar LIKE 'carrier%'),
				(SELECT count(*) FROM translation WHERE translation_table LIKE 'carrier%') + (SELECT count(*) FROM screening_entry WHERE screening_list LIKE 'carrier%'),
				(SELECT md5(string_agg(t::text, ',' ORDER BY translation_table, key)) FROM translation t WHERE translation_table LIKE 'carrier%')`).
			Scan(&numbers, &services, &calendars, &entries, &prints[i]); err != nil {
			t.Fatal(err)
		}
		// A few prefixes come twice, and stand once.
		if numbers != small.Numbers || services != small.Services || calendars != small.Calendars || entries > small.Entries || entries < small.Entries*9/10 {
			t.Errorf("%d numbers, %d services, %d calendars, %d entries", numbers, services, calendars, entries)
		}
		s, err := store.Open(t.Context(), store.Config{DSN: conn.Config().ConnString(), Engine: "test"})
		if err != nil {
			t.Fatal(err)
		}
		rows, err := s.Load(t.Context())
		s.Close()
		if err != nil {
			t.Fatal(err)
		}
		if snapshot, problems := logic.Compile(rows, nil, time.LoadLocation); len(problems) > 0 || snapshot.Sizes()["service_number"] < small.Numbers {
			t.Errorf("%v", problems)
		}
	}
	if prints[0] != prints[1] {
		t.Error("the same seed made other rows")
	}
}

func TestAnImpossibleSize(t *testing.T) {
	t.Parallel()
	conn := connect(t, storetest.Database(t))
	for _, size := range []carrier.Size{{}, {Numbers: 1, Services: 1}, {Numbers: 1, Services: 1, Calendars: 1, Entries: -1}, {Numbers: 1, Services: 1, Calendars: 1000}} {
		if _, err := carrier.Make(t.Context(), conn, size, nil); err == nil {
			t.Errorf("%+v was made", size)
		}
	}
}
