# SPDX-License-Identifier: MIT
# The binary interface is compared with that of the last release, as it is written in
# pkgconfig/libmproc.abi (until the first release: as it stood when it was last written). Who changes
# it on purpose runs `make abi symbols` and commits both files with the change: after a release, only
# with a new major number, or before 1.0.0 a new minor one. New functions and enumerators pass, and
# are told. A member at the end of options, which begin with their size, breaks nothing, but is for a
# human to see: it fails until `make abi`.

ABI := pkgconfig/libmproc.abi

.PHONY: abi check-abi

abi: $(O)/abi/libmproc.abi ## writes down the binary interface, after a change on purpose
	$(call run,GEN)cp $< $(ABI)

check-abi: $(O)/abi/libmproc.abi ## the binary interface is that of the last release, or more
	@pkgconfig/check_abi.sh $(ABI) $<
	@awk -v major=$(MAJOR) -f pkgconfig/symbols.awk lib/libmproc.map | diff debian/libmproc$(MAJOR).symbols - || \
	    { echo 'check-abi: debian/libmproc$(MAJOR).symbols is not what lib/libmproc.map says: make symbols' >&2; exit 1; }

# Without what changes when the interface does not: lines, paths, names of parameters.
$(O)/abi/libmproc.abi: $(O)/abi/libmproc.so pkgconfig/private.suppr
	@tests/packages.sh abigail-tools
	@readelf -S $< | grep -q '\.debug_info' || \
	    { echo 'abi: $< has no debug information: build with -g' >&2; exit 1; }
	$(call run,ABI)abidw --suppr pkgconfig/private.suppr --no-show-locs --no-corpus-path --no-comp-dir-path \
	    --no-parameter-names --no-elf-needed --drop-undefined-syms --exported-interfaces-only \
	    --type-id-style hash $< >$@

# The library, and in it a variable of each public enumeration: functions take them as int, so that
# nothing in the library itself tells of them. Its objects need -g, as they have by default.
$(O)/abi/libmproc.so: $(LIB_OBJ) $(O)/abi/constants.o lib/libmproc.map
	$(call run,LD)printf 'MPROC_ABI { global: mp_abi_constants; };\n' >$(@D)/abi.map && \
	    $(LINK) $(SO_FLAGS) -Wl,--version-script=$(@D)/abi.map -o $@ $(filter %.o,$^) $(LDLIBS) $(PRIVATE_LIBS)

$(O)/abi/constants.o: $(O)/abi/constants.c $(O)/.flags
	$(call run,CC)$(COMPILE) $(LIB_FLAGS) -g -fvisibility=default -c -o $@ $<

$(O)/abi/constants.c: pkgconfig/constants.sh $(wildcard include/*.h include/*/*.h)
	@mkdir -p $(@D)
	$(call run,GEN)pkgconfig/constants.sh >$@
