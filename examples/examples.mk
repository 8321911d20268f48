# SPDX-License-Identifier: MIT
# The programs, for both Makefiles. Each is made of NAME.c, unless NAME_SRC says otherwise.

CHAPTERS := communicating_with_pipe communicating_with_queue daemon killing_processes myfunc \
            naming_processes process_in_subclass process_pool processes_barrier \
            run_background_nodaemons run_background_processes spawning_processes \
            spawning_processes_namespace
PROGRAMS := $(CHAPTERS) eventloop insights wordcount

myfunc_SRC    := myfunc_main.c myfunc.c
spawning_processes_namespace_SRC := spawning_processes_namespace.c myfunc.c
wordcount_SRC := wordcount.c wordtable.c
