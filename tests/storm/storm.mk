# SPDX-License-Identifier: MIT
# The storm by hand: as many kills as you like, on the terminal. `make check` runs a small one.

.PHONY: storm

storm: $(O)/tests/storm/test_storm ## kills processes at random for KILLS=N times (SEED=N repeats)
	@KILLS='$(KILLS)' $(if $(SEED),MP_TEST_SEED='$(SEED)') $<
