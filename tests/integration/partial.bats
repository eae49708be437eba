# SPDX-License-Identifier: MIT
#
# What is there of a file that was cut off is gone on with only as far as it is right; it goes with its job, and no other does.

load xferd
load life
load cutoff

# ---- the partial file is not what it should be ---------------------------------------------------

@test "a partial file that was damaged goes on from the block before" {
    cut_off "$SOURCE/f"
    printf damaged | dd of="$PARTIAL" bs=1 seek=$((BLOCK + 12345)) conv=notrunc status=none
    ends_with $BLOCK
}

@test "a partial file whose first block was damaged starts over" {
    cut_off "$SOURCE/f"
    printf damaged | dd of="$PARTIAL" bs=1 seek=12345 conv=notrunc status=none
    ends_with 0
}

@test "a partial file with zeros at its end, as after a power failure, goes on from the last whole block" {
    cut_off "$SOURCE/f"
    truncate -s -4096 "$PARTIAL"
    truncate -s +4096 "$PARTIAL"
    ends_with $BLOCK
}

@test "a partial file that is longer than the whole" {
    cut_off "$SOURCE/f"
    truncate -s 150M "$PARTIAL"
    ends_with $BLOCK
}

@test "a partial file that is empty, and one that is gone" {
    cut_off "$SOURCE/f"
    : >"$PARTIAL"
    ends_with 0
    stop_xferd
    rm "$ROOT/f" "$D/queue.db"*
    cut_off "$SOURCE/f"
    rm "$PARTIAL"
    ends_with 0
}

@test "a link, a FIFO, a directory in the place of a partial file do no harm" {
    cut_off_after 100 "$SOURCE/f"
    echo precious >"$D/precious"
    ln -sf "$D/precious" "$PARTIAL"
    ends_with 0
    [ "$(cat "$D/precious")" = precious ]
    stop_xferd
    rm "$ROOT/f" "$D/queue.db"*
    cut_off_after 100 "$SOURCE/f"
    rm "$PARTIAL"
    mkfifo "$PARTIAL"
    ends_with 0
    stop_xferd
    rm "$ROOT/f" "$D/queue.db"*
    cut_off_after 100 "$SOURCE/f"
    rm "$PARTIAL"
    mkdir "$PARTIAL"
    start_xferd
    within 60 job_is "$JOB" done
    cmp "$SOURCE/f" "$ROOT/f"
}

@test "a partial file that has another name besides is not written to" {
    cut_off_after 100 "$SOURCE/f"
    ln "$PARTIAL" "$D/same"
    cp "$D/same" "$D/before"
    ends_with 0
    cmp "$D/same" "$D/before"
}

# ---- what is swept -------------------------------------------------------------------------------

@test "a job that is cancelled while it waits for the ranks takes its partial file along" {
    begin_stopping 100 "$SOURCE/f"
    ctl pause
    kill -KILL "$RANK1"
    within 20 ctl ping
    job_is "$JOB" queued
    [ -n "$(find "$ROOT/.xfer/partial" -type f)" ]
    ctl cancel "$JOB" || [ $? -eq 10 ]
    within 10 only_files
}

@test "a job that was cancelled while rank 1 was away takes its partial file along when that is back" {
    begin_stopping 100 "$SOURCE/f"
    mv "$ROOT" "$ROOT.away"
    echo >"$ROOT" # rank 1 does not start
    kill -KILL "$RANK1"
    alone() { fails 9 PeerDown ping >/dev/null; }
    within 40 alone
    ctl cancel "$JOB" || [ $? -eq 10 ]
    job_is "$JOB" cancelled
    rm "$ROOT"
    mv "$ROOT.away" "$ROOT"
    [ -n "$(find "$ROOT/.xfer/partial" -type f)" ]
    within 40 ctl ping
    within 10 only_files
    still_serves
}

@test "a job that was cancelled and is retried starts over" {
    cut_off "$SOURCE/f"
    start_xferd -o limits.bandwidth=1M # it must not be over before it is cancelled
    ctl pause
    ctl cancel "$JOB" || [ $? -eq 10 ]
    within 10 only_files
    ctl limit 0
    ctl retry "$JOB"
    ctl resume
    within 60 job_is "$JOB" done
    cmp "$SOURCE/f" "$ROOT/f"
    only_files f
}

@test "what has come of a directory that failed stays, and its retry goes on with it" {
    mkdir "$D/tree"
    ln "$SOURCE/f" "$D/tree/f"
    echo small >"$D/tree/small"
    with_fault "$SHIM" write SIGSTOP 100 "$ROOT/.xfer/partial/"
    start_xferd -o queue.stall_timeout=1s
    XFERD_AS=
    RANK1=$(rank_pid 1)
    JOB=$(ctl send --no-wait --retries 0 "$D/tree")
    within 30 ours_are_stopped "$RANK1"
    fails 1 Stalled wait "$JOB"
    kill -CONT "$RANK1"
    within 20 something_has_come
    ctl retry "$JOB"
    ctl -q wait "$JOB"
    diff -r "$D/tree" "$ROOT/tree"
    [ "$(job_field "$JOB" '.bytes_resumed > 1000000 and .files_failed == 0')" = true ]
    within 10 only_files tree tree/f tree/small
}
something_has_come() { [ -n "$(find "$ROOT/.xfer/partial" -type f -size +1M)" ] && ctl -q ping; }

@test "partial files of another queue stay, are told of, and are gone on with when that queue is back" {
    cut_off "$SOURCE/f"
    local name=$PARTIAL size
    size=$(stat -c %s "$PARTIAL")
    mkdir "$D/other"
    mv "$D/queue.db"* "$D/other/"
    start_xferd
    grep -q 'other queue' "$LOG" || { grep -i partial "$LOG"; false; }
    # a job of the same number, source and destination is another one all the same
    [ "$(ctl send --no-wait "$SOURCE/f")" -eq "$JOB" ]
    within 60 job_is "$JOB" done
    [ "$(job_field "$JOB" .bytes_resumed)" -eq 0 ]
    [ "$(stat -c %s "$name")" -eq "$size" ]
    stop_xferd
    [ "$(stat -c %s "$name")" -eq "$size" ]
    rm "$D/queue.db"* "$ROOT/f"
    mv "$D/other"/* "$D/"
    ends_with "$size"
}

@test "what is in .xfer and is no partial file goes at the next start, whatever its name" {
    start_xferd
    stop_xferd
    local partial=$ROOT/.xfer/partial id=0123456789abcdef0123456789abcdef
    for name in x .hidden $id $id- $id-1 $id-1- $id-01-0 $id-1-0x ${id^^}-1-0 "$id-1-0 "; do echo >"$partial/$name"; done
    echo >"$partial/$id-1-0"
    start_xferd
    [ "$(ls -A "$partial")" = "$id-1-0" ]
    rm "$partial/$id-1-0"
    still_serves
}
