# SPDX-License-Identifier: MIT
#
# A file that was cut off in the middle, whoever was killed, is gone on with from what is there, as far as its source is still the same.

load xferd
load life
load cutoff

# cut_off_by NAME...: these are killed in the middle of the file, which is nevertheless there in the end, without all of it having been sent twice.
cut_off_by() {
    mkdir "$ROOT"
    echo old >"$ROOT/f"
    begin_stopping 100 "$SOURCE/f"
    know_daemon
    end_these "$@"
    [ "$(cat "$ROOT/f")" = old ]
    case $* in
    *supervisor*)
        wait "$XFERD_PID" || true
        # rank 0 has noticed
        within 20 not ctl ping 2>/dev/null
        kill -CONT "$RANK1" 2>/dev/null || true
        start_xferd
        ;;
    esac
    is_whole
}

# The file is there, and was resumed, and nothing else is there.
is_whole() {
    within 60 job_is "$JOB" done
    cmp "$SOURCE/f" "$ROOT/f"
    job_field "$JOB" '{attempts, bytes_done, bytes_resumed, digest}'
    [ "$(job_field "$JOB" '.bytes_resumed > 0 and .bytes_resumed < .bytes_total and .bytes_done == .bytes_total')" = true ]
    [ "$(job_field "$JOB" .digest.value)" = "$(xxhsum -H2 "$SOURCE/f" | cut -d' ' -f1)" ]
    [ "$(job_field "$JOB" .attempts)" -eq 2 ]
    only_files f
}

@test "rank 0 is killed in the middle of a file" { cut_off_by rank0; }
@test "rank 1 is killed in the middle of a file" { cut_off_by rank1; }
@test "both ranks are killed in the middle of a file" { cut_off_by rank0 rank1; }
@test "the launcher is killed in the middle of a file" { cut_off_by launcher; }
@test "the supervisor alone is killed in the middle of a file" { cut_off_by supervisor; }
@test "everything is killed in the middle of a file" { cut_off_by supervisor launcher rank0 rank1; }

@test "all of what is there and right is gone on with" {
    cut_off "$SOURCE/f"
    ends_with "$(stat -c %s "$PARTIAL")"
}

@test "a file that is cut off a second time goes on from where it was then" {
    cut_off_after 100 "$SOURCE/f"
    local first
    first=$(stat -c %s "$PARTIAL")
    with_fault "$SHIM" write SIGSTOP 100 "$ROOT/.xfer/partial/"
    start_xferd
    XFERD_AS=
    within 30 ours_are_stopped "$(rank_pid 1)"
    end_everything
    [ "$(stat -c %s "$PARTIAL")" -gt "$first" ]
    ends_with "$(stat -c %s "$PARTIAL")"
    [ "$(job_field "$JOB" .attempts)" -eq 3 ]
}

# ---- the source is another one -------------------------------------------------------------------

own_source() { cp "$SOURCE/f" "$D/f"; }

@test "a source that has other contents starts over" {
    own_source
    cut_off "$D/f"
    make_file "$D/f" 80000000
    ends_with 0 "$D/f"
}

@test "a source that differs behind the first block is sent from there on" {
    own_source
    cut_off "$D/f"
    printf changed | dd of="$D/f" bs=1 seek=$((BLOCK + 5000)) conv=notrunc status=none
    ends_with $BLOCK "$D/f"
}

@test "a source that differs in its first byte starts over" {
    own_source
    cut_off "$D/f"
    printf '\x%02x' $((0x$(od -An -tx1 -N 1 "$D/f" | tr -d ' ') ^ 1)) | dd of="$D/f" bs=1 conv=notrunc status=none
    ends_with 0 "$D/f"
}

@test "a source that was rewritten with the same bytes goes on" {
    own_source
    cut_off "$D/f"
    rm "$D/f"
    own_source
    ends_with "$(stat -c %s "$PARTIAL")" "$D/f"
}

@test "a source that has grown goes on, and one that has shrunk to less than is there ends where it ends" {
    own_source
    cut_off "$D/f"
    head -c 5000000 /dev/urandom >>"$D/f"
    ends_with "$(stat -c %s "$PARTIAL")" "$D/f"
    stop_xferd
    rm "$ROOT/f" "$D/queue.db"*
    cut_off "$D/f"
    truncate -s $((BLOCK + 1000)) "$D/f"
    ends_with $((BLOCK + 1000)) "$D/f"
}

@test "a source that has become small, empty, or another kind of file leaves no partial file" {
    own_source
    cut_off "$D/f"
    truncate -s 5000 "$D/f"
    ends_with 0 "$D/f"
    stop_xferd
    rm "$ROOT/f" "$D/queue.db"*
    own_source
    cut_off "$D/f"
    : >"$D/f"
    ends_with 0 "$D/f"
    stop_xferd
    rm "$ROOT/f" "$D/queue.db"*
    own_source
    cut_off "$D/f"
    rm "$D/f"
    mkdir "$D/f"
    start_xferd
    ctl -q wait "$JOB"
    [ -d "$ROOT/f" ]
    within 10 only_files f
}

@test "a source that is gone fails, and takes the partial file along" {
    own_source
    cut_off "$D/f"
    rm "$D/f"
    start_xferd
    fails 5 NoSuchFile wait "$JOB"
    within 10 only_files
}
