package postgres

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// shortDir is a folder whose socket path fits.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "rmpg")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "pg")
}

func start(t *testing.T, o Options) *Server {
	t.Helper()
	if o.Template == "" {
		o.Template = os.Getenv("TEST_TEMPLATE") // initdb once is enough
	}
	s, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	return s
}

// client is the psql that came with the server.
func client(t *testing.T) string {
	t.Helper()
	bin, err := FindBinaries()
	if err != nil {
		t.Fatal(err)
	}
	bin, err = filepath.EvalSymlinks(filepath.Join(bin, "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(filepath.Dir(bin), "psql")
}

// psql runs one statement.
func psql(t *testing.T, s *Server, sql string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), client(t), "-XAtq", "-v", "ON_ERROR_STOP=1", s.DSN("postgres"), "-c", sql)
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func mustPsql(t *testing.T, s *Server, sql string) string {
	t.Helper()
	out, err := psql(t, s, sql)
	if err != nil {
		t.Fatalf("%s: %v\n%s", sql, err, out)
	}
	return out
}

func TestServerListensOnItsSocketOnly(t *testing.T) {
	dir := shortDir(t)
	s := start(t, Options{Dir: dir, Settings: map[string]string{"listen_addresses": "*", "work_mem": "5MB"}})
	for setting, want := range map[string]string{
		"listen_addresses": "", "data_checksums": "on", "lc_collate": "C.UTF-8", "server_encoding": "UTF8",
		"fsync": "on", "work_mem": "5MB", "unix_socket_permissions": "0700", "TimeZone": "UTC",
	} {
		if got := mustPsql(t, s, "SHOW "+setting); got != want {
			t.Errorf("%s is %q, want %q", setting, got, want)
		}
	}
	for _, p := range []string{dir, filepath.Join(dir, "data"), s.SocketDir()} {
		fi, err := os.Stat(p)
		if err != nil {
			t.Fatal(err)
		}
		if fi.Mode().Perm() != 0o700 {
			t.Errorf("%s has mode %o, want 0700", p, fi.Mode().Perm())
		}
	}
}

func TestStopAndWarmRestartKeepTheDataAndTheAddress(t *testing.T) {
	dir := shortDir(t)
	s := start(t, Options{Dir: dir})
	mustPsql(t, s, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (42)")
	before := s.DSN("postgres")
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err != nil {
		t.Fatalf("stopping twice: %v", err)
	}
	select {
	case <-s.Done():
	default:
		t.Fatal("stopped, but not done")
	}
	s = start(t, Options{Dir: dir})
	if s.DSN("postgres") != before {
		t.Errorf("the address changed from %s to %s", before, s.DSN("postgres"))
	}
	if got := mustPsql(t, s, "SELECT n FROM kept"); got != "42" {
		t.Errorf("read %q after the restart, want 42", got)
	}
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	s = start(t, Options{Dir: dir})
	if got := mustPsql(t, s, "SELECT n FROM kept"); got != "42" {
		t.Errorf("read %q after the kill, want 42", got)
	}
}

func TestSecondServerOnOneFolderIsRefused(t *testing.T) {
	dir := shortDir(t)
	s := start(t, Options{Dir: dir})
	_, err := Start(t.Context(), Options{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Fatalf("got %v, want a refusal that names process %d", err, os.Getpid())
	}
	if got := mustPsql(t, s, "SELECT 1"); got != "1" {
		t.Fatalf("the first server answers %q", got)
	}
}

func TestTemplateIsMadeOnceAndCopied(t *testing.T) {
	template := t.TempDir()
	for range 2 {
		s := start(t, Options{Dir: shortDir(t), Template: template})
		if got := mustPsql(t, s, "SELECT pg_is_in_recovery()"); got != "f" {
			t.Fatalf("got %q", got)
		}
	}
	kept, err := filepath.Glob(filepath.Join(template, "*", "PG_VERSION"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("kept %v, %v; want one cluster", kept, err)
	}
}

func TestFreezeStopsAnswersAndThawLetsThemGo(t *testing.T) {
	s := start(t, Options{Dir: shortDir(t)})
	mustPsql(t, s, "SELECT 1")
	s.Freeze()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	err := exec.CommandContext(ctx, client(t), "-XAtq", s.DSN("postgres"), "-c", "SELECT 1").Run()
	if err == nil || ctx.Err() == nil {
		t.Fatalf("a frozen server answered (%v)", err)
	}
	s.Thaw()
	mustPsql(t, s, "SELECT 1")
	s.Freeze()
	if err := s.Stop(); err != nil { // Stop must get through to a frozen server
		t.Fatal(err)
	}
}

// TestMain lets the test binary be a parent that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("TEST_PARENT_DIR"); dir != "" {
		s, err := Start(context.Background(), Options{Dir: dir, Template: os.Getenv("TEST_TEMPLATE")})
		if err != nil {
			os.Stdout.WriteString("error: " + err.Error() + "\n")
			os.Exit(1)
		}
		os.Stdout.WriteString(strconv.Itoa(s.Pid()) + "\n")
		select {}
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	template, err := os.MkdirTemp("", "rmpgtemplate")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(template)
	os.Setenv("TEST_TEMPLATE", template)
	return m.Run()
}

func TestServerGoesDownWithAKilledParent(t *testing.T) {
	dir := shortDir(t)
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), "TEST_PARENT_DIR="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 200)
	n, _ := out.Read(line)
	pid, err := strconv.Atoi(strings.TrimSpace(string(line[:n])))
	if err != nil {
		t.Fatalf("the parent said %q", line[:n])
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	// Start waits for the orphan's lock, so its success says that the orphan is gone.
	s := start(t, Options{Dir: dir})
	if err := syscall.Kill(pid, 0); err != nil && !errors.Is(err, syscall.ESRCH) {
		t.Fatal(err)
	}
	log, err := os.ReadFile(filepath.Join(dir, "postgres.log"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(log), "received fast shutdown request") || strings.Contains(string(log), "was interrupted") {
		t.Errorf("the orphan didn't shut down cleanly:\n%s", log)
	}
	mustPsql(t, s, "SELECT 1")
}

func TestBadFoldersAreRefusedAndLeftAlone(t *testing.T) {
	parent := filepath.Dir(shortDir(t))
	for name, make := range map[string]func(string) error{
		"foreign": func(p string) error {
			return errors.Join(os.Mkdir(p, 0o755), os.WriteFile(filepath.Join(p, "letter.txt"), []byte("dear"), 0o644))
		},
		"file": func(p string) error { return os.WriteFile(p, nil, 0o644) },
	} {
		t.Run(name, func(t *testing.T) {
			p := filepath.Join(parent, name)
			if err := make(p); err != nil {
				t.Fatal(err)
			}
			before, _ := os.ReadDir(p)
			if s, err := Start(t.Context(), Options{Dir: p}); err == nil {
				_ = s.Stop()
				t.Fatal("accepted")
			} else {
				t.Log(err)
			}
			if after, _ := os.ReadDir(p); len(after) != len(before) {
				t.Errorf("the folder changed: %v", after)
			}
		})
	}
	if os.Getuid() == 0 {
		p := filepath.Join(parent, "closed", "pg")
		if err := os.MkdirAll(p, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		_, err := Start(t.Context(), Options{Dir: filepath.Join(p, "x")})
		if err == nil || !strings.Contains(err.Error(), "may not enter") {
			t.Errorf("got %v, want a refusal that names the folder that can't be entered", err)
		}
	}
}

func TestLongFolderGetsAShortSocket(t *testing.T) {
	dir := filepath.Join(shortDir(t), strings.Repeat("long/", 20))
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	s := start(t, Options{Dir: dir})
	t.Cleanup(func() { os.RemoveAll(s.SocketDir()) })
	if n := len(s.SocketDir()) + len("/.s.PGSQL.5432"); n > maxSocket {
		t.Fatalf("the socket's path has %d bytes", n)
	}
	mustPsql(t, s, "SELECT 1")
}

func TestMissingBinariesAreExplained(t *testing.T) {
	t.Setenv(BinVariable, t.TempDir())
	_, err := Start(t.Context(), Options{Dir: shortDir(t), Install: true})
	if !errors.Is(err, ErrNoBinaries) || !strings.Contains(err.Error(), BinVariable) {
		t.Fatalf("got %v", err)
	}
}

func TestInstallNeverLetsThePackageTakeAPort(t *testing.T) {
	conf := filepath.Join(t.TempDir(), "etc", "createcluster.conf")
	if err := forbidMainCluster(conf); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(conf)
	if err != nil || string(text) != "create_main_cluster = false\n" {
		t.Fatalf("wrote %q, %v", text, err)
	}
	if err := forbidMainCluster(conf); err != nil {
		t.Errorf("refused its own file: %v", err)
	}
	theirs := "#create_main_cluster = false\nstart_conf = 'auto'\n"
	if err := os.WriteFile(conf, []byte(theirs), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := forbidMainCluster(conf); err == nil {
		t.Error("an administrator's file that allows a cluster was accepted")
	}
	if text, _ := os.ReadFile(conf); string(text) != theirs {
		t.Errorf("the administrator's file was changed to %q", text)
	}
}

func TestDebianIsRecognised(t *testing.T) {
	for text, want := range map[string]bool{
		"ID=debian\n": true, "ID=ubuntu\nID_LIKE=debian\n": true, "ID=pop\nID_LIKE=\"ubuntu debian\"\n": true,
		"ID=fedora\n": false, "NAME=debianish\nID=arch\n": false,
	} {
		p := filepath.Join(t.TempDir(), "os-release")
		if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := isDebian(p); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}
