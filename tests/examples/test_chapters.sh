#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The thirteen programs of the chapter print the lines of the scripts, end with status 0, and leave
# nothing behind. Where the scripts leave something to chance, all that may happen is accepted. The
# same is true of what the page about them shows, examples/output.
# shellcheck source=tests/examples/programs.sh disable=SC2317 # cases are called by name
. "$(dirname "$0")/programs.sh"
texts=${SRC:-.}/examples/output

communicating_with_pipe() {
    printf '%s\n' 0 1 4 9 16 25 36 49 64 81 End | prints communicating_with_pipe
}

# What each of the two prints is in order, whatever comes between; what is popped was appended, in
# order. A consumer that overtakes the producer finds the queue empty, and ends early.
queue_lines() {
    runs_well communicating_with_queue && awk '
        function bad() { print "line " NR ": " $0; wrong = 1; exit }
        /^Process Producer : item [0-9]+ appended to queue producer-1$/ && appended == sizes {
            if ($5 > 256) bad()
            item[++appended] = $5
            next
        }
        /^The size of queue is ([0-9]|10)$/ && sizes == appended - 1 { sizes++; next }
        /^Process Consumer : item [0-9]+ popped from by consumer-2$/ && !empty {
            if ($5 != item[++popped]) bad()
            next
        }
        /^the queue is empty$/ && !empty { empty = 1; next }
        { bad() }
        END {
            if (wrong) exit 1
            print appended + 0 " appended, " sizes + 0 " sizes, " popped + 0 " popped"
            exit !(appended == 10 && sizes == 10 && popped >= 1 && empty)
        }' "$work/out"
}

all_are_popped() {
    queue_lines && [ "$(grep -c popped "$work/out")" = 10 ]
}

communicating_with_queue() {
    within 5 all_are_popped && queue_lines
}

# of PATTERN: the lines that match, into the file part.
of() {
    grep "$1" "$work/out" >"$work/part"
}

daemon_lines() {
    runs_well daemon || return 1
    { echo 'Starting NO_background_process'
      printf 'NO_background_process ---> %d\n' 10 11 12 13 14
      echo 'Exiting NO_background_process'; } >"$work/expected"
    of NO_background_process && same "$work/expected" "$work/part" || return 1
    [ "$(grep -v background_process "$work/out")" = 'Exiting main' ] || return 1
    { echo 'Starting background_process'
      printf 'background_process ---> %d\n' 0 1 2 3 4 5 6 7 8; } >"$work/expected"
    of '^background_process\|Starting background_process\|Exiting background_process'
    head -n "$(wc -l <"$work/part")" "$work/expected" >"$work/begin"
    same "$work/begin" "$work/part"
}

daemon_counts() {
    daemon_lines && grep -q '^background_process ---> 0' "$work/out"
}

daemon() {
    within 5 daemon_counts && daemon_lines
}

killing_processes() {
    runs_well killing_processes || return 1
    sed -e '/^Starting function$/d' -e '/^-->[0-9]$/d' -e "s/parent=$pid /parent=MAIN /" \
        -e '/ terminated:/s/started> True$/RACE/' \
        -e '/ terminated:/s/stopped exitcode=-SIGTERM> False$/RACE/' "$work/out" >"$work/lines"
    child=$(sed -n "s/^Process running: .* pid=\([1-9][0-9]*\) .*/\1/p" "$work/lines")
    sed -i "s/ pid=$child / pid=CHILD /" "$work/lines"
    cat >"$work/expected" <<'LINES'
Process before execution: <Process name='Process-1' parent=MAIN initial> False
Process running: <Process name='Process-1' pid=CHILD parent=MAIN started> True
Process terminated: <Process name='Process-1' pid=CHILD parent=MAIN RACE
Process joined: <Process name='Process-1' pid=CHILD parent=MAIN stopped exitcode=-SIGTERM> False
Process exit code: -15
LINES
    same "$work/expected" "$work/lines"
}

# calling N: what myFunc prints for N.
calling() {
    echo "calling myFunc from process n°: $1"
    seq -f 'output from myFunc is :%g' 0 $(($1 - 1))
}

calling_six() {
    for i in 0 1 2 3 4 5; do
        calling "$i"
    done
}

