# SPDX-License-Identifier: MIT
#
# Rank 1 on another host: two network namespaces joined by a pair of virtual interfaces, each with a host name, a /dev/shm and, on the receiving
# side, an /etc of its own; an agent in place of ssh.

load xferd
load life

setup() {
    A= B=
    make_place
    own_runtime
    [ "$(id -u)" -eq 0 ] || skip 'not root'
    for tool in ip unshare nsenter; do command -v "$tool" >/dev/null || skip "$tool is not there"; done
    "${MPIEXEC-mpiexec}" --version 2>&1 | grep -q 'Open MPI\|OpenRTE' || skip 'not Open MPI'
    make_hosts || skip 'no network namespaces here'
}

teardown() {
    end_clients
    local pid ns
    if [ -n "$XFERD_PID" ] && ! gone "$XFERD_PID"; then
        kill -TERM "$XFERD_PID"
        within 12 gone "$XFERD_PID" || kill -KILL "$XFERD_PID"
    fi
    for ns in $A $B; do
        for pid in $(ip netns pids "$ns" 2>/dev/null); do kill -KILL "$pid" 2>/dev/null; done
        ip netns del "$ns" 2>/dev/null
    done
    remove_place
}

make_hosts() {
    local id=$((RANDOM % 10000))
    ip netns add "xta$id" 2>/dev/null || return 1
    A=xta$id
    ip netns add "xtb$id" || return 1
    B=xtb$id
    ip link add "va$id" type veth peer name "vb$id" || return 1
    ip link set "va$id" netns "$A" && ip link set "vb$id" netns "$B" || return 1
    ip -n "$A" addr add 10.9.0.1/24 dev "va$id" && ip -n "$B" addr add 10.9.0.2/24 dev "vb$id" || return 1
    ip -n "$A" link set lo up && ip -n "$B" link set lo up || return 1
    ip -n "$A" link set "va$id" up && ip -n "$B" link set "vb$id" up || return 1
    HOST_A=hosta$id HOST_B=hostb$id ROOT_B=$D/root-b

    cp -a /etc "$D/etc-b"
    mkdir -p "$D/etc-b/xfer" "$D/home-b" "$D/tmp-b"
    printf '[store]\nroot = %s\nfile_mode = 0640\n' "$ROOT_B" >"$D/etc-b/xfer/xferd.conf"
    cat >"$D/agent" <<AGENT
#!/bin/sh
while case \$1 in -*) true ;; *) false ;; esac; do shift; done
echo "\$1" >>'$D/asked'
[ "\$1" = 10.9.0.2 ] || { echo "agent: no host \$1" >&2; exit 1; }
shift
exec ip netns exec $B unshare -u -m -i sh -c '
    hostname $HOST_B && mount -t tmpfs tmpfs /dev/shm && mount --bind "$D/etc-b" /etc &&
    exec env -i PATH="\$PATH" HOME="$D/home-b" TMPDIR="$D/tmp-b" ${ASAN_OPTIONS:+ASAN_OPTIONS="$ASAN_OPTIONS" LSAN_OPTIONS="$LSAN_OPTIONS" UBSAN_OPTIONS="$UBSAN_OPTIONS"} sh -c "\$*"' sh "\$@"
AGENT
    chmod +x "$D/agent"
}

# start_on_a [ARGUMENT...]: the daemon on host A, in the background.
start_on_a() {
    ip netns exec "$A" unshare -u -m -i sh -c 'hostname "$1" && mount -t tmpfs tmpfs /dev/shm && shift && exec "$@"' sh "$HOST_A" \
        "$XFERD" -o control.socket="$S" -o queue.database="$D/queue.db" -o store.root="$ROOT" -o peer.host=10.9.0.2 -o peer.agent="$D/agent" "$@" \
        >>"$LOG" 2>&1 </dev/null 3>&- &
    XFERD_PID=$!
}

