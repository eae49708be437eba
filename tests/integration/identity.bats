# SPDX-License-Identifier: MIT
#
# source.identity = caller, store.identity = caller: what a user could not read is not sent, what a user could not write is not stored, by
# whatever way around; and what is stored is the user's.

load xferd
load others

setup_file() {
    make_place
    export D S ROOT LOG XFERD_PID
    need_others
    start_xferd -o control.mode=0666 -o source.identity=caller -o store.identity=caller -o queue.retries=0 \
        -o limits.user_bytes=1T
    export SHARED_BOOT=
    chmod 1777 "$ROOT"
}

teardown_file() { [ -z "$XFERD_PID" ] || unshare_xferd; }

setup() {
    begin_test
    chmod 755 "$T"
    its $A "$T/a" 5000
    its $B "$T/b" 6000
    # one that is resumable, and so has a temporary with a name
    its $A "$T/large" 17000000
}

teardown() { end_test; }

# Nothing is under the root but these, nor is anything left of what failed.
only() { only_files "$@"; }

# ---- what may be read ----

@test "a file that only its owner may read is sent by its owner, arrives as the owner's, and is sent by nobody else" {
    ctl_as $A send "$T/a" --to x
    lies x "$A:$A 600" "$T/a"
    denied_to $B send "$T/a" --to y
    [ "$(jq -r '.error.data.side, .error.data.path' <<<"$FAILURE")" = "sender"$'\n'"$T/a" ]
    only x
}

@test "the size of a file that the user may not read is not told, before or after" {
    local job
    ctl pause
    its_dir $B "$T/home"
    its $B "$T/home/hidden" 1234 644
    for file in a b home/hidden; do
        # without a descriptor
        printf '{"id":1,"method":"transfer.submit","params":{"source":"%s","dest":"%s"}}\n' "$T/$file" "${file##*/}" |
            as $A socat -t 10 - UNIX-CONNECT:"$S" >>"$T/answers"
    done
    cat "$T/answers"
    [ "$(jq -r .result.bytes_total "$T/answers" | tr '\n' ' ')" = '5000 0 0 ' ]
    ctl resume
    for job in $(jq -r .result.job "$T/answers"); do ctl wait "$job" || true; done
    for job in $(jq -r 'select(.result.bytes_total == 0).result.job' "$T/answers"); do
        [ "$(job_field "$job" '[.state, .bytes_total] | join(" ")')" = 'failed 0' ]
    done
}

@test "supplementary groups count, those of the connection" {
    install -m 640 -g $TEAM "$T/a" "$T/shared"
    denied_to $B send "$T/shared" --to x
    ctl_as $B,$TEAM send "$T/shared" --to x
    lies x "$B:$B 640" "$T/shared"
}

@test "no link leads to what the user may not read" {
    its_dir $B "$T/home"
    its $B "$T/home/open" 100 644
    as $A ln -s "$T/home/open" "$T/../link-$A" 2>/dev/null || ln -s "$T/home/open" "$T/link"
    denied_to $A send "$T/link" --to x
    denied_to $A send "$T/home/open" --to x
    ln "$T/b" "$T/hard"
    denied_to $A send "$T/hard" --to x
    only
}

@test "no way leads through the descriptors of the daemon, where others' files are open" {
    its_dir $A "$T/home"
    its $A "$T/home/huge" 40000000 644
    RANK1=$(rank_pid 1)
    RANK0=$(rank_pid 0)
    kill -STOP "$RANK1"
    JOB=$(ctl_as $A send --no-wait "$T/home/huge")
    within 10 job_moves "$JOB"
    local fd n=0 job
    fd=$(find "/proc/$RANK0/fd" -lname "$T/home/huge" -printf '%f\n' -quit)
    [ -n "$fd" ]
    ln -s "/proc/self/fd/$fd" "$T/link"
    for path in "/proc/self/fd/$fd" "/proc/thread-self/fd/$fd" "/proc/$RANK0/fd/$fd" "$T/link"; do
        ctl_as $B send --no-wait --to "stolen-$((n += 1))" "$path" >>"$T/jobs"
    done
    within 10 over $(cat "$T/jobs")
    kill -CONT "$RANK1"
    for job in $(cat "$T/jobs"); do
        run ctl --json status "$job"
        echo "$output"
        [ "$(jq -r .state <<<"$output")" = failed ]
        [ "$(jq -r .exit_code <<<"$output")" -eq 4 ]
    done
    ctl wait "$JOB"
    only huge
}

over() {
    local job
    for job; do job_is "$job" failed || return; done
}

@test "a source that is exchanged for a link again and again never lets a secret out" {
    its 0 "$T/secret" 5000
    its_dir $A "$T/race"
    its $A "$T/race/f" 5000
    ln -s "$T/secret" "$T/race/link"
    cat >"$T/swap" <<'END'
while [ ! -e stop ]; do cp -p ../a new && mv new f; ln -sfn ../secret new && mv -T new f; done
END
    (cd "$T/race" && exec setpriv --reuid=$A --regid=$A --clear-groups -- sh "$T/swap") 2>/dev/null 3>&- &
    local pid=$! i
    for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        ctl_as $A send "$T/race/f" --to "raced-$i" >/dev/null 2>&1 || true
        [ ! -e "$ROOT/raced-$i" ] || cmp -s "$T/secret" "$ROOT/raced-$i" && break
    done
    touch "$T/race/stop"
    wait $pid || true
    for i in "$ROOT"/raced-*; do ! cmp -s "$T/secret" "$i"; done
}

