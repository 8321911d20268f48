# SPDX-License-Identifier: MIT
# A release as one file, $(O)/libmproc-VERSION.tar.xz: what is committed, with ready-made manual
# pages if doxygen and python3 are here. The same commit gives the same bytes. Inside an unpacked
# release, where there is no git, `make dist` packs what its MANIFEST names, into the same bytes.

DIST := $(O)/libmproc-$(VERSION).tar.xz

# A test for each kind of object, all of them quick: for packagers.
QUICK := $(addprefix $(O)/tests/unit/test_,barrier error join lock options packet pipe pool \
             process queue result rlock semaphore shared shared_memory shared_value task wait with)

.PHONY: dist check-dist check-quick

dist: ## the release as a file: $(O)/libmproc-VERSION.tar.xz
	@MAKE='$(MAKE)' pkgconfig/dist.sh '$(O)' '$(VERSION)' '$(DIST)'

check-dist: ## the release builds, passes its quick tests (T=NAME: others) and installs, without git
	@MAKE='$(MAKE)' CC='$(CC)' T='$(T)' pkgconfig/check_dist.sh '$(O)' '$(VERSION)'

check-quick: $(QUICK) $(O)/tests/runner ## builds and runs a quick test of each kind of object
	@$(RUN) $(QUICK)
