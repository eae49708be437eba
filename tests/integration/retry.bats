# SPDX-License-Identifier: MIT
#
# Attempts that fail: which are repeated, how often, when; what is told meanwhile; who may repeat a job that is over. The pauses between attempts are so long
# here that only the tests begin the next one.

load xferd
load life

A=64001
B=64002

setup_file() {
    make_place
    export D S ROOT LOG XFERD_PID
    [ "$(id -u)" -eq 0 ] && mkdir "$ROOT" && mount -t tmpfs -o size=16m,mode=755 xfer-test "$ROOT" || return 0
    chmod 755 "$D"
    install -m 0755 "$XFERCTL" "$D/xferctl"
    start_xferd -o queue.retry_delay=1h -o queue.retry_delay_max=3h -o queue.retries=2 -o control.mode=0666
}

teardown_file() { unshare_xferd; }

setup() {
    [ -n "$XFERD_PID" ] || skip 'needs root, to mount a small tmpfs'
    begin_test
    make_file "$T/large" $((20 * 1024 * 1024))
    echo contents >"$T/f"
}

teardown() {
    [ -n "$XFERD_PID" ] || return 0
    ctl resume
    ctl --json list | jq 'select(.state == "queued" or .state == "running").job' | xargs -r "$XFERCTL" -s "$S" cancel >/dev/null || true
    end_test
    mount -o remount,size=16m "$ROOT"
}

as() {
    local uid=$1
    shift
    setpriv --reuid="$uid" --regid="$uid" --clear-groups -- "$D/xferctl" -s "$S" "$@"
}

make_room() { mount -o remount,size=64m "$ROOT"; }

waits() { [ "$(job_field "$1" '.state == "queued" and .not_before != null and .attempts == '"$2")" = true ]; }

# begin ARGUMENT...: a job that waits for its second attempt, for want of space. Sets JOB.
begin() {
    JOB=$(ctl send --no-wait "$@")
    within 20 waits "$JOB" 1
}

# between MINIMUM MAXIMUM: minutes until the job's next attempt
between() {
    local seconds
    seconds=$(job_field "$JOB" '.not_before - now | floor')
    echo "$seconds seconds"
    [ "$seconds" -ge $(($1 * 60 - 30)) ] && [ "$seconds" -le $(($2 * 60 + 1)) ]
}

@test "an attempt without space is repeated later, and says why, when, and how often" {
    begin "$T/large"
    job_field "$JOB" .
    [ "$(job_field "$JOB" '.error.data | .name + " " + .side + " " + (.retryable | tostring)')" = 'NoSpace receiver true' ]
    [[ "$(job_field "$JOB" .reason)" == 'waiting for its next attempt, 2 of 3, at '[0-9][0-9]:[0-9][0-9]:[0-9][0-9]': '*'no space: 20971520 bytes are needed'* ]]
    [ "$(job_field "$JOB" '[.retries, .exit_code, .finished_at, .started_at]' | jq -c .)" = '[2,0,null,null]' ]
    [[ "$(ctl list)" == *NoSpace* ]] || [[ "$(ctl list)" == *'next attempt'* ]]
    only_files
}

@test "the pauses double up to the longest one, a quarter more or less" {
    begin "$T/large" --retries 4
    between 45 75
    ctl retry "$JOB"
    within 20 waits "$JOB" 2
    between 90 150
    ctl retry "$JOB"
    within 20 waits "$JOB" 3
    between 135 225
    ctl retry "$JOB"
    within 20 waits "$JOB" 4
    between 135 225
}

@test "a job fails when its retries are used up, with the error of the last attempt" {
    begin "$T/large"
    ctl retry "$JOB"
    within 20 waits "$JOB" 2
    ctl retry "$JOB"
    fails 8 NoSpace wait --timeout 30 "$JOB"
    [ "$(job_field "$JOB" '[.state, .attempts, .not_before, .reason, .exit_code]' | jq -c .)" = '["failed",3,null,null,8]' ]
    only_files
}

@test "without retries the first attempt is the last" {
    fails 8 NoSpace send --timeout 30 --retries 0 "$T/large"
    JOB=$(jq .job <<<"$FAILURE")
    [ "$(job_field "$JOB" '[.state, .attempts, .retries]' | jq -c .)" = '["failed",1,0]' ]
}

@test "a job is done when there is room at its next attempt, and its error is gone" {
    begin "$T/large"
    make_room
    ctl retry "$JOB"
    ctl wait "$JOB"
    cmp "$T/large" "$ROOT/large"
    [ "$(job_field "$JOB" '[.state, .attempts, .error, .not_before, .exit_code]' | jq -c .)" = '["done",2,null,null,0]' ]
}

@test "a source that vanishes while its job waits: NoSuchFile, and no further attempt" {
    begin "$T/large"
    rm "$T/large"
    make_room
    ctl retry "$JOB"
    fails 5 NoSuchFile wait "$JOB"
    [ "$(job_field "$JOB" .attempts)" -eq 2 ]
    only_files
}

@test "what cannot become better is not repeated" {
    local job
    echo other >"$ROOT/f"
    mkdir "$ROOT/d"
    attempts_of_failed() { [ "$(jq .job <<<"$FAILURE" | xargs -I{} "$XFERCTL" -s "$S" --json status {} | jq .attempts)" -eq 1 ]; }
    fails 5 NoSuchFile send --retries 5 "$T/none"
    attempts_of_failed
    fails 6 DestinationExists send --retries 5 --overwrite=never "$T/f"
    attempts_of_failed
    fails 1 IsDirectory send --retries 5 "$T/f" --to d
    attempts_of_failed
    fails 1 NotDirectory send --retries 5 "$T/f" --to f/x
    attempts_of_failed
    only_files f d
}

