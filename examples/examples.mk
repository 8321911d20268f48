# SPDX-License-Identifier: MIT
# Every program here is made of NAME.c, unless NAME_SRC says otherwise. Read by both Makefiles.

HELPERS  := support.c
here     := $(dir $(lastword $(MAKEFILE_LIST)))
PROGRAMS := $(basename $(filter-out $(HELPERS),$(notdir $(wildcard $(here)*.c))))
CHAPTERS := $(filter-out wordcount,$(PROGRAMS))
$(foreach p,$(PROGRAMS),$(eval $p_SRC := $p.c))
