//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The transcripts of the services that ship (testdata/calls), played with real phones: what a transcript reports (busy, no answer, digits)
// the phones do, and what it says of the CDR must stand in Postgres. Played are the calls whose CDR a transcript gives, and that a
// phone can place: without a call id of its own.
var transcripts = []string{"freephone.txt", "security_screening.txt"}

// transcriptRows make the demo carrier quick to play: phones that nobody answers ring for 2 s, the prompts around a code are beeps.
const transcriptRows = `
INSERT INTO trunk (trunk) VALUES ('softswitch'), ('softswitch-agi'), ('softswitch-plain');
INSERT INTO service_parameter (service, parameter, value) SELECT service, 'ring_seconds', '2' FROM service ON CONFLICT (service, parameter) DO UPDATE SET value = '2';
UPDATE prompt SET file = 'beep' WHERE prompt IN ('enter_code', 'wrong_code');
`

// The engine's clock is the real one. So office_hours is open or closed as the transcript expects it; what a calendar says when
// is for logic's own tests.
const (
	openOffices   = `DELETE FROM calendar_holiday; UPDATE calendar_window SET opens_at = '00:00', closes_at = '24:00', weekdays = '1111111' WHERE calendar_window_id IN (SELECT min(calendar_window_id) FROM calendar_window GROUP BY calendar)`
	closedOffices = `DELETE FROM calendar_window WHERE calendar = 'office_hours'`
)

// played is one call of a transcript.
type played struct {
	line           int
	caller, called string
	closed         bool // the first thing that happens is an announcement
	answered       bool // the node or a phone answers the caller
	digits         []string
	numbers        map[string][]string // called numbers by behaviour
	ends           string
	want           []string // of the CDR: outcome, service=…, leg1=…
}

func TestTranscripts(t *testing.T) {
	t.Parallel()
	for _, name := range transcripts {
		for _, face := range faces {
			t.Run(face+"/"+name, func(t *testing.T) {
				t.Parallel()
				playTranscript(t, name, face)
			})
		}
	}
}

func playTranscript(t *testing.T, name, face string) {
	calls, rows := readTranscript(t, filepath.Join(made.repository, "testdata/calls", name))
	if len(calls) < 3 {
		t.Fatalf("only %d calls of %s can be played", len(calls), name)
	}
	demo, err := os.ReadFile(filepath.Join(made.repository, "testdata/demo/carrier.sql"))
	if err != nil {
		t.Fatal(err)
	}
	s := newEngineWith(t, append([]string{string(demo), transcriptRows}, rows...))
	s.startAgent(t)
	s.startAsterisk(t)
	// The calls with opening hours first: that way the rows are changed once.
	slices.SortStableFunc(calls, func(a, b played) int {
		if a.closed == b.closed {
			return 0
		} else if b.closed {
			return -1
		}
		return 1
	})
	closed := false
	s.edit(t, openOffices)
	for _, c := range calls {
		if c.closed && !closed {
			s.edit(t, closedOffices)
			closed = true
		}
		s.playCall(t, name, face, c)
	}
	s.checkAllCDRs(t)
}

// playCall places one call, with a phone at the trunk office that does what the transcript reports.
func (s *stack) playCall(t *testing.T, name, face string, c played) {
	t.Helper()
	numbers := map[string]string{}
	for behaviour, list := range c.numbers {
		numbers[behaviour] = strings.Join(list, "|")
	}
	office := s.phoneBy(t, fmt.Sprintf("office-%d", c.line), s.trunkHost(trunkOffice), answers, 200*time.Millisecond, 0, numbers)
	from, e164 := s.transcriptCaller(c.caller)
	d := dial{From: from, To: c.called, Ends: c.ends, Digits: c.digits, Pause: 2 * time.Second, Wait: 700 * time.Millisecond}
	if len(c.digits) > 0 {
		d.Wait = 4 * time.Second // the digits of an entry take up to half of that
	}
	tr := s.dial(t, face, d).over(t)
	row := s.cdr(t, e164, 10*time.Second)
	office.end(t)

	got := []string{row.Outcome, "service=" + row.Service}
	for i, l := range row.Legs {
		got = append(got, fmt.Sprintf("leg%d=%s@%s:%v", i+1, l.Number, l.Trunk, l.Status))
	}
	for _, want := range c.want {
		if !slices.Contains(got, want) {
			t.Errorf("testdata/calls/%s:%d: want %s, got %s\n%v\n%v", name, c.line, want, got, tr, row)
		}
	}
	progress("%s:%d %s → %s through %s: %s", name, c.line, from, c.called, face, strings.Join(got, " "))
}

