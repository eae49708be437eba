# SPDX-License-Identifier: MIT
#
# The program that is run after each job: what it gets, and that whatever it does harms nothing.

load xferd
load life

setup() {
    make_place
    own_runtime
    make_file "$D/f" 100
}

teardown() {
    end_clients
    remove_place
}

# hook LINE...: the hook is a shell script with these lines.
hook() {
    { printf '#!/bin/sh\ncd %s\n' "$D"; printf '%s\n' "$@"; } >"$D/hook.new"
    chmod 755 "$D/hook.new"
    mv "$D/hook.new" "$D/hook"
}

start() { start_xferd -o hook.command="$D/hook" "$@"; }

has_lines() { [ "$(cat "$D/$1" 2>/dev/null | wc -l)" -ge "$2" ]; }
logged() { grep -qF -- "$1" "$LOG"; }

@test "it gets the job object that status gives, for each kind of end, in their order" {
    hook 'cat >>said; echo "$XFER_JOB $XFER_STATE $XFER_SOCKET" >>env'
    start
    ctl send "$D/f"
    within 10 has_lines env 1
    run ctl send "$D/nothing"
    [ "$status" -eq 5 ]
    within 10 has_lines env 2
    ctl pause
    ctl send --no-wait "$D/f" --to g
    ctl cancel 3
    ctl resume
    within 10 has_lines env 3
    printf '%s\n' "1 done $S" "2 failed $S" "3 cancelled $S" | diff - "$D/env"
    for job in 1 2 3; do ctl --json status $job; done | diff - "$D/said"
}

@test "a job that is retried has one for each end" {
    hook 'echo "$XFER_JOB $XFER_STATE" >>env'
    start
    run ctl send "$D/later"
    within 10 has_lines env 1
    make_file "$D/later" 10
    ctl retry 1
    ctl wait 1
    within 10 has_lines env 2
    printf '%s\n' '1 failed' '1 done' | diff - "$D/env"
}

@test "it can use xferctl, and what it prints goes to the log" {
    hook "XFER_SOCKET=\$XFER_SOCKET $XFERCTL status \$XFER_JOB | head -n 1; echo 'said aloud' >&2; touch over"
    start
    ctl send "$D/f"
    within 10 test -e "$D/over"
    logged 'said aloud'
    grep -q '^job  *1$' "$LOG"
}

@test "a long name with any bytes comes through" {
    hook 'cat >>said; touch over'
    local name
    name=$(printf 'x\n"\\%200d' 7)
    mkdir -p "$D/a/$name/$name"
    make_file "$D/a/$name/$name/f" 10
    start
    ctl send "$D/a/$name/$name/f" --to "$name/$name/$name/f"
    within 10 test -e "$D/over"
    ctl --json status 1 | diff - "$D/said"
}

@test "one that fails, is killed or is not there is told once, and jobs go on" {
    hook 'touch ran.$XFER_JOB; exit 3'
    start
    for i in 1 2 3; do ctl send "$D/f"; done
    within 10 test -e "$D/ran.3"
    within 5 logged 'the hook of job 1 failed with status 3'
    hook 'touch ran.$XFER_JOB; kill -KILL $$'
    ctl send "$D/f"
    within 5 logged 'the hook of job 4 was killed by signal 9'
    rm "$D/hook"
    ctl send "$D/f"
    within 5 logged "the hook of job 5 could not be started: $D/hook: No such file or directory"
    hook 'touch ran.$XFER_JOB'
    chmod 644 "$D/hook"
    ctl send "$D/f"
    chmod 755 "$D/hook"
    ctl send "$D/f"
    within 10 test -e "$D/ran.7"
    [ "$(grep -c 'failed with status' "$LOG")" -eq 1 ]
    [ "$(grep -c 'could not be started' "$LOG")" -eq 1 ]
    still_serves
}

@test "one that hangs delays no job, and is ended with all that it has started" {
    hook 'trap "" TERM; sh -c "trap \"\" TERM; while :; do sleep 0.1; done" & echo $! >>child; touch ran.$XFER_JOB; while :; do sleep 0.1; done'
    start -o hook.timeout=300ms
    ctl send "$D/f"
    ctl send "$D/f" --to g
    within 5 has_lines child 2
    within 10 logged 'was ended: it had not come to an end within 0.3 s'
    over() { for pid in $(cat "$D/child"); do gone "$pid" || return 1; done; }
    within 10 over
    no_more() { [ "$(pgrep -c -P "$XFERD_PID")" -eq 1 ]; }
    within 10 no_more
    still_serves
}

@test "a burst of jobs has all its hooks, and no transfer waits for them" {
    hook 'while [ ! -e go ]; do sleep 0.02; done; echo "$XFER_JOB" >>order'
    start
    for i in $(seq 60); do echo "{\"id\":$i,\"method\":\"transfer.submit\",\"params\":{\"source\":\"$D/f\",\"dest\":\"f$i\",\"wait\":true}}"; done >"$D/requests"
    socat -t 30 - UNIX-CONNECT:"$S" <"$D/requests" >"$D/replies"
    [ "$(grep -c '"state":"done"' "$D/replies")" -eq 60 ]
    [ ! -e "$D/order" ]
    touch "$D/go"
    within 20 has_lines order 60
    diff <(sort -n "$D/order") <(seq 60)
}

