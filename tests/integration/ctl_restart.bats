# SPDX-License-Identifier: MIT
#
# xferctl while the daemon goes and comes back: it waits, and ends with what has become of its job; what was accepted is done, and what was
# asked for while nobody answered is neither lost nor done twice.

load xferd

setup() {
    make_place
    cd "$BATS_TEST_TMPDIR"
    start_xferd
    make_file "$D/big" 41943040
    make_file "$D/small" 5000
}

teardown() {
    [ -z "$CLIENT" ] || kill -KILL "$CLIENT" 2>/dev/null || true
    remove_place
}

# begin COMMAND...: xferctl in the background
begin() {
    "$XFERCTL" -s "$S" "$@" >out 2>err 3>&- &
    CLIENT=$!
}

ended() {
    STATUS=0
    within 60 gone "$CLIENT"
    wait "$CLIENT" || STATUS=$?
    CLIENT=
    echo "status $STATUS, stdout: $(cat out)"
    echo "stderr: $(cat err)"
}

# A send that waits for job 1, in the middle of its data.
begin_send() {
    kill -STOP "$(rank_pid 1)"
    begin send "$D/big" "$@"
    within 20 job_moves 1
}

job_moves() { job_has_sent_more "$1" 0 2>/dev/null; }

# The daemon and all of its processes die at once.
kill_all() {
    local pids
    pids=$(ours)
    kill -KILL "$XFERD_PID" $pids 2>/dev/null || true
    wait "$XFERD_PID" || true
    within 10 none_of_ours
}

# ---- who waits -----------------------------------------------------------------------------------

@test "a send whose rank 0 dies ends with the true result" {
    begin_send
    kill -KILL "$(rank_pid 0)"
    ended
    [ "$STATUS" -eq 0 ]
    [ "$(cat out)" = "1  done  41943040  xxh128:$(xxhsum -H2 "$D/big" | cut -d' ' -f1)  $D/big -> $(hostname):$ROOT/big" ]
    cmp "$D/big" "$ROOT/big"
    still_serves
}

@test "a send whose rank 1 dies ends with the true result" {
    begin_send
    kill -KILL "$(rank_pid 1)"
    ended
    [ "$STATUS" -eq 0 ]
    cmp "$D/big" "$ROOT/big"
    still_serves
}

@test "a send whose daemon is killed and started anew ends with the true result" {
    begin_send
    kill_all
    start_xferd
    ended
    [ "$STATUS" -eq 0 ]
    grep -q '^1  done  ' out
    cmp "$D/big" "$ROOT/big"
    [ "$(ctl send --no-wait "$D/small" --to other)" -eq 2 ]
}

@test "a send whose job fails after the restart tells that" {
    begin_send
    kill_all
    rm "$D/big"
    start_xferd
    ended
    [ "$STATUS" -eq 5 ]
    grep -q '^1  failed  ' out
    grep -q 'No such file' err
    [ ! -e "$ROOT/big" ]
}

@test "a wait whose daemon is stopped in order waits for the next one, and ends with the true result" {
    kill -STOP "$(rank_pid 1)"
    JOB=$(ctl send --no-wait "$D/big" --to x)
    JOB=$(ctl send --no-wait "$D/small" --to x)
    within 20 job_moves 1
    begin wait "$JOB"
    within 20 grep -q 'waiting for job 1' err
    ctl pause
    kill -CONT "$(rank_pid 1)"
    stop_xferd
    within 20 grep -q 'waiting for the daemon' err
    kill -0 "$CLIENT"
    start_xferd
    ctl resume
    ended
    [ "$STATUS" -eq 0 ]
    cmp "$D/small" "$ROOT/x"
}

@test "a cancel that is repeated over a restart cancels the job" {
    kill -STOP "$(rank_pid 1)"
    JOB=$(ctl send --no-wait "$D/big")
    within 20 job_moves 1
    begin cancel "$JOB"
    connected() { [ "$(ctl --json stats | jq .clients)" -eq 2 ]; }
    within 10 connected
    kill_all
    start_xferd
    ended
    case $STATUS in
    0) job_is "$JOB" cancelled ;;
    1) job_is "$JOB" done ;; # it was faster
    *) return 1 ;;
    esac
}

