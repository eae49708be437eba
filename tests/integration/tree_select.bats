# SPDX-License-Identifier: MIT
#
# Which part of a tree is sent, and how it is while it goes: filters, lists, mounts, rates, counters, cancel.

load xferd
load tree

setup_file() { share_xferd; }
teardown_file() { unshare_xferd; }
setup() {
    need_judge
    begin_test
}
teardown() {
    local mount
    [ -n "$BATS_TEST_COMPLETED" ] || ctl -q limit 0
    for mount in $(awk -v d="$T/" 'index($2, d) == 1 {print $2}' /proc/mounts); do umount "$mount"; done
    end_test
    check_shared
}

# ---- filters ----

# A tree with names for patterns to be right and wrong about.
some_names() {
    local f
    for f in a.c a.o b.c b.o src/a.c src/a.o src/sub/a.c src/sub/deep/b.o src/sub/deep/b.c build/a.o build/x/y build/x/z.c doc/a.txt doc/b/a.txt doc/b/c/a.txt \
        tmp/tmp/f .git/config .git/objects/aa src/.git/config 'with space/f x' '[x]/[y]' 'q?/q' 'st*r/f' 'b\s/f' src/src/a.c ab abc a/b/c/d/e; do
        mkdir -p "$T/s/$(dirname "$f")"
        echo "$f" >"$T/s/$f"
    done
    ln -s a.c "$T/s/link.c"
    ln -s src "$T/s/dirlink"
    mkdir "$T/s/empty.c"
}

# filtered OPTION...: arrives what rsync makes arrive with the same rules, in their order
filtered() {
    rm -rf "$ROOT/s" "$T/r"
    ctl -q send "$T/s" "$@"
    mkdir "$T/r"
    rsync -rlt "$@" "$T/s/" "$T/r/"
    diff <(cd "$T/r" && find . | LC_ALL=C sort) <(cd "$ROOT/s" && find . | LC_ALL=C sort) || {
        echo "with: $*"
        return 1
    }
}

@test "include and exclude mean what they mean to rsync" {
    some_names
    # one by one they are tried in test_filter.c
    filtered --exclude='*.o' --exclude='/a.c' --exclude='sub/a.c' --exclude='.git' --exclude='tmp/tmp/'
    filtered --exclude='a.c/' --exclude='empty.c/' --exclude='dirlink/' --exclude='src/**/b.c' --exclude='[[:alpha:]].o'
    filtered --include='*/' --include='*.c' --exclude='*'
    filtered --include='/src/' --include='/src/**' --exclude='*'
    filtered --include='/src/***' --exclude='*'
    filtered --include='a.c' --exclude='*.c' --include='b.c'
    filtered --exclude='doc/b/***' --exclude='\[x\]' --exclude='q\?' --exclude='st\*r' --exclude='f x' --exclude='b/c/d/e'
    filtered --exclude='/*/'
    filtered --exclude='*'
    filtered --include='src/sub/' --exclude='src/*' --exclude='*.o'
}

@test "rules that rsync knows and xfer does not are refused" {
    some_names
    local rule
    for rule in ': .rules' '. rules' 'merge rules' 'P a' '!' '-s a' '+C' 'hide x' '' ' a'; do
        fails 2 InvalidParams call transfer.submit "$(jq -n --arg s "$T/s" --arg r "$rule" '{source: $s, filter: [$r]}')"
    done
    fails 2 InvalidParams call transfer.submit "$(jq -n --arg s "$T/s" '{source: $s, filter: [range(1001) | "- a\(.)"]}')"
    only_files
}

@test "what a filter leaves out is not counted, and a directory that it leaves out is not looked into" {
    some_names
    sent "$T/s" --include='/src/***' --exclude='*'
    counts 7 7 0 0
}

