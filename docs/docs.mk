# SPDX-License-Identifier: MIT
# The documentation as HTML: the pages and the reference by Doxygen, the theme by doxygen-awesome,
# menu, search and pictures by docs/site. A warning is an error.

DOXYGEN_AWESOME ?= /usr/share/doxygen-awesome-css

DOCS_PAGES    := $(sort $(wildcard docs/*.md docs/guide/*.md)) CONTRIBUTING.md CHANGELOG.md
DOCS_PICTURES := $(patsubst docs/pictures/%.seq,$(O)/docs-parts/%.svg,$(wildcard docs/pictures/*.seq))
DOCS_THEME    := $(addprefix $(DOXYGEN_AWESOME)/doxygen-awesome,.css -darkmode-toggle.js \
                     -fragment-copy-button.js)
DOCS_TOOLS    += doxygen graphviz doxygen-awesome-css
# What others need beside: their fragments may add to it.
DOCS_CHECKERS += python3 chromium chromium-driver

.PHONY: docs check-docs deps-docs clean-docs
docs: $(DOCS_PICTURES) ## the documentation as HTML, into $(O)/docs
	@for tool in doxygen dot; do command -v $$tool >/dev/null || missing="$$missing $$tool"; done; \
	for file in $(DOCS_THEME); do [ -e $$file ] || missing="$$missing $$file"; done; \
	[ -z "$$missing" ] || { echo "Missing:$$missing" >&2; \
	    echo '`make deps-docs` installs them; DOXYGEN_AWESOME=DIR says where doxygen-awesome lies' >&2; exit 1; }
	@rm -rf $(O)/docs-parts/html && mkdir -p $(O)/docs-parts/html
	$(call run,DOC){ cat docs/Doxyfile; \
	    echo 'PROJECT_NUMBER = $(VERSION)'; \
	    echo 'INPUT = include $(DOCS_PAGES)'; \
	    echo 'EXAMPLE_PATH = examples $(O)/docs-parts'; \
	    echo 'HTML_EXTRA_STYLESHEET = $(filter %.css,$(DOCS_THEME)) docs/site/style.css'; \
	    echo 'HTML_EXTRA_FILES = $(filter %.js,$(DOCS_THEME)) docs/site/site.js docs/site/icon.svg docs/trace-view.html'; \
	    echo 'OUTPUT_DIRECTORY = $(O)/docs-parts/html'; \
	    echo 'GENERATE_TAGFILE = $(O)/docs-parts/mproc.tag'; } | doxygen -
	$(Q)docs/site/finish.sh $(O)/docs-parts/html $(O)/docs-parts/mproc.tag
	@rm -rf $(O)/docs && mv $(O)/docs-parts/html $(O)/docs

$(O)/docs-parts/%.svg: docs/pictures/%.seq docs/sequence.awk
	@mkdir -p $(@D)
	$(call run,SEQ)awk -f docs/sequence.awk $< >$@

check-docs: docs ## names, links, and every page in a browser; pictures into $(O)/docs-shots
	@for tool in python3 chromium chromedriver; do \
	    command -v $$tool >/dev/null || { echo "Missing: $$tool; \`make deps-docs\` installs it" >&2; exit 1; }; done
	@python3 -B tests/docs/names.py $(O)/docs-parts/mproc.tag lib/libmproc.map include
	@python3 -B tests/docs/links.py $(O)/docs
	@python3 -B tests/docs/browser.py $(O)/docs $(O)/docs-shots

deps-docs: ## installs what the documentation and its checks need, with apt
	@tests/packages.sh $(DOCS_TOOLS) $(DOCS_CHECKERS)

clean: clean-docs
clean-docs:
	$(Q)rm -rf $(O)/docs-parts $(O)/docs-shots
