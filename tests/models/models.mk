# SPDX-License-Identifier: MIT
# The models of the protocols, for spin; T=NAME chooses, as for tests.

.PHONY: models deps-models

models: ## checks the models of the protocols with spin, or T=NAME; QUICK=1: not the long ones
	@O='$(abspath $(O))' CC='$(CC)' QUICK='$(QUICK)' tests/models/run.sh $(if $(T),$(or $(basename $(notdir \
	    $(foreach m,$(wildcard tests/models/*.pml),$(if $(findstring $(T),$(notdir $m)),$m)))),$(T)))

deps-models: ## installs spin, which `make models` needs
	@CC='$(CC)' tests/packages.sh spin
