# SPDX-License-Identifier: MIT
#
# The supervisor is killed: everything else ends by itself, and whoever starts xferd again finds nothing in the way, and the jobs where they were.

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

# ends_by_itself NAME...: what is left when these were killed is gone soon, without anybody's help.
ends_by_itself() {
    open_raw
    know_daemon
    end_these "$@"
    wait "$XFERD_PID" || true
    within 10 gone "$LISTENER"
    within 20 none_of_ours
    XFERD_PID=
}

# starts_again [JOB]: that one was under way, and is so again.
starts_again() {
    start_xferd
    still_serves
    [ $# -eq 0 ] || goes_on "$1"
    [ $# -eq 0 ] || give_up "$1"
    only_files
    within 10 one_generation_left
    stop_xferd
    nothing_left
}

@test "the supervisor is killed in the middle of a transfer: nothing is left; who waits is told after half a minute" {
    start_slow
    begin_moving
    ends_by_itself supervisor
    within 10 nothing_left
    only_files_but_of 1
    client_ends
    [ "$status" -eq 3 ]
    grep -q "$S" "$D/said"
    grep -q 'job 1' "$D/said"
    not grep -q 'goes on' "$D/said"
    starts_again 1
}

@test "the supervisor is killed when idle: all ends by itself, nothing is left" {
    start_xferd
    still_serves
    ends_by_itself supervisor
    within 10 nothing_left
    starts_again
}

@test "supervisor and launcher are killed: the ranks end by themselves, the next start sweeps" {
    start_slow
    begin_moving --timeout 30
    ends_by_itself supervisor launcher
    local runtime=$RUNTIME shared=$SHARED
    starts_again 1
    [ ! -e "$runtime" ]
    [ ! -e "$shared" ]
}

@test "all but rank 1 are killed: it ends by itself, the next start sweeps" {
    start_slow
    begin_moving --timeout 30
    ends_by_itself supervisor launcher rank0
    local runtime=$RUNTIME shared=$SHARED
    starts_again 1
    [ ! -e "$runtime" ]
    [ ! -e "$shared" ]
}

@test "all four are killed at once: the next start sweeps" {
    start_slow
    begin_moving --timeout 30
    ends_by_itself supervisor launcher rank0 rank1
    local runtime=$RUNTIME shared=$SHARED
    starts_again 1
    [ ! -e "$runtime" ]
    [ ! -e "$shared" ]
}

@test "a daemon that is started right after the supervisor's death waits for the old ranks" {
    start_slow
    begin_moving --timeout 30
    know_daemon
    local old=("$RANK0" "$RANK1")
    end_these supervisor
    wait "$XFERD_PID" || true
    start_xferd
    still_serves
    goes_on 1
    give_up 1
    within 10 gone "${old[0]}"
    within 10 gone "${old[1]}"
    within 10 one_generation_left
}

@test "a daemon that is started while an old rank 0 has the socket waits for it" {
    start_xferd
    know_daemon
    kill -STOP "$RANK0"
    within 5 ours_are_stopped "$RANK0"
    end_these supervisor
    wait "$XFERD_PID" || true
    "$XFERD" -o control.socket="$S" -o queue.database="$D/queue.db" -o store.root="$ROOT" >>"$LOG" 2>&1 </dev/null 3>&- &
    XFERD_PID=$!
    within 5 grep -qx "$XFERD_PID" "$S.lock"
    kill -CONT "$RANK0"
    within 20 ready_or_gone
    still_serves
}

@test "nobody waits in vain at the socket of a dead supervisor" {
    start_slow
    begin_moving --timeout 1
    know_daemon
    kill -STOP "$RANK1" # so that rank 0 needs its time to end
    within 5 ours_are_stopped "$RANK1"
    end_these supervisor
    wait "$XFERD_PID" || true
    within 4 not can_connect
    not gone "$RANK0"
    XFERD_PID=
    within 20 none_of_ours
}

can_connect() { socat -u OPEN:/dev/null UNIX-CONNECT:"$S" 2>/dev/null; }
