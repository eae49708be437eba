# SPDX-License-Identifier: MIT
#
# xferctl while the daemon goes and comes back: it waits, it never tells a success that was none, and never the result of another job.

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
    within 40 gone "$CLIENT"
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

job_moves() { [ "$(job_field "$1" '.bytes_done > 0' 2>/dev/null)" = true ]; }

# The daemon and all of its processes die at once.
kill_all() {
    local pids
    pids=$(ours)
    kill -KILL "$XFERD_PID" $pids 2>/dev/null || true
    wait "$XFERD_PID" || true
    within 10 none_of_ours
}

@test "a send whose ranks die tells that its job was lost, and fails" {
    begin_send
    kill -KILL "$(rank_pid 0)"
    ended
    [ "$STATUS" -eq 1 ]
    [ ! -s out ]
    grep -q 'job 1.*lost' err
    [ ! -e "$ROOT/big" ]
    still_serves
}

@test "a send whose daemon is killed and started anew tells that its job was lost, whatever has its number now" {
    begin_send
    kill_all
    start_xferd
    ctl send "$D/small" --to other
    ended
    [ "$STATUS" -eq 1 ]
    [ ! -s out ]
    grep -q 'job 1.*lost' err
    [ ! -e "$ROOT/big" ]
}

@test "a wait whose daemon is stopped in order waits for the next one, and tells that the job was lost" {
    kill -STOP "$(rank_pid 1)"
    JOB=$(ctl send --no-wait "$D/big" --to x)
    JOB=$(ctl send --no-wait "$D/small" --to x)
    within 20 job_moves 1
    begin wait "$JOB"
    kill -CONT "$(rank_pid 1)"
    stop_xferd
    within 20 grep -q 'waiting for the daemon' err
    kill -0 "$CLIENT"
    start_xferd
    ended
    case $STATUS in
    0) cmp "$D/small" "$ROOT/x" ;; # it had ended before
    1) grep -q "job $JOB.*lost" err ;;
    *) return 1 ;;
    esac
}

@test "a send whose daemon stays away ends with its --timeout" {
    begin_send --timeout 2
    kill_all
    ended
    [ "$STATUS" -eq 124 ]
    grep -q 'what became of job 1 is not known' err
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

@test "sends that begin while the ranks are started anew succeed" {
    local pid
    pid=$(rank_pid 0)
    kill -KILL "$pid"
    for i in 1 2 3; do
        ctl send "$D/small" --to "after-$i"
        cmp "$D/small" "$ROOT/after-$i"
    done
}

@test "ping --timeout waits for a daemon that is about to start" {
    stop_xferd
    begin ping --timeout 30
    start_xferd
    ended
    [ "$STATUS" -eq 0 ]
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
