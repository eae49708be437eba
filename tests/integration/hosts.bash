# SPDX-License-Identifier: MIT
#
# Two network namespaces joined by a pair of virtual interfaces, each with a host name, a /dev/shm and, on the receiving side, an /etc of its own;
# an agent in place of ssh. Load it after xferd and life.
#
#   $A, $B            the namespaces; $HOST_A, $HOST_B: what hostname says there; $ROOT_B: the receiving root
#   $D/agent          logs in to B: fails with the words in $D/away while that file exists, hangs while $D/hangs does
#   $D/asked          what it was asked for, a line a time

# Put this into setup(), after make_place and own_runtime.
set_up_hosts() {
    A= B=
    [ "$(id -u)" -eq 0 ] || skip 'not root'
    for tool in ip unshare nsenter; do command -v "$tool" >/dev/null || skip "$tool is not there"; done
    "${MPIEXEC-mpiexec}" --version 2>&1 | grep -q 'Open MPI\|OpenRTE' || skip 'not Open MPI'
    make_hosts || skip 'no network namespaces here'
}

# Put this into teardown(), before remove_place.
tear_down_hosts() {
    local ns
    if [ -n "$XFERD_PID" ] && ! gone "$XFERD_PID"; then
        kill -TERM "$XFERD_PID"
        within 12 gone "$XFERD_PID" || kill -KILL "$XFERD_PID"
    fi
    for ns in ${A-} ${B-}; do
        kill_all_on "$ns"
        ip netns del "$ns" 2>/dev/null
    done
    return 0
}

kill_all_on() {
    local pid
    for pid in $(ip netns pids "$1" 2>/dev/null); do kill -KILL "$pid" 2>/dev/null; done
    return 0
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

    # in memory: these are more than a thousand files
    mkdir "$D/etc-b" && mount -t tmpfs tmpfs "$D/etc-b" || return 1
    cp -a /etc/. "$D/etc-b"
    mkdir -p "$D/etc-b/xfer" "$D/home-b" "$D/tmp-b"
    printf '[store]\nroot = %s\nfile_mode = 0640\n' "$ROOT_B" >"$D/etc-b/xfer/xferd.conf"
    cat >"$D/agent" <<AGENT
#!/bin/sh
while case \$1 in -*) true ;; *) false ;; esac; do shift; done
echo "\$*" >>'$D/asked'
[ ! -e '$D/hangs' ] || exec sleep 1000
[ ! -e '$D/away' ] || { cat '$D/away' >&2; exit 255; }
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
