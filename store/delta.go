package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"ringmaster/logic"
)

// maxTouched is how many things a delta may name; beyond it loading everything is not much slower.
const maxTouched = 20_000

// version names a config version: a revision, and the commit that made it, because a database that was restored or failed over
// counts the same numbers again.
type version struct {
	revision int64
	commit   string
}

const versionSQL = "SELECT r.revision, h.commit_id::text FROM config_revision r JOIN config_history h USING (revision)"

// touchedSQL lists what was touched after the version that is served, beside the version that is committed, and whether the one that is served is
// of this database and all changes since are kept. A row with kind *, or too many rows, asks for everything.
const touchedSQL = `SELECT r.revision, h.commit_id::text,
		EXISTS (SELECT FROM config_history WHERE revision = $1 AND commit_id = $2::uuid)
			AND (SELECT count(*) FROM config_history WHERE revision > $1 AND changes_kept) = r.revision - $1,
		coalesce(t.kind, ''), coalesce(t.object, ''), coalesce(t.key, '')
	FROM config_revision r JOIN config_history h USING (revision)
	LEFT JOIN (SELECT DISTINCT c.kind, c.object, c.key FROM config_history s JOIN config_change c USING (edit) WHERE s.revision > $1 LIMIT $3) t ON true`

// beginSQL begins a view of one instant.
const beginSQL = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

// loadDelta reads, in one view, what was touched since the version that snapshot serves, and its rows; nil if that version is the newest. false: the delta cannot be
// told, so that everything must be loaded.
//
// It takes two round trips: one for what was touched, one for the rows.
func loadDelta(ctx context.Context, conn *pgx.Conn, snapshot *logic.Snapshot, served version) (delta *logic.Delta, now version, ok bool, err error) {
	retry, ok := snapshot.Retry()
	if !ok {
		return nil, version{}, false, nil
	}
	w, ctx := watch(ctx)
	defer w.stop()
	defer func() {
		if err != nil {
			err = fmt.Errorf("couldn't load what was edited: %w", explain(ctx, err))
		}
		if conn.PgConn().TxStatus() != 'I' && !conn.IsClosed() {
			// Should it fail, the connection is closed by it, and no harm is done.
			ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), feedTimeout)
			defer cancel()
			_, _ = conn.Exec(ending, "ROLLBACK")
		}
	}()
	now, t, ok, err := touched(ctx, conn, served, retry)
	if err != nil || !ok || now == served {
		return nil, now, ok, err
	}
	delta = &logic.Delta{Touched: t, Rows: logic.Rows{Revision: now.revision}}
	if err := touchedRows(ctx, conn, delta, w); err != nil {
		return nil, version{}, false, err
	}
	return delta, now, true, nil
}

// touched begins a view, reads the committed version and the journal since the served one, and adds it to what is to be tried again.
func touched(ctx context.Context, conn *pgx.Conn, served version, t logic.Touched) (now version, _ logic.Touched, ok bool, err error) {
	batch := &pgx.Batch{}
	batch.Queue(beginSQL)
	batch.Queue(touchedSQL, served.revision, served.commit, maxTouched+1)
	results := conn.SendBatch(ctx, batch)
	defer results.Close()
	if _, err := results.Exec(); err != nil {
		return now, t, false, err
	}
	rows, err := results.Query()
	if err != nil {
		return now, t, false, err
	}
	defer rows.Close()
	var kind, object, key string
	n := 0
	for ; rows.Next(); n++ {
		if err := rows.Scan(&now.revision, &now.commit, &ok, &kind, &object, &key); err != nil {
			return now, t, false, err
		}
		if !ok || kind != "" && !addTouched(&t, kind, object, key) {
			return now, t, false, nil
		}
	}
	if err := rows.Err(); err != nil || n == 0 || n > maxTouched {
		return now, t, false, err
	}
	for _, names := range []*[]string{&t.Calendars, &t.ScreeningLists, &t.TranslationTables, &t.Distributions, &t.Tariffs, &t.CallLimits, &t.Scripts, &t.Services} {
		slices.Sort(*names)
		*names = slices.Compact(*names)
	}
	// A row that comes with its list or table must not come twice.
	t.ScreeningEntries = outside(t.ScreeningEntries, t.ScreeningLists)
	t.Translations = outside(t.Translations, t.TranslationTables)
	t.Numbers = unique(t.Numbers)
	return now, t, true, nil
}

