package bulk_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"ringmaster/store/bulk"
	"ringmaster/store/storetest"
	"ringmaster/testdata/demo"
)

func TestMain(m *testing.M) { storetest.Main(m) }

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// database is one with all migrations, and the demo carrier if it is asked for.
func database(t *testing.T, carrier bool) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(within(t), storetest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	if carrier {
		if _, err := conn.Exec(within(t), demo.SQL, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatal(err)
		}
	}
	return conn
}

func export(t *testing.T, conn *pgx.Conn, table string) string {
	t.Helper()
	var out bytes.Buffer
	if _, err := bulk.Export(within(t), conn, table, &out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func load(t *testing.T, conn *pgx.Conn, o bulk.Options, tableAndText ...string) ([]bulk.Counts, error) {
	t.Helper()
	var sources []bulk.Source
	for i := 0; i < len(tableAndText); i += 2 {
		sources = append(sources, bulk.Source{Table: tableAndText[i], Name: tableAndText[i] + ".csv", From: strings.NewReader(tableAndText[i+1])})
	}
	return bulk.Import(within(t), conn, sources, o)
}

// ask returns the only value of a query.
func ask[T any](t *testing.T, conn *pgx.Conn, sql string) T {
	t.Helper()
	var value T
	if err := conn.QueryRow(within(t), sql).Scan(&value); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return value
}

// TestRoundTrip: what is exported from one database and imported into another is exported from there again, byte by byte.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	from, to := database(t, true), database(t, false)
	if _, err := from.Exec(within(t), `UPDATE subscriber SET name = 'Acme, "the" ACME; Größe' WHERE subscriber = 'acme'; UPDATE subscriber SET name = '' WHERE subscriber = 'citybank';
		INSERT INTO subscriber VALUES ('nameless', NULL); INSERT INTO area_prefix VALUES ('', 'elsewhere'); INSERT INTO node (node) VALUES ('n1'); SELECT set_node_secret('n1', 'a secret of many letters');
		INSERT INTO screening_entry VALUES ('citybank_codes', 'ü', '2026-11-01 10:00+01', NULL)`, pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, table := range bulk.Tables() {
		text := export(t, from, table)
		if strings.Contains(text, "secret") || strings.Count(text, "\n") < 2 {
			t.Errorf("%s: %s", table, text)
		}
		all = append(all, table, text)
	}
	counts, err := load(t, to, bulk.Options{Comment: "moved"}, all...)
	if err != nil {
		t.Fatal(err)
	}
	if len(counts) != len(bulk.Tables()) {
		t.Errorf("%d tables were imported of %d", len(counts), len(bulk.Tables()))
	}
	for i := 0; i < len(all); i += 2 {
		if got := export(t, to, all[i]); got != all[i+1] {
			t.Errorf("%s was\n%s\nand is\n%s", all[i], all[i+1], got)
		}
	}
	if n := ask[int](t, to, "SELECT count(*) FROM subscriber WHERE subscriber = 'citybank' AND name = '' OR subscriber = 'nameless' AND name IS NULL"); n != 2 {
		t.Error("NULL and the empty text are mixed up")
	}
	if ask[int](t, to, "SELECT count(*) FROM audit_log WHERE comment = 'moved' AND table_name = 'service_number'") == 0 {
		t.Error("the comment isn't in audit_log")
	}
	if counts, err = load(t, to, bulk.Options{Replace: true}, all...); err != nil {
		t.Fatal(err)
	}
	for _, c := range counts {
		if c.Same != c.Read || c.Inserted+c.Updated+c.Deleted != 0 {
			t.Errorf("importing the same again: %+v", c)
		}
	}
}

func TestMergeReplaceAndDryRun(t *testing.T) {
	t.Parallel()
	conn := database(t, true)
	const text = "key,value,trunk,translation_table\nberlin,4930200777,office,acme_offices\nmunich,4989200100,office,acme_offices\nbonn,49228200100,office,acme_offices\n"
	check := func(o bulk.Options, want bulk.Counts, rows int) {
		t.Helper()
		counts, err := load(t, conn, o, "translation", text)
		if err != nil {
			t.Fatal(err)
		}
		if want.Table, want.Read = "translation", 3; counts[0] != want {
			t.Errorf("%+v, want %+v", counts[0], want)
		}
		if got := ask[int](t, conn, "SELECT count(*) FROM translation WHERE translation_table = 'acme_offices'"); got != rows {
			t.Errorf("%d rows, want %d", got, rows)
		}
	}
	before := ask[int64](t, conn, "SELECT revision FROM config_revision")
	check(bulk.Options{DryRun: true}, bulk.Counts{Inserted: 1, Updated: 1, Same: 1}, 3)
	check(bulk.Options{DryRun: true, Replace: true}, bulk.Counts{Inserted: 1, Updated: 1, Deleted: 1, Same: 1}, 3)
	if after := ask[int64](t, conn, "SELECT revision FROM config_revision"); after != before {
		t.Errorf("a dry run has made revision %d of %d", after, before)
	}
	check(bulk.Options{}, bulk.Counts{Inserted: 1, Updated: 1, Same: 1}, 4)
	check(bulk.Options{Replace: true}, bulk.Counts{Deleted: 1, Same: 3}, 3)
	if after := ask[int64](t, conn, "SELECT revision FROM config_revision"); after != before+2 {
		t.Errorf("two imports have made revision %d of %d", after, before)
	}
}

func TestSpreadsheets(t *testing.T) {
	t.Parallel()
	conn := database(t, true)
	// A byte order mark, semicolons, CR LF, blanks around names, an empty line, "" that lost its quotes.
	if _, err := load(t, conn, bulk.Options{}, "area_prefix", "\uFEFFprefix; area\r\n4969;frankfurt\r\n\r\n;elsewhere\r\n"); err != nil {
		t.Fatal(err)
	}
	if got := ask[string](t, conn, "SELECT string_agg(area, ' ' ORDER BY area) FROM area_prefix WHERE prefix IN ('', '4969')"); got != "elsewhere frankfurt" {
		t.Errorf("imported %q", got)
	}
	// Columns that are left out keep their value, or get their default.
	if _, err := load(t, conn, bulk.Options{}, "distribution_branch", "distribution,position,branch,weight\nacme_share,1,berlin,60\nacme_share,3,bonn,10\n"); err != nil {
		t.Fatal(err)
	}
	if got := ask[string](t, conn, "SELECT string_agg(value || '@' || coalesce(trunk, '') || ':' || weight, ' ' ORDER BY position) FROM distribution_branch"); got != "4930200100@office:60 4940200100@office:30 @:10" {
		t.Errorf("the branches are %q", got)
	}
}

// TestRefusals: each error names file, line, column and reason, and nothing is changed.
func TestRefusals(t *testing.T) {
	t.Parallel()
	conn := database(t, true)
	numbers := "number,match,service\n"
	for i := range 1000 {
		numbers += fmt.Sprintf("49777%04d,exact,acme_hotline\n", i)
	}
	const service = "service,subscriber,script\nnew,acme,freephone\nother,acme,freephone\n"
	const parameters = "service,parameter,value\nnew,hours,always\nnew,offices,acme_offices\nnew,elsewhere,acme_share\nnew,second_office,4930@office\nother,hours,always\nother,offices,acme_offices\nother,elsewhere,acme_share\n"
	const rates = "tariff,prefix,price_per_minute,valid_from,valid_to\ncard,4990,0.1,2030-01-01,\ncard,4991,0.1,2030-01-01,\n"
	before := ask[int64](t, conn, "SELECT revision FROM config_revision")
	for _, c := range []struct {
		name   string
		tables []string
		want   []string
	}{
		{"no column names", []string{"trunk", ""}, []string{"trunk.csv:1: ", "first line must name the columns"}},
		{"unknown column", []string{"trunk", "trunk,colour\na,red\n"}, []string{"trunk.csv:1: column colour (field 2)", "it has: trunk, numbering_plan, description"}},
		{"secret column", []string{"node", "node,secret_sha256\na,x\n"}, []string{"node.csv:1: column secret_sha256", "secret"}},
		{"secret table", []string{"session_key", "secret\nx\n"}, []string{`"session_key" is no table that can be`}},
		{"no table", []string{"cdr", "call_id\nx\n"}, []string{`"cdr" is no table that can be`}},
		{"numbered column", []string{"calendar_window", "calendar_window_id,calendar\n1,always\n"}, []string{"calendar_window.csv:1: column calendar_window_id"}},
		{"key is missing", []string{"service_number", "number,service\n49777,acme_hotline\n"}, []string{"service_number.csv:1: column match: the column is missing"}},
		{"column twice", []string{"trunk", "trunk,trunk\na,a\n"}, []string{"trunk.csv:1: column trunk (field 2)", "twice"}},
		{"field too many", []string{"trunk", "trunk,description\na,x\nb,x,y\n"}, []string{"trunk.csv:3: ", "2 columns"}},
		{"open quote", []string{"trunk", "trunk,description\na,x\nb,\"x\nc,y\n"}, []string{"trunk.csv:", "quotation mark"}},
		{"no UTF-8", []string{"trunk", "trunk,description\na,x\nb,M\xfcller\n"}, []string{"trunk.csv:3: column description (field 2)", "UTF-8"}},
		{"domain", []string{"service_number", numbers + "08001,exact,acme_hotline\n" + "497770,exact,acme_hotline\n"}, []string{`service_number.csv:1002: column number (field 1): "08001"`, "CONSTRAINT: e164_number_is", "without_plus", "Did you mean"}},
		{"check", []string{"service_number", numbers + "497771,regex,acme_hotline\n"}, []string{`service_number.csv:1002: column match (field 2): "regex"`, "CONSTRAINT: match_is_exact_or_prefix"}},
		{"foreign key", []string{"service_number", numbers + "497771,exact,nobody\n497772,exact,acme_hotline\n"}, []string{`service_number.csv:1002: column service (field 3): "nobody"`, "CONSTRAINT: service_of_a_number_must_exist", "DETAIL: "}},
		{"no integer", []string{"distribution_branch", "position,distribution,branch\nfirst,acme_share,x\n"}, []string{`distribution_branch.csv:2: column position (field 1): "first"`, "invalid input syntax for type integer"}},
		{"nothing where something must be", []string{"distribution_branch", "distribution,position,branch,weight\nacme_share,9,x,\n"}, []string{"distribution_branch.csv:2: column weight (field 4)", "not-null"}},
		{"trigger", []string{"calendar", "calendar,time_zone\na,Europe/Berlin\nb,Europe/Bärlin\n"}, []string{"calendar.csv:3: column time_zone (field 2)", `time zone "Europe/Bärlin" does not exist`, "HINT: "}},
		{"prefix keys", []string{"translation_table", "translation_table,match\np,prefix\n", "translation", "translation_table,key,value\np,49,x\np,berlin,x\n"}, []string{"translation.csv:3: ", `"berlin" is not a prefix`}},
		{"key twice", []string{"trunk", "trunk\na\nb\na\n"}, []string{"trunk.csv:4: ", "stands in line 2 already"}},
		{"at COMMIT", []string{"service", service, "service_parameter", parameters}, []string{`service.csv:3: `, `service "other" lacks: second_office`, "HINT: "}},
		{"at COMMIT, by its value", []string{"service", service, "service_parameter", parameters + "other,second_office,4930@moon\n"}, []string{`service_parameter.csv:9: `, `trunk "moon" does not exist`, "CONSTRAINT: value_of_a_parameter_fits_its_type"}},
		{"at COMMIT, beside a row", []string{"tariff_rate", rates + "card,4999,0.1,2030-01-01,\ncard,33,0.5,2030-01-01,\n"}, []string{`tariff_rate.csv:5: `, `two rates for prefix "33"`, "HINT: "}},
		{"at COMMIT, beside a line before", []string{"tariff_rate", rates + "card,4999,0.1,2030-01-01,\ncard,4998,0.5,,2026-01-01\ncard,4998,0.6,2025-06-01,2026-06-01\ncard,4997,1,,\n"},
			[]string{`tariff_rate.csv:6: `, `two rates for prefix "4998"`}},
		{"a newline before it", []string{"subscriber", "subscriber,name\na,\"two\nlines\"\nb,x\n"}, []string{`subscriber.csv:2: column name (field 2)`, "control_a_terminal"}},
		{"table twice", []string{"trunk", "trunk\na\n", "trunk", "trunk\nb\n"}, []string{"table trunk stands twice"}},
	} {
		_, err := load(t, conn, bulk.Options{}, c.tables...)
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v\nwant %q", c.name, err, want)
			}
		}
	}
	for name, c := range map[string][2]string{
		"by nothing":     {"trunk,description\n", "would delete all of it"},
		"what is in use": {"trunk\nother\n", "violates foreign key"},
	} {
		if _, err := load(t, conn, bulk.Options{Replace: true}, "trunk", c[0]); err == nil || !strings.Contains(err.Error(), c[1]) {
			t.Errorf("replace %s: %v, want %q", name, err, c[1])
		}
	}
	if after := ask[int64](t, conn, "SELECT revision FROM config_revision"); after != before {
		t.Errorf("refused imports have made revision %d of %d", after, before)
	}
}

