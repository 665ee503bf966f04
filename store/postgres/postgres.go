// Package postgres runs a PostgreSQL server as a child process of this one, for
// `ringmaster dev` and for tests that want the real thing.
//
// It uses the binaries that are installed (or, when asked, installs them on Debian). The
// server listens on a Unix socket only, in a folder that only its own user can enter; it
// never opens a port and never touches a cluster that somebody else made. It is not how a
// carrier runs Postgres: `ringmaster serve` takes the address of a server that is looked
// after. Linux only, for the parent-death signal.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Limits of a server's life.
const (
	startTimeout = 60 * time.Second      // from exec to "ready", crash recovery included
	lockTimeout  = 15 * time.Second      // for the server of a parent that was killed to shut down
	stopTimeout  = 15 * time.Second      // for a fast shutdown, before an immediate one
	pollInterval = 5 * time.Millisecond  // between looks at postmaster.pid
	lockInterval = 20 * time.Millisecond // between tries for the folder's lock
	maxLogBytes  = 16 << 20              // the log starts afresh above this
	socketPort   = "5432"                // only a part of the socket's name: nothing listens on it
	maxSocket    = 107                   // sun_path of unix(7), without its NUL
)

// Superuser is the name of the only role a new cluster has.
const Superuser = "postgres"

// Options say where a server lives and how it is set.
type Options struct {
	// Dir holds everything: data/, run/ (the socket), postgres.log, lock. It is made if it is
	// missing. A Dir that is there must be empty or hold a cluster made by this package.
	Dir string
	// BinDir holds initdb and postgres. Empty: FindBinaries decides.
	BinDir string
	// Template is a folder in which the result of initdb is kept for the next cluster to copy,
	// 0.1 s instead of 0.9 s. Empty: initdb runs for each new cluster.
	Template string
	// Settings go on the command line as -c name=value. They cannot make the server listen on
	// a network.
	Settings map[string]string
	// Install lets Start install PostgreSQL when it is missing, on Debian and as root. Progress goes to
	// Progress if that is set.
	Install  bool
	Progress func(line string)
}

// Server is a running PostgreSQL.
type Server struct {
	dir, run string
	cmd      *exec.Cmd
	lock     *os.File
	done     chan struct{} // closed when the process has ended
	err      error         // how it ended; read after done

	mu      sync.Mutex
	stopped bool
}

// Start makes the cluster if Dir has none, starts the server on it and returns when it takes
// connections. A server of an earlier process that is still shutting down is waited for; one that is in use is an error
// that says whose it is.
func Start(ctx context.Context, o Options) (*Server, error) {
	if o.Dir == "" {
		return nil, errors.New("couldn't start Postgres: no folder given")
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("couldn't start Postgres: %w", err)
	}
	bin, err := binariesFor(ctx, o, dir)
	if err != nil {
		return nil, err
	}
	c, err := openCluster(dir)
	if err != nil {
		return nil, fmt.Errorf("couldn't start Postgres in %s: %w", dir, err)
	}
	lock, err := c.takeLock(ctx)
	if err != nil {
		return nil, fmt.Errorf("couldn't start Postgres in %s: %w", dir, err)
	}
	defer func() {
		if err != nil {
			lock.Close()
		}
	}()
	if err = c.initialise(ctx, bin, o.Template); err != nil {
		return nil, fmt.Errorf("couldn't make a Postgres cluster in %s: %w", dir, err)
	}
	s := &Server{dir: dir, run: c.run, lock: lock, done: make(chan struct{})}
	if err = s.launch(ctx, c, bin, o.Settings); err != nil {
		return nil, fmt.Errorf("couldn't start Postgres in %s: %w", dir, err)
	}
	return s, nil
}

