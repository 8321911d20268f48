# SPDX-License-Identifier: MIT
# Measurements: tests/bench/*.c, each a program of its own that says at its top what it measures.
#
#   make bench             all of them, a quarter of an hour
#   make bench QUICK=1     the most important of it, within a minute
#   make bench B=NAME      one of them, or several: B='lock queue'
#   make bench M=TEXT      the tables with this text in their names: B=queue M=64B-1:1
#   PYTHON=FILE            another Python than python3 to compare with
#   BENCH_TSV=FILE         where the figures go ($(O)/tests/bench/bench.tsv): a line of names, then
#                          tab-separated bench, peer, metric, value, unit; in front, behind #, where
#                          and of what. docs/performance/measured.tsv is such a file: its charts are
#                          those of docs/performance.md
#   make bench-report      charts of these figures, into OUT=DIRECTORY ($(O)/tests/bench/charts)
#
# They use the shared library, as programs do.

# Not yet: what the library has not.
BENCH_LATER := $(if $(shell grep -l mp_queue_loan include/mproc/queue.h),,loan)
BENCHES     := $(filter-out $(BENCH_LATER),$(basename $(notdir $(wildcard tests/bench/*.c))))
BENCH_BIN   := $(BENCHES:%=$(O)/tests/bench/%)
BENCH_OBJ   := $(patsubst %.c,$(O)/obj/%.o,$(wildcard tests/bench/support/*.c))
B           ?= $(BENCHES)

# What it is compared with; of those that come from libraries, the ones that are there: this is
# found out once, and kept in files of options.
PEERS_CC    := $(O)/tests/bench/peers.cc
PEERS_LD    := $(O)/tests/bench/peers.ld
PEERS_OBJ   := $(patsubst %,$(O)/obj/%.o,$(basename $(wildcard tests/bench/peers/*.c*)))
PEERS       := $(O)/tests/bench/peers.a
PEERS_CXX    = $(if $(findstring clang,$(CC)),clang++,g++)
BENCH_C      = -std=c11 -D_GNU_SOURCE -DBENCH_SOURCES='"$(CURDIR)/tests/bench"'

BENCH_TSV   ?= $(O)/tests/bench/bench.tsv
OUT         ?= $(O)/tests/bench/charts

.PHONY: bench bench-report deps-bench
.SECONDARY: $(BENCHES:%=$(O)/obj/tests/bench/%.o)

bench: $(B:%=$(O)/tests/bench/%) ## measures against peers; QUICK=1, B=NAME, M=TEXT, BENCH_TSV=FILE
	@BENCH_QUICK='$(QUICK)' BENCH_METRIC='$(M)' BENCH_TSV='$(BENCH_TSV)' \
	    PYTHON='$(or $(PYTHON),python3)' tests/bench/run.sh $^

bench-report: ## draws charts of what `make bench` measured; BENCH_TSV=FILE, OUT=DIRECTORY
	@'$(or $(PYTHON),python3)' tests/bench/report.py '$(BENCH_TSV)' '$(OUT)'

# The figures of docs/performance.md, as pieces of the page.
docs: $(O)/docs-parts/.measured

$(O)/docs-parts/.measured: docs/performance/measured.tsv tests/bench/report.py
	@mkdir -p $(@D)
	$(call run,FIGS)'$(or $(PYTHON),python3)' tests/bench/report.py --page $< $(@D) && touch $@

deps-bench: ## installs the peers that `make bench` compares with
	@CC='$(CC)' tests/packages.sh libboost-dev libqb-dev libzmq3-dev libnng-dev libtbb-dev
	@rm -f $(PEERS_CC) $(PEERS_LD)

$(PEERS_CC): tests/bench/peers.sh $(O)/.flags
	@mkdir -p $(@D)
	@CC='$(CC)' CXX='$(PEERS_CXX)' tests/bench/peers.sh $(PEERS_CC) $(PEERS_LD)

$(PEERS_LD): $(PEERS_CC)

$(O)/obj/tests/bench/%.o: tests/bench/%.c $(O)/.flags
	@mkdir -p $(@D)
	$(call run,CC)$(COMPILE) $(BENCH_C) -c -o $@ $<

$(O)/obj/tests/bench/peers/%.o: tests/bench/peers/%.c $(PEERS_CC) $(O)/.flags
	@mkdir -p $(@D)
	$(call run,CC)$(COMPILE) $(BENCH_C) @$(PEERS_CC) -c -o $@ $<

# The only C++. Without Boost and TBB no compiler for it is needed.
$(O)/obj/tests/bench/peers/%.o: tests/bench/peers/%.cc $(PEERS_CC) $(O)/.flags
	@mkdir -p $(@D)
	$(call run,CXX)if grep -q 'BOOST\|TBB' $(PEERS_CC); \
	then $(PEERS_CXX) -std=c++11 -Wall -Wextra $(CFLAGS) -pthread @$(PEERS_CC) -MMD -MP -c -o $@ $<; \
	else $(CC) $(CFLAGS) -x c -c -o $@ /dev/null; fi

$(PEERS): $(PEERS_OBJ)
	@rm -f $@
	$(call run,AR)$(AR) rcs $@ $^

$(BENCH_BIN): $(O)/tests/bench/%: $(O)/obj/tests/bench/%.o $(BENCH_OBJ) $(PEERS) $(PEERS_LD) \
              $(O)/lib/libmproc.so $(O)/lib/$(SONAME)
	@mkdir -p $(@D)
	$(call run,LD)$(LINK) -o $@ $< $(BENCH_OBJ) $(PEERS) -L$(O)/lib \
	    -Wl,-rpath,'$$ORIGIN/../../lib' -lmproc -Wl,--as-needed @$(PEERS_LD) $(LDLIBS) -lm
