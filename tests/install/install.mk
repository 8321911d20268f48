# SPDX-License-Identifier: MIT
# The library as others build it, and as others use it.

.PHONY: check-flavours

# -m32 and musl are tried where gcc-multilib and musl-tools are.
check-flavours: ## builds with other compilers, optimisation, hardening, LTO; tests each; F=NAME
	@CC='$(CC)' tests/packages.sh libcmocka-dev gcc clang lld llvm
	@O='$(O)' MAKE='$(MAKE)' tests/install/flavours.sh $(F)
