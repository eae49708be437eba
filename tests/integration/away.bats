# SPDX-License-Identifier: MIT
#
# The other rank cannot be had, for however long: rank 0 alone takes requests and says that they wait; when the other one is back, they are carried
# out without anybody asking.

load xferd
load life
load hosts

setup() {
    make_place
    own_runtime
}

teardown() {
    end_clients
    tear_down_hosts
    remove_place
}

peer_goes() { echo 'agent: no way to there' >"$D/away"; }
peer_comes() { rm -f "$D/away" "$D/hangs"; }

answers_alone() {
    local status=0
    ctl ping >/dev/null 2>&1 || status=$?
    [ "$status" -eq 9 ]
}

# start_away: the daemon on host A, ready without the other host.
start_away() {
    set_up_hosts
    peer_goes
    start_on_a "$@"
    within 30 answers_alone
}

# Rank 0 serves, alone: what it says to a ping, in status and in hello; and a job that waits, JOB.
serves_alone() {
    fails 9 PeerDown ping
    run ctl status
    echo "$output"
    [ "$status" -eq 9 ]
    [[ $output == *"link          down: waiting for "* ]]
    [ "$(call system.hello | jq -c '[.ranks[].rank]')" = '[0]' ]
    make_file "$D/waits" 300000
    JOB=$(ctl send --no-wait "$D/waits" --to waited)
    job_is "$JOB" queued
    [[ "$(job_field "$JOB" .reason)" == "waiting for "*": the other rank is down" ]]
}

# carried_out ROOT: the job of serves_alone is done by itself.
carried_out() {
    within 60 job_is "$JOB" done
    cmp "$D/waits" "$1/waited"
}

times() { grep -c "$1" "$LOG" || true; }

# ---- two hosts ----

@test "a peer that is away at the start: ready all the same, and its jobs are done when it comes" {
    start_away
    within 5 grep -qx "xferd: ready: socket $S, peer 10.9.0.2 away" "$LOG"
    serves_alone
    within 20 grep -q '10.9.0.2 does not answer: agent: no way to there' "$LOG"
    peer_comes
    carried_out "$ROOT_B"
    within 20 ctl ping
    grep -q "ready again: .*peer $HOST_B, receiving root $ROOT_B" "$LOG"
    [ "$(times 'does not answer')" -eq 1 ]
    [ "$(times 'answers again')" -eq 1 ]
    crosses 100000
    stop_xferd
    within 10 nobody_on "$B"
}

@test "systemd is told READY though the peer is away" {
    grep -q '^#define HAVE_LIBSYSTEMD 1' "$top_builddir/config.h" || skip 'built without libsystemd'
    socat -u UNIX-RECV:"$D/notify",type=2 CREATE:"$D/told" 3>&- &
    WATCHER=$!
    within 5 test -S "$D/notify"
    NOTIFY_SOCKET=$D/notify start_away
    within 5 grep -qa READY=1 "$D/told"
    within 5 grep -qa '10.9.0.2 away' "$D/told"
}

@test "a peer that goes away while the daemon runs: requests are taken, and done when it is back" {
    set_up_hosts
    start_both
    crosses 1000
    peer_goes
    kill_all_on "$B"
    within 30 answers_alone
    serves_alone
    within 20 grep -q '10.9.0.2 does not answer: agent: no way to there' "$LOG"
    peer_comes
    carried_out "$ROOT_B"
    [ "$(times 'does not answer')" -eq 1 ]
    [ "$(times 'answers again')" -eq 1 ]
    crosses 100000
}

@test "a transfer that the peer's going cuts off is finished when it is back" {
    set_up_hosts
    start_both -o link.chunk=16K -o limits.bandwidth=50M
    make_file "$D/large" 200000000
    JOB=$(ctl send --no-wait "$D/large")
    within 10 job_moves "$JOB"
    peer_goes
    kill_all_on "$B"
    within 30 answers_alone
    job_is "$JOB" queued
    peer_comes
    within 60 job_is "$JOB" done
    cmp "$D/large" "$ROOT_B/large"
}

@test "a client that waits over all this gets the true result" {
    start_away
    make_file "$D/f" 200000
    "$XFERCTL" -s "$S" send --timeout 60 "$D/f" >"$D/said" 2>&1 3>&- &
    CLIENT=$!
    within 10 has_queued
    peer_comes
    client_ends
    [ "$status" -eq 0 ]
    cmp "$D/f" "$ROOT_B/f"
}

has_queued() { [ "$(call system.stats | jq .jobs.queued)" -gt 0 ]; }

@test "an agent that hangs keeps nobody from being served, nor from stopping" {
    set_up_hosts
    : >"$D/hangs"
    start_on_a
    within 30 answers_alone
    serves_alone
    stop_xferd
    nobody_on "$A"
}

