# SPDX-License-Identifier: MIT
# Fuzzing with clang's libFuzzer, ASan and UBSan: what a peer may send, and an arena that is written
# over. New inputs are kept in $(O)/fuzz/corpus, crashes in $(O)/fuzz/found: run the program with
# such a file to repeat it.

FUZZ_SRC   := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_BIN   := $(FUZZ_SRC:%.c=$(O)/%)
FUZZ_FLAGS := -rss_limit_mb=1024 -malloc_limit_mb=256 -timeout=20 -max_len=2000 -print_final_stats=1

.PHONY: fuzz fuzz-smoke fuzz-here

fuzz: ## fuzzes frames, packets and the arena's validator for SECONDS=60 each; T=NAME chooses
	+@$(MAKE) --no-print-directory fuzz-here O='$(O)/fuzz' CC=clang STEPS= \
	    CFLAGS='-O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all -fsanitize=fuzzer-no-link,address,undefined' \
	    FUZZ_LIMIT='-max_total_time=$(or $(SECONDS),60)'

fuzz-smoke: ## fuzzes each for five seconds
	+@$(MAKE) --no-print-directory fuzz SECONDS=5

fuzz-here: $(call chosen,$(FUZZ_BIN))
	@mkdir -p '$(O)/found'
	@for program in $^; do \
	    name=$${program##*/fuzz_}; mkdir -p "$(O)/corpus/$$name"; \
	    echo "== $$name"; \
	    MPROC_ARENA_LIMIT=64M $$program $(FUZZ_FLAGS) $(FUZZ_LIMIT) -artifact_prefix='$(O)/found/' \
	        "$(O)/corpus/$$name" >"$(O)/found/$$name.log" 2>&1 || \
	        { tail -n 60 "$(O)/found/$$name.log"; echo "fuzz: $$name: see $(O)/found"; exit 1; }; \
	    sed -n 's/^stat::number_of_executed_units: */    inputs run: /p' "$(O)/found/$$name.log"; \
	    sed -n 's/^.*DONE *cov: \([0-9]*\).*/    edges covered: \1/p' "$(O)/found/$$name.log"; \
	done

$(FUZZ_BIN): $(O)/%: $(O)/obj/%.o $(O)/lib/libmproc.a
	@mkdir -p $(@D)
	$(call run,LD)$(LINK) -fsanitize=fuzzer -o $@ $^ $(LDLIBS) $(PRIVATE_LIBS)
