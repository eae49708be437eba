# SPDX-License-Identifier: MIT
#
# Rank 1 on another host.

load xferd
load life
load hosts
load others

setup() {
    make_place
    own_runtime
    set_up_hosts
}

teardown() {
    end_clients
    tear_down_hosts
    remove_place
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

@test "the remote rank is killed in the middle: the file goes on, and so does the next" {
    start_both -o link.chunk=16K -o limits.bandwidth=50M
    make_file "$D/large" 300000000
    "$XFERCTL" -s "$S" send "$D/large" >"$D/said" 2>&1 3>&- &
    CLIENT=$!
    within 20 some_job_moves
    kill -KILL "$(process_on_b xferd)"
    client_ends
    [ "$status" -eq 0 ]
    cmp "$D/large" "$ROOT_B/large"
    grep -q 'ready again' "$LOG"
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
    echo 'agent: no way to there' >"$D/away"
    start_on_a
    within 20 grep -q '^agent: no way to there' "$LOG"
    within 20 grep -q 'no rank on 10.9.0.2: the MPI launcher ended' "$LOG"
    within 20 asked_again
    not gone "$XFERD_PID"
    stop_xferd
    nobody_on "$A"
}

asked_again() { [ "$(grep -cx '10.9.0.2 true' "$D/asked")" -gt 1 ]; }

@test "an agent that hangs is no obstacle to stopping" {
    : >"$D/hangs"
    start_on_a
    within 20 test -s "$D/asked"
    stop_xferd
    nobody_on "$A"
}

@test "whose rights are used is each host's own say, and a user is called what the receiving host calls it" {
    need_others
    its $USER_A "$D/a" 5000
    printf 'identity = caller\nper_user = yes\n' >>"$D/etc-b/xfer/xferd.conf"
    printf 'ann:x:%s:%s::/:/bin/sh\n' $USER_A $USER_A >>"$D/etc-b/passwd"
    start_both -o control.mode=0666 -o source.identity=caller
    ctl_as $USER_A send "$D/a" --to x
    cmp "$D/a" "$ROOT_B/ann/x"
    [ "$(stat -c '%u:%g %a' "$ROOT_B/ann" "$ROOT_B/ann/x" | tr '\n' ,)" = "$USER_A:$USER_A 755,$USER_A:$USER_A 640," ]
    stop_xferd
    # the same, and the sending host says nothing
    start_both -o control.mode=0666 -o store.identity=caller
    chmod 644 "$D/a"
    denied_to $USER_A send "$D/a" --to y
    [[ $FAILURE == *'store.identity = caller on the receiving host'* ]]
    grep -q "store.identity = caller on $HOST_B" "$LOG"
}
