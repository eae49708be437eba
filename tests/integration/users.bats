# SPDX-License-Identifier: MIT
#
# Who may what: the kernel says who is at the other end, the mode of the socket who may connect, and owners and administrators alone
# cancel. Needs root, to be several users.

load xferd

A=64001
B=64002

setup() {
    [ "$(id -u)" -eq 0 ] || skip 'needs root'
    command -v setpriv >/dev/null || skip 'setpriv is not installed'
    make_place
    chmod 0755 "$D"
    install -m 0755 "$XFERCTL" "$D/xferctl"
    as "$A" test -x "$D/xferctl" || skip 'other users cannot reach the programs'
    make_file "$D/big" 41943040
    make_file "$D/small" 5000
    cd "$BATS_TEST_TMPDIR"
}

teardown() { [ -z "$D" ] || remove_place; }

open_to_all() { start_xferd -o control.mode=0666 "$@"; }

@test "a private socket refuses another user, by the kernel" {
    start_xferd -o control.mode=0600
    [ "$(stat -c %a "$S")" = 600 ]
    for command in ping status 'call system.hello' "send $D/small"; do
        run ctl_as $A $command
        echo "$output"
        [ "$status" -eq 4 ]
        [[ $output == *"$S"* ]]
    done
    [ "$(call transfer.list | jq '.jobs | length')" -eq 0 ]
}

@test "control.group opens the socket to that group and to nobody else" {
    start_xferd -o control.mode=0660 -o control.group=$A
    [ "$(stat -c '%a %g' "$S")" = "660 $A" ]
    ctl_as $A ping
    setpriv --reuid=$B --regid=$B --groups=$A -- "$D/xferctl" -s "$S" ping
    run ctl_as $B ping
    [ "$status" -eq 4 ]
}

@test "whoever can connect may submit, see and watch, and owns what he submitted" {
    open_to_all
    run ctl_as $A --json send "$D/small" --to theirs
    echo "$output"
    [ "$status" -eq 0 ]
    [ "$(jq .uid <<<"$output")" = $A ]
    cmp "$D/small" "$ROOT/theirs"
    JOB=$(ctl --json send "$D/small" --to mine | jq .job)
    [ "$(ctl_as $A --json status "$JOB" | jq .uid)" = 0 ]
    [ "$(ctl_as $A --json list | jq -c .uid | sort -u | tr '\n' ' ')" = "0 $A " ]
    [ "$(ctl_as $A --json list --user $A | jq -c .uid)" = $A ]
    ctl_as $A wait "$JOB"
    ctl_as $A watch "$JOB"
    ctl_as $A status
    ctl_as $A stats
}

