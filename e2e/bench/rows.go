package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"ringmaster/testdata/demo"
)

// Who asks, and for which numbers. A hundred numbers belong to one service, and each service has offices, a
// distribution and parameters of its own.
const (
	nodeName    = "bench"
	nodeSecret  = "correct-horse-battery"
	firstNumber = 498_000_000_000
	// callers is a range in which a quarter of the callers are in an area that has an office; the rest are shared out.
	callers = "493000000000-493399999999"
)

// Rows for $1 numbers. Hours are open day and night, in several windows, so that every call is connected.
var fill = []string{
	`INSERT INTO node (node) VALUES ('` + nodeName + `')`,
	`SELECT set_node_secret('` + nodeName + `', '` + nodeSecret + `')`,
	`INSERT INTO calendar (calendar, time_zone) VALUES ('bench_hours', 'Europe/Berlin')`,
	`INSERT INTO calendar_window (calendar, weekdays, opens_at, closes_at) VALUES
		('bench_hours', '1111100', '08:00', '18:00'), ('bench_hours', '1111100', '18:00', '08:00'), ('bench_hours', '0000011', '00:00', '24:00'),
		('bench_hours', '1111111', '00:00', '24:00')`,
	`INSERT INTO calendar_holiday (calendar, holiday, name)
		SELECT 'bench_hours', date '1990-12-25' + i * interval '1 year', 'gone by' FROM generate_series(0, 29) AS i`,
	`INSERT INTO subscriber (subscriber) SELECT 's' || i FROM generate_series(1, $1 / 100) AS i`,
	`INSERT INTO translation_table (translation_table, match) SELECT 'offices' || i, 'exact' FROM generate_series(1, $1 / 100) AS i`,
	`INSERT INTO translation (translation_table, key, value, trunk)
		SELECT 'offices' || i, area, '4930' || (2000000 + i), 'office' FROM generate_series(1, $1 / 100) AS i, unnest(ARRAY['berlin', 'munich', 'hamburg']) AS area`,
	`INSERT INTO distribution (distribution, method) SELECT 'share' || i, 'percentage' FROM generate_series(1, $1 / 100) AS i`,
	`INSERT INTO distribution_branch (distribution, position, branch, weight, value, trunk)
		SELECT 'share' || i, branch, 'b' || branch, 50, '4940' || (3000000 + i), 'office' FROM generate_series(1, $1 / 100) AS i, generate_series(1, 2) AS branch`,
	`INSERT INTO service (service, subscriber, script) SELECT 'freephone' || i, 's' || i, 'freephone' FROM generate_series(1, $1 / 100) AS i`,
	`INSERT INTO service_parameter (service, parameter, value)
		SELECT 'freephone' || i, parameter, replace(value, '#', i::text) FROM generate_series(1, $1 / 100) AS i,
			(VALUES ('hours', 'bench_hours'), ('offices', 'offices#'), ('elsewhere', 'share#'), ('second_office', '4930200200@office')) AS p (parameter, value)`,
	`INSERT INTO service_number (number, service)
		SELECT (` + fmt.Sprint(firstNumber) + ` + n)::text, 'freephone' || (n / 100 + 1) FROM generate_series(0, $1 - 1) AS n`,
}

// fillDatabase writes the demo carrier and freephone services with so many numbers, in one transaction.
func fillDatabase(ctx context.Context, dsn string, numbers int) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return fmt.Errorf("couldn't connect to Postgres: %w", err)
	}
	defer conn.Close(context.Background())
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, demo.SQL); err != nil {
			return err
		}
		for _, sql := range fill {
			if _, err := tx.Exec(ctx, strings.ReplaceAll(sql, "$1", fmt.Sprint(numbers))); err != nil {
				return fmt.Errorf("%w in %s", err, sql)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("couldn't write %d numbers: %w", numbers, err)
	}
	if _, err := conn.Exec(ctx, "ANALYZE"); err != nil {
		return fmt.Errorf("couldn't analyse the tables: %w", err)
	}
	return nil
}
