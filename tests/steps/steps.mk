# SPDX-License-Identifier: MIT
# Deaths at the marked steps of every protocol (lib/os/step.h), in a build with STEPS=1. At the end,
# unless T=NAME has chosen some tests, it is an error if no test came to a step of the library.

STEP_BIN     := $(filter $(O)/tests/steps/%,$(TEST_BIN))
STEP_COVERED := $(O)/tests/steps-reached

.PHONY: check-steps check-steps-san check-steps-here

check-steps: ## kills a process at each step of each protocol (check-steps-san: under ASan and UBSan)
	+@$(MAKE) --no-print-directory check-steps-here STEPS=1 O='$(O)/steps'

check-steps-san:
	+@flags='-O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all -fsanitize=address,undefined'; \
	MP_TEST_SCALE=$${MP_TEST_SCALE:-4} \
	UBSAN_OPTIONS=print_stacktrace=1:$$UBSAN_OPTIONS \
	$(MAKE) --no-print-directory check-steps-here STEPS=1 O='$(O)/steps-san' CFLAGS="$(CFLAGS) $$flags"

check-steps-here: $(call chosen,$(STEP_BIN)) $(O)/tests/runner $(O)/tests/steps/coverage
	@rm -f $(STEP_COVERED)
	@JOBS=$${JOBS:-5} LIMIT=$${LIMIT:-300} $(RUN) $(call chosen,$(STEP_BIN)) # most of the time they wait for looks
	$(if $(T),,@$(O)/tests/steps/coverage $(STEP_COVERED))

# All of the library, not only what is referred to.
$(O)/tests/steps/coverage: $(O)/obj/tests/steps/coverage.o $(O)/lib/libmproc.a
	@mkdir -p $(@D)
	$(call run,LD)$(LINK) -o $@ $< -Wl,--whole-archive $(O)/lib/libmproc.a -Wl,--no-whole-archive \
	    $(LDLIBS) $(PRIVATE_LIBS)
