# SPDX-License-Identifier: MIT
#
# For the bats files about files that are cut off in the middle: load it after xferd and life. $SOURCE/f is a file of more than one block.

BLOCK=$((64 * 1024 * 1024))

setup_file() {
    SOURCE=$(mktemp -d "${TMPDIR:-/tmp}/xs-XXXXXX")
    head -c 80000000 /dev/urandom >"$SOURCE/f"
    export SOURCE
}

teardown_file() { rm -rf "$SOURCE"; }

setup() {
    make_place
    own_runtime
    SHIM=$top_builddir/tests/integration/faults.so
}

teardown() {
    end_clients
    remove_place
}

# Rank 1 stops when it has written so many chunks of the file, and the job stands still. Sets JOB, RANK1.
begin_stopping() {
    with_fault "$SHIM" write SIGSTOP "$1" "$ROOT/.xfer/partial/"
    shift
    start_xferd
    XFERD_AS=
    RANK1=$(rank_pid 1)
    JOB=$(ctl send --no-wait "$@")
    within 30 ours_are_stopped "$RANK1"
}

# A job that was cut off after so many chunks, and no daemon. PARTIAL is what is there of it.
cut_off_after() {
    begin_stopping "$@"
    end_everything
    PARTIAL=$(find "$ROOT/.xfer/partial" -type f)
    stat -c 'cut off after %s bytes' "$PARTIAL"
}

# ... somewhere in the second block
cut_off() {
    cut_off_after 290 "$@"
    [ "$(stat -c %s "$PARTIAL")" -gt $((BLOCK + 1000000)) ]
}

# ends_with RESUMED [SOURCE]: the next daemon ends the job, with that number of bytes that were not sent again
ends_with() {
    start_xferd
    within 60 job_is "$JOB" done
    cmp "${2-$SOURCE/f}" "$ROOT/f"
    echo "resumed $(job_field "$JOB" .bytes_resumed), wanted $1"
    [ "$(job_field "$JOB" .bytes_resumed)" -eq "$1" ]
    only_files f
}
