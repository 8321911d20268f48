# SPDX-License-Identifier: MIT
# The tests: each tests/*/test_*.c a program, each tests/*/test_*.sh a script; T=NAME chooses.

TEST_SRC    := $(filter-out $(if $(STEPS),,tests/steps/%),$(wildcard tests/*/test_*.c))
TEST_BIN    := $(TEST_SRC:%.c=$(O)/%)
TEST_SH     := $(wildcard tests/*/test_*.sh)
SUPPORT_OBJ := $(patsubst %.c,$(O)/obj/%.o,$(wildcard tests/support/*.c))
TEST_FLAGS  := -Ilib -Itests -D_GNU_SOURCE -std=c11
chosen       = $(if $(T),$(foreach t,$1,$(if $(findstring $(T),$(notdir $t)),$t)),$1)

.PHONY: tests check check-unit check-asan check-ubsan check-san check-tsan \
        check-valgrind check-install test-packages lint cppcheck tidy

tests: $(TEST_BIN) $(O)/tests/runner ## the test programs

$(O)/obj/tests/%.o: tests/%.c $(O)/.flags | test-packages
	@mkdir -p $(@D)
	$(call run,CC)$(COMPILE) $(TEST_FLAGS) -c -o $@ $<

$(TEST_BIN): $(O)/tests/%: $(O)/obj/tests/%.o $(SUPPORT_OBJ) $(O)/lib/libmproc.a
	@mkdir -p $(@D)
	$(call run,LD)$(LINK) -o $@ $< $(SUPPORT_OBJ) $(O)/lib/libmproc.a $(LDLIBS) -lcmocka \
	    $(PRIVATE_LIBS)

# The runner is no part of what is tested: it is built without the user's flags (sanitizers).
$(O)/tests/runner: tests/runner.c
	@mkdir -p $(@D)
	$(call run,CC)$(CC) -std=c11 -D_GNU_SOURCE $(WARNINGS) -O1 -o $@ $<

include $(wildcard tests/*/*.mk)

test-packages:
	@CC='$(CC)' tests/packages.sh libcmocka-dev

RUN := O='$(abspath $(O))' SRC='$(CURDIR)' CC='$(CC)' tests/run.sh

check: $(call chosen,$(TEST_BIN)) $(O)/tests/runner examples guide ## builds and runs all tests, or T=NAME
	@$(RUN) $(call chosen,$(TEST_BIN) $(TEST_SH))

check-unit: $(call chosen,$(filter-out $(SKIP:%=$(O)/tests/unit/test_%), \
              $(filter $(O)/tests/unit/%,$(TEST_BIN)))) $(O)/tests/runner
	@$(RUN) $(filter $(O)/tests/unit/%,$^)

# These have many processes come, die and go, or watch how they sleep, which takes valgrind minutes
# and shows it nothing new; or read in the library's own structures what another process wrote, of
# which it does not know.
SLOW_DEATHS := sleepers daemon barrier barrier_death condition condition_death exit exitcode imap \
               insight pool_crash pool_ends pool_modes pool_signals pool_size pool_storm \
               pool_worker process_limits progress_bar queue_peers result_memory result_then \
               task trace

# Each sanitizer has an object tree of its own.
SANITIZE_asan  := address
SANITIZE_ubsan := undefined
SANITIZE_san   := address,undefined
SANITIZE_tsan  := thread
check-san: ## all tests with ASan and UBSan (check-asan, check-ubsan, check-tsan: one of them)
check-asan check-ubsan check-san check-tsan: check-%:
	+@flags='-O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all -fsanitize=$(SANITIZE_$*)'; \
	MP_TEST_SCALE=$${MP_TEST_SCALE:-4} \
	UBSAN_OPTIONS=print_stacktrace=1:$$UBSAN_OPTIONS \
	$(MAKE) --no-print-directory check O='$(O)/$*' CFLAGS="$(CFLAGS) $$flags"

check-valgrind: ## the unit tests under valgrind, with leak check; the slowest only by T=NAME
	@CC='$(CC)' tests/packages.sh libcmocka-dev valgrind libc6-dbg
	+@WRAP=tests/valgrind.sh MP_TEST_SCALE=$${MP_TEST_SCALE:-8} LIMIT=$${LIMIT:-60} JOBS=$${JOBS:-4} \
	    $(MAKE) --no-print-directory check-unit $(if $(T),,SKIP='$(SLOW_DEATHS)')

check-install: lib ## installs, builds and runs outside programs, uninstalls
	@O='$(O)' MAKE='$(MAKE)' CC='$(CC)' tests/install/run.sh

lint: $(O)/lib/libmproc.so $(O)/lib/libmproc.a ## layers, budgets, names, exports, headers, style
	@O='$(abspath $(O))' CC='$(CC)' tests/lint/run.sh

cppcheck: ## static analysis by cppcheck
	$(Q)cppcheck -q -j2 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
	    --std=c11 -D_GNU_SOURCE -D__linux__ -D__LP64__ -D__GLIBC__=2 -D'_Noreturn=__attribute__((noreturn))' \
	    -D'ElfW(t)=Elf64_##t' -Iinclude -Ilib \
	    --suppress=missingIncludeSystem lib examples

tidy: ## static analysis by clang-tidy
	$(Q)printf '%s\n' $(LIB_SRC) $(wildcard examples/*.c examples/*/*.c) | xargs -P2 -n1 sh -c \
	    'clang-tidy --quiet "$$@" -- -Iinclude -Ilib -std=gnu11 -D_GNU_SOURCE' tidy