// TestLineIsThatOfTheFile: empty lines count.
func TestLineIsThatOfTheFile(t *testing.T) {
	t.Parallel()
	conn := database(t, true)
	_, err := load(t, conn, bulk.Options{}, "subscriber", "subscriber,name\n\n\na,x\n\nb c,x\n")
	var row *bulk.RowError
	if !errors.As(err, &row) || row.Line != 6 || row.Column != "subscriber" || row.Value != "b c" {
		t.Errorf("%+v", err)
	}
}

func TestTables(t *testing.T) {
	if tables := bulk.Tables(); slices.Contains(tables, "session_key") || !slices.Contains(tables, "service_number") || slices.Contains(tables, "cdr") {
		t.Errorf("the tables are %q", tables)
	}
}

// TestMassChange: a file that would replace most of a big table needs a reason.
func TestMassChange(t *testing.T) {
	t.Parallel()
	conn := database(t, true)
	text := "prefix,area\n"
	for i := range 1000 {
		text += fmt.Sprintf("%d,somewhere\n", 100000+i)
	}
	if _, err := load(t, conn, bulk.Options{Replace: true, Confirm: "all new"}, "area_prefix", text); err != nil {
		t.Fatal(err)
	}
	few := text[:1+strings.Index(text, "\n100500")]
	_, err := load(t, conn, bulk.Options{Replace: true}, "area_prefix", few)
	if err == nil || !strings.Contains(err.Error(), "needs a confirmation") || !strings.Contains(err.Error(), "HINT: ") {
		t.Fatalf("a mass change went through: %v", err)
	}
	if n := ask[int](t, conn, "SELECT count(*) FROM area_prefix"); n != 1000 {
		t.Errorf("%d rows are left", n)
	}
	counts, err := load(t, conn, bulk.Options{Replace: true, Confirm: "smaller now"}, "area_prefix", few)
	if err != nil || counts[0].Deleted != 1000-counts[0].Read {
		t.Errorf("%+v, %v", counts, err)
	}
	if ask[int](t, conn, "SELECT count(*) FROM audit_log WHERE operation = 'CONFIRM'") == 0 {
		t.Error("the confirmation isn't in audit_log")
	}
}
