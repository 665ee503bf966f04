//go:build e2e

package e2e

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/template"
	"time"
)

// message is one SIP message as a phone saw it.
type message struct {
	at     time.Time
	sent   bool
	callID string
	cseq   string // "1 INVITE"
	line   string // "SIP/2.0 200 OK", "BYE sip:… SIP/2.0"
}

func (m message) String() string {
	arrow := "<-"
	if m.sent {
		arrow = "->"
	}
	return fmt.Sprintf("%s %s %-50s (%s)", m.at.Format("15:04:05.000"), arrow, m.line, m.cseq)
}

// is says whether the message is a request of that method, or a response with that code ("200 INVITE": to that method).
func (m message) is(what string) bool {
	code, method, response := strings.Cut(what, " ")
	if response || code[0] <= '9' {
		return strings.HasPrefix(m.line, "SIP/2.0 "+code) && strings.HasSuffix(m.cseq, method)
	}
	return strings.HasPrefix(m.line, what+" ")
}

// trace is what a phone sent and received, in order.
type trace []message

func (tr trace) String() string {
	lines := make([]string, len(tr))
	for i, m := range tr {
		lines[i] = "    " + m.String()
	}
	return strings.Join(lines, "\n")
}

// find returns the first message that is what.
func (tr trace) find(what string) (message, bool) {
	i := slices.IndexFunc(tr, func(m message) bool { return m.is(what) })
	if i < 0 {
		return message{}, false
	}
	return tr[i], true
}

func (tr trace) has(what string) bool { _, found := tr.find(what); return found }

// between returns the time from the first message that is from to the first that is to.
func (tr trace) between(t testing.TB, from, to string) time.Duration {
	t.Helper()
	first, ok := tr.find(from)
	last, ok2 := tr.find(to)
	if !ok || !ok2 {
		t.Errorf("no %s or no %s in\n%v", from, to, tr)
		return -1
	}
	return last.at.Sub(first.at)
}

// readTrace reads SIPp's -trace_shortmsg file: tab separated date, time, epoch, S or R, Call-ID, CSeq, first line.
func readTrace(path string) (trace, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var tr trace
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		c := strings.SplitN(lines.Text(), "\t", 7)
		if len(c) < 7 {
			continue // a line that is being written
		}
		seconds, err := strconv.ParseFloat(c[2], 64)
		if err != nil {
			return nil, fmt.Errorf("%s: %q: %w", path, lines.Text(), err)
		}
		tr = append(tr, message{
			at: time.UnixMicro(int64(math.Round(seconds * 1e6))), sent: c[3] == "S", callID: c[4],
			cseq: strings.TrimPrefix(c[5], "CSeq:"), line: strings.TrimSpace(c[6]),
		})
	}
	return tr, lines.Err()
}

// Who ends a call, seen from the caller's phone: .Ends of sipp/uac.xml.
const (
	endsCaller  = "caller"
	endsNode    = "node"
	endsCancel  = "cancel"
	endsEarly   = "early"
	endsRefused = "refused"
)

// dial is what a caller does.
type dial struct {
	From, To string        // numbers as dialled
	Ends     string        // who ends it
	Wait     time.Duration // see sipp/uac.xml
	Digits   []string      // entries by DTMF
	Pause    time.Duration // before each entry
	Limit    time.Duration // the call must be over by then; default 30 s
	Ear      *ear          // hears what the caller hears; nil: nobody does
}

// call is a caller's SIPp under way.
type call struct {
	*process
	dial
	messages string // the trace's file
}

var phoneTemplates = template.Must(template.ParseGlob("sipp/*.xml"))

func writeScenario(t testing.TB, path, name string, values map[string]any) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := phoneTemplates.ExecuteTemplate(f, name, values); err != nil {
		t.Fatal(err)
	}
}

// sipp starts one SIPp with its scenario, logs and messages in the stack's folder.
func (s *stack) sipp(t testing.TB, name, scenario string, host string, sipPort, mediaPort int, arguments ...string) (*process, string) {
	t.Helper()
	messages := filepath.Join(s.folder, name+".messages")
	p := inRoot(t, s.folder, name, "sipp", append([]string{
		"-sf", scenario, "-i", host, "-p", strconv.Itoa(sipPort), "-mi", host, "-mp", strconv.Itoa(mediaPort),
		"-nostdin", "-trace_shortmsg", "-shortmessage_file", messages, "-trace_err", "-error_file", filepath.Join(s.folder, name+".errors"),
	}, arguments...)...)
	return p, messages
}

var unsafeInName = regexp.MustCompile(`[^A-Za-z0-9]+`)

