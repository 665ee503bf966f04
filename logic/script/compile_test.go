package script_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"ringmaster/logic/rows"
	"ringmaster/logic/script"
	"ringmaster/logic/table"
)

// compileStep compiles a script of the step one, to be given, and the step end, where an exit leads there.
func compileStep(sib, parameters, exits string) (*script.Script, []rows.Problem) {
	five, sound := "5", "hello"
	steps := []rows.StepRow{{Script: "s", Step: "one", SIB: sib, Parameters: []byte(parameters)}}
	var wired []rows.StepExitRow
	for _, exit := range strings.Fields(exits) {
		name, next, _ := strings.Cut(exit, ">")
		wired = append(wired, rows.StepExitRow{Script: "s", Step: "one", Exit: name, NextStep: next})
	}
	if slices.ContainsFunc(wired, func(e rows.StepExitRow) bool { return e.NextStep == "end" }) {
		steps = append(steps, rows.StepRow{Script: "s", Step: "end", SIB: "bcp", Parameters: []byte(`{"action": "release"}`)})
	}
	return script.Compile(rows.ScriptRow{Script: "s", FirstStep: "one"}, []rows.ScriptParameterRow{
		{Script: "s", Parameter: "where", Type: "target"}, {Script: "s", Parameter: "sound", Type: "prompt", DefaultValue: &sound},
		{Script: "s", Parameter: "codes", Type: "screening_list"}, {Script: "s", Parameter: "seconds", Type: "integer", DefaultValue: &five},
	}, steps, wired, map[string]table.Trunk{"office": {}})
}

