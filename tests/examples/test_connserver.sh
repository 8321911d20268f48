#!/bin/bash
# SPDX-License-Identifier: MIT
#
# connserver answers, whichever of its workers are killed, and ends in order. The clients are bash.
# shellcheck source=tests/examples/programs.sh disable=SC2154,SC2317
# (programs.sh and `connect` set variables, and cases are called by name)
. "$(dirname "$0")/programs.sh"

serves() {
    port=$(sed -n 's/^port \([0-9]*\)$/\1/p' "$work/out")
    [ -n "$port" ] && [ "$(processes_of "$mark" | wc -l)" = 4 ]
}

# connect VARIABLE: a new connection, whose descriptor goes there. Closing it is up to the caller.
connect() {
    eval "exec {$1}<>/dev/tcp/127.0.0.1/$port"
}

# hear DESCRIPTOR TEXT: the next line has this text; who sent it goes to `worker`.
hear() {
    local line
    IFS= read -r -t 20 line <&"$1" || { echo 'no answer' && return 1; }
    worker=${line%%: *}
    [ "${line#*: }" = "$2" ] || { echo "got '$line', not '$2'" && return 1; }
}

# ask DESCRIPTOR TEXT: sends a line and hears it.
ask() {
    printf '%s\n' "$2" >&"$1" && hear "$1" "$2"
}

# talk TEXT: a connection with one line.
talk() {
    local to
    connect to && ask "$to" "$1"
    local status=$?
    exec {to}>&-
    return "$status"
}

# No port of an earlier one is read, and a case that fails leaves no server.
starts() {
    : >"$work/out"
    launch connserver 0
    trap 'kill -KILL $pid 2>/dev/null' EXIT
    comes_true serves
}

# stops [SIGNAL]: the server ends in order.
stops() {
    kill "-${1-TERM}" "$pid"
    ended 0 && [ "$(tail -n 1 "$work/out")" = ended ]
}

answers() {
    starts && talk one && talk 'two words' && talk '' && talk "$(printf '%900d' 0)" && stops &&
        [ ! -s "$work/err" ]
}

ends_by_ctrl_c() {
    starts && talk one && stops INT && [ ! -s "$work/err" ]
}

# Three are served at the same time, by three; a fourth as soon as one of them is done, by that one.
serves_many() {
    starts && connect a && connect b && connect c && ask "$a" a && one=$worker && ask "$b" b &&
        two=$worker && ask "$c" c && three=$worker || return 1
    [ "$one" != "$two" ] && [ "$two" != "$three" ] && [ "$three" != "$one" ] || return 1
    connect d && echo d >&"$d" && exec {b}>&- && hear "$d" d && [ "$worker" = "$two" ] || return 1
    exec {a}>&- {c}>&- {d}>&-
    stops
}

# The connection ends with its worker, and no other does.
loses_workers() {
    starts && connect a && connect b && ask "$a" a && ask "$b" b || return 1
    kill -KILL "$worker"
    if read -r -t 20 line <&"$b" || [ $? -gt 128 ]; then
        echo "the connection of a dead worker goes on: $line"
        return 1
    fi
    exec {b}>&-
    comes_true grep -qx 'a worker ended with -9' "$work/err" && comes_true serves && ask "$a" c || return 1
    for text in 1 2 3 4 5; do
        talk "$text" && kill -KILL "$worker" || return 1
    done
    ask "$a" d && exec {a}>&- && comes_true serves && talk 6 && stops &&
        [ "$(grep -cx 'a worker ended with -9' "$work/err")" = 6 ]
}

# Who came before the signal is served, also one that still waits for a worker then.
ends_in_order() {
    starts && connect a && connect b && connect c && ask "$a" a && ask "$b" b && ask "$c" c || return 1
    connect d && echo d >&"$d" && kill -TERM "$pid" && ask "$a" e || return 1
    exec {a}>&- {b}>&- {c}>&-
    hear "$d" d && exec {d}>&- && ended 0 && [ ! -s "$work/err" ]
}

is_killed() {
    starts && connect a && ask "$a" a && kill -KILL "$pid" && ended 137
    exec {a}>&-
}

refuses_ports() {
    refuses connserver && refuses connserver x && refuses connserver -1 && refuses connserver 65536 &&
        refuses connserver '' && refuses connserver 1 2
}

port_is_taken() {
    starts || return 1
    first=$pid
    launch connserver "$port"
    ended 1 && grep -q '^bind: ' "$work/err" || return 1
    kill -TERM "$first" && wait "$first"
}

for case in answers ends_by_ctrl_c serves_many loses_workers ends_in_order is_killed refuses_ports \
    port_is_taken; do
    case_of "$case"
done
finish
