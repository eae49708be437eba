# SPDX-License-Identifier: MIT
#
# Disks that are full, read-only, out of inodes, or several beneath one root. Needs root, for mounts.

load xferd

setup_file() {
    make_place
    export D S ROOT LOG XFERD_PID
    [ "$(id -u)" -eq 0 ] && mkdir "$ROOT" && mount -t tmpfs -o size=16m,mode=755 xfer-test "$ROOT" || return 0
    start_xferd
}

teardown_file() { unshare_xferd; }

setup() {
    [ -n "$XFERD_PID" ] || skip 'needs root, to mount a small tmpfs'
    begin_test
    echo contents >"$T/f"
}

teardown() {
    [ -n "$XFERD_PID" ] || return 0
    mount -o remount,rw,size=16m,nr_inodes=10000 "$ROOT"
    local mount
    for mount in $(awk -v d="$ROOT/" 'index($2, d) == 1 {print $2}' /proc/mounts); do umount "$mount"; done
    end_test
}

available() { df --output=avail -B 1 "$ROOT" | tail -n 1; }

# no_space ARGUMENT...: send with these fails for want of space, and the disk is as before
no_space() {
    local before
    before=$(df --output=avail,iavail -B 1 "$ROOT")
    fails 8 NoSpace send "$@"
    [ "$(error_field .side)" = receiver ]
    [ "$(error_field .errno)" -eq 28 ]
    [ "$(error_field .retryable)" = true ]
    within 5 given_back "$before"
}

given_back() { [ "$(df --output=avail,iavail -B 1 "$ROOT")" = "$1" ]; }

@test "a file larger than what is free fails with exit 8, leaves nothing, and a smaller one is stored" {
    make_file "$T/large" $((20 * 1024 * 1024))
    no_space "$T/large"
    no_space "$T/large" --to a/b/c
    only_files
    make_file "$T/small" $((12 * 1024 * 1024))
    ctl send "$T/small"
    cmp "$T/small" "$ROOT/small"
    only_files small
}

@test "a file that is small enough not to have its room reserved" {
    make_file "$T/small" 200000
    head -c $(($(available) - 100000)) /dev/zero >"$ROOT/filler"
    no_space "$T/small"
    no_space "$T/small" --to a/b
    only_files filler
    rm "$ROOT/filler"
    ctl send "$T/small"
    only_files small
    still_serves
}

@test "a file whose room is taken by others while it comes" {
    make_file "$T/f" $((14 * 1024 * 1024))
    begin_stalled "$T/f" --to new/f
    head -c $((10 * 1024 * 1024)) /dev/zero >"$ROOT/filler"
    kill -CONT "$RANK1"
    fails 8 NoSpace wait "$JOB"
    only_files filler
    rm "$ROOT/filler"
    still_serves
}

@test "the sender stops early when there is no room" {
    truncate -s 4G "$T/huge"
    no_space "$T/huge"
    [ "$(jq .bytes_done <<<"$FAILURE")" -lt $((1024 * 1024 * 1024)) ]
    still_serves
}

@test "what is replaced stays when there is no room for the new one" {
    make_file "$ROOT/f" $((10 * 1024 * 1024))
    cp "$ROOT/f" "$T/old"
    make_file "$T/f" $((10 * 1024 * 1024))
    no_space "$T/f"
    cmp "$T/old" "$ROOT/f"
    only_files f
    still_serves
}

