#!/bin/sh
# Runs the e2e tests, as `make e2e` does. Arguments go to go test:
#
#   e2e/run.sh                                  everything
#   e2e/run.sh -run 'TestCalls/all/CURL/both'   some of it
#   e2e/run.sh -v                               with the name of each test as it runs
#
# RINGMASTER_E2E_NO_ASTERISK=1 builds no Debian root: enough for TestNoQueryMixesVersions, which needs engines and Postgres only.
set -eu
cd "$(dirname "$0")"
[ "$(uname -s)" = Linux ] || { echo "e2e: needs Linux (namespaces, chroot)" >&2; exit 1; }
[ "$(id -u)" = 0 ] || { echo "e2e: needs root: Asterisk runs in a root of its own (chroot), and SIPp sends DTMF by a raw socket" >&2; exit 1; }
# No package named: then go test prints as it goes, and the tests say what they do. Twelve at a time: calls mostly wait.
# The house rules are make test's business.
exec go test -tags e2e -count=1 -timeout 15m -parallel 12 -skip '^TestHouse' "$@"
