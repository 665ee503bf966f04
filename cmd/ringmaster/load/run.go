package load

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"
)

// loadRun is one run of the generator.
type loadRun struct {
	command *Command
	target  *loadTarget
	workers []*loadWorker
	start   time.Time
	calls   atomic.Uint64      // given out; the probe was call 0
	left    atomic.Int64       // queries that may still be asked, if there is a count
	due     chan time.Duration // open loop: when each query is due, after start
	unsent  int64              // open loop

	mu        sync.Mutex
	intervals []*hdrhistogram.Histogram // nil where nothing was due
}

// loadWorker asks on one connection. The counters that progress reads are atomic; the rest is the worker's own
// until it is done.
type loadWorker struct {
	run     *loadRun
	request loadRequest
	random  *rand.Rand
	conn    atomic.Pointer[loadConnection]

	answers, bad atomic.Int64
	connects     int64
	faults       map[int]int64
	statuses     map[int]int64
	errors       map[string]int64
	latency      *hdrhistogram.Histogram // µs
	delay        *hdrhistogram.Histogram // µs
	last         time.Duration           // when the last answer came, after start
	interval     int                     // that is under way, and
	latest       *hdrhistogram.Histogram // its latencies, µs; nil: none are wanted
}

const (
	longest      = time.Minute            // the histograms end here
	pauseOnError = 100 * time.Millisecond // before a connection is made again
	pace         = 100 * time.Microsecond // how often the open loop looks what is due, at most
)

// newIntervalHistogram is good to a hundredth, and small: adding it up must not keep the machine busy.
func newIntervalHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, longest.Microseconds(), 2)
}

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, longest.Microseconds(), 3)
}

func newLoadRun(c *Command, target *loadTarget) *loadRun {
	r := &loadRun{command: c, target: target}
	for i := range c.Connections {
		var latest *hdrhistogram.Histogram
		if c.Interval > 0 {
			latest = newIntervalHistogram()
		}
		r.workers = append(r.workers, &loadWorker{latest: latest,
			run: r, request: target.request.clone(), random: rand.New(rand.NewPCG(c.Seed, uint64(i))),
			faults: make(map[int]int64), statuses: make(map[int]int64), errors: make(map[string]int64),
			latency: newHistogram(), delay: newHistogram(),
		})
	}
	return r
}

// do runs it, and says how it goes on progress once a second.
func (r *loadRun) do(ctx context.Context, progress io.Writer) (*loadResult, error) {
	if err := r.connect(ctx); err != nil {
		return nil, err
	}
	// What is due is asked and answered a little beyond the duration; then the context ends it.
	asking, cancel := context.WithTimeout(ctx, r.command.Duration+r.command.Timeout)
	defer cancel()
	cpu := cpuTime()
	r.start = time.Now()
	if r.command.Count > 0 {
		r.left.Store(r.command.Count)
	}
	work := func(w *loadWorker) { w.closedLoop(asking) }
	paced := make(chan error, 1)
	if r.command.Rate > 0 {
		r.due = make(chan time.Duration, 1<<16)
		work = func(w *loadWorker) { w.openLoop(asking) }
		go func() { paced <- r.pace(asking) }()
	} else {
		paced <- nil
	}
	var workers sync.WaitGroup
	for _, w := range r.workers {
		workers.Go(func() { work(w) })
	}
	done := make(chan struct{})
	go func() {
		workers.Wait()
		close(done)
	}()
	r.watch(asking, done, progress)
	if err := <-paced; err != nil {
		return nil, err
	}
	return r.result(cpuTime() - cpu), nil
}

func (r *loadRun) connect(ctx context.Context) error {
	for _, w := range r.workers {
		if err := w.dial(ctx); err != nil {
			return err
		}
	}
	return nil
}

