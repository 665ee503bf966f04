package transcript

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"ringmaster/logic"
)

// FormatInstruction writes an instruction on one line, as transcripts and `ringmaster call` show it.
func FormatInstruction(i *logic.Instruction) string {
	var text strings.Builder
	text.WriteString(i.Op.String())
	switch i.Op {
	case logic.OpPlay:
		text.WriteString(" " + strings.Join(i.Prompts, "+"))
	case logic.OpCollect:
		fmt.Fprintf(&text, " %s digits=%d..%d", strings.Join(i.Prompts, "+"), i.Minimum, i.Maximum)
	case logic.OpConnect:
		for n, target := range i.Targets {
			text.WriteString(map[bool]string{true: " ", false: ","}[n == 0])
			text.WriteString(target.Number + "@" + target.Trunk)
		}
		fmt.Fprintf(&text, " timeout=%d", i.Targets[0].Timeout)
		if i.CallerID != "" {
			text.WriteString(" caller_id=" + i.CallerID)
		}
		if i.MaximumSeconds > 0 {
			fmt.Fprintf(&text, " maximum_seconds=%d", i.MaximumSeconds)
		}
		if i.WarningSeconds > 0 {
			fmt.Fprintf(&text, " warning_seconds=%d", i.WarningSeconds)
		}
		if i.Extendable {
			text.WriteString(" extendable")
		}
		if i.FollowOn {
			text.WriteString(" follow_on")
		}
	case logic.OpRelease:
		fmt.Fprintf(&text, " cause=%d", i.Cause)
	}
	return text.String()
}

// FormatDecision writes a decision on one line: step (sib): reason [table key] → next.
func FormatDecision(d logic.Decision) string {
	var text strings.Builder
	if d.Step != "" {
		fmt.Fprintf(&text, "%s (%s): ", d.Step, d.SIB)
	}
	text.WriteString(d.Reason)
	if d.Table != "" {
		fmt.Fprintf(&text, " [%s]", strings.TrimSpace(d.Table+" "+d.Key))
	}
	if d.Exit != "" {
		fmt.Fprintf(&text, " → %s", d.Exit)
	}
	if d.Next != "" {
		fmt.Fprintf(&text, " → %s", d.Next)
	}
	return text.String()
}

// FormatCDR writes what a call came to on one line: the outcome, then name=value.
func FormatCDR(cdr *logic.CDR) string {
	var text strings.Builder
	text.WriteString(string(cdr.Outcome))
	if cdr.Service != "" {
		text.WriteString(" service=" + cdr.Service)
	}
	fmt.Fprintf(&text, " cause=%d talk=%s", cdr.Cause, strconv.FormatFloat(cdr.Talk.Seconds(), 'f', -1, 64))
	if cdr.Path != "" {
		text.WriteString(" path=" + strings.ReplaceAll(cdr.Path, " ", ","))
	}
	for i, leg := range cdr.Legs {
		fmt.Fprintf(&text, " leg%d=%s@%s:%s", i+1, leg.Number, leg.Trunk, leg.Status)
	}
	for i, record := range cdr.Records {
		fmt.Fprintf(&text, " record%d=%s:%s", i+1, record.Kind, strings.ReplaceAll(record.Text, " ", "_"))
	}
	return text.String()
}

// fields splits "outcome name=value …" into its parts; the outcome has the empty name.
func fields(text string) map[string]string {
	parts := make(map[string]string)
	for _, word := range strings.Fields(text) {
		name, value, ok := strings.Cut(word, "=")
		if !ok {
			name, value = "", word
		}
		parts[name] = value
	}
	return parts
}

// ParseResults reads "op status name=value …; op status …": what a node reports.
func ParseResults(text string) ([]logic.Result, error) {
	var results []logic.Result
	for one := range strings.SplitSeq(text, ";") {
		words := strings.Fields(one)
		if len(words) < 2 {
			return nil, fmt.Errorf("a result is an instruction and what it came to, as in: connect busy cause=17")
		}
		var result logic.Result
		var ok bool
		if result.Op, ok = logic.ParseOp(words[0]); !ok {
			return nil, fmt.Errorf("%q is no instruction", words[0])
		}
		if result.Status, ok = logic.ParseStatus(words[1]); !ok {
			return nil, fmt.Errorf("%q is nothing that an instruction can come to", words[1])
		}
		for _, word := range words[2:] {
			name, value, _ := strings.Cut(word, "=")
			var err error
			switch name {
			case "digits":
				result.Digits = value
			case "cause":
				result.Cause, err = strconv.Atoi(value)
			case "target":
				result.Target, err = strconv.Atoi(value)
			case "talk":
				result.Talk, err = time.ParseDuration(value + "s")
			default:
				err = fmt.Errorf("%q is no member of a result: digits, cause, target, talk", name)
			}
			if err != nil {
				return nil, err
			}
		}
		results = append(results, result)
	}
	return results, nil
}

// parseEnd reads "cause=16 talk=12.5; op status …": the end, then what was not reported before.
func parseEnd(text string, now time.Time) (logic.EndEvent, error) {
	var end logic.EndEvent
	first, rest, more := strings.Cut(text, ";")
	for _, word := range strings.Fields(first) {
		name, value, _ := strings.Cut(word, "=")
		var err error
		switch name {
		case "cause":
			end.Cause, err = strconv.Atoi(value)
		case "talk":
			if end.Talk, err = time.ParseDuration(value + "s"); end.Talk > 0 {
				end.AnsweredAt, end.EndedAt = now.UTC(), now.Add(end.Talk).UTC()
			}
		default:
			err = fmt.Errorf("%q is no member of end: cause, talk", name)
		}
		if err != nil {
			return end, err
		}
	}
	if !more {
		return end, nil
	}
	results, err := ParseResults(rest)
	end.Results = results
	return end, err
}
