//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The XML-RPC clients that other people wrote, in the versions of the root. Each script calls all of validator1 and
// compares the answers (the C command: all but manyTypesTest, it cannot write a dateTime), places a call.start with the
// node's name and secret by HTTP Basic and compares the session's presence and the target, and asks for a
// method that is not there: the fault must be −32601.
var clients = []struct{ name, program, script string }{
	{"Python xmlrpc.client", "python3", "python.py"},
	{"C xmlrpc command", "sh", "c.sh"},
	{"Perl RPC-XML", "perl", "rpcxml.pl"},
	{"Perl XMLRPC-Lite", "perl", "xmlrpclite.pl"},
	{"Ruby xmlrpc", "ruby", "ruby.rb"},
	{"PHP xmlrpc", "php", "php.php"},
	{"npm xmlrpc", "node", "npm.js"},
}

// checksOfEach is how many lines "ok …" a script prints at least: one per method, two for call.start, one for the fault.
const checksOfEach = 7 + 2 + 1

func TestClients(t *testing.T) {
	s := newEngine(t, []service{freephone(1, offices{})})
	t.Run("all", func(t *testing.T) {
		for _, c := range clients {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				source, err := os.ReadFile(filepath.Join("clients", c.script))
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(s.folder, c.script), source, 0o644); err != nil {
					t.Fatal(err)
				}
				p := inRoot(t, s.folder, c.script, "env", "RM_URL="+s.engineURL(), "RM_NODE="+s.node, "RM_SECRET="+s.secret,
					"RM_CALL_ID=client-"+c.script, "RM_CALLER=0307000001", "RM_CALLED="+freephone(1, offices{}).called, "RM_TARGET="+berlin(1),
					c.program, c.script)
				code := p.wait(t, time.Minute)
				said, _ := os.ReadFile(p.log)
				if checks := strings.Count("\n"+string(said), "\nok "); code != 0 || checks < checksOfEach {
					t.Errorf("exit code %d after %d checks:\n%s", code, checks, said)
				}
			})
		}
	})
}