@test "SIGTERM while the peer is away: in order, and the jobs wait for the next start" {
    start_away
    serves_alone
    stop_xferd
    nobody_on "$A"
    [ ! -e "$S" ]
    not grep -i 'did not end in time' "$LOG"
    start_on_a
    within 30 answers_alone
    job_is "$JOB" queued
    peer_comes
    carried_out "$ROOT_B"
}

@test "a lone rank that dies is started again, with its jobs" {
    start_away
    serves_alone
    local i old
    for i in 1 2 3; do
        old=$(rank_pid 0)
        kill -KILL "$old"
        within 10 gone "$old"
        within 10 answers_alone
        job_is "$JOB" queued
    done
    peer_comes
    carried_out "$ROOT_B"
}

@test "the supervisor is killed while the peer is away: rank 0 ends by itself, and the next start knows the jobs" {
    start_away
    serves_alone
    local runtime
    runtime=$(tr '\0' '\n' <"/proc/$(rank_pid 0)/cmdline" | sed -n 's/^--runtime=//p')
    kill -KILL "$XFERD_PID"
    wait "$XFERD_PID" || true
    within 20 nobody_on "$A"
    [ ! -e "$runtime" ]
    start_on_a
    within 30 answers_alone
    job_is "$JOB" queued
}

@test "nothing burns a core while the peer is away" {
    start_away
    within 15 quiet_second
}

@test "rank 1 that refuses on its host is told once, and tried again until it serves" {
    set_up_hosts
    start_both
    crosses 1000
    mv "$ROOT_B" "$ROOT_B.away"
    echo >"$ROOT_B"
    kill -KILL "$(process_on_b xferd)"
    within 30 answers_alone
    serves_alone
    within 30 grep -q "rank [01]: .*$ROOT_B" "$LOG"
    rm "$ROOT_B"
    mv "$ROOT_B.away" "$ROOT_B"
    carried_out "$ROOT_B"
    [ "$(times "rank [01]: .*$ROOT_B")" -eq 1 ]
}

# ---- one host ----

# break_root, mend_root: rank 1 cannot use its root.
break_root() {
    mv "$ROOT" "$ROOT.away"
    echo >"$ROOT"
}

mend_root() {
    rm "$ROOT"
    mv "$ROOT.away" "$ROOT"
}

@test "on one host: while rank 1 cannot serve, requests are taken, and done when it can" {
    start_xferd
    still_serves
    know_daemon
    break_root
    end_these rank1
    within 20 grep -q 'started again in 4 s' "$LOG"
    within 10 answers_alone
    serves_alone
    mend_root
    carried_out "$ROOT"
    still_serves
    grep -q 'rank 0 takes requests alone' "$LOG"
    [ "$(times "rank [01]: .*$ROOT")" -eq 1 ]
    within 10 one_generation_left
    stop_xferd
    nothing_left
}

@test "on one host: a lone rank 0 is one process under the supervisor, and ends with it" {
    start_xferd
    know_daemon
    break_root
    end_these rank1
    within 20 grep -q 'started again in 4 s' "$LOG"
    within 10 answers_alone
    [ "$(ours | wc -l)" -eq 2 ]
    no_zombies
    end_these supervisor
    wait "$XFERD_PID" || true
    within 20 none_of_ours
    within 5 nothing_left
    XFERD_PID=
}

@test "on one host: SIGTERM while rank 0 serves alone" {
    start_xferd
    know_daemon
    break_root
    end_these rank1
    within 20 grep -q 'started again in 4 s' "$LOG"
    within 10 answers_alone
    stop_xferd
    nothing_left
    [ ! -e "$S" ]
}

# ---- the queue ----

spoil_queue() {
    local name
    mkdir "$D/kept"
    for name in "$D"/queue.db*; do mv "$name" "$D/kept"; done
    echo 'this is no database, and long enough to be read as one' >"$D/queue.db"
}

@test "a queue that cannot be opened ends the first start, also when the peer is away" {
    set_up_hosts
    peer_goes
    echo 'this is no database, and long enough to be read as one' >"$D/queue.db"
    start_on_a
    local status=0
    within 30 gone "$XFERD_PID"
    wait "$XFERD_PID" || status=$?
    XFERD_PID=
    cat "$LOG"
    [ "$status" -eq 1 ]
    grep -q "rank 0: .*$D/queue.db" "$LOG"
    nobody_on "$A"
}

@test "a queue that cannot be opened later is tried again until it can" {
    start_xferd
    still_serves
    know_daemon
    spoil_queue
    end_these rank0
    within 20 grep -q 'started again in 1 s' "$LOG"
    grep -q "rank 0: .*$D/queue.db" "$LOG"
    not gone "$XFERD_PID"
    rm "$D"/queue.db*
    mv "$D/kept/"* "$D"
    ctl ping --timeout 30
    still_serves
}
