# SPDX-License-Identifier: MIT
# The probes of a library that was built with USDT=1: tests/usdt/run.sh.

.PHONY: check-usdt
check-usdt: lib ## builds with USDT=1 and compares the probes with those of docs/debugging.md
	@CC='$(CC)' tests/packages.sh systemtap-sdt-dev
	+@$(MAKE) --no-print-directory USDT=1 O='$(O)/usdt' CFLAGS='$(CFLAGS) -Werror' lib examples
	@O='$(abspath $(O))' SRC='$(CURDIR)' tests/usdt/run.sh
