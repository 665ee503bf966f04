// Command ringmaster-agi is Ringmaster's agent on an Asterisk node: it asks the engines what calls shall do, runs that on the channel, and
// sees to it that the end of every call reaches an engine. Package agi has the how and why; deploy/asterisk the dialplan.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"ringmaster/agi"
)

type options struct {
	Node       string   `required:"" help:"Name of this node, as in the engine's table node and in asterisk.conf's systemname." placeholder:"NAME"`
	Engine     []string `required:"" help:"URL of an engine, the preferred one first; give it several times, or several with commas." placeholder:"URL"`
	Secret     string   `help:"The node's secret. Better: --secret-file, or the environment." placeholder:"SECRET"`
	SecretFile string   `type:"path" help:"File that holds the node's secret." placeholder:"FILE"`

	TLSCA   string `name:"tls-ca" type:"path" help:"PEM file of the authorities that sign engines' certificates; absent: the system's." placeholder:"FILE"`
	TLSCert string `name:"tls-cert" type:"path" help:"PEM file of this node's client certificate (mutual TLS)." placeholder:"FILE"`
	TLSKey  string `name:"tls-key" type:"path" help:"PEM file of its key." placeholder:"FILE"`

	HTTPListen    string `name:"http-listen" default:"127.0.0.1:4574" help:"Loopback address of the face for CURL()." placeholder:"ADDRESS"`
	AGIListen     string `name:"agi-listen" default:"127.0.0.1:4573" help:"Loopback address of the FastAGI face." placeholder:"ADDRESS"`
	MetricsListen string `default:"127.0.0.1:4575" help:"Address of /metrics and /healthz; empty: none." placeholder:"ADDRESS"`

	Spool    string        `default:"/var/lib/ringmaster" type:"path" help:"Folder of ends of calls that no engine has yet, and of live calls." placeholder:"FOLDER"`
	Deadline time.Duration `default:"1s" help:"Time for one question, all engines together; then the call goes to its local fallback. Keep it below the dialplan's CURLOPT(httptimeout)."`
	Hedge    time.Duration `default:"250ms" help:"Ask a further engine when none has answered for so long; 0: never."`

	Heartbeat       time.Duration `default:"5s" help:"Time between signs of life to the engines."`
	Capacity        int           `default:"110" help:"Calls that this node may carry, as asterisk.conf's maxcalls."`
	AsteriskPIDFile string        `name:"asterisk-pid-file" default:"/run/asterisk/asterisk.pid" type:"path" help:"Asterisk's pid file: a new one means that calls of the old Asterisk are gone. Empty: the agent's own start counts." placeholder:"FILE"`

	AMIAddress    string `name:"ami-address" default:"127.0.0.1:5038" help:"Loopback address of Asterisk's manager interface, by which conversations are extended." placeholder:"ADDRESS"`
	AMIUser       string `name:"ami-user" help:"User in manager.conf; absent: conversations end at what was granted first." placeholder:"NAME"`
	AMISecret     string `name:"ami-secret" help:"Its secret. Better: --ami-secret-file, or the environment." placeholder:"SECRET"`
	AMISecretFile string `name:"ami-secret-file" type:"path" help:"File that holds it." placeholder:"FILE"`

	LogLevel  slog.Level `default:"info" help:"debug, info, warn or error."`
	LogFormat string     `default:"text" enum:"text,json" help:"text or json."`

	Check   bool             `help:"Ask each engine once, say what came of it, and end: status 0 when all are well."`
	Version kong.VersionFlag `help:"Print the version and end."`
}

