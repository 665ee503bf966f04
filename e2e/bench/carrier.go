package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/jackc/pgx/v5"

	"ringmaster/cmd/ringmaster/carrier"
	"ringmaster/store/postgres"
	"ringmaster/testdata/demo"
)

// carrier measures an engine with all that a large carrier has: how long it loads, what a row costs in memory, how soon an edit is live, and what edits
// cost the callers.
//
// bytes_per_… is the engine's live heap (after a garbage collection) with the rows less that without them, over the rows; a process takes about twice its live heap, and more
// while it loads, which is carrier_resident_mib.
func (b *bench) carrier(ctx context.Context, server *postgres.Server) error {
	size := carrier.Full()
	if b.short {
		size = carrier.Size{Numbers: size.Numbers / 10, Services: size.Services / 10, Entries: size.Entries / 10, Calendars: size.Calendars / 10, Seed: 1}
	}
	dsn, err := b.database(ctx, server, "carrier")
	if err != nil {
		return err
	}
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		return err
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol // as an operator's psql
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("couldn't connect to Postgres: %w", err)
	}
	defer conn.Close(context.Background())
	for _, sql := range []string{demo.SQL, "INSERT INTO node (node) VALUES ('" + nodeName + "')", "SELECT set_node_secret('" + nodeName + "', '" + nodeSecret + "')"} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("couldn't write the demo carrier: %w", err)
		}
	}
	var heaps []int64
	var engine *process
	for _, make := range []func(context.Context, *pgx.Conn, carrier.Size) (carrier.Made, error){carrier.MakeServices, carrier.MakeEntries, carrier.MakeNumbers} {
		made, err := make(ctx, conn, size)
		if err != nil {
			return err
		}
		if engine != nil {
			engine.stop()
		}
		began := time.Now()
		if engine, err = b.serve(ctx, "carrier", dsn); err != nil {
			return err
		}
		defer engine.stop()
		took := time.Since(began)
		heap, err := engine.heap(ctx)
		if err != nil {
			return err
		}
		heaps = append(heaps, heap)
		say("%d rows written in %.1f s; the engine is ready in %.1f s, live heap %d MiB", made.Rows, made.Seconds, took.Seconds(), heap>>20)
		if len(heaps) == 3 {
			figure("load_seconds", took.Seconds(), "s")
		}
	}
	figure("bytes_per_entry", float64(heaps[1]-heaps[0])/float64(size.Entries), "B")
	figure("bytes_per_number", float64(heaps[2]-heaps[1])/float64(size.Numbers), "B")
	if bytes, err := engine.resident(); err == nil {
		figure("carrier_resident_mib", float64(bytes)/(1<<20), "MiB")
	}
	e := &editor{conn: conn, size: size}
	if err := b.editToLive(ctx, engine, e); err != nil {
		return err
	}
	return b.editsBesideQueries(ctx, engine, e)
}

// heap is the live heap of an engine, after a garbage collection.
func (p *process) heap(ctx context.Context) (int64, error) {
	if _, err := fetch(ctx, p.admin+"/debug/pprof/heap?gc=1"); err != nil {
		return 0, err
	}
	metrics, err := fetch(ctx, p.admin+"/metrics")
	if err != nil {
		return 0, err
	}
	found := regexp.MustCompile(`(?m)^go_memstats_heap_alloc_bytes (\S+)$`).FindStringSubmatch(metrics)
	if found == nil {
		return 0, fmt.Errorf("the engine's metrics say nothing of its heap")
	}
	bytes, err := strconv.ParseFloat(found[1], 64)
	return int64(bytes), err
}

func fetch(ctx context.Context, url string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	reply, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", fmt.Errorf("couldn't ask %s: %w", url, err)
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err == nil && reply.StatusCode != http.StatusOK {
		err = fmt.Errorf("couldn't ask %s: %s", url, reply.Status)
	}
	return string(text), err
}

// editor makes the edits of an operator's day, one kind after the other.
type editor struct {
	conn *pgx.Conn
	size carrier.Size
	n    int
}

