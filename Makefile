# SPDX-License-Identifier: MIT
#
# libmproc. `make help` lists the targets. What may be given on the command line:
#
#   O=DIR                                    where everything is built (build)
#   V=1                                      show the commands
#   CC CFLAGS CPPFLAGS LDFLAGS LDLIBS        yours; what the library needs is added to them
#   PREFIX LIBDIR INCLUDEDIR DESTDIR ...     where `make install` puts it (pkgconfig/install.mk)
#   T=NAME JOBS=N LIMIT=S MP_TEST_SCALE=X    which tests, how many at once, how patient
#   STEPS=1                                  with kill points in the library (lib/os/step.h)
#   USDT=1                                   with probes for tracers (lib/os/probe.h)

O        ?= build
CFLAGS   ?= -O2 -g
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wundef -Wvla -Wformat=2 -Wpointer-arith \
            -Wwrite-strings -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition

# Warnings come first so that CFLAGS can turn one off; what the code relies on comes last.
COMPILE   = $(CC) -Iinclude $(WARNINGS) $(if $(STEPS),-DMPROC_STEPS) $(if $(USDT),-DMPROC_USDT) $(CPPFLAGS) $(CFLAGS) -pthread -MMD -MP
LINK      = $(CC) $(CFLAGS) $(LDFLAGS) -pthread

# $(call run,WORD)COMMAND: shows the command with V=1, else WORD and the target.
run       = $(if $(filter 1,$(V)),,@printf '  %-5s %s\n' '$1' '$@' && )
Q        := $(if $(filter 1,$(V)),,@)

# $(eval $(call stamp,NAME,TEXT)): the file $(O)/NAME holds TEXT, and is new when TEXT has changed.
define stamp
ifneq ($$(strip $2),$$(strip $$(file <$(O)/$1)))
.PHONY: $(O)/$1
endif
$(O)/$1:
	@mkdir -p $$(@D) && printf '%s\n' '$(subst ','\'',$(strip $2))' >$$@
endef

MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
.PHONY: all lib examples guide demo format clean help

all: lib examples ## the libraries and the examples

$(eval $(call stamp,.flags,$(COMPILE) $(LDFLAGS) $(LDLIBS)))

include lib/lib.mk
include examples/examples.mk
include examples/guide/guide.mk
include examples/recipes/recipes.mk
include tests/tests.mk
include docs/docs.mk
include docs/man/man.mk

# The examples: client programs of the public interface, linked so that they run where they are.

EXAMPLES  := $(PROGRAMS:%=$(O)/examples/%)
GUIDE_BIN := $(GUIDE:%=$(O)/examples/guide/%) $(RECIPES:%=$(O)/examples/recipes/%)

examples: $(EXAMPLES) ## the example programs, into $(O)/examples

guide: $(GUIDE_BIN) ## the programs of the guide and of the recipes, into $(O)/examples

define example
$(O)/examples/$1: $(patsubst %.c,$(O)/obj/examples/%.o,$(or $($1_SRC),$1.c)) $(O)/lib/libmproc.a
endef
$(foreach p,$(PROGRAMS) $(GUIDE:%=guide/%) $(RECIPES:%=recipes/%),$(eval $(call example,$p)))

$(EXAMPLES) $(GUIDE_BIN):
	@mkdir -p $(@D)
	$(call run,LD)$(LINK) -o $@ $^ $(LDLIBS) $($(@F)_LIBS) $(PRIVATE_LIBS)

$(O)/obj/examples/%.o: examples/%.c $(O)/.flags
	@mkdir -p $(@D)
	$(call run,CC)$(COMPILE) $($*_CPPFLAGS) -c -o $@ $<

demo: examples ## builds, shows every chapter program at a quick pace, then a real job
	@set -e; export PACE=$${PACE:-0.02}; \
	for program in $(CHAPTERS); do \
	    printf '\n== %s\n' "$$program"; \
	    case $$program in myfunc) set -- 3 ;; *) set -- ;; esac; \
	    $(O)/examples/$$program "$$@" || { echo "$$program failed: $$?"; exit 1; }; \
	done; \
	printf '\n== wordcount: the words of this tree\n'; \
	$(O)/examples/wordcount

format: ## puts every source into the style of .clang-format
	clang-format -i $(wildcard include/*.h include/*/*.h lib/*/*.[ch] examples/*.[ch] \
	    examples/*/*.c tests/*.c tests/*/*.[ch] tests/*/*.cc)

clean: ## removes what was built
	$(Q)rm -rf $(addprefix $(O)/,obj lib examples tests docs docs-parts man .man .flags .objects \
	    asan ubsan san tsan steps steps-san models gcc clang demo \
	    abi deb dist .lib libmproc-$(VERSION).tar.xz)
	@rmdir $(O) 2>/dev/null || true

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1\t\2/p' $(filter %.mk Makefile,$(MAKEFILE_LIST)) | \
	while IFS='	' read -r target text; do printf '  %-16s %s\n' "$$target" "$$text"; done

-include $(shell find $(O)/obj -name '*.d' 2>/dev/null)