myfunc() {
    calling 0 | prints myfunc 0 && calling 3 | prints myfunc 3 || return 1
    for argument in '' x 3x -1 99999999999; do
        launch myfunc "$argument"
        ended 2 && grep -q '^usage: ' "$work/err" && [ ! -s "$work/out" ] || return 1
    done
}

naming_processes() {
    runs_well naming_processes || return 1
    for name in 'myFunc process' Process-2; do
        printf '%s process name = %s\n' Starting "$name" Exiting "$name" >"$work/expected"
        of "= $name\$" && same "$work/expected" "$work/part" || return 1
    done
    [ "$(wc -l <"$work/out")" = 4 ]
}

process_in_subclass() {
    seq -f 'called run method in MyProcess-%g' 1 10 | prints process_in_subclass
}

process_pool() {
    awk 'BEGIN {
        printf "Pool    : ["
        for (i = 0; i < 100; i++) printf "%s%d", i ? ", " : "", i * i
        print "]"
    }' | prints process_pool
}

# Seconds of the line of process $1.
time_of() {
    time=$(sed -n "s/^process $1 ----> \(....-..-.. ..:..:..\.[0-9]\{6\}\)\$/\1/p" "$work/out")
    [ -n "$time" ] && date -d "$time" +%s.%N
}

processes_barrier() {
    begin=$(date +%s.%N)
    runs_well processes_barrier && [ "$(wc -l <"$work/out")" = 4 ] || return 1
    p1=$(time_of 'p1 - test_with_barrier') && p2=$(time_of 'p2 - test_with_barrier') &&
        p3=$(time_of 'p3 - test_without_barrier') && p4=$(time_of 'p4 - test_without_barrier') ||
        return 1
    # The clock of the lines ends with the microsecond. A second is much for two who leave together.
    echo "$begin $(date +%s.%N) $p1 $p2 $p3 $p4" | awk '{
        for (i = 3; i <= 6; i++)
            if ($i < $1 - 0.00001 || $i > $2) { print "not in its time: " $0; exit 1 }
        if ($3 - $4 > 1 || $4 - $3 > 1) { print "they do not agree: " $0; exit 1 }
    }'
}

# numbers NAME FIRST: what foo prints in the process of that name.
numbers() {
    echo "Starting $1"
    seq -f '---> %g' "$2" $(($2 + 4))
    echo "Exiting $1"
}

NO_background_completes() {
    numbers NO_background_process 5 >"$work/expected"
    of 'NO_\|> [5-9]' && same "$work/expected" "$work/part"
}

run_background_nodaemons() {
    runs_well run_background_nodaemons && NO_background_completes || return 1
    numbers background_process 0 >"$work/expected"
    of ' background_process\|> [0-4]' && same "$work/expected" "$work/part" &&
        [ "$(wc -l <"$work/out")" = 14 ]
}

# How far the daemon comes is chance, but for its sleep: that is longer than main lives.
run_background_processes() {
    PACE=1
    runs_well run_background_processes && NO_background_completes || return 1
    grep -v 'NO_\|> [5-9]' "$work/out" >"$work/part"
    numbers background_process 0 | head -n "$(wc -l <"$work/part")" >"$work/expected"
    same "$work/expected" "$work/part" && ! grep -q 'Exiting background_process' "$work/out"
}

spawning_processes() {
    calling_six | prints spawning_processes
}

spawning_processes_namespace() {
    calling_six | prints spawning_processes_namespace
}

# shown PROGRAM: what the page shows of it is what the program may print.
shown() {
    runs_well() {
        cp "$texts/$1.out" "$work/out" && pid=$(sed -n '1s/.* parent=\([0-9]*\) .*/\1/p' "$work/out")
    }
    "$1"
}

shown_myfunc() {
    prints myfunc 3 <"$texts/myfunc.out"
}

case_of leftovers_are_seen
for program in communicating_with_pipe communicating_with_queue daemon killing_processes myfunc \
    naming_processes process_in_subclass process_pool processes_barrier run_background_nodaemons \
    run_background_processes spawning_processes spawning_processes_namespace; do
    case_of "$program"
    case $program in
    myfunc) case_of shown_myfunc ;;
    processes_barrier) ;; # its lines tell when it ran
    *) case_of shown "$program" ;;
    esac
done
finish
