// Package carrier makes up a carrier of any size in a database: numbers, services, calendars, translation tables and screening lists, as large ones
// have them. It is what speed and memory are measured on.
//
// The same size and seed make the same rows. All of it is written by Postgres itself, so that millions of rows take seconds, not minutes.
package carrier

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// FirstNumber is the first service number; the others follow it without a gap.
const FirstNumber = 498_000_000_000

// Size says how much of everything there shall be.
type Size struct {
	Numbers   int `default:"1000000" help:"Service numbers. (${default})"`
	Services  int `default:"100000" help:"Freephone services that share the numbers. (${default})"`
	Entries   int `default:"5000000" help:"Rows of translation tables and screening lists together. (${default})"`
	Calendars int `default:"10000" help:"Calendars that the services share. (${default})"`
	Seed      int `default:"1" help:"Which made-up carrier: the same one makes the same rows. (${default})"`
}

// Full is the size of a large carrier.
func Full() Size {
	return Size{Numbers: 1_000_000, Services: 100_000, Entries: 5_000_000, Calendars: 10_000, Seed: 1}
}

// part is a share of the rows, in parts per thousand of the entries, that go into tables of one kind.
type part struct {
	what string
	sql  []string
}

// Parts of a carrier, in the order in which they are made: the later ones name the earlier. In their SQL $numbers and the like stand for the size, and
// scatter(i) for a number below 10,000,000,000 that no other i has.
var (
	services = part{"services", []string{
		`INSERT INTO subscriber (subscriber) SELECT 'carrier_' || i FROM generate_series(1, greatest($services / 10, 1)) AS i`,
		`INSERT INTO calendar (calendar, time_zone) SELECT 'carrier_' || i, (ARRAY['Europe/Berlin', 'Europe/Lisbon', 'Europe/Athens', 'UTC'])[1 + i % 4] FROM generate_series(1, $calendars) AS i`,
		// Open at any time, in several windows, so that every call is connected.
		`INSERT INTO calendar_window (calendar, weekdays, opens_at, closes_at) SELECT 'carrier_' || i, weekdays, opens_at::time, closes_at::time FROM generate_series(1, $calendars) AS i,
			(VALUES ('1111100', '08:00', '18:00'), ('1111100', '18:00', '08:00'), ('0000011', '00:00', '24:00'), ('1111111', '00:00', '24:00')) AS w (weekdays, opens_at, closes_at)`,
		`INSERT INTO calendar_holiday (calendar, holiday, name) SELECT 'carrier_' || i, date '1990-12-25' + y * interval '1 year', 'gone by' FROM generate_series(1, $calendars) AS i, generate_series(0, 4) AS y`,
		`INSERT INTO distribution (distribution, method) SELECT 'carrier_' || i, 'percentage' FROM generate_series(1, greatest($services / 100, 1)) AS i`,
		`INSERT INTO distribution_branch (distribution, position, branch, weight, value, trunk)
			SELECT 'carrier_' || i, b, 'b' || b, 50, '4940' || (3000000 + i), 'office' FROM generate_series(1, greatest($services / 100, 1)) AS i, generate_series(1, 2) AS b`,
		`INSERT INTO translation_table (translation_table, match) SELECT 'carrier_offices_' || i, 'exact' FROM generate_series(1, $tables) AS i`,
		`INSERT INTO service (service, subscriber, script) SELECT 'carrier_' || i, 'carrier_' || (1 + i / 10 % greatest($services / 10, 1)), 'freephone' FROM generate_series(1, $services) AS i`,
		`INSERT INTO service_parameter (service, parameter, value) SELECT 'carrier_' || i, parameter, value FROM generate_series(1, $services) AS i,
			LATERAL (VALUES ('hours', 'carrier_' || (1 + i % $calendars)), ('offices', 'carrier_offices_' || (1 + i % $tables)), ('elsewhere', 'carrier_' || (1 + i % greatest($services / 100, 1))),
				('second_office', '4930200200@office')) AS p (parameter, value)`,
	}}
	entries = part{"entries", []string{
		// Offices of the services, by area.
		`INSERT INTO translation (translation_table, key, value, trunk)
			SELECT 'carrier_offices_' || i, area, '4930' || (2000000 + i * 7 % 100000), 'office' FROM generate_series(1, $tables) AS i,
				LATERAL (SELECT CASE a WHEN 1 THEN 'berlin' WHEN 2 THEN 'munich' WHEN 3 THEN 'hamburg' ELSE 'area_' || a END AS area FROM generate_series(1, 25) AS a) AS areas`,
		// Ported numbers: sparse full numbers, few values.
		`INSERT INTO translation_table (translation_table, match) VALUES ('carrier_ported', 'exact')`,
		`INSERT INTO translation (translation_table, key, value) SELECT 'carrier_ported', (490000000000 + scatter(i))::text, 'D' || (100 + i % 200) FROM generate_series(1, $entries * 3 / 10) AS i`,
		// Where to send calls abroad: prefixes of six to nine digits.
		`INSERT INTO translation_table (translation_table, match) VALUES ('carrier_routes', 'prefix')`,
		`INSERT INTO translation (translation_table, key, value) SELECT DISTINCT ON (key) 'carrier_routes', key, 'route_' || i % 500
			FROM generate_series(1, $entries / 10) AS i, LATERAL (SELECT left((1000000000 + scatter(i) % 9000000000)::text, 8 + i % 2) AS key) AS k`,
		// Callers that nobody wants to hear.
		`INSERT INTO screening_list (screening_list, match) VALUES ('carrier_blocked', 'exact')`,
		`INSERT INTO screening_entry (screening_list, entry) SELECT 'carrier_blocked', (440000000000 + scatter(i))::text FROM generate_series(1, $entries * 3 / 10) AS i`,
		`INSERT INTO screening_list (screening_list, match) VALUES ('carrier_ranges', 'prefix')`,
		`INSERT INTO screening_entry (screening_list, entry) SELECT DISTINCT 'carrier_ranges', left((1000000000 + scatter(i + 7) % 9000000000)::text, 8 + i % 2) FROM generate_series(1, $entries / 10) AS i`,
		// Members of closed groups.
		`INSERT INTO screening_list (screening_list, match) SELECT 'carrier_group_' || i, 'exact' FROM generate_series(1, greatest($entries / 500, 1)) AS i`,
		`INSERT INTO screening_entry (screening_list, entry) SELECT 'carrier_group_' || i, (493000000000 + i * 1000 + n)::text FROM generate_series(1, $entries / 500) AS i, generate_series(1, 50) AS n`,
	}}
	numbers = part{"numbers", []string{
		fmt.Sprintf(`INSERT INTO service_number (number, service) SELECT (%d + n)::text, 'carrier_' || (1 + n %% $services) FROM generate_series(0::bigint, $numbers - 1) AS n`, FirstNumber),
	}}
)

