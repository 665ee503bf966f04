package logic_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"ringmaster/logic"
)

func TestShippedScriptsAndDemoCompile(t *testing.T) {
	compile(t, demoRows(t))
}

// tiny is a script of one step that is to be set.
const tiny = `
INSERT INTO numbering_plan (numbering_plan, country_code, international_prefix, national_prefix) VALUES ('default', '49', '00', '0');
INSERT INTO trunk (trunk) VALUES ('office');
INSERT INTO prompt (prompt, file) VALUES ('hello', 'hello-world');
INSERT INTO screening_list (screening_list) VALUES ('codes');
INSERT INTO script (script, first_step) VALUES ('s', 'one');
INSERT INTO script_parameter (script, parameter, type, default_value) VALUES
    ('s', 'where', 'target', '4930@office'), ('s', 'sound', 'prompt', 'hello'), ('s', 'codes', 'screening_list', 'codes'), ('s', 'seconds', 'integer', '5');
INSERT INTO step (script, step, sib, parameters) VALUES ('s', 'end', 'bcp', '{"action": "release"}');
INSERT INTO subscriber (subscriber) VALUES ('acme');
INSERT INTO service (service, subscriber, script) VALUES ('acme_one', 'acme', 's');
INSERT INTO service_number (number, service) VALUES ('49800', 'acme_one');
`

