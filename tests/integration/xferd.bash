# SPDX-License-Identifier: MIT
#
# What the bats files that need a daemon share. Each test has a directory of its own, $D, and at most a daemon of its own there; both are
# gone when the test is over, whatever became of it. Only processes that the test started are ended, by their id.

# Put this into setup(): a directory with a short name (a socket's path has 107 bytes at most).
make_place() {
    D=$(mktemp -d "${TMPDIR:-/tmp}/xt-XXXXXX")
    S=$D/control.sock
    ROOT=$D/incoming
    LOG=$D/log
    XFERD_PID=
    unset XFER_SOCKET
    export XDG_RUNTIME_DIR=$D/run XDG_STATE_HOME=$D/state XDG_CONFIG_HOME=$D/config
    mkdir -m 700 "$XDG_RUNTIME_DIR"
}

# Put this into teardown().
remove_place() {
    local pid status=0
    if [ -n "$XFERD_PID" ] && kill -0 "$XFERD_PID" 2>/dev/null; then
        for pid in $(ranks_alive); do kill -CONT "$pid" 2>/dev/null; done
        kill -TERM "$XFERD_PID" 2>/dev/null
        within 8 gone "$XFERD_PID" || kill -KILL "$XFERD_PID"
        wait "$XFERD_PID" 2>/dev/null
    fi
    for pid in $(ours); do kill -KILL "$pid" 2>/dev/null; done
    if [ -z "$BATS_TEST_COMPLETED" ] && [ -s "$LOG" ]; then
        sed 's/^/# xferd: /' "$LOG" | tail -n 40
    fi
    # The supervisor's exit status tells nothing of a rank's last words.
    if grep -qsE 'Sanitizer|runtime error:' "$LOG"; then
        grep -E -A 30 'Sanitizer|runtime error:' "$LOG" | head -n 60 | sed 's/^/# xferd: /'
        status=1
    fi
    for mount in $(awk -v d="$D/" 'index($2, d) == 1 {print $2}' /proc/mounts); do umount "$mount"; done
    rm -rf "$D"
    return $status
}

# within SECONDS COMMAND...: try until it succeeds; fails when it did not in that time.
within() {
    local end=$((${EPOCHREALTIME/[.,]/} + $1 * 1000000))
    shift
    until "$@"; do
        [ "${EPOCHREALTIME/[.,]/}" -lt "$end" ] || { echo "not within the time: $*" >&2; return 1; }
        sleep 0.02
    done
}

# What is asked again and again starts no process that can be spared: ps and jq alone would be a quarter of the time that all tests compute.

gone() { ! kill -0 "$1" 2>/dev/null || [ "$(process_state "$1")" = Z ]; }

