# SPDX-License-Identifier: MIT
#
# A daemon that is not root, and users whose files it can't read: xferctl hands them over opened, and nothing else is reached through the
# daemon. Needs root, to be several users.

load xferd

A=64001
B=64002

setup_file() {
    D=
    [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null || return 0
    make_place
    install -m 0755 "$XFERCTL" "$D/xferctl"
    mkdir -m 755 "$D/public"
    unprivileged
    DESCRIPTORS=$(descriptors)
    export DESCRIPTORS
}

# as share_xferd_unprivileged, with a place that is there already
unprivileged() {
    export D S ROOT LOG XFERD_PID XFERD_AS='setpriv --reuid=65534 --regid=65534 --clear-groups --'
    chmod 755 "$D"
    chown 65534:65534 "$D"
    $XFERD_AS test -x "$XFERD" -a -w "$D" || return 0
    start_xferd -o control.mode=0666 -o source.roots="$D/public" -o store.file_mode=0644
    make_file "$D/public/f" 3000000
    ctl send "$D/public/f" >/dev/null
    rm "$D/public/f" "$ROOT/f"
}

teardown_file() { [ -z "$D" ] || unshare_xferd; }

setup() {
    [ -n "$D" ] || skip 'needs root and setpriv'
    [ -n "$XFERD_PID" ] || skip "another user can't reach $XFERD or $D"
    begin_test
    chmod 755 "$T"
    for user in $A $B; do install -d -m 700 -o $user -g $user "$T/$user"; done
}

teardown() { [ -z "$D" ] || [ -z "$XFERD_PID" ] || end_test; }

# as fails(), for that user
fails_as() {
    local uid=$1 exit_code=$2 name=$3 status=0
    shift 3
    FAILURE=$(ctl_as "$uid" --json -q "$@" 2>&1) || status=$?
    echo "exit $status: $FAILURE"
    [ "$status" -eq "$exit_code" ] && [ "$(jq -r .error.data.name <<<"$FAILURE")" = "$name" ]
}

# secret UID NAME [BYTES]: a file that this user alone can read; sets FILE
secret() {
    FILE=$T/$1/$2
    make_file "$FILE" "${3:-5000}"
    chmod 600 "$FILE"
    chown "$1:$1" "$FILE"
}

descriptors_as_before() { [ "$(descriptors)" -le "$DESCRIPTORS" ]; }

another_rank0() { [ "$(rank_pid 0 2>/dev/null)" != "$1" ] && ctl ping >/dev/null 2>&1; }

lose_ranks() {
    local pid
    pid=$(rank_pid 0)
    kill -KILL "$pid"
    within 20 another_rank0 "$pid"
}

waits_for_file() { [[ $(job_field "$1" .reason) == *'handed over again'* ]]; }

# ---- what can be sent

@test "a user sends what only he can read, small and large" {
    secret $A small
    secret $A large 3000000
    run ctl_as $A --json send "$T/$A/small" "$T/$A/large"
    echo "$output"
    [ "$status" -eq 0 ]
    [ "$(jq -s -c 'map(.handle)' <<<"$output")" = '[true,true]' ]
    cmp "$T/$A/small" "$ROOT/small"
    cmp "$T/$A/large" "$ROOT/large"
    within 5 descriptors_as_before
}

@test "by its path alone it is refused, and the message names the daemon's user and the way out" {
    secret $A f
    run ctl_as $A call transfer.submit "{\"source\":\"$FILE\",\"wait\":true,\"retries\":0}"
    echo "$output"
    [ "$(jq -r .error.data.name <<<"$output")" = PermissionDenied ]
    [[ $(jq -r .error.message <<<"$output") == *'uid 65534'*'xferctl send'* ]]
    [ "$(jq .handle <<<"$output")" = false ]
    only_files
}

@test "what lies outside of the roots is opened by nobody but its user" {
    make_file "$T/f" 1000
    chmod 644 "$T/f"
    run ctl_as $A call transfer.submit "{\"source\":\"$T/f\",\"wait\":true}"
    [[ $(jq -r .error.message <<<"$output") == *source.roots* ]]
    only_files
    ctl_as $A send "$T/f"
    cmp "$T/f" "$ROOT/f"
}

@test "what lies beneath the roots is opened by the daemon for everybody" {
    make_file "$D/public/g" 1000
    ctl_as $A call transfer.submit "{\"source\":\"$D/public/g\",\"wait\":true}"
    cmp "$D/public/g" "$ROOT/g"
    ln -s "$LOG" "$D/public/link"
    run ctl_as $A call transfer.submit "{\"source\":\"$D/public/link\",\"wait\":true}"
    [ "$(jq -r .error.data.name <<<"$output")" = PermissionDenied ]
    rm "$D/public/g" "$D/public/link"
}

@test "a file of another user is not sent" {
    secret $A f
    fails_as $B 4 PermissionDenied send "$FILE"
    ln -s "$FILE" "$T/$B/link"
    fails_as $B 4 PermissionDenied send "$T/$B/link"
    only_files
}

@test "the daemon's own user gives paths alone" {
    make_file "$D/public/g" 1000
    [ "$(as 65534 "$D/xferctl" -s "$S" --json send "$D/public/g" | jq .handle)" = false ]
    rm "$D/public/g"
    secret $A f
    fails_as 65534 4 PermissionDenied send "$FILE"
}

@test "what is no file is refused as ever, and nothing is waited for" {
    mkfifo -m 644 "$D/public/fifo"
    fails_as $A 1 NotRegular send "$D/public/fifo"
    fails_as $A 5 NoSuchFile send "$D/public/none"
    fails 1 NotRegular send "$D/public/fifo"
    rm "$D/public/fifo"
    only_files
}

@test "not even root sends the daemon's own files, or those of the kernel" {
    ln "$D/queue.db" "$T/hard"
    fails 4 PermissionDenied send "$D/queue.db"
    fails 4 PermissionDenied send "$T/hard"
    fails 4 PermissionDenied send "$ROOT/.xfer/lock"
    fails 4 PermissionDenied send /proc/1/environ
    fails_as $A 4 PermissionDenied send /proc/self/status
    [ "$(error_field .side)" = daemon ]
    only_files
}

@test "hundreds of files arrive each with its contents" {
    local i
    for i in {1..300}; do echo "$i" >"$T/$A/$i"; done
    chmod 600 "$T/$A"/*
    chown $A:$A "$T/$A"/*
    ctl_as $A send --sync=none "$T/$A"/* >/dev/null
    diff -r "$T/$A" "$ROOT" -x .xfer
    within 5 descriptors_as_before
}

@test "a name that leads elsewhere after the submission changes nothing" {
    make_file "$T/big" 41943040
    begin_stalled "$T/big" --to same
    secret $A f
    cp "$FILE" "$T/copy"
    local job
    job=$(ctl_as $A -q send --no-wait "$FILE" --to same)
    rm "$FILE"
    ln -s "$D/queue.db" "$FILE"
    kill -CONT "$RANK1"
    ctl wait "$JOB" "$job"
    cmp "$T/copy" "$ROOT/same"
}

@test "keys belong to their users, whoever can read the file" {
    secret $A f
    cp "$FILE" "$T/$B/f"
    chown $B:$B "$T/$B/f"
    local a b
    a=$(ctl_as $A -q send --no-wait --key k "$FILE" --to a)
    b=$(ctl_as $B -q send --no-wait --key k "$T/$B/f" --to b)
    [ "$a" != "$b" ]
    [ "$(ctl_as $A -q send --no-wait --key k "$FILE" --to a)" = "$a" ]
    fails_as $B 2 KeyConflict send --key k "$T/$B/f" --to a
    ctl wait "$a" "$b"
    within 5 descriptors_as_before
}

# ---- over a restart

@test "a waiting send hands its file over again when the ranks were lost" {
    secret $A big 41943040
    RANK1=$(rank_pid 1)
    kill -STOP "$RANK1"
    ctl_as $A --json send "$FILE" >"$T/out" 2>"$T/err" 3>&- &
    local client=$! rank0
    moving() { [ "$(ctl --json list --user $A --state running | jq -s 'map(select(.bytes_done > 0)) | length')" -eq 1 ]; }
    within 10 moving
    lose_ranks
    wait $client
    cat "$T/err"
    [ "$(jq -r '"\(.state) \(.attempts > 1)"' "$T/out")" = 'done true' ]
    cmp "$FILE" "$ROOT/big"
    within 5 descriptors_as_before
}

@test "without a client the job waits, and its owner's retry hands the file over" {
    secret $A big 41943040
    begin_stalled "$T/$A/big" --to held
    local job status
    job=$(ctl_as $A send --no-wait "$FILE" --to held/f 2>"$T/err")
    [[ $(cat "$T/err") == *SourceHandleLost*retry* ]]
    [ "$(job_field "$job" .handle)" = true ]
    ctl cancel "$JOB" &
    lose_ranks
    wait $!
    within 10 waits_for_file "$job"
    # neither a stranger nor, with another view of what lies there, root
    fails_as $B 4 PermissionDenied retry "$job"
    ctl retry "$job"
    within 10 waits_for_file "$job"
    mv "$FILE" "$T/$A/away"
    secret $A big 1000
    fails_as $A 1 SourceChanged retry "$job"
    mv "$T/$A/away" "$FILE"
    ctl_as $A retry "$job"
    ctl wait "$job"
    cmp "$FILE" "$ROOT/held/f"
    within 5 descriptors_as_before
}

@test "a file that the daemon may open itself goes on without anybody" {
    make_file "$D/public/big" 41943040
    chmod 644 "$D/public/big"
    begin_stalled "$D/public/big"
    [ "$(job_field "$JOB" .handle)" = true ]
    lose_ranks
    ctl wait "$JOB"
    cmp "$D/public/big" "$ROOT/big"
    rm "$D/public/big"
}

@test "--no-wait warns once, and -q not at all" {
    secret $A f
    secret $A g
    ctl_as $A send --no-wait "$T/$A/f" "$T/$A/g" 2>"$T/err" >"$T/out"
    [ "$(wc -l <"$T/err")" -eq 1 ]
    [ "$(wc -l <"$T/out")" -eq 2 ]
    ctl_as $A -q send --no-wait "$T/$A/f" --to again 2>"$T/err" >>"$T/out"
    [ ! -s "$T/err" ]
    make_file "$D/public/h" 10
    as 65534 "$D/xferctl" -s "$S" send --no-wait "$D/public/h" 2>"$T/err" >>"$T/out"
    [ ! -s "$T/err" ]
    ctl wait $(cat "$T/out") >/dev/null
    rm "$D/public/h"
}
