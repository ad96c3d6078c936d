# Flotilla's entry points. `make` builds the release binary; `make help` lists the rest.

# What `make up` takes, and what the tests and the bench take beside it.
PACKAGES := librdkafka-dev libisal-dev zlib1g-dev libsnappy-dev liblz4-dev libzstd-dev libhiredis-dev \
            libsimdjson-dev libyaml-dev libpcre2-dev libssl-dev libpq-dev libmicrohttpd-dev \
            libcurl4-openssl-dev libcjose-dev libjemalloc-dev pkg-config \
            redis-server postgresql-15 curl kcat
TESTED_WITH := openssl nginx-light wrk python3-venv bubblewrap chromium docker-compose iproute2 mmdebstrap prometheus faketime valgrind binutils
VENV     := .build/venv
PYTHON   := $(VENV)/bin/python
SOURCES  := Package.swift Sources Tests Benchmarks

# A target check that a typo in an import cannot pass, and no warning that scrolls by.
CHECKED  := --explicit-target-dependency-import-check error

.PHONY: release up help setup build test unit live faults prove kills builds soak sanitize newest counted bench fuzz fmt lint clean
.DEFAULT_GOAL := release

release: .build/packages  ## build the release binary as bin/flotilla
	@[ -x bin/flotilla ] || echo "building: the first time takes minutes"
	swift build -c release --product flotilla $(CHECKED)
	@mkdir -p bin && ln -sf ../.build/release/flotilla bin/flotilla

up: release  ## set up and build what is missing, then the whole fleet on this machine, until Ctrl-C
	@exec bin/flotilla up $(UP)

help:  ## this list
	@awk -F ':.*## *' '/^[a-z]+:.*##/ { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup:  ## install the Debian packages and Python clients that building, running and testing need; starts no service
	@rm -f .build/packages .build/setup && $(MAKE) --no-print-directory .build/setup

# Made anew when this file changes; the second when the pinned clients do.
.build/packages: Makefile deploy/install-packages.sh
	@echo "setup: looking for what building and running take"
	@deploy/install-packages.sh $(PACKAGES)
	@command -v swift >/dev/null || { echo "setup: no swift on PATH: install the Swift 6.3 toolchain (https://www.swift.org/install/linux/)" >&2; exit 1; }
	@mkdir -p .build && touch $@

.build/setup: .build/packages Tests/Live/requirements.txt
	@echo "setup: looking for what testing takes"
	@deploy/install-packages.sh $(TESTED_WITH)
	@[ -x $(PYTHON) ] || { echo "setup: making $(VENV)"; /usr/bin/python3 -m venv $(VENV); }
	@echo "setup: the Python clients of Tests/Live/requirements.txt"
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check -r Tests/Live/requirements.txt
	@touch $@

build: .build/setup  ## build everything, tests too
	swift build --build-tests $(CHECKED)

test: .build/setup lint release build unit live faults  ## lint, build, unit, live and short fault tests
	@echo "make test: all passed"

# Tests with servers, deadlines and sessions of seconds do not share the cores with those that only compute. A limit on
# the whole: a hang is a failure, and no reason to wait for.
SERVED := (DeadLetters|Edge|Flotilla|HTTP|Notify|Postgres|Process|Redis)Tests[.]|AggregateTests[.]AggregateTests

unit: .build/setup
	Tests/swift-test.sh 600 --skip '^(FaultTests[.]|KafkaTests[.]|$(SERVED))'
	Tests/swift-test.sh 600 --filter '^($(SERVED))'
	Tests/swift-test.sh 600 --filter '^KafkaTests[.]'

live: build release
	timeout --foreground -k 10 900 $(PYTHON) -m pytest -q -c Tests/Live/pytest.ini --rootdir Tests/Live Tests/Live

faults: build release
	Tests/swift-test.sh 600 --filter '^FaultTests[.]'

prove: .build/setup release build  ## the long proofs: workers and all that they need killed, under hundreds of thousands of events
	$(MAKE) --no-print-directory -j 2 kills builds
	timeout --foreground -k 10 1800 $(PYTHON) Tests/Live/deploy/dockerfile.py .build/image
	FLOTILLA_IMAGE_ROOT=$(CURDIR)/.build/image/image timeout --foreground -k 10 600 \
	    $(PYTHON) -m pytest -q -n 0 -c Tests/Live/pytest.ini --rootdir Tests/Live Tests/Live/deploy
	$(MAKE) --no-print-directory newest
	$(MAKE) --no-print-directory counted
	$(MAKE) --no-print-directory fuzz
	$(MAKE) --no-print-directory sanitize
	@echo "make prove: all passed"