// TestRowProblems: every other row that cannot be used is told by its table and key.
func TestRowProblems(t *testing.T) {
	for _, c := range []struct {
		name       string
		edit       func(*logic.Rows)
		table, key string
		reason     string
	}{
		{"first step", func(r *logic.Rows) { r.Scripts[0].FirstStep = "nowhere" }, "script", "freephone", `first_step "nowhere" is not one of its steps`},
		{"service of a script with a problem", func(r *logic.Rows) { r.Scripts[0].FirstStep = "nowhere" }, "service", "acme_freephone", `script "freephone" cannot be used: it does not exist or has a problem of its own`},
		{"exit to nowhere", func(r *logic.Rows) { r.StepExits[0].NextStep = "nowhere" }, "step_exit", "freephone.hours.true", `next_step "nowhere" does not exist`},
		{"exit from nowhere", func(r *logic.Rows) { r.StepExits[0].Step = "nowhere" }, "step_exit", "freephone.nowhere.true", `step "nowhere" does not exist`},
		{"unreachable step", func(r *logic.Rows) {
			r.Steps = append(r.Steps, logic.StepRow{Script: "freephone", Step: "island", SIB: "bcp", Parameters: []byte(`{"action": "release"}`)})
		}, "step", "freephone.island", "no exit leads to this step"},
		{"too many variables", func(r *logic.Rows) {
			for i := range logic.MaxVariables + 1 {
				name := fmt.Sprintf("v%d", i)
				r.Steps = append(r.Steps, logic.StepRow{Script: "freephone", Step: name, SIB: "algorithm", Parameters: []byte(`{"expression": "'x'", "into": "` + name + `"}`)})
			}
		}, "script", "freephone", "its steps set 18 variables, more than the 16 that a call may carry"},
		{"variable of two types", func(r *logic.Rows) {
			r.Steps = append(r.Steps, logic.StepRow{Script: "freephone", Step: "again", SIB: "algorithm", Parameters: []byte(`{"expression": "1", "type": "integer", "into": "office"}`)})
		}, "step", "freephone.again", `variable "office" is int here and string in another step`},
		{"parameter's name", func(r *logic.Rows) { r.ScriptParameters[0].Parameter = "Hours" }, "script_parameter", "freephone.Hours", "a parameter's name is a small letter"},
		{"parameter like a call variable", func(r *logic.Rows) { r.ScriptParameters[0].Parameter = "caller" }, "script_parameter", "freephone.caller", "is a variable that every call has"},
		{"parameter's type", func(r *logic.Rows) { r.ScriptParameters[0].Type = "colour" }, "script_parameter", "freephone.hours", `type "colour" is unknown; there are: account, calendar, call_limit,`},
		{"default value", func(r *logic.Rows) { r.ScriptParameters[4].DefaultValue = new("soon") }, "script_parameter", "freephone.ring_seconds", `default value: "soon" is not a whole number`},

		{"parameter missing", func(r *logic.Rows) { r.ServiceParameters = r.ServiceParameters[1:] }, "service", "acme_freephone", `parameter "hours" of script "freephone" is missing: insert it into service_parameter`},
		{"parameter unknown", func(r *logic.Rows) { r.ServiceParameters[0].Parameter = "hour" }, "service_parameter", "acme_freephone.hour", `script "freephone" has no parameter "hour"; it has: closed_prompt, elsewhere, hours,`},
		{"script unknown", func(r *logic.Rows) { r.Services[0].Script = "freefone" }, "service", "acme_freephone", `script "freefone" cannot be used`},
		{"calendar unknown", parameter("hours", "never"), "service_parameter", "acme_freephone.hours", `calendar "never" does not exist or has a problem of its own`},
		{"table unknown", parameter("offices", "x"), "service_parameter", "acme_freephone.offices", `translation_table "x" does not exist`},
		{"distribution unknown", parameter("elsewhere", "x"), "service_parameter", "acme_freephone.elsewhere", `distribution "x" does not exist`},
		{"prompt unknown", parameter("closed_prompt", "x"), "service_parameter", "acme_freephone.closed_prompt", `prompt "x" does not exist`},
		{"trunk of a target unknown", parameter("second_office", "4930@moon"), "service_parameter", "acme_freephone.second_office", `trunk "moon" of target "4930@moon" does not exist`},
		{"target malformed", parameter("second_office", "4930 @office"), "service_parameter", "acme_freephone.second_office", "is not a target"},
		{"target empty", parameter("second_office", ""), "service_parameter", "acme_freephone.second_office", "is not a target"},
		{"integer out of range", parameter("ring_seconds", "3000"), "service_parameter", "acme_freephone.ring_seconds", "3000 is out of range: the steps that use it take 1–300"},
		{"integer of 64 bits and more", parameter("ring_seconds", "99999999999999999999"), "service_parameter", "acme_freephone.ring_seconds", "is not a whole number"},
		{"list unknown", func(r *logic.Rows) { r.ScreeningLists = nil }, "service_parameter", "citybank_vault.codes", `screening_list "citybank_codes" does not exist`},
		{"number of no service", func(r *logic.Rows) { r.ServiceNumbers[0].Service = "ghost" }, "service_number", "498001234567", `service "ghost" cannot be used`},
		{"number with a blank", func(r *logic.Rows) { r.ServiceNumbers[0].Number = "49 800" }, "service_number", "49 800", "is not a service number"},
		{"range with a letter", func(r *logic.Rows) { r.ServiceNumbers[0].Number, r.ServiceNumbers[0].Match = "49x", "prefix" }, "service_number", "49x", "is not a prefix"},

		{"zone", func(r *logic.Rows) { r.Calendars[0].TimeZone = "Europe/Bärlin" }, "calendar", "office_hours", `time_zone "Europe/Bärlin" is unknown to the engine`},
		{"weekdays", func(r *logic.Rows) { r.CalendarWindows[0].Weekdays = "11111" }, "calendar_window", "1", `weekdays "11111" is not seven of 0 and 1, Monday first`},
		{"window", func(r *logic.Rows) { r.CalendarWindows[0].OpensAt = -1 }, "calendar", "office_hours", ""},
		{"table's match", func(r *logic.Rows) { r.TranslationTables[0].Match = "fuzzy" }, "translation_table", "acme_offices", `match is "fuzzy"; it must be exact or prefix`},
		{"key of a prefix table", func(r *logic.Rows) { r.TranslationTables[0].Match = "prefix" }, "translation", "acme_offices.berlin", `"berlin" is not a prefix`},
		{"row of no table", func(r *logic.Rows) { r.Translations[0].TranslationTable = "ghost" }, "translation", "ghost.berlin", `translation_table "ghost" does not exist`},
		{"row on no trunk", func(r *logic.Rows) { r.Translations[0].Trunk = "moon" }, "translation", "acme_offices.berlin", `trunk "moon" does not exist`},
		{"row without a number", func(r *logic.Rows) { r.Translations[0].Value = "4930;x" }, "translation", "acme_offices.berlin", "is not a number: with a trunk it must be"},
		{"row of a megabyte", func(r *logic.Rows) { r.Translations[0].Value, r.Translations[0].Trunk = strings.Repeat("x", 1<<20), "" }, "translation", "acme_offices.berlin", "value is longer than 256 bytes"},
		{"list's match", func(r *logic.Rows) { r.ScreeningLists[0].Match = "" }, "screening_list", "citybank_codes", "it must be exact or prefix"},
		{"entry of a prefix list", func(r *logic.Rows) { r.ScreeningLists[0].Match, r.ScreeningEntries[0].Entry = "prefix", "abc" }, "screening_entry", "citybank_codes.abc", "is not a prefix"},
		{"method", func(r *logic.Rows) { r.Distributions[0].Method = "lottery" }, "distribution", "acme_share", `method "lottery" is unknown`},
		{"weights 0", func(r *logic.Rows) { r.Branches[0].Weight, r.Branches[1].Weight = 0, 0 }, "distribution", "acme_share", "the weights of its branches sum to 0: nothing can be picked"},
		{"weight negative", func(r *logic.Rows) { r.Branches[0].Weight = -70 }, "distribution_branch", "acme_share.berlin", "weight is -70"},
		{"branch on no trunk", func(r *logic.Rows) { r.Branches[0].Trunk = "moon" }, "distribution_branch", "acme_share.berlin", `trunk "moon" does not exist`},
		{"no branches", func(r *logic.Rows) { r.Distributions[0].Method, r.Branches = "circular", nil }, "distribution", "acme_share", "it has no branches"},
		{"hierarchy too long for a call", func(r *logic.Rows) {
			r.Distributions[0].Method, r.Branches = "hierarchical", nil
			for i := range 6 {
				r.Branches = append(r.Branches, logic.BranchRow{Distribution: "acme_share", Branch: fmt.Sprint("b", i), Value: strings.Repeat("4", 32) + "@" + strings.Repeat("t", 20)})
			}
		}, "distribution", "acme_share", "characters together, more than the 256 that a call can carry"},
		{"hierarchy of nine", func(r *logic.Rows) {
			r.Distributions[0].Method, r.Branches = "hierarchical", nil
			for i := range 9 {
				r.Branches = append(r.Branches, logic.BranchRow{Distribution: "acme_share", Branch: fmt.Sprint("b", i), Value: "4930", Trunk: "office"})
			}
		}, "distribution", "acme_share", "it has 9 branches; a connect tries at most 8"},
		{"branch that leads nowhere", func(r *logic.Rows) {
			i := slices.IndexFunc(r.StepExits, func(e logic.StepExitRow) bool { return e.Step == "share" })
			r.StepExits[i].Exit = "berlin"
		}, "service", "acme_freephone", `branch "hamburg" of distribution "acme_share" leads nowhere`},
		{"prompt's file", func(r *logic.Rows) { r.Prompts[0].File = "../../etc/passwd" }, "prompt", "closed", "is not the name of a sound"},
		{"trunk's name", func(r *logic.Rows) { r.Trunks = append(r.Trunks, logic.TrunkRow{Trunk: "a/b"}) }, "trunk", "a/b", "a trunk's name has"},
		{"trunk's plan", func(r *logic.Rows) { r.Trunks[0].NumberingPlan = "mars" }, "trunk", "office", `numbering_plan "mars" does not exist`},
		{"no default plan", func(r *logic.Rows) { r.NumberingPlans[0].NumberingPlan = "german" }, "numbering_plan", "default", "it does not exist, and holds for trunks that name no plan"},
		{"area's prefix", func(r *logic.Rows) { r.AreaPrefixes[0].Prefix = "+49" }, "area_prefix", "+49", "is not a prefix"},
		{"node's secret", func(r *logic.Rows) {
			r.Nodes = append(r.Nodes, logic.NodeRow{Node: "n", SecretSHA256: []byte("short")})
		}, "node", "n", "secret_sha256 has 5 bytes instead of 32"},
		{"certificate of two nodes", func(r *logic.Rows) {
			r.Nodes = append(r.Nodes, logic.NodeRow{Node: "n", CertificateName: "c"}, logic.NodeRow{Node: "m", CertificateName: "c"})
		}, "node", "m", `certificate_name "c" belongs to node "n" already`},
		{"session key", func(r *logic.Rows) {
			r.SessionKeys = append(r.SessionKeys, logic.SessionKeyRow{SessionKeyID: 2, Secret: []byte("short")})
		}, "session_key", "2", "the secret has 5 bytes, fewer than 32"},
		{"no session key", func(r *logic.Rows) { r.SessionKeys = nil }, "session_key", "", "there is no session key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rows := demoRows(t)
			c.edit(rows)
			_, problems := logic.Compile(rows, nil, time.LoadLocation)
			var got []string
			for _, p := range problems {
				if p.Table == c.table && p.Key == c.key && strings.Contains(p.Reason, c.reason) {
					return
				}
				got = append(got, fmt.Sprintf("%s %s: %s", p.Table, p.Key, p.Reason))
			}
			t.Errorf("want %s %s: … %s …\ngot  %s", c.table, c.key, c.reason, strings.Join(got, "\n     "))
		})
	}
}

