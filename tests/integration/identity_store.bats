# SPDX-License-Identifier: MIT
#
# Whose rights are used where the two keys differ, over restarts and deaths, on disks with a reserve; and who can read what arrives:
# store.group, store.file_mode, store.dir_mode, store.per_user. Each test has daemons of its own.

load xferd
load life
load others

setup() {
    make_place
    own_runtime
    need_others
    SHIM=$top_builddir/tests/integration/faults.so
    its $A "$D/a" 5000
    its $B "$D/b" 6000
}

teardown() {
    XFERD_AS=
    remove_place
}

KEYS=(-o control.mode=0666)
BOTH=(-o control.mode=0666 -o source.identity=caller -o store.identity=caller)

start_both() {
    start_xferd "${BOTH[@]}" "$@"
    chmod 1777 "$ROOT"
}

# ---- the keys ----

@test "a daemon that is not root says so, and does not start" {
    for key in source store; do
        run setpriv --reuid=65534 --regid=65534 --clear-groups -- "$XFERD" -o control.socket="$S" -o $key.identity=caller
        echo "$output"
        [ "$status" -eq 2 ]
        [[ $output == *"$key.identity = caller: needs a daemon that is root: this one is uid 65534"* ]]
    done
}

@test "root that may not have what it takes says what is missing, and does not start" {
    run setpriv --bounding-set=-setgid --inh-caps=-all -- "$XFERD" -o control.socket="$S" -o store.identity=caller
    echo "$output"
    [ "$status" -eq 2 ]
    [[ $output == *'store.identity = caller: needs CAP_SETGID'* ]]
}

@test "where identities cannot be taken on the ranks say so, and do not serve" {
    unshare --user --map-root-user true 2>/dev/null || skip 'no user namespaces here'
    run unshare --user --map-root-user -- timeout 60 "$XFERD" -o control.socket="$S" -o queue.database="$D/queue.db" \
        -o store.root="$ROOT" -o control.group= -o source.identity=caller
    echo "$output"
    [ "$status" -eq 1 ]
    [[ $output == *'source.identity = caller: this process may not take on the identity of a user'* ]]
}

@test "a value that is none is refused with the choices" {
    for bad in source.identity=root store.identity=1 store.per_user=maybe store.sync=always; do
        run "$XFERD" -o "$bad" --check-config
        [ "$status" -eq 2 ]
        [[ $output == *"${bad%%=*}"* ]]
    done
}

@test "a receiver that stores as the caller stores nothing where the sender does not say as whom" {
    start_xferd "${KEYS[@]}" -o store.identity=caller
    chmod 1777 "$ROOT"
    its $A "$D/open" 100 644
    denied_to $A send "$D/open"
    [[ $FAILURE == *'store.identity = caller'*'source.identity = caller'* ]]
    [ "$(jq -r .error.data.side <<<"$FAILURE")" = receiver ]
    grep -q 'store.identity = caller.*source.identity = daemon' "$LOG"
    only_files
}

@test "a sender that reads as the caller to a receiver that stores as the daemon" {
    start_xferd "${KEYS[@]}" -o source.identity=caller
    ctl_as $A send "$D/a" --to x
    lies x '0:0 600' "$D/a"
    denied_to $B send "$D/a" --to y
    only_files x
}

@test "under a launcher of one's own" {
    command -v "${MPIEXEC-mpiexec}" >/dev/null || skip 'no launcher'
    "${MPIEXEC-mpiexec}" --version 2>&1 | grep -q 'Open MPI\|OpenRTE' || skip 'not Open MPI'
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 TMPDIR=$D/run
    its $A "$D/large" 20000000
    "${MPIEXEC-mpiexec}" --bind-to none --host localhost:4 --mca btl self,vader --mca btl_vader_backing_directory "$D/run" \
        --mca btl_vader_single_copy_mechanism none -n 2 "$XFERD" -o control.socket="$S" -o queue.database="$D/queue.db" \
        -o store.root="$ROOT" "${BOTH[@]}" >>"$LOG" 2>&1 </dev/null 3>&- &
    XFERD_PID=$!
    within 30 ready_or_gone
    chmod 1777 "$ROOT"
    ctl_as $A send "$D/large" --to x
    lies x "$A:$A 600" "$D/large"
    denied_to $B send "$D/a"
    all_threads_are_roots
    kill -TERM "$(rank_pid 0)"
    wait "$XFERD_PID"
    XFERD_PID=
}

# ---- over restarts ----