// edit commits the next edit.
func (e *editor) edit(ctx context.Context) error {
	n := e.n
	e.n++
	service := 1 + n*7919%e.size.Services
	table := 1 + n*104729%max(e.size.Entries/250, 1)
	for _, sql := range strings.Split([]string{
		fmt.Sprintf("UPDATE service_number SET service = 'carrier_%d' WHERE number = '%d'", service, carrier.FirstNumber+n*31%e.size.Numbers),
		fmt.Sprintf("UPDATE service_parameter SET value = '49302002%02d@office' WHERE service = 'carrier_%d' AND parameter = 'second_office'", n%100, service),
		fmt.Sprintf("UPDATE translation SET value = '49302%05d' WHERE translation_table = 'carrier_offices_%d' AND key = 'berlin'", n%100000, table),
		fmt.Sprintf("INSERT INTO screening_entry (screening_list, entry) VALUES ('carrier_blocked', '33%d')", 1_000_000_000+n),
		fmt.Sprintf("INSERT INTO translation (translation_table, key, value) VALUES ('carrier_ported', '33%d', 'D1')", 1_000_000_000+n),
		fmt.Sprintf("INSERT INTO calendar_holiday (calendar, holiday, name) VALUES ('carrier_%d', date '1980-01-01' + %d, 'an edit')", 1+n%e.size.Calendars, n%3000),
		fmt.Sprintf("BEGIN; INSERT INTO service (service, subscriber, script) VALUES ('edit_%d', 'carrier_1', 'freephone'); INSERT INTO service_parameter SELECT 'edit_%[1]d', parameter, value FROM service_parameter WHERE service = 'carrier_%d'; COMMIT", n, service),
		fmt.Sprintf("INSERT INTO node (node) VALUES ('edit-%d')", n),
	}[n%8], ";") {
		if _, err := e.conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("couldn't make an edit: %w", err)
		}
	}
	return nil
}

// revision is that of the last edit.
func (e *editor) revision(ctx context.Context) (revision int64, err error) {
	if err = e.conn.QueryRow(ctx, "SELECT revision FROM config_revision").Scan(&revision); err != nil {
		err = fmt.Errorf("couldn't read the config revision: %w", err)
	}
	return revision, err
}

var revisionOf = regexp.MustCompile(`revision=(\d+)`)

// served is the revision that the engine's next answer comes from.
func served(ctx context.Context, engine *process) (int64, error) {
	form := url.Values{"called": {fmt.Sprint(carrier.FirstNumber)}, "caller": {"493012345678"}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(engine.url, "/RPC2")+"/dialplan/translate", strings.NewReader(form.Encode()))
	if err != nil {
		return 0, err
	}
	request.SetBasicAuth(nodeName, nodeSecret)
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	reply, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, fmt.Errorf("couldn't ask the engine: %w", err)
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err != nil {
		return 0, err
	}
	found := revisionOf.FindSubmatch(text)
	if found == nil {
		return 0, fmt.Errorf("the engine names no revision: %s", text)
	}
	return strconv.ParseInt(string(found[1]), 10, 64)
}

// editToLive measures from an operator's COMMIT to the first answer that is decided by it.
func (b *bench) editToLive(ctx context.Context, engine *process, e *editor) error {
	var took []float64
	for range b.edits {
		if err := e.edit(ctx); err != nil {
			return err
		}
		began := time.Now()
		revision, err := e.revision(ctx)
		if err != nil {
			return err
		}
		for {
			now, err := served(ctx, engine)
			if err != nil {
				return err
			}
			if now >= revision {
				break
			}
			if time.Since(began) > time.Minute {
				return fmt.Errorf("revision %d isn't live after a minute; %d is", revision, now)
			}
		}
		took = append(took, time.Since(began).Seconds()*1000)
	}
	slices.Sort(took)
	figure("edit_to_live_p50_ms", took[len(took)/2], "ms")
	figure("edit_to_live_p99_ms", took[len(took)*99/100], "ms")
	return nil
}

// editEvery is the pace of the edits beside queries.
const editEvery = 100 * time.Millisecond

// busyHour is how many calls a second a carrier of a million numbers has, several times over.
const busyHour = 1000

