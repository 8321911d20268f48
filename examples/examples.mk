# SPDX-License-Identifier: MIT
# The programs, for both Makefiles. Each is made of NAME.c, unless NAME_SRC says otherwise.

CHAPTERS := communicating_with_pipe communicating_with_queue daemon killing_processes myfunc \
            naming_processes process_in_subclass process_pool processes_barrier \
            run_background_nodaemons run_background_processes spawning_processes \
            spawning_processes_namespace
GALLERY  := connserver hashtable jobrunner logpipeline mandelbrot pi sieve
PROGRAMS := $(CHAPTERS) $(GALLERY) eventloop first insights wordcount

myfunc_SRC    := myfunc_main.c myfunc.c
spawning_processes_namespace_SRC := spawning_processes_namespace.c myfunc.c
wordcount_SRC := wordcount.c wordtable.c

# mandelbrot writes PNG files, too, if libpng is here and goes with this compiler and these flags.
png = $(shell flags=$$(pkg-config --cflags --libs libpng 2>/dev/null) && \
          echo 'int main(void) { return png_sig_cmp((png_const_bytep)"", 0, 0); }' | \
          $(CC) $(CFLAGS) $(LDFLAGS) -include png.h -x c - -o /dev/null $$flags 2>/dev/null && \
          echo -DHAVE_PNG $$flags)
mandelbrot_CPPFLAGS = $(filter -D% -I%,$(png))
mandelbrot_LIBS     = $(filter -L% -l%,$(png))
