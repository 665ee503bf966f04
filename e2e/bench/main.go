// Command bench measures the whole engine against the floor of what it stands on, in one run: `make bench`.
//
// It starts Postgres, an engine with 10,000 freephone numbers, one with 1,000,000, and a floor: a server on the same
// router and net/http that answers with the same bytes without looking at the question. `ringmaster load` asks each
// in turn, in rounds. Figures are medians over the rounds, one line each: name, value, unit. Ratios are made inside a
// round and mean something on any machine; absolute figures are those of this machine, on which servers and
// generator share the processors. While others_percent is more than a little, somebody else does too, and times say little.
// Nothing fails because it is slow.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"ringmaster/store/postgres"
)

// Both sizes of the operators' tables, in numbers.
const (
	small = 10_000
	large = 1_000_000
)

const connections = 64

func main() {
	if len(os.Args) > 1 && os.Args[1] == "floor" {
		fail(floor())
		return
	}
	short := flag.Bool("short", false, "few and short rounds, within a minute and a half")
	profile := flag.String("profile", "", "write a CPU profile of the engine with 10,000 numbers under full load to this `file`")
	only := flag.String("only", "", "measure this `part` only: engine, carrier, money or micro")
	patience := flag.Duration("patience", 0, "measure again, for so long in all, what other programs disturbed")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b := bench{short: *short, edits: 400, rounds: 6, length: 5 * time.Second, openLength: 10 * time.Second, microTime: "1s", only: *only, profile: *profile, patience: *patience}
	if *short {
		b.rounds, b.edits, b.length, b.openLength, b.microTime = 3, 100, 1500*time.Millisecond, 3*time.Second, "100ms"
	}
	fail(b.run(ctx))
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type bench struct {
	short              bool
	edits              int           // whose way to the first answer is timed
	loads              atomic.Uint64 // runs of the generator so far: the next one draws other numbers
	rounds             int
	length, openLength time.Duration // of one measurement, closed and open loop
	microTime          string        // -benchtime of the small benchmarks
	profile            string
	only               string        // the part that is measured; empty: all
	patience           time.Duration // what is left of it
	asked, refused     int64         // answers, and those that were no connect: what the budget refused
	folder             string        // of everything that is made on the way
}

// say is for people; figures go to standard output.
func say(format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", arguments...)
}

func figure(name string, value float64, unit string) {
	fmt.Printf("%-28s %12.4g %s\n", name, value, unit)
}

func (b *bench) run(ctx context.Context) (err error) {
	if b.folder, err = os.MkdirTemp("", "rm-bench-"); err != nil {
		return fmt.Errorf("couldn't make a folder: %w", err)
	}
	defer os.RemoveAll(b.folder)
	if err := os.Chmod(b.folder, 0o755); err != nil { // Postgres may run as another user
		return err
	}
	say("%s, %d processors; building", runtime.Version(), runtime.GOMAXPROCS(0))
	if _, err := run(ctx, nil, "go", "build", "-o", b.program(), "./cmd/ringmaster"); err != nil {
		return err
	}
	server, err := postgres.Start(ctx, postgres.Options{Dir: filepath.Join(b.folder, "pg"), Install: true,
		Progress: func(line string) { say("%s", line) },
		Settings: map[string]string{"fsync": "off", "max_wal_size": "4GB", "shared_buffers": "256MB"}})
	if err != nil {
		return err
	}
	defer server.Stop()
	for _, part := range []struct {
		name string
		run  func() error
	}{
		{"engine", func() error { return b.engines(ctx, server) }},
		{"carrier", func() error { return b.carrier(ctx, server) }},
		{"money", func() error { return b.money(ctx) }},
		{"micro", func() error { return b.micro(ctx) }},
	} {
		if b.only != "" && b.only != part.name {
			continue
		}
		if err := part.run(); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) program() string { return filepath.Join(b.folder, "ringmaster") }

// engines measures the engine with both sizes, and the floor.
func (b *bench) engines(ctx context.Context, server *postgres.Server) error {
	engine10k, err := b.engine(ctx, server, "engine10k", small)
	if err != nil {
		return err
	}
	defer engine10k.stop()
	engine1m, err := b.engine(ctx, server, "engine1m", large)
	if err != nil {
		return err
	}
	defer engine1m.stop()
	if bytes, err := engine1m.resident(); err == nil {
		figure("resident_1m_mib", float64(bytes)/(1<<20), "MiB")
	}
	reply, err := sampleReply(ctx, engine10k)
	if err != nil {
		return err
	}
	floor, err := startFloor(reply)
	if err != nil {
		return err
	}
	defer floor.stop()
	figure("reply_bytes", float64(len(reply)), "B")
	return b.measure(ctx, floor, engine10k, engine1m)
}

// measure makes the rounds and prints what they come to.
func (b *bench) measure(ctx context.Context, floor, engine10k, engine1m *process) error {
	servers := []*process{floor, engine10k, engine1m}
	for _, p := range servers {
		if _, err := b.load(ctx, p, time.Second, 0); err != nil { // warms up; a fault ends the bench here
			return err
		}
	}
	closed := make(map[*process][]sample)
	for round := range b.rounds {
		for i := range servers {
			p := servers[(i+round)%len(servers)]
			s, err := b.quietly(ctx, p, b.length, 0)
			if err != nil {
				return err
			}
			say("round %d of %d: %-9s %6.0f queries/s, %5.1f µs of CPU each, p99 %.2f ms (generator %.1f µs, others %.0f %%)",
				round+1, b.rounds, p.name, s.PerSecond, s.cpu, s.Latency.P99, s.GeneratorCPU, s.others*100)
			closed[p] = append(closed[p], s)
		}
	}
	throughput := func(s sample) float64 { return s.PerSecond }
	cpu := func(s sample) float64 { return s.cpu }
	others := func(s sample) float64 { return s.others }
	half := median(closed[engine10k], throughput) / 2
	figure("floor_throughput", median(closed[floor], throughput), "queries/s")
	figure("engine_throughput", median(closed[engine10k], throughput), "queries/s")
	figure("engine_1m_throughput", median(closed[engine1m], throughput), "queries/s")
	figure("engine_over_floor", ratio(closed[engine10k], closed[floor], throughput), "ratio")
	figure("engine_1m_over_10k", ratio(closed[engine1m], closed[engine10k], throughput), "ratio")
	figure("floor_cpu_us", median(closed[floor], cpu), "us/query")
	figure("engine_cpu_us", median(closed[engine10k], cpu), "us/query")
	figure("engine_1m_cpu_us", median(closed[engine1m], cpu), "us/query")
	figure("query_cpu_us", difference(closed[engine10k], closed[floor], cpu), "us/query")
	figure("generator_cpu_us", median(closed[engine10k], func(s sample) float64 { return s.GeneratorCPU }), "us/query")

	figure("others_percent", 100*median(slices.Concat(closed[floor], closed[engine10k], closed[engine1m]), others), "% of the machine")

	if b.profile != "" {
		if err := b.takeProfile(ctx, engine10k); err != nil {
			return err
		}
	}
	open := make(map[*process][]sample)
	for round := range b.rounds {
		for i := range servers {
			p := servers[(i+round)%len(servers)]
			s, err := b.quietly(ctx, p, b.openLength, half)
			if err != nil {
				return err
			}
			say("open loop %d of %d: %-9s at %.0f/s: p50 %.2f, p99 %.2f, p99.9 %.2f, max %.1f ms (sent late: p99 %.2f ms, others %.0f %%)",
				round+1, b.rounds, p.name, half, s.Latency.P50, s.Latency.P99, s.Latency.P999, s.Latency.Max, s.Delay.P99, s.others*100)
			open[p] = append(open[p], s)
		}
	}
	p99 := func(s sample) float64 { return s.Latency.P99 }
	p999 := func(s sample) float64 { return s.Latency.P999 }
	figure("open_loop_rate", half, "queries/s")
	figure("p50_ms", median(open[engine10k], func(s sample) float64 { return s.Latency.P50 }), "ms")
	figure("p99_ms", median(open[engine10k], p99), "ms")
	figure("p999_ms", median(open[engine10k], p999), "ms")
	figure("p99_1m_ms", median(open[engine1m], p99), "ms")
	figure("p999_1m_ms", median(open[engine1m], p999), "ms")
	figure("floor_p99_ms", median(open[floor], p99), "ms")
	figure("floor_p999_ms", median(open[floor], p999), "ms")
	figure("p99_over_floor", ratio(open[engine10k], open[floor], p99), "ratio")
	figure("p999_over_floor", ratio(open[engine10k], open[floor], p999), "ratio")
	figure("open_others_percent", 100*median(slices.Concat(open[floor], open[engine10k], open[engine1m]), others), "% of the machine")
	figure("over_budget_ppm", float64(b.refused)/float64(b.asked)*1e6, "ppm")
	figure("send_delay_p99_ms", median(open[engine10k], func(s sample) float64 { return s.Delay.P99 }), "ms")
	return nil
}

// engine makes a database with so many numbers and starts an engine on it.
func (b *bench) engine(ctx context.Context, server *postgres.Server, name string, numbers int) (*process, error) {
	dsn, err := b.database(ctx, server, name)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := fillDatabase(ctx, dsn, numbers); err != nil {
		return nil, err
	}
	say("%s: %d numbers written in %.1f s", name, numbers, time.Since(began).Seconds())
	began = time.Now()
	p, err := b.serve(ctx, name, dsn)
	if err == nil {
		figure(name+"_ready_s", time.Since(began).Seconds(), "s")
	}
	return p, err
}

// database makes a database with all migrations.
func (b *bench) database(ctx context.Context, server *postgres.Server, name string) (dsn string, err error) {
	conn, err := pgx.Connect(ctx, server.DSN("postgres"))
	if err != nil {
		return "", fmt.Errorf("couldn't connect to Postgres: %w", err)
	}
	_, err = conn.Exec(ctx, "CREATE DATABASE "+name)
	conn.Close(context.Background())
	if err != nil {
		return "", fmt.Errorf("couldn't create a database: %w", err)
	}
	dsn = server.DSN(name)
	_, err = run(ctx, nil, b.program(), "migrate", "--database", dsn)
	return dsn, err
}

// serve starts an engine on a database and waits until it answers.
func (b *bench) serve(ctx context.Context, name, dsn string) (*process, error) {
	began := time.Now()
	calls, admin, err := freePorts()
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(b.folder, name+".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd := exec.Command(b.program(), "serve", "--database", dsn, "--listen", calls, "--admin-listen", admin)
	cmd.Stdout, cmd.Stderr = log, log
	p, err := startProcess(name, cmd)
	if err != nil {
		return nil, err
	}
	p.url, p.admin = "http://"+calls+"/RPC2", "http://"+admin
	for ready := false; !ready; {
		select {
		case err := <-p.done:
			text, _ := os.ReadFile(log.Name())
			return nil, fmt.Errorf("the %s ended: %v\n%s", name, err, text)
		case <-ctx.Done():
			p.stop()
			return nil, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
		if reply, err := http.Get(p.admin + "/readyz"); err == nil {
			reply.Body.Close()
			ready = reply.StatusCode == http.StatusOK
		}
		if !ready && time.Since(began) > 2*time.Minute {
			p.stop()
			text, _ := os.ReadFile(log.Name())
			return nil, fmt.Errorf("the %s isn't ready after two minutes\n%s", name, text)
		}
	}
	return p, nil
}

// sampleReply is what the engine answers to a call.start: the bytes of the floor.
func sampleReply(ctx context.Context, engine *process) ([]byte, error) {
	members := []string{"call_id", "sample-1", "node", nodeName, "channel", "PJSIP/softswitch-000000000001", "caller", "493012345678",
		"called", fmt.Sprint(firstNumber), "presentation", "allowed"}
	var body strings.Builder
	body.WriteString(`<?xml version="1.0"?><methodCall><methodName>call.start</methodName><params><param><value><struct>`)
	for i := 0; i < len(members); i += 2 {
		fmt.Fprintf(&body, "<member><name>%s</name><value><string>%s</string></value></member>", members[i], members[i+1])
	}
	body.WriteString("</struct></value></param></params></methodCall>")
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, engine.url, strings.NewReader(body.String()))
	if err != nil {
		return nil, err
	}
	request.SetBasicAuth(nodeName, nodeSecret)
	request.Header.Set("Content-Type", "text/xml")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("couldn't ask the engine: %w", err)
	}
	defer answer.Body.Close()
	reply, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK || !strings.Contains(string(reply), "<string>connect</string>") {
		return nil, fmt.Errorf("the engine did not connect the call: %s, %v\n%s", answer.Status, err, reply)
	}
	return reply, nil
}

// sample is what one measurement comes to: the part of ringmaster load's result that is used here, and the server's CPU.
type sample struct {
	Answers      int64   `json:"answers"`
	PerSecond    float64 `json:"answers_per_second"`
	Connects     int64   `json:"connects"`
	GeneratorCPU float64 `json:"generator_cpu_us"`
	Latency      latency `json:"latency_ms"`
	Delay        latency `json:"send_delay_ms"`
	Intervals    []struct {
		At        time.Time `json:"at"`
		Histogram string    `json:"latency_histogram"` // µs
	} `json:"intervals"`
	cpu    float64 // µs per query
	others float64 // part of the machine that something else used meanwhile, 0 to 1
}

type latency struct {
	P50  float64 `json:"p50"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99.9"`
	Max  float64 `json:"max"`
}

// load asks a server for a while: closed loop, or at a rate. Answers that came too late for the budget are counted, for
// time is never an error here; but when most answers are no connect, what is measured is not what it says.
func (b *bench) load(ctx context.Context, p *process, length time.Duration, rate float64, more ...string) (s sample, err error) {
	numbers := small
	switch p.name {
	case "engine1m":
		numbers = large
	case "carrier":
		numbers = large / 10 // as many as there are in a short round, too
	}
	return b.ask(ctx, p, fmt.Sprintf("%d-%d", firstNumber, firstNumber+numbers-1), callers, length, rate, more...)
}

// ask is load for any numbers, called and calling.
func (b *bench) ask(ctx context.Context, p *process, called, caller string, length time.Duration, rate float64, more ...string) (s sample, err error) {
	b.loads.Add(1)
	arguments := []string{"load", "--url", p.url, "--node", nodeName, "--called", called,
		"--caller", caller, "--connections", fmt.Sprint(connections), "--duration", length.String(), "--seed", fmt.Sprint(b.loads.Load()), "--json"}
	arguments = append(arguments, more...)
	if rate > 0 {
		arguments = append(arguments, "--rate", fmt.Sprintf("%.0f", rate))
	}
	before, err := p.cpu()
	if err != nil {
		return s, err
	}
	machine, began := machineCPU(), time.Now()
	out, failed := run(ctx, []string{"RINGMASTER_SECRET=" + nodeSecret}, b.program(), arguments...)
	machine, took := machineCPU()-machine, time.Since(began)
	if failed != nil && len(out) == 0 {
		return s, failed
	}
	after, err := p.cpu()
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(out, &s); err != nil {
		return s, fmt.Errorf("couldn't read the result of ringmaster load: %w", err)
	}
	refuses := p.name == "money" // what it cannot do in time: at full load always, and at half of it when others use the machine
	if s.Connects*10 < s.Answers*9 && !refuses || s.Connects == 0 {
		return s, fmt.Errorf("%s: %d of %d answers were a connect; p50 %.1f, p99 %.1f ms", p.name, s.Connects, s.Answers, s.Latency.P50, s.Latency.P99)
	}
	if p.name != "money" {
		b.refused += s.Answers - s.Connects
		b.asked += s.Answers
	}
	s.cpu = float64((after - before).Microseconds()) / float64(s.Answers)
	own := (s.cpu + s.GeneratorCPU) * float64(s.Answers) * float64(time.Microsecond)
	s.others = max(0, float64(machine)-own) / float64(took) / float64(runtime.NumCPU())
	return s, nil
}

// disturbed is the part of the machine that others may use during a measurement before it is made again.
const disturbed = 0.1

// quietly is load, made again while others disturb it and there is patience.
func (b *bench) quietly(ctx context.Context, p *process, length time.Duration, rate float64) (sample, error) {
	for {
		began := time.Now()
		s, err := b.load(ctx, p, length, rate)
		if err != nil || s.others <= disturbed || b.patience <= 0 {
			return s, err
		}
		select {
		case <-ctx.Done():
			return s, ctx.Err()
		case <-time.After(time.Second):
		}
		b.patience -= time.Since(began)
	}
}

// takeProfile writes a CPU profile of an engine under full load.
func (b *bench) takeProfile(ctx context.Context, p *process) error {
	done := make(chan error, 1)
	go func() {
		done <- func() error {
			reply, err := http.Get(p.admin + "/debug/pprof/profile?seconds=5")
			if err != nil {
				return err
			}
			defer reply.Body.Close()
			profile, err := io.ReadAll(reply.Body)
			if err == nil && reply.StatusCode != http.StatusOK {
				err = fmt.Errorf("%s: %s", reply.Status, profile)
			}
			if err != nil {
				return err
			}
			return os.WriteFile(b.profile, profile, 0o644)
		}()
	}()
	if _, err := b.load(ctx, p, 7*time.Second, 0); err != nil {
		return err
	}
	if err := <-done; err != nil {
		return fmt.Errorf("couldn't take a profile: %w", err)
	}
	say("a profile is in %s", b.profile)
	return nil
}

func median(samples []sample, of func(sample) float64) float64 {
	values := make([]float64, len(samples))
	for i, s := range samples {
		values[i] = of(s)
	}
	return middle(values)
}

// ratio is the median of the rounds' own ratios, difference that of their differences.
func ratio(a, b []sample, of func(sample) float64) float64 {
	values := make([]float64, len(a))
	for i := range a {
		values[i] = of(a[i]) / of(b[i])
	}
	return middle(values)
}

func difference(a, b []sample, of func(sample) float64) float64 {
	values := make([]float64, len(a))
	for i := range a {
		values[i] = of(a[i]) - of(b[i])
	}
	return middle(values)
}

func middle(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	if n == 0 {
		return 0
	}
	return (values[(n-1)/2] + values[n/2]) / 2
}