// touchedRows reads the rows of what was touched, and ends the view.
func touchedRows(ctx context.Context, conn *pgx.Conn, delta *logic.Delta, w *watchdog) error {
	batch := &pgx.Batch{}
	var asked []table
	for _, one := range tables {
		for _, p := range one.picks {
			if args, any := p.of(&delta.Touched); any {
				batch.Queue(one.sql+p.where+" "+one.order, args...)
				asked = append(asked, one)
			}
		}
	}
	batch.Queue("COMMIT")
	results := conn.SendBatch(ctx, batch)
	defer results.Close()
	r := reader{seen: make(map[string]string)}
	for _, one := range asked {
		rows, err := results.Query()
		if err == nil {
			err = r.read(rows, one, &delta.Rows, w)
		}
		if err != nil {
			return fmt.Errorf("table %s: %w", one.name, err)
		}
	}
	if _, err := results.Exec(); err != nil {
		return err
	}
	return results.Close()
}

// addTouched notes a row of config_change; false when it asks for everything, or this program doesn't know its kind.
func addTouched(t *logic.Touched, kind, object, key string) bool {
	switch kind {
	case "small":
		t.Small = true
	case "node":
		t.Nodes = true
	case "calendar":
		t.Calendars = append(t.Calendars, object)
	case "screening_list":
		t.ScreeningLists = append(t.ScreeningLists, object)
	case "translation_table":
		t.TranslationTables = append(t.TranslationTables, object)
	case "distribution":
		t.Distributions = append(t.Distributions, object)
	case "tariff":
		t.Tariffs = append(t.Tariffs, object)
	case "call_limit":
		t.CallLimits = append(t.CallLimits, object)
	case "script":
		t.Scripts = append(t.Scripts, object)
	case "service":
		t.Services = append(t.Services, object)
	case "screening_entry":
		t.ScreeningEntries = append(t.ScreeningEntries, logic.EntryKey{Table: object, Key: key})
	case "translation":
		t.Translations = append(t.Translations, logic.EntryKey{Table: object, Key: key})
	case "service_number":
		t.Numbers = append(t.Numbers, logic.NumberKey{Number: object, Match: key})
	default:
		return false
	}
	return true
}

// outside drops the keys of tables that are named as a whole, which are sorted.
func outside(keys []logic.EntryKey, whole []string) []logic.EntryKey {
	return slices.DeleteFunc(unique(keys), func(k logic.EntryKey) bool {
		_, found := slices.BinarySearch(whole, k.Table)
		return found
	})
}

func unique[T comparable](keys []T) []T {
	seen := make(map[T]bool, len(keys))
	return slices.DeleteFunc(keys, func(k T) bool {
		was := seen[k]
		seen[k] = true
		return was
	})
}

// pick is how a table is asked for the rows of what was touched.
type pick struct {
	where string // goes after the table's name
	of    func(t *logic.Touched) (args []any, any bool)
}

// small takes all rows when any small table was touched.
var small = pick{"", func(t *logic.Touched) ([]any, bool) { return nil, t.Small }}

// nodes takes all rows when a node or a session key was touched.
var nodes = pick{"", func(t *logic.Touched) ([]any, bool) { return nil, t.Nodes }}

// named takes the rows whose column has one of the names.
func named(column string, names func(*logic.Touched) []string) pick {
	return pick{" WHERE " + column + " = ANY($1::text[])", func(t *logic.Touched) ([]any, bool) {
		list := names(t)
		return []any{list}, len(list) > 0
	}}
}

// single takes the rows with one of the pairs of keys.
func single(first, second string, keys func(*logic.Touched) (firsts, seconds []string)) pick {
	where := fmt.Sprintf(" JOIN unnest($1::text[], $2::text[]) AS touched (first_key, second_key) ON %s = first_key AND %s = second_key", first, second)
	return pick{where, func(t *logic.Touched) ([]any, bool) {
		firsts, seconds := keys(t)
		return []any{firsts, seconds}, len(firsts) > 0
	}}
}

func calendars(t *logic.Touched) []string         { return t.Calendars }
func screeningLists(t *logic.Touched) []string    { return t.ScreeningLists }
func translationTables(t *logic.Touched) []string { return t.TranslationTables }
func distributions(t *logic.Touched) []string     { return t.Distributions }
func tariffs(t *logic.Touched) []string           { return t.Tariffs }
func callLimits(t *logic.Touched) []string        { return t.CallLimits }
func scripts(t *logic.Touched) []string           { return t.Scripts }
func services(t *logic.Touched) []string          { return t.Services }

func screeningEntries(t *logic.Touched) (tables, keys []string) { return split(t.ScreeningEntries) }
func translations(t *logic.Touched) (tables, keys []string)     { return split(t.Translations) }

func numbers(t *logic.Touched) (numbers, matches []string) {
	for _, k := range t.Numbers {
		numbers, matches = append(numbers, k.Number), append(matches, k.Match)
	}
	return numbers, matches
}

func split(list []logic.EntryKey) (tables, keys []string) {
	for _, k := range list {
		tables, keys = append(tables, k.Table), append(keys, k.Key)
	}
	return tables, keys
}
