//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// faces are the two ways in which the dialplan asks the agent. One Asterisk serves both: callers come from
// different softswitches, and the second one's endpoint sets RINGMASTER_FACE for its calls.
var faces = []string{"CURL", "FastAGI"}

// faceNoFallback is CURL again, from a softswitch whose calls have no fallback trunk.
const faceNoFallback = "CURL without fallback"

// softswitches are the endpoints that callers of a face come in on.
var softswitches = map[string]string{"CURL": "softswitch", "FastAGI": "softswitch-agi", faceNoFallback: "softswitch-plain"}

// softswitchHost is the address that callers of a face call from.
func (s *stack) softswitchHost(face string) string {
	return s.net.host(map[string]int{"CURL": 10, "FastAGI": 11, faceNoFallback: 12}[face])
}

// trunks are all endpoints of called phones.
var trunks = []string{trunkAnswers, trunkShort, trunkBusy, trunkSilent, trunkGone, trunkOffice}

// trunkHost is the address of a trunk's phone.
func (s *stack) trunkHost(trunk string) string {
	for i, name := range trunks {
		if name == trunk {
			return s.net.host(20 + i)
		}
	}
	panic("no trunk " + trunk)
}

func (s *stack) asteriskConf() string { return filepath.Join(s.folder, "etc/asterisk.conf") }

// startAsterisk starts Asterisk with the files of deploy/asterisk.
func (s *stack) startAsterisk(t testing.TB) {
	t.Helper()
	s.configureAsterisk(t)
	s.asterisk = inRoot(t, s.folder, "asterisk", "asterisk", "-f", "-n", "-C", s.asteriskConf())
	eventually(t, 30*time.Second, "Asterisk has booted", func() error {
		if err := s.asterisk.ended(); err != nil {
			return err
		}
		if err := listens("udp", s.nodeHost, sipPort); err != nil {
			return err
		}
		out, err := s.tryCLI("core waitfullybooted")
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
}

var mark = regexp.MustCompile(`@[A-Z_]+@`)

// configureAsterisk copies deploy/asterisk, with its marks filled in as an installation fills them in, and writes the
// one file that is a node's own: its trunks.
func (s *stack) configureAsterisk(t testing.TB) {
	t.Helper()
	folder := func(name string) string { return filepath.Join(s.folder, name) }
	for _, d := range []string{"etc", "var", "spool", "run", "log/cdr-csv", "cache"} {
		if err := os.MkdirAll(folder(d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	marks := map[string]string{
		"@ETC@": folder("etc"), "@MODULES@": "/usr/lib/x86_64-linux-gnu/asterisk/modules", "@VARLIB@": folder("var"), "@DATA@": "/usr/share/asterisk",
		"@SPOOL@": folder("spool"), "@RUN@": folder("run"), "@LOG@": folder("log"), "@CACHE@": folder("cache"),
		"@NODE@": s.node, "@MAXCALLS@": "110", "@FACE@": "curl", "@FALLBACK_TRUNK@": trunkAnswers,
		"@AGENT_HTTP@": fmt.Sprintf("%s:%d", s.nodeHost, httpPort), "@AGENT_AGI@": fmt.Sprintf("%s:%d", s.nodeHost, agiPort), "@AGENT_SPOOL@": s.spool(),
		"@AMI_ADDRESS@": s.nodeHost, "@AMI_PORT@": fmt.Sprint(amiPort), "@AMI_USER@": "ringmaster", "@AMI_SECRET@": amiSecret,
		"@ADDRESS@": s.nodeHost, "@SOFTSWITCH@": s.softswitchHost("CURL"),
	}
	files, err := filepath.Glob(filepath.Join(made.repository, "deploy/asterisk/*.conf"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in deploy/asterisk: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(file)
		if name == "pjsip_trunks.conf" {
			text = []byte(s.trunks())
		}
		filled := mark.ReplaceAllStringFunc(string(text), func(m string) string {
			value, known := marks[m]
			if !known {
				t.Fatalf("deploy/asterisk/%s has a mark %s that the e2e does not know", name, m)
			}
			return value
		})
		if err := os.WriteFile(filepath.Join(folder("etc"), name), []byte(filled), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// replaceIn changes a line of a file that Asterisk reads.
func (s *stack) replaceIn(t testing.TB, file, before, after string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err == nil && !strings.Contains(string(text), before) {
		err = fmt.Errorf("%s has no %q", file, before)
	}
	if err == nil {
		err = os.WriteFile(file, []byte(strings.Replace(string(text), before, after, 1)), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// trunks is the pjsip_trunks.conf of the tests: a trunk for each called phone, and the other softswitches.
func (s *stack) trunks() string {
	var b strings.Builder
	for _, name := range trunks {
		fmt.Fprintf(&b, "[%[1]s](trunk)\naors = %[1]s\n[%[1]s](trunk-aor)\ncontact = sip:%[2]s:%[3]d\n\n", name, s.trunkHost(name), sipPort)
	}
	for face, variable := range map[string]string{"FastAGI": "RINGMASTER_FACE=agi", faceNoFallback: "RINGMASTER_FALLBACK_TRUNK="} {
		fmt.Fprintf(&b, `[%[1]s](peer)
context = from-softswitch
trust_id_inbound = yes
set_var = %[2]s

[%[1]s]
type = identify
endpoint = %[1]s
match = %[3]s

`, softswitches[face], variable, s.softswitchHost(face))
	}
	return b.String()
}