# edit_database SQL
edit_database() {
    python3 -c 'import sqlite3' 2>/dev/null || skip 'python3 has no sqlite3'
    python3 - "$D/queue.db" "$1" <<'PY'
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute(sys.argv[2])
db.commit()
PY
}

@test "a job keeps its user's groups over a restart" {
    install -m 640 -g $TEAM "$D/a" "$D/shared"
    start_both
    ctl pause
    local theirs strangers
    theirs=$(ctl_as $A,$TEAM send --no-wait "$D/shared" --to x)
    strangers=$(ctl_as $B send --no-wait "$D/shared" --to y)
    stop_xferd
    start_both
    ctl resume
    ctl wait "$theirs"
    lies x "$A:$A 640" "$D/shared"
    run ctl --json wait "$strangers"
    [ "$status" -eq 4 ]
    only_files x
}

@test "a job of which no groups were recorded fails, until its owner retries it" {
    start_both
    ctl pause
    JOB=$(ctl_as $A send --no-wait "$D/a" --to x)
    stop_xferd
    edit_database "UPDATE jobs SET groups = NULL"
    start_both
    ctl resume
    within 10 job_is "$JOB" failed
    [ "$(job_field "$JOB" .exit_code)" -eq 4 ]
    [[ $(job_field "$JOB" .error.message) == *"groups of uid $A"*"xferctl retry"* ]]
    ctl retry "$JOB"
    ctl wait "$JOB" || true
    job_is "$JOB" failed
    ctl_as $A retry "$JOB"
    ctl wait "$JOB"
    lies x "$A:$A 600" "$D/a"
}

# Rank 1 stands still after so many writes to a file of A's that has a name. Sets JOB, RANK1.
begin_stopping_as_a() {
    with_fault "$SHIM" write SIGSTOP "$1" "$2"
    shift 2
    start_both
    XFERD_AS=
    RANK1=$(rank_pid 1)
    JOB=$(ctl_as $A send --no-wait "$@")
    within 30 ours_are_stopped "$RANK1"
}

# Rank 1 first: where another process goes before it the launcher would let it go on for a moment.
end_at_once() {
    kill -KILL "$RANK1" "$XFERD_PID"
    end_everything
}

@test "rank 1 is killed in the middle of a user's file, which is gone on with as that user's" {
    its $A "$D/large" 80000000
    begin_stopping_as_a 200 "$ROOT/.xfer/users/$A/partial/" "$D/large" --to d/x
    [ "$(stat -c '%u:%g %a' "$ROOT/.xfer/users/$A/partial/"*)" = "$A:$A 600" ]
    kill -KILL "$RANK1"
    within 60 job_is "$JOB" done
    lies d/x "$A:$A 600" "$D/large"
    lies d "$A:$A 755"
    [ "$(job_field "$JOB" '.bytes_resumed > 0')" = true ]
    only_files d d/x
    all_threads_are_roots
}

@test "what is left of a user's job that was cancelled meanwhile is removed at the next start" {
    its $A "$D/large" 80000000
    begin_stopping_as_a 200 "$ROOT/.xfer/users/$A/partial/" "$D/large" --to x
    end_at_once
    [ -n "$(find "$ROOT/.xfer/users/$A/partial" -type f)" ]
    edit_database "DELETE FROM jobs"
    start_both
    within 10 only_files
}

@test "temporaries of a user that nobody can go on with are swept at the next start" {
    start_both
    ctl_as $A send "$D/a" --to x
    stop_xferd
    cp "$ROOT/x" "$D/before"
    begin_stopping_as_a 1 "$ROOT/.xfer/users/$A/partial/" "$D/a" --to x
    ctl cancel "$JOB" --timeout 0.1 >/dev/null 2>&1 || true
    end_at_once
    [ -n "$(find "$ROOT/.xfer/users/$A/partial" -type f)" ]
    edit_database "DELETE FROM jobs"
    start_both
    only_files x
    lies x "$A:$A 600" "$D/before"
}