// dial places a call to the node, for one face of the agent, and returns at once.
func (s *stack) dial(t testing.TB, face string, d dial) *call {
	t.Helper()
	if d.Limit == 0 {
		d.Limit = 30 * time.Second
	}
	n := int(s.calls.Add(1))
	name := fmt.Sprintf("caller-%02d-%s", n, strings.Trim(unsafeInName.ReplaceAllString(t.Name(), "-"), "-"))
	scenario := filepath.Join(s.folder, name+".xml")
	media := "[media_port]"
	if d.Ear != nil {
		media = strconv.Itoa(d.Ear.port)
	}
	writeScenario(t, scenario, "uac.xml", map[string]any{
		"Media": media,
		"Ends":  d.Ends, "Wait": d.Wait.Milliseconds(), "Digits": d.Digits, "Pause": d.Pause.Milliseconds(),
		"FinalCodes": []int{400, 403, 404, 410, 480, 484, 486, 487, 488, 500, 501, 502, 503, 504, 600},
	})
	p, messages := s.sipp(t, name, scenario, s.softswitchHost(face), 6000+n, 20000+4*n,
		"-m", "1", "-s", d.To, "-key", "caller", d.From, "-timeout", strconv.Itoa(int(d.Limit.Seconds()))+"s", "-timeout_error",
		s.nodeHost+":5060")
	return &call{process: p, dial: d, messages: messages}
}

// seen returns the messages so far.
func (c *call) seen() trace {
	tr, _ := readTrace(c.messages)
	return tr
}

// until waits for a message to or from the caller's phone and returns it.
func (c *call) until(t testing.TB, what string) message {
	t.Helper()
	var m message
	eventually(t, c.Limit, c.name+" until "+what, func() error {
		var ok bool
		tr := c.seen()
		if m, ok = tr.find(what); ok {
			return nil
		}
		if err := c.ended(); err != nil {
			return err
		}
		return fmt.Errorf("so far:\n%v", tr)
	})
	return m
}

// over waits for the end of the call, fails the test if it did not go as the scenario says, and returns its messages.
func (c *call) over(t testing.TB) trace {
	t.Helper()
	code := c.wait(t, c.Limit+5*time.Second)
	tr := c.seen()
	if code != 0 {
		errors, _ := os.ReadFile(filepath.Join(filepath.Dir(c.messages), c.name+".errors"))
		t.Errorf("call %s → %s did not go as it should (SIPp exit code %d)\n%v\n%s", c.From, c.To, code, tr, errors)
	}
	return tr
}

// phone is a called phone: one SIPp that takes any number of calls.
type phone struct {
	*process
	messages string
}

// How a called phone behaves: .Behaviour of sipp/uas.xml.
const (
	answers = "answer"
	hangsUp = "hangup"
	isBusy  = "busy"
	rings   = "ring"
)

// phone starts a called phone at a host of its own, port 5060.
func (s *stack) phone(t testing.TB, name, host, behaviour string, ring, talk time.Duration) *phone {
	t.Helper()
	return s.phoneBy(t, name, host, behaviour, ring, talk, nil)
}

// phoneBy starts one at which some numbers behave otherwise: regular expressions of numbers, by behaviour.
func (s *stack) phoneBy(t testing.TB, name, host, behaviour string, ring, talk time.Duration, numbers map[string]string) *phone {
	t.Helper()
	scenario := filepath.Join(s.folder, name+".xml")
	writeScenario(t, scenario, "uas.xml", map[string]any{"Behaviour": behaviour, "Ring": ring.Milliseconds(), "Talk": talk.Milliseconds(),
		"Numbers": numbers})
	p, messages := s.sipp(t, "phone-"+name, scenario, host, 5060, 20000)
	eventually(t, 10*time.Second, name+" listens", func() error {
		if err := p.ended(); err != nil {
			return err
		}
		return listens("udp", host, 5060)
	})
	return &phone{process: p, messages: messages}
}

// callsTo returns the messages of each call to number, in the order of their INVITEs.
func (p *phone) callsTo(t testing.TB, number string) []trace {
	t.Helper()
	all, err := readTrace(p.messages)
	if err != nil && !os.IsNotExist(err) {
		t.Error(err)
	}
	var calls []trace
	of := map[string]int{}
	for _, m := range all {
		if _, known := of[m.callID]; !known && strings.HasPrefix(m.line, "INVITE sip:"+number+"@") {
			of[m.callID] = len(calls)
			calls = append(calls, nil)
		}
		if i, ours := of[m.callID]; ours {
			calls[i] = append(calls[i], m)
		}
	}
	return calls
}

// listens looks into the kernel's table of sockets, so that waiting for a server sends it nothing.
func listens(network, host string, port int) error {
	table, err := os.ReadFile("/proc/net/" + network)
	if err != nil {
		return err
	}
	var a, b, c, d int
	fmt.Sscanf(host, "%d.%d.%d.%d", &a, &b, &c, &d)
	socket := fmt.Sprintf(" %02X%02X%02X%02X:%04X ", d, c, b, a, port)
	for _, line := range strings.Split(string(table), "\n") {
		if f := strings.Fields(line); len(f) > 3 && strings.Contains(line, socket) && strings.TrimSpace(socket) == f[1] && (network == "udp" || f[3] == "0A") {
			return nil
		}
	}
	return fmt.Errorf("nobody listens on %s %s:%d", network, host, port)
}