@test "it changes live, and another program takes its place" {
    hook 'echo first >>said'
    : >"$D/conf"
    start_xferd -c "$D/conf"
    ctl send "$D/f"
    printf '[hook]\ncommand = %s\n' "$D/hook" >"$D/conf"
    [ "$(ctl reload)" = 'changed: hook.command' ]
    ctl send "$D/f"
    within 10 has_lines said 1
    { echo '#!/bin/sh'; echo "echo second >>$D/said"; } >"$D/other"
    chmod 755 "$D/other"
    printf '[hook]\ncommand = %s\n' "$D/other" >"$D/conf"
    ctl reload
    ctl send "$D/f"
    within 10 has_lines said 2
    # ranks that are started later know of it
    kill -KILL "$(rank_pid 0)"
    within 20 ctl ping
    ctl send "$D/f"
    within 10 has_lines said 3
    : >"$D/conf"
    ctl reload
    ctl send "$D/f"
    printf '%s\n' first second second | diff - "$D/said"
}

@test "a program that others can write to is refused" {
    hook 'exit 0'
    chmod 777 "$D/hook"
    run "$XFERD" -o hook.command="$D/hook" --check-config
    [ "$status" -eq 2 ]
    [[ "$output" == *"hook.command: $D/hook can be written to by its group or by others"* ]]
    printf '[hook]\ncommand = %s\n' "$D/hook" >"$D/conf"
    run "$XFERD" -c "$D/conf" -o control.socket="$S" -o queue.database="$D/queue.db" -o store.root="$ROOT"
    [ "$status" -eq 2 ]
    : >"$D/conf"
    start_xferd -c "$D/conf"
    printf '[hook]\ncommand = %s\n' "$D/hook" >"$D/conf"
    fails 2 BadConfig reload
    chmod 755 "$D/hook"
    ctl reload
    for bad in 'command = hook' 'timeout = 0' 'timeout = 2d'; do
        printf '[hook]\n%s\n' "$bad" >"$D/conf"
        fails 2 BadConfig reload
    done
}

@test "a stop gives those that run their time" {
    hook 'while [ ! -e stopping ]; do sleep 0.02; done; touch over.$XFER_JOB'
    start
    ctl send "$D/f"
    kill -TERM "$XFERD_PID"
    within 5 none_but_the_supervisor
    [ ! -e "$D/over.1" ]
    touch "$D/stopping"
    local status=0
    wait "$XFERD_PID" || status=$?
    XFERD_PID=
    [ "$status" -eq 0 ]
    [ -e "$D/over.1" ]
}

none_but_the_supervisor() { [ -z "$(ranks_alive)" ]; }

@test "a stop does not wait for ever" {
    hook 'trap "" TERM; echo $$ >>pids; while :; do sleep 0.1; done'
    start
    for i in 1 2 3 4 5 6; do ctl send "$D/f" --to "f$i"; done
    within 5 has_lines pids 4
    kill -TERM "$XFERD_PID"
    within 6 gone "$XFERD_PID"
    local status=0
    wait "$XFERD_PID" || status=$?
    XFERD_PID=
    [ "$status" -eq 0 ]
    logged 'the hooks of 2 jobs are not run'
    for pid in $(cat "$D/pids"); do gone "$pid"; done
    # a second signal is not patient
    rm "$D/pids"
    start
    ctl send "$D/f"
    within 5 has_lines pids 1
    kill -TERM "$XFERD_PID"
    within 5 none_but_the_supervisor
    kill -TERM "$XFERD_PID"
    within 3 gone "$XFERD_PID"
    wait "$XFERD_PID"
    XFERD_PID=
}

@test "a supervisor that is killed takes its hooks with it" {
    hook 'echo $$ >pid; exec sleep 100'
    start
    ctl send "$D/f"
    within 5 has_lines pid 1
    kill -KILL "$XFERD_PID"
    within 10 gone "$(cat "$D/pid")"
    wait "$XFERD_PID" || true
    XFERD_PID=
}

@test "under an MPI launcher there is none, and a warning says so" {
    MPIEXEC=${MPIEXEC-mpiexec}
    "$MPIEXEC" --version 2>&1 | grep -q 'Open MPI\|OpenRTE' || skip 'not Open MPI'
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 TMPDIR=$D/run
    hook 'touch ran'
    "$MPIEXEC" --bind-to none --host localhost:2 --mca btl self,vader --mca btl_vader_backing_directory "$D/run" --mca btl_vader_single_copy_mechanism none \
        -n 2 "$XFERD" -o hook.command="$D/hook" -o control.socket="$S" -o queue.database="$D/queue.db" -o store.root="$ROOT" >>"$LOG" 2>&1 </dev/null 3>&- &
    XFERD_PID=$!
    within 30 ready_or_gone
    within 5 logged 'hook.command: no hook is run'
    ctl send "$D/f"
    kill -TERM "$(rank_pid 0)"
    wait "$XFERD_PID"
    XFERD_PID=
    [ ! -e "$D/ran" ]
}
