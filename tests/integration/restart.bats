# SPDX-License-Identifier: MIT
#
# From one generation of ranks to the next: two never write one root, connecting never fails, requests wait, deaths that pile up are
# made up for more and more slowly.

load xferd
load life

setup() {
    make_place
    own_runtime
}

teardown() {
    end_clients
    remove_place
}

@test "new ranks wait until the root is free" {
    start_xferd
    know_daemon
    flock "$ROOT/.xfer/lock" sh -c 'echo >"$1/taken"; until [ -e "$1/free" ]; do sleep 0.05; done' sh "$D" 3>&- &
    local holder=$!
    end_these rank1
    within 20 test -e "$D/taken"
    run ctl ping --timeout 1
    [ "$status" -ne 0 ]
    : >"$D/free"
    wait "$holder"
    ctl ping --timeout 60
    still_serves
}

@test "a root that cannot be used is tried again until it can" {
    start_xferd
    still_serves
    know_daemon
    mv "$ROOT" "$ROOT.away"
    echo >"$ROOT"
    end_these rank1
    within 20 grep -q 'started again in 0.5 s' "$LOG"
    grep -q "rank [01]: .*$ROOT" "$LOG"
    "$XFERCTL" -s "$S" ping --timeout 30 >"$D/said" 2>&1 3>&- &
    CLIENT=$!
    within 5 has_open_socket "$CLIENT"
    rm "$ROOT"
    mv "$ROOT.away" "$ROOT"
    client_ends
    [ "$status" -eq 0 ]
    still_serves
}

@test "connecting never fails while ranks die" {
    start_xferd
    (
        while [ ! -e "$D/over" ]; do
            socat -u OPEN:/dev/null UNIX-CONNECT:"$S" || echo failed
            echo tried >>"$D/tries"
        done >"$D/failures" 2>&1
    ) 3>&- &
    local prober=$!
    for names in rank0 rank1 launcher "rank0 rank1"; do
        know_daemon
        # shellcheck disable=SC2086
        end_these $names
        within 20 gone "$KILLED"
        ctl ping --timeout 20
    done
    : >"$D/over"
    wait "$prober"
    cat "$D/failures"
    [ ! -s "$D/failures" ]
    [ "$(wc -l <"$D/tries")" -gt 10 ]
}

@test "a request that falls into a restart waits for its end" {
    start_xferd
    know_daemon
    kill -STOP "$RANK0"
    within 5 ours_are_stopped "$RANK0"
    make_file "$D/f" 1000
    "$XFERCTL" -s "$S" send --timeout 30 "$D/f" >"$D/said" 2>&1 3>&- &
    CLIENT=$!
    within 5 has_open_socket "$CLIENT"
    end_these rank0
    wait "$CLIENT"
    cmp "$D/f" "$ROOT/f"
}

has_open_socket() { readlink /proc/"$1"/fd/* | grep -q '^socket:'; }

@test "a bandwidth that was set holds for the next ranks, and ends with the daemon" {
    start_xferd -o limits.bandwidth=1G
    ctl limit 12345
    know_daemon
    end_these rank1
    ctl ping --timeout 60
    [ "$(ctl --json limit | jq .bandwidth)" = 12345 ]
    stop_xferd
    start_xferd -o limits.bandwidth=1G
    [ "$(ctl --json limit | jq .bandwidth)" = 1073741824 ]
}

@test "deaths again and again: it goes on serving, at last with growing delays" {
    local i
    start_xferd
    for i in $(seq 30); do
        know_daemon
        end_these rank$((i % 2))
        within 10 gone "$KILLED"
        ctl ping --timeout 30
        ! grep -q 'started again in 0.5 s' "$LOG" || break
    done
    [ "$i" -gt 10 ]
    [ "$(grep -o 'started again in .*' "$LOG")" = $'started again in 0.25 s\nstarted again in 0.5 s' ]
    still_serves
    within 10 one_generation_left
    within 15 quiet_second
    stop_xferd
    nothing_left
}

@test "ranks that are killed while they start are made up for at once" {
    start_xferd
    for name in launcher rank0 rank1; do
        know_daemon
        local old=$LAUNCHER
        end_these "$name"
        within 20 new_launcher "$old"
        kill -KILL "$LAUNCHER"
        ctl ping --timeout 30
    done
    not grep 'started again in' "$LOG"
    within 10 one_generation_left
}

new_launcher() {
    LAUNCHER=$(pgrep -P "$XFERD_PID" -x "${MPIEXEC##*/}" | head -n 1)
    [ -n "$LAUNCHER" ] && [ "$LAUNCHER" != "$1" ]
}

@test "a rank that hangs is noticed after link.timeout, and the ranks are started again" {
    start_xferd -o link.timeout=10
    kill -STOP "$(rank_pid 1)"
    within 60 restarted
    grep -q 'nothing was heard of rank 1' "$LOG"
    still_serves
    only_files
}

restarted() { [ "$(timeout 5 "$XFERCTL" -s "$S" call system.stats | jq .generation)" = 2 ]; }
