# SPDX-License-Identifier: MIT
# What a sandbox has to allow: tests/seccomp/run.sh.

.PHONY: check-seccomp
check-seccomp: examples guide ## runs the examples with the system calls of docs/platforms.md alone
	@O='$(abspath $(O))' SRC='$(CURDIR)' CC='$(CC)' CHAPTERS='$(CHAPTERS)' tests/seccomp/run.sh
