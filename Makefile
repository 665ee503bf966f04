# Ringmaster. `make` alone says what there is.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run build test e2e edits soak mutations bench lint fuzz requirements

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME ?= 10s
RUNFLAGS ?=
BENCHFLAGS ?=
SOAKFLAGS ?=

help: ## Say what there is
	@sed -nE 's/^([a-z0-9]+):.*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS=$$'\t' read -r name text; do printf '  make %-8s %s\n' "$$name" "$$text"; done

run: build ## Bring up a trial system: Postgres, demo carrier, engine, page; RUNFLAGS=--fresh throws the last one away
	bin/ringmaster dev $(RUNFLAGS)

build: ## Build bin/ringmaster and bin/ringmaster-agi
	go build -o bin/ ./cmd/ringmaster ./cmd/ringmaster-agi

test: requirements ## Vet, and all tests that need no telephone (Postgres is started by itself)
	go vet ./...
	go test ./...

e2e: ## Real calls: SIPp phones, a real Asterisk 22, agent, engines, Postgres (root; builds a Debian root once)
	e2e/run.sh

edits: requirements ## 10,000 random edits at a serving engine with 100,000 golden answers; 50 cuts of the feed (about ten minutes)
	go test ./store -run 'TestEditsNeverHurtACall|TestNoEditIsMissedInACut' -edits 10000 -cuts 50 -timeout 45m -v

soak: requirements ## A day of 100,000 calls that cost money, on three engines, with 500 faults; the books against the truth; SOAKFLAGS for more
	go test ./store/ledger -run TestADayOfCalls -timeout 120m -v -calls 100000 -faults 500 -callers 96 $(SOAKFLAGS)

mutations: requirements ## Plant bugs in the ledger, one at a time, and say which test catches each
	go run ./e2e/mutations

bench: build ## Engine against floor, codec, prefix match, a carrier of full size, money against pgbench; BENCHFLAGS=-short for a quick round
	go run ./e2e/bench $(BENCHFLAGS)

lint: ## gofmt, go vet (with the e2e tests), staticcheck
	@unformatted=$$(gofmt -l .); if [[ -n $$unformatted ]]; then echo "not as gofmt writes it (gofmt -w mends that):"; echo "$$unformatted"; exit 1; fi
	go vet -tags e2e ./...
	go run $(STATICCHECK) -checks inherit,-ST1005 -tags e2e ./... # ST1005 takes Postgres at the start of an error for a capital

fuzz: ## Each fuzz target for FUZZTIME (10s)
	@grep -rEo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' . | sed -E 's/^(.*)\/[^/]*:func /\1 /' | sort -u | while read -r package target; do \
		echo "fuzz $$package $$target $(FUZZTIME)"; \
		go test "$$package" -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME); \
	done

# What the tests start by themselves and a bare Debian lacks: Postgres 15 with psql; curl and Python for the commands in the docs.
requirements:
	@missing=(); \
	command -v psql >/dev/null && ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || [[ -n $${RINGMASTER_POSTGRES_BIN:-} ]] || missing+=(postgresql postgresql-client); \
	command -v curl >/dev/null || missing+=(curl); \
	command -v python3 >/dev/null || missing+=(python3); \
	if (( $${#missing[@]} )); then \
		if [[ $$(id -u) != 0 ]] || ! command -v apt-get >/dev/null; then echo "missing: $${missing[*]}; install them (the names are Debian's)" >&2; exit 1; fi; \
		echo "installing $${missing[*]}"; \
		if [[ ! -e /etc/postgresql-common/createcluster.conf ]]; then mkdir -p /etc/postgresql-common; echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.conf; fi; \
		apt-get update -qq; DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$${missing[@]}"; \
	fi
