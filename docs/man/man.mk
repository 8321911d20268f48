# SPDX-License-Identifier: MIT
# The manual pages: made from the comments of the public headers. They lie below $(O)/man, so that
# `man -M $(O)/man mp_queue_put` shows one, and `make install` takes what is there.

MAN_PROGRAM := $(firstword $(wildcard examples/first.c) examples/process_pool.c)
MAN_FILTER  := $(firstword $(wildcard docs/error.awk docs/site/error.awk))
MAN_SOURCE  := $(wildcard include/*.h include/*/*.h docs/man/*.py) docs/man/mproc.7.in \
               $(MAN_PROGRAM) $(MAN_FILTER) CHANGELOG.md

# The date of the pages: what the environment says, else that of the release, else that of the last
# commit, so that the same tree always gives the same pages.
MAN_DATE = $$(date=$$(sed -n 's/^\#\# $(VERSION) - \([0-9-]*\)$$/\1/p' CHANGELOG.md); \
    if [ -n "$$SOURCE_DATE_EPOCH" ]; then date -u -d "@$$SOURCE_DATE_EPOCH" +%Y-%m-%d; \
    elif [ -n "$$date" ]; then echo "$$date"; \
    else git log -1 --format=%cs 2>/dev/null; fi)

DOCS_TOOLS += python3 mandoc groff man-db

.PHONY: man check-man man-packages

man: $(O)/.man ## the manual pages, into $(O)/man

$(O)/.man: $(MAN_SOURCE) | man-packages
	@mkdir -p $(O)/man
	$(call run,MAN)python3 -B docs/man/man.py include $(MAN_FILTER) docs/man/mproc.7.in $(MAN_PROGRAM) \
	    $(VERSION) "$(MAN_DATE)" $(O)/man
	@touch $@

man-packages:
	@for program in doxygen python3; do \
	    command -v $$program >/dev/null || \
	        { echo "make man: needs $$program: make deps-docs" >&2; exit 1; }; \
	done

check-man: $(O)/.man ## the manual pages are whole, correct roff, and found by man and apropos
	@python3 -B docs/man/check.py $(O)/man include lib/libmproc.map
