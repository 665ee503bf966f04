package rpc

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/prometheus/client_golang/prometheus"

	"ringmaster/logic"
)

func TestNewRefusesBadConfigurations(t *testing.T) {
	t.Parallel()
	good := Config{Source: &source{}, Ledger: &ledger{}, Registry: prometheus.NewRegistry()}
	for name, change := range map[string]func(*Config){
		"no source":       func(c *Config) { c.Source = nil },
		"no ledger":       func(c *Config) { c.Ledger = nil },
		"no registry":     func(c *Config) { c.Registry = nil },
		"negative budget": func(c *Config) { c.Budget = -1 },
		"negative limit":  func(c *Config) { c.MaxEnds = -1 },
	} {
		c := good
		change(&c)
		if _, err := New(c); err == nil {
			t.Errorf("%s: New took it", name)
		}
	}
	if _, err := New(good); err != nil {
		t.Fatal(err)
	}
	if _, err := New(good); err == nil {
		t.Error("New registered the same metrics twice")
	}
}

// A route that does not say who may use it, or says it and does not see to it, makes no server.
func TestRoutesNeedPolicies(t *testing.T) {
	t.Parallel()
	s := startEngine(t, nil).Server
	plain := http.NotFoundHandler()
	node := asNode(s, (*Server).serveXMLRPC, writeXMLFault)
	for name, r := range map[string]route{
		"undeclared":               {http.MethodPost, "/x", policyUndeclared, plain},
		"undeclared, of a node":    {http.MethodPost, "/x", policyUndeclared, node},
		"node, not authenticating": {http.MethodPost, "/x", policyNode, plain},
		"open, authenticating":     {http.MethodPost, "/x", policyOpen, node},
	} {
		if _, err := mount(s, []route{r}); err == nil || !strings.Contains(err.Error(), "/x") {
			t.Errorf("%s: mount said %v", name, err)
		}
	}
}

