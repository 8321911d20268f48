# SPDX-License-Identifier: MIT
# Measurements: tests/bench/*.c, each a program of its own that says at its top what it measures.
#
#   make bench             all of them, some minutes
#   make bench QUICK=1     within a minute
#   make bench B=NAME      one of them, or several: B='lock queue'
#   PYTHON=FILE            another Python than python3 to compare with
#   BENCH_TSV=FILE         writes the figures there, too: a line of names, then tab-separated
#                          bench, peer, metric, value, unit
#
# They use the shared library, as programs do.

BENCHES   := $(patsubst tests/bench/%.c,%,$(wildcard tests/bench/*.c))
BENCH_BIN := $(BENCHES:%=$(O)/tests/bench/%)
BENCH_OBJ := $(patsubst %.c,$(O)/obj/%.o,$(wildcard tests/bench/support/*.c))
B         ?= $(BENCHES)

.PHONY: bench
.SECONDARY: $(BENCHES:%=$(O)/obj/tests/bench/%.o)

bench: $(B:%=$(O)/tests/bench/%) ## measures against peers; QUICK=1, B=NAME, BENCH_TSV=FILE
	@if [ -n "$$BENCH_TSV" ]; then printf 'bench\tpeer\tmetric\tvalue\tunit\n' >"$$BENCH_TSV"; fi
	@failed=; export BENCH_QUICK='$(QUICK)' PYTHON='$(or $(PYTHON),python3)'; \
	[ -z "$$BENCH_QUICK" ] || export BENCH_END=$$(($$(date +%s) + 45)); \
	for b in $^; do "$$b" || failed="$$failed $${b##*/}"; done; \
	[ -z "$$failed" ] || { echo "could not be measured:$$failed"; exit 1; }

$(O)/obj/tests/bench/%.o: tests/bench/%.c $(O)/.flags
	@mkdir -p $(@D)
	$(call run,CC)$(COMPILE) -std=c11 -D_GNU_SOURCE -DBENCH_SOURCES='"$(CURDIR)/tests/bench"' \
	    -c -o $@ $<

$(BENCH_BIN): $(O)/tests/bench/%: $(O)/obj/tests/bench/%.o $(BENCH_OBJ) $(O)/lib/libmproc.so \
              $(O)/lib/$(SONAME)
	@mkdir -p $(@D)
	$(call run,LD)$(LINK) -o $@ $< $(BENCH_OBJ) -L$(O)/lib -Wl,-rpath,'$$ORIGIN/../../lib' \
	    -lmproc $(LDLIBS) -lm
