# SPDX-License-Identifier: MIT
# What Python does and what this library does in the same pains, side by side: docs/pains.md.
PAIN_BIN := $(filter $(O)/tests/pains/%,$(TEST_BIN))

.PHONY: pains

pains: $(PAIN_BIN) ## plays Python's pains with Python and here, as the rows of docs/pains.md
	@tests/pains/table.sh $(PAIN_BIN)
