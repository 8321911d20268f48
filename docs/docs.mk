# SPDX-License-Identifier: MIT
# The reference: HTML from the headers and the texts. A warning is an error.

DOCS_INPUT := include $(wildcard README.md docs/from-python.md docs/examples.md docs/insights.md docs/design.md \
    docs/decisions.md docs/pains.md CONTRIBUTING.md CHANGELOG.md)

.PHONY: docs
docs: ## the manual as HTML, into $(O)/docs
	@mkdir -p $(O)/docs
	$(call run,DOC){ cat docs/Doxyfile; echo 'PROJECT_NUMBER = $(VERSION)'; \
	    echo 'OUTPUT_DIRECTORY = $(O)/docs'; echo 'INPUT = $(DOCS_INPUT)'; } | doxygen -
