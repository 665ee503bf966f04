package agi

import (
	"bufio"
	"fmt"
	"net"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"ringmaster/rpc/api"
)

// managed plays Asterisk's end of the manager interface: it takes every action, and writes down what it is.
type managed struct {
	net.Listener
	mu        sync.Mutex
	conns     []net.Conn
	actions   []string          // but Login and Ping: "AbsoluteTimeout PJSIP/p-1 2399.000"
	variables map[string]string // by channel: RINGMASTER_TOLD
	logins    int
	mute      bool
}

func newManaged(t *testing.T) *managed {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &managed{Listener: l, variables: map[string]string{}}
	t.Cleanup(func() { l.Close(); m.cut() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			m.mu.Lock()
			m.conns = append(m.conns, conn)
			m.mu.Unlock()
			go m.serve(conn)
		}
	}()
	return m
}

func (m *managed) serve(conn net.Conn) {
	fmt.Fprint(conn, "Asterisk Call Manager/11.0.0\r\n")
	r := textproto.NewReader(bufio.NewReader(conn))
	for {
		h, err := r.ReadMIMEHeader()
		if err != nil {
			return
		}
		response, more := "Success", ""
		m.mu.Lock()
		switch action := h.Get("Action"); action {
		case "Login":
			if m.logins++; h.Get("Username") != "ringmaster" || h.Get("Secret") != "pst" {
				response, more = "Error", "Message: Authentication failed\r\n"
			}
		case "Ping":
		case "Getvar":
			more = "Variable: " + h.Get("Variable") + "\r\nValue: " + m.variables[h.Get("Channel")] + "\r\n"
		default:
			m.actions = append(m.actions, strings.TrimSpace(action+" "+h.Get("Channel")+" "+h.Get("Timeout")+" "+h.Get("Data")))
		}
		mute := m.mute
		m.mu.Unlock()
		if !mute {
			fmt.Fprintf(conn, "Event: Nothing\r\nValue: x\r\n\r\nResponse: %s\r\nActionID: %s\r\n%s\r\n", response, h.Get("Actionid"), more)
		}
	}
}

// cut closes all connections.
func (m *managed) cut() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, conn := range m.conns {
		conn.Close()
	}
	m.conns = nil
}

func (m *managed) did() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return strings.Join(m.actions, ", ")
}

// clock is one that a test sets.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) read() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// startManaged starts an agent with quick heartbeats that knows a manager interface; "": none.
func startManaged(t *testing.T, spool, engine, ami string, now *clock) *node {
	t.Helper()
	c := Config{Node: "node1", Secret: "geheim", Engines: []string{engine}, HTTPListen: "127.0.0.1:0", AGIListen: "127.0.0.1:0", Spool: spool,
		Deadline: 10 * time.Second, Heartbeat: 10 * time.Millisecond, Capacity: 110, Log: testLog(t), Registry: prometheus.NewRegistry(), Now: now.read}
	if ami != "" {
		c.AMI = AMI{Address: ami, User: "ringmaster", Secret: "pst"}
	}
	n := startConfigured(t, c)
	if ami != "" {
		eventually(t, "logged in", n.manager.Up)
	}
	return n
}

// grantor is an engine that grants 600 s first, and says of conversations what it is told to.
type grantor struct {
	*scripted
	mu         sync.Mutex
	extensions string
	talking    string // the member as the last heartbeat had it
	followOn   string
	connects   int
}

func newGrantor(t *testing.T) *grantor {
	g := &grantor{}
	g.scripted = newScripted(t, func(method, body string) string {
		g.mu.Lock()
		defer g.mu.Unlock()
		switch method {
		case api.MethodNodeHeartbeat:
			_, rest, _ := strings.Cut(body, "<name>talking</name>")
			g.talking, _, _ = strings.Cut(rest, "</data>")
			return response(stringMember("state", "in_service") + arrayMember("extensions", g.extensions))
		case api.MethodCallStart, api.MethodCallReport:
			if g.connects++; method == api.MethodCallReport {
				return told("s1", structValue(stringMember("op", "play"), arrayMember("prompts", "<value><string>beep</string></value>")), connectTo("", targetAt("pstn", "4930222")))
			}
			return told("s1", connectTo(intMember("maximum_seconds", "600")+intMember("warning_seconds", "30")+boolMember("extendable")+g.followOn, targetAt("pstn", "4930111")))
		case api.MethodNodeRegister:
			return response(stringMember("state", "in_service"))
		}
		return response("")
	})
	return g
}

