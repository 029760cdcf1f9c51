# What a developer does here, one target each; `make` lists them.
# Nothing has to be installed but Go, make and git: Go fetches the linter, and
# the programs and tests bring their own database.

GO ?= go
# How long `make fuzz` spends on each target.
FUZZTIME ?= 1m

LINT_VERSION := v2.15.0
LINT := bin/tools/golangci-lint-$(LINT_VERSION)
GITLEAKS_VERSION := v8.30.1
GITLEAKS := bin/tools/gitleaks-$(GITLEAKS_VERSION)
GOVULNCHECK_VERSION := v1.9.0
GOVULNCHECK := bin/tools/govulncheck-$(GOVULNCHECK_VERSION)

# The race detector needs a C compiler.
RACE = $(if $(filter 1,$(shell $(GO) env CGO_ENABLED)),-race)
TEST = $(strip $(GO) test $(RACE) -shuffle=on)

# Go stamps programs with their commit, and fails where git does not tell it: a
# clone that belongs to another user, a repository without a commit.
ifneq ($(shell git log -1 --format=ok 2>/dev/null),ok)
export GOFLAGS := $(strip $(shell $(GO) env GOFLAGS) -buildvcs=false)
endif

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-22s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: ## Build Millrace and run all of it on this machine
	$(GO) build -o bin/ ./cmd/millrace
	@bin/millrace dev

.PHONY: build
build: ## Build bin/intake, bin/worker and bin/millrace
	$(GO) build -o bin/ ./cmd/...

.PHONY: test
test: ## Run all tests, on a Postgres of their own
	@[ -n "$(RACE)" ] || echo "make: no C compiler found, so the tests run without the race detector"
	$(TEST) ./...

.PHONY: test-race
test-race: test ## The same: tests always look for races

.PHONY: lint
lint: $(LINT) ## Run the linters
	$(LINT) run

.PHONY: fmt
fmt: $(LINT) ## Format the code
	$(LINT) fmt

.PHONY: bench
bench: ## Measure Millrace against the plain way of doing the same
	$(GO) build -o bin/ ./cmd/millrace
	bin/millrace bench intake
	bin/millrace bench metrics
	bin/millrace bench workers
	$(GO) test -run '^$$' -bench . -benchmem ./...

# At the end of its time Go's fuzzing may report the deadline itself as a failure,
# without an input that fails (golang/go#75804): that is no finding.
.PHONY: fuzz
fuzz: ## Run every fuzz target for FUZZTIME (1m) each
	@listed=$$($(GO) test -list '^Fuzz' ./...) || { echo "$$listed"; exit 1; }; \
	echo "$$listed" | awk '/^Fuzz/ { names[++n] = $$1 } /^ok/ { while (n) print $$2, names[n--] }' | \
	while read -r package name; do \
		echo "$$package $$name"; \
		if said=$$($(GO) test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "$$package" </dev/null 2>&1); then \
			echo "$$said" | grep '^fuzz: elapsed' | tail -n 1; \
		elif echo "$$said" | grep -q 'Failing input' || ! echo "$$said" | grep -A1 -- '^--- FAIL' | grep -qx '    context deadline exceeded'; then \
			echo "$$said"; exit 1; \
		else \
			echo "$$said" | grep '^fuzz: elapsed' | tail -n 1; \
		fi; \
	done

.PHONY: generate
generate: ## Write the generated and the golden files anew
	$(GO) generate ./...
	$(GO) test -run Golden ./api -update

.PHONY: check
check: check-format check-vet lint check-tidy check-generated check-imports check-migrations check-secrets test ## Everything that CI runs

.PHONY: check-format
check-format: $(LINT) ## Is the code formatted?
	$(LINT) fmt --diff

.PHONY: check-vet
check-vet: ## Does go vet agree?
	$(GO) vet -tags lintconfig,prometheus ./...

.PHONY: check-tidy
check-tidy: ## Are go.mod and go.sum tidy?
	$(GO) mod tidy -diff

# In a copy, so that it neither needs a clean tree nor changes it.
.PHONY: check-generated
check-generated: ## Are the generated files up to date?
	@copy=$$(mktemp -d) && trap 'rm -rf "$$copy"' EXIT && \
	tar -cf - --exclude=./.git --exclude=./.millrace --exclude=./bin . | tar -xf - -C "$$copy" && \
	(cd "$$copy" && $(GO) generate ./...) && \
	if ! diff -ru --exclude=.git --exclude=.millrace --exclude=bin . "$$copy"; then \
		echo "make: generated files are out of date; run make generate"; exit 1; \
	fi

.PHONY: check-imports
check-imports: $(LINT) ## Does the linter refuse every import that the design forbids?
	GOLANGCI_LINT="$(CURDIR)/$(LINT)" $(TEST) -tags lintconfig -run '^TestLinter' ./internal/arch

.PHONY: check-migrations
check-migrations: ## Do the migrations go up, down and up again?
	@$(GO) test $(RACE) -list UpDownUp ./migrations | grep -q UpDownUp || { echo "make: no test of migrations named UpDownUp"; exit 1; }
	$(TEST) -run UpDownUp ./migrations

.PHONY: check-dashboards
check-dashboards: ## Do the dashboards and alert rules hold? Needs prometheus, promtool and amtool
	$(TEST) -tags prometheus ./dashboards/...

# First it shows that it finds what is planted.
.PHONY: check-secrets
check-secrets: $(GITLEAKS) ## Are there keys or passwords in the tree?
	GITLEAKS="$(CURDIR)/$(GITLEAKS)" $(TEST) -tags lintconfig -run '^TestSecrets' ./internal/arch
	$(GITLEAKS) dir . --no-banner --redact --verbose

# No part of check: what it finds depends on the day, and on vuln.go.dev.
.PHONY: check-vulnerabilities
check-vulnerabilities: $(GOVULNCHECK) ## Does the code call anything that is known to be vulnerable?
	@if found=$$($(GOVULNCHECK) -test ./... 2>&1); then echo "$$found"; \
	elif echo "$$found" | grep -q 'fetching vulnerabilities'; then \
		echo "make: NOT CHECKED for vulnerabilities: their database cannot be reached (https://vuln.go.dev, or GOVULNDB)"; \
	else echo "$$found"; exit 1; fi

# Built by the Go version of this module, else the linter refuses to read it.
INSTALL = GOBIN="$(CURDIR)/bin/tools" GOTOOLCHAIN=$$($(GO) env GOVERSION | sed 's/[ -].*//') CGO_ENABLED=0 $(GO) install

$(LINT):
	$(INSTALL) github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	mv bin/tools/golangci-lint $@

$(GITLEAKS):
	$(INSTALL) github.com/zricethezav/gitleaks/v8@$(GITLEAKS_VERSION)
	mv bin/tools/gitleaks $@

$(GOVULNCHECK):
	$(INSTALL) golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION)
	mv bin/tools/govulncheck $@
