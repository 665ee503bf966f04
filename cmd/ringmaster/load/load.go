// Package load asks a running engine as fast, or as often, as told, and measures how long the answers take.
//
// It costs far less than the engine that it asks: queries are made beforehand, connections are plain, replies are only looked through. It is no
// client for anything else.
package load

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Command is the load generator, with its flags for kong: calls that begin and are never heard of again, on connections that stay open.
type Command struct {
	URL         string        `name:"url" placeholder:"URL" help:"Call listener of the engine to ask. Default: that of the running ringmaster dev."`
	Node        string        `placeholder:"NAME" help:"Node to be. Default: that of the running ringmaster dev."`
	Secret      string        `help:"The node's secret. Better given as RINGMASTER_SECRET."`
	Called      numberRange   `default:"498002222222" help:"Called numbers to draw from, such as 498000000000-498000009999. Default: the demo carrier's hotline, ${default}."`
	Caller      numberRange   `default:"493000000000-493999999999" help:"Calling numbers to draw from. Default: ${default}."`
	Trunk       string        `placeholder:"NAME" help:"The trunk that the calls come in on; it chooses the numbering plan."`
	Connections int           `short:"c" default:"64" help:"Connections, each with one query at a time (${default})."`
	Rate        float64       `short:"r" placeholder:"N" help:"Queries per second, whatever the answers do (open loop). Default: as many as it takes (closed loop)."`
	Duration    time.Duration `short:"d" default:"10s" help:"How long to ask (${default})."`
	Count       int64         `short:"n" placeholder:"N" help:"Stop after so many queries, if that is sooner."`
	Timeout     time.Duration `default:"5s" help:"How long to wait for the last answers (${default})."`
	Interval    time.Duration `help:"With --json, tell the latencies of each interval of this length too. Default: of all of the run only."`
	Seed        uint64        `default:"1" help:"Seed of the numbers drawn (${default})."`
	CA          string        `type:"existingfile" placeholder:"FILE" help:"PEM certificates to trust, for https."`
	AllowRemote bool          `help:"Allow a target that is not this machine."`
	JSON        bool          `help:"Print the result as JSON."`
}

// Validate is called by kong.
func (c *Command) Validate() error {
	switch {
	case c.Connections < 1 || c.Connections > 10_000:
		return fmt.Errorf("--connections is 1 to 10000, not %d", c.Connections)
	case c.Rate < 0 || c.Rate > 1e6:
		return fmt.Errorf("--rate is at most 1000000 queries per second, not %g", c.Rate)
	case c.Duration <= 0:
		return fmt.Errorf("--duration is more than 0, not %s", c.Duration)
	case c.Count < 0:
		return fmt.Errorf("--count is not negative, as %d is", c.Count)
	case c.Interval < 0 || c.Interval > 0 && c.Duration/c.Interval > maxIntervals:
		return fmt.Errorf("--interval makes at most %d intervals of the duration, or is 0, not %s", maxIntervals, c.Interval)
	case c.Timeout <= 0:
		return fmt.Errorf("--timeout is more than 0, not %s", c.Timeout)
	}
	return nil
}

// maxIntervals bounds the result.
const maxIntervals = 10_000

// ErrBad is the error when a query got no answer, a fault, or an HTTP status other than 200: the result says how many.
var ErrBad = errors.New("not every query was answered well")

// Run asks until the time or the count is over, or ctx ends, and writes what came of it to out. URL, Node and Secret must be set.
func (c *Command) Run(ctx context.Context, out, progress io.Writer) error {
	target, err := c.target(ctx)
	if err != nil {
		return err
	}
	if err := c.probe(ctx, target); err != nil {
		return err
	}
	run := newLoadRun(c, target)
	result, err := run.do(ctx, progress)
	if err != nil {
		return err
	}
	if c.JSON {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		err = encoder.Encode(result)
	} else {
		err = result.print(out)
	}
	if err != nil {
		return fmt.Errorf("couldn't print the result: %w", err)
	}
	if result.bad() > 0 {
		return ErrBad
	}
	return nil
}

