# SPDX-License-Identifier: MIT
#
# The queue as a whole: a pause lets running jobs finish and starts none, a drain takes none and waits for the last; what of both lasts over restarts;
# priorities.

load xferd
load life

setup() {
    make_place
    own_runtime
    make_file "$D/big" 30000000
    make_file "$D/f" 5000
}

teardown() {
    end_clients
    remove_place
}

queue_is() { [ "$(call system.stats | jq -c '[.queue.paused, .queue.draining]')" = "[$1,$2]" ]; }

# The numbers of the jobs that have ended, in the order in which they began.
order() { call transfer.list '{"limit":1000}' | jq -c '[.jobs[] | select(.finished_at)] | sort_by(.started_at) | map(.job)'; }

begin() {
    "$XFERCTL" -s "$S" "$@" >"$D/said" 2>&1 3>&- &
    CLIENT=$!
}

# ---- pause ---------------------------------------------------------------------------------------

@test "running jobs finish, no other starts, and what waits says why" {
    start_xferd
    begin_stalled "$D/big"
    local waits
    [ "$(ctl --json pause | jq -c '[.paused, .draining, .queued, .running]')" = '[true,false,0,1]' ]
    waits=$(ctl send --no-wait "$D/f")
    kill -CONT "$RANK1"
    ctl wait "$JOB"
    job_is "$waits" queued
    [ "$(job_field "$waits" .reason)" = 'the queue is paused' ]
    [ "$(job_field "$waits" .attempts)" -eq 0 ]
    [[ "$(ctl status)" == *paused* ]]
    # twice is once
    ctl pause
    [ "$(ctl --json resume | jq -c '[.paused, .draining]')" = '[false,false]' ]
    ctl resume
    ctl wait "$waits"
    queue_is false false
}

@test "a job that is cut off during a pause is not begun again before that is over" {
    start_xferd
    begin_stalled "$D/big"
    ctl pause
    kill -KILL "$RANK1"
    within 20 ctl ping
    queue_is true false
    job_is "$JOB" queued
    [ "$(job_field "$JOB" .reason)" = 'the queue is paused' ]
    end_everything
    start_xferd
    queue_is true false
    job_is "$JOB" queued
    ctl send --no-wait "$D/f"
    ctl resume
    ctl wait "$JOB" $((JOB + 1))
    cmp "$D/big" "$ROOT/big"
    end_everything
    start_xferd
    queue_is false false
}

@test "a pause lasts over a stop in order" {
    start_xferd
    ctl pause
    [ -z "$(grep 'the queue is paused' "$LOG")" ]
    stop_xferd
    start_xferd
    queue_is true false
    grep -q 'the queue is paused' "$LOG"
    JOB=$(ctl send --no-wait "$D/f")
    ctl cancel "$JOB"
    ctl resume
    still_serves
}

@test "a source that is gone is noticed when the pause is over" {
    start_xferd
    ctl pause
    JOB=$(ctl send --no-wait "$D/f")
    rm "$D/f"
    job_is "$JOB" queued
    ctl resume
    fails 5 NoSuchFile wait "$JOB"
}

# ---- priorities ----------------------------------------------------------------------------------

# Jobs 1 to 7 with these priorities; they begin in the order 4 6 2 1 5 7 3.
submit_mixed() {
    local priority
    for priority in 0 5 -100 100 0 6 -1; do
        ctl send --no-wait --sync=none --priority "$priority" "$D/f" --to "p/$RANDOM$RANDOM"
    done
}

@test "jobs start by priority, and in the order of submission where that is equal" {
    start_xferd -o link.lanes=1
    ctl pause
    submit_mixed
    ctl resume
    ctl wait {1..7}
    [ "$(order)" = '[4,6,2,1,5,7,3]' ]
}

@test "priorities count over a restart" {
    start_xferd -o link.lanes=1
    ctl pause
    submit_mixed
    end_everything
    start_xferd -o link.lanes=1
    [ "$(ctl --json list | jq -s -c 'map(.priority)')" = '[0,5,-100,100,0,6,-1]' ]
    ctl resume
    ctl wait {1..7}
    [ "$(order)" = '[4,6,2,1,5,7,3]' ]
}

@test "the same destination is written in the order of submission, whatever the priorities, also after a restart" {
    start_xferd
    ctl pause
    local i
    for i in {1..5}; do
        echo "$i" >"$D/s$i"
        ctl send --no-wait --priority $((i * 10)) "$D/s$i" --to same
    done
    end_everything
    start_xferd
    ctl resume
    ctl wait {1..5}
    [ "$(order)" = '[1,2,3,4,5]' ]
    [ "$(cat "$ROOT/same")" = 5 ]
}

