//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"ringmaster/store/postgres"
)

// stack is a whole system: Postgres, an engine, and (newStack) an agent, an Asterisk and phones around it.
type stack struct {
	folder string // logs, configuration, sockets; kept and named when the test fails
	net    addresses

	node, secret string
	nodeHost     string // of Asterisk and its agent
	engineHost   string
	otherHost    string // of a second engine, when a test starts one

	postgres *postgres.Server
	db       *pgxpool.Pool
	engine   *process
	other    *process // a second engine
	agent    *process
	asterisk *process
	phones   map[string]*phone

	agentFlags []string // besides those of every agent

	calls   atomic.Int32 // placed
	callers atomic.Int32 // numbers given out
}

// Ports are those of the field; each server has an address of its own.
const (
	enginePort = 4570
	adminPort  = 4571
	httpPort   = 4574 // the agent's face for CURL()
	agiPort    = 4573 // the agent's FastAGI face
	amiPort    = 5038 // Asterisk's manager interface
	sipPort    = 5060
)

// stacks bounds how many systems run at once: the machine may have two cores.
var stacks = make(chan struct{}, 4)

// newEngine starts Postgres with the rows of these services, and an engine on it.
func newEngine(t *testing.T, services []service) *stack {
	t.Helper()
	rows := []string{carrierRows}
	for _, v := range services {
		rows = append(rows, v.rows)
	}
	return newEngineWith(t, rows)
}