// loadTarget is where queries go, resolved once.
type loadTarget struct {
	address string // host:port, the host an IP address
	tls     *tls.Config
	request loadRequest // to be copied by each connection
}

func (c *Command) target(ctx context.Context) (*loadTarget, error) {
	u, err := url.Parse(c.URL)
	if err != nil {
		return nil, fmt.Errorf("couldn't read the URL: %w", err)
	}
	port := u.Port()
	switch {
	case u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return nil, fmt.Errorf("%q is no http or https URL; write one such as http://127.0.0.1:4570/RPC2", c.URL)
	case port == "" && u.Scheme == "https":
		port = "443"
	case port == "":
		port = "80"
	}
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", u.Hostname())
	if err != nil {
		return nil, fmt.Errorf("couldn't find %s: %w", u.Hostname(), err)
	}
	for _, a := range addresses {
		if !a.Unmap().IsLoopback() && !c.AllowRemote {
			return nil, fmt.Errorf("%s is %s, which is not this machine; if the load may go there, say --allow-remote", u.Hostname(), a)
		}
	}
	target := &loadTarget{address: net.JoinHostPort(addresses[0].Unmap().String(), port)}
	if u.Scheme == "https" {
		target.tls = &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}
		if c.CA != "" {
			pem, err := os.ReadFile(c.CA)
			if err != nil {
				return nil, fmt.Errorf("couldn't read the certificates to trust: %w", err)
			}
			target.tls.RootCAs = x509.NewCertPool()
			if !target.tls.RootCAs.AppendCertsFromPEM(pem) {
				return nil, fmt.Errorf("%s holds no PEM certificate", c.CA)
			}
		}
	}
	var run [6]byte
	_, _ = rand.Read(run[:]) // never fails
	target.request = newLoadRequest(c, u, fmt.Sprintf("load-%x-", run))
	return target, nil
}

// probe asks once, so that a wrong secret or path is said at once and in words.
func (c *Command) probe(ctx context.Context, target *loadTarget) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	conn, err := dialLoad(ctx, target)
	if err != nil {
		return err
	}
	defer conn.close()
	stop := context.AfterFunc(ctx, conn.close)
	defer stop()
	request := target.request.clone()
	request.set(0, c.Called.first, c.Caller.first)
	answer, err := conn.ask(request.bytes)
	if err != nil {
		return fmt.Errorf("couldn't get an answer from %s: %w", target.address, err)
	}
	if answer.status != 200 {
		return fmt.Errorf("%s answers with HTTP status %d: %s", c.URL, answer.status, firstLine(answer.body))
	}
	if code, message, is := faultOf(answer.body); is {
		return fmt.Errorf("%s answers with fault %d: %s", c.URL, code, message)
	}
	return nil
}

func firstLine(b []byte) string {
	line, _, _ := strings.Cut(strings.ToValidUTF8(string(b[:min(len(b), 200)]), "?"), "\n")
	return strconv.QuoteToGraphic(line)
}

// numberRange is a range of numbers of equal length.
type numberRange struct {
	first, last uint64
	width       int
}

// UnmarshalText reads 498000000000-498000009999, or one number.
func (r *numberRange) UnmarshalText(text []byte) error {
	first, last, ranged := strings.Cut(string(text), "-")
	if !ranged {
		last = first
	}
	var err error
	for i, s := range []string{first, last} {
		if len(s) < 1 || len(s) > 15 || len(s) != len(first) || strings.Trim(s, "0123456789") != "" {
			return fmt.Errorf("%q is no range of numbers; write two numbers of the same length, of up to 15 digits, such as 498000000000-498000009999", text)
		}
		n := []*uint64{&r.first, &r.last}[i]
		if *n, err = strconv.ParseUint(s, 10, 64); err != nil {
			return err
		}
	}
	if r.last < r.first {
		return fmt.Errorf("the range %s ends before it begins", text)
	}
	r.width = len(first)
	return nil
}

