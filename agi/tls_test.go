package agi

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ringmaster/rpc/api"
)

// certificate makes a self-signed certificate for a client.
func certificate(t *testing.T, name string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// TestMutualTLS: the node says who it is by its certificate, the engine by one of an authority that the node knows. Without either there is no answer, and
// with a certificate alone no secret travels.
func TestMutualTLS(t *testing.T) {
	mine, authorities := certificate(t, "node1")
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, _, basic := r.BasicAuth(); basic || r.TLS.VerifiedChains[0][0].Subject.CommonName != "node1" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "text/xml")
		_, _ = io.WriteString(w, told("s1", releaseWith("16")))
	}))
	server.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: authorities}
	server.StartTLS()
	defer server.Close()
	engines := x509.NewCertPool()
	engines.AddCert(server.Certificate())
	for name, c := range map[string]struct {
		config *tls.Config
		good   bool
	}{
		"both":           {&tls.Config{RootCAs: engines, Certificates: []tls.Certificate{mine}}, true},
		"no certificate": {&tls.Config{RootCAs: engines}, false},
		"unknown engine": {&tls.Config{RootCAs: x509.NewCertPool(), Certificates: []tls.Certificate{mine}}, false},
		"nothing at all": {nil, false},
	} {
		m := newMetrics(prometheus.NewRegistry(), func() float64 { return 0 }, func() float64 { return 0 })
		a, err := newAsker([]string{server.URL}, "node1", "", c.config, testLog(t), m)
		if err != nil {
			t.Fatal(err)
		}
		r, err := a.ask(t.Context(), api.MethodCallStart, map[string]any{}, 10*time.Second, 0)
		if good := err == nil && r.Session == "s1"; good != c.good {
			t.Errorf("%s: %v, %v", name, r, err)
		}
		a.client.CloseIdleConnections()
	}
}

// TestRedirectsAreNotFollowed: the secret goes to configured addresses only.
func TestRedirectsAreNotFollowed(t *testing.T) {
	other := newScripted(t, func(string, string) string { return told("s1", releaseWith("16")) })
	first := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusTemporaryRedirect))
	defer first.Close()
	a := testAsker(t, first.URL)
	if _, err := a.ask(t.Context(), api.MethodCallStart, map[string]any{}, 10*time.Second, 0); err == nil {
		t.Error("answered")
	}
	if got := len(other.asked(api.MethodCallStart)); got != 0 {
		t.Errorf("the other address was asked %d times", got)
	}
}
