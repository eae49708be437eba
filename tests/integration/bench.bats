# SPDX-License-Identifier: MIT
#
# ../bench/run at sizes that tell nothing: that it can be run, that no part is lost, and that it takes no wrong copy for a fast one.

load xferd

setup() {
    command -v python3 >/dev/null || skip 'python3 is not installed'
    make_place
    mkdir "$D/place"
}

teardown() {
    [ -z "${D-}" ] || remove_place
}

bench() { "$top_srcdir/tests/bench/run" --quick --tiny --silent --xferd "$XFERD" --xferctl "$XFERCTL" --dir "$D/place" "$@"; }

# An xferctl that spoils what it has sent, and says that all is well.
make_spoiler() {
    cat >"$D/spoiler" <<'END'
#!/bin/sh
"$XFERCTL" "$@" || exit
while [ $# -gt 0 ]; do
    case $1 in
    -s) root=${2%/*}/incoming ;;
    --to) target=$root/$2 ;;
    esac
    shift
done
[ ! -d "$target" ] || target=$(find "$target" -type f | head -n 1)
printf spoiled | dd of="$target" conv=notrunc 2>/dev/null
END
    chmod +x "$D/spoiler"
}

has_daemon() { compgen -G "$D/place/xb-*/xt-*/control.sock" >/dev/null; }

nothing_left() { [ -z "$(ls -A "$D/place")" ] && none_of_ours; }

@test "one run has a table and figures of every part" {
    command -v jq >/dev/null || skip 'jq is not installed'
    run bench --json "$D/json" --results "$D/results"
    echo "$output"
    [ "$status" -eq 0 ]
    for part in latency idle small large durable load scale memory; do
        [[ $output == *"## $part"* ]]
        grep -qx "## $part" "$D/results"
    done
    jq . "$D/json"
    [ "$(jq -c '.parts | keys' "$D/json")" = '["durable","idle","large","latency","load","memory","scale","small"]' ]
    # every table has rows, and each row a number
    jq -e '[.parts[][] | .rows | length > 0] | all' "$D/json"
    jq -e '[.parts[][].rows[] | (.median | type) == "number" and .n > 0 and .min <= .median and .median <= .max] | all' "$D/json"
    # xfer is always compared with something
    for part in large scale latency load small memory; do
        jq -e --arg p "$part" '[.parts[$p][].rows[].ratios | length] | max > 0' "$D/json"
    done
    jq -e '.machine.cores > 0 and .machine.memory_mib > 0 and (.machine.file_system | length) > 0 and (.command | length) > 1' "$D/json"
    nothing_left
}

@test "a part can be chosen, and others are refused by name" {
    run bench --only idle
    echo "$output"
    [ "$status" -eq 0 ]
    [[ $output == *"## idle"* && $output != *"## large"* ]]
    run bench --only idle,speed
    [ "$status" -eq 2 ]
    [[ $output == *"speed is none of latency, "* ]]
}

@test "a peer that is missing is told, and left out" {
    run bench --only large --floor "$D/none" --results "$D/results"
    echo "$output"
    [ "$status" -eq 0 ]
    [[ $output != *"preallocated"* ]]
    cat "$D/results"
    grep -F "| missing |" "$D/results" | grep -F "floor: $D/none is not built"
}

@test "a wrong copy of a file is a failure" {
    make_spoiler
    run bench --only large --xferctl "$D/spoiler"
    echo "$output"
    [ "$status" -eq 1 ]
    [[ $output == *"xferctl send --sync=none has not made the same file"* ]]
    nothing_left
}

@test "a wrong copy of a tree is a failure" {
    make_spoiler
    run bench --only small --xferctl "$D/spoiler"
    echo "$output"
    [ "$status" -eq 1 ]
    [[ $output == *"send_none has not made the same tree"* ]]
    nothing_left
}

@test "a run that is ended leaves nothing" {
    "$top_srcdir/tests/bench/run" --only idle --silent --dir "$D/place" >"$D/out" 2>&1 3>&- &
    local pid=$!
    within 30 has_daemon
    kill -TERM "$pid"
    local status=0
    wait "$pid" || status=$?
    cat "$D/out"
    [ "$status" -eq 1 ]
    nothing_left
}
