package agi

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"ringmaster/rpc/api"
)

// Members of the form between dialplan and agent, in the order deploy/asterisk/ringmaster.conf uses them. Asterisk's own words are sent as
// they are; what they mean is decided here, so that the dialplan stays a list of applications.
const (
	formID           = "id"           // UNIQUEID, with systemname in front
	formChannel      = "channel"      // CHANNEL
	formTrunk        = "trunk"        // CHANNEL(endpoint)
	formCaller       = "caller"       // CALLERID(num)
	formPresentation = "presentation" // CALLERID(num-pres)
	formCalled       = "called"       // EXTEN at the start of the call
	formSession      = "session"
	formStep         = "step"        // which step RINGMASTER_GOT answers
	formOp           = "op"          // the instruction that ran or runs; empty: none
	formTarget       = "target"      // its target
	formMinimum      = "minimum"     // its digits at least
	formPlayback     = "playback"    // PLAYBACKSTATUS
	formRead         = "read"        // READSTATUS
	formDigits       = "digits"      // what Read read
	formDialStatus   = "dialstatus"  // DIALSTATUS
	formTalk         = "talk_ms"     // ANSWEREDTIME_MS
	formCause        = "cause"       // HANGUPCAUSE
	formSource       = "source"      // CHANNEL(hangupsource)
	formStarted      = "started"     // seconds of the epoch, with a fraction
	formAnswered     = "answered"    // CDR(answer,u); of answered: when the called party did
	formPeer         = "peer"        // answered: the called party's CHANNEL
	formEnded        = "ended"       // as started
	formBilled       = "billsec"     // CDR(billsec,f)
	formStatus       = "status"      // RINGMASTER_STATUS at the end
	formComplete     = "complete"    // 1: the form's last member, so that a torn file is known as such
	maxForm          = 16 << 10      // bytes
	statusOK         = "OK"          // RINGMASTER_STATUS
	statusNone       = "UNAVAILABLE" // RINGMASTER_STATUS
	statusRunning    = "RUNNING"     // RINGMASTER_STATUS, while the agent runs an instruction
)

var digitsGrammar = regexp.MustCompile(`^[0-9*#A-D]{0,64}$`)

func parseQuery(v url.Values) query {
	return query{
		CallID: v.Get(formID), Channel: printable(v.Get(formChannel)), Trunk: v.Get(formTrunk), Caller: v.Get(formCaller), Called: v.Get(formCalled),
		Presentation: presentation(v.Get(formPresentation)), Session: v.Get(formSession),
		StartedAt: epoch(v.Get(formStarted)),
	}
}

// parseResult reads what an instruction came to. Of a channel that hung up (ended) only Dial can have come to anything.
func parseResult(v url.Values, ended bool) (result, error) {
	r := result{Op: v.Get(formOp), step: integer(v.Get(formStep), math.MaxInt32)}
	switch r.Op {
	case "":
		if ended {
			return result{DialStatus: dialWord(v), Talk: milliseconds(v.Get(formTalk))}, nil
		}
	case api.OpContinue, api.OpRelease:
		if ended {
			return result{DialStatus: dialWord(v), Talk: milliseconds(v.Get(formTalk))}, nil
		}
	case api.OpConnect:
		r.Target = integer(v.Get(formTarget), maxTargets-1)
		r.DialStatus = dialWord(v)
		r.Status = dialStatus(r.DialStatus)
		r.Cause = integer(v.Get(formCause), 127)
		if r.Status == api.StatusAnswer {
			r.Talk = milliseconds(v.Get(formTalk))
		} else if ended {
			r.Status = api.StatusHangup
		}
		return r, nil
	case api.OpAnswer, api.OpPlay, api.OpCollect:
		if ended {
			r.Status = api.StatusHangup
			return r, nil
		}
		switch r.Op {
		case api.OpAnswer:
			r.Status, r.answeredAt = api.StatusDone, epoch(v.Get(formAnswered))
		case api.OpPlay:
			r.Status = playStatus(v.Get(formPlayback))
		case api.OpCollect:
			r.Digits, r.Status = readStatus(v.Get(formRead), v.Get(formDigits), integer(v.Get(formMinimum), maxDigits))
		}
		return r, nil
	}
	return r, fmt.Errorf("op %q: %w", clip(r.Op), errGrammar)
}

func playStatus(playback string) string {
	if playback == "SUCCESS" {
		return api.StatusDone
	}
	return api.StatusFailed
}

// readStatus translates READSTATUS (application Read).
func readStatus(read, digits string, minimum int) (string, string) {
	switch {
	case read == "HANGUP":
		return "", api.StatusHangup
	case read != "OK" && read != "TIMEOUT" || !digitsGrammar.MatchString(digits):
		return "", api.StatusFailed
	case len(digits) >= max(1, minimum):
		return digits, api.StatusDigits
	}
	return digits, api.StatusTimeout
}

func parseEnding(v url.Values) (ending, error) {
	running, err := parseResult(v, true)
	return ending{
		query: parseQuery(v), Running: running,
		AnsweredAt: epoch(v.Get(formAnswered)), EndedAt: epoch(v.Get(formEnded)),
		Billed: time.Duration(seconds(v.Get(formBilled)) * float64(time.Second)).Round(time.Millisecond), Cause: integer(v.Get(formCause), 127),
		HangupSource: printable(v.Get(formSource)), Fallback: v.Get(formStatus) == statusNone,
	}, err
}

