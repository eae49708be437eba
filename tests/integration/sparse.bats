# SPDX-License-Identifier: MIT
#
# Files with holes from end to end: their content, and what they take on disk.

load xferd

setup_file() { share_xferd; }
teardown_file() { unshare_xferd; }
setup() {
    begin_test
    truncate -s 1M "$T/probe"
    [ "$(stat -c %b "$T/probe")" -eq 0 ] || skip 'needs a file system with holes'
    rm "$T/probe"
}
teardown() {
    # the daemon may keep a directory there open for a while
    for mount in $(awk -v d="$D/" 'index($2, d) == 1 {print $2}' /proc/mounts); do umount -l "$mount"; done
    end_test
}

# piece FILE OFFSET BYTES: that many bytes of data there
piece() { head -c "$3" /dev/urandom | dd of="$1" bs=64K oflag=seek_bytes seek="$2" conv=notrunc status=none; }

# as_sparse FILE FILE: the second takes no more than a few per cent more than the first
as_sparse() {
    local a b
    a=$(stat -c %b "$1") b=$(stat -c %b "$2")
    echo "blocks: $a, there: $b"
    [ "$b" -le $((a + a / 20 + 16)) ]
}

# arrives NAME...: from $T, with holes as they are
arrives() {
    local name
    for name; do
        ctl -q send --preserve=+sparse "$T/$name"
        cmp "$T/$name" "$ROOT/$name"
        as_sparse "$T/$name" "$ROOT/$name"
    done
}

@test "holes at the beginning, in the midst and at the end stay holes" {
    truncate -s 40M "$T/f"
    piece "$T/f" 4M 100000
    piece "$T/f" 20M 3000000
    arrives f
}

@test "a file that is one hole, and small ones" {
    truncate -s 200M "$T/hole"
    truncate -s 20000 "$T/small"
    truncate -s 30001 "$T/odd"
    piece "$T/odd" 8192 5000
    arrives hole small odd
}

@test "a file of thousands of pieces takes several maps" {
    python3 - "$T/f" <<'END'
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
for i in range(2500):
    os.pwrite(fd, bytes([i % 255 + 1]) * 4096, i * 12288)
os.ftruncate(fd, 2500 * 12288 + 100000)
END
    arrives f
}

@test "a file without holes is sent as ever, and an empty one" {
    make_file "$T/f" 300000
    : >"$T/empty"
    arrives f empty
}

@test "without being asked for holes are filled" {
    truncate -s 4M "$T/f"
    ctl -q send "$T/f"
    cmp "$T/f" "$ROOT/f"
    [ "$(stat -c %b "$ROOT/f")" -ge 8192 ]
}

@test "holes take no space, and none has to be free for them" {
    [ "$(id -u)" -eq 0 ] || skip 'needs root, to mount a small tmpfs'
    mkdir "$ROOT/tmp"
    mount -t tmpfs -o size=1m xfer-test "$ROOT/tmp"
    truncate -s 1G "$T/f"
    piece "$T/f" 512M 10000
    ctl -q send --preserve=+sparse --sync=none --to tmp/f "$T/f"
    cmp "$T/f" "$ROOT/tmp/f"
    as_sparse "$T/f" "$ROOT/tmp/f"
}

@test "files with holes in a tree, and what they replace" {
    mkdir "$T/tree"
    truncate -s 10M "$T/tree/a"
    piece "$T/tree/a" 5M 65536
    truncate -s 3M "$T/tree/b"
    echo text >"$T/tree/c"
    ctl -q send --preserve=+sparse "$T/tree"
    piece "$T/tree/b" 1M 4096
    piece "$T/tree/a" 0 4096
    ctl -q send --preserve=+sparse "$T/tree"
    diff -r "$T/tree" "$ROOT/tree"
    as_sparse "$T/tree/a" "$ROOT/tree/a"
    as_sparse "$T/tree/b" "$ROOT/tree/b"
}

@test "a large hole can be cancelled in its midst, and nothing is left" {
    truncate -s 1T "$T/f" || skip 'no file can be so large here'
    local job
    job=$(call transfer.submit "$(jq -n --arg s "$T/f" '{source: $s, preserve: "+sparse"}')" | jq .job)
    within 20 job_has_sent_more "$job" 1000000000
    ctl ping
    ctl -q cancel "$job"
    within 20 job_is "$job" cancelled
    [ ! -e "$ROOT/f" ]
    within 20 nothing_partial
}

nothing_partial() { [ -z "$(ls "$ROOT/.xfer/partial")" ]; }

@test "what had come of a large one is gone on with after a rank has died" {
    truncate -s 400M "$T/f"
    local i
    for i in 0 1 2 3 4 5 6 7; do piece "$T/f" "${i}0M" 8000000; done
    local job
    job=$(call transfer.submit "$(jq -n --arg s "$T/f" '{source: $s, preserve: "+sparse", bandwidth: 30000000}')" | jq .job)
    within 20 job_has_sent_more "$job" 20000000
    kill -KILL "$(rank_pid 1)"
    within 60 job_is "$job" done
    cmp "$T/f" "$ROOT/f"
    as_sparse "$T/f" "$ROOT/f"
    SHARED_BOOT=$(call system.hello | member boot_id)
}
