# SPDX-License-Identifier: MIT
# Measurements; each says at its top what it measures.
BENCH := $(patsubst %.c,$(O)/%,$(wildcard tests/bench/*.c))

.PHONY: bench

bench: $(BENCH) ## builds the benchmarks into $(O)/tests/bench and runs them
	@for b in $(BENCH); do echo "== $${b##*/}" && "$$b" || exit 1; done

$(BENCH): $(O)/tests/bench/%: tests/bench/%.c $(O)/lib/libmproc.a $(O)/.flags
	@mkdir -p $(@D) $(O)/obj/tests
	$(call run,CC)$(COMPILE) -D_GNU_SOURCE -MF $(O)/obj/tests/$*.d $(LDFLAGS) -o $@ $< \
	    $(O)/lib/libmproc.a $(LDLIBS) $(PRIVATE_LIBS)
