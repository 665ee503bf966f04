package agi

import (
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// BenchmarkCall is one call through the HTTP face, as Asterisk sees it: the question (one query to an engine on this machine), and the end (on disk).
// CURL() opens a connection per request, and so does this.
func BenchmarkCall(b *testing.B) {
	e := newScripted(b, nodeReply(func(string, string) string { return told("s1", connectTo("", targetAt("office", "4930111"))) }))
	a, err := New(Config{Node: "node1", Secret: "geheim", Engines: []string{e.URL}, HTTPListen: "127.0.0.1:0", AGIListen: "127.0.0.1:0", Spool: b.TempDir(),
		Deadline: 10 * time.Second, Heartbeat: 10 * time.Second, Log: slog.New(slog.DiscardHandler), Registry: prometheus.NewRegistry()})
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- a.Run(b.Context()) }()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	post := func(path, form string) {
		resp, err := client.Post("http://"+a.HTTPAddress().String()+path, "", strings.NewReader(form))
		if err != nil {
			b.Fatal(err)
		}
		defer resp.Body.Close()
		if body, err := io.ReadAll(resp.Body); err != nil || !strings.Contains(string(body), "status=OK") {
			b.Fatal(string(body), err)
		}
	}
	for name, path := range map[string]string{"start": "/start", "end": "/end"} {
		b.Run(name, func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				post(path, strings.Replace(call1, "1.1", name+strconv.Itoa(i), 1)+"&op=connect&target=0&dialstatus=ANSWER&talk_ms=1000&cause=16&ended=1700000100&session=s1&complete=1")
			}
		})
	}
}
