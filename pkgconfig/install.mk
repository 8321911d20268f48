# SPDX-License-Identifier: MIT
# Installation. Needs what the build needs, and no more: manual pages and HTML are installed where
# they were made (`make man`, `make docs`; a release has ready-made manual pages), and are not made here.
#
#   PREFIX        /usr/local
#   LIBDIR        PREFIX/lib              libmproc.so, libmproc.a
#   PKGCONFIGDIR  LIBDIR/pkgconfig        mproc.pc
#   CMAKEDIR      LIBDIR/cmake/mproc      find_package(mproc): mproc::mproc and mproc::mproc_static
#   INCLUDEDIR    PREFIX/include          mproc.h, mproc/
#   MANDIR        PREFIX/share/man        man3, man7
#   DOCDIR        PREFIX/share/doc/libmproc   README.md, CHANGELOG.md, LICENSE, html/, examples/
#   DESTDIR                               goes before all of them, and into no file
#
# Any of them may hold spaces. `make uninstall` with the same ones takes away what was copied, and
# the directories that were made. Nothing is written into the source tree, and into $(O) only what
# was not built yet, and the list of what was installed ($(O)/.installed); `make clean` leaves that.

PREFIX       ?= /usr/local
LIBDIR       ?= $(PREFIX)/lib
INCLUDEDIR   ?= $(PREFIX)/include
PKGCONFIGDIR ?= $(LIBDIR)/pkgconfig
CMAKEDIR     ?= $(LIBDIR)/cmake/mproc
MANDIR       ?= $(PREFIX)/share/man
DOCDIR       ?= $(PREFIX)/share/doc/libmproc

# Directories of the build are words of make.
ifneq ($(words $(O)),1)
$(error O='$(O)': the directory of the build must be one word; those of the installation may have spaces)
endif

# Manual pages: those that were made, else the release's.
MAN_MADE := $(firstword $(wildcard $(O)/man/man3/mp_*.3) $(wildcard man/man3/mp_*.3))
MAN_TREE := $(patsubst %/man3/,%,$(dir $(MAN_MADE)))

EXAMPLE_FILES := $(filter-out %.o %.d,$(wildcard examples/*.* examples/Makefile))
EXAMPLE_DIRS  := $(sort $(filter-out examples/,$(dir $(wildcard examples/*/*.*))))

# $(call library,copy) and $(call texts,copy): what is installed. Each line: how, where, what.
define library
$(Q)$(INSTALLER) $1 file LIBDIR $(addprefix $(O)/lib/,libmproc.a libmproc.so.$(VERSION) $(SONAME) libmproc.so)
$(Q)$(INSTALLER) $1 file INCLUDEDIR $(wildcard include/*.h)
$(Q)$(INSTALLER) $1 file INCLUDEDIR/mproc $(wildcard include/mproc/*.h)
$(Q)$(INSTALLER) $1 fill PKGCONFIGDIR pkgconfig/mproc.pc.in
$(Q)$(INSTALLER) $1 fill CMAKEDIR $(wildcard pkgconfig/*.cmake.in)
endef

define texts
$(Q)$(INSTALLER) $1 file DOCDIR README.md CHANGELOG.md LICENSE
$(Q)$(INSTALLER) $1 file DOCDIR/examples $(EXAMPLE_FILES)
$(foreach d,$(EXAMPLE_DIRS),$(Q)$(INSTALLER) $1 file DOCDIR/$(d:/=) $(filter-out %.o %.d,$(wildcard $d*.*))
)$(if $(MAN_TREE),$(Q)$(INSTALLER) $1 tree MANDIR $(MAN_TREE))
$(if $(wildcard $(O)/docs/index.html),$(Q)$(INSTALLER) $1 tree DOCDIR/html $(O)/docs)
endef

INSTALLER := pkgconfig/install.sh

# Lets the dynamic linker know, where that is ours to do.
LDCONFIG := [ -n "$$DESTDIR" ] || [ "$$(id -u)" != 0 ] || ldconfig 2>/dev/null || true

INSTALLING := install install-lib install-doc uninstall
.PHONY: $(INSTALLING)

$(INSTALLING): export DESTDIR := $(DESTDIR)
$(INSTALLING): export PREFIX := $(PREFIX)
$(INSTALLING): export LIBDIR := $(LIBDIR)
$(INSTALLING): export INCLUDEDIR := $(INCLUDEDIR)
$(INSTALLING): export PKGCONFIGDIR := $(PKGCONFIGDIR)
$(INSTALLING): export CMAKEDIR := $(CMAKEDIR)
$(INSTALLING): export MANDIR := $(MANDIR)
$(INSTALLING): export DOCDIR := $(DOCDIR)
$(INSTALLING): export VERSION := $(VERSION)
$(INSTALLING): export MAJOR := $(MAJOR)
$(INSTALLING): export MINOR := $(MINOR)
$(INSTALLING): export SONAME := $(SONAME)
$(INSTALLING): export PRIVATE_LIBS := $(PRIVATE_LIBS)
$(INSTALLING): export LIBRARY := $(O)/lib/libmproc.so.$(VERSION)
$(INSTALLING): export RECORDS := $(O)/.installed

install: install-lib install-doc ## copies libraries, headers, texts, examples to PREFIX (/usr/local)

install-lib: lib
	$(call library,copy)
	$(Q)$(INSTALLER) finish
	$(Q)$(LDCONFIG)

install-doc: | $(if $(filter install,$(MAKECMDGOALS)),install-lib)
	$(call texts,copy)
	$(Q)$(INSTALLER) finish
	$(if $(MAN_TREE),,@echo '  (no manual pages: `make man` makes them, with doxygen and python3)')
	$(if $(wildcard $(O)/docs/index.html),,@echo '  (no HTML: `make docs` makes it, with doxygen and graphviz)')

uninstall: ## removes what install copied, and the directories that it made
	$(call library,list)
	$(call texts,list)
	$(Q)$(INSTALLER) remove
	$(Q)$(LDCONFIG)
