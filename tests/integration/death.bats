# SPDX-License-Identifier: MIT
#
# Ranks and their launcher are killed, in the middle of a transfer and when idle. The supervisor lives, and one serves for all of these tests: the
# transfer goes on under new ranks, whoever waits for it goes on waiting, the next request is served, nothing is left of the dead, neither running
# nor lying about.

load xferd
load life

setup_file() { share_xferd -o link.chunk=16K -o limits.bandwidth=200M; }
teardown_file() {
    know_daemon
    unshare_xferd
    nothing_left
}

teardown() {
    end_clients
    [ -n "$BATS_TEST_COMPLETED" ] || tail -n 20 "$LOG" | sed 's/^/# xferd: /'
    not gone "$XFERD_PID"
}

# What holds whenever ranks have died and the supervisor lives: all is as after a fresh start, under the same supervisor.
all_is_well_again() {
    still_serves
    within 10 one_generation_left
    within 15 quiet_second
    [ "$(call system.stats | jq -c '[.jobs.queued, .jobs.running]')" = '[0,0]' ]
    rm -f "$D/next" "$ROOT/next"
    only_files
}

# dies_while_sending NAME...: these are killed in the middle of a transfer that replaces a file.
dies_while_sending() {
    echo old >"$ROOT/long"
    begin_moving
    open_raw
    know_daemon
    moving_job
    end_these "$@"
    local old=("$RANK0" "$RANK1" "$LAUNCHER") pid

    within 20 gone "$LISTENER"
    make_file "$D/next" 100000
    ctl send --timeout 30 "$D/next"
    cmp "$D/next" "$ROOT/next"
    only_files_but_of "$JOB" next long
    goes_on "$JOB"
    [ "$(cat "$ROOT/long")" = old ]
    for pid in "${old[@]}"; do gone "$pid"; done

    not gone "$CLIENT"
    give_up "$JOB" next long
    client_ends
    [ "$status" -eq 10 ]
    [ "$(cat "$ROOT/long")" = old ]
    rm "$ROOT/long"
    all_is_well_again
}

moving_job() {
    JOB=$(ctl --json list | jq -r 'select(.state == "running" and (.source | endswith("/long"))).job')
    [ -n "$JOB" ] || { ctl --json list --limit 3; return 1; }
}

# dies_idle NAME...: these are killed when nothing is to do.
dies_idle() {
    still_serves
    know_daemon
    local old=("$RANK0" "$RANK1" "$LAUNCHER") pid
    open_raw
    end_these "$@"

    within 20 gone "$LISTENER"
    all_is_well_again
    for pid in "${old[@]}"; do gone "$pid"; done
}

@test "rank 0 is killed in the middle of a transfer" { dies_while_sending rank0; }
@test "rank 1 is killed in the middle of a transfer" { dies_while_sending rank1; }
@test "both ranks are killed in the middle of a transfer" { dies_while_sending rank0 rank1; }
@test "the launcher is killed in the middle of a transfer" { dies_while_sending launcher; }
@test "rank 0 and the launcher are killed in the middle of a transfer" { dies_while_sending rank0 launcher; }

@test "a transfer that is cut off again and again ends with the whole file" {
    local name pid
    make_file "$D/whole" 300000000
    "$XFERCTL" -s "$S" send "$D/whole" >"$D/said" 2>&1 3>&- &
    CLIENT=$!
    for name in rank0 rank1 launcher; do
        within 20 some_job_moves || break
        know_daemon
        end_these "$name"
        # what is left of these would still answer for a moment
        for pid in "$RANK0" "$RANK1" "$LAUNCHER"; do within 10 gone "$pid"; done
    done
    client_ends
    [ "$status" -eq 0 ]
    cmp "$D/whole" "$ROOT/whole"
    only_files whole
    rm "$D/whole" "$ROOT/whole"
    all_is_well_again
}

@test "rank 0 is killed when idle" { dies_idle rank0; }
@test "rank 1 is killed when idle" { dies_idle rank1; }
@test "both ranks are killed when idle" { dies_idle rank0 rank1; }
@test "the launcher is killed when idle" { dies_idle launcher; }
@test "rank 0 and the launcher are killed when idle" { dies_idle rank0 launcher; }

# stopped_and_killed STOPPED KILLED: one process is stopped by SIGSTOP, so that it can do nothing about its end, then another or the same is killed.
stopped_and_killed() {
    begin_moving
    moving_job
    know_daemon
    local stopped=$LAUNCHER
    [ "$1" != rank0 ] || stopped=$RANK0
    [ "$1" != rank1 ] || stopped=$RANK1
    kill -STOP "$stopped"
    within 5 ours_are_stopped "$stopped"
    end_these "$2"
    within 20 gone "$stopped"
    within 30 some_job_moves
    give_up "$JOB"
    client_ends
    [ "$status" -eq 10 ]
    all_is_well_again
}

@test "a rank 0 that was stopped is killed" { stopped_and_killed rank0 rank0; }
@test "a rank 1 that was stopped is killed" { stopped_and_killed rank1 rank1; }
@test "rank 1 is killed while rank 0 is stopped" { stopped_and_killed rank0 rank1; }
@test "rank 0 is killed while rank 1 is stopped" { stopped_and_killed rank1 rank0; }
@test "the launcher is killed while rank 1 is stopped" { stopped_and_killed rank1 launcher; }
@test "rank 1 is killed while the launcher is stopped" { stopped_and_killed launcher rank1; }
