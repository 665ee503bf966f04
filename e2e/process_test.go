//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// process is a program that a test started. It ends with the test, and with the test binary, however that ends.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string        // its standard output and error
	done chan struct{} // closed when it has ended
	err  error         // what Wait said, once done is closed
}

// forks is served by one thread that never ends: the kernel sends a child its parent-death signal when
// the thread that forked it ends, not when the process does.
var forks = func() chan func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
}()

// start runs a program with its output in folder/name.log.
func start(t testing.TB, folder, name string, environment []string, program string, arguments ...string) *process {
	t.Helper()
	p := &process{name: name, log: filepath.Join(folder, name+".log"), done: make(chan struct{})}
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	p.cmd = exec.Command(program, arguments...)
	p.cmd.Dir = folder
	p.cmd.Env = append(os.Environ(), environment...)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	started := make(chan error)
	forks <- func() { started <- p.cmd.Start() }
	if err := <-started; err != nil {
		t.Fatalf("couldn't start %s: %v", name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() { p.end(t) })
	return p
}

// inRoot runs a program of the Debian sid root, which sees folder and nothing else of this machine's files.
func inRoot(t testing.TB, folder, name, program string, arguments ...string) *process {
	t.Helper()
	if made.root == "" {
		t.Fatalf("%s runs in the Debian sid root: unset %s", program, noAsterisk)
	}
	enter := filepath.Join(made.repository, "e2e/asterisk/enter.sh")
	return start(t, folder, name, nil, enter, append([]string{made.root, folder, program}, arguments...)...)
}

func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// signal sends one signal to the process, by its own pid.
func (p *process) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("couldn't send %v to %s: %v", s, p.name, err)
	}
}

// kill is kill -9, and waits for the end.
func (p *process) kill(t testing.TB) {
	t.Helper()
	p.signal(t, syscall.SIGKILL)
	<-p.done
}

// end asks with SIGTERM, waits a little, and kills. A frozen process is thawed first, or it could not obey.
func (p *process) end(t testing.TB) {
	t.Helper()
	if !p.running() {
		return
	}
	p.signal(t, syscall.SIGTERM)
	p.signal(t, syscall.SIGCONT)
	select {
	case <-p.done:
	case <-time.After(3 * time.Second):
		p.kill(t)
	}
}

// wait waits for the process to end by itself and returns its exit code.
func (p *process) wait(t testing.TB, limit time.Duration) int {
	t.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(limit):
		p.kill(t)
		t.Errorf("%s did not end within %v", p.name, limit)
		return -1
	}
}

// errEnded is under the errors that waiting longer cannot mend.
var errEnded = errors.New("it has ended")

// ended returns an error when the process has ended, for those who wait for it to do something.
func (p *process) ended() error {
	if p.running() {
		return nil
	}
	tail, _ := os.ReadFile(p.log)
	if len(tail) > 2000 {
		tail = tail[len(tail)-2000:]
	}
	return fmt.Errorf("%s: %w (%v):\n%s", p.name, errEnded, p.err, tail)
}
