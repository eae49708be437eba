# SPDX-License-Identifier: MIT
#
# A file that got its name before its receipt was told counts as stored, if it is what was sent.

load xferd
load life
load cutoff

# begin_naming SIZE ARGUMENT...: rank 1 stops when the file has just got its name, $ROOT/d/f, before its directory is synced. Sets JOB, RANK1.
begin_naming() {
    # a small file is itself in that directory, without a name, when it is synced
    local nth=2
    [ "$1" -lt 16777216 ] || nth=1
    make_file "$D/f" "$1"
    shift
    chmod 640 "$D/f"
    mkdir -p "$ROOT/d"
    with_fault "$SHIM" fsync SIGSTOP $nth "$ROOT/d"
    start_xferd
    XFERD_AS=
    RANK1=$(rank_pid 1)
    JOB=$(ctl send --no-wait "$D/f" --to d/f "$@")
    within 30 ours_are_stopped "$RANK1"
    cmp "$D/f" "$ROOT/d/f"
    job_is "$JOB" running
}

# stored_again RESUMED: the job is done, with that number of bytes not sent again
stored_again() {
    within 60 job_is "$JOB" done
    cmp "$D/f" "$ROOT/d/f"
    job_field "$JOB" '{attempts, bytes_resumed}'
    [ "$(job_field "$JOB" .bytes_resumed)" -eq "$1" ]
    only_files d d/f
}

named_and_killed() {
    begin_naming "$@"
    kill -KILL "$RANK1"
}

@test "a file that must not replace another, killed between its name and its receipt, is done" {
    named_and_killed 20000000 --overwrite=never
    stored_again 20000000
}

@test "a small file that must not replace another, killed between its name and its receipt, is done" {
    named_and_killed 5000 --overwrite=never
    stored_again 5000
}

@test "an empty file that must not replace another, killed between its name and its receipt, is done" {
    named_and_killed 0 --overwrite=never
    stored_again 0
}

@test "a file that replaces another, killed between its name and its receipt, is not sent again" {
    mkdir -p "$ROOT/d"
    echo old >"$ROOT/d/f"
    named_and_killed 20000000
    stored_again 20000000
}

@test "rank 0 is killed between name and receipt" {
    begin_naming 20000000 --overwrite=never
    kill -KILL "$(rank_pid 0)"
    stored_again 20000000
}

@test "everything is killed between name and receipt: done after the next start, with the mode and time of the source" {
    begin_naming 20000000
    end_everything
    chmod 600 "$ROOT/d/f" # as if these had been lost
    touch -d @1000 "$ROOT/d/f"
    start_xferd
    stored_again 20000000
    [ "$(stat -c '%a %Y' "$ROOT/d/f")" = "640 $(stat -c %Y "$D/f")" ]
}

@test "what was stored and has been changed since is sent again, or is in the way" {
    begin_naming 20000000
    end_everything
    printf changed | dd of="$ROOT/d/f" bs=1 seek=1000000 conv=notrunc status=none
    start_xferd
    stored_again 0
    stop_xferd
    rm -r "$ROOT/d" "$D/queue.db"*
    begin_naming 20000000 --overwrite=never
    end_everything
    printf changed | dd of="$ROOT/d/f" bs=1 seek=1000000 conv=notrunc status=none
    start_xferd
    fails 6 DestinationExists wait "$JOB"
    not cmp "$D/f" "$ROOT/d/f"
    only_files d d/f
}

@test "a name that another has taken meanwhile is not counted as stored" {
    cut_off "$SOURCE/f" --overwrite=never
    head -c 80000000 /dev/zero >"$ROOT/f"
    start_xferd
    fails 6 DestinationExists wait "$JOB"
    within 10 only_files f
    cmp -n 80000000 "$ROOT/f" /dev/zero
}
