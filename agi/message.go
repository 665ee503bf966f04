package agi

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"ringmaster/rpc/api"
)

// Limits of what an engine may say in one reply.
const (
	maxInstructions = 32
	maxTargets      = 8
	maxPrompts      = 16
	maxDigits       = 64
	maxSeconds      = 24 * 3600
	maxSession      = 16 << 10 // bytes of a session token
	// maxChannelSession is the longest session token that rides on the channel. Asterisk evaluates a nested
	// expression in 4096 bytes and reads AGI commands of at most 2048; a longer token is held by the agent alone.
	maxChannelSession = 1800
)

// The grammars of what may reach the dialplan. None of them lets CR, LF, NUL or any of & , | ( ) $ { } [ ] " ' \ ; @ pass.
var (
	numberGrammar   = regexp.MustCompile(`^\+?[0-9*#]{1,32}$`)
	trunkGrammar    = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$`)
	promptGrammar   = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}(/[A-Za-z0-9_-]{1,64}){0,4}$`)
	languageGrammar = regexp.MustCompile(`^[A-Za-z]{2,3}([_-][A-Za-z0-9]{2,8}){0,2}$`)
	sessionGrammar  = regexp.MustCompile(`^[A-Za-z0-9_=.~+/:-]+$`)
	callIDGrammar   = regexp.MustCompile(`^[!-~]{1,128}$`)
	wordGrammar     = regexp.MustCompile(`^[A-Za-z_]{1,32}$`)
)

// reply holds every member the agent reads of any reply; absent members stay zero.
type reply struct {
	Session      string        `xmlrpc:"session"`
	Instructions []instruction `xmlrpc:"instructions"`
	State        string        `xmlrpc:"state"`
	Extensions   []extension   `xmlrpc:"extensions"`
}

// extension is what an engine lets a conversation go on for: seconds in all.
type extension struct {
	CallID         string `xmlrpc:"call_id"`
	MaximumSeconds int    `xmlrpc:"maximum_seconds"`
	Final          bool   `xmlrpc:"final"` // there will be no more
}

// instruction is one instruction of rpc/api, as it came and as it is kept on disk.
type instruction struct {
	Op             string   `xmlrpc:"op" json:"op"`
	Prompts        []string `xmlrpc:"prompts" json:"prompts,omitempty"`
	Language       string   `xmlrpc:"language" json:"language,omitempty"`
	Minimum        int      `xmlrpc:"minimum" json:"minimum,omitempty"`
	Maximum        int      `xmlrpc:"maximum" json:"maximum,omitempty"`
	Terminator     string   `xmlrpc:"terminator" json:"terminator,omitempty"`
	FirstTimeout   int      `xmlrpc:"first_timeout" json:"first_timeout,omitempty"`
	DigitTimeout   int      `xmlrpc:"digit_timeout" json:"digit_timeout,omitempty"`
	Targets        []target `xmlrpc:"targets" json:"targets,omitempty"`
	CallerID       string   `xmlrpc:"caller_id" json:"caller_id,omitempty"`
	MaximumSeconds int      `xmlrpc:"maximum_seconds" json:"maximum_seconds,omitempty"`
	WarningSeconds int      `xmlrpc:"warning_seconds" json:"warning_seconds,omitempty"`
	Extendable     bool     `xmlrpc:"extendable" json:"extendable,omitempty"`
	FollowOn       bool     `xmlrpc:"follow_on" json:"follow_on,omitempty"`
	Cause          int      `xmlrpc:"cause" json:"cause,omitempty"`
}

// target is one place a connect tries.
type target struct {
	Trunk   string `xmlrpc:"trunk" json:"trunk"`
	Number  string `xmlrpc:"number" json:"number"`
	Timeout int    `xmlrpc:"timeout" json:"timeout"`
}

// errGrammar is under every error of checkInstructions.
var errGrammar = errors.New("not in the grammar")

// checkInstructions refuses what must not come near a dialplan, and leaves each instruction only the members that its op has. The whole list
// is refused for one bad value: half a list would be another service than the operator meant.
func checkInstructions(list []instruction) error {
	if len(list) == 0 || len(list) > maxInstructions {
		return fmt.Errorf("%d instructions, want 1 to %d: %w", len(list), maxInstructions, errGrammar)
	}
	for i := range list {
		if err := list[i].check(); err != nil {
			return fmt.Errorf("instruction %d: %w", i, err)
		}
		list[i] = list[i].own()
	}
	return nil
}

// own is the instruction without members that are another op's: they were not checked.
func (in *instruction) own() instruction {
	switch in.Op {
	case api.OpRelease:
		return instruction{Op: in.Op, Cause: in.Cause}
	case api.OpPlay:
		return instruction{Op: in.Op, Prompts: in.Prompts, Language: in.Language}
	case api.OpCollect:
		return instruction{Op: in.Op, Prompts: in.Prompts, Language: in.Language, Minimum: in.Minimum, Maximum: in.Maximum,
			Terminator: in.Terminator, FirstTimeout: in.FirstTimeout, DigitTimeout: in.DigitTimeout}
	case api.OpConnect:
		return instruction{Op: in.Op, Targets: in.Targets, CallerID: in.CallerID, MaximumSeconds: in.MaximumSeconds,
			WarningSeconds: in.WarningSeconds, Extendable: in.Extendable, FollowOn: in.FollowOn}
	}
	return instruction{Op: in.Op}
}

