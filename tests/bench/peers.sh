#!/bin/sh
# SPDX-License-Identifier: MIT
#
#   CC=cc CXX=c++ peers.sh CC_OPTIONS LD_OPTIONS
#
# Finds out which of the libraries that the benchmarks compare with compile and link here, and
# writes the options for that into two files.
set -u
cc_options=$1
ld_options=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# try NAME PACKAGE COMPILER LANGUAGE LIBRARIES: reads a program.
try() {
    name=$1
    package=$2
    compiler=$3
    language=$4
    shift 4
    if "$compiler" -x "$language" - -o "$work/a.out" -pthread "$@" 2>/dev/null; then
        echo "-DBENCH_HAVE_$name" >>"$work/cc"
        echo "$*" >>"$work/ld"
    else
        echo "  bench is built without $package (make deps-bench installs it)" >&2
    fi
}

: >"$work/cc"
: >"$work/ld"
try BOOST libboost-dev "${CXX:-c++}" c++ -lstdc++ <<'EOF'
#include <boost/interprocess/ipc/message_queue.hpp>
int main() { return !boost::interprocess::message_queue::remove("bench-no-such-queue"); }
EOF
try LIBQB libqb-dev "${CC:-cc}" c -lqb <<'EOF'
#include <qb/qbrb.h>
int main(void) { return qb_rb_open("", 0, 0, 0) == 0; }
EOF
try ZEROMQ libzmq3-dev "${CC:-cc}" c -lzmq <<'EOF'
#include <zmq.h>
int main(void) { return zmq_ctx_new() == 0; }
EOF
try NNG libnng-dev "${CC:-cc}" c -lnng <<'EOF'
#include <nng/nng.h>
#include <nng/protocol/pipeline0/push.h>
int main(void) { nng_socket s; return nng_push0_open(&s); }
EOF
try TBB libtbb-dev "${CXX:-c++}" c++ -ltbb -lstdc++ <<'EOF'
#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/task_group.h>
int main() { tbb::task_group group; group.run([] {}); group.wait(); }
EOF
try OPENMP "the compiler's OpenMP" "${CC:-cc}" c -fopenmp <<'EOF'
#include <omp.h>
int main(void) { return omp_get_max_threads() == 0; }
EOF
! grep -q OPENMP "$work/cc" || echo -fopenmp >>"$work/cc"
mv "$work/ld" "$ld_options" && mv "$work/cc" "$cc_options"
