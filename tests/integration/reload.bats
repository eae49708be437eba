# SPDX-License-Identifier: MIT
#
# The configuration is read again while the daemon runs: what can change does, the rest is named, a bad file changes nothing, in whatever state the
# ranks are.

load xferd
load life

setup_file() {
    make_place
    own_runtime
    : >"$D/conf"
    start_xferd -c "$D/conf" -o control.mode=0666
    SHARED_BOOT=$(call system.hello | jq -r .boot_id)
    chmod 755 "$D"
    export D S ROOT LOG XFERD_PID SHARED_BOOT RUNTIME_DIRECTORY
}

teardown_file() { unshare_xferd; }

setup() {
    if [ "$BATS_TEST_DESCRIPTION" != "${BATS_TEST_DESCRIPTION#own daemon: }" ]; then
        make_place
        own_runtime
        return
    fi
    begin_test
    config
    ctl -q reload >/dev/null
}

teardown() {
    if [ "$BATS_TEST_DESCRIPTION" != "${BATS_TEST_DESCRIPTION#own daemon: }" ]; then
        end_clients
        remove_place
        return
    fi
    end_test
    config
    ctl -q reload >/dev/null
    check_shared
}

# config LINE...: what the file says, all of it
config() { { [ $# -eq 0 ] || printf '%s\n' "$@"; } >"$D/conf"; }

# What a reload tells: changed, then restart, in short.
reload() { ctl --json reload | jq -r '[.changed, .restart] | map(join(" ")) | join(" | ")'; }

logged() { grep -qF -- "$1" "$LOG"; }

# ---- what is told --------------------------------------------------------------------------------

@test "what has changed is named, and what needs a restart, until that has come" {
    config '[queue]' 'retries = 7' '[link]' 'lanes = 2' 'chunk = 64K'
    [ "$(reload)" = 'queue.retries | link.lanes link.chunk' ]
    [ "$(reload)" = ' | link.lanes link.chunk' ]
    run ctl reload
    [ "$output" = 'takes effect when xferd is started again: link.lanes, link.chunk' ]
    config '[queue]' 'retries = 7'
    run ctl reload
    [ "$output" = 'the configuration is as it was' ]
    config
    run ctl reload
    [ "$output" = 'changed: queue.retries' ]
    logged 'the configuration has changed: queue.retries'
    logged 'takes effect when xferd is started again: link.lanes, link.chunk'
    [ "$(call system.stats | jq .link.lanes)" = 4 ]
}

@test "a file that is only written otherwise has not changed" {
    config '[link]' 'timeout = 30' '[queue]' 'history_time=30d' '# that is all'
    [ "$(reload)" = ' | ' ]
    config '[queue]' 'history_time = 720h'
    [ "$(reload)" = ' | ' ]
}

@test "what -o says counts in place of the file" {
    config '[queue]' 'retry_delay = 5min' '[store]' "root = $T"
    [ "$(reload)" = ' | ' ]
}

@test "a bad file changes nothing, and file, line and key are told" {
    config '[queue]' 'retries = 9' 'history = many'
    fails 2 BadConfig reload
    [ "$(jq -r .error.message <<<"$FAILURE")" = "$D/conf:3: queue.history: \"many\" is no whole number" ]
    logged "nothing is changed: $D/conf:3: queue.history:"
    config '[queue]' 'retries = 9' '[link]' 'lines = 3'
    fails 2 BadConfig reload
    [[ "$(jq -r .error.message <<<"$FAILURE")" == "$D/conf:4: unknown key link.lines" ]]
    config '[control]' 'admins = no-such-user-here' '[queue]' 'retries = 9'
    fails 2 BadConfig reload
    config '[queue]' 'retry_delay_max = 1ms' 'retries = 9'
    fails 2 BadConfig reload
    rm "$D/conf"
    fails 2 BadConfig reload
    make_file "$T/f" 100
    ctl send "$T/f"
    [ "$(ctl --json list | jq -s '.[0].retries')" = 3 ]
}

@test "each key takes effect, or is said not to, as xferd.conf(5) has it" {
    local all live
    config '[control]' 'socket = /a' 'mode = 0600' 'group = 1' 'admins = 1' '[queue]' 'database = /a' 'history = 1' 'history_time = 1h' 'retries = 1' \
        'retry_delay = 1ms' 'retry_delay_max = 10s' 'stall_timeout = 1h' '[store]' 'root = /a' 'dir_mode = 0700' 'file_mode = 0600' '[peer]' 'host = a' \
        'user = a' 'agent = a' '[link]' 'lanes = 1' 'chunk = 8K' 'timeout = 11' '[log]' 'level = error' '[hook]' 'command = /nonexistent/a' 'timeout = 1s'
    all=$(reload)
    # those that are given by -o here can't differ
    for key in control.socket control.mode queue.database queue.retry_delay store.root link.timeout; do not grep -qwF "$key" <<<"$all"; done
    live=$(awk '$1 == ".Sh" { section = substr($2, 2, length($2) - 2) } $1 == ".It" && $2 == "Va" { key = section "." $3 } /^Live/ { print key }' \
        "$top_srcdir/daemon/xferd.conf.5" | grep -vx queue.retry_delay)
    diff <(sort <<<"$live") <(tr ' ' '\n' <<<"${all%% |*}" | sort)
    [ "${all##*| }" = 'control.group store.dir_mode store.file_mode peer.host peer.user peer.agent link.lanes link.chunk' ]
}

@test "only administrators may" {
    [ "$(id -u)" -eq 0 ] || skip 'needs root, to be somebody else'
    local status=0
    FAILURE=$(setpriv --reuid=65534 --regid=65534 --clear-groups -- "$XFERCTL" -s "$S" --json reload) || status=$?
    [ "$status" -eq 4 ]
    [ "$(error_field .name)" = PermissionDenied ]
}

# ---- what changes --------------------------------------------------------------------------------

@test "log.level changes in the supervisor and both ranks" {
    config '[log]' 'level = debug'
    [ "$(reload)" = 'log.level | ' ]
    within 5 logged 'xferd[0]: settings '
    within 5 logged 'xferd[1]: settings '
    config '[log]' 'level = error'
    ctl reload
    local before
    before=$(wc -l <"$LOG")
    config '[log]' 'level = error' '[queue]' 'retries = 9'
    ctl reload
    [ "$(wc -l <"$LOG")" -eq "$before" ]
}

@test "control.admins changes for connections that are there" {
    [ "$(id -u)" -eq 0 ] || skip 'needs root, to be somebody else'
    config '[control]' 'admins = nobody'
    mkfifo "$T/in"
    setpriv --reuid=65534 --regid=65534 --clear-groups -- socat - UNIX-CONNECT:"$S" <"$T/in" >"$T/out" 3>&- &
    exec 9>"$T/in"
    echo '{"id":1,"method":"queue.resume"}' >&9
    within 5 grep -q '"id":1,.*PermissionDenied' "$T/out"
    [ "$(reload)" = 'control.admins | ' ]
    echo '{"id":2,"method":"queue.resume"}' >&9
    within 5 grep -q '"id":2,"result"' "$T/out"
    config
    ctl reload
    echo '{"id":3,"method":"queue.resume"}' >&9
    within 5 grep -q '"id":3,.*PermissionDenied' "$T/out"
    exec 9>&-
}

@test "queue.retries counts for jobs that are submitted from then on" {
    config '[queue]' 'retries = 8'
    ctl reload
    make_file "$T/f" 100
    [ "$(ctl --json send "$T/f" | jq .retries)" = 8 ]
}

@test "queue.history changes, and what is too much goes" {
    make_file "$T/f" 100
    local first
    first=$(ctl --json send "$T/f" | jq .job)
    for i in 1 2 3; do ctl send "$T/f"; done
    ctl status "$first"
    config '[queue]' 'history = 2'
    ctl reload
    [ "$(call system.hello | jq .limits.jobs_finished_kept)" = 2 ]
    forgotten() { ctl --json status "$first" | grep -q JobForgotten; }
    within 10 forgotten
}

@test "queue.stall_timeout counts for what runs" {
    config '[queue]' 'stall_timeout = 0'
    ctl reload
    make_file "$T/big" 30000000
    begin_stalled --retries 0 "$T/big"
    config '[queue]' 'stall_timeout = 200ms'
    # rank 1 stands still: it is not waited for when it is let go on
    ctl reload >"$T/said" 3>&- &
    local reloading=$!
    stalled() { [ "$(job_field "$JOB" .error.data.name)" = Stalled ]; }
    within 20 stalled
    kill -CONT "$RANK1"
    wait "$reloading"
    grep -q 'queue.stall_timeout' "$T/said"
}

# ---- when ----------------------------------------------------------------------------------------

@test "the reply comes when both ranks have applied it" {
    local rank1
    rank1=$(rank_pid 1)
    kill -STOP "$rank1"
    config '[queue]' 'retries = 5'
    ctl reload >"$T/said" 3>&- &
    local reloading=$!
    within 5 logged 'the configuration has changed: queue.retries'
    ctl --json stats >/dev/null
    not gone "$reloading"
    kill -CONT "$rank1"
    wait "$reloading"
    grep -q 'changed: queue.retries' "$T/said"
}

@test "many reloads at once are all answered, and the last one counts" {
    local pids=() pid
    for i in $(seq 20); do
        config '[queue]' "retries = $i"
        "$XFERCTL" -s "$S" --json reload >"$T/said.$i" 3>&- &
        pids+=($!)
        kill -HUP "$XFERD_PID"
    done
    for pid in "${pids[@]}"; do wait "$pid"; done
    make_file "$T/f" 100
    [ "$(ctl --json send "$T/f" | jq .retries)" = 20 ]
}

@test "own daemon: systemd is told when a reload begins and when it is over" {
    ldd "$XFERD" | grep -q libsystemd || skip 'built without libsystemd'
    config
    socat -u UNIX-RECV:"$D/notify" OPEN:"$D/told",creat,append 3>&- &
    LISTENER=$!
    within 5 test -S "$D/notify"
    export NOTIFY_SOCKET=$D/notify
    start_xferd -c "$D/conf"
    unset NOTIFY_SOCKET
    within 5 grep -qa 'READY=1' "$D/told"
    : >"$D/told"
    config '[queue]' 'retries = x'
    kill -HUP "$XFERD_PID"
    told() { tr '\n' ' ' <"$D/told" | grep -qaE 'RELOADING=1 MONOTONIC_USEC=[0-9]+ ?READY=1'; }
    within 5 told
}

launched_again() {
    local now
    now=$(pgrep -P "$XFERD_PID" | head -n 1)
    [ -n "$now" ] && [ "$now" != "$LAUNCHER" ]
}

@test "own daemon: a reload holds for ranks that are started later, and for those that are being started" {
    config
    start_xferd -c "$D/conf"
    make_file "$D/f" 100
    config '[queue]' 'retries = 5'
    ctl reload
    kill -KILL "$(rank_pid 0)"
    within 20 ctl ping
    [ "$(ctl --json send "$D/f" | jq .retries)" = 5 ]
    for i in 6 7 8 9; do
        config '[queue]' "retries = $i"
        know_daemon
        kill -KILL "$(rank_pid $((i % 2)))"
        [ $i -lt 8 ] || within 20 launched_again
        kill -HUP "$XFERD_PID"
        within 20 ctl ping
        retries_are() { [ "$(ctl --json send "$D/f" | jq .retries)" = "$1" ]; }
        within 5 retries_are "$i"
    done
}

@test "own daemon: rank 0 alone takes it over, and so do both ranks after it" {
    config
    "$XFERD" -c "$D/conf" -o control.socket="$S" -o queue.database="$D/queue.db" -o store.root="$ROOT" -o peer.host=nowhere.invalid -o peer.agent=/bin/false \
        >>"$LOG" 2>&1 </dev/null 3>&- &
    XFERD_PID=$!
    serves() { ctl --json stats >/dev/null 2>&1; }
    within 30 serves
    config '[queue]' 'retries = 5'
    [ "$(reload)" = 'queue.retries | ' ]
    make_file "$D/f" 100
    [ "$(job_field "$(ctl -q send --no-wait "$D/f")" .retries)" = 5 ]
}

@test "own daemon: what limits.set has said ends with a reload that came while no rank was there" {
    bandwidth_is() { [ "$(call limits.get | jq .bandwidth)" -eq "$1" ]; }
    generation_from() { [ "$(call system.stats 2>/dev/null | jq .generation)" -ge "$1" ] 2>/dev/null; }
    config '[limits]' 'bandwidth = 1000'
    start_xferd -c "$D/conf"
    local ranks
    ranks=$(call system.hello | jq '.ranks[].pid')
    ctl -q limit 5
    kill -KILL $ranks
    within 20 generation_from 2
    bandwidth_is 5
    ranks=$(call system.hello | jq '.ranks[].pid')
    config '[limits]' 'bandwidth = 7000'
    # The deaths and the signal are news at the same time.
    kill -STOP "$XFERD_PID"
    kill -KILL $ranks
    kill -HUP "$XFERD_PID"
    kill -CONT "$XFERD_PID"
    within 20 generation_from 3
    within 5 bandwidth_is 7000
    logged 'the configuration has changed: limits.bandwidth'
}

@test "own daemon: a reload in the middle of stopping does no harm" {
    config
    start_xferd -c "$D/conf"
    config '[queue]' 'retries = 5'
    kill -HUP "$XFERD_PID"
    kill -TERM "$XFERD_PID"
    kill -HUP "$XFERD_PID"
    local status=0
    wait "$XFERD_PID" || status=$?
    XFERD_PID=
    [ "$status" -eq 0 ]
    none_of_ours
}

@test "own daemon: under an MPI launcher rank 0 does it itself" {
    MPIEXEC=${MPIEXEC-mpiexec}
    "$MPIEXEC" --version 2>&1 | grep -q 'Open MPI\|OpenRTE' || skip 'not Open MPI'
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 TMPDIR=$D/run
    config
    "$MPIEXEC" --bind-to none --host localhost:2 --mca btl self,vader --mca btl_vader_backing_directory "$D/run" --mca btl_vader_single_copy_mechanism none \
        -n 2 "$XFERD" -c "$D/conf" -o control.socket="$S" -o queue.database="$D/queue.db" -o store.root="$ROOT" >>"$LOG" 2>&1 </dev/null 3>&- &
    XFERD_PID=$!
    within 30 ready_or_gone
    config '[queue]' 'retries = 5' '[link]' 'lanes = 2'
    [ "$(reload)" = 'queue.retries | link.lanes' ]
    make_file "$D/f" 100
    [ "$(ctl --json send "$D/f" | jq .retries)" = 5 ]
    config '[queue]' 'retry = 5'
    fails 2 BadConfig reload
    [ "$(ctl --json send "$D/f" | jq .retries)" = 5 ]
    kill -TERM "$(rank_pid 0)"
    wait "$XFERD_PID"
    XFERD_PID=
}

@test "own daemon: when the file in the usual place is gone nothing changes" {
    unset RUNTIME_DIRECTORY
    XFERD_AS=
    mkdir -p "$D/config/xfer"
    printf '[queue]\nretries = 5\n' >"$D/config/xfer/xferd.conf"
    if [ "$(id -u)" -eq 0 ]; then
        XFERD_AS='setpriv --reuid=65534 --regid=65534 --clear-groups --'
        chmod 755 "$D"
        chown -R 65534:65534 "$D"
        $XFERD_AS test -x "$XFERD" || skip 'nobody may not execute it'
    fi
    start_xferd
    rm "$D/config/xfer/xferd.conf"
    fails 2 BadConfig reload
    [[ "$(jq -r .error.message <<<"$FAILURE")" == "$D/config/xfer/xferd.conf: No such file"* ]]
    printf '[queue]\nretries = 6\n' >"$D/config/xfer/xferd.conf"
    [ "$(reload)" = 'queue.retries | ' ]
}

@test "own daemon: a reading that hangs keeps nobody waiting but who asked for it" {
    command -v strace >/dev/null || skip 'strace is not installed'
    config
    start_xferd -c "$D/conf"
    make_file "$D/f" 100
    config '[queue]' 'retries = 5'
    strace -qq -f -p "$XFERD_PID" -P "$D/conf" -e trace=openat -e inject=openat:delay_enter=60s -o /dev/null 3>&- &
    local tracer=$!
    traced() { grep -q "^TracerPid:.*$tracer" "/proc/$XFERD_PID/status"; }
    within 5 traced || skip 'this process may not be traced'
    "$XFERCTL" -s "$S" reload >"$D/said" 2>&1 3>&- &
    CLIENT=$!
    reads() { [ "$(ls "/proc/$XFERD_PID/task" | wc -l)" -gt 1 ]; } # a worker
    within 5 reads
    ctl send "$D/f"
    kill -HUP "$XFERD_PID"
    fails 124 Timeout --timeout 100ms reload
    # what it waited for comes: all who wait are told
    kill "$tracer"
    wait "$tracer" || true
    client_ends
    [ "$status" -eq 0 ]
    [ "$(cat "$D/said")" = 'changed: queue.retries' ]
    [ "$(ctl --json send "$D/f" | jq .retries)" = 5 ]
    stop_xferd
}

@test "own daemon: a FIFO in the place of the file is refused, and the next reload works" {
    config
    start_xferd -c "$D/conf"
    rm "$D/conf"
    mkfifo "$D/conf"
    fails 2 BadConfig reload
    rm "$D/conf"
    config '[queue]' 'retries = 6'
    [ "$(reload)" = 'queue.retries | ' ]
}
