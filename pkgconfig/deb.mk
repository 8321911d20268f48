# SPDX-License-Identifier: MIT
# Debian packages, from the release (make dist), without network. DEB_BUILD_OPTIONS is honoured.
# debian/libmproc0.symbols follows lib/libmproc.map: `make symbols` rewrites it.

DEB_TOOLS := debhelper dpkg-dev fakeroot doxygen graphviz doxygen-awesome-css python3 libcmocka-dev

.PHONY: deb check-deb symbols deps-package

deb: ## Debian packages, into $(O)/deb: libmproc0, libmproc-dev, libmproc-doc
	@MAKE='$(MAKE)' pkgconfig/deb.sh '$(O)' '$(VERSION)'

check-deb: ## the Debian packages: lintian, the same bytes twice, hardening, contents, an outside program
	@tests/packages.sh lintian devscripts cmake pkg-config
	@MAKE='$(MAKE)' pkgconfig/check_deb.sh '$(O)' '$(VERSION)'

symbols: ## the list of symbols for Debian, from lib/libmproc.map
	$(call run,GEN)awk -v major=$(MAJOR) -f pkgconfig/symbols.awk lib/libmproc.map \
	    >debian/libmproc$(MAJOR).symbols

deps-package: ## installs what dist, deb and the checks of packages need, with apt
	@tests/packages.sh $(DEB_TOOLS) lintian devscripts abigail-tools cmake pkg-config