func boolMember(name string) string {
	return "<member><name>" + name + "</name><value><boolean>1</boolean></value></member>"
}

func (g *grantor) says(callID string, seconds string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.extensions = structValue(stringMember("call_id", callID), intMember("charge", "1"), intMember("maximum_seconds", seconds))
}

func (g *grantor) heard() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.talking
}

const callID1 = "node1-1.1"

// TestAConversationIsExtended: what an engine grants becomes the called channel's absolute timeout, counted from the answer; it survives the agent, and the caller is warned before the end.
func TestAConversationIsExtended(t *testing.T) {
	now := &clock{now: time.Unix(1700000100, 0)}
	m, g, spool := newManaged(t), newGrantor(t), t.TempDir()
	n := startManaged(t, spool, g.URL, m.Addr().String(), now)
	expect(t, n.curl(t, "/start", call1), "op", "connect", "max_ms", "600000", "warn_ms", "30000", "movable", "1")
	expect(t, n.curl(t, "/answered", "id=node1-1.1&step=1&peer=PJSIP%2Fp-1&answered=1700000099.500"), "status", "OK")
	eventually(t, "the heartbeat says for how long they talk", func() bool {
		return strings.Contains(g.heard(), "<name>talk_seconds</name><value><double>0.5</double>") && strings.Contains(g.heard(), callID1) && strings.Contains(g.heard(), "<name>final</name><value><boolean>0</boolean>")
	})
	g.says(callID1, "2400")
	eventually(t, "extended", func() bool { return strings.HasPrefix(m.did(), "AbsoluteTimeout PJSIP/p-1 2399.500") })

	// Another agent goes on with it, on another connection.
	n.stop()
	now.add(100 * time.Second)
	n = startManaged(t, spool, g.URL, m.Addr().String(), now)
	eventually(t, "extended again", func() bool { return strings.HasSuffix(m.did(), "AbsoluteTimeout PJSIP/p-1 2299.500") })
	m.cut()
	now.add(100 * time.Second)
	eventually(t, "extended by another connection", func() bool { return strings.HasSuffix(m.did(), "AbsoluteTimeout PJSIP/p-1 2199.500") })
	if text := m.did(); strings.Contains(text, "Originate") {
		t.Errorf("warned too early: %s", text)
	}
	now.add(2170 * time.Second)
	eventually(t, "warned", func() bool { return strings.Contains(m.did(), "Originate Local/s@ringmaster-warning/n 2000 PJSIP/p-1") })
	now.add(time.Second)
	eventually(t, "two more extensions", func() bool {
		return strings.HasSuffix(m.did(), "AbsoluteTimeout PJSIP/p-1 28.500, AbsoluteTimeout PJSIP/p-1 28.500")
	})
	if n := strings.Count(m.did(), "Originate"); n != 1 {
		t.Errorf("warned %d times", n)
	}
	if got := testutil.ToFloat64(n.metrics.warnings.WithLabelValues(extendDone)); got != 1 {
		t.Errorf("%v warnings counted", got)
	}
}

// TestWhatIsNotExtended: what an engine says before anybody talks, or of a conversation that is over.
func TestWhatIsNotExtended(t *testing.T) {
	now := &clock{now: time.Unix(1700000100, 0)}
	m, g := newManaged(t), newGrantor(t)
	g.followOn = boolMember("follow_on")
	n := startManaged(t, t.TempDir(), g.URL, m.Addr().String(), now)
	n.curl(t, "/start", call1)
	g.says(callID1, "1200")
	stale := func() float64 { return testutil.ToFloat64(n.metrics.extensions.WithLabelValues(extendStale)) }
	eventually(t, "nobody talks yet", func() bool { return stale() > 2 })
	for form, want := range map[string]string{"id=other&step=1": "FAILED", "id=node1-1.1&step=2": "FAILED", "id=node1-1.1&step=1&peer=PJSIP%2Fp-1%0D%0AAction:+Logoff": "OK"} {
		expect(t, n.curl(t, "/answered", form), "status", want)
	}
	eventually(t, "a channel that is none", func() bool { return testutil.ToFloat64(n.metrics.extensions.WithLabelValues(extendUnable)) > 0 })
	g.says(callID1, "1200")
	stop := stale()
	expect(t, n.curl(t, "/next", call1+"&step=1&op=connect&target=0&dialstatus=ANSWER&talk_ms=1500&cause=16"), "op", "play", "step", "2")
	eventually(t, "the heartbeat says how long they talked, as long as the dialogue goes on", func() bool {
		return strings.Contains(g.heard(), "<double>1.5</double>") && strings.Contains(g.heard(), "<name>final</name><value><boolean>1</boolean>") && strings.Contains(g.heard(), "<name>over</name><value><boolean>1</boolean>")
	})
	eventually(t, "the conversation is over", func() bool { return stale() > stop+2 })
	expect(t, n.curl(t, "/next", call1+"&step=2&op=play&playback=SUCCESS"), "op", "connect", "step", "3")
	eventually(t, "the next one rings", func() bool { return !strings.Contains(g.heard(), callID1) })
	if m.did() != "" {
		t.Errorf("extended: %s", m.did())
	}
}

