package transcript

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"ringmaster/logic"
)

// rowReader reads INSERT INTO table (columns) VALUES (…), …; statements into Rows: the part of SQL that operators' examples need,
// so that the same file serves Postgres and a test without one. Everything else is refused with the line.
type rowReader struct {
	name  string
	text  string
	at    int
	rows  *logic.Rows
	books *books
}

// readRows appends the rows of an SQL text to rows, and those that are the ledger's to its books.
func readRows(name, text string, rows *logic.Rows, books *books) error {
	r := &rowReader{name: name, text: text, rows: rows, books: books}
	for {
		r.space()
		if r.at == len(r.text) {
			return nil
		}
		if err := r.insert(); err != nil {
			return fmt.Errorf("%s:%d: %w", name, 1+strings.Count(text[:r.at], "\n"), err)
		}
	}
}

// space skips white space and comments.
func (r *rowReader) space() {
	for r.at < len(r.text) {
		switch {
		case strings.HasPrefix(r.text[r.at:], "--"):
			end := strings.IndexByte(r.text[r.at:], '\n')
			if end < 0 {
				r.at = len(r.text)
				return
			}
			r.at += end
		case strings.IndexByte(" \t\r\n", r.text[r.at]) >= 0:
			r.at++
		default:
			return
		}
	}
}

// word reads a name, keyword or number in capitals' stead as it stands.
func (r *rowReader) word() string {
	r.space()
	start := r.at
	for r.at < len(r.text) {
		c := r.text[r.at]
		if c != '_' && c != '.' && c != '-' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			break
		}
		r.at++
	}
	return r.text[start:r.at]
}

func (r *rowReader) take(symbol byte) bool {
	r.space()
	if r.at < len(r.text) && r.text[r.at] == symbol {
		r.at++
		return true
	}
	return false
}

func (r *rowReader) keyword(want string) error {
	if got := r.word(); !strings.EqualFold(got, want) {
		return fmt.Errorf("here stands %q instead of %s: only INSERT INTO … (…) VALUES … can be read", got, want)
	}
	return nil
}

func (r *rowReader) insert() error {
	for _, want := range []string{"INSERT", "INTO"} {
		if err := r.keyword(want); err != nil {
			return err
		}
	}
	table := r.word()
	columns, err := r.list(func() (string, error) { return r.word(), nil })
	if err != nil {
		return err
	}
	if err := r.keyword("VALUES"); err != nil {
		return err
	}
	for {
		values, err := r.list(r.literal)
		if err != nil {
			return err
		}
		if len(values) != len(columns) {
			return fmt.Errorf("%d values for %d columns of %s", len(values), len(columns), table)
		}
		row := row{table: table, values: make(map[string]string, len(columns))}
		for i, column := range columns {
			if values[i] != null {
				row.values[column] = values[i]
			}
		}
		if err := row.into(r.rows, r.books); err != nil {
			return err
		}
		if r.take(';') {
			return nil
		}
		if !r.take(',') {
			return fmt.Errorf("a row must be followed by , or ;")
		}
	}
}

func (r *rowReader) list(item func() (string, error)) ([]string, error) {
	if !r.take('(') {
		return nil, fmt.Errorf("here must stand (")
	}
	var items []string
	for {
		one, err := item()
		if err != nil {
			return nil, err
		}
		items = append(items, one)
		if r.take(')') {
			return items, nil
		}
		if !r.take(',') {
			return nil, fmt.Errorf("items in ( ) are parted by ,")
		}
	}
}

// null stands for NULL among literals.
const null = "\x00"

func (r *rowReader) literal() (string, error) {
	if !r.take('\'') {
		word := r.word()
		switch {
		case word == "":
			return "", fmt.Errorf("here must stand a value")
		case strings.EqualFold(word, "NULL"):
			return null, nil
		}
		return word, nil
	}
	var text strings.Builder
	for {
		end := strings.IndexByte(r.text[r.at:], '\'')
		if end < 0 {
			return "", fmt.Errorf("a ' is never closed")
		}
		text.WriteString(r.text[r.at : r.at+end])
		r.at += end + 1
		if r.at == len(r.text) || r.text[r.at] != '\'' {
			return text.String(), nil
		}
		text.WriteByte('\'')
		r.at++
	}
}

// row is one row on its way into Rows.
type row struct {
	table  string
	values map[string]string
	read   int
	err    error
}

func (r *row) text(column string) string {
	value, ok := r.values[column]
	if ok {
		r.read++
	}
	return value
}

func (r *row) or(column, byDefault string) string {
	if _, ok := r.values[column]; !ok {
		return byDefault
	}
	return r.text(column)
}

func (r *row) fail(column string, err error) {
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("%s.%s: %w", r.table, column, err)
	}
}