@test "several files at once for which there is room for one: those that don't fit fail, the others are whole" {
    local i status=0 stored=0
    for i in {1..6}; do
        make_file "$T/d/$i" $((5 * 1024 * 1024))
    done
    ctl --json send "$T"/d/* >"$T/jobs" || status=$?
    [ $status -eq 8 ]
    for i in {1..6}; do
        if [ -e "$ROOT/$i" ]; then
            cmp "$T/d/$i" "$ROOT/$i"
            stored=$((stored + 1))
        fi
    done
    [ $stored -ge 1 ] && [ $stored -le 3 ]
    [ "$(jq -r 'select(.state == "done").job' "$T/jobs" | wc -l)" -eq $stored ]
    [ "$(jq -r 'select(.state == "failed").error.data.name' "$T/jobs" | sort -u)" = NoSpace ]
    rm "$ROOT"/[1-6]
    within 5 none_in_use
    still_serves
}

none_in_use() { [ "$(df --output=used -B 1 "$ROOT" | tail -n 1)" -lt 100000 ]; }

@test "no space at all" {
    cat /dev/zero >"$ROOT/filler" 2>/dev/null || true
    # an empty file needs none
    : >"$T/empty"
    ctl send "$T/empty"
    no_space "$T/f"
    rm "$ROOT/filler"
    ctl send "$T/f"
    only_files empty f
}

@test "ranks start again while there is no space at all" {
    : >"$ROOT/.xfer/lock" # who may not even note its process id there
    cat /dev/zero >"$ROOT/filler" 2>/dev/null || true
    kill -KILL "$(rank_pid 1)"
    within 20 ctl ping
    no_space "$T/f"
    rm "$ROOT/filler"
    still_serves
}

@test "no inodes: new files fail, and so do parents, of which none stays" {
    local used
    used=$(df --output=iused "$ROOT" | tail -n 1)
    mount -o remount,nr_inodes=$((used + 3)) "$ROOT"
    # two directories are one too many for the file and them
    fails 8 NoSpace send "$T/f" --to a/b/c/f
    only_files
    touch "$ROOT/1" "$ROOT/2" "$ROOT/3"
    no_space "$T/f"
    make_file "$T/large" 1000000
    no_space "$T/large"
    only_files 1 2 3
    rm "$ROOT/1" "$ROOT/2"
    ctl send "$T/f"
    only_files 3 f
}

@test "a read-only file system, and one that is writable again" {
    local dest
    mkdir "$ROOT/disk"
    mount -t tmpfs -o size=4m xfer-test2 "$ROOT/disk"
    mkdir "$ROOT/disk/d"
    echo old >"$ROOT/disk/old"
    mount -o remount,ro "$ROOT/disk"
    make_file "$T/large" 1000000
    for dest in disk/f disk/d/f disk/old disk/new/f; do
        fails 1 ReadOnly send "$T/f" --to $dest
        [ "$(error_field .side)" = receiver ]
        [ "$(error_field .errno)" -eq 30 ]
        fails 1 ReadOnly send "$T/large" --to $dest
    done
    mount -o remount,rw "$ROOT/disk"
    [ "$(cat "$ROOT/disk/old")" = old ]
    ctl send "$T/f" --to disk/new/f
    only_files disk disk/d disk/old disk/new disk/new/f
    still_serves
}

@test "a file system beneath the root: stored, replaced, never half" {
    mkdir "$ROOT/disk"
    mount -t tmpfs -o size=600m xfer-test2 "$ROOT/disk"
    ctl send "$T/f" --to disk/f
    cmp "$T/f" "$ROOT/disk/f"
    make_file "$T/g" 3000000
    ctl send "$T/g" --to disk/f
    cmp "$T/g" "$ROOT/disk/f"
    ctl send "$T/g" --to disk/a/b/f
    fails 6 DestinationExists send "$T/f" --to disk/f --overwrite=never
    truncate -s 400M "$T/large"
    begin_halfway --retries=0 "$T/large" --to disk/f
    cmp "$T/g" "$ROOT/disk/f"
    truncate -s 300M "$T/large"
    kill -CONT "$RANK1"
    fails 1 SourceChanged wait "$JOB"
    cmp "$T/g" "$ROOT/disk/f"
    only_files disk disk/f disk/a disk/a/b disk/a/b/f
    [ -z "$(ls -A "$ROOT/.xfer/beside" "$ROOT/.xfer/partial" | grep -v :)" ]
    still_serves
}

@test "a file system beneath the root that is full, and the root's own that is full while that one isn't" {
    mkdir "$ROOT/disk"
    mount -t tmpfs -o size=4m xfer-test2 "$ROOT/disk"
    make_file "$T/large" 6000000
    fails 8 NoSpace send "$T/large" --to disk/large
    ctl send "$T/large"
    rm "$ROOT/large"
    make_file "$T/small" 3000000
    head -c $(($(available) - 1000000)) /dev/zero >"$ROOT/filler"
    ctl send "$T/small" --to disk/small
    cmp "$T/small" "$ROOT/disk/small"
    rm "$ROOT/filler"
    still_serves
}

@test "a rank that is killed while it replaces a file on a file system beneath the root: the old one stays until the new one is whole" {
    mkdir "$ROOT/disk"
    mount -t tmpfs -o size=900m xfer-test2 "$ROOT/disk"
    echo old >"$ROOT/disk/f"
    truncate -s 800M "$T/large"
    killed_halfway
    # what has come of the new one lies beside it, and nothing else
    set -- "$ROOT"/disk/.xfer-*-"$JOB"-0
    [ -f "$1" ]
    only_files disk disk/f "${1#"$ROOT/"}"
    ctl cancel "$JOB"
    ctl resume
    within 10 nothing_beside
    [ "$(cat "$ROOT/disk/f")" = old ]
    killed_halfway
    ctl resume
    ctl wait "$JOB"
    cmp "$T/large" "$ROOT/disk/f"
    nothing_beside
    still_serves
}

killed_halfway() {
    begin_halfway "$T/large" --to disk/f
    ctl pause # it does not go on at once
    kill -KILL "$RANK1"
    within 20 ctl ping
    [ "$(cat "$ROOT/disk/f")" = old ]
}

nothing_beside() { only_files disk disk/f && [ -z "$(ls -A "$ROOT/.xfer/beside" "$ROOT/.xfer/partial" | grep -v :)" ]; }

@test "a destination that is a mount point is a directory in the way" {
    mkdir "$ROOT/disk"
    mount -t tmpfs -o size=1m xfer-test2 "$ROOT/disk"
    fails 1 IsDirectory send "$T/f" --to disk
    : >"$ROOT/file"
    mount --bind "$T/f" "$ROOT/file"
    fails 1 IOError send "$T/f" --to file
    [ "$(error_field .errno)" -eq 16 ]
    umount "$ROOT/file"
    only_files disk file
    still_serves
}
