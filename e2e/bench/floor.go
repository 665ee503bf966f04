package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"

	"github.com/go-chi/chi/v5"

	"ringmaster/rpc/api"
	"ringmaster/rpc/endpoint"
)

// floor serves the bytes it reads on standard input to whoever asks, without looking at what was asked: the same
// router, net/http, limits of time and headers as the engine has, and nothing else. It prints its address.
func floor() error {
	reply, err := io.ReadAll(os.Stdin)
	if err != nil {
		return fmt.Errorf("couldn't read the reply to give: %w", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("couldn't listen: %w", err)
	}
	contentType := []string{"text/xml"}
	router := chi.NewRouter()
	router.Post(api.PathRPC, func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h["Content-Type"] = contentType
		h["Content-Length"] = []string{strconv.Itoa(len(reply))}
		_, _ = w.Write(reply)
	})
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	server := &http.Server{
		Handler: router, Protocols: protocols, DisableGeneralOptionsHandler: true,
		ReadHeaderTimeout: endpoint.DefaultHeaderTimeout, ReadTimeout: endpoint.DefaultReadTimeout,
		WriteTimeout: endpoint.DefaultWriteTimeout, IdleTimeout: endpoint.DefaultIdleTimeout,
	}
	fmt.Printf("http://%s%s\n", listener.Addr(), api.PathRPC)
	return server.Serve(listener)
}