@test "a stranger may not cancel another's job: PermissionDenied, exit 4, and the job goes on" {
    open_to_all
    begin_stalled "$D/big"
    local theirs
    theirs=$(ctl_as $A send --no-wait "$D/small" --to theirs-1)
    theirs=$(ctl_as $A send --no-wait "$D/small" --to big)
    for job in "$JOB" "$theirs"; do
        run ctl_as $B --json cancel "$job"
        echo "$output"
        [ "$status" -eq 4 ]
        [ "$(jq -r '.error.data.name, .error.data.job, .exit_code' <<<"$output")" = "PermissionDenied
$job
4" ]
    done
    run ctl_as $A cancel "$JOB"
    [ "$status" -eq 4 ]
    [[ $output == *"job $JOB"* ]]
    kill -CONT "$RANK1"
    ctl wait "$JOB" "$theirs"
    cmp "$D/small" "$ROOT/big"
}

@test "what a refused user asks of a job that has ended is refused just the same" {
    open_to_all
    JOB=$(ctl --json send "$D/small" | jq .job)
    run ctl_as $A cancel "$JOB"
    [ "$status" -eq 4 ]
}

@test "owners cancel their jobs, and root everybody's" {
    open_to_all
    begin_stalled "$D/big"
    local a b
    a=$(ctl_as $A send --no-wait "$D/small" --to big)
    b=$(ctl_as $B send --no-wait "$D/small" --to big)
    ctl_as $A cancel "$a"
    job_is "$a" cancelled
    ctl cancel "$b"
    job_is "$b" cancelled
    [ "$(job_field "$b" .uid)" = $B ]
    kill -CONT "$RANK1"
    ctl wait "$JOB"
    cmp "$D/big" "$ROOT/big"
}

@test "a stranger may not retry another's job, its owner and root may" {
    open_to_all
    run ctl_as $A --json send "$D/later"
    [ "$status" -eq 5 ]
    JOB=$(jq .job <<<"$output")
    make_file "$D/later" 5000
    run ctl_as $B --json retry "$JOB"
    echo "$output"
    [ "$status" -eq 4 ]
    [ "$(jq -r '.error.data.name, .error.data.job' <<<"$output")" = "PermissionDenied
$JOB" ]
    job_is "$JOB" failed
    ctl_as $A retry "$JOB"
    ctl wait "$JOB"
    run ctl_as $A --json send "$D/later-2"
    JOB=$(jq .job <<<"$output")
    make_file "$D/later-2" 5000
    ctl retry "$JOB"
    ctl wait "$JOB"
}

@test "pause, resume and drain are for administrators" {
    open_to_all -o control.admins=$B
    for command in pause resume drain; do
        run ctl_as $A --json $command
        echo "$output"
        [ "$status" -eq 4 ]
        [ "$(jq -r .error.data.name <<<"$output")" = PermissionDenied ]
    done
    [ "$(call system.stats | jq -c .queue)" = '{"paused":false,"draining":false}' ]
    ctl_as $B pause
    run ctl_as $A resume
    [ "$status" -eq 4 ]
    [ "$(call system.stats | jq -c .queue.paused)" = true ]
    ctl_as $B resume
    ctl_as $B drain
    ctl resume
}

@test "keys belong to their users" {
    open_to_all
    local a b
    a=$(ctl_as $A send --no-wait --key k "$D/small" --to a)
    b=$(ctl_as $B send --no-wait --key k "$D/big" --to b)
    [ "$a" != "$b" ]
    [ "$(ctl_as $A send --no-wait --key k "$D/small" --to a)" = "$a" ]
    [ "$(ctl_as $B send --no-wait --key k "$D/big" --to b)" = "$b" ]
    ctl wait "$a" "$b"
}

@test "administrators are named by uid, by name and by group" {
    open_to_all -o control.admins="$A, @64077 nobody"
    begin_stalled "$D/big"
    local jobs=()
    for i in 1 2 3 4; do jobs+=("$(ctl send --no-wait "$D/small" --to big)"); done
    run ctl_as $B cancel "${jobs[0]}"
    [ "$status" -eq 4 ]
    ctl_as $A cancel "${jobs[0]}"
    ctl_as "$(id -u nobody)" cancel "${jobs[1]}"
    setpriv --reuid=$B --regid=64077 --clear-groups -- "$D/xferctl" -s "$S" cancel "${jobs[2]}"
    setpriv --reuid=$B --regid=$B --groups=64076,64077 -- "$D/xferctl" -s "$S" cancel "${jobs[3]}"
    kill -CONT "$RANK1"
    ctl wait "$JOB"
}

@test "a daemon of an ordinary user has a socket that is that user's alone, and root may use it" {
    as $A test -x "$XFERD" || skip 'other users cannot reach the programs'
    mkdir "$D/home"
    chown -R $A:$A "$D/home" "$XDG_RUNTIME_DIR"
    as $A env HOME="$D/home" XDG_STATE_HOME="$D/home/state" XDG_CONFIG_HOME="$D/home/config" "$XFERD" -o store.root="$D/home/in" \
        >>"$LOG" 2>&1 </dev/null 3>&- &
    XFERD_PID=$!
    S=$XDG_RUNTIME_DIR/xfer/control.sock
    within 30 ready_or_gone
    [ "$(stat -c '%a %u' "$S")" = "600 $A" ]
    [ "$(as $A env XDG_RUNTIME_DIR="$XDG_RUNTIME_DIR" "$D/xferctl" socket)" = "$S" ]
    as $A env XDG_RUNTIME_DIR="$XDG_RUNTIME_DIR" "$D/xferctl" send "$D/small"
    cmp "$D/small" "$D/home/in/small"
    [ "$(stat -c %u "$D/home/in/small")" = $A ]
    [ "$(ctl --json send "$D/big" | jq .uid)" = 0 ]
    run ctl_as $B ping
    [ "$status" -eq 4 ]
    # as that user the daemon can't read what the user can't, unless it is handed over by one who can
    install -m 0600 "$D/small" "$D/secret"
    run ctl call transfer.submit "{\"source\":\"$D/secret\",\"wait\":true}"
    [ "$(jq -r '"\(.state) \(.exit_code)"' <<<"$output")" = 'failed 4' ]
    [[ $output == *'Permission denied'* ]]
    ctl send "$D/secret"
    cmp "$D/secret" "$D/home/in/secret"
}
