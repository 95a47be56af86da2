# Millrace: build, test and measure. A bare "make" explains itself.

GO        ?= go
GOFLAGS   ?=
PG_BIN    ?= $(shell ls -d /usr/lib/postgresql/15/bin 2>/dev/null)
LINT_BIN  := bin/golangci-lint
LINT_VER  := v2.15.0
FUZZTIME  ?= 20000x# a time, as 60s, may end with "context deadline exceeded" on a busy machine though nothing was found (go.dev/issue/75804)
FUZZED    ?= ./...
# Whose fuzz targets read bytes by a closed contract: tokens, statements, values, records, messages, files.
DECODERS  := ./exec ./exec/format ./exec/vec ./internal/peer ./internal/record ./kafka ./pgwire/... ./replication/metadata ./sql ./sql/types
ROUNDS    ?= 50
SEEDS     ?= 200
CYCLES    ?= 100
FAULTS    ?=
VIEWS     ?=
FROM      ?=
CLIENTS   ?=
PARTITIONS ?= 10000
QUERIES   ?= 500
SEED      ?= $(shell date +%s)# other ones every time; go test takes the same, so that it judges the change and not its luck

export CGO_ENABLED ?= 0

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-20s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build bin/millrace, one static binary
	$(GO) build -trimpath -o bin/millrace ./cmd/millrace

.PHONY: test
test: ## Run the tests, as the README says
	$(GO) test ./...

.PHONY: race
race: ## Run the tests under the race detector (needs a C compiler)
	CGO_ENABLED=1 $(GO) test -race ./...

.PHONY: fmt
fmt: $(LINT_BIN) ## Format the code
	$(LINT_BIN) fmt

.PHONY: lint
lint: $(LINT_BIN) ## Run the linters, the import rules among them
	$(LINT_BIN) run

.PHONY: linter
linter: $(LINT_BIN) ## Build the pinned linter

$(LINT_BIN):
	GOBIN=$(CURDIR)/bin $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VER)

.PHONY: cross
cross: ## Build for the other platform that releases serve
	GOARCH=arm64 $(GO) build ./...

.PHONY: fuzz
fuzz: ## Explore with every fuzz target for FUZZTIME
	@set -e; for p in $$($(GO) list $(FUZZED)); do \
	  for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
	    echo "fuzz $$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$p; done; done

.PHONY: fuzz-decoders
fuzz-decoders: FUZZED = $(DECODERS)
fuzz-decoders: fuzz ## Explore with the fuzz targets of decoders only, as CI does

.PHONY: bench-go
bench-go: ## Run the Go benchmarks once each, to see that they work
	$(GO) test -run '^$$' -bench . -benchtime 1x $$(grep -rl --include='*_test.go' '^func Benchmark' . | xargs -n1 dirname | sort -u)

.PHONY: bench
bench: ## Measure the whole system; PEER=postgres://... to compare with a PostgreSQL server
	$(GO) run ./cmd/millrace bench $(if $(PEER),--peer "$(PEER)")

.PHONY: demo
demo: ## Run the demonstration on real flights
	$(GO) run ./cmd/millrace demo

.PHONY: kill-test
kill-test: ## Kill -9 a node that is being written to, ROUNDS times
	MILLRACE_SEED=$(SEED) MILLRACE_KILL_ROUNDS=$(ROUNDS) $(GO) test ./internal/crashtest -run Kill9 -v -count=1 -timeout 30m

.PHONY: cluster-test
cluster-test: ## Kill -9 a node of a cluster of three that is being written to, ROUNDS times
	MILLRACE_SEED=$(SEED) MILLRACE_CLUSTER_ROUNDS=$(ROUNDS) $(GO) test ./internal/crashtest -run ThreeNodes -v -count=1 -timeout 60m

.PHONY: fault-test
fault-test: ## As root: CYCLES real faults (FAULTS="kill -9,full disk" chooses) on a cluster of three that is being written to; upgrades are FROM a revision; CLIENTS="librdkafka java" write too; VIEWS of each stream; BREAKS of a million packets between nodes end their connections
	@[ "$$(id -u)" = 0 ] || { echo "fault-test makes network namespaces and mounts disks: run it as root"; exit 1; }
	@[ -c /dev/net/tun ] && command -v ip >/dev/null || { echo "fault-test needs /dev/net/tun and ip (iproute2)"; exit 1; }
	MILLRACE_SEED=$(SEED) MILLRACE_FAULT_CYCLES=$(CYCLES) MILLRACE_FAULTS="$(FAULTS)" MILLRACE_FAULT_FROM="$(FROM)" MILLRACE_FAULT_CLIENTS="$(CLIENTS)" MILLRACE_FAULT_VIEWS=$(VIEWS) MILLRACE_FAULT_BREAKS=$(BREAKS) $(GO) test -tags faults ./internal/crashtest -run RealFaults -v -count=1 -timeout 12h

