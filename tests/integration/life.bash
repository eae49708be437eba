# SPDX-License-Identifier: MIT
#
# For the bats files about the processes of a daemon: which there are, how they are ended, what must be gone afterwards. Load it after xferd.

# Put this after make_place: root's daemons, too, have their runtime directory in this place, and not where others of this machine would sweep it.
own_runtime() {
    [ "$(id -u)" -ne 0 ] || export RUNTIME_DIRECTORY=$D/run/xfer
}

# not COMMAND...: "!" alone would not fail a test.
not() {
    if "$@"; then
        echo "unexpected: $*" >&2
        return 1
    fi
}

# The processes of the daemon that runs now. Sets LAUNCHER, RANK0, RANK1, RUNTIME (its session directory) and SHARED (where its
# shared memory lies, the same directory where that is in memory).
know_daemon() {
    LAUNCHER=$(pgrep -P "$XFERD_PID" | head -n 1)
    RANK0=$(rank_pid 0)
    RANK1=$(rank_pid 1)
    RUNTIME=$(tr '\0' '\n' <"/proc/$RANK0/cmdline" | sed -n 's/^--runtime=//p')
    SHARED=$RUNTIME
    [ ! -L "$RUNTIME/shared" ] || SHARED=/dev/shm/$(readlink "$RUNTIME/shared")
    [ -n "$LAUNCHER" ] && [ -n "$RANK1" ] && [ -d "$RUNTIME" ] && [ -d "$SHARED" ]
}

# end_these NAME...: SIGKILL to supervisor, launcher, rank0, rank1, all of them at once.
end_these() {
    local name pids=()
    for name; do
        case $name in
        supervisor) pids+=("$XFERD_PID") ;;
        launcher) pids+=("$LAUNCHER") ;;
        rank0) pids+=("$RANK0") ;;
        rank1) pids+=("$RANK1") ;;
        esac
    done
    kill -KILL "${pids[@]}"
    KILLED=${pids[0]}
}

# A daemon that takes long for the transfers of begin_moving.
start_slow() { start_xferd -o link.chunk=16K -o limits.bandwidth=200M "$@"; }

# begin_moving: a transfer that takes long, and is in the middle of it. Its client is CLIENT, what that says goes to $D/said.
begin_moving() {
    [ "$(df --output=avail -B 1 "$D" | tail -n 1)" -gt 5000000000 ] || skip 'needs 5 GB of disk'
    truncate -s 4G "$D/long"
    "$XFERCTL" -s "$S" send "$@" "$D/long" >"$D/said" 2>&1 3>&- &
    CLIENT=$!
    within 10 some_job_moves
}

# only_files_but_of JOB NAME...: as only_files, but a partial file of that job, from which it goes on, may be there.
only_files_but_of() {
    local job=$1
    shift
    diff <(cd "$ROOT" && find . -mindepth 1 -path ./.xfer -prune -o -print | LC_ALL=C sort) \
        <(for f; do echo "./$f"; done | LC_ALL=C sort) &&
        [ -z "$(find "$ROOT/.xfer" -type f ! -name lock ! -path "*/partial/*-$job-*")" ]
}

# goes_on JOB: the transfer that was cut off is under way again, without anybody asking.
goes_on() {
    within 20 is_moving "$1"
}

is_moving() { [ "$(job_field "$1" '.state == "running" and .bytes_done > 0')" = true ]; }

# give_up JOB [NAME...]: it is cancelled, and nothing of it stays.
give_up() {
    local job=$1
    shift
    ctl cancel "$job"
    within 10 only_files "$@"
}

some_job_moves() { ctl --json list --state running | grep -q '"bytes_done":[1-9]'; }

# The client has ended: its exit status is $status.
client_ends() {
    status=0
    wait "$CLIENT" || status=$?
    CLIENT=
    cat "$D/said"
}

# For teardown().
end_clients() {
    local pid
    for pid in ${CLIENT-} ${LISTENER-} ${WATCHER-}; do kill -KILL "$pid" 2>/dev/null; done
    return 0
}

# open_raw: a connection that says nothing, LISTENER; it ends when the daemon closes it.
open_raw() {
    local before
    before=$(call system.stats | jq .clients)
    socat -u UNIX-CONNECT:"$S" - >/dev/null 2>&1 3>&- </dev/null &
    LISTENER=$!
    within 5 has_clients $((before + 1))
}

has_clients() { [ "$(call system.stats | member clients)" -ge "$1" ]; }

# No process of it, no zombie under the supervisor, no directory of its own, nothing of Open MPI.
nothing_left() {
    none_of_ours && [ ! -e "$RUNTIME" ] && [ ! -e "$SHARED" ] && ! compgen -G "/tmp/ompi.*/pid.$LAUNCHER" >/dev/null
}

no_zombies() { ! ps -o stat= --ppid "$XFERD_PID" | grep -q Z; }

# The daemon's memory and directories are those of one generation.
one_generation_left() {
    know_daemon && [ "$(ours | wc -l)" -eq 4 ] && [ "$(pgrep -c -P "$XFERD_PID")" -eq 1 ] && no_zombies &&
        [ "$(find "$SHARED" -name '*_segment*' | wc -l)" -le 2 ]
}

# CPU time so far of all processes of the daemon, in ms.
cpu_used() {
    local p
    for p in $(ours); do
        cat "/proc/$p/task/"*/schedstat
    done 2>/dev/null | awk '{sum += $1} END {printf "%d\n", sum / 1e6}'
}

# A second in which the daemon uses less than a fifth of a core.
quiet_second() {
    local before
    before=$(cpu_used)
    sleep 1
    [ $(($(cpu_used) - before)) -lt 200 ]
}

ours_are_stopped() {
    local p
    for p; do [ "$(process_state "$p")" = T ] || return 1; done
}

# Every process of the daemon is killed at once; the ranks first, since one that stands still would go on when its launcher dies.
end_everything() {
    # shellcheck disable=SC2046
    kill -KILL $(ranks_alive) "$XFERD_PID" $(ours) 2>/dev/null || true
    wait "$XFERD_PID" || true
    XFERD_PID=
    within 10 none_of_ours
}

# with_fault LIBRARY RULE...: the daemons that are started from here on meet it. RULE is KIND ERROR NTH PATH as arm() of ../proof/shim.py takes them; it counts
# on over restarts.
with_fault() {
    command -v python3 >/dev/null || skip 'python3 is not installed'
    [ -e "$1" ] || skip 'the shim was not built'
    XFERD_AS=$(PYTHONPATH=$top_srcdir/tests PYTHONDONTWRITEBYTECODE=1 python3 - "$D/rules" "$@" <<'PY'
import sys
from proof.shim import Shim

shim = Shim(sys.argv[2], sys.argv[1])
shim.arm(0, sys.argv[3], sys.argv[4], int(sys.argv[5]), sys.argv[6])
print("env", *(f"{name}={value}" for name, value in shim.environment().items()))
PY
    )
}