// editsBesideQueries measures what an edit every 100 ms does to the callers' p99: turns with and without edits, one after the other in one run, so that both have their part of whatever else happens, and the percentile
// of all turns of a kind together. First with the calls of a busy hour; then at a quarter of what the engine can do, where engine, generator, Postgres and operator have to share processors: whoever takes one for a
// millisecond is seen there, be it an edit or a program that only counts.
func (b *bench) editsBesideQueries(ctx context.Context, engine *process, e *editor) error {
	most, err := b.load(ctx, engine, b.length, 0)
	if err != nil {
		return err
	}
	for _, at := range []struct {
		figures string
		rate    float64
	}{{"query", busyHour}, {"loaded", most.PerSecond / 4}} {
		quiet, edited, edits, err := b.editTurns(ctx, engine, e, at.rate)
		if err != nil {
			return err
		}
		say("edits beside queries: at %.0f/s %d answers without edits, %d with %.3g of them a second", at.rate, quiet.TotalCount(), edited.TotalCount(), edits)
		figure(at.figures+"_p99_ms", p99(quiet), "ms")
		figure(at.figures+"_p99_with_edits_ms", p99(edited), "ms")
		figure(at.figures+"_p99_edit_ratio", p99(edited)/p99(quiet), "ratio")
	}
	return nil
}

// interval is how finely the generator tells latencies, and warmUp how long before the first turn it asks already.
const (
	interval = 500 * time.Millisecond
	warmUp   = 3 * time.Second
)

// turn is a time with edits or without.
type turn struct {
	from, to time.Time
	edited   bool
}

// editTurns has the generator ask all the time, and edits made every other turn. Intervals that belong to two turns, or none, do not count.
// It returns the latencies without and with edits, in µs, and how many edits a second were made.
func (b *bench) editTurns(ctx context.Context, engine *process, e *editor, rate float64) (quiet, edited *hdrhistogram.Histogram, edits float64, err error) {
	length, count := b.openLength/2, 4*b.rounds
	var turns []turn
	made, failed := 0, make(chan error, 1)
	asking, over := context.WithCancel(ctx)
	go func() {
		failed <- func() error {
			pause(asking, warmUp)
			for n := 0; n < count && asking.Err() == nil; n++ {
				one := turn{from: time.Now(), edited: n%2 == 1}
				if !one.edited {
					pause(asking, length)
				} else {
					stop := e.begin(ctx)
					pause(asking, length)
					n, err := stop()
					if err != nil {
						return err
					}
					made += n
				}
				one.to = time.Now()
				turns = append(turns, one)
			}
			return nil
		}()
	}()
	s, err := b.load(ctx, engine, warmUp+time.Duration(count)*length+time.Second, rate, "--interval", interval.String())
	over()
	if err = cmp.Or(<-failed, err); err != nil {
		return nil, nil, 0, err
	}
	for _, one := range s.Intervals {
		for _, turn := range turns {
			if one.At.Before(turn.from) || one.At.Add(interval).After(turn.to) {
				continue
			}
			into := &quiet
			if turn.edited {
				into = &edited
			}
			h, err := hdrhistogram.Decode([]byte(one.Histogram))
			if err != nil {
				return nil, nil, 0, fmt.Errorf("couldn't read the histogram of ringmaster load: %w", err)
			}
			if *into != nil {
				h.Merge(*into)
			}
			*into = h
		}
	}
	if quiet == nil || edited == nil {
		return nil, nil, 0, fmt.Errorf("ringmaster load told %d intervals, none of them in a turn", len(s.Intervals))
	}
	return quiet, edited, float64(made) / (length.Seconds() * float64(count/2)), nil
}

func pause(ctx context.Context, length time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(length):
	}
}

// begin makes an edit every 100 ms until stop is called, which says how many were made.
func (e *editor) begin(ctx context.Context) (stop func() (edits int, err error)) {
	over, failed, edits := make(chan struct{}), make(chan error, 1), 0
	go func() {
		tick := time.NewTicker(editEvery)
		defer tick.Stop()
		for {
			select {
			case <-over:
				failed <- nil
				return
			case <-tick.C:
			}
			if err := e.edit(ctx); err != nil {
				failed <- err
				return
			}
			edits++
		}
	}()
	return func() (int, error) {
		close(over)
		err := <-failed
		return edits, err
	}
}

// p99 is that of a histogram of microseconds, in milliseconds.
func p99(h *hdrhistogram.Histogram) float64 { return float64(h.ValueAtPercentile(99)) / 1000 }