# process_state PID: the letter of /proc/PID/stat; nothing when there is none
process_state() {
    local line
    { IFS= read -r line <"/proc/$1/stat"; } 2>/dev/null || return 0
    line=${line##*) }
    echo "${line%% *}"
}

# member NAME <OBJECT: as jq -r .NAME, which is only asked where the value is none of those that look the same in any case.
member() {
    local text
    IFS= read -r -d '' text || true
    if [[ $text =~ [{,]\"$1\":(\"[^\"\\]*\"|-?[0-9]{1,15}|true|false|null)[,}] ]]; then
        text=${BASH_REMATCH[1]#\"}
        echo "${text%\"}"
    else
        jq -r ".$1" <<<"$text"
    fi
}

# Processes that belong to this test's daemon, whoever their parent is now: its directory is in their command line.
ours() {
    local p comm
    for p in $(grep -lsF -- "$D/" /proc/[0-9]*/cmdline); do
        p=${p%/cmdline}
        { IFS= read -r comm <"$p/comm"; } 2>/dev/null || continue
        case $comm in
        xferd* | mpiexec* | mpirun* | orted* | prted* | hydra* | memcheck*) echo "${p#/proc/}" ;;
        esac
    done
}

none_of_ours() { [ -z "$(ours)" ]; }

# start_xferd [ARGUMENT...]: a private daemon with everything under $D; returns when it is ready.
start_xferd() {
    XFER_TEST_DIR=$D ${XFERD_AS-} "$XFERD" -o control.socket="$S" -o queue.database="$D/queue.db" -o store.root="$ROOT" \
        -o link.timeout=600 -o queue.retry_delay=20ms "$@" \
        >>"$LOG" 2>&1 </dev/null 3>&- &
    XFERD_PID=$!
    within 30 ready_or_gone
    kill -0 "$XFERD_PID" 2>/dev/null || { echo "xferd ended at start:" >&2; cat "$LOG" >&2; return 1; }
}

ready_or_gone() { gone "$XFERD_PID" || ctl ping >/dev/null 2>&1; }

# Ends it in order; its exit status is that of the function.
stop_xferd() {
    local status=0
    kill -TERM "$XFERD_PID"
    wait "$XFERD_PID" || status=$?
    XFERD_PID=
    return $status
}

ctl() { "$XFERCTL" -s "$S" "$@"; }

# call METHOD [PARAMS]: the result as JSON
call() { ctl call "$@"; }

# rank_pid 0|1: by what system.hello says
rank_pid() {
    local hello
    hello=$(call system.hello)
    if [[ $hello =~ \{\"rank\":$1,\"host\":\"[^\"]*\",\"pid\":([0-9]+)\} ]]; then
        echo "${BASH_REMATCH[1]}"
    else
        jq -r ".ranks[] | select(.rank == $1) | .pid" <<<"$hello"
    fi
}

# Their process ids, also when nobody answers: a rank's command line is xferd's with a word that only a supervisor says.
ranks_alive() {
    local p words
    for p in $(ours); do
        { mapfile -d '' -t words <"/proc/$p/cmdline"; } 2>/dev/null || continue
        case ${words[*]} in
        *mpiexec*) ;;
        *--handoff=*) echo "$p" ;;
        esac
    done
}

# raw LINE...: send the lines over the socket as they are, print what comes back
raw() { printf '%s\n' "$@" | socat -t 10 - UNIX-CONNECT:"$S"; }

# job_field ID JQ-EXPRESSION
job_field() {
    if [[ $2 =~ ^\.[a-z_]+$ ]]; then
        ctl --json status "$1" | member "${2#.}"
    else
        ctl --json status "$1" | jq -r "$2"
    fi
}

job_is() { [ "$(job_field "$1" .state)" = "$2" ]; }
job_moves() { job_has_sent_more "$1" 0; }

# job_has_sent_more JOB BYTES
job_has_sent_more() {
    local sent
    sent=$(job_field "$1" .bytes_done)
    [[ $sent == +([0-9]) ]] && [ "$sent" -gt "$2" ]
}

# fails EXIT-CODE NAME ARGUMENT...: xferctl with these ends so, and names that error. Sets FAILURE to its JSON.
fails() {
    local exit_code=$1 name=$2 status=0
    shift 2
    FAILURE=$(ctl --json -q "$@" 2>&1) || status=$?
    echo "exit $status: $FAILURE"
    [ "$status" -eq "$exit_code" ] && [ "$(member name <<<"$FAILURE")" = "$name" ]
}

# error_field JQ-EXPRESSION: of the error that fails() has met, below its data
error_field() { jq -r ".error.data$1" <<<"$FAILURE"; }

# as UID COMMAND...
as() {
    local uid=$1
    shift
    setpriv --reuid="$uid" --regid="$uid" --clear-groups -- "$@"
}

# ctl_as UID ARGUMENT...: with the copy of xferctl that a test has put into $D, where others can reach it
ctl_as() {
    local uid=$1
    shift
    as "$uid" "$D/xferctl" -s "$S" "$@"
}

# How many descriptors both ranks hold.
descriptors() {
    local pids
    pids=$(call system.hello | jq '.ranks[].pid')
    for pid in $pids; do ls "/proc/$pid/fd"; done | wc -l
}

# make_file PATH BYTES: with contents that differ everywhere; those of large files repeat, since random bytes are slow to make, but at a distance
# that is odd, so that no two blocks or chunks are the same.
make_file() {
    local distance=$((8 * 1024 * 1024 - 15)) parts=() at
    [[ $1 != */* ]] || mkdir -p "${1%/*}"
    if [ "$2" -gt $((32 * 1024 * 1024)) ]; then
        head -c $distance /dev/urandom >"$1.part"
        for ((at = 0; at < $2; at += distance)); do parts+=("$1.part"); done
        cat "${parts[@]}" >"$1"
        truncate -s "$2" "$1"
        rm "$1.part"
    elif [ "$2" -gt 0 ]; then
        head -c "$2" /dev/urandom >"$1"
    else
        : >"$1"
    fi
}

# The daemon still does its work: sends a file and compares it.
still_serves() {
    local n=$RANDOM
    make_file "$D/probe-$n" 5000
    run ctl send "$D/probe-$n" --to "probe-$n"
    [ "$status" -eq 0 ] || { echo "$output" >&2; return 1; }
    cmp "$D/probe-$n" "$ROOT/probe-$n"
    rm -f "$D/probe-$n" "$ROOT/probe-$n"
}

# Nothing but the named files is under the root: no partial file, no temporary, no directory.
only_files() {
    diff <(cd "$ROOT" && find . -mindepth 1 -path ./.xfer -prune -o -print | LC_ALL=C sort) \
        <(for f; do echo "./$f"; done | LC_ALL=C sort) &&
        [ -z "$(find "$ROOT/.xfer" -type f ! -name lock 2>/dev/null)" ]
}

# A transfer that stands still in the middle: rank 1 is stopped, so the sender runs until its ring is full. Sets JOB.
begin_stalled() {
    RANK1=$(rank_pid 1)
    kill -STOP "$RANK1"
    JOB=$(ctl send --no-wait "$@")
    within 10 job_moves "$JOB"
}

# A transfer of which rank 1 has stored a part, and then stopped: it is let go on for a moment at a time until both ranks together
# can't hold what has left the source. The file must be large: a moment may be long on a busy machine. Sets JOB.
begin_halfway() {
    begin_stalled --sync=none "$@"
    MOMENT=2
    within 20 moved_on_to $((16 * 1024 * 1024))
    [ "$(job_field "$JOB" .phase)" = sending ]
}

moved_on_to() {
    kill -CONT "$RANK1"
    sleep "0.00$MOMENT"
    kill -STOP "$RANK1"
    [ "$MOMENT" -eq 9 ] || MOMENT=$((MOMENT + 1)) # the busier the machine, the less of it is the rank's
    job_has_sent "$1"
}

job_has_sent() { job_has_sent_more "$JOB" "$1"; }

# ---- one daemon for all tests of a file ----
#
# setup_file() calls share_xferd [ARGUMENT...], teardown_file() calls unshare_xferd, and teardown() calls check_shared, which fails the
# test after which the daemon is not the one it was, or doesn't serve. Where tests look at what is under the root, setup() calls begin_test and
# teardown() end_test instead: each then has a directory of its own for sources, $T, and finds an empty root.

share_xferd() {
    make_place
    start_xferd "$@"
    SHARED_BOOT=$(call system.hello | member boot_id)
    export D S ROOT LOG XFERD_PID SHARED_BOOT
}

# The same for a daemon that is not root, which for root is one of nobody's. XFERD_PID stays empty where that can't be. $XFERD_AS before a command
# runs it as that user.
share_xferd_unprivileged() {
    make_place
    export D S ROOT LOG XFERD_PID XFERD_AS=
    if [ "$(id -u)" -eq 0 ]; then
        XFERD_AS='setpriv --reuid=65534 --regid=65534 --clear-groups --'
        chmod 755 "$D"
        chown -R 65534:65534 "$D"
        $XFERD_AS test -x "$XFERD" -a -w "$D" || return 0
    fi
    start_xferd "$@"
}

unshare_xferd() {
    local status=0
    [ -z "$XFERD_PID" ] || stop_xferd || status=$?
    # how it ended also tells what the sanitizers have found
    [ $status -eq 0 ] || tail -n 40 "$LOG" | sed 's/^/# xferd: /' >&2
    BATS_TEST_COMPLETED=1
    remove_place
    return $status
}

begin_test() {
    T=$D/t
    mkdir "$T"
}

end_test() {
    local pid
    if [ -z "$BATS_TEST_COMPLETED" ]; then
        # a failed test may have left a rank that stands still and jobs
        for pid in $(ranks_alive); do kill -CONT "$pid"; done
        ctl --json list 2>/dev/null | jq -r 'select(.state == "queued" or .state == "running").job' | xargs -r "$XFERCTL" -s "$S" cancel
        sed 's/^/# xferd: /' "$LOG" | tail -n 20
    fi
    chmod -R u+rwX "$T" "$ROOT"
    rm -rf "$T"
    find "$ROOT" -mindepth 1 -maxdepth 1 ! -name .xfer -exec rm -rf {} +
}

check_shared() {
    [ -n "$BATS_TEST_COMPLETED" ] || tail -n 20 "$LOG" | sed 's/^/# xferd: /'
    [ -z "$BATS_TEST_SKIPPED" ] || return 0
    [ "$(call system.hello | member boot_id)" = "$SHARED_BOOT" ] || {
        echo 'rank 0 died' >&2
        tail -n 20 "$LOG" >&2
        return 1
    }
    still_serves
}

# Skips a test that needs a terminal, where there are none to be had.
needs_terminals() {
    command -v python3 >/dev/null || skip 'python3 is not installed'
    python3 -c 'import pty; pty.openpty()' 2>/dev/null || skip 'there are no pseudo-terminals here'
}

# py [ARGUMENT...] <SCRIPT: run it with all of rpc.py at hand.
py() {
    local script=$BATS_TEST_TMPDIR/test.py
    command -v python3 >/dev/null || skip 'python3 is not installed'
    { echo 'from rpc import *'; cat; } >"$script"
    S=$S D=$D ROOT=$ROOT top_srcdir=$top_srcdir PYTHONPATH=$top_srcdir/tests/integration PYTHONDONTWRITEBYTECODE=1 \
        python3 "$script" "$@" 3>&-
}