// TestWhatIsGrantedIsNotTakenBack: less than is granted already comes of a reply that was late.
func TestWhatIsGrantedIsNotTakenBack(t *testing.T) {
	now := &clock{now: time.Unix(1700000100, 0)}
	m, g := newManaged(t), newGrantor(t)
	n := startManaged(t, t.TempDir(), g.URL, m.Addr().String(), now)
	n.curl(t, "/start", call1)
	expect(t, n.curl(t, "/answered", "id=node1-1.1&step=1&peer=PJSIP%2Fp-2"), "status", "OK")
	g.says(callID1, "1200")
	eventually(t, "extended", func() bool { return strings.HasSuffix(m.did(), "AbsoluteTimeout PJSIP/p-2 1200.000") })
	g.says(callID1, "900")
	stale := func() float64 { return testutil.ToFloat64(n.metrics.extensions.WithLabelValues(extendStale)) }
	before := stale()
	eventually(t, "less", func() bool { return stale() > before+2 })
	if strings.Contains(m.did(), "900.000") {
		t.Errorf("extended: %s", m.did())
	}
}

// TestAnAnswerThatWasMissed: the agent was away, and Asterisk knows of it.
func TestAnAnswerThatWasMissed(t *testing.T) {
	now := &clock{now: time.Unix(1700000100, 0)}
	m, g := newManaged(t), newGrantor(t)
	n := startManaged(t, t.TempDir(), g.URL, m.Addr().String(), now)
	n.curl(t, "/start", call1)
	g.says(callID1, "1200")
	m.mu.Lock()
	m.variables["PJSIP/s-1"] = "id=node1-1.1&step=1&peer=PJSIP%2Fp-1&answered=1700000090.000"
	m.mu.Unlock()
	eventually(t, "extended", func() bool { return strings.HasSuffix(m.did(), "AbsoluteTimeout PJSIP/p-1 1190.000") })
}

// TestWithoutAMI: the call has a limit that Dial keeps and warns of, and engines are told that it will not be moved. They still hear for how long people talk.
func TestWithoutAMI(t *testing.T) {
	now := &clock{now: time.Unix(1700000100, 0)}
	g := newGrantor(t)
	n := startManaged(t, t.TempDir(), g.URL, "", now)
	expect(t, n.curl(t, "/start", call1), "op", "connect", "max_ms", "600000", "movable", "")
	n.curl(t, "/answered", "id=node1-1.1&step=1&peer=PJSIP%2Fp-1")
	eventually(t, "said to be final", func() bool { return strings.Contains(g.heard(), "<name>final</name><value><boolean>1</boolean>") })
	if got := fmt.Sprint(n.Health()); got != "[conversations are not extended: no AMI user is given]" {
		t.Errorf("health: %s", got)
	}
}

// TestAManagerThatIsMute: it is not waited for by anything but what needs it, and given up.
func TestAManagerThatIsMute(t *testing.T) {
	now := &clock{now: time.Unix(1700000100, 0)}
	m, g := newManaged(t), newGrantor(t)
	n := startManaged(t, t.TempDir(), g.URL, m.Addr().String(), now)
	m.mu.Lock()
	m.mute = true
	m.mu.Unlock()
	eventually(t, "given up", func() bool { return !n.manager.Up() })
	if got := fmt.Sprint(n.Health()); got != "[conversations are not extended: no connection to Asterisk's manager interface]" {
		t.Errorf("health: %s", got)
	}
	expect(t, n.curl(t, "/start", call1), "op", "connect", "movable", "")
	m.mu.Lock()
	m.mute = false
	m.mu.Unlock()
	eventually(t, "there again", n.manager.Up)
	if m.logins < 2 {
		t.Errorf("%d logins", m.logins)
	}
}
