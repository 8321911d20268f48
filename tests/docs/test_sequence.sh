#!/bin/sh
# SPDX-License-Identifier: MIT
#
# docs/sequence.awk draws every picture there is, with all of it inside the frame, and refuses what
# it does not understand.
cd "${SRC:-.}" || exit 1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
status=0

fail() {
    echo "$*"
    status=1
}

# inside SVG: nothing is drawn outside the frame, with letters of 7 units.
inside() {
    awk '
    function value(name, s) {
        s = $0
        if (!sub(".* " name "=\"", "", s))
            return 0
        sub(/".*/, "", s)
        return s + 0
    }
    function within(left, right, y) {
        if (left < 0 || right > width || y < 0 || y > height) {
            print "outside of " width " x " height ": " $0
            bad = 1
        }
    }
    /<svg/ { split($0, frame, /viewBox="|"/); width = value("width"); height = value("height") }
    /<text/ {
        words = $0
        gsub(/<[^>]*>/, "", words)
        gsub(/&[a-z]*;/, "x", words)
        gsub(/[\200-\277]/, "", words)
        long = length(words) * 7
        left = value("x") - (/"middle"/ ? long / 2 : 0)
        within(left, left + long, value("y"))
        texts++
    }
    /<rect/ { within(value("x"), value("x") + value("width"), value("y") + value("height")) }
    /<line/ { within(value("x1"), value("x2"), value("y1")); within(value("x2"), value("x1"), value("y2")) }
    END { exit bad || !texts || !width }' "$1"
}

# refused TEXT: the picture is not drawn.
refused() {
    printf '%b' "$1" >"$work/bad.seq"
    if awk -f docs/sequence.awk "$work/bad.seq" >/dev/null 2>&1; then
        fail "drawn: $1"
    fi
}

cat >"$work/all.seq" <<'EOF'
# a comment
lanes: a | another one | x
a -> x: a text that is much longer than what stands between them, "quoted" & <marked>
x ~> a: back
another one: notes something at some length
x sleeps
gap
x wakes
text: something that goes across all of the lanes, and is longer than all of them are wide together
x dies: SIGKILL, with a long reason
EOF
for picture in docs/pictures/*.seq "$work/all.seq"; do
    awk -f docs/sequence.awk "$picture" >"$work/out.svg" || fail "$picture is not drawn"
    inside "$work/out.svg" || fail "$picture is cut off"
done
# What it does, and what it does not.
for part in 'class="death"' 'class="lane asleep"' 'class="dashed"' '&quot;quoted&quot; &amp; &lt;marked&gt;' '<desc '; do
    grep -q "$part" "$work/out.svg" || fail "no $part"
done
refused 'a -> b: early\n'
refused 'lanes: a | b\na -> c: unknown\n'
refused 'lanes: a | b\nsomething else\n'
refused 'lanes: a | b\na -> a: itself\n'
sed 's/width="[0-9]*" height/width="50" height/' "$work/out.svg" >"$work/narrow.svg"
inside "$work/narrow.svg" >/dev/null && fail "the check of the frame sees nothing"
exit $status
