# SPDX-License-Identifier: MIT
#
# The programs in examples/ do what their heads say. The units of the outbox are only looked over here: what they start is run by hand.

load xferd

examples=$top_srcdir/examples

setup_file() {
    # "xferctl" and "xferd" are those under test, also for programs that look for them in PATH
    share_xferd
    mkdir "$D/bin"
    ln -s "$XFERCTL" "$D/bin/xferctl"
    export PATH=$D/bin:$PATH XFER_SOCKET=$S
}
teardown_file() { unshare_xferd; }
setup() { begin_test; }
teardown() { end_test; check_shared; }

needs() {
    local program
    for program; do
        command -v "$program" >/dev/null || skip "$program is not installed"
    done
}

digest() { xxhsum -H2 <"$1" | cut -d ' ' -f 1; }
jobs_known() { ctl --json list --limit 1000 | jq -s length; }

@test "shellcheck finds nothing in the examples" {
    needs shellcheck
    run shellcheck "$examples/send.sh" "$examples/xfer-outbox" "$examples/slurm-epilog"
    echo "$output"
    [ "$status" -eq 0 ]
}

@test "every example says on top what it is for, and is installed" {
    local file
    for file in "$examples"/*; do
        sed -n 1,3p "$file" | grep -q 'SPDX-License-Identifier: MIT'
        [ "$(grep -c '^# .' "$file")" -ge 2 ] || grep -q '^"""' "$file"
        grep -q "examples/${file##*/}" "$top_srcdir/Makefile.am"
    done
}

# ---- send.sh -------------------------------------------------------------------------------------

@test "send.sh sends several files over one connection and checks their digests" {
    needs socat xxhsum jq
    local i
    for i in 1 2 3 4 5 6 7 8; do make_file "$T/f$i" $((i * 100000)); done
    cd "$T"
    run "$examples/send.sh" f[1-8]
    echo "$output"
    [ "$status" -eq 0 ]
    for i in 1 2 3 4 5 6 7 8; do
        grep -qE "^[0-9]+ $(digest "f$i") f$i\$" <<<"$output"
        cmp "f$i" "$ROOT/f$i"
    done
}

@test "send.sh takes any name" {
    needs socat xxhsum jq
    cd "$T"
    echo 1 >'a "b" \c $d'
    echo 2 >$'line\nend'
    echo 3 >$'not\xffutf8'
    echo 4 >$'end\n'
    run "$examples/send.sh" *
    echo "$output"
    [ "$status" -eq 0 ]
    local name
    for name in *; do cmp "$name" "$ROOT/$name"; done
}

@test "send.sh tells which file could not be sent, and sends the others" {
    needs socat xxhsum jq
    make_file "$T/good" 1000
    run "$examples/send.sh" "$T/missing" "$T/good"
    echo "$output"
    [ "$status" -eq 1 ]
    [[ $output == *"$T/missing: failed: "* ]]
    cmp "$T/good" "$ROOT/good"
}

@test "send.sh says when it finds no daemon" {
    needs socat xxhsum jq
    make_file "$T/f" 1000
    XFER_SOCKET=$T/none run "$examples/send.sh" "$T/f"
    echo "$output"
    [ "$status" -eq 1 ]
    [[ $output == *'1 files without an answer'* ]]
}

# ---- client.py -----------------------------------------------------------------------------------

@test "client.py sends a file once, however often it is run with one key" {
    needs python3
    make_file "$T/f" 200000
    run python3 "$examples/client.py" once "$T/f" py/f
    echo "$output"
    [ "$status" -eq 0 ]
    [[ ${lines[0]} == job*accepted ]]
    [ "${lines[1]}" = "done $(digest "$T/f")" ]
    cmp "$T/f" "$ROOT/py/f"
    run python3 "$examples/client.py" once "$T/f" py/f
    [ "$status" -eq 0 ]
    [[ ${lines[0]} == job*'was there already' ]]
}

@test "client.py ends with the exit code of a job that failed" {
    needs python3
    run python3 "$examples/client.py" missing "$T/missing"
    echo "$output"
    [ "$status" -eq 5 ]
    [[ ${lines[1]} == "failed "* ]]
}

@test "client.py says why a request was refused" {
    needs python3
    make_file "$T/f" 10
    python3 "$examples/client.py" taken "$T/f"
    run python3 "$examples/client.py" taken "$T/f" elsewhere
    echo "$output"
    [ "$status" -eq 1 ]
    [[ $output == refused:* ]]
}