func main() {
	var o options
	parser := kong.Must(&o,
		kong.Name("ringmaster-agi"),
		kong.Description("Ringmaster's agent on an Asterisk node. Every flag may come from the environment instead: RINGMASTER_AGI_ENGINE for --engine, and so on."),
		kong.DefaultEnvars("RINGMASTER_AGI"),
		kong.UsageOnError(),
		kong.Vars{"version": version()})
	_, err := parser.Parse(os.Args[1:])
	parser.FatalIfErrorf(err)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, &o); err != nil {
		fmt.Fprintf(os.Stderr, "ringmaster-agi: %v\n", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, o *options) error {
	handlerOptions := &slog.HandlerOptions{Level: o.LogLevel}
	var handler slog.Handler = slog.NewTextHandler(os.Stderr, handlerOptions)
	if o.LogFormat == "json" {
		handler = slog.NewJSONHandler(os.Stderr, handlerOptions)
	}
	log := slog.New(handler)
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	config := agi.Config{
		Node: o.Node, Engines: o.Engine, HTTPListen: o.HTTPListen, AGIListen: o.AGIListen, Spool: o.Spool,
		Deadline: o.Deadline, Hedge: o.Hedge, Heartbeat: o.Heartbeat, Capacity: o.Capacity, PIDFile: o.AsteriskPIDFile,
		Log: log, Registry: registry,
	}
	var err error
	if config.Secret, err = secret("--secret", o.Secret, o.SecretFile); err != nil {
		return err
	}
	config.AMI = agi.AMI{Address: o.AMIAddress, User: o.AMIUser}
	if config.AMI.Secret, err = secret("--ami-secret", o.AMISecret, o.AMISecretFile); err != nil {
		return err
	}
	if config.TLS, err = o.tls(); err != nil {
		return err
	}
	if config.Secret == "" && len(config.TLS.Certificates) == 0 {
		return errors.New("the node has nothing to say who it is with: give --secret-file, or --tls-cert and --tls-key")
	}
	if o.Check {
		return check(ctx, config)
	}
	agent, err := agi.New(config)
	if err != nil {
		return err
	}
	stopMetrics, err := serveMetrics(o.MetricsListen, registry, agent.Health, log)
	if err != nil {
		return err
	}
	defer stopMetrics()
	log.Info("ringmaster-agi serves", "node", o.Node, "version", version(), "http", agent.HTTPAddress().String(), "agi", agent.AGIAddress().String(),
		"engines", strings.Join(o.Engine, " "), "spool", o.Spool)
	err = agent.Run(ctx)
	log.Info("ringmaster-agi has stopped")
	return err
}

// secret is what a flag gives, or the file of its second form.
func secret(flag, given, file string) (string, error) {
	if file == "" {
		return given, nil
	}
	if given != "" {
		return "", fmt.Errorf("%[1]s and %[1]s-file: give one of them", flag)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("couldn't read the file of %s-file: %w", flag, err)
	}
	text := strings.TrimSpace(string(data))
	if text == "" {
		return "", fmt.Errorf("the secret file %s is empty", file)
	}
	return text, nil
}

func (o *options) tls() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.TLSCA != "" {
		data, err := os.ReadFile(o.TLSCA)
		if err != nil {
			return nil, fmt.Errorf("couldn't read the authorities: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(data) {
			return nil, fmt.Errorf("%s holds no PEM certificate", o.TLSCA)
		}
	}
	if (o.TLSCert == "") != (o.TLSKey == "") {
		return nil, errors.New("--tls-cert and --tls-key go together")
	}
	if o.TLSCert != "" {
		pair, err := tls.LoadX509KeyPair(o.TLSCert, o.TLSKey)
		if err != nil {
			return nil, fmt.Errorf("couldn't load the client certificate: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// check asks each engine and prints a line for each.
func check(ctx context.Context, c agi.Config) error {
	c.Log = nil // the lines say it all
	checks, err := agi.CheckEngines(ctx, c)
	if err != nil {
		return err
	}
	bad := 0
	for _, one := range checks {
		if one.Err == nil {
			fmt.Printf("%s  ok, %.1f ms\n", one.Engine, float64(one.Took.Microseconds())/1000)
			continue
		}
		bad++
		fmt.Printf("%s  %v\n", one.Engine, one.Err)
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d engines cannot be used", bad, len(checks))
	}
	return nil
}

// serveMetrics serves /metrics, and /healthz with a line for each of the agent's warnings.
func serveMetrics(address string, registry *prometheus.Registry, warnings func() []string, log *slog.Logger) (stop func(), err error) {
	if address == "" {
		return func() {}, nil
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("couldn't listen for metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		for _, line := range append([]string{"ok"}, warnings()...) {
			_, _ = fmt.Fprintln(w, line)
		}
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 2 * time.Second, ReadTimeout: 5 * time.Second, WriteTimeout: 10 * time.Second}
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("metrics are not served any more", "error", err)
		}
	}()
	return func() { _ = server.Close() }, nil
}

// version is what the build knows of itself.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			v += " " + s.Value[:12]
		}
	}
	return "ringmaster-agi " + v + " " + runtime.Version()
}