@test "a filter has no effect on the source itself, nor on a single file" {
    some_names
    ctl -q send "$T/s" --exclude=/a.c --exclude=s/ --exclude='*.o'
    cmp "$T/s/b.c" "$ROOT/s/b.c"
    [ ! -e "$ROOT/s/a.c" ]
    ctl -q send "$T/s/b.o" --exclude='*'
    cmp "$T/s/b.o" "$ROOT/b.o"
}

# ---- lists ----

@test "a list of files says what is sent, with NUL or LF, of a file or of standard input" {
    some_names
    printf '%s\n' a.c src/sub/deep/b.c 'with space/f x' doc/b >"$T/list"
    ctl -q send "$T/s" --files-from "$T/list" --to lf
    (cd "$ROOT/lf" && find . ! -type d | LC_ALL=C sort) >"$T/found"
    [ "$(cat "$T/found")" = $'./a.c\n./doc/b/a.txt\n./doc/b/c/a.txt\n./src/sub/deep/b.c\n./with space/f x' ]
    tr '\n' '\0' <"$T/list" >"$T/list0"
    ctl -q send "$T/s" --files-from - --to nul <"$T/list0"
    diff -r "$ROOT/lf" "$ROOT/nul"
    cmp "$T/s/a.c" "$ROOT/nul/a.c"
    [ "$(stat -c %Y "$T/s/src/sub")" = "$(stat -c %Y "$ROOT/nul/src/sub")" ]
}

@test "a list with a name that is not there, or that leads out, fails that one by name" {
    some_names
    printf '%s\0' a.c none/at/all $'new\nline' b.c >"$T/list"
    echo x >"$T/s/"$'new\nline'
    broken "$T/s" --files-from "$T/list"
    [ "$(errors "$JOB")" = 'NoSuchFile none/at/all' ]
    cmp "$T/s/b.c" "$ROOT/s/b.c"
    cmp "$T/s/"$'new\nline' "$ROOT/s/"$'new\nline'
    echo secret >"$T/secret"
    for name in ../secret src/../../secret "$T/secret" dirlink/../../secret; do
        printf '%s\n' a.c "$name" >"$T/list"
        run ctl -q send "$T/s" --files-from "$T/list" --to out
        echo "$name: $output"
        [ "$status" -ne 0 ]
        [ -z "$(find "$ROOT" -name secret)" ]
    done
}

# ---- where it does not go ----

@test "circles of links end nothing, and other file systems are left out only with --one-file-system" {
    [ "$(id -u)" -eq 0 ] || skip 'needs root, to mount something'
    mkdir -p "$T/s/a/b" "$T/s/mnt"
    ln -s .. "$T/s/a/b/up"
    ln -s "$T/s" "$T/s/a/whole"
    echo under >"$T/s/a/f"
    mount -t tmpfs -o size=1m xfer-test "$T/s/mnt" || skip 'nothing can be mounted here'
    echo there >"$T/s/mnt/f"
    sent "$T/s"
    same "$T/s" s
    sent "$T/s" --one-file-system --to one
    [ -d "$ROOT/one/mnt" ]
    [ ! -e "$ROOT/one/mnt/f" ]
    cmp "$T/s/a/f" "$ROOT/one/a/f"
    # a bind mount of the tree into itself is a circle of directories
    mount --bind "$T/s" "$T/s/a/b" || skip 'no bind mounts here'
    run timeout 60 "$XFERCTL" -s "$S" --json -q send "$T/s" --to circle
    [ "$status" -ne 124 ]
    [ ! -e "$ROOT/circle/a/b/a/b/a" ]
}

@test "the file systems that the kernel makes up are not sent" {
    SENT=$(ctl --json -q send / --to whole --include=/proc/ --include=/proc/version --include=/proc/self --include=/proc/self/environ --include=/sys/ \
        --include=/sys/kernel/ --include=/sys/kernel/mm --exclude='*' || true)
    echo "$SENT"
    [ -z "$(find "$ROOT" -path "$ROOT/.xfer" -prune -o -type f -print)" ]
    [ ! -e "$ROOT/whole/proc/version" ]
}