# A daemon of its own, which is stopped and started again while the client waits.
restart_under_client() {
    start_xferd
    ctl pause
    make_file "$D/f" 300000
    XFER_SOCKET=$S python3 "$examples/client.py" kept "$D/f" >"$D/out" 2>&1 3>&- &
    local client=$!
    told() { grep -q 'is accepted' "$D/out"; }
    within 10 told
    stop_xferd
    start_xferd "$@"
    ctl resume
    wait "$client"
}

@test "client.py waits through a restart of the daemon" {
    needs python3
    # the shared daemon's names are put back by the end of this subshell
    (
        make_place
        trap 'BATS_TEST_COMPLETED=1 remove_place' EXIT
        restart_under_client
        cat "$D/out"
        grep -q "^done $(digest "$D/f")\$" "$D/out"
        cmp "$D/f" "$ROOT/f"
    )
}

@test "client.py ends when the daemon comes back with another queue" {
    needs python3
    (
        make_place
        trap 'BATS_TEST_COMPLETED=1 remove_place' EXIT
        status=0
        restart_under_client -o queue.database="$D/other.db" || status=$?
        cat "$D/out"
        [ "$status" -eq 1 ]
        grep -q 'another queue' "$D/out"
    )
}

# ---- xfer-outbox ---------------------------------------------------------------------------------

make_outbox() {
    O=$T/outbox
    mkdir -p "$O/new" "$O/sent" "$O/failed"
    export OUTBOX_PAUSE=0
}

@test "xfer-outbox sends what is there and moves it to sent" {
    make_outbox
    make_file "$O/new/a b" 1000
    make_file "$O/new/-n" 2000
    cp "$O/new/a b" "$T/a"
    run "$examples/xfer-outbox" "$O"
    echo "$output"
    [ "$status" -eq 0 ]
    cmp "$O/sent/a b" "$T/a"
    cmp "$O/sent/a b" "$ROOT/outbox/a b"
    cmp "$O/sent/-n" "$ROOT/outbox/-n"
    [ -z "$(ls -A "$O/new" "$O/failed" | grep -v :)" ]
}

@test "xfer-outbox leaves alone what is being written, and what is no file" {
    make_outbox
    echo 1 >"$O/new/.hidden"
    echo 2 >"$O/new/file.part"
    mkdir "$O/new/directory"
    ln -s /etc/passwd "$O/new/link"
    local before
    before=$(jobs_known)
    run "$examples/xfer-outbox" "$O"
    echo "$output"
    [ "$status" -eq 0 ]
    [ "$(jobs_known)" -eq "$before" ]
    [ "$(ls -A "$O/new" | wc -l)" -eq 4 ]
    [ ! -e "$ROOT/outbox" ]
    mv "$O/new/file.part" "$O/new/file"
    "$examples/xfer-outbox" "$O"
    [ "$(cat "$ROOT/outbox/file")" = 2 ]
}

@test "xfer-outbox moves what failed to failed, with the reason, and sends it when it is moved back" {
    make_outbox
    echo 1 >"$O/new/f"
    mkdir -p "$ROOT/outbox/f"
    run "$examples/xfer-outbox" "$O"
    echo "$output"
    [ "$status" -eq 0 ]
    [ -f "$O/failed/f" ]
    grep -q "$ROOT/outbox/f" "$O/failed/f.reason"
    rmdir "$ROOT/outbox/f"
    mv "$O/failed/f" "$O/new"
    "$examples/xfer-outbox" "$O"
    [ -f "$O/sent/f" ]
    [ "$(cat "$ROOT/outbox/f")" = 1 ]
}

@test "xfer-outbox that was killed while it waited sends nothing twice" {
    make_outbox
    make_file "$O/new/f" 5000
    ctl pause
    "$examples/xfer-outbox" "$O" >"$T/log" 2>&1 3>&- &
    local first=$! before
    one_waits() { [ "$(ctl --json list --state queued | jq -s length)" -eq 1 ]; }
    within 10 one_waits
    before=$(jobs_known)
    kill -TERM "$first"
    # a shell acts on a signal when the program that it waits for has ended
    local child
    for child in $(pgrep -P "$first"); do kill -TERM "$child"; done
    wait "$first" || true
    [ -f "$O/new/f" ]
    ctl resume
    run "$examples/xfer-outbox" "$O"
    echo "$output"
    [ "$status" -eq 0 ]
    [ -f "$O/sent/f" ]
    [ "$(jobs_known)" -eq "$before" ]
}

@test "xfer-outbox keeps a file of the same name that was sent before" {
    make_outbox
    echo 1 >"$O/new/f"
    "$examples/xfer-outbox" "$O"
    echo 2 >"$O/new/f"
    "$examples/xfer-outbox" "$O"
    [ "$(cat "$O"/sent/f)" = 1 ]
    [ "$(cat "$O"/sent/f.*)" = 2 ]
    [ "$(cat "$ROOT/outbox/f")" = 2 ]
}

