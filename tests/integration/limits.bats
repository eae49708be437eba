# SPDX-License-Identifier: MIT
#
# Limits: how fast, how many, how large; each refusal by its name.

load xferd

A=64001
B=64002

setup_file() { share_xferd -o control.mode=0666 -o limits.file_size=10000000 -o queue.stall_timeout=1s; }
teardown_file() { unshare_xferd; }
setup() { begin_test; }

teardown() {
    ctl -q limit 0
    end_test
    check_shared
}

# as UID COMMAND...: skips where that can't be
as() {
    local uid=$1
    shift
    setpriv --reuid="$uid" --regid="$uid" --clear-groups -- "$@"
}

ctl_as() {
    local uid=$1
    shift
    as "$uid" "$D/xferctl" -s "$S" "$@"
}

need_users() {
    [ "$(id -u)" -eq 0 ] || skip 'needs root'
    command -v setpriv >/dev/null || skip 'setpriv is not installed'
    chmod 0755 "$D" "$T"
    [ -e "$D/xferctl" ] || install -m 0755 "$XFERCTL" "$D/xferctl"
    as $A test -x "$D/xferctl" || skip 'other users cannot reach the programs'
}

# ---- bandwidth ----

@test "a job with a rate of its own is still under way when others are done, and is not stalled" {
    make_file "$T/slow" 100000
    make_file "$T/fast" 5000000
    JOB=$(ctl send --no-wait --bwlimit 100 "$T/slow")
    within 10 job_moves "$JOB"
    ctl send "$T/fast"
    [ "$(job_field "$JOB" .bandwidth)" = 100 ]
    [[ "$(ctl status "$JOB")" == *'at most 100 bytes a second'* ]]
    # longer than queue.stall_timeout
    within 20 job_has_sent 300
    job_is "$JOB" running
    [ "$(job_field "$JOB" .attempts)" = 1 ]
    ctl cancel "$JOB"
}

@test "slow jobs in any number hold up no other" {
    make_file "$T/slow" 100000
    make_file "$T/small" 100
    make_file "$T/large" 3000000
    for i in $(seq 20); do ctl send --no-wait --bwlimit 1 "$T/slow" --to "slow-$i"; done >"$T/jobs"
    JOB=$(head -n 1 "$T/jobs")
    within 10 job_moves "$JOB"
    ctl send "$T/small" "$T/large"
    ctl cancel $(cat "$T/jobs")
}

@test "a limit of all jobs holds back what runs, and lifting it lets that finish" {
    make_file "$T/file" 3000000
    [ "$(ctl limit)" = 'bandwidth     none
bytes a file  10000000 (9.5 MiB)' ]
    [[ "$(ctl limit 2K)" == 'bandwidth     2048 (2.0 KiB/s)'* ]]
    [ "$(ctl --json limit | jq -c .)" = '{"bandwidth":2048,"user_jobs":0,"user_bytes":0,"file_size":10000000}' ]
    [[ "$(ctl status)" == *'at most 2048 bytes a second'* ]]
    JOB=$(ctl send --no-wait "$T/file")
    within 10 job_moves "$JOB"
    job_is "$JOB" running
    [ "$(job_field "$JOB" .bytes_done)" -lt 1000000 ]
    ctl limit 0
    ctl wait "$JOB"
    cmp "$T/file" "$ROOT/file"
}

@test "a limit is set by administrators alone: PermissionDenied" {
    need_users
    run ctl_as $A --json limit 1K
    echo "$output"
    [ "$status" -eq 4 ]
    [ "$(jq -r .error.data.name <<<"$output")" = PermissionDenied ]
    ctl_as $A limit
    [ "$(ctl --json limit | jq .bandwidth)" = 0 ]
}

@test "what is no rate is a usage error" {
    for rate in '' x 1X -1 1e3 10Mbit 0.5; do
        run ctl limit "$rate"
        echo "$output"
        [ "$status" -eq 2 ]
        run ctl send --bwlimit "$rate" "$T"
        [ "$status" -eq 2 ]
    done
}

# ---- sizes ----

@test "a file of more than limits.file_size is FileTooLarge, and names both" {
    make_file "$T/most" 10000000
    make_file "$T/more" 10000001
    ctl send "$T/most"
    fails 1 FileTooLarge send "$T/more"
    [ "$(error_field .side)" = sender ]
    [ "$(error_field .path)" = "$T/more" ]
    [[ $FAILURE == *'limits.file_size'* && $FAILURE == *10000001* && $FAILURE == *10000000* ]]
    only_files most
}