// loadResult is what came of a run. Latencies are in milliseconds.
type loadResult struct {
	URL         string  `json:"url"`
	Loop        string  `json:"loop"` // open or closed
	Connections int     `json:"connections"`
	Rate        float64 `json:"rate,omitempty"` // open loop: queries per second intended
	Seconds     float64 `json:"seconds"`        // from the first query to the last answer
	Answers     int64   `json:"answers"`        // HTTP answers of every kind
	PerSecond   float64 `json:"answers_per_second"`
	Connects    int64   `json:"connects"` // answers with an instruction to connect

	Faults   map[string]int64 `json:"faults,omitempty"`   // by code
	Statuses map[string]int64 `json:"statuses,omitempty"` // other than 200, by status
	Errors   map[string]int64 `json:"errors,omitempty"`   // queries without an answer, by what went wrong
	Unsent   int64            `json:"unsent,omitempty"`   // open loop: queries that were due and found no free connection to the end

	Latency latency  `json:"latency_ms"`
	Delay   *latency `json:"send_delay_ms,omitempty"` // open loop: from due to sent; part of the latency

	CPU float64 `json:"generator_cpu_us"` // per answer

	Intervals []interval `json:"intervals,omitempty"` // with --interval
}

// interval is a part of a run, by when queries were due. Its histogram is of all latencies in µs, so that intervals can be added up: an HdrHistogram, version 2, compressed, in base64.
type interval struct {
	At        time.Time `json:"at"` // when it began
	Histogram string    `json:"latency_histogram"`
}

// latency is a distribution in milliseconds.
type latency struct {
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99.9"`
	P4   float64 `json:"p99.99"`
	Max  float64 `json:"max"`
}

// bad counts queries that got no answer, a fault, or another status than 200.
func (r *loadResult) bad() (n int64) {
	for _, m := range []map[string]int64{r.Faults, r.Statuses, r.Errors} {
		for _, v := range m {
			n += v
		}
	}
	return n + r.Unsent
}

func (r *loadResult) print(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, %s loop, %d connections", r.URL, r.Loop, r.Connections)
	if r.Rate > 0 {
		fmt.Fprintf(&b, ", %g queries/s intended", r.Rate)
	}
	fmt.Fprintf(&b, "\n\n  answers     %d in %.1f s: %.0f/s\n  connects    %d\n", r.Answers, r.Seconds, r.PerSecond, r.Connects)
	for _, kind := range []struct {
		name   string
		counts map[string]int64
	}{{"fault", r.Faults}, {"HTTP", r.Statuses}, {"no answer:", r.Errors}} {
		names := make([]string, 0, len(kind.counts))
		for name := range kind.counts {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			fmt.Fprintf(&b, "  %s %s: %d\n", kind.name, name, kind.counts[name])
		}
	}
	if r.Unsent > 0 {
		fmt.Fprintf(&b, "  unsent      %d: the engine, or this machine, cannot keep up\n", r.Unsent)
	}
	fmt.Fprintf(&b, "  generator   %.1f µs of CPU per answer\n\n", r.CPU)
	fmt.Fprintf(&b, "%12s %9s %9s %9s %9s %9s %9s %9s\n", "ms", "mean", "p50", "p90", "p99", "p99.9", "p99.99", "max")
	row := func(name string, l latency) {
		fmt.Fprintf(&b, "%12s %9.3f %9.3f %9.3f %9.3f %9.3f %9.3f %9.3f\n", name, l.Mean, l.P50, l.P90, l.P99, l.P999, l.P4, l.Max)
	}
	row("latency", r.Latency)
	if r.Delay != nil {
		row("send delay", *r.Delay)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