// TestStepProblems: every mistake in a step is told under the step's name, in words that say what is wrong.
func TestStepProblems(t *testing.T) {
	for _, c := range []struct {
		name, sib, parameters string
		exits                 string // exit>step, with spaces between
		want                  string // part of the one problem's reason; empty: none
	}{
		{"good compare", "compare", `{"condition": "caller == '1'"}`, "true>end false>end", ""},
		{"unknown SIB", "teleport", `{}`, "", `sib "teleport" is unknown; there are: algorithm, bcp, charge, compare,`},
		{"SIB of a later version", "queue", `{}`, "", `sib "queue" is unknown`},
		{"parameters are no object", "compare", `[]`, "true>end false>end", "not a JSON object"},
		{"parameter unknown", "compare", `{"condition": "true", "speed": 1}`, "true>end false>end", `parameter "speed" is unknown to compare; it takes: condition`},
		{"parameter missing", "compare", `{}`, "true>end false>end", `parameter "condition" is missing`},
		{"parameter of the wrong type", "compare", `{"condition": 7}`, "true>end false>end", `parameter "condition" must be a string; it is 7`},
		{"exit missing", "compare", `{"condition": "true"}`, "true>end", `exit "false" leads nowhere: insert it into step_exit`},
		{"exit unknown", "compare", `{"condition": "true"}`, "true>end false>end maybe>end", `compare has no exit "maybe"; it has: true, false`},
		{"CEL does not parse", "compare", `{"condition": "caller =="}`, "true>end false>end", "Syntax error"},
		{"CEL does not type-check", "compare", `{"condition": "caller > 5"}`, "true>end false>end", "no matching overload"},
		{"CEL knows no such name", "compare", `{"condition": "colour == 'red'"}`, "true>end false>end", "undeclared reference to 'colour'"},
		{"CEL gives the wrong type", "compare", `{"condition": "caller"}`, "true>end false>end", "the expression gives string, it must give bool"},
		{"CEL asks a clock's parts", "compare", `{"condition": "now.getHours() < 8"}`, "true>end false>end", "undeclared reference to 'getHours'"},
		{"algorithm of unknown type", "algorithm", `{"expression": "1", "into": "n", "type": "money"}`, "done>end", `type "money" is unknown: string, integer or boolean`},
		{"algorithm without into", "algorithm", `{"expression": "'1'"}`, "done>end", `parameter "into" is missing`},
		{"into a bad name", "algorithm", `{"expression": "'1'", "into": "My Name"}`, "done>end", `into "My Name": a variable's name is`},
		{"into a call variable", "algorithm", `{"expression": "'1'", "into": "caller"}`, "done>end", `into "caller": that is a variable that every call has`},
		{"into a parameter", "algorithm", `{"expression": "'1'", "into": "where"}`, "done>end", `into "where": that is a parameter of the script`},
		{"placeholder unknown", "log", `{"kind": "k", "text": "${who}"}`, "done>end", `${who} is neither a variable of the call nor a parameter`},
		{"placeholder open", "log", `{"kind": "k", "text": "${caller"}`, "done>end", "a ${ is never closed by }"},
		{"kind is no name", "log", `{"kind": "a b"}`, "done>end", `kind "a b" is not a name`},
		{"list by name", "screen", `{"list": "codes"}`, "in>end out>end", `must be ${a screening_list parameter of the script}; it is "codes"`},
		{"list of another type", "screen", `{"list": "${where}"}`, "in>end out>end", `the script has no parameter "where" of type screening_list`},
		{"good screen", "screen", `{"list": "${codes}"}`, "in>end out>end", ""},
		{"distribution unwired", "distribute", `{"distribution": "${codes}"}`, "", `no parameter "codes" of type distribution`},
		{"action unknown", "bcp", `{"action": "transfer"}`, "", `action "transfer" is unknown: connect, continue or release`},
		{"release with an exit", "bcp", `{"action": "release"}`, "answer>end", `release ends the script: it has no exit "answer"`},
		{"hangup cannot be wired", "bcp", `{"action": "connect", "target": "${where}"}`, "hangup>end busy>end", `bcp has no exit "hangup"`},
		{"cause out of range", "bcp", `{"action": "release", "cause": 128}`, "", `parameter "cause" is 128; it must be a whole number, 1–127`},
		{"cause is half a number", "bcp", `{"action": "release", "cause": 16.5}`, "", "it must be a whole number"},
		{"timeout from a text", "bcp", `{"action": "connect", "target": "${where}", "timeout": "${where}"}`, "busy>end", `"where" is not an integer parameter of the script`},
		{"timeout null", "bcp", `{"action": "connect", "target": "${where}", "timeout": null}`, "busy>end", "must be a whole number"},
		{"target without trunk", "bcp", `{"action": "connect", "target": "4930"}`, "busy>end", `"4930" is not a target: write number@trunk`},
		{"target on no trunk", "bcp", `{"action": "connect", "target": "4930@moon"}`, "busy>end", `trunk "moon" of target "4930@moon" does not exist`},
		{"target is dialplan", "bcp", `{"action": "connect", "target": "4930&SIP/evil@office"}`, "busy>end", "is not a target"},
		{"nine targets", "bcp", `{"action": "connect", "target": "1@office,2@office,3@office,4@office,5@office,6@office,7@office,8@office,9@office"}`, "busy>end", "9 targets; a connect takes at most 8"},
		{"prompt by name", "interact", `{"prompts": ["hello"]}`, "done>end", `"hello" is not ${a prompt parameter of the script}`},
		{"prompts no list", "interact", `{"prompts": "${sound}"}`, "done>end", "must be a list of strings"},
		{"interact does nothing", "interact", `{}`, "done>end", "it plays nothing and collects nothing"},
		{"play by digits", "interact", `{"prompts": ["${sound}"]}`, "done>end 1>end", `interact has no exit "1"`},
		{"play leaves by digits", "interact", `{"prompts": ["${sound}"]}`, "digits>end", `exit "done" leads nowhere`},
		{"menu by word", "interact", `{"prompts": ["${sound}"], "maximum": 1}`, "digits>end timeout>end sales>end", `interact has no exit "sales"`},
		{"good menu", "interact", `{"prompts": ["${sound}"], "maximum": 1}`, "digits>end timeout>end 1>end *>end", ""},
		{"collect by done", "interact", `{"maximum": 1}`, "digits>end timeout>end done>end", `exit "done" is never taken`},
		{"terminator of two keys", "interact", `{"maximum": 1, "terminator": "##"}`, "digits>end timeout>end", `terminator "##" is not one key`},
		{"minimum over maximum", "interact", `{"minimum": 5, "maximum": 4}`, "digits>end timeout>end", "minimum 5 is more than maximum 4"},
		{"pattern", "verify", `{"value": "${caller}", "pattern": "["}`, "ok>end wrong>end", "missing closing ]"},
		{"pattern out of its brackets", "verify", `{"value": "${caller}", "pattern": "1)|(2"}`, "ok>end wrong>end", "unexpected )"},
		{"good pattern", "verify", `{"value": "${caller}", "pattern": "1|2"}`, "ok>end wrong>end", ""},
		{"loop without an interaction", "log", `{"kind": "k"}`, "done>one", "loop without an interaction: one → one"},
		{"loop that only plays", "interact", `{"prompts": ["${sound}"]}`, "done>one", "loop without an interaction: one → one"},
		{"loop through a question", "interact", `{"maximum": 1}`, "digits>one timeout>end", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			compiled, problems := compileStep(c.sib, c.parameters, c.exits)
			if compiled == nil != (c.want != "") || compiled == nil != (len(problems) > 0) {
				t.Errorf("script %v with problems %v", compiled, problems)
			}
			var reasons []string
			found := c.want == ""
			for _, p := range problems {
				found = found || p.Table == "step" && p.Key == "s.one" && strings.Contains(p.Reason, c.want)
				reasons = append(reasons, fmt.Sprintf("%s %s: %s", p.Table, p.Key, p.Reason))
			}
			if !found {
				t.Errorf("want %q of step s.one\ngot  %s", c.want, strings.Join(reasons, "\n     "))
			}
		})
	}
}

// TestIntegerParametersAreBoundedByTheirSteps: what a service may say is what every step that uses it can take.
func TestIntegerParametersAreBoundedByTheirSteps(t *testing.T) {
	compiled, problems := compileStep("interact", `{"maximum": 4, "first_timeout": "${seconds}"}`, "digits>end timeout>end")
	if compiled == nil {
		t.Fatal(problems)
	}
	seconds := compiled.Parameters[compiled.Parameter("seconds")]
	if seconds.Least != 1 || seconds.Most != 60 || *seconds.Default != "5" {
		t.Errorf("%+v", seconds)
	}
	if n := compiled.Parameter("minutes"); n != -1 || compiled.ParameterNames() != "codes, seconds, sound, where" || compiled.Steps() != 2 {
		t.Errorf("%d, %s, %d steps", n, compiled.ParameterNames(), compiled.Steps())
	}
}
