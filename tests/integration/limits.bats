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
    [ -z "$OTHER_PID" ] || stop_other
    ctl -q limit 0
    end_test
    check_shared
}

need_users() {
    [ "$(id -u)" -eq 0 ] || skip 'needs root'
    command -v setpriv >/dev/null || skip 'setpriv is not installed'
    chmod 0755 "$D" "$T"
    [ -e "$D/xferctl" ] || install -m 0755 "$XFERCTL" "$D/xferctl"
    as $A test -x "$D/xferctl" || skip 'other users cannot reach the programs'
}

# other_xferd ARGUMENT...: a daemon beside the shared one, for the rest of the test.
other_xferd() {
    SHARED_S=$S SHARED_PID=$XFERD_PID S=$T/control.sock
    "$XFERD" -o control.socket="$S" -o queue.database="$T/queue.db" -o store.root="$T/in" -o control.mode=0666 "$@" >>"$LOG" 2>&1 </dev/null 3>&- &
    XFERD_PID=$! OTHER_PID=$!
    within 30 ready_or_gone
}

stop_other() {
    stop_xferd
    S=$SHARED_S XFERD_PID=$SHARED_PID
}

unfinished_jobs() { [ "$(call system.stats | jq '.jobs.queued + .jobs.running')" -eq "$1" ]; }

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

# ---- users ----

@test "a user has no more unfinished jobs than limits.user_jobs: UserLimit, and administrators are not limited" {
    need_users
    other_xferd -o limits.user_jobs=2 -o queue.retry_delay=1h -o queue.retry_delay_max=1h
    ctl pause
    make_file "$T/f" 10
    local first key='--key k'
    first=$(ctl_as $A send --no-wait $key "$T/f" --to a)
    ctl_as $A send --no-wait "$T/f" --to b
    run ctl_as $A --json send --no-wait "$T/f" --to c
    echo "$output"
    [ "$status" -eq 1 ]
    [ "$(jq -r '.error.data.name, .error.data.retryable' <<<"$output")" = $'UserLimit\ntrue' ]
    [[ "$(jq -r .error.message <<<"$output")" == *"uid $A has 2 unfinished jobs, and 2 are allowed (limits.user_jobs)"* ]]
    # a known key makes no job
    [ "$(ctl_as $A send --no-wait $key "$T/f" --to a)" = "$first" ]
    ctl_as $B send --no-wait "$T/f" --to d
    for i in 1 2 3; do ctl send --no-wait "$T/f" --to "root-$i"; done
    ctl_as $A cancel "$first"
    ctl_as $A send --no-wait "$T/f" --to c
    run ctl_as $A --json retry "$first"
    echo "$output"
    [ "$status" -eq 1 ]
    [ "$(jq -r .error.data.name <<<"$output")" = UserLimit ]
    ctl retry "$first"
    ctl resume
    within 20 unfinished_jobs 0
    ctl_as $A send "$T/f" --to c
}

@test "the files of a user's unfinished jobs have no more bytes than limits.user_bytes: UserLimit" {
    need_users
    other_xferd -o limits.user_bytes=10000
    ctl pause
    make_file "$T/most" 10000
    make_file "$T/more" 10001
    make_file "$T/one" 1
    run ctl_as $A --json send --no-wait "$T/more"
    echo "$output"
    [ "$status" -eq 1 ]
    [ "$(jq -r .error.data.name <<<"$output")" = UserLimit ]
    [[ "$output" == *limits.user_bytes* && "$output" == *10000* ]]
    JOB=$(ctl_as $A send --no-wait "$T/most")
    run ctl_as $A send --no-wait "$T/one"
    echo "$output"
    [ "$status" -eq 1 ]
    ctl send --no-wait "$T/more"
    ctl_as $B send --no-wait "$T/most"
    # as many at once as there is room for, in the order in which they were asked for
    ctl_as $A cancel "$JOB"
    make_file "$T/third" 3333
    for i in 1 2 3 4 5; do
        printf '{"id":%d,"method":"transfer.submit","params":{"source":"%s","dest":"t%d"}}\n' $i "$T/third" $i
    done | as $A socat -t 10 - UNIX-CONNECT:"$S" >"$T/answers"
    cat "$T/answers"
    [ "$(jq -c 'select(.result) | [.id, .result.bytes_total]' "$T/answers" | tr '\n' ' ')" = '[1,3333] [2,3333] [3,3333] ' ]
    [ "$(jq -r 'select(.error) | .error.data.name' "$T/answers" | sort -u)" = UserLimit ]
    ctl resume
    within 20 unfinished_jobs 0
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

@test "of a directory a file that is too large fails by name, and the rest arrives" {
    mkdir "$T/s"
    make_file "$T/s/more" 10000001
    make_file "$T/s/most" 10000000
    fails 1 Incomplete send "$T/s"
    [ "$(jq -r '.errors[] | .name + " " + .path' <<<"$FAILURE")" = 'FileTooLarge more' ]
    only_files_of_tree
}
only_files_of_tree() { cmp "$T/s/most" "$ROOT/s/most" && [ "$(ls -A "$ROOT/s")" = most ]; }

@test "what would take of store.reserve is NoSpace, before the first byte, and names reserve, size and free bytes" {
    other_xferd -o store.reserve=8000T -o queue.retries=0
    for size in 1 5000 300000 20000000; do
        make_file "$T/f" $size
        fails 8 NoSpace send "$T/f" --to a/b
        [ "$(error_field .side)" = receiver ]
        [[ $FAILURE == *"$size bytes are needed, "*' are free, of which 8796093022208000 are to stay so (store.reserve)'* ]]
    done
    [ -z "$(find "$T/in" -mindepth 1 -path "$T/in/.xfer" -prune -o -print)" ]
    make_file "$T/f" 0
    ctl send "$T/f"
}
