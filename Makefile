# `make` alone lists the targets. Nothing has to be installed but Go and one source of
# Postgres: server binaries, npm, Docker, or DATABASE_URL.

GO ?= go
GOLANGCI_LINT = $(GO) run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
# One throw-away Postgres for everything that runs behind it.
WITH_POSTGRES = $(GO) run ./internal/devpg/withpg --

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z][a-z\/-]*:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## See it work: shop, two workers, faults, a SIGKILL (ARGS=--keep)
	$(GO) run ./internal/demo $(ARGS)

.PHONY: test
test: ## Run every test, on a real Postgres
	$(GO) vet ./...
	$(WITH_POSTGRES) $(GO) test -count=1 ./...
	$(WITH_POSTGRES) $(MAKE) --no-print-directory test/shop

.PHONY: test/shop
test/shop:
	cd examples/shop && $(GO) vet ./... && $(GO) test -count=1 ./...

.PHONY: test/race
test/race: ## Run the tests with the race detector
	$(WITH_POSTGRES) $(GO) test -race -count=1 ./...

.PHONY: chaos
chaos: ## Kill, cut and misbehave, then check every invariant (ARGS="--seeds 1,2")
	$(GO) run ./internal/chaos/cmd $(ARGS)

.PHONY: bench
bench: ## Measure against stock River, alternating, with ratios
	$(GO) run ./internal/bench $(ARGS)

.PHONY: bench-quick
bench-quick: ## The same in two minutes
	$(GO) run ./internal/bench --quick $(ARGS)

.PHONY: lint
lint: ## Run the linters (.golangci.yml says which and why not)
	$(GOLANGCI_LINT) run ./...
	cd examples/shop && $(GOLANGCI_LINT) run --config ../../.golangci.yml ./...

.PHONY: build
build: ## Build the binaries into bin/
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/ ./cmd/...

.PHONY: up
up: ## Start the whole of compose.yaml: Postgres, migrate, worker, fake Amplitude
	docker compose up --build
