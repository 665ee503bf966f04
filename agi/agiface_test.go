package agi

import (
	"bufio"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"ringmaster/rpc/api"
)

// visited plays Asterisk's end of a FastAGI connection: it keeps the channel's variables and runs subroutines by a function of the test.
type visited struct {
	conn      net.Conn
	reader    *bufio.Reader
	variables map[string]string
	gosub     func(a *visited, extension string) (reply string) // "": hang up
	commands  []string
}

func environment(script, argument string) string {
	return "agi_network: yes\nagi_network_script: " + script + "\nagi_request: agi://127.0.0.1/" + script + "\nagi_channel: PJSIP/s-1\nagi_callerid: 4930123\nagi_calleridname: unknown\n" +
		"agi_extension: ask\nagi_threadid: 140\nagi_arg_1: " + argument + "\n\n"
}

// visit connects, sends env and serves commands until the agent closes.
func visitAgent(t *testing.T, n *node, env string, gosub func(*visited, string) string) *visited {
	t.Helper()
	conn, err := net.Dial("tcp", n.AGIAddress().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	a := &visited{conn: conn, reader: bufio.NewReader(conn), variables: map[string]string{}, gosub: gosub}
	if _, err := conn.Write([]byte(env)); err != nil {
		t.Fatal(err)
	}
	for {
		line, err := a.reader.ReadString('\n')
		if err != nil {
			return a
		}
		line = strings.TrimSuffix(line, "\n")
		if len(line) > 2047 {
			t.Errorf("a command of %d bytes, Asterisk reads 2047", len(line))
		}
		a.commands = append(a.commands, line)
		reply := a.serve(t, line)
		if reply == "" {
			return a
		}
		if _, err := conn.Write([]byte(reply + "\n")); err != nil {
			return a
		}
	}
}

var wordPattern = regexp.MustCompile(`"([^"]*)"|(\S+)`)

func (a *visited) serve(t *testing.T, line string) string {
	var words []string
	for _, m := range wordPattern.FindAllStringSubmatch(line, -1) {
		words = append(words, m[1]+m[2])
	}
	switch {
	case len(words) == 4 && words[0] == "SET" && words[1] == "VARIABLE":
		a.variables[words[2]] = words[3]
		return "200 result=1"
	case len(words) == 3 && words[0] == "GET" && words[1] == "VARIABLE":
		if v, set := a.variables[words[2]]; set {
			return "200 result=1 (" + v + ")"
		}
		return "200 result=0"
	case len(words) == 4 && words[0] == "GOSUB" && words[1] == "ringmaster-run" && words[3] == "1":
		return a.gosub(a, words[2])
	}
	t.Errorf("Asterisk would not know %q", line)
	return "510 Invalid or unknown command"
}

const subComplete = "100 result=0 Trying...\n200 result=0 Gosub complete"

func TestAGIDialogue(t *testing.T) {
	e := newScripted(t, nodeReply(dialogue))
	n := startAgent(t, t.TempDir(), e.URL)
	var ran []string
	gosub := func(a *visited, op string) string {
		ran = append(ran, op)
		if a.variables["RINGMASTER_STATUS"] != statusRunning || a.variables["HASH(RM,op)"] != op || a.variables["RINGMASTER_SESSION"] != "s1" {
			t.Errorf("%s with %v", op, a.variables)
		}
		a.variables["RINGMASTER_GOT"] = map[string]string{
			"answer": "&step=1&op=answer&answered=1700000001.5", "play": "&step=2&op=play&playback=SUCCESS", "collect": "&step=3&op=collect&minimum=4&read=OK&digits=1234",
		}[op]
		return subComplete
	}
	a := visitAgent(t, n, environment("start", call1), gosub)
	if got := strings.Join(ran, " "); got != "answer play collect" {
		t.Errorf("ran %s", got)
	}
	for name, want := range map[string]string{"RINGMASTER_STATUS": "OK", "RINGMASTER_SESSION": "s2", "HASH(RM,op)": "connect", "HASH(RM,trunk)": "office", "HASH(RM,number)": "4930111",
		"HASH(RM,follow_on)": "1", "HASH(RM,prompts)": "", "HASH(RM,maximum)": ""} {
		if got := a.variables[name]; got != want {
			t.Errorf("%s=%q, want %q", name, got, want)
		}
	}
	if last := a.commands[len(a.commands)-1]; last != "SET VARIABLE RINGMASTER_STATUS OK" {
		t.Errorf("last command %q", last)
	}
	a = visitAgent(t, n, environment("next", call1+"&session=s2&op=connect&target=0&dialstatus=ANSWER&talk_ms=1500&cause=16"), nil)
	if a.variables["RINGMASTER_STATUS"] != "OK" || a.variables["HASH(RM,op)"] != "release" || a.variables["HASH(RM,cause)"] != "21" {
		t.Errorf("after the conversation: %v", a.variables)
	}
}

// TestAGIHangup: the channel hangs up in each of the ways Asterisk has to say so, at each point; the agent goes, reports nothing, and knows what had been done.
func TestAGIHangup(t *testing.T) {
	for name, hangup := range map[string]string{
		"closes":         "",
		"HANGUP line":    "HANGUP\n100 result=0 Trying...\nHANGUP\n200 result=0 Gosub complete",
		"dead channel":   "511 Command Not Permitted on a dead channel or intercept routine",
		"gosub failed":   "200 result=-1 Gosub failed",
		"unknown answer": "what?",
		"usage":          "520-Invalid command syntax.  Proper usage follows:\nUsage: GOSUB\n520 End of proper usage.",
	} {
		for _, at := range []string{"answer", "play", "collect"} {
			t.Run(name+" in "+at, func(t *testing.T) {
				t.Parallel()
				e := newScripted(t, nodeReply(dialogue))
				n := startAgent(t, t.TempDir(), e.URL)
				a := visitAgent(t, n, environment("start", call1), func(a *visited, op string) string {
					if op == at {
						return hangup
					}
					a.variables["RINGMASTER_GOT"] = "&step=" + a.variables["HASH(RM,step)"] + "&op=" + op + "&playback=SUCCESS"
					return subComplete
				})
				if a.variables["RINGMASTER_STATUS"] == statusOK {
					t.Error("the status says OK")
				}
				if got := e.asked(api.MethodCallReport); len(got) != 0 {
					t.Errorf("reported: %v", got)
				}
				expect(t, n.curl(t, "/end", call1+"&op="+at+"&ended=1700000009&session=s1"), "status", "OK")
				eventually(t, "the end is delivered", func() bool { return len(e.asked(api.MethodCallEnd)) > 0 })
				if got := decodeCall(t, e.asked(api.MethodCallEnd)[0]); !strings.Contains(got, "op="+at+" status=hangup") {
					t.Errorf("ended %s", got)
				}
			})
		}
	}
}

// TestAGIInjection: a caller's name with line breaks in it makes the environment end early and forges an argument. The agent notices by what follows, before it
// has asked anybody anything.
func TestAGIInjection(t *testing.T) {
	e := newScripted(t, nodeReply(dialogue))
	n := startAgent(t, t.TempDir(), e.URL)
	forged := url.QueryEscape("node1-forged")
	for _, env := range []string{
		"agi_network_script: start\nagi_calleridname: x\nagi_arg_1: id=" + forged + "&called=0900\n\nagi_extension: s\nagi_arg_1: " + call1 + "\n\n",
		"agi_network_script: start\nagi_calleridname: x\nagi_arg_1: id=" + forged + "&called=0900\n\n200 result=1\nagi_extension: s\nagi_arg_1: " + call1 + "\n\n",
		"agi_network_script: start\nagi_calleridname: x\nagi_arg_1: id=" + forged + "&called=0900\n\n200 result=1\n200 result=1 (0)\nHANGUP\n200 result=1\nagi_extension: s\n\n",
		"hello\n\n", "\n", "agi_arg_1\n\n", strings.Repeat("agi_x: y\n", 129) + "\n", "agi_x: " + strings.Repeat("y", 16<<10) + "\n\n", "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		environment("other", call1), environment("start", "%zz"), environment("next", call1+"&op=dance"),
	} {
		a := visitAgent(t, n, env, func(*visited, string) string { t.Error("ran something"); return "" })
		if a.variables["RINGMASTER_STATUS"] == statusOK {
			t.Errorf("%.60q: OK", env)
		}
	}
	if got := e.asked(api.MethodCallStart); len(got) != 0 {
		t.Errorf("asked: %v", got)
	}
}

// FuzzInstructions: what passes the check has no dialplan syntax in any value that the dialplan sees.
func FuzzInstructions(f *testing.F) {
	f.Add("connect", "office", "4930111", "+49", "hello", "de", "#")
	f.Add("play", "", "", "", "a/b", "pt_BR", "")
	f.Add("collect", "", "", "", "a&b", "", "")
	f.Fuzz(func(t *testing.T, op, trunk, number, callerID, prompt, language, terminator string) {
		in := instruction{Op: op, Targets: []target{{trunk, number, 10}}, CallerID: callerID, Prompts: []string{prompt}, Language: language, Terminator: terminator, Maximum: 4}
		list := []instruction{in}
		if checkInstructions(list) != nil {
			return
		}
		c := &call{Pending: list}
		for _, field := range c.step().fields() {
			if strings.ContainsAny(field[1], "\r\n\x00&,|()${}[]\"'\\;@ <>:=%") {
				t.Errorf("%s=%q", field[0], field[1])
			}
		}
	})
}

func FuzzDecodeReply(f *testing.F) {
	f.Add([]byte(told("s1", connectTo("", targetAt("office", "1")))))
	f.Add([]byte(faultResponse("106", "x")))
	f.Add([]byte("<methodResponse><params><param><value/></param></params></methodResponse>"))
	f.Add([]byte("<methodResponse><params><param><value><struct><member><name>session</name><value></value></member></struct></value></param></params></methodResponse>"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := decodeReply(data); err == nil && r == nil {
			t.Error("no reply and no error")
		}
	})
}

// TestDialplanIsTheAgents: the words of the form and the hash are written in two places; they must be the same words.
func TestDialplanIsTheAgents(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "deploy", "asterisk", "ringmaster.conf"))
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, f := range (step{}).fields() {
		known[f[0]] = true
	}
	for _, m := range regexp.MustCompile(`HASH\(RM,(\w+)\)`).FindAllStringSubmatch(string(text), -1) {
		if !known[m[1]] {
			t.Errorf("the dialplan reads HASH(RM,%s), which the agent never sets", m[1])
		}
	}
	form := map[string]bool{}
	for _, name := range []string{formID, formChannel, formTrunk, formCaller, formPresentation, formCalled, formSession, formStep, formOp, formTarget, formMinimum, formPlayback, formRead, formDigits,
		formDialStatus, formTalk, formCause, formSource, formStarted, formAnswered, formPeer, formEnded, formBilled, formStatus, formComplete} {
		form[name] = true
	}
	sent := map[string]bool{}
	for _, m := range regexp.MustCompile(`[&=](\w+)=(?:\$|1|answer|play|collect|connect)`).FindAllStringSubmatch(string(text), -1) {
		sent[m[1]] = true
		if !form[m[1]] && m[1] != "RINGMASTER_CALL" {
			t.Errorf("the dialplan sends %s, which the agent does not read", m[1])
		}
	}
	for name := range form {
		if !sent[name] {
			t.Errorf("the agent reads %s, which the dialplan does not send", name)
		}
	}
	for _, op := range []string{api.OpAnswer, api.OpPlay, api.OpCollect, api.OpConnect, api.OpContinue, api.OpRelease} {
		if !strings.Contains(string(text), "\nexten => "+op+",1,") {
			t.Errorf("the dialplan has no extension for %s", op)
		}
	}
}