// fields is the step as the dialplan sees it, in HASH(RM,…): every key each time, because a hash keeps what is not overwritten.
func (s step) fields() [][2]string {
	status := statusNone
	if s.OK {
		status = statusOK
	}
	number := func(n int) string {
		if n == 0 {
			return ""
		}
		return strconv.Itoa(n)
	}
	yes := func(b bool) string {
		if b {
			return "1"
		}
		return ""
	}
	return [][2]string{
		{"op", s.Op}, {"step", number(s.Number)}, {"session", s.Session},
		{"prompts", strings.Join(s.Prompts, "&")}, {"language", s.Language},
		{"minimum", number(s.Minimum)}, {"maximum", number(s.Maximum)}, {"terminator", s.Terminator},
		{"first_timeout", number(s.FirstTimeout)}, {"digit_timeout", number(s.DigitTimeout)},
		{"target", strconv.Itoa(s.Index)}, {"trunk", s.To.Trunk}, {"number", s.To.Number}, {"timeout", number(s.To.Timeout)},
		{"caller_id", s.CallerID}, {"max_ms", number(s.MaximumSeconds * 1000)}, {"warn_ms", number(s.WarningSeconds * 1000)},
		{"movable", yes(s.Movable)}, {"follow_on", yes(s.FollowOn)}, {"cause", number(s.Cause)},
		{"status", status}, // last: Asterisk cuts what is too long for it, and then nobody has said OK
	}
}

// encode writes the step for CURLOPT(hashcompat)=yes: percent-encoded, a space never as +.
func (s step) encode() string {
	var b strings.Builder
	for i, f := range s.fields() {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(f[0])
		b.WriteByte('=')
		b.WriteString(strings.ReplaceAll(url.QueryEscape(f[1]), "+", "%20"))
	}
	return b.String()
}

// collectInbox takes over the ends that the dialplan wrote to files because the agent did not answer.
func (a *Agent) collectInbox() {
	folder := filepath.Join(a.spool.folder, folderInbox)
	entries, err := os.ReadDir(folder)
	if err != nil {
		a.log.Error("couldn't read the inbox", "error", err)
		return
	}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			continue
		}
		path := filepath.Join(folder, e.Name())
		info, err := e.Info()
		if err != nil {
			continue // gone meanwhile
		}
		err = a.collectFile(path, a.now().Sub(info.ModTime()))
		switch {
		case err == nil:
			a.metrics.ends.WithLabelValues(endCollected).Inc()
			if err := os.Remove(path); err != nil {
				a.log.Error("couldn't remove a collected end", "error", err)
			}
		case errors.Is(err, errGrammar):
			a.metrics.ends.WithLabelValues(endRejected).Inc()
			a.log.Error("a file in the inbox is not the end of a call; it is kept aside", "file", e.Name(), "error", err)
			if err := a.spool.reject(folderInbox, e.Name(), nil, err.Error()); err != nil {
				a.log.Error("couldn't move it aside", "error", err)
			}
		default:
			a.log.Warn("an end in the inbox has to wait", "file", e.Name(), "error", err)
		}
	}
}

// inboxPatience is how long a file without its last member may still be being written.
const inboxPatience = 10 * time.Second

var errIncomplete = errors.New("not complete yet")

func (a *Agent) collectFile(path string, age time.Duration) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.Size() > maxForm {
		return fmt.Errorf("%d bytes: %w", info.Size(), errGrammar)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text := strings.TrimRight(string(data), "\r\n")
	v, parseErr := url.ParseQuery(text)
	if v.Get(formComplete) != "1" {
		if age < inboxPatience {
			return errIncomplete
		}
		// Torn by a crash: what stands before the last & is whole.
		v, parseErr = url.ParseQuery(text[:max(0, strings.LastIndexByte(text, '&'))])
	}
	if parseErr != nil {
		return fmt.Errorf("%w: %w", errGrammar, parseErr)
	}
	e, err := parseEnding(v)
	if err != nil {
		return err
	}
	if a.spool.has(e.CallID) {
		return nil // the agent had it after all, and answered too late
	}
	return a.end(e)
}

func dialWord(v url.Values) string {
	s := v.Get(formDialStatus)
	if !wordGrammar.MatchString(s) {
		return ""
	}
	return s
}

// integer reads 0…high; anything else is 0.
func integer(s string, high int) int {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > high {
		return 0
	}
	return n
}

func milliseconds(s string) time.Duration {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > 30*maxSeconds*1000 {
		return 0
	}
	return time.Duration(n) * time.Millisecond
}

func seconds(s string) float64 {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || !(f >= 0 && f <= 30*maxSeconds) {
		return 0
	}
	return f
}

// epoch reads seconds since 1970 with a fraction; zero time when there are none.
func epoch(s string) time.Time {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || !(f >= 1 && f < 1<<40) {
		return time.Time{}
	}
	whole, fraction := math.Modf(f)
	return time.Unix(int64(whole), int64(fraction*1e6)*1000).UTC().Truncate(time.Millisecond)
}

// printable keeps what a person may read: printable ASCII, 128 bytes at most.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s[:min(len(s), 128)])
}
