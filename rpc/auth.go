package rpc

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"net/http"

	"ringmaster/logic"
)

// maxCredentials bounds the decoded node:secret of HTTP Basic, in bytes.
const maxCredentials = 256

// authFailure says why a request was not let in. It is a metric's label; the caller is told only that it failed.
type authFailure uint8

const (
	authGood        authFailure = iota
	authMissing                 // neither credentials nor a client certificate
	authMalformed               // an Authorization header that is not HTTP Basic
	authCredentials             // no such node, or not its secret
	authCertificate             // a client certificate that names no node
	numAuthFailures
)

var authFailureNames = [numAuthFailures]string{
	authGood: "none", authMissing: "missing", authMalformed: "malformed",
	authCredentials: "credentials", authCertificate: "certificate",
}

// authenticate finds out which node asks: by HTTP Basic (RFC 7617), or by the client certificate that TLS has
// verified. Credentials that are there must be right, whatever the certificate says. Every request is checked
// against the snapshot it is answered from, so that a withdrawn secret is out with the next snapshot.
func authenticate(snapshot *logic.Snapshot, r *http.Request) (logic.Node, authFailure) {
	if header := r.Header["Authorization"]; len(header) > 0 {
		if len(header) > 1 {
			return logic.Node{}, authMalformed
		}
		return authenticateBasic(snapshot, header[0])
	}
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		return authenticateCertificate(snapshot, r.TLS.VerifiedChains[0][0])
	}
	return logic.Node{}, authMissing
}

func authenticateBasic(snapshot *logic.Snapshot, header string) (logic.Node, authFailure) {
	const scheme = "basic "
	if len(header) < len(scheme) || !equalFold(header[:len(scheme)], scheme) {
		return logic.Node{}, authMalformed
	}
	encoded := header[len(scheme):]
	var text [base64Length]byte
	var plain [base64Length / 4 * 3]byte
	if len(encoded) > len(text) {
		return logic.Node{}, authMalformed
	}
	n, err := base64.StdEncoding.Decode(plain[:], text[:copy(text[:], encoded)])
	if err != nil {
		return logic.Node{}, authMalformed
	}
	name, secret, found := bytes.Cut(plain[:n], []byte{':'})
	if !found {
		return logic.Node{}, authMalformed
	}
	node, known := snapshot.Node(string(name))
	// The secret is hashed and compared for an unknown node too, so that time does not tell who exists. That
	// a hash compares equal to the zero hash of such a node is out of the question, and known is asked too.
	sum := sha256.Sum256(secret)
	same := subtle.ConstantTimeCompare(sum[:], node.SecretSHA256[:]) == 1
	if !same || !known || !node.HasSecret {
		return logic.Node{}, authCredentials
	}
	return node, authGood
}

const base64Length = (maxCredentials + 2) / 3 * 4 // base64.StdEncoding.EncodedLen(maxCredentials)

func authenticateCertificate(snapshot *logic.Snapshot, certificate *x509.Certificate) (logic.Node, authFailure) {
	if node, ok := snapshot.NodeByCertificate(certificate.Subject.CommonName); ok && certificate.Subject.CommonName != "" {
		return node, authGood
	}
	for _, name := range certificate.DNSNames {
		if node, ok := snapshot.NodeByCertificate(name); ok && name != "" {
			return node, authGood
		}
	}
	return logic.Node{}, authCertificate
}

// equalFold compares s with lower, which is ASCII in lower case.
func equalFold(s, lower string) bool {
	for i := range len(lower) {
		c := s[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
