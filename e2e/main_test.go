//go:build e2e

package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// What TestMain makes once for all tests.
var made struct {
	repository string // the clone's root
	root       string // the Debian sid root, see asterisk/root.sh; empty with noAsterisk
	ringmaster string // the engine's binary
	agent      string // the agent's binary
	template   string // a Postgres cluster as initdb leaves it
	started    time.Time
}

// noAsterisk names the environment variable that, when set, leaves the Debian sid root away: for tests that need engines and Postgres only.
const noAsterisk = "RINGMASTER_E2E_NO_ASTERISK"

func TestMain(m *testing.M) {
	made.started = time.Now()
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	var err error
	if made.repository, err = filepath.Abs(".."); err != nil {
		return 0, err
	}
	if os.Getenv(noAsterisk) == "" {
		rootScript := exec.Command(filepath.Join(made.repository, "e2e/asterisk/root.sh"))
		rootScript.Stderr = os.Stderr
		out, err := rootScript.Output()
		if err != nil {
			return 0, fmt.Errorf("couldn't build the Asterisk root: %w", err)
		}
		made.root = strings.TrimSpace(string(out))
	}
	scratch, err := os.MkdirTemp("", "rm-e2e-bin-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(scratch)
	made.template = filepath.Join(scratch, "cluster")
	progress("building ringmaster and ringmaster-agi")
	build := exec.Command("go", "build", "-o", scratch+"/", "./cmd/ringmaster", "./cmd/ringmaster-agi")
	build.Dir = made.repository
	if out, err := build.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("couldn't build the binaries: %w\n%s", err, bytes.TrimSpace(out))
	}
	made.ringmaster = filepath.Join(scratch, "ringmaster")
	made.agent = filepath.Join(scratch, "ringmaster-agi")
	return m.Run(), nil
}

// progress says on standard error what is going on, with the seconds since the start: the whole takes minutes.
func progress(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, "e2e %4.0fs: %s\n", time.Since(made.started).Seconds(), fmt.Sprintf(format, arguments...))
}

// addresses is a /24 of the loopback network that is ours alone while the test runs: every server has
// the port that it has in the field, on an address of its own.
type addresses struct {
	prefix string // "127.37.5."
}

var addressLock sync.Mutex

// newAddresses takes the first free /24. Free is one on whose .1 nobody listens at port 4; other runs on the
// same machine hold theirs the same way.
func newAddresses(t testing.TB) addresses {
	t.Helper()
	addressLock.Lock()
	defer addressLock.Unlock()
	for n := os.Getpid() % 10000; n < 60000; n++ {
		a := addresses{prefix: fmt.Sprintf("127.%d.%d.", 1+n/250%250, n%250)}
		lock, err := net.Listen("tcp4", a.host(1)+":4")
		if err != nil {
			continue
		}
		t.Cleanup(func() { lock.Close() })
		return a
	}
	t.Fatal("no free 127.x.y.0/24")
	return addresses{}
}

func (a addresses) host(n int) string { return fmt.Sprintf("%s%d", a.prefix, n) }

// eventually waits until check returns nil, and fails the test with its last error after the limit, or at once when a process has ended.
func eventually(t testing.TB, limit time.Duration, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		err := check()
		if err == nil {
			return
		}
		if errors.Is(err, errEnded) {
			t.Fatalf("%s: %v", what, err)
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v: %v", what, limit, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
