# SPDX-License-Identifier: MIT
# The programs of the guide's chapters, for both Makefiles: one file each.

GUIDE := $(patsubst %.c,%,$(notdir $(wildcard $(dir $(lastword $(MAKEFILE_LIST)))*.c)))