// Every path of the router is one of the declared routes, and on the call listener each needs a node.
func TestRoutesAreDeclared(t *testing.T) {
	t.Parallel()
	s := startEngine(t, nil).Server
	for name, c := range map[string]struct {
		handler http.Handler
		routes  []route
	}{"call": {s.Handler(), s.routes()}, "admin": {s.AdminHandler(), s.adminRoutes()}} {
		declared := make(map[string]policy)
		for _, r := range c.routes {
			declared[r.method+" "+r.path] = r.policy
		}
		err := chi.Walk(c.handler.(chi.Routes), func(method, path string, _ http.Handler, middlewares ...func(http.Handler) http.Handler) error {
			p, ok := declared[method+" "+path]
			if !ok || p == policyUndeclared {
				t.Errorf("%s listener: %s %s has no policy", name, method, path)
			}
			if name == "call" && p != policyNode {
				t.Errorf("call listener: %s %s can be used without a node's credentials", method, path)
			}
			if len(middlewares) > 0 {
				t.Errorf("%s listener: %s %s has middlewares", name, method, path)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestAuthentication(t *testing.T) {
	t.Parallel()
	e := startEngine(t, nil)
	basic := func(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }
	for name, c := range map[string]struct {
		headers []string
		want    int
	}{
		"right":                      {[]string{basic(nodeA + ":" + secretA)}, 200},
		"right, scheme in any case":  {[]string{"bAsIc" + basic(nodeA + ":" + secretA)[5:]}, 200},
		"none":                       {nil, 401},
		"wrong secret":               {[]string{basic(nodeA + ":" + secretB)}, 401},
		"empty secret":               {[]string{basic(nodeA + ":")}, 401},
		"other node's secret":        {[]string{basic(nodeB + ":" + secretA)}, 401},
		"unknown node":               {[]string{basic("nobody:" + secretA)}, 401},
		"node without a secret":      {[]string{basic("node-c:")}, 401},
		"no colon":                   {[]string{basic(nodeA)}, 401},
		"not base64":                 {[]string{"Basic %%%"}, 401},
		"only the scheme":            {[]string{"Basic"}, 401},
		"empty":                      {[]string{""}, 401},
		"another scheme":             {[]string{"Bearer abc"}, 401},
		"two headers":                {[]string{basic(nodeA + ":" + secretA), basic(nodeA + ":" + secretA)}, 401},
		"very long":                  {[]string{basic(nodeA + ":" + strings.Repeat("x", 4000))}, 401},
		"as long as may be decoded":  {[]string{"Basic " + strings.Repeat("QUJD", base64Length/4)}, 401},
		"one quantum longer":         {[]string{"Basic " + strings.Repeat("QUJD", base64Length/4+1)}, 401},
		"the hash for the secret":    {[]string{basic(nodeA + ":" + string(fixtureRows(1).Nodes[0].SecretSHA256))}, 401},
		"unknown with the zero hash": {[]string{basic("nobody:" + strings.Repeat("\x00", 32))}, 401},
	} {
		r, err := http.NewRequest(http.MethodPost, e.url+"/RPC2", strings.NewReader(encodeCall("system.listMethods")))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "text/xml")
		r.Header["Authorization"] = c.headers
		response, err := e.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != c.want {
			t.Errorf("%s: %d, want %d", name, response.StatusCode, c.want)
		}
		if challenge := response.Header.Get("WWW-Authenticate"); (c.want == 401) != strings.HasPrefix(challenge, `Basic realm="ringmaster"`) {
			t.Errorf("%s: WWW-Authenticate: %q", name, challenge)
		}
	}
}

// A client certificate names its node by its common name or a DNS name. Credentials that are given must be right besides.
func TestAuthenticationByCertificate(t *testing.T) {
	t.Parallel()
	snapshot := compileFixture(t, 1)
	named := func(common string, dns ...string) *x509.Certificate {
		return &x509.Certificate{Subject: pkix.Name{CommonName: common}, DNSNames: dns}
	}
	for name, c := range map[string]struct {
		certificate *x509.Certificate
		verified    bool
		user        string
		want        authFailure
	}{
		"common name":           {named("node-c.example"), true, "", authGood},
		"DNS name":              {named("x", "y.example", "node-c.example"), true, "", authGood},
		"no node's":             {named("x", "y.example"), true, "", authCertificate},
		"a node's name":         {named(nodeA), true, "", authCertificate},
		"no name":               {named("", ""), true, "", authCertificate},
		"not verified":          {named("node-c.example"), false, "", authMissing},
		"and wrong credentials": {named("node-c.example"), true, nodeA, authCredentials},
	} {
		r, err := http.NewRequest(http.MethodPost, "/RPC2", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{c.certificate}}
		if c.verified {
			r.TLS.VerifiedChains = [][]*x509.Certificate{{c.certificate}}
		}
		if c.user != "" {
			r.SetBasicAuth(c.user, "wrong")
		}
		node, got := authenticate(snapshot, r)
		if got != c.want || (got == authGood) != (node.Name == "node-c") {
			t.Errorf("%s: %s as %q, want %s", name, authFailureNames[got], node.Name, authFailureNames[c.want])
		}
	}
}

// A withdrawn secret is out with the next snapshot, on a connection that is open already.
func TestAuthenticationFollowsTheSnapshot(t *testing.T) {
	t.Parallel()
	e := startEngine(t, nil)
	e.must("call.start", startOf("b-1", "08001"))
	rows := fixtureRows(42)
	rows.Nodes = rows.Nodes[1:]
	snapshot, problems := logic.Compile(rows, nil, nil)
	if snapshot == nil {
		t.Fatal(problems)
	}
	e.source.Store(snapshot)
	response, _ := e.post(nodeA, secretA, "/RPC2", "text/xml", encodeCall("call.start", startOf("b-1", "08001")))
	if response.StatusCode != http.StatusUnauthorized {
		t.Fatalf("a node that was deleted got %s", response.Status)
	}
}

func TestNotReady(t *testing.T) {
	t.Parallel()
	e := startEngine(t, nil)
	e.source.Store(nil)
	response, _ := e.post(nodeA, secretA, "/RPC2", "text/xml", encodeCall("system.listMethods"))
	if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" {
		t.Fatalf("without a snapshot: %s, Retry-After %q", response.Status, response.Header.Get("Retry-After"))
	}
}

// Whatever is not a POST to one of the paths is refused, with what may be done instead.
func TestPathsAndMethods(t *testing.T) {
	t.Parallel()
	e := startEngine(t, nil)
	for _, c := range []struct {
		method, path string
		want         int
	}{
		{"POST", "/RPC2", 200}, {"POST", "/xmlrpc", 200},
		{"GET", "/RPC2", 405}, {"HEAD", "/RPC2", 405}, {"PUT", "/RPC2", 405}, {"DELETE", "/xmlrpc", 405}, {"OPTIONS", "/RPC2", 405},
		{"PATCH", "/dialplan/translate", 405}, {"TRACE", "/RPC2", 405}, {"PROPFIND", "/RPC2", 405},
		{"POST", "/", 404}, {"POST", "/RPC2/", 404}, {"POST", "/rpc2", 404}, {"POST", "//RPC2", 404}, {"POST", "/./RPC2", 404},
		{"POST", "/RPC2/../RPC2", 404}, {"POST", "/RPC2%2f", 404}, {"POST", "/RPC2;x", 404}, {"GET", "/metrics", 404}, {"GET", "/debug/pprof/", 404},
		{"GET", "/healthz", 404}, {"POST", "/RPC2%00", 404},
		{"BREW", "/RPC2", 405}, {"BREW", "/", 404}, {"PRI", "*", 404}, // no method of HTTP's
	} {
		status, response := e.raw(t, c.method+" "+c.path+" HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: text/xml\r\n"+e.authorization()+
			lengthOf(encodeCall("system.listMethods")))
		if status != c.want {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, status, c.want)
		}
		if status == 405 && response.Header.Get("Allow") != "POST" {
			t.Errorf("%s %s: Allow is %q", c.method, c.path, response.Header.Get("Allow"))
		}
	}
}

func TestContentTypes(t *testing.T) {
	t.Parallel()
	e := startEngine(t, nil)
	for contentType, want := range map[string]int{
		"text/xml": 200, "TEXT/XML": 200, "text/xml; charset=utf-8": 200, "text/xml;charset=\"UTF-8\"": 200, "application/xml": 200,
		"application/xml ; x=y": 200,
		"":                      415, "text/plain": 415, "application/json": 415, "text/xmlx": 415, "application/x-www-form-urlencoded": 415, "text": 415,
	} {
		if response, _ := e.post(nodeA, secretA, "/RPC2", contentType, encodeCall("system.listMethods")); response.StatusCode != want {
			t.Errorf("%q: %s, want %d", contentType, response.Status, want)
		}
	}
	for coding, want := range map[string]int{"identity": 200, "gzip": 415, "deflate": 415, "br": 415, "identity, gzip": 415, "x": 415} {
		status, _ := e.raw(t, "POST /RPC2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: text/xml\r\nContent-Encoding: "+coding+"\r\n"+
			e.authorization()+lengthOf(encodeCall("system.listMethods")))
		if status != want {
			t.Errorf("Content-Encoding %s: %d, want %d", coding, status, want)
		}
	}
}

// A reply is text/xml with its length, for results and faults.
func TestReplyHeaders(t *testing.T) {
	t.Parallel()
	e := startEngine(t, nil)
	for _, method := range []string{"system.listMethods", "no.such"} {
		response, body := e.post(nodeA, secretA, "/RPC2", "text/xml", encodeCall(method))
		if response.StatusCode != 200 || response.Header.Get("Content-Type") != "text/xml" || response.ContentLength != int64(len(body)) {
			t.Errorf("%s: %s, %s, length %d of %d", method, response.Status, response.Header.Get("Content-Type"), response.ContentLength, len(body))
		}
	}
}