// ErrThere is in the error for a database that has a made-up carrier already.
var ErrThere = errors.New("the database has a made-up carrier already")

// Made says what was written.
type Made struct {
	Size     `embed:""`
	Rows     int64   `json:"rows"`
	Seconds  float64 `json:"seconds"`
	Revision int64   `json:"revision"`
}

// Make writes a carrier of a size as one edit, and tells of each part as it is done. The database must have all migrations and the demo carrier, whose trunks and numbering plan
// the made-up one uses. It is ErrThere that it has one already.
func Make(ctx context.Context, conn *pgx.Conn, size Size, progress func(what string, rows int64, took time.Duration)) (made Made, err error) {
	return makeParts(ctx, conn, size, progress, services, entries, numbers)
}

// MakeServices writes the services only, MakeEntries what belongs into tables and lists, MakeNumbers the numbers: one after the other they are Make.
func MakeServices(ctx context.Context, conn *pgx.Conn, size Size) (Made, error) {
	return makeParts(ctx, conn, size, nil, services)
}

// MakeEntries is the second part of Make; see MakeServices.
func MakeEntries(ctx context.Context, conn *pgx.Conn, size Size) (Made, error) {
	return makeParts(ctx, conn, size, nil, entries)
}

// MakeNumbers is the last part of Make; see MakeServices.
func MakeNumbers(ctx context.Context, conn *pgx.Conn, size Size) (Made, error) {
	return makeParts(ctx, conn, size, nil, numbers)
}

