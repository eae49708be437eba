# SPDX-License-Identifier: MIT
#
# The tag sequence of the original design, as MPI itself sees it: 1, then 2 for each chunk, then an empty 2, for every file.

load xferd

setup() {
    make_place
    export XFER_PMPI_LOG=$D/pmpi LD_PRELOAD=
    RECORD=$top_builddir/tests/integration/pmpi_record.so
    [ -e "$RECORD" ] || skip "the recorder was not built"
    # A sanitizer wants to be first among the libraries; what is preloaded here uses nothing of it.
    [ -z "${SANITIZER-}" ] || export ASAN_OPTIONS=${ASAN_OPTIONS-}:verify_asan_link_order=0
    export LD_PRELOAD=$RECORD
    start_xferd -o link.lanes=1 -o link.chunk=256K
    unset LD_PRELOAD
}

teardown() { remove_place; }

# tags BYTES: send a file of that size; "TAG:BYTES" of what rank 0 sent on the lane for it
tags() {
    local before after
    make_file "$D/f" "$1"
    before=$(wc -l <"$D/pmpi.0")
    ctl send "$D/f" --overwrite=replace >/dev/null
    cmp "$D/f" "$ROOT/f" || return 1
    tail -n +$((before + 1)) "$D/pmpi.0" | awk '$3 < 16 {print $3 ":" $4}'
}

@test "a file of two and a half chunks goes as 1, 2, 2, 2, empty 2" {
    run tags 655360
    [ "$status" -eq 0 ]
    [ "$(echo "$output" | sed -n 2,5p | tr '\n' ' ')" = "2:262144 2:262144 2:131072 2:0 " ]
    [[ ${lines[0]} == 1:* ]]
}

@test "an empty file goes as 1, empty 2" {
    run tags 0
    [[ ${lines[0]} == 1:* ]]
    [ "${lines[1]}" = 2:0 ]
}

@test "a file of exactly one chunk goes as 1, 2, empty 2" {
    run tags 262144
    [[ ${lines[0]} == 1:* ]]
    [ "${lines[1]} ${lines[2]}" = "2:262144 2:0" ]
}

@test "a file of one byte more than a chunk goes as 1, 2, 2, empty 2" {
    run tags 262145
    [[ ${lines[0]} == 1:* ]]
    [ "${lines[1]} ${lines[2]} ${lines[3]}" = "2:262144 2:1 2:0" ]
}

@test "the data messages together are the file's size and nothing else" {
    run tags 10000019
    [ "$(echo "$output" | awk -F: '$1 == 2 {sum += $2} END {print sum}')" -eq 10000019 ]
    [ "$(echo "$output" | awk -F: '$1 == 2 && $2 == 0' | wc -l)" -eq 1 ]
    [ "$(echo "$output" | awk -F: '$1 == 1' | wc -l)" -eq 1 ]
}