// newEngineWith starts Postgres with operators' rows, and an engine on it.
func newEngineWith(t *testing.T, rows []string) *stack {
	t.Helper()
	stacks <- struct{}{}
	t.Cleanup(func() { <-stacks })
	began := time.Now()
	folder, err := os.MkdirTemp("", "rm-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	s := &stack{folder: folder, net: newAddresses(t), node: "e2e1", secret: "correct-horse-battery"}
	s.nodeHost, s.engineHost, s.otherHost = s.net.host(1), s.net.host(2), s.net.host(3)
	t.Cleanup(func() { s.close(t, began) })
	s.startPostgres(t)
	if out, err := exec.Command(made.ringmaster, "migrate", "--database", s.database()).CombinedOutput(); err != nil {
		t.Fatalf("ringmaster migrate: %v\n%s", err, out)
	}
	if s.db, err = pgxpool.New(t.Context(), s.database()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.db.Close)
	s.edit(t, "INSERT INTO node (node) VALUES ('"+s.node+"'); SELECT set_node_secret('"+s.node+"', '"+s.secret+"')")
	for _, sql := range rows {
		s.edit(t, sql)
	}
	s.startEngine(t)
	return s
}

// newStack starts a whole system.
func newStack(t *testing.T, services []service) *stack {
	t.Helper()
	s := newEngine(t, services)
	s.startNode(t)
	return s
}

// startNode starts an agent, an Asterisk and phones around the engine. agentFlags must be set by then.
func (s *stack) startNode(t *testing.T) {
	t.Helper()
	s.startAgent(t)
	s.startAsterisk(t)
	s.startPhones(t)
	eventually(t, 10*time.Second, "the agent has Asterisk's manager interface", func() error {
		if n := s.agentMetric(t, "ringmaster_agent_ami_up"); n != 1 {
			return fmt.Errorf("ringmaster_agent_ami_up is %v", n)
		}
		return nil
	})
}

// agentMetric reads a metric of the agent; -1: it does not answer, or has none of that name and those labels.
func (s *stack) agentMetric(t testing.TB, name string) float64 {
	t.Helper()
	client := http.Client{Timeout: 2 * time.Second}
	reply, err := client.Get("http://" + s.nodeHost + ":4575/metrics")
	if err != nil {
		return -1
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err != nil {
		return -1
	}
	for _, line := range strings.Split(string(text), "\n") {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	return -1
}

// close says where the logs are when something failed, and clears away otherwise.
func (s *stack) close(t *testing.T, began time.Time) {
	if s.postgres != nil {
		if err := s.postgres.Stop(); err != nil {
			t.Logf("Postgres: %v", err)
		}
	}
	word := "passed"
	if t.Failed() {
		word = "FAILED, its logs are in " + s.folder
		t.Logf("logs, configuration and messages: %s", s.folder)
		for _, name := range []string{"engine", "agent"} {
			if log, err := os.ReadFile(filepath.Join(s.folder, name+".log")); err == nil {
				t.Logf("the end of the %s's log:\n%s", name, log[max(0, len(log)-3000):])
			}
		}
	} else if err := os.RemoveAll(s.folder); err != nil {
		t.Log(err)
	}
	progress("%s %s (%d calls, %.1f s)", t.Name(), word, s.calls.Load(), time.Since(began).Seconds())
}

var firstPostgres sync.Mutex

func (s *stack) startPostgres(t testing.TB) {
	t.Helper()
	firstPostgres.Lock() // the first one makes the template
	defer firstPostgres.Unlock()
	var err error
	s.postgres, err = postgres.Start(context.Background(), postgres.Options{
		Dir: filepath.Join(s.folder, "pg"), Template: made.template, Install: true, Progress: func(line string) { progress("%s", line) },
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (s *stack) database() string  { return s.postgres.DSN("postgres") }
func (s *stack) engineURL() string { return fmt.Sprintf("http://%s:%d/RPC2", s.engineHost, enginePort) }
func (s *stack) otherURL() string  { return fmt.Sprintf("http://%s:%d/RPC2", s.otherHost, enginePort) }

// edit changes operators' rows in one transaction and waits until the engines that run serve it.
func (s *stack) edit(t testing.TB, sql string, arguments ...any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var revision int64
	err := pgx.BeginFunc(ctx, s.db, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, sql, arguments...); err != nil {
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatalf("%v in %s", err, sql)
	}
	if s.engine == nil {
		return
	}
	if err := s.db.QueryRow(ctx, "SELECT revision FROM config_revision").Scan(&revision); err != nil {
		t.Fatal(err)
	}
	eventually(t, 2*time.Second, "the edit is live", func() error { return s.serves(s.engineHost, revision) })
}

// insert adds a service to the running system.
func (s *stack) insert(t testing.TB, v service) {
	t.Helper()
	s.edit(t, v.rows)
}

// serves returns nil when the engine answers from that revision or a later one.
func (s *stack) serves(host string, revision int64) error {
	client := http.Client{Timeout: 2 * time.Second}
	reply, err := client.Get(fmt.Sprintf("http://%s:%d/readyz", host, adminPort))
	if err != nil {
		return err
	}
	defer reply.Body.Close()
	var health struct {
		Ready    bool   `json:"ready"`
		Revision string `json:"revision"`
	}
	if err := json.NewDecoder(reply.Body).Decode(&health); err != nil {
		return err
	}
	if served, _ := strconv.ParseInt(health.Revision, 10, 64); !health.Ready || served < revision {
		return fmt.Errorf("ready %v, serves revision %s, want %d", health.Ready, health.Revision, revision)
	}
	return nil
}

func (s *stack) startEngine(t testing.TB) {
	t.Helper()
	s.engine = s.spawnEngine(t, "engine", s.engineHost)
	s.ready(t, s.engine, s.engineHost)
}

// startOtherEngine starts a second engine beside the first. The agent knows of both from its start.
func (s *stack) startOtherEngine(t testing.TB) {
	t.Helper()
	s.other = s.spawnEngine(t, "other-engine", s.otherHost)
	s.ready(t, s.other, s.otherHost)
}

// spawnEngine starts an engine and does not wait. Its budget is that of a machine on which four systems, their phones and a compiler share two processors: what is right is tested here, not how soon.
func (s *stack) spawnEngine(t testing.TB, name, host string) *process {
	t.Helper()
	return start(t, s.folder, name, nil, made.ringmaster, "serve", "--database", s.database(),
		"--listen", fmt.Sprintf("%s:%d", host, enginePort), "--admin-listen", fmt.Sprintf("%s:%d", host, adminPort), "--validator", "--budget", "200ms")
}

// ready waits until an engine answers calls.
func (s *stack) ready(t testing.TB, p *process, host string) {
	t.Helper()
	eventually(t, 20*time.Second, p.name+" is ready", func() error {
		if err := p.ended(); err != nil {
			return err
		}
		return s.serves(host, 0)
	})
}

func (s *stack) startAgent(t testing.TB) {
	t.Helper()
	s.agent = s.spawnAgent(t)
	for _, port := range []int{httpPort, agiPort} {
		eventually(t, 10*time.Second, "the agent listens", func() error {
			if err := s.agent.ended(); err != nil {
				return err
			}
			return listens("tcp", s.nodeHost, port)
		})
	}
}

// spawnAgent starts the agent and does not wait.
func (s *stack) spawnAgent(t testing.TB) *process {
	t.Helper()
	return start(t, s.folder, "agent", []string{"RINGMASTER_AGI_SECRET=" + s.secret, "RINGMASTER_AGI_AMI_SECRET=" + amiSecret}, made.agent, append(s.agentFlags, "--node", s.node,
		"--ami-address", fmt.Sprintf("%s:%d", s.nodeHost, amiPort), "--ami-user", "ringmaster",
		"--engine", s.engineURL(), "--engine", s.otherURL(), "--spool", s.spool(),
		"--http-listen", fmt.Sprintf("%s:%d", s.nodeHost, httpPort), "--agi-listen", fmt.Sprintf("%s:%d", s.nodeHost, agiPort),
		"--metrics-listen", s.nodeHost+":4575", "--asterisk-pid-file", filepath.Join(s.folder, "run/asterisk.pid"))...)
}

const amiSecret = "staple-of-the-e2e"

// spool is the folder that the agent and Asterisk share.
func (s *stack) spool() string { return filepath.Join(s.folder, "ringmaster") }

func (s *stack) startPhones(t testing.TB) {
	t.Helper()
	s.phones = map[string]*phone{}
	const ring = 200 * time.Millisecond
	s.phones[trunkAnswers] = s.phone(t, trunkAnswers, s.trunkHost(trunkAnswers), answers, ring, 0)
	s.phones[trunkShort] = s.phone(t, trunkShort, s.trunkHost(trunkShort), hangsUp, ring, shortTalk)
	s.phones[trunkBusy] = s.phone(t, trunkBusy, s.trunkHost(trunkBusy), isBusy, 0, 0)
	s.phones[trunkSilent] = s.phone(t, trunkSilent, s.trunkHost(trunkSilent), rings, 0, 0)
}

// cli runs a command on Asterisk's command line and returns what it printed.
func (s *stack) cli(t testing.TB, command string) string {
	t.Helper()
	out, err := s.tryCLI(command)
	if err != nil {
		t.Fatalf("asterisk -rx %q: %v\n%s", command, err, out)
	}
	return out
}

func (s *stack) tryCLI(command string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, filepath.Join(made.repository, "e2e/asterisk/enter.sh"), made.root, s.folder,
		"asterisk", "-C", s.asteriskConf(), "-rx", command).CombinedOutput()
	return string(out), err
}

// channelOf returns the caller's channel by the number it calls from.
func (s *stack) channelOf(t testing.TB, caller string) string {
	t.Helper()
	var channel string
	eventually(t, 5*time.Second, "the channel of "+caller, func() error {
		// Channel!Context!Exten!Priority!State!Application!Data!CallerID!…
		list := s.cli(t, "core show channels concise")
		for _, line := range strings.Split(list, "\n") {
			if f := strings.Split(line, "!"); len(f) > 7 && f[7] == caller && strings.HasPrefix(f[1], "ringmaster") {
				channel = f[0]
				return nil
			}
		}
		return fmt.Errorf("it is not in\n%s", list)
	})
	return channel
}