func makeParts(ctx context.Context, conn *pgx.Conn, size Size, progress func(string, int64, time.Duration), parts ...part) (made Made, err error) {
	if size.Numbers < 1 || size.Services < 1 || size.Entries < 0 || size.Calendars < 1 || size.Services < size.Calendars/100 {
		return made, errors.New("couldn't make a carrier: it needs at least one number, service and calendar")
	}
	began := time.Now()
	made.Size = size
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if parts[0].what == services.what {
			var there, demo bool
			if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM service WHERE service = 'carrier_1'),
				EXISTS (SELECT FROM trunk WHERE trunk = 'office') AND EXISTS (SELECT FROM prompt WHERE prompt = 'closed')`).Scan(&there, &demo); err != nil {
				return err
			}
			if there {
				return ErrThere
			}
			if !demo {
				return errors.New("trunk office and prompt closed are not there: load testdata/demo/carrier.sql first (ringmaster dev does)")
			}
		}
		fast, err := withoutChecks(ctx, tx)
		if err != nil {
			return err
		}
		for _, p := range parts {
			begun, rows := time.Now(), int64(0)
			for _, sql := range p.sql {
				tag, err := tx.Exec(ctx, size.fill(sql))
				if err != nil {
					return fmt.Errorf("%w in %s", err, sql)
				}
				rows += tag.RowsAffected()
			}
			made.Rows += rows
			if progress != nil {
				progress(p.what, rows, time.Since(begun))
			}
		}
		if fast {
			return noteEverything(ctx, tx)
		}
		return nil
	})
	if err != nil {
		return made, fmt.Errorf("couldn't make a carrier: %w", err)
	}
	if _, err := conn.Exec(ctx, "ANALYZE"); err != nil {
		return made, fmt.Errorf("couldn't analyse the tables: %w", err)
	}
	made.Seconds = time.Since(began).Seconds()
	if err := conn.QueryRow(ctx, "SELECT revision FROM config_revision").Scan(&made.Revision); err != nil {
		return made, fmt.Errorf("couldn't read the config revision: %w", err)
	}
	return made, nil
}

// withoutChecks leaves out what looks at each row by itself, where the role may do that: these rows are known to be good. Otherwise it only takes longer.
func withoutChecks(ctx context.Context, tx pgx.Tx) (fast bool, err error) {
	if _, err = tx.Exec(ctx, "SAVEPOINT faster"); err != nil {
		return false, err
	}
	_, err = tx.Exec(ctx, "SET LOCAL session_replication_role = replica")
	var refused *pgconn.PgError
	if errors.As(err, &refused) && refused.Code == "42501" { // insufficient_privilege
		_, err = tx.Exec(ctx, "ROLLBACK TO SAVEPOINT faster")
		return false, err
	}
	return err == nil, err
}

// noteEverything makes one edit of what was written without checks, and so without notes; engines load everything.
func noteEverything(ctx context.Context, tx pgx.Tx) error {
	for _, sql := range []string{
		"SET LOCAL session_replication_role = origin",
		"INSERT INTO config_edit (transaction) VALUES (pg_current_xact_id()) ON CONFLICT DO NOTHING",
		`INSERT INTO config_change (edit, kind, object, key) SELECT edit, '*', '', '' FROM config_edit WHERE transaction = pg_current_xact_id() ON CONFLICT DO NOTHING`,
		`INSERT INTO audit_entry (edit, table_name, operation, rows, comment) SELECT edit, 'service_number', 'INSERT', NULL, 'a made-up carrier' FROM config_edit WHERE transaction = pg_current_xact_id()`,
	} {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// fill puts the size into a statement.
func (s Size) fill(sql string) string {
	// Multiplication by a number that has no divisor in common with the modulus gives each i another result.
	const scattered = "((${i} + %d::bigint) * 2654435761 %% 10000000000)"
	for {
		before, after, found := strings.Cut(sql, "scatter(")
		if !found {
			break
		}
		argument, rest, _ := strings.Cut(after, ")")
		sql = before + strings.ReplaceAll(fmt.Sprintf(scattered, s.Seed*1_000_003), "${i}", argument) + rest
	}
	return strings.NewReplacer("$numbers", fmt.Sprint(s.Numbers), "$services", fmt.Sprint(s.Services), "$calendars", fmt.Sprint(s.Calendars),
		"$entries", fmt.Sprint(s.Entries), "$tables", fmt.Sprint(max(s.Entries/250, 1))).Replace(sql)
}