@test "a send whose daemon comes back with another queue tells that its job was lost, whatever has its number now" {
    begin_send
    kill_all
    rm -f "$D"/queue.db*
    start_xferd
    ctl send "$D/small" --to other
    ended
    [ "$STATUS" -eq 1 ]
    [ ! -s out ]
    grep -q 'job 1.*lost' err
}

@test "a send whose daemon stays away ends with its --timeout, and its job is done by the next daemon" {
    begin_send --timeout 2
    kill_all
    ended
    [ "$STATUS" -eq 124 ]
    grep -q 'what became of job 1 is not known' err
    start_xferd
    ctl wait 1
    cmp "$D/big" "$ROOT/big"
}

@test "a wait whose daemon stays away for good exits with what had ended before, in the order of the arguments" {
    ctl send "$D/small"
    run ctl send "$D/none"
    [ "$status" -eq 5 ]
    kill -STOP "$(rank_pid 1)"
    ctl send --no-wait "$D/big"
    begin wait 1 2 3
    within 20 grep -q '^2  failed' out
    kill_all
    # it gives up after 30 seconds
    ended
    [ "$STATUS" -eq 5 ]
    grep -q 'what became of job 3 is not known' err
}

@test "an interrupt ends a send whose daemon is away" {
    begin_send
    kill_all
    within 20 grep -q 'waiting for the daemon' err
    kill -INT "$CLIENT"
    ended
    [ "$STATUS" -eq 130 ]
    grep -q 'what became of job 1 is not known' err
}

@test "watch goes on over a restart of the ranks" {
    begin watch
    seen() { ctl send "$D/small" --to "$1" >/dev/null && grep -q '  done  ' out; }
    within 20 seen a
    kill -KILL "$(rank_pid 0)"
    within 20 ctl ping
    : >out
    within 20 seen b
    kill "$CLIENT"
}

@test "watch JOB ends with the job, over a restart of the daemon" {
    kill -STOP "$(rank_pid 1)"
    JOB=$(ctl send --no-wait "$D/big")
    begin watch "$JOB"
    within 20 grep -q "^$JOB  running" out
    kill_all
    start_xferd
    ended
    [ "$STATUS" -eq 0 ]
    tail -n 1 out | grep -q "^$JOB  done"
}

@test "ping --timeout waits for a daemon that is about to start" {
    stop_xferd
    begin ping --timeout 30
    start_xferd
    ended
    [ "$STATUS" -eq 0 ]
}

# ---- who submits ---------------------------------------------------------------------------------

@test "sends that begin while the ranks are started anew succeed" {
    local pid
    pid=$(rank_pid 0)
    kill -KILL "$pid"
    for i in 1 2 3; do
        ctl send "$D/small" --to "after-$i"
        cmp "$D/small" "$ROOT/after-$i"
    done
}

@test "what is submitted while rank 0 dies again and again is neither lost nor doubled" {
    local i pid pids=() clients=0
    submit() {
        local n
        for n in {1..40}; do
            "$XFERCTL" -s "$S" --timeout 60 send --no-wait --sync=none "$D/small" --to "many/$1-$n" 2>>"err-$1" || return
        done >"ids-$1"
    }
    for i in 1 2 3 4; do
        submit $i 3>&- &
        pids+=($!)
    done
    for i in 1 2 3; do
        within 30 some_more $((i * 8))
        pid=$(rank_pid 0) && kill -KILL "$pid"
    done
    for pid in "${pids[@]}"; do
        wait "$pid"
    done
    cat ids-* | sort -n >ids
    [ "$(wc -l <ids)" -eq 160 ]
    # each was told a number of its own, and there are no other jobs
    [ "$(sort -nu ids | wc -l)" -eq 160 ]
    ctl wait $(cat ids) >/dev/null
    [ "$(ctl --json list --limit 1000 | jq -s 'length, ([.[].dest] | unique | length)' | tr '\n' ' ')" = '160 160 ' ]
    [ "$(find "$ROOT/many" -type f | wc -l)" -eq 160 ]
}

