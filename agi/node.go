package agi

import (
	"bytes"
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

// boot names the start of Asterisk that calls belong to. Asterisk writes its pid file when it starts, so the file's time and content
// name the start. Without a pid file the agent's own start has to do for the engines.
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

// asterisk is the id of Asterisk's present start; empty when it cannot be told.
func (b *boot) asterisk() string {
	if b.pidFile == "" {
		return ""
	}
	info, err := os.Stat(b.pidFile)
	if err != nil {
		return ""
	}
	pid, err := os.ReadFile(b.pidFile)
	if err != nil || len(pid) == 0 || len(pid) > 16 {
		return ""
	}
	return fmt.Sprintf("asterisk-%x-%x", info.ModTime().UnixNano(), bytes.TrimSpace(pid))
}

// current is what the engines are told: the id of Asterisk's start; while it is down, of its last one.
func (b *boot) current() string {
	id := b.asterisk()
	b.mu.Lock()
	defer b.mu.Unlock()
	if id != "" {
		b.last = id
	}
	return b.last
}

// announce registers the node, then sends heartbeats, and registers again whenever Asterisk was started anew. Returns when ctx is done.
func (a *Agent) announce(ctx context.Context) {
	registered := ""
	for {
		id := a.boot.current()
		calls := a.calls.live(a.boot.asterisk(), a.now())
		method := api.MethodNodeHeartbeat
		if id != registered {
			method = api.MethodNodeRegister
		}
		talks := a.talking(calls)
		r, err := a.asker.ask(ctx, method, map[string]any{
			api.Node: a.config.Node, api.BootID: id, api.Capacity: a.config.Capacity, api.Channels: len(calls), api.Calls: calls,
			api.Talking: talkingMembers(talks, a.now()),
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
			select {
			case a.granted <- grants{r.Extensions, talks, calls}:
			default: // Asterisk is slow; the engines tell it again
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(a.config.Heartbeat):
		}
	}
}
