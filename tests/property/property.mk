# SPDX-License-Identifier: MIT
# Queues by search, for as long as you like, on the terminal: random histories beside a model, and
# random kills under the eyes of a checker. `make check` runs a few seconds of each.

.PHONY: property

property: $(filter $(O)/tests/property/%,$(TEST_BIN)) ## queues by search: ROUNDS=N, KILLS=N, SEED=N
	@for test in $^; do \
	    ROUNDS='$(ROUNDS)' KILLS='$(KILLS)' $(if $(SEED),MP_TEST_SEED='$(SEED)') $$test || exit 1; \
	done
