# SPDX-License-Identifier: MIT
# What Python does and what this library does in the same pains, side by side: docs/pains.md.
PAIN_TESTS := $(filter $(O)/tests/pains/%,$(TEST_BIN)) $(wildcard tests/pains/test_*.sh)

.PHONY: pains

pains: $(PAIN_TESTS) ## plays Python's pains with Python and here, as the rows of docs/pains.md
	@SRC='$(CURDIR)' tests/pains/table.sh $(PAIN_TESTS)
