# SPDX-License-Identifier: MIT
#
# The orderly end: exit 0 within five seconds, whoever waits is told, nothing is left but the queue, from which the next start goes on.

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

# stops SIGNAL: it ends in order, and nothing is left. The bound is the documented one and what a slow build needs besides.
stops() {
    local pid=$XFERD_PID status=0
    [ -n "$RUNTIME" ] || know_daemon
    kill "-$1" "$pid"
    within 12 gone "$pid"
    wait "$pid" || status=$?
    XFERD_PID=
    cat "$LOG"
    [ "$status" -eq 0 ]
    nothing_left
    [ ! -e "$S" ]
    [ ! -e "$S.lock" ]
}

@test "SIGTERM when idle" {
    start_xferd
    still_serves
    stops TERM
    only_files
    not grep -i warning "$LOG"
}

@test "SIGINT when idle" {
    start_xferd
    still_serves
    stops INT
    only_files
    not grep -i warning "$LOG"
}

@test "SIGTERM in the middle of a transfer: the client is told, the next start goes on with it" {
    start_slow
    begin_moving --timeout 10
    open_raw
    stops TERM
    only_files_but_of 1
    within 5 gone "$LISTENER"
    client_ends
    [ "$status" -eq 124 ]
    grep -q 'job 1' "$D/said"
    not grep -q 'goes on' "$D/said"
    start_xferd
    goes_on 1
    give_up 1
}

@test "SIGTERM in the middle of a transfer: what was there is not sent again" {
    start_slow
    make_file "$D/f" 500000000
    ctl send --no-wait --sync=none "$D/f"
    JOB=1
    within 20 job_has_sent $((80 * 1024 * 1024))
    stops TERM
    only_files_but_of 1
    start_xferd
    within 60 job_is 1 done
    cmp "$D/f" "$ROOT/f"
    [ "$(job_field 1 '.bytes_resumed > 0')" = true ]
    [ "$(job_field 1 .attempts)" -eq 2 ]
    only_files f
}

@test "SIGTERM again and again: no stop counts against the retries" {
    start_slow -o queue.retries=0
    begin_moving --timeout 1
    for attempt in 2 3; do
        stops TERM
        start_slow -o queue.retries=0
        goes_on 1
        [ "$(job_field 1 .attempts)" -eq "$attempt" ]
    done
    give_up 1
}

@test "SIGINT in the middle of a transfer" {
    start_slow
    begin_moving --timeout 1
    stops INT
    only_files_but_of 1
}

@test "who waits on the socket in the middle of a transfer is told Stopping" {
    start_slow
    truncate -s 4G "$D/long"
    printf '{"jsonrpc":"2.0","id":1,"method":"transfer.submit","params":{"source":"%s/long","wait":true}}\n' "$D" |
        socat -t 60 - UNIX-CONNECT:"$S" >"$D/said" 3>&- &
    CLIENT=$!
    within 10 some_job_moves
    stops TERM
    client_ends
    [ "$(jq -r .error.data.name "$D/said")" = Stopping ]
    [ "$(jq -r .error.data.retryable "$D/said")" = true ]
}

@test "who waits for a queued job is told Stopping" {
    start_slow -o link.lanes=1
    begin_moving --timeout 1
    make_file "$D/f" 100
    printf '{"jsonrpc":"2.0","id":1,"method":"transfer.submit","params":{"source":"%s/f","dest":"long","wait":true}}\n' "$D" |
        socat -t 60 - UNIX-CONNECT:"$S" >"$D/answer" 3>&- &
    local waiter=$!
    within 5 has_queued
    stops TERM
    wait "$waiter" || true
    [ "$(jq -r .error.data.name "$D/answer")" = Stopping ]
}

has_queued() { [ "$(call system.stats | jq .jobs.queued)" -gt 0 ]; }

@test "a small transfer that is under way is still finished" {
    start_xferd
    know_daemon
    make_file "$D/f" 3000000
    printf '{"jsonrpc":"2.0","id":1,"method":"transfer.submit","params":{"source":"%s/f","wait":true}}\n' "$D" |
        socat -t 60 - UNIX-CONNECT:"$S" >"$D/said" 3>&- &
    CLIENT=$!
    within 10 has_begun
    stops TERM
    client_ends
    case $(jq -r '.result.state // .error.data.name' "$D/said") in
    done) cmp "$D/f" "$ROOT/f" ;;
    Stopping) only_files_but_of 1 ;;
    *) false ;;
    esac
}

