package store

import "ringmaster/logic"

// tables are all that Load reads, and how a delta asks for the rows of what was touched. Columns stand in the order in which they
// are read. Where the order of rows matters to logic, the query gives it.
var tables = []table{
	{"numbering_plan", `SELECT numbering_plan, country_code, international_prefix, national_prefix FROM numbering_plan`, "", []pick{small}, func(r *reader, rows *logic.Rows) {
		rows.NumberingPlans = append(rows.NumberingPlans, logic.NumberingPlanRow{
			NumberingPlan: r.text(), CountryCode: r.text(), InternationalPrefix: r.text(), NationalPrefix: r.text()})
	}},
	{"trunk", `SELECT trunk, numbering_plan FROM trunk`, "", []pick{small}, func(r *reader, rows *logic.Rows) {
		rows.Trunks = append(rows.Trunks, logic.TrunkRow{Trunk: r.name(), NumberingPlan: r.text()})
	}},
	{"node", `SELECT node, secret_sha256, certificate_name, capacity, in_service FROM node`, "", []pick{nodes}, func(r *reader, rows *logic.Rows) {
		rows.Nodes = append(rows.Nodes, logic.NodeRow{
			Node: r.text(), SecretSHA256: r.bytes(), CertificateName: r.text(), Capacity: r.int(), InService: r.bool()})
	}},
	{"session_key", `SELECT session_key_id, secret, created_at FROM session_key`, "ORDER BY session_key_id", []pick{nodes}, func(r *reader, rows *logic.Rows) {
		rows.SessionKeys = append(rows.SessionKeys, logic.SessionKeyRow{SessionKeyID: r.int64(), Secret: r.bytes(), CreatedAt: r.time()})
	}},
	{"prompt", `SELECT prompt, file FROM prompt`, "", []pick{small}, func(r *reader, rows *logic.Rows) {
		rows.Prompts = append(rows.Prompts, logic.PromptRow{Prompt: r.text(), File: r.text()})
	}},
	{"area_prefix", `SELECT prefix, area FROM area_prefix`, "", []pick{small}, func(r *reader, rows *logic.Rows) {
		rows.AreaPrefixes = append(rows.AreaPrefixes, logic.AreaPrefixRow{Prefix: r.text(), Area: r.name()})
	}},
	{"calendar", `SELECT calendar, time_zone FROM calendar`, "", []pick{named("calendar", calendars)}, func(r *reader, rows *logic.Rows) {
		rows.Calendars = append(rows.Calendars, logic.CalendarRow{Calendar: r.name(), TimeZone: r.name()})
	}},
	{"calendar_window", `SELECT calendar_window_id, calendar, weekdays, extract(epoch FROM opens_at)::int, extract(epoch FROM closes_at)::int,
		valid_from, valid_to FROM calendar_window`, "ORDER BY calendar_window_id", []pick{named("calendar", calendars)}, func(r *reader, rows *logic.Rows) {
		rows.CalendarWindows = append(rows.CalendarWindows, logic.CalendarWindowRow{
			CalendarWindowID: r.int64(), Calendar: r.name(), Weekdays: r.name(), OpensAt: r.int(), ClosesAt: r.int(), ValidFrom: r.date(), ValidTo: r.date()})
	}},
	{"calendar_holiday", `SELECT calendar, holiday, name, yearly, coalesce(extract(epoch FROM opens_at)::int, 0),
		coalesce(extract(epoch FROM closes_at)::int, 0) FROM calendar_holiday`, "ORDER BY calendar, holiday", []pick{named("calendar", calendars)}, func(r *reader, rows *logic.Rows) {
		rows.CalendarHolidays = append(rows.CalendarHolidays, logic.CalendarHolidayRow{
			Calendar: r.name(), Holiday: r.date(), Name: r.name(), Yearly: r.bool(), OpensAt: r.int(), ClosesAt: r.int()})
	}},
	{"screening_list", `SELECT screening_list, match FROM screening_list`, "", []pick{named("screening_list", screeningLists)}, func(r *reader, rows *logic.Rows) {
		rows.ScreeningLists = append(rows.ScreeningLists, logic.ScreeningListRow{ScreeningList: r.name(), Match: r.name()})
	}},
	{"screening_entry", `SELECT screening_list, entry, valid_from, valid_to FROM screening_entry`, "", []pick{named("screening_list", screeningLists), single("screening_list", "entry", screeningEntries)}, func(r *reader, rows *logic.Rows) {
		rows.ScreeningEntries = append(rows.ScreeningEntries, logic.ScreeningEntryRow{
			ScreeningList: r.name(), Entry: r.text(), ValidFrom: r.time(), ValidTo: r.time()})
	}},
	{"translation_table", `SELECT translation_table, match FROM translation_table`, "", []pick{named("translation_table", translationTables)}, func(r *reader, rows *logic.Rows) {
		rows.TranslationTables = append(rows.TranslationTables, logic.TranslationTableRow{TranslationTable: r.name(), Match: r.name()})
	}},
	{"translation", `SELECT translation_table, key, value, trunk FROM translation`, "", []pick{named("translation_table", translationTables), single("translation_table", "key", translations)}, func(r *reader, rows *logic.Rows) {
		rows.Translations = append(rows.Translations, logic.TranslationRow{
			TranslationTable: r.name(), Key: r.text(), Value: r.text(), Trunk: r.name()})
	}},
	{"distribution", `SELECT distribution, method FROM distribution`, "", []pick{named("distribution", distributions)}, func(r *reader, rows *logic.Rows) {
		rows.Distributions = append(rows.Distributions, logic.DistributionRow{Distribution: r.name(), Method: r.name()})
	}},
	{"distribution_branch", `SELECT distribution, position, branch, weight, value, trunk FROM distribution_branch`, "ORDER BY distribution, position", []pick{named("distribution", distributions)}, func(r *reader, rows *logic.Rows) {
		rows.Branches = append(rows.Branches, logic.BranchRow{
			Distribution: r.name(), Position: r.int(), Branch: r.name(), Weight: r.int(), Value: r.text(), Trunk: r.name()})
	}},
	{"tariff", `SELECT tariff, currency, rounding, (rounding_unit * 1000000)::bigint FROM tariff`, "", []pick{named("tariff", tariffs)}, func(r *reader, rows *logic.Rows) {
		rows.Tariffs = append(rows.Tariffs, logic.TariffRow{Tariff: r.name(), Currency: r.name(), Rounding: r.name(), RoundingUnit: r.int64()})
	}},
	{"tariff_rate", `SELECT tariff_rate_id, tariff, prefix, calendar, (price_per_minute * 1000000)::bigint, (connect_fee * 1000000)::bigint, first_increment::bigint,
		further_increment::bigint, free_seconds::bigint, (minimum_charge * 1000000)::bigint, coalesce((maximum_charge * 1000000)::bigint, 0),
		coalesce(maximum_seconds, 0)::bigint, valid_from, valid_to FROM tariff_rate`, "ORDER BY tariff_rate_id", []pick{named("tariff", tariffs)}, func(r *reader, rows *logic.Rows) {
		rows.TariffRates = append(rows.TariffRates, logic.TariffRateRow{
			TariffRateID: r.int64(), Tariff: r.name(), Prefix: r.text(), Calendar: r.name(), PricePerMinute: r.int64(), ConnectFee: r.int64(), FirstIncrement: r.int64(),
			FurtherIncrement: r.int64(), FreeSeconds: r.int64(), MinimumCharge: r.int64(), MaximumCharge: r.int64(), MaximumSeconds: r.int64(), ValidFrom: r.time(), ValidTo: r.time()})
	}},
	{"call_limit", `SELECT call_limit, coalesce(maximum_calls, 0)::bigint, coalesce(calls_per_window, 0)::bigint, coalesce(window_seconds, 0)::bigint, coalesce(gap_ms, 0)::bigint FROM call_limit`, "", []pick{named("call_limit", callLimits)}, func(r *reader, rows *logic.Rows) {
		rows.CallLimits = append(rows.CallLimits, logic.CallLimitRow{
			CallLimit: r.name(), MaximumCalls: r.int64(), CallsPerWindow: r.int64(), WindowSeconds: r.int64(), GapMillis: r.int64()})
	}},
	{"script", `SELECT script, first_step FROM script`, "ORDER BY script", []pick{named("script", scripts)}, func(r *reader, rows *logic.Rows) {
		rows.Scripts = append(rows.Scripts, logic.ScriptRow{Script: r.name(), FirstStep: r.name()})
	}},
	{"script_parameter", `SELECT script, parameter, type, default_value FROM script_parameter`, "ORDER BY script, parameter", []pick{named("script", scripts)}, func(r *reader, rows *logic.Rows) {
		rows.ScriptParameters = append(rows.ScriptParameters, logic.ScriptParameterRow{
			Script: r.name(), Parameter: r.name(), Type: r.name(), DefaultValue: r.optional()})
	}},
	{"step", `SELECT script, step, sib, parameters::text FROM step`, "ORDER BY script, step", []pick{named("script", scripts)}, func(r *reader, rows *logic.Rows) {
		rows.Steps = append(rows.Steps, logic.StepRow{Script: r.name(), Step: r.name(), SIB: r.name(), Parameters: r.bytes()})
	}},
	{"step_exit", `SELECT script, step, exit, next_step FROM step_exit`, "ORDER BY script, step, exit", []pick{named("script", scripts)}, func(r *reader, rows *logic.Rows) {
		rows.StepExits = append(rows.StepExits, logic.StepExitRow{Script: r.name(), Step: r.name(), Exit: r.name(), NextStep: r.name()})
	}},
	{"subscriber", `SELECT subscriber FROM subscriber`, "", nil, func(r *reader, rows *logic.Rows) {
		rows.Subscribers = append(rows.Subscribers, logic.SubscriberRow{Subscriber: r.name()})
	}},
	{"service", `SELECT service, subscriber, script, language, active, on_outage, (outage_cap * 1000000)::bigint FROM service`, "", []pick{named("service", services)}, func(r *reader, rows *logic.Rows) {
		rows.Services = append(rows.Services, logic.ServiceRow{
			Service: r.name(), Subscriber: r.name(), Script: r.name(), Language: r.name(), Active: r.bool(), OnOutage: r.name(), OutageCap: r.int64()})
	}},
	{"service_parameter", `SELECT service, parameter, value FROM service_parameter`, "", []pick{named("service", services)}, func(r *reader, rows *logic.Rows) {
		rows.ServiceParameters = append(rows.ServiceParameters, logic.ServiceParameterRow{Service: r.name(), Parameter: r.name(), Value: r.text()})
	}},
	{"service_number", `SELECT number, match, service FROM service_number`, "", []pick{single("number", "match", numbers)}, func(r *reader, rows *logic.Rows) {
		rows.ServiceNumbers = append(rows.ServiceNumbers, logic.ServiceNumberRow{Number: r.text(), Match: r.name(), Service: r.name()})
	}},
}