some_more() { [ "$(cat ids-* 2>/dev/null | wc -l)" -ge "$1" ]; }

@test "a key is the same job after the daemon was killed, and another request a conflict" {
    JOB=$(ctl send --no-wait --key k "$D/small" --to keyed)
    kill_all
    start_xferd
    [ "$(ctl send --no-wait --key k "$D/small" --to keyed)" = "$JOB" ]
    ctl wait "$JOB"
    cmp "$D/small" "$ROOT/keyed"
    kill_all
    start_xferd
    [ "$(ctl --json send --key k "$D/small" --to keyed | jq -c '[.job, .existing]')" = "[$JOB,true]" ]
    fails 2 KeyConflict send --key k "$D/big" --to keyed
    [ "$(ctl send --no-wait "$D/small" --to unkeyed)" -gt "$JOB" ]
}

# ---- what is there without anybody asking --------------------------------------------------------

@test "what was accepted before everything died is done after the next start, in the order of submission" {
    kill -STOP "$(rank_pid 1)"
    ctl send --no-wait "$D/big" --to x
    ctl send --no-wait "$D/small" --to x
    ctl send --no-wait "$D/big" --to y/z
    ctl send --no-wait "$D/small" --to w
    kill_all
    start_xferd
    all_done() { [ "$(ctl --json stats | jq .jobs.done)" -eq 4 ]; }
    within 30 all_done
    cmp "$D/small" "$ROOT/x"
    cmp "$D/big" "$ROOT/y/z"
    cmp "$D/small" "$ROOT/w"
    [ "$(ctl --json list | jq -s '[.[].job] | sort' -c)" = '[1,2,3,4]' ]
}

@test "finished jobs are remembered over a restart, with all that was told of them" {
    ctl send "$D/small"
    run ctl send "$D/none"
    ctl --json list | jq -S . >before
    kill_all
    start_xferd
    ctl --json list | jq -S . >after
    diff before after
    fails 5 NoSuchFile wait 2
    run ctl retry 2
    [ "$status" -eq 0 ]
}

@test "a retried job runs after a restart" {
    run ctl send "$D/later"
    [ "$status" -eq 5 ]
    ctl pause
    make_file "$D/later" 5000
    ctl retry 1
    kill_all
    start_xferd
    ctl resume
    ctl wait 1
    cmp "$D/later" "$ROOT/later"
}

# ---- the queue -----------------------------------------------------------------------------------

@test "a pause lasts over restarts of the ranks and of the daemon" {
    ctl pause
    JOB=$(ctl send --no-wait "$D/small")
    kill -KILL "$(rank_pid 0)"
    within 20 ctl ping
    [[ $(ctl status) == *queue*paused* ]]
    kill_all
    start_xferd
    [[ $(ctl status) == *queue*paused* ]]
    job_is "$JOB" queued
    ctl resume
    ctl wait "$JOB"
    kill_all
    start_xferd
    [[ $(ctl status) != *paused* ]]
}

@test "drain goes on over a restart of the ranks, and returns when the queue is empty" {
    kill -STOP "$(rank_pid 1)"
    JOB=$(ctl send --no-wait "$D/big")
    within 20 job_moves "$JOB"
    begin drain
    within 20 grep -q 'waiting for 1 job' err
    kill -KILL "$(rank_pid 0)"
    ended
    [ "$STATUS" -eq 0 ]
    job_is "$JOB" done
    cmp "$D/big" "$ROOT/big"
    fails 1 Draining send "$D/small"
    kill -KILL "$(rank_pid 0)"
    within 20 ctl ping
    fails 1 Draining send "$D/small"
    ctl resume
    still_serves
}

@test "a drain ends with a restart of the daemon" {
    ctl drain
    fails 1 Draining send "$D/small"
    stop_xferd
    start_xferd
    [ "$(ctl --json stats | jq .queue.draining)" = false ]
    still_serves
}