# ---- what may be written ----

@test "in a sticky directory nobody replaces what is another's" {
    ctl_as $A send "$T/a" --to x
    denied_to $B send "$T/b" --to x
    [ "$(jq -r '.error.data.side, .error.data.path' <<<"$FAILURE")" = "receiver"$'\n'"$ROOT/x" ]
    lies x "$A:$A 600" "$T/a"
    ctl_as $A send "$T/large" --to x
    lies x "$A:$A 600" "$T/large"
    only x
}

@test "directories on the way are the user's, and closed to who may not write there" {
    ctl_as $A send "$T/a" --to d/e/x
    lies d "$A:$A 755"
    lies d/e "$A:$A 755"
    denied_to $B send "$T/b" --to d/e/y
    denied_to $B send "$T/b" --to d/new/y
    denied_to $B send "$T/b" --to d/e/x
    its $B "$T/huge" 17000000
    denied_to $B send "$T/huge" --to d/e/y
    only d d/e d/e/x
}

@test "a directory of a group is open to its members alone" {
    its_dir 0 "$ROOT/team" 770
    chgrp $TEAM "$ROOT/team"
    denied_to $B send "$T/b" --to team/x
    ctl_as $B,$TEAM send "$T/b" --to team/x
    lies team/x "$B:$B 600" "$T/b"
}

@test "a set-group-id directory passes on its group, by whatever way a file comes there" {
    its_dir 0 "$ROOT/team" 2777
    chgrp $TEAM "$ROOT/team"
    ctl_as $A send "$T/a" --to team/small
    ctl_as $A send "$T/a" --to team/small
    ctl_as $A send "$T/large" --to team/large
    ctl_as $A send "$T/a" --to team/new/small
    lies team/small "$A:$TEAM 600" "$T/a"
    lies team/large "$A:$TEAM 600" "$T/large"
    lies team/new "$A:$TEAM 2755"
    lies team/new/small "$A:$TEAM 600"
}

@test "a directory that its owner may not write is not written" {
    its_dir $A "$ROOT/closed" 555
    its $A "$ROOT/closed/x" 10
    denied_to $A send "$T/a" --to closed/x
    denied_to $A send "$T/large" --to closed/x
    denied_to $A send "$T/a" --to closed/new/x
    [ "$(stat -c %s "$ROOT/closed/x")" -eq 10 ]
}

@test "a link in the root leads nowhere, and one under the final name is replaced" {
    its_dir $B "$T/home" 777
    ln -s "$T/home" "$ROOT/away"
    ERROR=UnsafePath denied_to $A send "$T/a" --to away/x
    its $A "$T/victim" 10
    its_dir $A "$ROOT/mine"
    ln -s "$T/victim" "$ROOT/mine/x"
    ctl_as $A send "$T/a" --to mine/x
    [ ! -L "$ROOT/mine/x" ]
    [ "$(stat -c %s "$T/victim")" -eq 10 ]
    ln -s "$T/victim" "$ROOT/others-link"
    denied_to $A send "$T/a" --to others-link
    [ -z "$(ls "$T/home")" ]
}

@test "a directory that is exchanged for a link again and again leads nothing out of the root" {
    its_dir $B "$T/elsewhere" 777
    its_dir $A "$ROOT/mine"
    its_dir $A "$ROOT/mine/d"
    ln -s "$T/elsewhere" "$ROOT/mine/link"
    touch "$T/swapping"
    cat >"$T/swap" <<'END'
while [ -e "$1" ]; do mv d was; mv -T link d; mv -T d link; mv was d; done
END
    (cd "$ROOT/mine" && exec setpriv --reuid=$A --regid=$A --clear-groups -- sh "$T/swap" "$T/swapping") 2>/dev/null 3>&- &
    local pid=$! i
    for i in 1 2 3 4 5 6 7 8 9 10; do
        ctl_as $A send "$T/a" --to "mine/d/$i" >/dev/null 2>&1 || true
        ctl_as $A send "$T/a" --to "mine/d/new/$i" >/dev/null 2>&1 || true
    done
    rm "$T/swapping"
    wait $pid || true
    [ -z "$(ls "$T/elsewhere")" ]
}

@test "a hard link to another's file is replaced, and that file stays what it is" {
    its_dir $A "$ROOT/mine"
    its 0 "$ROOT/victim" 5000
    cp "$ROOT/victim" "$T/before"
    for source in a large; do
        ln -f "$ROOT/victim" "$ROOT/mine/x"
        ctl_as $A send "$T/$source" --to mine/x
        lies mine/x "$A:$A 600" "$T/$source"
        lies victim "0:0 600" "$T/before"
    done
}