// watch reports progress until the workers are done, and closes connections on which no answer comes in time.
func (r *loadRun) watch(asking context.Context, done <-chan struct{}, progress io.Writer) {
	second := time.NewTicker(time.Second)
	defer second.Stop()
	var before int64
	over := asking.Done()
	var late <-chan time.Time // answers that are under way when somebody interrupts are waited for
	for {
		select {
		case <-done:
			return
		case <-over:
			over = nil
			if asking.Err() == context.DeadlineExceeded {
				r.closeAll()
			} else {
				late = time.After(r.command.Timeout)
			}
		case <-late:
			r.closeAll()
		case <-second.C:
			var answers, bad int64
			for _, w := range r.workers {
				answers += w.answers.Load()
				bad += w.bad.Load()
			}
			fmt.Fprintf(progress, "%4.0f s  %7d answers/s", time.Since(r.start).Seconds(), answers-before)
			if r.due != nil {
				fmt.Fprintf(progress, "  %d waiting", len(r.due))
			}
			fmt.Fprintf(progress, "  %d bad\n", bad)
			before = answers
		}
	}
}

func (r *loadRun) closeAll() {
	for _, w := range r.workers {
		if c := w.conn.Load(); c != nil {
			c.close()
		}
	}
}

// pace puts queries into due when they are due. It wakes by a kernel timer: the runtime's own may be a
// millisecond late.
func (r *loadRun) pace(asking context.Context) (err error) {
	defer close(r.due)
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("couldn't make a timer: %w", err)
	}
	timer := os.NewFile(uintptr(fd), "timer")
	defer timer.Close()
	interval := time.Duration(float64(time.Second) / r.command.Rate)
	tick := unix.NsecToTimespec(max(interval, pace).Nanoseconds())
	if err := unix.TimerfdSettime(fd, 0, &unix.ItimerSpec{Interval: tick, Value: tick}, nil); err != nil {
		return fmt.Errorf("couldn't start a timer: %w", err)
	}
	var expirations [8]byte
	for n := int64(0); r.command.Count == 0 || n < r.command.Count; n++ {
		at := time.Duration(float64(n) / r.command.Rate * float64(time.Second))
		if at >= r.command.Duration {
			return nil
		}
		for time.Since(r.start) < at {
			if _, err := timer.Read(expirations[:]); err != nil {
				return fmt.Errorf("couldn't wait for a timer: %w", err)
			}
		}
		select {
		case r.due <- at:
		case <-asking.Done():
			// Even the list of what is due is full: all the rest has not been sent.
			all := int64(r.command.Rate * r.command.Duration.Seconds())
			if r.command.Count > 0 {
				all = min(all, r.command.Count)
			}
			if asking.Err() == context.DeadlineExceeded {
				r.unsent += all - n
			}
			return nil
		}
	}
	return nil
}

// closedLoop asks again as soon as there is an answer.
func (w *loadWorker) closedLoop(asking context.Context) {
	for at := time.Duration(0); at < w.run.command.Duration && asking.Err() == nil; at = time.Since(w.run.start) {
		if w.run.command.Count > 0 && w.run.left.Add(-1) < 0 {
			return
		}
		w.ask(asking, at)
	}
}

// openLoop asks what is due. What is still waiting when all time is over counts as unsent.
func (w *loadWorker) openLoop(asking context.Context) {
	for at := range w.run.due {
		if err := asking.Err(); err != nil {
			if err == context.DeadlineExceeded {
				w.errors[unsent]++
				w.bad.Add(1)
			}
			continue
		}
		w.delay.RecordValue(clamp(time.Since(w.run.start) - at))
		w.ask(asking, at)
	}
}

// unsent stands among a worker's errors for queries that were never sent.
const unsent = "unsent"

// ask sends one query that is due at an instant after the start, and counts its answer.
func (w *loadWorker) ask(asking context.Context, due time.Duration) {
	c := w.conn.Load()
	if c == nil {
		if err := w.dial(asking); err != nil {
			w.failed(err)
			select {
			case <-asking.Done():
			case <-time.After(pauseOnError):
			}
			return
		}
		c = w.conn.Load()
	}
	command := w.run.command
	w.request.set(w.run.calls.Add(1), command.Called.draw(w.random), command.Caller.draw(w.random))
	answer, err := c.ask(w.request.bytes)
	if err != nil {
		w.conn.Store(nil)
		c.close()
		w.failed(err)
		return
	}
	w.last = time.Since(w.run.start)
	w.latency.RecordValue(clamp(w.last - due))
	if w.latest != nil {
		if now := int(due / w.run.command.Interval); now != w.interval {
			w.addInterval()
			w.interval = now
		}
		w.latest.RecordValue(clamp(w.last - due))
	}
	w.answers.Add(1)
	if answer.status != 200 {
		w.statuses[answer.status]++
		w.bad.Add(1)
	} else if code, _, is := faultOf(answer.body); is {
		w.faults[code]++
		w.bad.Add(1)
	} else if bytes.Contains(answer.body, connectOp) {
		w.connects++
	}
	if answer.last {
		w.conn.Store(nil)
		c.close()
	}
}

