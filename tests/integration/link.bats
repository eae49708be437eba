# SPDX-License-Identifier: MIT
#
# The link between two ranks with nobody but link_play at its ends: what comes in which order, what is held back, and what ends it.

load xferd

setup_file() {
    MPIEXEC=${MPIEXEC-mpiexec}
    command -v "$MPIEXEC" >/dev/null || skip 'no launcher'
    "$MPIEXEC" --version 2>&1 | grep -q 'Open MPI\|OpenRTE' || skip 'not Open MPI'
}

setup() {
    [ -e "$top_builddir/tests/integration/link_play" ] || skip 'link_play was not built'
    make_place
    mkdir "$D/bells"
}

teardown() { remove_place; }

# play SCENARIO: what the ranks told goes to $D/0 and $D/1
play() {
    OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 "${MPIEXEC-mpiexec}" --bind-to none --host localhost:2 --mca btl self,vader \
        --mca btl_vader_backing_directory "$D" --mca btl_vader_single_copy_mechanism none --mca plm isolated --mca oob_tcp_if_include lo -n 2 \
        "$top_builddir/tests/integration/link_play" "$1" "$D/bells" >"$D/out" 2>"$D/err" </dev/null || echo "status $?" >>"$D/err"
    grep '^0: ' "$D/out" | cut -c 4- >"$D/0" || true
    grep '^1: ' "$D/out" | cut -c 4- >"$D/1" || true
    cat "$D/out" "$D/err"
}

@test "attributes, start, maps and data come in the order in which they were sent" {
    play order
    [ "$(cat "$D/1")" = maaspddpdpdev ]
    ! grep status "$D/err"
}

@test "chunks of one byte wait for a receiver that is slow" {
    play slow
    [ "$(cat "$D/0")" = '16 chunks have left' ]
    [ "$(cat "$D/1")" = mddddddddddddddddev ]
    ! grep status "$D/err"
}

@test "eight looks are answered in any order" {
    play looks
    [ "$(head -n 1 "$D/0")" = 'room 0' ]
    [ "$(sed -n 2p "$D/0")" = 'look 8: 8 entries, first 2, last 1, room 1' ]
    [ "$(sed -n 9p "$D/0")" = 'look 1: 1 entries, first 2, last 2, room 8' ]
    [ "$(wc -l <"$D/0")" -eq 9 ]
    ! grep status "$D/err"
}

@test "a ninth unanswered look ends the link" {
    play 'too many looks'
    [ "$(cat "$D/1")" = 'broken: more than 8 looks are unanswered' ]
}

@test "a look with another number than the next ends the link" {
    play 'a look out of turn'
    [ "$(cat "$D/1")" = 'broken: look has number 2, 1 was expected' ]
}

@test "a look for rank 0 ends the link" {
    play 'a look for rank 0'
    [ "$(cat "$D/0")" = 'broken: a control message with tag 21 for rank 0' ]
}

@test "an answer to a look for rank 1 ends the link" {
    play 'an answer for rank 1'
    [ "$(cat "$D/1")" = 'broken: a control message with tag 22 for rank 1' ]
}

@test "an answer to no look ends the link" {
    play 'an answer to no look'
    [ "$(cat "$D/0")" = 'broken: an answer to no look, or with other entries' ]
}

@test "an answer with other entries than its look ends the link" {
    play 'an answer with other entries'
    [ "$(cat "$D/0")" = 'broken: an answer to no look, or with other entries' ]
}