@test "set-id bits do not arrive" {
    chmod 6755 "$T/a"
    ctl_as $A send "$T/a" --to x
    lies x "$A:$A 755"
    chmod 6755 "$T/large"
    ctl_as $A send "$T/large" --to x
    lies x "$A:$A 755"
}

@test "where unfinished files lie nobody comes" {
    ctl_as $A send "$T/large" --to x
    [ "$(stat -c '%u %a' "$ROOT/.xfer" "$ROOT/.xfer/users" "$ROOT/.xfer/users/$A" | tr '\n' ,)" = "0 700,0 700,$A 700," ]
    run as $A ls "$ROOT/.xfer/users/$A"
    [ "$status" -ne 0 ]
    run ctl_as $A --json send "$T/a" --to ".xfer/users/$A/partial/x"
    [ "$status" -eq 2 ]
}

@test "an unfinished file is the user's, and nothing is left when it is cancelled" {
    its $A "$T/huge" 0
    truncate -s 1G "$T/huge"
    RANK1=$(rank_pid 1)
    kill -STOP "$RANK1"
    JOB=$(ctl_as $A send --no-wait --sync=none "$T/huge" --to new/x)
    within 10 job_moves "$JOB"
    within 20 moved_on_to $((16 * 1024 * 1024))
    [ "$(stat -c %u "$ROOT/.xfer/users/$A/partial/"*)" = $A ]
    kill -CONT "$RANK1"
    ctl_as $A cancel "$JOB" || true
    only
}

# ---- others' jobs ----

@test "a key of another user leads to nothing of that user" {
    ctl_as $A send "$T/a" --to x --key k
    denied_to $B send "$T/a" --to y --key k
    [ "$(ctl_as $A --json send "$T/a" --to x --key k | jq .existing)" = true ]
    only x
}

@test "root's retry does not lend root's rights, and the owner's takes the groups of then" {
    install -m 640 -g $TEAM "$T/a" "$T/shared"
    denied_to $A send "$T/shared" --to x
    JOB=$(jq .error.data.job <<<"$FAILURE")
    ctl retry "$JOB"
    ctl wait "$JOB" || true
    job_is "$JOB" failed
    [ "$(job_field "$JOB" .exit_code)" -eq 4 ]
    ctl_as $A,$TEAM retry "$JOB"
    ctl wait "$JOB"
    job_is "$JOB" done
    lies x "$A:$A 640" "$T/shared"
}

@test "root's own files are sent with root's rights, and no thread remains anybody else" {
    install -m 600 "$T/a" "$T/roots"
    ctl send "$T/roots" --to x
    lies x "0:0 600" "$T/roots"
    ctl_as $B send "$T/b" --to y
    ctl send "$T/roots" --to y
    lies y "0:0 600"
    all_threads_are_roots
}

@test "the ranks have no capability that they do not need" {
    for pid in $(call system.hello | jq '.ranks[].pid'); do
        # chown, dac_override, dac_read_search, fowner, fsetid, setgid, setuid
        [ "$(awk '/^Cap(Prm|Eff)/ { print $2 }' "/proc/$pid"/task/*/status | sort -u)" = 00000000000000df ]
        [ "$(awk '/^Cap(Inh|Amb)/ { print $2 }' "/proc/$pid"/task/*/status | sort -u)" = 0000000000000000 ]
    done
}

@test "a user in more groups than a job can keep is refused by name" {
    local many
    many=$(seq -s , 100000 101024)
    its $A "$T/f" 10 644
    denied_to "$A,$many" send "$T/f" --to x
    [[ $FAILURE == *'1025 groups'*'1024'* ]]
    ctl_as "$A,${many%,*}" send "$T/f" --to x
    only x
}

# ---- trees ----

# As only(), but for what is kept of a tree that failed: when it began.
there() { diff <(cd "$ROOT" && find . -mindepth 1 -path ./.xfer -prune -o -print | LC_ALL=C sort) <(printf './%s\n' "$@" | LC_ALL=C sort); }

@test "a tree is read and stored with its user's rights: what others hide fails by name, the rest is the user's" {
    local found
    its_dir $A "$T/s" 755
    its_dir $A "$T/s/d" 700
    its $A "$T/s/d/mine" 5000
    its $A "$T/s/open" 600 644
    its $B "$T/s/hidden" 700
    its_dir $B "$T/s/closed"
    its $B "$T/s/closed/in" 10 644
    ERROR=Incomplete STATUS=1 denied_to $A send "$T/s"
    lies s/d/mine "$A:$A 600" "$T/s/d/mine"
    lies s/d "$A:$A 700"
    lies s "$A:$A 755"
    found=$(jq -r '.errors[] | .name + " " + .path' <<<"$FAILURE" | sort)
    [ "$found" = $'PermissionDenied closed\nPermissionDenied hidden' ]
    there s s/d s/d/mine s/open
    # the other user may read what is open to all, and gets nothing else
    ERROR=Incomplete STATUS=1 denied_to $B send "$T/s" --to other
    there s s/d s/d/mine s/open other other/hidden other/open other/closed other/closed/in
}