has_begun() { [ "$(call system.stats | jq '.jobs.running + .finished.done')" -gt 0 ]; }

@test "SIGTERM while rank 1 is stopped" {
    start_slow
    begin_moving --timeout 1
    know_daemon
    kill -STOP "$RANK1"
    within 5 ours_are_stopped "$RANK1"
    stops TERM
    gone "$RANK1"
}

@test "SIGTERM while rank 0 is stopped" {
    start_slow
    begin_moving --timeout 1
    know_daemon
    kill -STOP "$RANK0"
    within 5 ours_are_stopped "$RANK0"
    stops TERM
    gone "$RANK0"
}

@test "SIGTERM while the launcher is stopped" {
    start_xferd
    know_daemon
    kill -STOP "$LAUNCHER"
    within 5 ours_are_stopped "$LAUNCHER"
    stops TERM
    gone "$LAUNCHER"
}

@test "a second SIGTERM does not wait for the ranks" {
    start_slow
    begin_moving --timeout 1
    know_daemon
    kill -STOP "$RANK1"
    within 5 ours_are_stopped "$RANK1"
    kill -TERM "$XFERD_PID"
    within 5 not test -e "$S"
    stops TERM
    grep -q 'second time' "$LOG"
}

@test "SIGTERM while the ranks start" {
    mkdir -p "$ROOT/.xfer"
    flock "$ROOT/.xfer/lock" sleep 30 3>&- & # rank 1 waits for it
    local holder=$!
    "$XFERD" -o control.socket="$S" -o queue.database="$D/queue.db" -o store.root="$ROOT" -o log.level=debug >>"$LOG" 2>&1 </dev/null 3>&- &
    XFERD_PID=$!
    within 10 grep -q 'rank 1 is pid' "$LOG"
    within 12 stops_early
    kill "$holder"
}

stops_early() {
    local status=0
    kill -TERM "$XFERD_PID"
    wait "$XFERD_PID" || status=$?
    [ "$status" -eq 0 ]
    none_of_ours
    [ ! -e "$S" ]
}

@test "SIGTERM between two generations" {
    start_xferd
    still_serves
    know_daemon
    rm -r "$ROOT"
    echo >"$ROOT" # new ranks will not start
    end_these rank0
    within 20 grep -q 'started again in 1 s' "$LOG"
    stops TERM
}

@test "a signal to every process at once, as systemd sends it" {
    start_slow
    begin_moving --timeout 1
    know_daemon
    kill -TERM "$LAUNCHER" "$RANK0" "$RANK1" "$XFERD_PID"
    local status=0
    within 12 gone "$XFERD_PID"
    wait "$XFERD_PID" || status=$?
    XFERD_PID=
    [ "$status" -eq 0 ]
    nothing_left
    only_files_but_of 1
    [ ! -e "$S" ]
}

@test "after the stop the next daemon serves at once" {
    start_slow
    begin_moving --timeout 1
    stops TERM
    start_xferd
    still_serves
}

@test "SIGHUP keeps it running, and says what has changed" {
    printf '[link]\nlanes = 2\n' >"$D/conf"
    start_slow -c "$D/conf"
    begin_moving
    kill -HUP "$XFERD_PID"
    within 5 grep -q 'the configuration is as it was' "$LOG"
    printf '[link]\nlanes = 3\n' >"$D/conf"
    kill -HUP "$XFERD_PID"
    within 5 grep -q 'takes effect when xferd is started again: link.lanes' "$LOG"
    printf '[link]\nlines = 3\n' >"$D/conf"
    kill -HUP "$XFERD_PID"
    within 5 grep -q "nothing is changed: $D/conf:2: unknown key link.lines" "$LOG"
    rm "$D/conf"
    kill -HUP "$XFERD_PID"
    within 5 grep -q "nothing is changed: $D/conf" "$LOG"
    some_job_moves
    kill "$CLIENT"
    ctl cancel 1
    still_serves
    [ "$(call system.stats | jq .generation)" = 1 ]
}

@test "SIGHUP to the ranks, SIGUSR1, SIGUSR2 and SIGPIPE to the supervisor do no harm" {
    start_xferd
    know_daemon
    kill -HUP "$RANK0" "$RANK1"
    kill -PIPE "$XFERD_PID" "$RANK0" "$RANK1"
    still_serves
    [ "$(call system.stats | jq .generation)" = 1 ]
}
