package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"ringmaster/store/storetest"
)

// TestMain lets scripts run this program under its name.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"ringmaster": main})
}

// patience bounds what a test waits for; nothing is measured by it.
const patience = 60 * time.Second

// trialSystem is a `ringmaster dev` that runs for one test.
type trialSystem struct {
	trial
	stateDir string
	process  *exec.Cmd
	output   *bytes.Buffer
	done     chan error
}

// startTrial runs `ringmaster dev` on free ports until the test ends, and then checks that it ends cleanly.
func startTrial(t *testing.T, arguments ...string) *trialSystem {
	t.Helper()
	dir, err := storetest.Dir()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &trialSystem{stateDir: filepath.Join(dir, "state"), output: new(bytes.Buffer), done: make(chan error, 1)}
	s.start(t, arguments...)
	return s
}

func (s *trialSystem) start(t *testing.T, arguments ...string) {
	t.Helper()
	s.process = exec.Command("ringmaster", append([]string{"dev", "--state-dir", s.stateDir,
		"--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--budget", "200ms"}, arguments...)...) // the tests share two processors
	s.process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s.process.Stderr = s.output
	out, err := s.process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.process.Start(); err != nil {
		t.Fatal(err)
	}
	up := make(chan struct{})
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "Ctrl-C ends it") {
				close(up)
			}
		}
		s.done <- s.process.Wait()
	}()
	t.Cleanup(func() { s.stop(t) })
	select {
	case <-up:
	case err := <-s.done:
		s.done <- err
		t.Fatalf("the trial system has ended: %v\n%s", err, s.output)
	case <-time.After(patience):
		t.Fatal("the trial system isn't up")
	}
	if s.trial, err = findTrial(s.stateDir); err != nil {
		t.Fatal(err)
	}
}

// stop is Ctrl-C. Calling it again does nothing.
func (s *trialSystem) stop(t *testing.T) {
	t.Helper()
	if s.process == nil {
		return
	}
	_ = s.process.Process.Signal(os.Interrupt)
	select {
	case err := <-s.done:
		if err != nil {
			t.Errorf("the trial system ended with %v\n%s", err, s.output)
		}
	case <-time.After(patience):
		_ = s.process.Process.Kill()
		t.Errorf("the trial system didn't end\n%s", s.output)
	}
	s.process = nil
	if _, err := os.Stat(filepath.Join(s.stateDir, trialFile)); err == nil {
		t.Errorf("%s is left", trialFile)
	}
}

// environment is what a person in another terminal has, and the ports, which are 8080 and 8081 for that person.
func (s *trialSystem) environment(t *testing.T) []string {
	t.Helper()
	call, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	page, err := url.Parse(s.Page)
	if err != nil {
		t.Fatal(err)
	}
	return []string{"RINGMASTER_STATE_DIR=" + s.stateDir, "CALLS=" + call.Host, "ADMIN=" + page.Host, "NO_COLOR=1", "PAGER="}
}

// TestScripts plays testdata/script against one trial system. Scripts that change rows make a database of their own.
func TestScripts(t *testing.T) {
	system := startTrial(t)
	var databases atomic.Int64
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			repository, err := filepath.Abs("../..")
			if err != nil {
				return err
			}
			own := fmt.Sprintf("own_%d", databases.Add(1))
			env.Vars = append(env.Vars, system.environment(t)...)
			env.Vars = append(env.Vars, "REPOSITORY="+repository, "OWN="+own, "TRIAL_ADDRESS="+system.Database, "HOME="+env.WorkDir,
				"OWN_ADDRESS="+strings.Replace(system.Database, "/"+trialDatabase+"?", "/"+own+"?", 1))
			return nil
		},
	})
}

// TestDevComesBack: what was changed is there after a restart, and --fresh throws it away. Only one runs in a folder.
func TestDevComesBack(t *testing.T) {
	system := startTrial(t)
	ringmaster := func(arguments ...string) (string, error) {
		command := exec.Command("ringmaster", arguments...)
		command.Env = append(os.Environ(), system.environment(t)...)
		out, err := command.CombinedOutput()
		return string(out), err
	}
	if out, err := ringmaster("sql", "-c", "INSERT INTO trunk (trunk) VALUES ('kept')"); err != nil {
		t.Fatal(err, out)
	}
	if out, err := ringmaster("dev", "--state-dir", system.stateDir); err == nil || !strings.Contains(out, "is running in") {
		t.Errorf("a second one in the same folder: %v, %s", err, out)
	}
	count := func() string {
		out, err := ringmaster("sql", "-c", "SELECT count(*) FROM trunk WHERE trunk = 'kept'", "--", "-At")
		if err != nil {
			t.Fatal(err, out)
		}
		return strings.TrimSpace(out)
	}
	system.stop(t)
	system.start(t)
	if got := count(); got != "1" {
		t.Errorf("after a restart %s rows are there", got)
	}
	// Killed, its Postgres ends too, and the next one takes over.
	_ = system.process.Process.Kill()
	<-system.done
	system.start(t, "--fresh")
	if got := count(); got != "0" {
		t.Errorf("after --fresh %s rows are there", got)
	}
}
