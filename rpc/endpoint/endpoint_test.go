package endpoint

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// authority is a certificate authority of a test.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	file        string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{}
	a.certificate, a.key = issue(t, nil, &x509.Certificate{
		Subject: pkix.Name{CommonName: "test authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	a.file = writePEM(t, "ca.pem", "CERTIFICATE", a.certificate.Raw)
	return a
}

// issue makes a certificate, signed by a or by itself.
func issue(t *testing.T, a *authority, template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := template, key
	if a != nil {
		parent, signer = a.certificate, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return certificate, key
}

func writePEM(t *testing.T, name, kind string, der []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// serverFiles makes a certificate for 127.0.0.1.
func (a *authority) serverFiles(t *testing.T) (certificate, key string) {
	t.Helper()
	c, k := issue(t, a, &x509.Certificate{
		Subject: pkix.Name{CommonName: "engine"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	der, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	return writePEM(t, "cert.pem", "CERTIFICATE", c.Raw), writePEM(t, "key.pem", "EC PRIVATE KEY", der)
}

// client trusts a, and shows a certificate in that name signed by signer (nil: shows none).
func (a *authority) client(t *testing.T, signer *authority, name string) *http.Client {
	t.Helper()
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	config.RootCAs.AddCert(a.certificate)
	if signer != nil {
		c, k := issue(t, signer, &x509.Certificate{Subject: pkix.Name{CommonName: name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
		// Whatever the server says it accepts, this is what is shown.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: k}, nil
		}
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}}
	t.Cleanup(client.CloseIdleConnections)
	return client
}

func serve(t *testing.T, e Endpoint) *Service {
	t.Helper()
	service, err := e.Listen()
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- service.Serve() }()
	t.Cleanup(func() {
		_ = service.Close()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return service
}

// who tells the client's verified name and the protocol.
func who(w http.ResponseWriter, r *http.Request) {
	name := "nobody"
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		name = r.TLS.VerifiedChains[0][0].Subject.CommonName
	}
	_, _ = io.WriteString(w, name+" by "+r.Proto)
}

func get(client *http.Client, url string) (string, error) {
	response, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err
}

// Plain HTTP is for loopback, unless somebody has said that it may be otherwise.
func TestPlainIsForLoopback(t *testing.T) {
	t.Parallel()
	for _, address := range []string{"0.0.0.0:0", ":0"} {
		service, err := Endpoint{Address: address}.Listen()
		if err == nil {
			_ = service.Close()
			t.Errorf("%s was served without TLS", address)
			continue
		}
		for _, word := range []string{"plain HTTP", "certificate", "127.0.0.1"} {
			if !strings.Contains(err.Error(), word) {
				t.Errorf("%s: %q does not say %q", address, err, word)
			}
		}
	}
	for _, e := range []Endpoint{{Address: "127.0.0.1:0"}, {Address: "127.0.0.9:0"}, {Address: "0.0.0.0:0", AllowPlain: true}} {
		service, err := e.Listen()
		if err != nil {
			t.Errorf("%s: %v", e.Address, err)
			continue
		}
		_ = service.listener.Close()
	}
}

func TestBadEndpoints(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	certificate, key := a.serverFiles(t)
	for name, c := range map[string]struct {
		endpoint Endpoint
		says     string
	}{
		"no port":             {Endpoint{Address: "127.0.0.1"}, "couldn't listen on 127.0.0.1"},
		"certificate, no key": {Endpoint{Address: "127.0.0.1:0", CertificateFile: certificate}, "couldn't load certificate"},
		"key, no certificate": {Endpoint{Address: "127.0.0.1:0", KeyFile: key}, "couldn't load certificate"},
		"key of another":      {Endpoint{Address: "127.0.0.1:0", CertificateFile: a.file, KeyFile: key}, "couldn't load certificate"},
		"authority, no TLS":   {Endpoint{Address: "127.0.0.1:0", ClientCAFile: a.file}, "needs TLS"},
		"no such authority":   {Endpoint{Address: "127.0.0.1:0", CertificateFile: certificate, KeyFile: key, ClientCAFile: "/no/such"}, "client authorities"},
		"authority, no PEM":   {Endpoint{Address: "127.0.0.1:0", CertificateFile: certificate, KeyFile: key, ClientCAFile: key}, "no PEM certificate"},
	} {
		service, err := c.endpoint.Listen()
		if err == nil {
			_ = service.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}

// A client certificate is verified when it is shown; HTTP/2 is not spoken; old TLS neither.
func TestTLS(t *testing.T) {
	t.Parallel()
	a, stranger := newAuthority(t), newAuthority(t)
	certificate, key := a.serverFiles(t)
	service := serve(t, Endpoint{Address: "127.0.0.1:0", Handler: http.HandlerFunc(who), CertificateFile: certificate, KeyFile: key, ClientCAFile: a.file})
	url := "https://" + service.Addr().String() + "/"
	for name, c := range map[string]struct {
		client *http.Client
		want   string // empty: refused
	}{
		"no certificate":           {a.client(t, nil, ""), "nobody by HTTP/1.1"},
		"a certificate":            {a.client(t, a, "node-c.example"), "node-c.example by HTTP/1.1"},
		"a stranger's certificate": {a.client(t, stranger, "node-c.example"), ""},
		"trusts another authority": {stranger.client(t, nil, ""), ""},
	} {
		got, err := get(c.client, url)
		if got != c.want || (err != nil) != (c.want == "") {
			t.Errorf("%s: %q, %v, want %q", name, got, err, c.want)
		}
	}
	old := a.client(t, nil, "")
	old.Transport.(*http.Transport).TLSClientConfig.MaxVersion = tls.VersionTLS11
	if got, err := get(old, url); err == nil {
		t.Errorf("TLS 1.1 was spoken: %q", got)
	}
	if got, _ := get(http.DefaultClient, "http://"+service.Addr().String()+"/"); strings.Contains(got, "nobody") {
		t.Errorf("plain HTTP was served: %q", got)
	}
}

// Without client authorities nobody is asked for a certificate, and none counts.
func TestTLSWithoutClientAuthorities(t *testing.T) {
	t.Parallel()
	a := newAuthority(t)
	certificate, key := a.serverFiles(t)
	service := serve(t, Endpoint{Address: "127.0.0.1:0", Handler: http.HandlerFunc(who), CertificateFile: certificate, KeyFile: key})
	got, err := get(a.client(t, a, "node-c.example"), "https://"+service.Addr().String()+"/")
	if err != nil || got != "nobody by HTTP/1.1" {
		t.Errorf("%q, %v", got, err)
	}
}

// Shutdown lets the query under way finish and takes no new one.
func TestShutdown(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}), make(chan struct{})
	service, err := Endpoint{Address: "127.0.0.1:0", Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-leave
		_, _ = io.WriteString(w, "finished")
	})}.Listen()
	if err != nil {
		t.Fatal(err)
	}
	served, answered, stopped := make(chan error, 1), make(chan string, 1), make(chan error, 1)
	go func() { served <- service.Serve() }()
	go func() {
		got, _ := get(http.DefaultClient, "http://"+service.Addr().String()+"/")
		answered <- got
	}()
	<-entered
	go func() { stopped <- service.Shutdown(context.Background()) }()
	if err := <-served; err != nil {
		t.Fatalf("Serve after Shutdown: %v", err)
	}
	if conn, err := net.Dial("tcp", service.Addr().String()); err == nil {
		_ = conn.Close()
		t.Error("a connection was taken after Shutdown")
	}
	close(leave)
	if got := <-answered; got != "finished" {
		t.Errorf("the query under way got %q", got)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

// Shutdown does not wait for ever.
func TestShutdownGivesUp(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}), make(chan struct{})
	defer close(leave)
	service := serve(t, Endpoint{Address: "127.0.0.1:0", Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(entered)
		<-leave
	})})
	go func() { _, _ = get(http.DefaultClient, "http://"+service.Addr().String()+"/") }()
	<-entered
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := service.Shutdown(ctx); err == nil || !strings.Contains(err.Error(), "couldn't finish all queries") {
		t.Errorf("Shutdown: %v", err)
	}
}

// Connections over a cap are closed, counted, and make room when they end.
func TestCaps(t *testing.T) {
	t.Parallel()
	refused := make(chan string, 10)
	service := serve(t, Endpoint{Address: "127.0.0.1:0", Handler: http.HandlerFunc(who), MaxConnections: 3, MaxConnectionsAddress: 2,
		Refused: func(limit string) { refused <- limit }})
	dial := func(from byte) net.Conn {
		t.Helper()
		conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, from)}}).Dial("tcp", service.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	first := dial(1)
	dial(1)
	dial(1)
	if got := <-refused; got != LimitAddress {
		t.Errorf("the third from one address: %q", got)
	}
	dial(2)
	dial(3)
	if got := <-refused; got != LimitAll {
		t.Errorf("the fourth in all: %q", got)
	}
	// The server notices the end of the first, and there is room again.
	_ = first.Close()
	capped := service.listener.(*cappedListener)
	for {
		capped.mu.Lock()
		total := capped.total
		capped.mu.Unlock()
		if total < 3 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	conn := dial(4)
	if _, err := io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(conn); err != nil || !strings.Contains(string(answer), "nobody") {
		t.Errorf("%q, %v", answer, err)
	}
	select {
	case got := <-refused:
		t.Errorf("one more was refused: %q", got)
	default:
	}
}

// Each IPv4 address counts for itself, and all of an IPv6 /64 as one.
func TestOrigins(t *testing.T) {
	t.Parallel()
	origin := func(ip string) string { return originOf(&net.TCPAddr{IP: net.ParseIP(ip), Port: 5}).String() }
	for ip, want := range map[string]string{
		"192.0.2.7": "192.0.2.7/32", "::ffff:192.0.2.7": "192.0.2.7/32", "2001:db8:1:2:3::4": "2001:db8:1:2::/64", "::1": "::/64",
	} {
		if got := origin(ip); got != want {
			t.Errorf("%s counts as %s, want %s", ip, got, want)
		}
	}
}