kills: release build
	FLOTILLA_KILLS=50 Tests/swift-test.sh 2400 --filter '^FaultTests[.]StatefulTests/theSums'
	FLOTILLA_ORACLE_EVENTS=300000 FLOTILLA_KILLS=42 FLOTILLA_PATIENCE=300 timeout --foreground -k 10 3600 \
	    $(PYTHON) -m pytest -q -s -n 0 -c Tests/Live/pytest.ini --rootdir Tests/Live -o faulthandler_timeout=0 Tests/Live/oracle
	timeout --foreground -k 60 1200 $(MAKE) --no-print-directory soak SOAK_MINUTES=3

# Fleets that are killed mostly wait. In that time, and only in what they leave of it, the later proofs' builds are made
# (where a system allows that; else with the least weight).
builds: .build/setup
	@echo "building for fuzzers and sanitizers meanwhile: .build/builds.log"
	@$$(chrt --idle 0 true 2>/dev/null && echo chrt --idle 0 || echo nice -n 19) sh -ec '$(FUZZERS); Tests/Sanitize/sanitize.sh build thread; Tests/Sanitize/sanitize.sh build address' \
	    > .build/builds.log 2>&1 || { tail -n 60 .build/builds.log; exit 1; }

SOAK_MINUTES ?= 10
LIVE := $(CURDIR)/Tests/Live
soak: .build/setup release  ## the fleet under load while all of it is killed, stopped, filled and scaled; SOAK_MINUTES=60, SOAK_RATE, SOAK_SEED
	@PYTHONPATH=$(LIVE)/support:$(LIVE)/oracle:$(LIVE)/stack:$(LIVE)/notify SOAK_MINUTES=$(SOAK_MINUTES) \
	    $(PYTHON) Tests/Soak/soak.py

sanitize: .build/setup  ## the unit tests under the thread sanitizer, and under the address sanitizer
	Tests/Sanitize/sanitize.sh test thread
	Tests/Sanitize/sanitize.sh test address

newest: .build/setup release build  ## whole fleets on the newest librdkafka in place of the system's
	FLOTILLA_LIBRDKAFKA=newest timeout --foreground -k 10 900 $(PYTHON) -m pytest -q -c Tests/Live/pytest.ini --rootdir Tests/Live \
	    Tests/Live/pipeline Tests/Live/stack Tests/Live/oracle

# The sanitizers are named once more for Swift: it takes the last mention alone.
FUZZERS := FLOTILLA_FUZZ=build swift build -c release --product Fuzz --scratch-path .build/fuzz --sanitize=fuzzer \
    -Xswiftc -sanitize=fuzzer,address -Xswiftc -enable-testing
FUZZ_SECONDS ?= 60
fuzz: .build/setup  ## feed whatever reads frames, bodies, files or sketches with what libFuzzer thinks of; FUZZ_SECONDS=1200 for each
	$(FUZZERS)
	$(PYTHON) Tests/Fuzz/fuzz.py --seconds $(FUZZ_SECONDS)

counted: .build/setup  ## count the instructions of the hot paths, and fail when one costs more than it did
	swift build -c release $(CHECKED)
	@PYTHONPATH=$(CURDIR)/Tests/Live/support:$(CURDIR)/Tests/Live/oracle $(PYTHON) Benchmarks/counted.py

bench: .build/setup  ## measure, as tables with ratios; BENCH_ONLY=edge a part, BENCH_MINUTES=10 the edge for so long
	swift build -c release $(CHECKED)
	@PYTHONPATH=$(CURDIR)/Tests/Live/support:$(CURDIR)/Tests/Live/oracle $(PYTHON) Benchmarks/bench.py

fmt:  ## format the sources in place
	swift format -i -r -p $(SOURCES)

lint:  ## check the format
	swift format lint --strict -r -p $(SOURCES)

clean:  ## remove what was built
	rm -rf .build bin