func (r *row) integer(column string, byDefault int) int {
	text := r.text(column)
	if text == "" {
		return byDefault
	}
	number, err := strconv.Atoi(text)
	r.fail(column, err)
	return number
}

func (r *row) boolean(column string, byDefault bool) bool {
	text := r.text(column)
	if text == "" {
		return byDefault
	}
	value, err := strconv.ParseBool(text)
	r.fail(column, err)
	return value
}

// instant reads a date, or a date and time with zone.
func (r *row) instant(column string) time.Time {
	text := r.text(column)
	if text == "" {
		return time.Time{}
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339, "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04Z07:00"} {
		if value, err := time.Parse(layout, text); err == nil {
			return value
		}
	}
	r.fail(column, fmt.Errorf("%q is no date, nor a date and time with a zone", text))
	return time.Time{}
}

// seconds reads a time of day.
func (r *row) seconds(column string) int {
	text := r.text(column)
	if text == "" {
		return 0
	}
	var hour, minute, second int
	if n, err := fmt.Sscanf(text+":00", "%d:%d:%d", &hour, &minute, &second); n != 3 {
		r.fail(column, fmt.Errorf("%q is no time of day: %w", text, err))
	}
	return hour*3600 + minute*60 + second
}

func (r *row) bytes(column string) []byte {
	text := r.text(column)
	value, err := hex.DecodeString(strings.TrimPrefix(text, `\x`))
	r.fail(column, err)
	return value
}

