# SPDX-License-Identifier: MIT
# The programs of docs/recipes.md, for both Makefiles: one file each.

RECIPES := $(patsubst %.c,%,$(notdir $(wildcard $(dir $(lastword $(MAKEFILE_LIST)))*.c)))
