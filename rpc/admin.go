package rpc

import (
	"encoding/json"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"strconv"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

func (s *Server) adminRoutes() []route {
	return []route{
		{http.MethodGet, "/metrics", policyOpen, promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{Registry: s.registry})},
		{http.MethodGet, "/healthz", policyOpen, http.HandlerFunc(s.health)},
		{http.MethodGet, "/readyz", policyOpen, http.HandlerFunc(s.ready)},
		{http.MethodGet, "/debug/pprof/", policyLoopback, http.HandlerFunc(pprof.Index)},
		{http.MethodGet, "/debug/pprof/{profile}", policyLoopback, http.HandlerFunc(pprof.Index)},
		{http.MethodGet, "/debug/pprof/cmdline", policyLoopback, http.HandlerFunc(pprof.Cmdline)},
		{http.MethodGet, "/debug/pprof/profile", policyLoopback, http.HandlerFunc(pprof.Profile)},
		{http.MethodGet, "/debug/pprof/symbol", policyLoopback, http.HandlerFunc(pprof.Symbol)},
		{http.MethodGet, "/debug/pprof/trace", policyLoopback, http.HandlerFunc(pprof.Trace)},
	}
}

// health is what /healthz and /readyz tell.
type health struct {
	Ready    bool     `json:"ready"`              // there is a snapshot to answer from
	Revision string   `json:"revision,omitempty"` // of that snapshot
	Warnings []string `json:"warnings,omitempty"` // what is wrong though it serves
}

// health answers 200 as long as the engine runs.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) { s.writeHealth(w, http.StatusOK) }

// ready answers 200 when the engine can decide calls, else 503.
func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	s.writeHealth(w, http.StatusServiceUnavailable)
}

func (s *Server) writeHealth(w http.ResponseWriter, unready int) {
	var h health
	status := unready
	if snapshot := s.source.Snapshot(); snapshot != nil {
		h.Ready, h.Revision = true, strconv.FormatInt(snapshot.Revision(), 10)
		status = http.StatusOK
	}
	if s.warnings != nil {
		h.Warnings = s.warnings()
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(h) // who has gone away cannot be told
}

// loopbackOnly serves clients on the same machine.
func (s *Server) loopbackOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if peer, err := netip.ParseAddrPort(r.RemoteAddr); err != nil || !peer.Addr().Unmap().IsLoopback() {
			s.refuse(w, http.StatusNotFound, "no such path")
			return
		}
		next.ServeHTTP(w, r)
	})
}
