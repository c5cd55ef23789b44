# "make help" explains the targets.

GO      ?= go
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X midden/internal/cli.Version=$(VERSION)
BIN     := bin/midden

.DEFAULT_GOAL := help

.PHONY: help
help: ## Explain the targets
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build bin/midden, one static binary
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/midden

.PHONY: demo
demo: build ## Load the example logs and show which files attackers dropped
	@scripts/demo.sh $(BIN)

# SQLite, translated from C, has no goroutines of its own: watched for races, it would take half of the time.
.PHONY: test
test: ## Run all tests under the race detector, and floods without it (some minutes)
	@scripts/need.sh gcc:gcc gcc:libc6-dev initdb:postgresql sqlite3:sqlite3
	CGO_ENABLED=1 $(GO) test -race -gcflags=modernc.org/sqlite/lib=-race=false -timeout 20m ./...
	$(GO) test -run 'TestBomb|TestLongLine|TestTinyFiles|TestFastLog|TestRotations' ./internal/crashtest # memory can be measured so alone

.PHONY: test-opensearch
test-opensearch: ## Run the tests that need a real OpenSearch node, fetched from Maven Central
	@scripts/opensearch.sh bin/opensearch
	MIDDEN_TEST_ENGINE=sqlite MIDDEN_TEST_OPENSEARCH=$(CURDIR)/bin/opensearch $(GO) test -count=1 -timeout 10m -run Node ./internal/elastic/...

.PHONY: lint
lint: ## Run gofmt, go vet and staticcheck
	@unformatted=$$(gofmt -l cmd internal); if [ -n "$$unformatted" ]; then \
		echo "not formatted with gofmt:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) tool staticcheck ./...

.PHONY: bench
bench: build ## Measure midden beside SQLite, psql, jq, DuckDB and sha256sum, and write docs/performance.md (25 minutes)
	@scripts/need.sh sqlite3:sqlite3 gzip:gzip jq:jq initdb:postgresql gcc:gcc gcc:libc6-dev
	$(GO) build -o bin/bench ./internal/bench/run
	bin/bench $(BIN) .

.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME (default 2m)
	@scripts/fuzz.sh

.PHONY: sbom
sbom: build ## Write what bin/midden is made of (CycloneDX), and the licences that go with it
	@scripts/sbom.sh $(BIN) $(VERSION)

.PHONY: vulns
vulns: ## Compare the code with Go's list of known weaknesses (fetches that list)
	$(GO) run golang.org/x/vuln/cmd/govulncheck@v1.9.0 ./...

.PHONY: soak
soak: ## Kill, starve and flood midden for SOAKTIME (default 10m) and longer; print the trials
	@scripts/need.sh initdb:postgresql
	MIDDEN_SOAK=$${SOAKTIME:-10m} $(GO) test -count=1 -timeout 0 -v -run 'TestCrash$$' ./internal/crashtest
	MIDDEN_SOAK=$${SOAKTIME:-10m} $(GO) test -count=1 -timeout 0 -v -skip 'TestCrash$$' ./internal/crashtest

.PHONY: docs
docs: ## Write docs/commands.md from the commands, and Grafana's dashboards
	$(GO) run ./internal/cli/docs > docs/commands.md
	$(GO) run ./internal/grafana/write examples/grafana

.PHONY: examples
examples: build ## Write the synthetic part of the example logs anew
	@scripts/examples.sh $(BIN)

.PHONY: clean
clean: ## Remove what was built
	rm -rf bin