# ---- retry ---------------------------------------------------------------------------------------

@test "a failed job is retried under its number, with all its retries" {
    fails 8 NoSpace send --timeout 30 --retries 0 "$T/large"
    JOB=$(jq .job <<<"$FAILURE")
    make_room
    [ "$(ctl --json retry "$JOB" | jq .job)" -eq "$JOB" ]
    ctl wait "$JOB"
    cmp "$T/large" "$ROOT/large"
    [ "$(job_field "$JOB" '[.state, .error]' | jq -c .)" = '["done",null]' ]
    make_file "$T/larger" 80000000
    begin --retries 1 --to second "$T/larger"
    ctl retry "$JOB"
    fails 8 NoSpace wait --timeout 30 "$JOB"
    ctl retry "$JOB"
    within 20 waits "$JOB" 3
}

@test "a cancelled job is retried, a waiting one is hurried, one that is done is an error, an unknown one too" {
    begin "$T/large"
    ctl cancel "$JOB"
    job_is "$JOB" cancelled
    ctl retry "$JOB"
    within 20 waits "$JOB" 2
    [ "$(job_field "$JOB" .error.data.name)" = NoSpace ]
    make_room
    ctl retry "$JOB"
    ctl wait "$JOB"
    fails 1 InvalidParams retry "$JOB"
    [[ "$FAILURE" == *"job $JOB is done"* ]]
    fails 5 NoSuchJob retry 999999
}

@test "retrying what runs or is queued anyway changes nothing" {
    make_room
    local behind
    begin_stalled "$T/large"
    behind=$(ctl send --no-wait "$T/f" --to large)
    ctl retry "$JOB" "$behind"
    job_is "$JOB" running
    job_is "$behind" queued
    kill -CONT "$RANK1"
    ctl wait "$JOB" "$behind"
    [ "$(job_field "$JOB" .attempts)" -eq 1 ]
    cmp "$T/f" "$ROOT/large"
}

@test "others may not hurry a job that waits, nor retry one that is over; its owner and root may" {
    chmod -R go+rX "$T"
    JOB=$(as $A send --no-wait "$T/large")
    within 20 waits "$JOB" 1
    run as $B --json retry "$JOB"
    [ "$status" -eq 4 ]
    [ "$(jq -r .error.data.name <<<"$output")" = PermissionDenied ]
    waits "$JOB" 1
    as $A retry "$JOB"
    within 20 waits "$JOB" 2
    ctl retry "$JOB"
    fails 8 NoSpace wait --timeout 30 "$JOB"
    run as $B retry "$JOB"
    [ "$status" -eq 4 ]
    job_is "$JOB" failed
    as $A retry "$JOB"
    within 20 waits "$JOB" 4
}

# ---- order ---------------------------------------------------------------------------------------

@test "what is submitted for the same or a nested destination waits until the retries before it are over" {
    local same nested other
    begin "$T/large" --to a/f
    same=$(ctl send --no-wait "$T/f" --to a/f)
    nested=$(ctl send --no-wait "$T/f" --to a/f/x)
    ctl send "$T/f" --to a/g
    job_is "$same" queued
    job_is "$nested" queued
    [[ "$(job_field "$same" .reason)" == "waiting for job $JOB: "* ]]
    [ "$(job_field "$same" .attempts)" -eq 0 ]
    make_room
    ctl retry "$JOB"
    ctl wait "$JOB" "$same"
    cmp "$T/f" "$ROOT/a/f"
    [ "$(job_field "$same" .started_at)" != null ]
    fails 1 NotDirectory wait "$nested"
}

@test "a job that waits for its next attempt and is cancelled lets those behind it go" {
    local behind
    begin "$T/large" --to f
    behind=$(ctl send --no-wait "$T/f" --to f)
    job_is "$behind" queued
    ctl cancel "$JOB"
    ctl wait "$behind"
    cmp "$T/f" "$ROOT/f"
}

@test "a job that is retried after its end runs behind what was submitted meanwhile" {
    fails 8 NoSpace send --timeout 30 --retries 0 "$T/large" --to f
    local failed behind
    failed=$(jq .job <<<"$FAILURE")
    begin "$T/large" --to f
    behind=$(ctl send --no-wait "$T/f" --to f)
    ctl retry "$failed"
    [[ "$(job_field "$failed" .reason)" == "waiting for job "* ]]
    make_room
    ctl retry "$JOB"
    ctl wait "$JOB" "$behind" "$failed"
    cmp "$T/large" "$ROOT/f"
}

@test "over a restart of the ranks and one of the daemon: the pause goes on, the order holds, failures count on" {
    local behind before
    begin "$T/large" --to f
    ctl retry "$JOB"
    within 20 waits "$JOB" 2
    before=$(job_field "$JOB" .not_before)
    behind=$(ctl send --no-wait "$T/f" --to f)
    kill -KILL "$(rank_pid 0)"
    within 20 ctl ping
    waits "$JOB" 2
    [ "$(job_field "$JOB" .not_before)" = "$before" ]
    [ "$(job_field "$JOB" .error.data.name)" = NoSpace ]
    [[ "$(job_field "$JOB" .reason)" == 'waiting for its next attempt, 3 of 3, '* ]]
    job_is "$behind" queued
    [[ "$(job_field "$behind" .reason)" == "waiting for job $JOB: "* ]]
    ctl retry "$JOB"
    fails 8 NoSpace wait --timeout 30 "$JOB"
    ctl wait "$behind"
    cmp "$T/f" "$ROOT/f"
}
