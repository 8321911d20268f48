# SPDX-License-Identifier: MIT
# The library: one set of objects for both forms; and its installation.

numbers  := $(shell sed -n 's/^\#define MP_VERSION_[MP][AI][JNT][A-Z]* \([0-9]*\).*/\1/p' \
                include/mproc/version.h)
MAJOR    := $(word 1,$(numbers))
VERSION  := $(MAJOR).$(word 2,$(numbers)).$(word 3,$(numbers))
SONAME   := libmproc.so.$(MAJOR)

LIB_SRC  := $(wildcard lib/*/*.c)
LIB_OBJ  := $(LIB_SRC:lib/%.c=$(O)/obj/lib/%.o)
# Without PLT: what the library calls is bound when the program starts, also in a static one that is
# bound lazily; else each worker of a pool binds the same functions anew, having been forked before.
LIB_FLAGS := -Ilib -std=c11 -D_GNU_SOURCE -fPIC -fvisibility=hidden -ftls-model=initial-exec -fno-plt
SO_FLAGS := -shared -Wl,-soname,$(SONAME) -Wl,--version-script=lib/libmproc.map \
            -Wl,-z,defs,-z,now,-z,relro,-z,nodelete
# Before glibc 2.34 these were libraries of their own; since then they are empty.
PRIVATE_LIBS := -ldl -lrt

lib: $(O)/lib/libmproc.a $(O)/lib/libmproc.so $(O)/lib/$(SONAME) ## libmproc.so and libmproc.a

$(eval $(call stamp,.objects,$(LIB_OBJ)))

$(O)/obj/lib/%.o: lib/%.c $(O)/.flags
	@mkdir -p $(@D)
	$(call run,CC)$(COMPILE) $(LIB_FLAGS) -c -o $@ $<

$(O)/lib/libmproc.a: $(LIB_OBJ) $(O)/.objects
	@mkdir -p $(@D) && rm -f $@
	$(call run,AR)$(AR) rcs $@ $(LIB_OBJ)

$(O)/lib/libmproc.so.$(VERSION): $(LIB_OBJ) lib/libmproc.map $(O)/.objects
	@mkdir -p $(@D)
	$(call run,LD)$(LINK) $(SO_FLAGS) -o $@ $(LIB_OBJ) $(LDLIBS) $(PRIVATE_LIBS)

$(O)/lib/libmproc.so $(O)/lib/$(SONAME): $(O)/lib/libmproc.so.$(VERSION)
	$(Q)ln -sf $(<F) $@

# Installation. The one list of what goes where: SOURCE:DESTINATION.

PREFIX     ?= /usr/local
LIBDIR     ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include

INSTALLED := $(foreach h,$(wildcard include/*.h include/*/*.h),$h:$(INCLUDEDIR)/$(h:include/%=%)) \
    $(foreach l,libmproc.a libmproc.so.$(VERSION) $(SONAME) libmproc.so,$(O)/lib/$l:$(LIBDIR)/$l) \
    $(O)/mproc.pc:$(LIBDIR)/pkgconfig/mproc.pc

# Lets the dynamic linker know, where that is ours to do.
LDCONFIG := [ -n '$(DESTDIR)' ] || [ "$$(id -u)" != 0 ] || ldconfig 2>/dev/null || true

.PHONY: install uninstall

install: lib $(O)/mproc.pc ## copies libraries, headers and mproc.pc to PREFIX
	$(Q)pkgconfig/install.sh install $(O)/.made $(INSTALLED)
	$(Q)$(LDCONFIG)

uninstall: ## removes what install copied, and the directories that it made
	$(Q)pkgconfig/install.sh uninstall $(O)/.made $(INSTALLED)
	$(Q)$(LDCONFIG)

$(eval $(call stamp,.prefix,$(VERSION) $(PREFIX) $(LIBDIR) $(INCLUDEDIR) $(PRIVATE_LIBS)))

$(O)/mproc.pc: pkgconfig/mproc.pc.in $(O)/.prefix
	$(call run,GEN)sed -e 's|@VERSION@|$(VERSION)|' -e 's|@PREFIX@|$(PREFIX)|' \
	    -e 's|@LIBDIR@|$(LIBDIR:$(PREFIX)/%=$${prefix}/%)|' \
	    -e 's|@INCLUDEDIR@|$(INCLUDEDIR:$(PREFIX)/%=$${prefix}/%)|' \
	    -e 's|@PRIVATE_LIBS@|$(PRIVATE_LIBS)|' $< >$@
