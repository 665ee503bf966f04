package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"ringmaster/rpc"
	"ringmaster/rpc/api"
	"ringmaster/rpc/endpoint"
	"ringmaster/store"
	"ringmaster/store/ledger"
	"ringmaster/web"
)

// drainTimeout is how long queries under way may take when the engine is told to end.
const drainTimeout = 10 * time.Second

var errNoSnapshot = errors.New("no configuration has been loaded yet: is Postgres there, and migrated?")

// engineFlags are what serve and dev have in common. Each default is the one place where it stands.
type engineFlags struct {
	Listen       string        `default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Call listener: XML-RPC and the dialplan's form. Without TLS it must be loopback. (${default})"`
	AdminListen  string        `default:"127.0.0.1:8081" placeholder:"HOST:PORT" help:"Admin listener: the operator's page, /metrics, /healthz, /readyz, profiles. Not for nodes. (${default})"`
	AdminHost    []string      `placeholder:"NAME" help:"Names, besides addresses and localhost, under which browsers may open the page."`
	Certificate  string        `type:"path" placeholder:"FILE" help:"TLS certificate of the call listener (PEM)."`
	Key          string        `type:"path" placeholder:"FILE" help:"Its key (PEM)."`
	ClientCA     string        `name:"client-ca" type:"path" placeholder:"FILE" help:"Authorities (PEM) whose client certificates nodes may show instead of a secret."`
	Budget       time.Duration `default:"25ms" help:"Time for one query, request read to reply written. Later than that it is a fault. (${default})"`
	EndTimeout   time.Duration `default:"5s" help:"Time for an end of call to become durable before the node is told to try again. (${default})"`
	Engines      []string      `placeholder:"URL" help:"All engines in service, told to the nodes."`
	Name         string        `placeholder:"NAME" help:"This engine's name in engine_status. Default: host and port."`
	SnapshotFile string        `type:"path" placeholder:"FILE" help:"Save the configuration here, to start with it while Postgres is away. One file per engine; it holds secrets."`
	LogLevel     string        `enum:"debug,info,warn,error" default:"info" help:"debug, info, warn or error. (${default})"`
	LogFormat    string        `enum:"text,json" default:"text" help:"text or json. (${default})"`
}

func (f *engineFlags) logger(t terminal) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(f.LogLevel)) // kong has checked it
	options := &slog.HandlerOptions{Level: level}
	if f.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(t.err, options))
	}
	return slog.New(slog.NewTextHandler(t.err, options))
}

// engineName names this engine among those that share a database.
func (f *engineFlags) engineName() string {
	if f.Name != "" {
		return f.Name
	}
	host, err := os.Hostname()
	if err != nil {
		host = "engine"
	}
	_, port, err := net.SplitHostPort(f.Listen)
	if err != nil || port == "0" {
		port = "pid" + strconv.Itoa(os.Getpid())
	}
	return host + ":" + port
}

// running is an engine that listens.
type running struct {
	call, admin string // URLs
	feed        *store.Feed
}

