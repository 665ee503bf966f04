package agi

import (
	"io"
	"net/http"
	"net/url"
	"time"
)

// httpServer is the face for CURL(): four paths, forms in, one form out. The status is 200 for everything that the dialplan shall read.
func (a *Agent) httpServer() *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /start", func(w http.ResponseWriter, r *http.Request) {
		if v, ok := readForm(w, r); ok {
			a.answer(w, a.start(r.Context(), parseQuery(v)))
		}
	})
	mux.HandleFunc("POST /next", func(w http.ResponseWriter, r *http.Request) {
		v, ok := readForm(w, r)
		if !ok {
			return
		}
		q := parseQuery(v)
		got, err := parseResult(v, false)
		if err != nil {
			a.answer(w, a.unavailable(fallbackInvalid, q, err))
			return
		}
		a.answer(w, a.next(r.Context(), q, got))
	})
	mux.HandleFunc("POST /answered", func(w http.ResponseWriter, r *http.Request) {
		v, ok := readForm(w, r)
		if !ok {
			return
		}
		// Asterisk does not listen to what comes of it: the called party waits.
		if err := a.answered(v); err != nil {
			a.log.Debug("an answer is not noted", "call_id", clip(v.Get(formID)), "error", err)
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, "status=FAILED")
			return
		}
		_, _ = io.WriteString(w, "status=OK")
	})
	mux.HandleFunc("POST /end", func(w http.ResponseWriter, r *http.Request) {
		v, ok := readForm(w, r)
		if !ok {
			return
		}
		e, err := parseEnding(v)
		if err == nil {
			err = a.end(e)
		}
		if err != nil {
			// The dialplan then writes the end to the inbox.
			a.log.Error("the end of a call could not be spooled", "call_id", clip(e.CallID), "error", err)
			http.Error(w, "status=FAILED", http.StatusInternalServerError)
			return
		}
		a.metrics.ends.WithLabelValues(endSpooled).Inc()
		_, _ = io.WriteString(w, "status=OK")
	})
	return &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 2 * time.Second,
		ReadTimeout:       2 * time.Second,
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       30 * time.Second,
		MaxHeaderBytes:    8 << 10,
	}
}

func (a *Agent) answer(w http.ResponseWriter, s step) {
	w.Header().Set("Content-Type", "application/x-www-form-urlencoded")
	_, _ = io.WriteString(w, s.encode())
}

// readForm reads the body as a form. url.ParseQuery keeps what it could read; a form with any error is refused whole.
func readForm(w http.ResponseWriter, r *http.Request) (url.Values, bool) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxForm))
	if err != nil {
		http.Error(w, "status=UNAVAILABLE", http.StatusRequestEntityTooLarge)
		return nil, false
	}
	v, err := url.ParseQuery(string(body))
	if err != nil {
		http.Error(w, "status=UNAVAILABLE", http.StatusBadRequest)
		return nil, false
	}
	return v, true
}