.PHONY: operations-test
operations-test: ## Type the commands of docs/operations.md, with real processes on the ports that it names; Kafka's tools too, where kafka-reassign-partitions and the others are found
	$(GO) test -tags operations ./internal/doctest -run OperationsPage -v -count=1 -timeout 60m

.PHONY: slt-cluster
slt-cluster: ## Run every SQL script on three nodes, as it is and with a node killed
	MILLRACE_SLT=cluster $(GO) test ./internal/slt -run ThreeNodes -v -count=1 -timeout 60m

.PHONY: sim-test
sim-test: ## Run the model of a cluster with SEEDS seeds, the same each time but with MILLRACE_SEED
	MILLRACE_SIM_SEEDS=$(SEEDS) $(GO) test ./internal/sim -v -count=1 -timeout 6h

TRAPS ?= all
.PHONY: traps
traps: ## Take out the rule against each classic trap, and see its test fail
	MILLRACE_TRAPS="$(TRAPS)" $(GO) test ./internal/sim/traps -run Without -count=1 -timeout 3h -v

.PHONY: sim-nodes
sim-nodes: ## Run clusters of whole nodes under virtual time with SEEDS seeds and every fault; WIDE=1: of more nodes, that are changed meanwhile
	MILLRACE_SIM_WIDE=$(WIDE) MILLRACE_SEED=$(SEED) MILLRACE_SIM_SEEDS=$(SEEDS) MILLRACE_SIM_FAULTS=all $(GO) test ./internal/sim/nodes -run WholeNodes -count=1 -timeout 24h -v

.PHONY: crash-test
crash-test: ## Take power and unsynced bytes from a node, with SEEDS seeds
	MILLRACE_SEED=$(SEED) MILLRACE_CRASH_SEEDS=$(SEEDS) $(GO) test ./internal/crashtest -run 'PowerLoss|EverySync' -v -count=1 -timeout 30m

.PHONY: views-test
views-test: ## Compare VIEWS random views with PostgreSQL
	MILLRACE_SEED=$(SEED) MILLRACE_VIEWS=$(or $(VIEWS),500) $(GO) test ./internal/oracle -v -count=1 -timeout 30m

.PHONY: clients-test
clients-test: ## Run real PostgreSQL clients of many languages against a server
	internal/clients/install
	$(GO) test -tags clients ./internal/clients -count=1 -timeout 15m

.PHONY: kafka-java
kafka-java: ## Run Apache Kafka's tools and Kafka Streams against Millrace
	.ci/kafka-clients && .ci/kafka-java

.PHONY: kafka-diff
kafka-diff: ## Compare every answer with Apache Kafka's, and record these (after make kafka-java)
	.ci/kafka-diff

.PHONY: suites-kafka
suites-kafka: ## Run the test suites of kgo and confluent-kafka-go against a node and count what passes
	.ci/suites-kafka

.PHONY: suites-kafka-cluster
suites-kafka-cluster: ## Run the test suite of kgo against three nodes of which one is restarted or killed every 30 seconds
	.ci/suites-kafka-cluster

.PHONY: bench-kafka
bench-kafka: ## Measure a node beside Apache Kafka, RUNS times (after make kafka-java)
	.ci/bench-kafka

.PHONY: bench-kafka-cluster
bench-kafka-cluster: ## The same with three nodes each and a replica of everything on every node
	NODES=3 .ci/bench-kafka

.PHONY: bench-partitions
bench-partitions: ## Measure three nodes with PARTITIONS partitions, and kill the one that leads a third (needs ss)
	@command -v ss >/dev/null || { echo "bench-partitions needs ss (iproute2)"; exit 1; }
	MILLRACE_PARTITIONS=$(PARTITIONS) $(GO) test -tags scale ./internal/crashtest -run ThousandsOfPartitions -v -count=1 -timeout 30m

.PHONY: bench-queries
bench-queries: ## Measure two nodes with QUERIES persistent queries, and have a third join them
	MILLRACE_QUERIES=$(QUERIES) $(GO) test -tags scale ./internal/crashtest -run HundredsOfQueries -v -count=1 -timeout 30m

.PHONY: suites
suites: ## Run the test suites of pgx/pgconn and lib/pq against a server and count what passes
	internal/clients/suites

.PHONY: ci
ci: ## What CI runs
	.ci/run