// addInterval adds what was measured in an interval to what the others have.
func (w *loadWorker) addInterval() {
	w.run.mu.Lock()
	defer w.run.mu.Unlock()
	for len(w.run.intervals) <= w.interval {
		w.run.intervals = append(w.run.intervals, nil)
	}
	all := &w.run.intervals[w.interval]
	if *all == nil {
		*all = newIntervalHistogram()
	}
	(*all).Merge(w.latest)
	w.latest.Reset()
}

func (w *loadWorker) dial(ctx context.Context) error {
	c, err := dialLoad(ctx, w.run.target)
	if err == nil {
		w.conn.Store(c)
	}
	return err
}

// failed counts a query without an answer.
func (w *loadWorker) failed(err error) {
	w.bad.Add(1)
	var operation *net.OpError
	switch {
	case errors.Is(err, net.ErrClosed):
		w.errors["timed out"]++
	case errors.Is(err, io.EOF):
		w.errors["connection closed"]++
	case errors.As(err, &operation):
		w.errors[operation.Err.Error()]++ // without addresses and ports, so that equal ones add up
	default:
		w.errors[err.Error()]++
	}
}

func (r numberRange) draw(random *rand.Rand) uint64 {
	return r.first + random.Uint64N(r.last-r.first+1)
}

// clamp gives the microseconds that a histogram takes.
func clamp(d time.Duration) int64 { return max(1, min(d, longest).Microseconds()) }

// result adds up what the workers have counted.
func (r *loadRun) result(cpu time.Duration) *loadResult {
	c := r.command
	result := &loadResult{
		URL: c.URL, Loop: "closed", Connections: c.Connections, Rate: c.Rate, Unsent: r.unsent,
		Faults: make(map[string]int64), Statuses: make(map[string]int64), Errors: make(map[string]int64),
	}
	took, delays := newHistogram(), newHistogram()
	var last time.Duration
	r.closeAll()
	for _, w := range r.workers {
		took.Merge(w.latency)
		delays.Merge(w.delay)
		if w.latest != nil {
			w.addInterval()
		}
		last = max(last, w.last)
		result.Answers += w.answers.Load()
		result.Connects += w.connects
		for code, n := range w.faults {
			result.Faults[strconv.Itoa(code)] += n
		}
		for status, n := range w.statuses {
			result.Statuses[strconv.Itoa(status)] += n
		}
		for what, n := range w.errors {
			if what == unsent {
				result.Unsent += n
			} else {
				result.Errors[strings.TrimSpace(what)] += n
			}
		}
	}
	result.Seconds = last.Seconds()
	if result.Answers > 0 {
		result.PerSecond = float64(result.Answers) / last.Seconds()
		result.CPU = float64(cpu.Microseconds()) / float64(result.Answers)
	}
	result.Latency = distribution(took)
	if c.Rate > 0 {
		result.Loop = "open"
		delay := distribution(delays)
		result.Delay = &delay
	}
	for i, h := range r.intervals {
		if h == nil {
			continue
		}
		text, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
		if err != nil { // it writes to memory, which does not fail
			panic(err)
		}
		result.Intervals = append(result.Intervals, interval{r.start.Add(time.Duration(i) * c.Interval), string(text)})
	}
	return result
}

func distribution(h *hdrhistogram.Histogram) latency {
	at := func(percentile float64) float64 { return float64(h.ValueAtPercentile(percentile)) / 1000 }
	return latency{h.Mean() / 1000, at(50), at(90), at(99), at(99.9), at(99.99), float64(h.Max()) / 1000}
}

// cpuTime is what this process has used of the CPU.
func cpuTime() time.Duration {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
