# SPDX-License-Identifier: MIT
# The same sources and compiler give the same bytes, in whatever directory, by whomever and whenever.

.PHONY: check-reproducible

check-reproducible: lib ## the library is built elsewhere, in other circumstances, into the same bytes
	@MAKE='$(MAKE)' CC='$(CC)' CFLAGS='$(CFLAGS)' CPPFLAGS='$(CPPFLAGS)' LDFLAGS='$(LDFLAGS)' \
	    pkgconfig/check_reproducible.sh '$(O)'