// launch starts the postmaster and waits until it says that it is ready.
func (s *Server) launch(ctx context.Context, c *cluster, bin string, settings map[string]string) error {
	logPath := filepath.Join(c.dir, "postgres.log")
	if fi, err := os.Stat(logPath); err == nil && fi.Size() > maxLogBytes {
		_ = os.Remove(logPath)
	}
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	from, _ := log.Seek(0, 2)

	args := []string{"-D", c.data}
	keys := make([]string, 0, len(settings))
	for k := range settings {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		args = append(args, "-c", k+"="+settings[k])
	}
	// Ours come last, so that no setting can open a port.
	args = append(args, "-c", "listen_addresses=", "-c", "port="+socketPort,
		"-c", "unix_socket_directories="+quoteList(c.run), "-c", "unix_socket_permissions=0700",
		"-c", "logging_collector=off", "-c", "log_destination=stderr")
	s.cmd = exec.Command(filepath.Join(bin, "postgres"), args...)
	s.cmd.Dir = c.dir
	s.cmd.Env = environment()
	s.cmd.Stdout, s.cmd.Stderr = log, log
	// The lock is inherited: it is free again when the last process of this server is gone,
	// also when its parent was killed.
	s.cmd.ExtraFiles = []*os.File{s.lock}
	s.cmd.SysProcAttr = c.attributes(syscall.SIGINT)

	started := make(chan error)
	go func() {
		// The parent-death signal is sent when the thread that forked ends, so that thread
		// has to live as long as the server.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := s.cmd.Start()
		started <- err
		if err == nil {
			s.err = s.cmd.Wait()
			close(s.done)
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		if c.ready(s.cmd.Process.Pid) {
			return nil
		}
		select {
		case <-tick.C:
		case <-s.done:
			return fmt.Errorf("the server ended at once (%w); its last words:\n%s", s.err, tail(logPath, from))
		case <-ctx.Done():
			s.signalAll(syscall.SIGKILL)
			<-s.done
			return fmt.Errorf("the server wasn't ready in time (%w); its last words:\n%s", ctx.Err(), tail(logPath, from))
		}
	}
}

// DSN returns the address of a database of this server, as a URL that psql and pgx
// understand. It stays the same over restarts in the same Dir.
func (s *Server) DSN(database string) string {
	u := url.URL{Scheme: "postgres", User: url.User(Superuser), Path: "/" + database,
		RawQuery: "host=" + strings.ReplaceAll(url.QueryEscape(s.run), "%2F", "/")}
	return u.String()
}

// SocketDir returns the folder of the socket, what PGHOST wants.
func (s *Server) SocketDir() string { return s.run }

// Pid returns the process id of the postmaster.
func (s *Server) Pid() int { return s.cmd.Process.Pid }

// Done is closed when the server has ended, whoever ended it.
func (s *Server) Done() <-chan struct{} { return s.done }

// Stop shuts the server down: a fast shutdown, which rolls open transactions back and writes
// everything to disk; an immediate one if that takes too long. It returns when the last of its processes
// is gone. Calling it again does nothing.
func (s *Server) Stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return nil
	}
	s.stopped = true
	s.signalAll(syscall.SIGCONT) // a frozen server could not hear the rest
	_ = s.cmd.Process.Signal(syscall.SIGINT)
	var late error
	select {
	case <-s.done:
	case <-time.After(stopTimeout):
		late = fmt.Errorf("couldn't shut Postgres in %s down within %v: ended it at once, it will recover at its next start", s.dir, stopTimeout)
		_ = s.cmd.Process.Signal(syscall.SIGQUIT)
		select {
		case <-s.done:
		case <-time.After(stopTimeout):
			s.signalAll(syscall.SIGKILL)
			<-s.done
		}
	}
	s.release()
	return late
}

// release waits until no process of the server holds the lock that it inherited, then lets it go.
func (s *Server) release() {
	s.lock.Close()
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if f, err := lockFile(ctx, filepath.Join(s.dir, "lock"), func() error { return nil }); err == nil {
		f.Close()
	}
}

// Kill ends every process of the server with SIGKILL, as a power cut would. The next Start
// in the same Dir recovers. For fault tests.
func (s *Server) Kill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return nil
	}
	s.stopped = true
	s.signalAll(syscall.SIGKILL)
	<-s.done
	s.release()
	return nil
}

// Freeze stops every process of the server with SIGSTOP: connections stay open, nothing answers.
// For fault tests; Thaw ends it.
func (s *Server) Freeze() { s.signalAll(syscall.SIGSTOP) }

// Thaw lets a frozen server go on.
func (s *Server) Thaw() { s.signalAll(syscall.SIGCONT) }

// signalAll signals the postmaster first, so that it starts nothing new, then its children.
// Each backend is a session of its own, so that a process group does not reach them.
func (s *Server) signalAll(sig syscall.Signal) {
	select {
	case <-s.done:
		return
	default:
	}
	first := sig
	if sig == syscall.SIGKILL {
		first = syscall.SIGSTOP // the children of a postmaster that is gone could not be found
	}
	_ = s.cmd.Process.Signal(first)
	children := childrenOf(s.cmd.Process.Pid)
	if sig == syscall.SIGKILL {
		_ = s.cmd.Process.Kill()
	}
	for _, c := range children {
		_ = syscall.Kill(c, sig)
	}
}

// childrenOf lists the children of a process, from proc(5).
func childrenOf(pid int) []int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return nil
	}
	var out []int
	for _, f := range strings.Fields(string(text)) {
		if n, err := strconv.Atoi(f); err == nil {
			out = append(out, n)
		}
	}
	return out
}

// environment is ours without what would change a server or initdb behind our back.
func environment() []string {
	var out []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "PG") && !strings.HasPrefix(e, "LC_") && !strings.HasPrefix(e, "LANG") && !strings.HasPrefix(e, "TZ=") {
			out = append(out, e)
		}
	}
	return append(out, "LC_ALL=C.UTF-8", "TZ=UTC")
}

// quoteList quotes one element of a setting that is a comma-separated list.
func quoteList(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// tail returns what the log says from an offset on, its last 2,000 bytes.
func tail(path string, from int64) string {
	text, err := os.ReadFile(path)
	if err != nil || int64(len(text)) <= from {
		return "(none)"
	}
	text = text[from:]
	if len(text) > 2000 {
		text = text[len(text)-2000:]
	}
	return strings.TrimSpace(string(text))
}