func (in *instruction) check() error {
	bad := func(member, value string) error {
		return fmt.Errorf("%s %s %q: %w", in.Op, member, clip(value), errGrammar)
	}
	switch in.Op {
	case api.OpAnswer, api.OpContinue:
		return nil
	case api.OpRelease:
		if in.Cause < 0 || in.Cause > 127 {
			return bad(api.Cause, strconv.Itoa(in.Cause))
		}
		return nil
	case api.OpPlay, api.OpCollect:
		if len(in.Prompts) > maxPrompts || in.Op == api.OpPlay && len(in.Prompts) == 0 {
			return bad(api.Prompts, strconv.Itoa(len(in.Prompts)))
		}
		for _, p := range in.Prompts {
			if !promptGrammar.MatchString(p) {
				return bad(api.Prompts, p)
			}
		}
		if in.Language != "" && !languageGrammar.MatchString(in.Language) {
			return bad(api.Language, in.Language)
		}
		if in.Op == api.OpPlay {
			return nil
		}
		if len(in.Terminator) > 1 || strings.Trim(in.Terminator, "0123456789*#ABCD") != "" {
			return bad(api.Terminator, in.Terminator)
		}
		return firstError(
			within(api.Maximum, in.Maximum, 1, maxDigits),
			within(api.Minimum, in.Minimum, 0, in.Maximum),
			within(api.FirstTimeout, in.FirstTimeout, 0, 600),
			within(api.DigitTimeout, in.DigitTimeout, 0, 600))
	case api.OpConnect:
		if len(in.Targets) == 0 || len(in.Targets) > maxTargets {
			return bad(api.Targets, strconv.Itoa(len(in.Targets)))
		}
		for _, t := range in.Targets {
			if !trunkGrammar.MatchString(t.Trunk) {
				return bad(api.Trunk, t.Trunk)
			}
			if !numberGrammar.MatchString(t.Number) {
				return bad(api.Number, t.Number)
			}
			if err := within(api.Timeout, t.Timeout, 0, 3600); err != nil {
				return err
			}
		}
		if in.CallerID != "" && !numberGrammar.MatchString(in.CallerID) {
			return bad(api.CallerID, in.CallerID)
		}
		return firstError(
			within(api.MaximumSeconds, in.MaximumSeconds, 0, 30*maxSeconds),
			within(api.WarningSeconds, in.WarningSeconds, 0, 30*maxSeconds))
	}
	return fmt.Errorf("instruction %q is not known here: %w", clip(in.Op), errGrammar)
}

func within(member string, value, low, high int) error {
	if value < low || value > high {
		return fmt.Errorf("%s %d, want %d to %d: %w", member, value, low, high, errGrammar)
	}
	return nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func goodSession(s string) bool { return len(s) <= maxSession && sessionGrammar.MatchString(s) }

// clip shortens a value for an error or a log line.
func clip(s string) string {
	if len(s) > 48 {
		return s[:48] + "…"
	}
	return s
}

// result is what one instruction came to.
type result struct {
	Op         string        `json:"op"`
	Status     string        `json:"status"`
	Digits     string        `json:"digits,omitempty"`
	DialStatus string        `json:"dial_status,omitempty"`
	Target     int           `json:"target,omitempty"`
	Cause      int           `json:"cause,omitempty"`
	Talk       time.Duration `json:"talk,omitempty"`
	step       int           // which step it answers; 0: not said
	answeredAt time.Time     // answer: when, if Asterisk said so
}

// members is the result as call.report and call.end carry it.
func (r result) members() map[string]any {
	m := map[string]any{api.Op: r.Op, api.Status: r.Status}
	if r.Op == api.OpCollect {
		m[api.Digits] = r.Digits
	}
	if r.Op == api.OpConnect {
		m[api.Target] = r.Target
		m[api.DialStatus] = r.DialStatus
		m[api.Cause] = r.Cause
		m[api.TalkSeconds] = talkSeconds(r.Talk)
	}
	return m
}

func resultMembers(list []result) []map[string]any {
	out := make([]map[string]any, len(list))
	for i, r := range list {
		out[i] = r.members()
	}
	return out
}

// dialStatus translates Asterisk's DIALSTATUS (application Dial) to a status word.
func dialStatus(s string) string {
	switch s {
	case "ANSWER":
		return api.StatusAnswer
	case "BUSY":
		return api.StatusBusy
	case "NOANSWER":
		return api.StatusNoAnswer
	case "CHANUNAVAIL", "CONGESTION":
		return api.StatusUnreachable
	case "CANCEL":
		return api.StatusHangup
	}
	return api.StatusFailed
}

// presentation translates Asterisk's CALLERID(num-pres) to the contract's word.
func presentation(pres string) string {
	switch {
	case strings.HasPrefix(pres, "prohib"):
		return api.PresentationRestricted
	case strings.HasPrefix(pres, "unavail"):
		return api.PresentationUnavailable
	}
	return api.PresentationAllowed
}

// talkSeconds is a duration in whole milliseconds as the contract carries it; Duration.Seconds would add 5e-16.
func talkSeconds(d time.Duration) float64 { return float64(d.Milliseconds()) / 1000 }

// stamp is a time as the contract carries it where milliseconds count.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }
