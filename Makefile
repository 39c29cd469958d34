# The tasks of the repository. `make` lists them. Tools and their versions are pinned here and nowhere else.

GOLANGCI_VERSION := v2.15.0

# How long each fuzz target runs in `make fuzz`, and where `make run` listens.
FUZZTIME ?= 20s
LISTEN   ?= 127.0.0.1:8080

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Each module is built as its users get it, from its own go.mod: go.work only makes a fresh clone work in an editor. Nothing
# depends on the version control system being there.
MODULES := $(shell sed -n 's/^[[:space:]]*\(\.[^[:space:]]*\)$$/\1/p' go.work)
export GOWORK := off
export GOFLAGS := -buildvcs=false

# Version, as `stint version` prints it.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

# The containers: docker-compose of old, or the plugin of new.
COMPOSE       ?= compose.yaml
STINT_VERSION ?= dev
SHELL_IMAGE   ?= alpine:3
DOCKER_BUILD  ?=
DOCKER_RUN    ?=
compose = $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose) -f $(COMPOSE)

LINTER := bin/golangci-lint-$(GOLANGCI_VERSION)/golangci-lint

# $(call each,NAME,COMMAND) runs the command in every module, whatever fails, and fails if one did.
each = failed=; for m in $(MODULES); do echo "$(1) $$m"; (cd $$m && $(2)) || failed+=" $$m"; done; \
	[ -z "$$failed" ] || { echo "$(1) failed in:$$failed"; exit 1; }

.PHONY: help
help: ## list the tasks
	@echo "Stint: make TASK"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: init
init: ## write .env with random passwords for the containers, unless there is one
	@.ci/init

.PHONY: build
build: binary ## build the binary, bin/stint: one static file; and the image, where a Docker engine answers
	@if docker info >/dev/null 2>&1; then docker build $(DOCKER_BUILD) -t stint:$(STINT_VERSION) --build-arg VERSION=$(VERSION) .; \
	else echo "no Docker engine answers: the image is not built, bin/stint is"; fi

.PHONY: up
up: .env ## start the containers: the service, MySQL and Redis (COMPOSE=compose.small.yaml: the service alone)
	$(compose) up -d

.PHONY: down
down: ## stop the containers; their volumes stay
	$(compose) down

.PHONY: logs
logs: ## follow what the containers print
	$(compose) logs -f

.PHONY: bash
bash: ## a shell beside the service, in its network and with its files under /proc/1/root: the image itself holds none
	docker run --rm -it --network container:$$($(compose) ps -q stint) --pid container:$$($(compose) ps -q stint) --cap-add SYS_PTRACE $(SHELL_IMAGE) sh

.PHONY: tests
tests: ## run the tests in a container with all servers they need
	docker build $(DOCKER_BUILD) -t stint-tests -f .ci/Dockerfile . && docker run --rm $(DOCKER_RUN) stint-tests

.env:
	@.ci/init

.PHONY: binary
binary:
	@mkdir -p bin
	cd service && CGO_ENABLED=0 go build -trimpath -tags grpcnotrace -ldflags "-X main.version=$(VERSION)" -o ../bin/stint ./cmd/stint

.PHONY: run
run: binary ## build, start a limited service and say what to try (LISTEN=host:port)
	@echo
	@echo "GET /limit grants each user 10 requests a second. In another terminal, try, with the key that is printed below:"
	@echo "  curl -i http://$(LISTEN)/limit                               # 401: no key"
	@echo "  curl -i -H 'X-API-KEY: KEY' http://$(LISTEN)/limit           # 200, and what is left"
	@echo "  for i in {1..15}; do curl -s -o /dev/null -w '%{http_code} ' -H 'X-API-KEY: KEY' http://$(LISTEN)/limit; done; echo"
	@echo "  bin/stint load http://$(LISTEN)/limit --rate 2000/min -H 'X-API-KEY: KEY' --expect 10/s"
	@echo "  bin/stint users create alice; bin/stint keys create alice   # another user and key"
	@echo "Ctrl-C ends it."
	@echo
	@exec bin/stint serve --listen $(LISTEN)

.PHONY: test
test: servers format tidy vet lint ## check format, modules, vet and lint; run all tests of all modules with the race detector
	@.ci/test $(MODULES)

.PHONY: test-mysql
test-mysql: ## run the tests of databases on MySQL, too: STINT_TEST_MYSQL=mysql://root@127.0.0.1:3306 make test-mysql
	@[ -n "$(STINT_TEST_MYSQL)" ] || { echo "say which server: STINT_TEST_MYSQL=mysql://user:password@host:port, with all rights"; exit 2; }
	cd storetest && go test -race ./sql
	cd service && go test -race ./database ./accounts ./usage

.PHONY: test-machines
test-machines: ## run the library's tests and the kit on other processors: 386, and arm64 in an emulator (Debian: qemu-user-static)
	@for module in . ./limittest; do (cd $$module && \
		GOARCH=386 CGO_ENABLED=0 go test ./... && \
		GOARCH=arm64 CGO_ENABLED=0 go test -exec qemu-aarch64-static ./...) || exit 1; done

.PHONY: servers
servers: ## install the servers that tests start (Debian or Ubuntu, as root)
	@.ci/servers

.PHONY: format
format: ## check that all Go files are formatted
	@echo "gofmt"
	@files=$$(gofmt -l .); [ -z "$$files" ] || { echo "not formatted, run gofmt -w on:"; echo "$$files"; exit 1; }

.PHONY: vet
vet: ## go vet, all modules
	@$(call each,go vet,go vet ./...)

.PHONY: lint
lint: $(LINTER) ## golangci-lint (staticcheck and more), all modules
	@$(call each,golangci-lint,$(CURDIR)/$(LINTER) run --config $(CURDIR)/.golangci.yml ./...)

# A folder per version, so that a new pin is a new install.
$(LINTER):
	@echo "installing golangci-lint $(GOLANGCI_VERSION) (a few minutes, once)"
	@GOBIN=$(CURDIR)/$(@D) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)

.PHONY: install-tools
install-tools: $(LINTER) ## install the pinned tools under bin/

.PHONY: tidy
tidy: ## check that every go.mod is tidy
	@$(call each,go mod tidy,go mod tidy -diff)

.PHONY: bench
bench: ## measure Stint beside its peers into docs/benchmarks.md (QUICK=1: a rough table on the screen)
	@cd bench && go run ./cmd/compare $(if $(QUICK),-quick,-write ../docs/benchmarks.md)

.PHONY: fuzz
fuzz: ## run each fuzz target of each module for FUZZTIME (20s)
	@FUZZTIME=$(FUZZTIME) .ci/fuzz $(MODULES)

.PHONY: prove
prove: ## the long proofs (an hour or so), their result into docs/proofs.md
	@FUZZTIME=$(FUZZTIME) .ci/prove $(MODULES)

.PHONY: clean
clean: ## remove what was built
	rm -rf bin