// serveEngine runs an engine on the database at dsn until ctx ends. started is called when it listens; the first
// snapshot may come later.
func serveEngine(ctx context.Context, log *slog.Logger, dsn string, f *engineFlags, validator bool, started func(running)) error {
	collectLessOften()
	adviseMemoryLimit(log)
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), buildInfo())

	database, err := store.Open(ctx, store.Config{DSN: dsn, Engine: f.engineName(), SnapshotFile: f.SnapshotFile, Registry: registry, Log: log})
	if err != nil {
		return err
	}
	defer database.Close()
	if err := checkDatabase(ctx, database, log); err != nil {
		return err
	}
	feed := database.NewFeed(zones)
	writer := database.NewLedger()
	defer writer.Close()

	server, err := rpc.New(rpc.Config{
		Source: feed, Ledger: writer, Registry: registry, Budget: f.Budget, EndTimeout: f.EndTimeout, Validator: validator,
		Engines: f.Engines, Warnings: func() []string { return configWarnings(feed) }, Logger: log,
		InVain: func(err error) bool { return errors.Is(err, ledger.ErrInvalid) },
		Locked: func(err error) bool { return errors.Is(err, ledger.ErrLocked) },
	})
	if err != nil {
		return err
	}
	calls, err := server.Listen(endpoint.Endpoint{Address: f.Listen, Handler: server.Handler(), CertificateFile: f.Certificate, KeyFile: f.Key, ClientCAFile: f.ClientCA, Logger: log})
	if err != nil {
		return fmt.Errorf("%w (the call listener, --listen)", err)
	}
	admin, err := server.Listen(endpoint.Endpoint{Address: f.AdminListen, Handler: adminHandler(server, page{database, feed}, f.AdminHost), AllowPlain: true, Logger: log})
	if err != nil {
		return fmt.Errorf("%w (the admin listener, --admin-listen)", err)
	}

	feedContext, stopFeed := context.WithCancel(context.WithoutCancel(ctx))
	failed := make(chan error, 3)
	feedDone := make(chan struct{})
	go func() {
		defer close(feedDone)
		if err := feed.Run(feedContext); feedContext.Err() == nil {
			failed <- err
		}
	}()
	daysDone := make(chan struct{})
	go func() {
		defer close(daysDone)
		database.KeepCDRDays(feedContext)
	}()
	for _, service := range []*endpoint.Service{calls, admin} {
		go func() {
			if err := service.Serve(); err != nil {
				failed <- err
			}
		}()
	}
	scheme := "http"
	if f.Certificate != "" {
		scheme = "https"
	}
	started(running{call: scheme + "://" + calls.Addr().String() + api.PathRPC, admin: "http://" + admin.Addr().String() + "/", feed: feed})

	select {
	case <-ctx.Done():
		log.Info("ending: queries under way are finished first; a second signal ends at once")
	case err = <-failed:
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	err = errors.Join(err, calls.Shutdown(drain)) // first of all: what they wait for is still there
	err = errors.Join(err, admin.Shutdown(drain))
	stopFeed()
	<-feedDone
	<-daysDone
	return err
}

// checkDatabase ends the engine when the tables it needs are missing, and lets it start while Postgres is away.
func checkDatabase(ctx context.Context, database *store.Store, log *slog.Logger) error {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	err := database.Check(ctx)
	if errors.Is(err, store.ErrPending) || errors.Is(err, store.ErrHistoryChanged) {
		return err
	}
	if err != nil {
		log.Warn("Postgres can't be reached; calls are refused until it can", "error", err)
	}
	return nil
}

// adminHandler is the operator's page, and the metrics, health and profiles of the server.
func adminHandler(server *rpc.Server, p page, hosts []string) http.Handler {
	mux := http.NewServeMux()
	desk := web.Handler(p, hosts...)
	mux.Handle("/{$}", desk)
	mux.Handle("/page/", desk)
	mux.Handle("/", server.AdminHandler())
	return mux
}

func buildInfo() prometheus.Collector {
	info := prometheus.NewGauge(prometheus.GaugeOpts{Name: "ringmaster_build_info", Help: "Always 1; the label says which version runs.",
		ConstLabels: prometheus.Labels{"version": version()}})
	info.Set(1)
	return info
}

// garbagePercent is GOGC for an engine unless its environment says otherwise: the snapshot is nearly all of the heap and stays, so to mark it costs the same at any
// pace, and queries wait for it. At 1,000,000 numbers it takes some 80 ms of both processors, which every 10 s is 1 % of the time: their p99.
const garbagePercent = 300

// collectLessOften trades memory (some half more at a large carrier's size) for answers that seldom meet the garbage collector.
func collectLessOften() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
}

// adviseMemoryLimit says so when the garbage collector doesn't know of the container's limit: a reload of a large
// configuration holds two snapshots for a moment.
func adviseMemoryLimit(log *slog.Logger) {
	if debug.SetMemoryLimit(-1) != math.MaxInt64 {
		return
	}
	text, err := os.ReadFile("/sys/fs/cgroup/memory.max")
	if err != nil {
		return
	}
	if limit, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil {
		log.Warn("GOMEMLIMIT isn't set and this container has a memory limit; set it to about nine tenths",
			"limit_bytes", limit, "advice", fmt.Sprintf("GOMEMLIMIT=%dMiB", limit/10*9>>20))
	}
}
