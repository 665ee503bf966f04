// Package e2e drives the whole of Ringmaster as it is deployed: the real binaries, a real Postgres, a real
// Asterisk with the files of deploy/asterisk, SIPp phones, and the XML-RPC clients that other people wrote.
//
// It has no code of its own besides tests, and those have the build tag e2e, because they need root (a chroot with
// Asterisk in it) and minutes: go test -tags e2e ./e2e/... or make e2e. README.md says how to run one scenario. It is not the
// place for what a package's own tests can show.
package e2e