// into appends the row to its table in rows, or to the ledger's books.
func (r *row) into(rows *logic.Rows, books *books) error {
	switch r.table {
	case "numbering_plan":
		rows.NumberingPlans = append(rows.NumberingPlans, logic.NumberingPlanRow{NumberingPlan: r.text("numbering_plan"), CountryCode: r.text("country_code"),
			InternationalPrefix: r.text("international_prefix"), NationalPrefix: r.text("national_prefix")})
	case "trunk":
		rows.Trunks = append(rows.Trunks, logic.TrunkRow{Trunk: r.text("trunk"), NumberingPlan: r.text("numbering_plan")})
	case "node":
		rows.Nodes = append(rows.Nodes, logic.NodeRow{Node: r.text("node"), SecretSHA256: r.bytes("secret_sha256"),
			CertificateName: r.text("certificate_name"), Capacity: r.integer("capacity", 0), InService: r.boolean("in_service", true)})
	case "session_key":
		rows.SessionKeys = append(rows.SessionKeys, logic.SessionKeyRow{SessionKeyID: int64(r.integer("session_key_id", 1)), Secret: r.bytes("secret"), CreatedAt: r.instant("created_at")})
	case "prompt":
		rows.Prompts = append(rows.Prompts, logic.PromptRow{Prompt: r.text("prompt"), File: r.text("file")})
	case "area_prefix":
		rows.AreaPrefixes = append(rows.AreaPrefixes, logic.AreaPrefixRow{Prefix: r.text("prefix"), Area: r.text("area")})
	case "calendar":
		rows.Calendars = append(rows.Calendars, logic.CalendarRow{Calendar: r.text("calendar"), TimeZone: r.text("time_zone")})
	case "calendar_window":
		rows.CalendarWindows = append(rows.CalendarWindows, logic.CalendarWindowRow{CalendarWindowID: int64(len(rows.CalendarWindows) + 1),
			Calendar: r.text("calendar"), Weekdays: r.text("weekdays"), OpensAt: r.seconds("opens_at"), ClosesAt: r.seconds("closes_at"),
			ValidFrom: r.instant("valid_from"), ValidTo: r.instant("valid_to")})
	case "calendar_holiday":
		rows.CalendarHolidays = append(rows.CalendarHolidays, logic.CalendarHolidayRow{Calendar: r.text("calendar"), Holiday: r.instant("holiday"),
			Name: r.text("name"), Yearly: r.boolean("yearly", false), OpensAt: r.seconds("opens_at"), ClosesAt: r.seconds("closes_at")})
	case "screening_list":
		rows.ScreeningLists = append(rows.ScreeningLists, logic.ScreeningListRow{ScreeningList: r.text("screening_list"), Match: r.or("match", "exact")})
	case "screening_entry":
		rows.ScreeningEntries = append(rows.ScreeningEntries, logic.ScreeningEntryRow{ScreeningList: r.text("screening_list"), Entry: r.text("entry"),
			ValidFrom: r.instant("valid_from"), ValidTo: r.instant("valid_to")})
	case "translation_table":
		rows.TranslationTables = append(rows.TranslationTables, logic.TranslationTableRow{TranslationTable: r.text("translation_table"), Match: r.or("match", "exact")})
	case "translation":
		rows.Translations = append(rows.Translations, logic.TranslationRow{TranslationTable: r.text("translation_table"), Key: r.text("key"), Value: r.text("value"), Trunk: r.text("trunk")})
	case "distribution":
		rows.Distributions = append(rows.Distributions, logic.DistributionRow{Distribution: r.text("distribution"), Method: r.text("method")})
	case "distribution_branch":
		rows.Branches = append(rows.Branches, logic.BranchRow{Distribution: r.text("distribution"), Position: r.integer("position", 0), Branch: r.text("branch"),
			Weight: r.integer("weight", 1), Value: r.text("value"), Trunk: r.text("trunk")})
	case "tariff":
		row := logic.TariffRow{Tariff: r.text("tariff"), Currency: r.text("currency"), Rounding: r.or("rounding", "up"), RoundingUnit: r.money("rounding_unit")}
		if row.RoundingUnit == 0 {
			row.RoundingUnit = 100
		}
		rows.Tariffs = append(rows.Tariffs, row)
	case "tariff_rate":
		rows.TariffRates = append(rows.TariffRates, logic.TariffRateRow{TariffRateID: int64(len(rows.TariffRates) + 1), Tariff: r.text("tariff"), Prefix: r.text("prefix"), Calendar: r.text("calendar"),
			PricePerMinute: r.money("price_per_minute"), ConnectFee: r.money("connect_fee"), FirstIncrement: int64(r.integer("first_increment", 1)), FurtherIncrement: int64(r.integer("further_increment", 1)),
			FreeSeconds: int64(r.integer("free_seconds", 0)), MinimumCharge: r.money("minimum_charge"), MaximumCharge: r.money("maximum_charge"), MaximumSeconds: int64(r.integer("maximum_seconds", 0)),
			ValidFrom: r.instant("valid_from"), ValidTo: r.instant("valid_to")})
	case "call_limit":
		rows.CallLimits = append(rows.CallLimits, logic.CallLimitRow{CallLimit: r.text("call_limit"), MaximumCalls: int64(r.integer("maximum_calls", 0)),
			CallsPerWindow: int64(r.integer("calls_per_window", 0)), WindowSeconds: int64(r.integer("window_seconds", 0)), GapMillis: int64(r.integer("gap_ms", 0))})
	case "script":
		rows.Scripts = append(rows.Scripts, logic.ScriptRow{Script: r.text("script"), FirstStep: r.text("first_step")})
	case "script_parameter":
		parameter := logic.ScriptParameterRow{Script: r.text("script"), Parameter: r.text("parameter"), Type: r.text("type")}
		if _, ok := r.values["default_value"]; ok {
			value := r.text("default_value")
			parameter.DefaultValue = &value
		}
		rows.ScriptParameters = append(rows.ScriptParameters, parameter)
	case "step":
		parameters := r.or("parameters", "{}")
		if !json.Valid([]byte(parameters)) {
			return fmt.Errorf("step.parameters: not JSON: %s", parameters)
		}
		rows.Steps = append(rows.Steps, logic.StepRow{Script: r.text("script"), Step: r.text("step"), SIB: r.text("sib"), Parameters: []byte(parameters)})
	case "step_exit":
		rows.StepExits = append(rows.StepExits, logic.StepExitRow{Script: r.text("script"), Step: r.text("step"), Exit: r.text("exit"), NextStep: r.text("next_step")})
	case "subscriber":
		rows.Subscribers = append(rows.Subscribers, logic.SubscriberRow{Subscriber: r.text("subscriber")})
	case "service":
		rows.Services = append(rows.Services, logic.ServiceRow{Service: r.text("service"), Subscriber: r.text("subscriber"), Script: r.text("script"),
			Language: r.or("language", "en"), Active: r.boolean("active", true), OnOutage: r.or("on_outage", "deny"), OutageCap: r.money("outage_cap")})
	case "service_parameter":
		rows.ServiceParameters = append(rows.ServiceParameters, logic.ServiceParameterRow{Service: r.text("service"), Parameter: r.text("parameter"), Value: r.text("value")})
	case "service_number":
		rows.ServiceNumbers = append(rows.ServiceNumbers, logic.ServiceNumberRow{Number: r.text("number"), Match: r.or("match", "exact"), Service: r.text("service")})
	default:
		if books.into(r) {
			if r.table == "account" { // for those who look for mistakes in rows
				rows.Accounts = append(rows.Accounts, logic.AccountRow{Account: r.values["account"], Currency: r.values["currency"]})
			}
			break
		}
		return fmt.Errorf("table %q is not one of the operator tables that a transcript can fill", r.table)
	}
	if r.err == nil && r.read < len(r.values) {
		r.err = fmt.Errorf("a column of %s is unknown here", r.table)
	}
	return r.err
}