// transcriptCaller makes a caller's number of its own of a transcript's: its last digits are changed.
func (s *stack) transcriptCaller(caller string) (dialled, e164 string) {
	n := s.callers.Add(1)
	dialled = fmt.Sprintf("%s%04d", caller[:len(caller)-4], n)
	switch {
	case strings.HasPrefix(dialled, "+"):
		return dialled, dialled[1:]
	case strings.HasPrefix(dialled, "00"):
		return dialled, dialled[2:]
	case strings.HasPrefix(dialled, "0"):
		return dialled, "49" + dialled[1:]
	}
	return dialled, dialled
}

// readTranscript returns the calls that phones can play, and the file's own rows.
func readTranscript(t *testing.T, path string) (calls []played, rows []string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var now *played
	var expected []string // the instructions of the reply under way
	var target string     // of the connect under way
	playable := false
	results := func(list string) {
		for one := range strings.SplitSeq(list, ";") {
			f := strings.Fields(one)
			if len(f) < 2 {
				continue
			}
			switch f[0] + " " + f[1] {
			case "connect answer":
				now.answered, now.ends = true, endsCaller
			case "connect hangup":
				now.numbers["ring"], now.ends = append(now.numbers["ring"], target), endsCancel
			case "connect busy":
				now.numbers["busy"] = append(now.numbers["busy"], target)
			case "connect no_answer":
				now.numbers["ring"] = append(now.numbers["ring"], target)
			case "connect unreachable":
				now.numbers["gone"] = append(now.numbers["gone"], target)
			case "collect digits":
				digits := ""
				for _, w := range f[2:] {
					digits += strings.TrimPrefix(w, "digits=")
				}
				now.digits = append(now.digits, digits+"#")
			case "collect timeout":
				now.digits = append(now.digits, "")
			case "collect hangup", "play hangup":
				playable = false
			}
		}
	}
	for i, line := range strings.Split(string(text), "\n") {
		verb, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch verb {
		case "INSERT":
			rows = append(rows, line)
			if !strings.HasSuffix(strings.TrimSpace(line), ";") {
				t.Fatalf("%s:%d: rows over several lines cannot be read here yet", path, i+1)
			}
		case "start":
			now, playable, expected = &played{line: i + 1, ends: endsRefused, numbers: map[string][]string{}}, true, nil
			for _, w := range strings.Fields(rest) {
				name, value, _ := strings.Cut(w, "=")
				switch {
				case name == "caller" && len(value) > 6:
					now.caller = value
				case name == "called":
					now.called = value
				default:
					playable = false
				}
			}
		case ">":
			f := strings.Fields(rest)
			expected = append(expected, f[0])
			switch f[0] {
			case "answer":
				now.answered = true
			case "play":
				now.closed = now.closed || len(expected) == 2 && expected[0] == "answer" && len(now.digits) == 0
			case "connect":
				if len(f) < 2 || strings.Contains(f[1], ",") {
					playable = false
				} else {
					target, _, _ = strings.Cut(f[1], "@")
				}
			case "release":
				if now.answered {
					now.ends = endsNode
				}
			}
		case "report":
			results(rest)
		case "end":
			if _, list, more := strings.Cut(rest, ";"); more {
				results(list)
			}
		case "=":
			if now == nil {
				continue
			}
			f := strings.Fields(rest)
			now.want = []string{f[0]}
			for _, w := range f[1:] {
				if strings.HasPrefix(w, "service=") || strings.HasPrefix(w, "leg") && !strings.HasSuffix(w, "=") {
					now.want = append(now.want, w)
				}
			}
			if playable && now.caller != "" {
				calls = append(calls, *now)
			}
			now = nil
		}
	}
	return calls, rows
}