start_both() {
    start_on_a "$@"
    within 60 ready_or_gone
    not gone "$XFERD_PID"
}

crosses() {
    make_file "$D/f" "$1"
    ctl send --timeout 60 "$D/f"
    cmp "$D/f" "$ROOT_B/f"
}

nobody_on() { [ -z "$(ip netns pids "$1")" ]; }

nothing_left_on_b() { nobody_on "$B" && [ -z "$(ls -A "$D/tmp-b")" ]; }

# The process of rank 1 is on B, and hello tells its pid.
process_on_b() {
    local pid
    for pid in $(ip netns pids "$B"); do
        [ "$(cat "/proc/$pid/comm")" != "$1" ] || echo "$pid"
    done
}

@test "a file crosses and is stored where the receiving host says, in its way" {
    start_both
    crosses 3000000
    [ "$(stat -c %a "$ROOT_B/f")" = 640 ]
    [ ! -e "$ROOT" ]
    grep -q "ready: socket $S, peer $HOST_B, receiving root $ROOT_B" "$LOG"
    [ "$(call system.hello | jq -c '[.ranks[].host]')" = "[\"$HOST_A\",\"$HOST_B\"]" ]
    run ctl --json send "$D/f"
    [ "$(jq -r '.dest_host, .dest_path' <<<"$output")" = "$HOST_B"$'\n'"$ROOT_B/f" ]
    ctl ping
    run ctl status
    [ "$status" -eq 0 ]
    [[ $output == *"$ROOT_B"* ]]
    crosses 0
    crosses 262145
    stop_xferd
    nobody_on "$A"
    within 10 nothing_left_on_b
    [ -z "$(find "$ROOT_B/.xfer" -type f ! -name lock)" ]
}

@test "nothing burns a core while both hosts are idle" {
    start_both
    crosses 100000
    within 15 quiet_second
    [ "$(ours | wc -l)" -ge 3 ]
}

@test "the remote rank is killed in the middle: the client hears of it, the next file crosses" {
    start_both
    begin_moving
    kill -KILL "$(process_on_b xferd)"
    client_ends
    [ "$status" -eq 1 ]
    within 60 ctl ping --timeout 60
    crosses 100000
    [ "$(process_on_b xferd | wc -l)" -eq 1 ]
    stop_xferd
    within 10 nobody_on "$B"
    [ -z "$(find "$ROOT_B/.xfer" -type f ! -name lock)" ]
}

@test "rank 0 is killed: no second rank 1 beside the old one, the next file crosses" {
    start_both
    kill -KILL "$(rank_pid 0)"
    within 60 ctl ping --timeout 60
    crosses 100000
    within 10 only_one_on_b
    stop_xferd
    within 10 nobody_on "$B"
}

only_one_on_b() { [ "$(process_on_b xferd | wc -l)" -eq 1 ]; }

@test "the supervisor is killed: both hosts are left" {
    start_both
    begin_moving --timeout 1
    kill -KILL "$XFERD_PID"
    wait "$XFERD_PID" || true
    XFERD_PID=
    within 20 nobody_on "$A"
    within 20 nothing_left_on_b
}

@test "an agent that fails is told, tried again, and no obstacle to stopping" {
    printf '#!/bin/sh\necho "agent: no way to $1" >&2\nexit 255\n' >"$D/agent"
    start_on_a
    within 20 grep -q 'agent: no way to 10.9.0.2' "$LOG"
    within 20 grep -q 'no rank on 10.9.0.2: the MPI launcher ended' "$LOG"
    within 20 grep -q 'started again in' "$LOG"
    not gone "$XFERD_PID"
    stop_xferd
    nobody_on "$A"
}

@test "an agent that hangs is no obstacle to stopping" {
    printf '#!/bin/sh\necho hanging >&2\nexec sleep 1000\n' >"$D/agent"
    start_on_a
    within 20 grep -q hanging "$LOG"
    stop_xferd
    nobody_on "$A"
}