@test "the queue, what is received and the daemon's own places are not sent with the directory in which they lie" {
    run timeout 60 "$XFERCTL" -s "$S" -q send "$D" --to copy
    echo "$output" | tail -n 3
    [ "$status" -ne 124 ]
    [ -z "$(find "$ROOT/copy" -name 'queue.db*' -o -name '.xfer*')" ]
    [ ! -e "$ROOT/copy/incoming/copy/incoming/copy" ]
}

# ---- on the way ----

@test "the rate of a job holds for the whole tree, over all lanes" {
    local i
    mkdir "$T/s"
    for i in $(seq 60); do head -c 10000 /dev/urandom >"$T/s/$i"; done
    sent "$T/s" --bwlimit 400000
    same "$T/s" s
    # by the daemon's own clock, with what may be saved up
    [ "$(told '(.finished_at - .started_at + 0.25) * 400000 >= 600000')" = true ]
    [ "$(told .bytes_done)" -eq 600000 ]
}

@test "the counters grow while the walk goes on, and are right in the end" {
    local i
    mkdir "$T/s"
    for i in $(seq 300); do head -c 5000 /dev/zero >"$T/s/$i"; done
    ctl -q limit 10K
    JOB=$(ctl send --no-wait "$T/s")
    within 10 job_moves "$JOB"
    job_is "$JOB" running
    within 10 all_is_known
    [ "$(job_field "$JOB" '.files_done < 300 and .files_done + .files_failed + .files_skipped <= .files_total and .bytes_done <= .bytes_total')" = true ]
    [[ "$(ctl status "$JOB")" == *300* ]]
    ctl -q limit 0
    SENT=$(ctl --json -q wait "$JOB")
    counts 300 300 0 0
    [ "$(told '.bytes_done, .bytes_total, .walking')" = $'1500000\n1500000\nfalse' ]
}
all_is_known() { [ "$(job_field "$JOB" '[.walking, .files_total, .bytes_total] | join(" ")')" = 'false 300 1500000' ]; }

@test "a cancelled tree stops in the middle, and what is there is whole" {
    local f i
    mkdir "$T/s"
    for i in $(seq 200); do head -c 20000 /dev/urandom >"$T/s/$i"; done
    ctl -q limit 100K
    JOB=$(ctl send --no-wait "$T/s")
    within 10 job_has_sent 60000
    ctl cancel "$JOB"
    fails 10 Cancelled wait "$JOB"
    within 20 no_leftovers
    [ "$(job_field "$JOB" '.files_done < 200')" = true ]
    for f in "$ROOT"/s/*; do cmp "$T/s/${f##*/}" "$f"; done
    ctl -q limit 0
    ctl retry "$JOB"
    ctl -q wait "$JOB"
    same "$T/s" s
}

@test "links that are swapped in while the walk runs lead nowhere" {
    local i pid
    mkdir "$T/s" "$T/outside"
    for i in $(seq 40); do
        mkdir "$T/s/d$i" "$T/outside/d$i"
        echo open >"$T/s/d$i/f"
        echo secret >"$T/outside/d$i/f"
        ln -s "$T/outside/d$i" "$T/s/l$i"
        ln -s "$T/outside/d$i/f" "$T/s/d$i/l"
    done
    python3 - "$T/s" <<'END' 3>&- &
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
os.chdir(sys.argv[1])
n = 0
while not os.path.exists("../stop"):
    n = n % 40 + 1
    for a, b in ((b"d%d" % n, b"l%d" % n), (b"d%d/f" % n, b"d%d/l" % n)):
        libc.renameat2(-100, a, -100, b, 2)  # RENAME_EXCHANGE
END
    pid=$!
    for i in $(seq 12); do
        ctl -q send "$T/s" --to "raced-$i" >/dev/null 2>&1 || true
        ! grep -rqs --include=f --include=l secret "$ROOT/raced-$i" || break
    done
    touch "$T/stop"
    wait $pid
    # of what arrived, no regular file has come by a link
    ! grep -rsl secret "$ROOT"
}