@test "xfer-outbox puts no reason in the place of a file" {
    make_outbox
    echo mine >"$O/new/a.reason"
    mkdir -p "$ROOT/outbox/a" "$ROOT/outbox/a.reason"
    run "$examples/xfer-outbox" "$O"
    echo 1 >"$O/new/a"
    run "$examples/xfer-outbox" "$O"
    ls "$O"/*
    [ "$(cat "$O/failed/a.reason")" = mine ]
    grep -q "$ROOT/outbox/a.reason" "$O/failed/a.reason.reason"
    [ "$(cat "$O"/failed/a.*[0-9])" = 1 ]
    grep -q "$ROOT/outbox/a:" "$O"/failed/a.*[0-9].reason
}

@test "xfer-outbox moves each of many of one name that are refused" {
    make_outbox
    mkdir "$T/bin"
    printf '#!/bin/sh\nexit 2\n' >"$T/bin/xferctl"
    chmod 755 "$T/bin/xferctl"
    for i in 1 2 3 4; do
        echo $i >"$O/new/f"
        PATH=$T/bin:$PATH "$examples/xfer-outbox" "$O"
        [ ! -e "$O/new/f" ]
    done
    [ "$(cat "$O"/failed/f "$O"/failed/f.*1 | sort | tr -d '\n')" = 1234 ]
}

@test "xfer-outbox leaves the files where they are while there is no daemon, and fails" {
    make_outbox
    echo 1 >"$O/new/f"
    XFER_SOCKET=$T/none run "$examples/xfer-outbox" "$O"
    echo "$output"
    [ "$status" -eq 3 ]
    [ -f "$O/new/f" ]
}

@test "systemd-analyze has nothing to say about the units of the outbox" {
    needs systemd-analyze
    mkdir "$T/units"
    cp "$examples/xfer-outbox.path" "$T/units"
    sed "s|/usr/local/bin/xfer-outbox|$examples/xfer-outbox|" "$examples/xfer-outbox.service" >"$T/units/xfer-outbox.service"
    run systemd-analyze verify --man=no "$T/units/xfer-outbox.path" "$T/units/xfer-outbox.service"
    echo "$output"
    [ "$status" -eq 0 ]
    [ -z "$output" ]
}

# ---- slurm-epilog --------------------------------------------------------------------------------

# epilog JOB [SOCKET]: in the environment of an epilog. What it says to logger(1) is in $T/logged.
epilog() {
    mkdir -p "$T/logger"
    printf '#!/bin/sh\nshift 3\necho "$*" >>"%s"\n' "$T/logged" >"$T/logger/logger"
    chmod +x "$T/logger/logger"
    env -i PATH="$T/logger:$PATH" XFER_SOCKET="${2-$S}" XFER_OUTPUT_BASE="$T/out" SLURM_JOB_USER="$(id -un)" SLURM_CLUSTER_NAME=test \
        SLURM_JOB_ID="$1" "$examples/slurm-epilog"
}

@test "the Slurm epilog queues the job's files, once" {
    make_file "$T/out/71/result" 1000
    make_file "$T/out/71/sub/with blank" 2000
    ln -s /etc/passwd "$T/out/71/link"
    mkfifo "$T/out/71/fifo"
    make_file "$T/out/72/other" 10
    local before
    before=$(jobs_known)
    run epilog 71
    echo "$output"
    [ "$status" -eq 0 ] && [ -z "$output" ]
    within 20 all_over
    cmp "$T/out/71/result" "$ROOT/slurm/71/result"
    cmp "$T/out/71/sub/with blank" "$ROOT/slurm/71/sub/with blank"
    [ "$(find "$ROOT/slurm" -type f | wc -l)" -eq 2 ]
    run epilog 71
    [ "$status" -eq 0 ]
    [ "$(jobs_known)" -eq $((before + 2)) ]
}
all_over() { [ "$(ctl --json list | jq -s 'map(select(.state == "queued" or .state == "running")) | length')" -eq 0 ]; }

@test "the Slurm epilog does nothing without output or without a job" {
    run epilog 73
    echo "$output"
    [ "$status" -eq 0 ] && [ -z "$output" ]
    [ ! -e "$T/logged" ]
    run epilog ../71
    echo "$output"
    [ "$status" -eq 0 ]
    grep -q 'no SLURM_JOB_ID' "$T/logged"
}

@test "the Slurm epilog never fails, and logs what it could not queue" {
    make_file "$T/out/74/f" 10
    run epilog 74 "$T/none"
    echo "$output"
    [ "$status" -eq 0 ]
    grep -q "job 74: not all of $T/out/74 could be queued" "$T/logged"
}