@test "a user's temporary beside its target, on another mount, is swept and nothing else of that name is" {
    mkdir -p "$ROOT/m"
    mount -t tmpfs -o size=64m,mode=1777 xfer-test "$ROOT/m"
    its $A "$ROOT/m/x" 10
    begin_stopping_as_a 1 "$ROOT/m/.xfer-" "$D/a" --to m/x
    end_at_once
    local temp
    temp=$(find "$ROOT/m" -name '.xfer-*')
    [ "$(stat -c %u "$temp")" = $A ]
    edit_database "DELETE FROM jobs"
    start_both
    [ ! -e "$temp" ]
    [ -z "$(ls "$ROOT/.xfer/users/$A/beside")" ]
    stop_xferd
    # a record that leads to what another user has put under that name
    its $B "$temp" 10
    ln -s m "$ROOT/.xfer/users/$A/beside/${temp##*/.xfer-}"
    start_both
    [ -e "$temp" ]
    ctl_as $A send "$D/a" --to m/x
    lies m/x "$A:$A 600" "$D/a"
}

# ---- disks ----

@test "nobody writes into the blocks that a file system keeps in reserve: CAP_SYS_RESOURCE is gone" {
    command -v mkfs.ext4 >/dev/null || skip 'e2fsprogs is not installed'
    truncate -s 32M "$D/disk"
    mkfs.ext4 -q -m 50 "$D/disk" && tune2fs -u 64099 "$D/disk" >/dev/null
    mkdir "$ROOT"
    mount -o loop "$D/disk" "$ROOT" || skip 'no loop devices here'
    rmdir "$ROOT/lost+found"
    start_both -o queue.retries=0
    # so small that its room is not asked for beforehand
    its $A "$D/piece" 250000 644
    mkdir "$D/pieces"
    for i in $(seq 80); do ln "$D/piece" "$D/pieces/$i"; done
    for who in $A 0; do
        run ctl_as $who -q send --sync=none --to "of-$who/" "$D"/pieces/*
        [ "$status" -eq 8 ]
        # half of the disk is reserved
        [ $(($(stat -f -c '%f * %S' "$ROOT"))) -gt 12000000 ]
        [ $(($(stat -f -c '%a * %S' "$ROOT"))) -lt 1000000 ]
    done
    stop_xferd
}

# ---- who can read what arrives ----

@test "store.group, store.file_mode and store.dir_mode: what arrives is for that group alone" {
    start_xferd "${KEYS[@]}" -o store.group=$TEAM -o store.file_mode=0640 -o store.dir_mode=2750
    its $A "$D/open" 5000 644
    its $A "$D/large" 17000000 644
    ctl_as $A send "$D/open" --to d/e/x
    ctl_as $A send "$D/open" --to d/e/x
    ctl_as $A send "$D/large" --to d/large
    lies d "0:$TEAM 2750"
    lies d/e "0:$TEAM 2750"
    lies d/e/x "0:$TEAM 640" "$D/open"
    lies d/large "0:$TEAM 640" "$D/large"
    [ "$(stat -c '%u:%g %a' "$ROOT")" = "0:$TEAM 2750" ]
    as $B,$TEAM cat "$ROOT/d/e/x" >/dev/null
    run as $B cat "$ROOT/d/e/x"
    [ "$status" -ne 0 ]
}

@test "store.group with the caller's identity: the file is the user's, the group is the configured one" {
    start_both -o store.group=$TEAM
    its $A "$D/large" 17000000
    ctl_as $A send "$D/a" --to d/x
    ctl_as $A send "$D/a" --to d/x
    ctl_as $A send "$D/large" --to d/large
    lies d "$A:$TEAM 755"
    lies d/x "$A:$TEAM 600" "$D/a"
    lies d/large "$A:$TEAM 600" "$D/large"
}

@test "a group that is not known, or that the daemon can't give, is told at the start" {
    run timeout 60 "$XFERD" -o control.socket="$S" -o queue.database="$D/queue.db" -o store.root="$ROOT" -o store.group=no-such-group
    echo "$output"
    [ "$status" -ne 0 ]
    [[ $output == *'store.group: there is no group "no-such-group"'* ]]
    rm -rf "$ROOT" "$D"/queue.db*
    chown 65534:65534 "$D" "$D/run"
    export HOME=$D
    unset RUNTIME_DIRECTORY
    run setpriv --reuid=65534 --regid=65534 --clear-groups -- \
        timeout 60 "$XFERD" -o control.socket="$S" -o queue.database="$D/queue.db" -o store.root="$ROOT" -o store.group=$TEAM
    echo "$output"
    [ "$status" -ne 0 ]
    [[ $output == *"store.group: uid 65534 can't give files"*"to group $TEAM"* ]]
}

# Users that have names here: a fit one, another's number, ones that no directory may have, one that two have.
start_with_names() {
    command -v unshare >/dev/null || skip 'unshare is not installed'
    unshare --mount true 2>/dev/null || skip 'no mount namespace can be had here'
    cp /etc/passwd "$D/passwd"
    cat >>"$D/passwd" <<END
ann:x:$A:$A::/:/bin/sh
$A:x:$B:$B::/:/bin/sh
.xfer:x:64003:64003::/:/bin/sh
twin:x:64004:64004::/:/bin/sh
twin:x:64005:64005::/:/bin/sh
END
    XFERD_AS="$D/with-names"
    printf '#!/bin/sh\nexec unshare --mount -- sh -c '"'"'mount --bind %s /etc/passwd && exec "$@"'"'"' sh "$@"\n' "$D/passwd" >"$XFERD_AS"
    chmod +x "$XFERD_AS"
    start_xferd "$@"
}

@test "store.per_user: each user's files lie in a directory of that name, and no two users meet" {
    start_with_names "${KEYS[@]}" -o store.per_user=yes
    its $A "$D/f" 100 644
    for uid in $A $B 64003 64004 64005 64006; do
        ctl_as $uid --json send "$D/f" --to d/x | jq -r .dest_path >>"$D/said"
    done
    diff "$D/said" - <<END
$ROOT/ann/d/x
$ROOT/$B/d/x
$ROOT/64003/d/x
$ROOT/twin/d/x
$ROOT/64005/d/x
$ROOT/64006/d/x
END
    cmp "$D/f" "$ROOT/ann/d/x"
    lies ann '0:0 755'
    only_files 64003 64003/d 64003/d/x 64005 64005/d 64005/d/x 64006 64006/d 64006/d/x $B $B/d $B/d/x ann ann/d ann/d/x twin twin/d twin/d/x
    chown $B "$ROOT/ann"
    denied_to $A send "$D/f" --to z
    chown 0 "$ROOT/ann"
    # it is known where a file is to lie when it lies there, and remembered
    ctl pause
    JOB=$(ctl_as $A send --no-wait "$D/f" --to y)
    [ "$(job_field "$JOB" .dest_path)" = '' ]
    [ "$(job_field "$JOB" .dest)" = y ]
    ctl resume
    ctl wait "$JOB"
    [ "$(job_field "$JOB" .dest_path)" = "$ROOT/ann/y" ]
    stop_xferd
    XFERD_AS=
    start_xferd "${KEYS[@]}"
    [ "$(job_field "$JOB" .dest_path)" = "$ROOT/ann/y" ]
}

@test "store.per_user with the caller's identity: the directory is made for the user, in a root that users may not write" {
    start_xferd "${BOTH[@]}" -o store.per_user=yes -o store.dir_mode=0750 -o store.group=$TEAM
    chmod 755 "$ROOT"
    its $A "$D/large" 17000000
    ctl_as $A send "$D/a" --to x
    ctl_as $A send "$D/large" --to d/x
    ctl_as $B send "$D/b" --to x
    lies $A "$A:$TEAM 750"
    lies $A/x "$A:$TEAM 600" "$D/a"
    lies $A/d/x "$A:$TEAM 600" "$D/large"
    lies $B "$B:$TEAM 750"
    lies $B/x "$B:$TEAM 600" "$D/b"
    denied_to $A send "$D/b" --to y
    # what is there under the user's name is not followed, and not taken over
    rm -rf "${ROOT:?}/$B"
    ln -s $A "$ROOT/$B"
    ERROR=UnsafePath denied_to $B send "$D/b" --to z
    rm "$ROOT/$B"
    its_dir $A "$ROOT/$B"
    denied_to $B send "$D/b" --to z
    lies $B "$A:$A 700"
    # not even where its owner lets everybody in
    chmod 777 "$ROOT/$B"
    denied_to $B send "$D/b" --to z
    [[ "$FAILURE" == *"belongs to uid $A"* ]]
    [ -z "$(ls "$ROOT/$B")" ]
    chown 0:0 "$ROOT/$B"
    ctl_as $B send "$D/b" --to z
    [ -z "$(find "$ROOT/.xfer" -name 'home-*')" ]
}

@test "a user's directory whose making was cut off is made anew" {
    mkdir -p "$ROOT/.xfer/home-$A-7"
    chmod 700 "$ROOT/.xfer"
    start_xferd "${BOTH[@]}" -o store.per_user=yes
    [ ! -e "$ROOT/.xfer/home-$A-7" ]
    ctl_as $A send "$D/a"
    lies $A/a "$A:$A 600" "$D/a"
}
