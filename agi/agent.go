package agi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ringmaster/agi/asterisk"
	"ringmaster/rpc/api"
)

// AMI says how the agent reaches Asterisk's manager interface.
type AMI = asterisk.AMI

// Config is what an agent needs to know.
type Config struct {
	Node    string   // the node's name, as in the engine's table node
	Secret  string   // its secret (HTTP Basic); empty: the client certificate in TLS says who it is
	Engines []string // URLs of engines, the preferred one first
	TLS     *tls.Config

	HTTPListen string // loopback address of the face for CURL(); port 0: any
	AGIListen  string // loopback address of the FastAGI face
	Spool      string // folder, made when absent

	Deadline  time.Duration // of one query, all engines together
	Hedge     time.Duration // a further engine is asked when nobody has answered for so long; 0: never
	Heartbeat time.Duration
	Capacity  int    // channels that the node may carry
	PIDFile   string // Asterisk's; empty: the agent's own start counts as the node's
	AMI       AMI    // Asterisk's manager interface; without a user conversations are not extended

	Log      *slog.Logger
	Registry prometheus.Registerer
	Now      func() time.Time // nil: time.Now
}

// Agent is the node side of Ringmaster on one Asterisk. Make it with New, then Run it once.
type Agent struct {
	config       Config
	log          *slog.Logger
	now          func() time.Time
	metrics      *metrics
	asker        *asker
	calls        *table
	spool        *spool
	deliverer    *deliverer
	boot         *boot
	manager      *asterisk.Manager
	granted      chan grants // what the last heartbeat's reply said, for keepLimits
	outOfService atomic.Bool
	httpListener net.Listener
	agiListener  net.Listener
}

// New checks the configuration, opens the spool and listens; nothing is served before Run.
func New(c Config) (*Agent, error) {
	a := &Agent{config: c, log: c.Log, now: c.Now, boot: newBoot(c.PIDFile), granted: make(chan grants, 1)}
	if a.now == nil {
		a.now = time.Now
	}
	if a.log == nil {
		a.log = slog.New(slog.DiscardHandler)
	}
	switch {
	case !trunkGrammar.MatchString(c.Node):
		return nil, fmt.Errorf("node name %q: want letters, digits, dot, dash or underscore", c.Node)
	case c.Deadline <= 0 || c.Heartbeat <= 0 || c.Hedge < 0:
		return nil, errors.New("deadline and heartbeat must be above 0, hedge 0 or above")
	}
	var err error
	a.metrics = newMetrics(c.Registry, func() float64 { return float64(a.calls.count()) }, a.spoolAge)
	if a.asker, err = newAsker(c.Engines, c.Node, c.Secret, c.TLS, a.log, a.metrics); err != nil {
		return nil, err
	}
	if a.manager, err = asterisk.NewManager(c.AMI, a.log, a.metrics.amiIs); err != nil {
		return nil, err
	}
	if a.spool, err = openSpool(c.Spool); err != nil {
		return nil, err
	}
	if a.calls, err = openTable(filepath.Join(c.Spool, folderLive), a.log, a.now()); err != nil {
		return nil, err
	}
	a.deliverer = newDeliverer(a.spool, a.asker, c.Node, a.log, a.metrics, a.now, a.collectInbox)
	if a.httpListener, err = listenLoopback("HTTP", c.HTTPListen); err != nil {
		return nil, err
	}
	if a.agiListener, err = listenLoopback("FastAGI", c.AGIListen); err != nil {
		_ = a.httpListener.Close()
		return nil, err
	}
	return a, nil
}

// HTTPAddress is where the face for CURL() listens.
func (a *Agent) HTTPAddress() net.Addr { return a.httpListener.Addr() }

// AGIAddress is where the FastAGI face listens.
func (a *Agent) AGIAddress() net.Addr { return a.agiListener.Addr() }

// Run serves until ctx is done, then stops listening, gives steps under way a moment to finish, and returns. What is spooled stays for the next start.
func (a *Agent) Run(ctx context.Context) error {
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	server := a.httpServer()
	sessions := newSessions(a)
	failed := make(chan error, 2)
	go func() { failed <- server.Serve(a.httpListener) }()
	go func() { failed <- sessions.serve(work, a.agiListener) }()
	var group sync.WaitGroup
	group.Go(func() { a.deliverer.run(work) })
	group.Go(func() { a.announce(work) })
	group.Go(func() { a.manager.Run(work, a.config.Heartbeat) })
	group.Go(func() { a.keepLimits(work) })
	group.Go(func() { a.warnCallers(work) })
	group.Go(func() { a.asker.probe(work, a.config.Heartbeat, a.config.Deadline) })

	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
		err = fmt.Errorf("couldn't go on listening: %w", err)
	}
	grace, cancel := context.WithTimeout(context.Background(), a.config.Deadline+time.Second)
	defer cancel()
	_ = a.agiListener.Close()
	if shutdownErr := server.Shutdown(grace); err == nil && shutdownErr != nil {
		err = fmt.Errorf("couldn't finish every step: %w", shutdownErr)
	}
	sessions.shutdown(grace)
	stop()
	group.Wait()
	a.asker.client.CloseIdleConnections()
	return err
}

// spoolAge is the age of the oldest undelivered end in seconds.
func (a *Agent) spoolAge() float64 {
	names, err := a.spool.pending()
	if err != nil || len(names) == 0 {
		return 0
	}
	info, err := os.Stat(filepath.Join(a.spool.folder, folderPending, names[0]))
	if err != nil {
		return 0
	}
	return max(0, a.now().Sub(info.ModTime()).Seconds())
}

// Check is what asking one engine came to.
type Check struct {
	Engine string
	Took   time.Duration
	Err    error // nil: the engine is there, knows the node and is ready
}

// CheckEngines asks each configured engine by itself with the node's credentials and a query that changes nothing.
func CheckEngines(ctx context.Context, c Config) ([]Check, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	m := newMetrics(prometheus.NewRegistry(), func() float64 { return 0 }, func() float64 { return 0 })
	var checks []Check
	for _, e := range c.Engines {
		one, err := newAsker([]string{e}, c.Node, c.Secret, c.TLS, c.Log, m)
		if err != nil {
			return nil, err
		}
		began := time.Now()
		_, err = one.ask(ctx, api.MethodGetCapabilities, nil, c.Deadline, 0)
		checks = append(checks, Check{Engine: e, Took: time.Since(began), Err: err})
		one.client.CloseIdleConnections()
	}
	return checks, nil
}
