# SPDX-License-Identifier: MIT
# The library: one set of objects for both forms. What is made of it: pkgconfig/*.mk.

numbers  := $(shell sed -n 's/^\#define MP_VERSION_[MP][AI][JNT][A-Z]* \([0-9]*\).*/\1/p' \
                include/mproc/version.h)
MAJOR    := $(word 1,$(numbers))
MINOR    := $(word 2,$(numbers))
VERSION  := $(MAJOR).$(MINOR).$(word 3,$(numbers))
SONAME   := libmproc.so.$(MAJOR)

LIB_SRC  := $(sort $(wildcard lib/*/*.c))
LIB_OBJ  := $(LIB_SRC:lib/%.c=$(O)/obj/lib/%.o)
# Without PLT: what the library calls is bound when the program starts, also in a static one that is
# bound lazily; else each worker of a pool binds the same functions anew, having been forked before.
# No hardening by the compiler unless CFLAGS ask for it, which costs queues and pipes 2 to 3 %.
# Nothing of where the sources lie goes into the objects: the same sources give the same bytes.
LIB_FLAGS := -Ilib -std=c11 -D_GNU_SOURCE -fPIC -fvisibility=hidden -ftls-model=initial-exec -fno-plt \
             '-ffile-prefix-map=$(CURDIR)=.'
SO_FLAGS := -shared -Wl,-soname,$(SONAME) -Wl,--version-script=lib/libmproc.map \
            -Wl,-z,defs,-z,now,-z,relro,-z,nodelete
# Before glibc 2.34 these were libraries of their own; since then they are empty.
PRIVATE_LIBS := -ldl -lrt

lib: $(O)/lib/libmproc.a $(O)/lib/libmproc.so $(O)/lib/$(SONAME) ## libmproc.so and libmproc.a

$(eval $(call stamp,.objects,$(LIB_OBJ)))
$(eval $(call stamp,.lib,$(LIB_FLAGS) $(SO_FLAGS)))

$(O)/obj/lib/%.o: lib/%.c $(O)/.flags $(O)/.lib
	@mkdir -p $(@D)
	$(call run,CC)$(COMPILE) $(LIB_FLAGS) -c -o $@ $<

$(O)/lib/libmproc.a: $(LIB_OBJ) $(O)/.objects
	@mkdir -p $(@D) && rm -f $@
	$(call run,AR)$(AR) rcsD $@ $(LIB_OBJ)

$(O)/lib/libmproc.so.$(VERSION): $(LIB_OBJ) lib/libmproc.map $(O)/.objects $(O)/.lib
	@mkdir -p $(@D)
	$(call run,LD)$(LINK) $(SO_FLAGS) -o $@ $(LIB_OBJ) $(LDLIBS) $(PRIVATE_LIBS)

$(O)/lib/libmproc.so $(O)/lib/$(SONAME): $(O)/lib/libmproc.so.$(VERSION)
	$(Q)ln -sf $(<F) $@

include $(wildcard pkgconfig/*.mk)
