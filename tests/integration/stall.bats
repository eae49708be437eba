# SPDX-License-Identifier: MIT
#
# A transfer of which nothing moves: a disk that hangs, as one does that is frozen. Needs root, for a file system of its own that can be frozen.

load xferd
load life

setup() {
    [ "$(id -u)" -eq 0 ] || skip 'needs root, to freeze a file system'
    for tool in mkfs.ext4 fsfreeze; do command -v $tool >/dev/null || skip "$tool is not installed"; done
    make_place
    mkdir "$D/disk"
    truncate -s 300M "$D/image"
    mkfs.ext4 -q "$D/image"
    mount -o loop "$D/image" "$D/disk" || skip 'no loop mounts here'
    fsfreeze -f "$D/disk" && fsfreeze -u "$D/disk" || skip 'no freezing here'
    ROOT=$D/disk/in
    make_file "$D/big" 60000000
}

teardown() {
    [ -n "${D-}" ] || return 0
    thaw 2>/dev/null || true
    remove_place
}

start() { start_xferd -o queue.stall_timeout=1s "$@"; }
freeze() { fsfreeze -f "$D/disk"; }
thaw() { fsfreeze -u "$D/disk"; }

stalled() { [ "$(job_field "$1" .error.data.name)" = Stalled ]; }
one_generation() { [ "$(call system.stats | jq .generation)" -eq 1 ]; }

@test "the attempt has failed, the next one waits until the disk is well again, and then goes on by itself" {
    start
    freeze
    JOB=$(ctl send --no-wait "$D/big")
    within 20 stalled "$JOB"
    stuck() { [ "$(job_field "$JOB" .reason)" = 'waiting for the last attempt, which is stuck in I/O' ]; }
    within 20 stuck
    job_is "$JOB" queued
    [ "$(job_field "$JOB" .attempts)" -eq 1 ]
    [[ "$(job_field "$JOB" .error.message)" == 'nothing moved for 1 seconds'* ]]
    ctl ping
    thaw
    ctl wait "$JOB"
    cmp "$D/big" "$ROOT/big"
    [ "$(job_field "$JOB" '[.attempts, .error]' | jq -c .)" = '[2,null]' ]
    one_generation
    only_files big
}

@test "without retries the job fails, and nothing is left when the disk is well again" {
    start
    freeze
    fails 1 Stalled send --timeout 60 --retries 0 "$D/big"
    [ "$(jq .attempts <<<"$FAILURE")" -eq 1 ]
    thaw
    within 20 only_files
    still_serves
    one_generation
}

@test "a job that hangs can be cancelled, and nothing is left when the disk is well again" {
    start -o queue.stall_timeout=0
    freeze
    JOB=$(ctl send --no-wait "$D/big")
    within 20 job_moves "$JOB"
    ctl cancel --timeout 1 "$JOB" || [ $? -eq 124 ]
    [ "$(job_field "$JOB" .phase)" = cancelling ]
    thaw
    within 20 job_is "$JOB" cancelled
    within 20 only_files
    still_serves
}

@test "a job that has failed and is retried while its last attempt hangs waits for that" {
    start
    freeze
    fails 1 Stalled send --timeout 60 --retries 0 "$D/big"
    JOB=$(jq .job <<<"$FAILURE")
    ctl retry "$JOB"
    [ "$(job_field "$JOB" .reason)" = 'waiting for the last attempt, which is stuck in I/O' ]
    thaw
    ctl wait "$JOB"
    cmp "$D/big" "$ROOT/big"
    only_files big
}

@test "a small file on a disk that hangs" {
    start
    make_file "$D/small" 5000
    freeze
    JOB=$(ctl send --no-wait "$D/small")
    # what is being stored is waited for, however long that takes: its outcome is open
    storing() { [ "$(job_field "$JOB" .phase)" = storing ]; }
    within 20 storing
    ctl ping
    thaw
    ctl wait "$JOB"
    cmp "$D/small" "$ROOT/small"
    [ "$(job_field "$JOB" .attempts)" -eq 1 ]
}

@test "a daemon is stopped while a disk hangs: it ends, and the next one does the job" {
    start
    freeze
    JOB=$(ctl send --no-wait "$D/big")
    within 20 job_moves "$JOB"
    kill -TERM "$XFERD_PID"
    within 12 gone "$XFERD_PID"
    wait "$XFERD_PID" || true
    XFERD_PID=
    thaw
    within 20 none_of_ours
    start
    ctl wait "$JOB"
    cmp "$D/big" "$ROOT/big"
    only_files big
}
