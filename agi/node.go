package agi

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"sync"
	"time"

	"ringmaster/rpc/api"
)

const stateOutOfService = "out_of_service"

// boot names the start of Asterisk that the live calls belong to. Asterisk writes its pid file when it starts, so the file's time and content
// name the start. Without a pid file the agent's own start has to do.
type boot struct {
	pidFile string
	own     string

	mu   sync.Mutex
	last string
}

func newBoot(pidFile string) *boot {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	own := "agent-" + hex.EncodeToString(b[:])
	return &boot{pidFile: pidFile, own: own, last: own}
}

// current is the id of the present start; while Asterisk is down, that of the last one.
func (b *boot) current() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pidFile == "" {
		return b.own
	}
	info, err := os.Stat(b.pidFile)
	if err != nil {
		return b.last
	}
	pid, err := os.ReadFile(b.pidFile)
	if err != nil || len(pid) == 0 || len(pid) > 16 {
		return b.last
	}
	b.last = fmt.Sprintf("asterisk-%x-%x", info.ModTime().UnixNano(), trimSpace(pid))
	return b.last
}

func trimSpace(b []byte) []byte {
	for len(b) > 0 && (b[len(b)-1] == '\n' || b[len(b)-1] == ' ') {
		b = b[:len(b)-1]
	}
	return b
}

// announce registers the node, then sends heartbeats, and registers again whenever Asterisk was started anew. Returns when ctx is done.
func (a *Agent) announce(ctx context.Context) {
	registered := ""
	for {
		id := a.boot.current()
		calls := a.calls.live(id, a.now())
		method := api.MethodNodeHeartbeat
		if id != registered {
			method = api.MethodNodeRegister
		}
		r, err := a.asker.ask(ctx, method, map[string]any{
			api.Node: a.config.Node, api.BootID: id, api.Capacity: a.config.Capacity, api.Channels: len(calls), api.Calls: calls,
		}, a.config.Heartbeat, 0)
		if err != nil {
			a.log.Warn("no engine takes the node's "+method, "error", err)
		} else {
			if registered != id {
				a.log.Info("the node is registered", "boot_id", id, "state", r.State)
			}
			registered = id
			if out := r.State == stateOutOfService; a.outOfService.Swap(out) != out {
				a.log.Info("the node's state changed", "state", r.State)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(a.config.Heartbeat):
		}
	}
}