// parameter sets a parameter of the demo's freephone service.
func parameter(name, value string) func(*logic.Rows) {
	return func(r *logic.Rows) {
		for i := range r.ServiceParameters {
			if r.ServiceParameters[i].Service == "acme_freephone" && r.ServiceParameters[i].Parameter == name {
				r.ServiceParameters[i].Value = value
				return
			}
		}
		r.ServiceParameters = append(r.ServiceParameters, logic.ServiceParameterRow{Service: "acme_freephone", Parameter: name, Value: value})
	}
}

// TestProblemsAreBounded: one mistake that spoils a million rows does not make a million problems, and none stands twice.
func TestProblemsAreBounded(t *testing.T) {
	rows := demoRows(t)
	for i := range 10_000 {
		rows.Translations = append(rows.Translations, logic.TranslationRow{TranslationTable: "acme_offices", Key: fmt.Sprint(i), Value: "4930", Trunk: "moon"})
		rows.AreaPrefixes = append(rows.AreaPrefixes, logic.AreaPrefixRow{Prefix: "x", Area: "y"})
	}
	_, problems := logic.Compile(rows, nil, time.LoadLocation)
	if len(problems) > 500 {
		t.Errorf("%d problems", len(problems))
	}
	if !slices.ContainsFunc(problems, func(p logic.Problem) bool {
		return p.Table == "translation" && p.Key == "" && p.Reason == "9900 more problems with this table are not listed"
	}) {
		t.Errorf("nobody is told how many there are: %v", problems[len(problems)-1])
	}
	for i := 1; i < len(problems); i++ {
		if problems[i] == problems[i-1] {
			t.Errorf("twice: %v", problems[i])
		}
	}
}

func TestZoneFailure(t *testing.T) {
	_, problems := logic.Compile(demoRows(t), nil, func(string) (*time.Location, error) { return nil, errors.New("no zone files here") })
	if len(problems) == 0 || !strings.Contains(problems[0].Reason, "no zone files here") {
		t.Errorf("%v", problems)
	}
}