# ---- drain ---------------------------------------------------------------------------------------

@test "a drain refuses what is new, returns when the last job has ended, and lasts" {
    start_xferd
    begin_stalled "$D/big"
    ctl send --no-wait "$D/f" --to big
    begin drain
    within 10 queue_is false true
    fails 1 Draining send "$D/f"
    [ "$(error_field .retryable)" = true ]
    not gone "$CLIENT"
    kill -CONT "$RANK1"
    client_ends
    [ "$status" -eq 0 ]
    cmp "$D/f" "$ROOT/big"
    queue_is false true
    fails 1 Draining send "$D/f"
    [[ "$(ctl status)" == *drain* ]]
    ctl resume
    still_serves
}

@test "a drain of an empty queue is over at once" {
    start_xferd
    [ "$(ctl --json drain | jq -c '[.paused, .draining, .queued, .running]')" = '[false,true,0,0]' ]
    ctl drain
    fails 1 Draining send "$D/f"
}

@test "what has failed is not retried during a drain; what waits for its next attempt may be" {
    [ "$(id -u)" -eq 0 ] || skip 'needs root, to mount a small tmpfs'
    mkdir "$ROOT"
    mount -t tmpfs -o size=8m xfer-test "$ROOT"
    start_xferd -o queue.retry_delay=1h -o queue.retry_delay_max=1h
    fails 5 NoSuchFile send "$D/none"
    JOB=$(ctl send --no-wait "$D/big")
    waits() { [ "$(job_field "$JOB" .not_before)" != null ]; }
    within 20 waits
    begin drain
    within 10 queue_is false true
    fails 1 Draining retry 1
    job_is 1 failed
    mount -o remount,size=100m "$ROOT"
    ctl retry "$JOB"
    client_ends
    [ "$status" -eq 0 ]
    job_is "$JOB" done
    fails 1 Draining retry 1
    ctl resume
    ctl retry 1
    fails 5 NoSuchFile wait 1
}

@test "a drain outlives a rank, and returns under the next ones" {
    start_xferd
    begin_stalled "$D/big"
    begin drain
    within 10 queue_is false true
    kill -KILL "$RANK1"
    client_ends
    [ "$status" -eq 0 ]
    job_is "$JOB" done
    cmp "$D/big" "$ROOT/big"
    queue_is false true
    kill -KILL "$(rank_pid 0)"
    within 20 ctl ping
    fails 1 Draining send "$D/f"
    # but not the daemon
    end_everything
    start_xferd
    queue_is false false
    still_serves
}

@test "resume ends a drain, and who waits for it is told that jobs are left" {
    start_xferd
    begin_stalled "$D/big"
    begin drain
    within 10 queue_is false true
    # it has been answered, so that the resume is surely later
    within 10 grep -q 'waiting for 1 job' "$D/said"
    [ "$(ctl --json resume | jq -c '[.draining, .running]')" = '[false,1]' ]
    client_ends
    [ "$status" -eq 1 ]
    grep -q 'ended by a resume' "$D/said"
    ctl send --no-wait "$D/f"
    kill -CONT "$RANK1"
    ctl wait "$JOB" $((JOB + 1))
}

@test "drain --timeout: 124, and the draining goes on" {
    start_xferd
    begin_stalled "$D/big"
    local status=0
    ctl --json drain --timeout 500ms >"$D/out" 2>"$D/err" || status=$?
    cat "$D/out" "$D/err"
    [ "$status" -eq 124 ]
    [ "$(jq -r .error.data.name "$D/out")" = Timeout ]
    queue_is false true
    kill -CONT "$RANK1"
    ctl drain
    job_is "$JOB" done
}

@test "a queue that is paused and drains is empty when its jobs are cancelled" {
    start_xferd
    ctl pause
    JOB=$(ctl send --no-wait "$D/f")
    begin drain
    within 10 queue_is true true
    job_is "$JOB" queued
    within 10 grep -q 'the queue is paused, too' "$D/said"
    not gone "$CLIENT"
    ctl cancel "$JOB"
    client_ends
    [ "$status" -eq 0 ]
    queue_is true true
    # over a restart of the ranks both stay, over one of the daemon the pause alone
    kill -KILL "$(rank_pid 0)"
    within 20 ctl ping
    queue_is true true
    stop_xferd
    start_xferd
    queue_is true false
}
