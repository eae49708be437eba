# SPDX-License-Identifier: MIT
#
# One bad file doesn't sink the tree: the rest arrives, what didn't is told by name, and another try sends only that. The daemon is not root,
# so that there is what it may not read.

load xferd
load tree

setup_file() { share_xferd_unprivileged; }
teardown_file() { [ -z "$XFERD_PID" ] || unshare_xferd; }
setup() {
    need_judge
    [ -n "$XFERD_PID" ] || skip 'other users cannot reach the programs'
    begin_test
    chmod 777 "$T"
}
teardown() {
    [ -n "$BATS_TEST_COMPLETED" ] || ctl -q limit 0 || true
    end_test
}

# some_files N: $T/s/f1 ... fN and the same in $T/s/d, readable by all, of 3000 bytes each
some_files() {
    local i
    mkdir -p "$T/s/d"
    for i in $(seq "$1"); do
        head -c 3000 /dev/urandom >"$T/s/f$i"
        cp "$T/s/f$i" "$T/s/d/f$i"
    done
    [ -z "$XFERD_AS" ] || chown -R 65534:65534 "$T/s"
}

# arrived_but PATH...: all of $T/s is there but these
arrived_but() {
    diff <(cd "$T/s" && find . -mindepth 1 ! -type d | LC_ALL=C sort) \
        <({ (cd "$ROOT/s" && find . -mindepth 1 ! -type d); [ $# -eq 0 ] || printf './%s\n' "$@"; } | LC_ALL=C sort)
}

# hidden PATH...: nobody but root may read them
hidden() {
    [ -z "$XFERD_AS" ] || chown 0:0 "$@"
    chmod 000 "$@"
}

@test "an ordinary user's tree arrives as it is" {
    make_tree 1 plain empty names deep links hardlinks sparse modes times attrs acls special
    sent "$T/1" --preserve=mode,times,xattr,acl,links,sparse
    same --preserve mode,times,xattr,acl,links,sparse "$T/1" 1
}

@test "a file that can't be read fails by name, with the way out, and the rest arrives" {
    some_files 20
    hidden "$T/s/f7" "$T/s/d/f3"
    broken "$T/s"
    counts 40 38 0 2
    arrived_but f7 d/f3
    [ "$(errors "$JOB")" = $'PermissionDenied d/f3\nPermissionDenied f7' ]
    [ "$(told '.errors | length')" -eq 2 ]
    [ "$(told '.errors[0] | .side, .errno')" = $'sender\n13' ]
    [[ "$(told '.errors[0].message')" == *'identity = caller'* ]]
    [[ "$(told .error.message)" == *'2 of 40'* ]]
    # people are told, too
    run ctl send "$T/s" --overwrite=changed
    echo "$output"
    [ "$status" -eq 1 ]
    [[ $output == *f7* && $output == *d/f3* ]]
}

@test "a directory that can't be read fails by name, and what is beside it arrives" {
    some_files 5
    hidden "$T/s/d"
    broken "$T/s"
    counts 6 5 0 1
    [ "$(errors "$JOB")" = 'PermissionDenied d' ]
    [ "$(find "$ROOT/s" -type f | wc -l)" -eq 5 ]
}

@test "a source directory that can't be read at all" {
    some_files 2
    hidden "$T/s"
    local status=0
    sent "$T/s" || status=$?
    [ "$status" -eq 1 ] || [ "$status" -eq 4 ]
    [ "$(told .state)" = failed ]
    [[ "$(told '.error.message, (.errors[] | .message)')" == *"$T/s"* ]]
}

@test "retry sends only what is missing" {
    some_files 20
    hidden "$T/s/f7"
    broken "$T/s"
    local before
    before=$(find "$ROOT/s" -type f -printf '%P %i %C@\n' | sort)
    chmod 644 "$T/s/f7"
    [ -z "$XFERD_AS" ] || chown 65534 "$T/s/f7"
    ctl retry "$JOB"
    SENT=$(ctl --json -q wait "$JOB")
    [ "$(told '.state, .files_total, .files_failed, (.errors | length)')" = $'done\n40\n0\n0' ]
    [ "$(told '.files_done + .files_skipped')" -eq 40 ]
    # what was told of the attempt before is forgotten
    [ -z "$(errors "$JOB")" ]
    arrived_but
    [ "$(find "$ROOT/s" -type f ! -path '*s/f7' -printf '%P %i %C@\n' | sort)" = "$(grep -v '^f7 ' <<<"$before")" ]
    no_leftovers
}

@test "a tree that is cut off by the death of a rank goes on by itself, with what is missing" {
    local before boot
    some_files 50
    make_file "$T/s/large" 60000000
    [ -z "$XFERD_AS" ] || chown 65534 "$T/s/large"
    boot=$(call system.hello | member boot_id)
    ctl -q limit 5M
    JOB=$(ctl send --no-wait "$T/s")
    within 20 small_ones_are_there
    within 20 job_has_sent 5000000
    before=$(small_ones)
    kill -KILL "$(rank_pid 1)"
    within 30 other_ranks_than "$boot"
    ctl -q limit 0
    SENT=$(ctl --json -q wait "$JOB")
    counts 101 1 100 0
    arrived_but
    [ "$(told '.attempts == 2 and .bytes_done == .bytes_total')" = true ]
    # of the large one a part, too
    [ "$(told '.bytes_resumed > 300000 and .bytes_resumed < .bytes_total')" = true ]
    cmp "$T/s/large" "$ROOT/s/large"
    [ "$(small_ones)" = "$before" ]
    within 10 no_leftovers
}
small_ones_are_there() { [ "$(job_field "$JOB" .files_done)" -eq 100 ]; }
small_ones() { find "$ROOT/s" -name 'f*' -printf '%P %i %C@\n' | sort; }
other_ranks_than() { [ "$(call system.hello | member boot_id)" != "$1" ] && ctl -q ping; }

@test "a tree of which a file has changed meanwhile is tried again by itself, and only that is sent" {
    local before
    mkdir "$T/s"
    make_file "$T/s/changes" 500000
    echo other >"$T/s/other"
    [ -z "$XFERD_AS" ] || chown -R 65534 "$T/s"
    ctl -q limit 50K
    JOB=$(ctl send --no-wait "$T/s")
    within 10 job_has_sent 20000
    within 10 other_is_there
    before=$(stat -c '%i %Z' "$ROOT/s/other")
    echo more >>"$T/s/changes"
    ctl -q limit 0
    SENT=$(ctl --json -q wait "$JOB")
    counts 2 1 1 0
    [ "$(told '.attempts, .error, (.errors | length)')" = $'2\nnull\n0' ]
    cmp "$T/s/changes" "$ROOT/s/changes"
    [ "$(stat -c '%i %Z' "$ROOT/s/other")" = "$before" ]
}
other_is_there() { [ "$(job_field "$JOB" .files_done)" -eq 1 ]; }

@test "what is in the way fails by name: a directory, a file, a link" {
    some_files 5
    mkdir -p "$ROOT/s/f3/in"
    mkdir "$T/outside"
    ln -s nowhere "$ROOT/s/f4"
    mkdir "$T/s/e" "$T/s/g"
    echo x >"$T/s/e/x"
    echo x >"$T/s/g/x"
    echo file >"$ROOT/s/e"
    ln -s "$T/outside" "$ROOT/s/g"
    [ -z "$XFERD_AS" ] || chown -R -h 65534:65534 "$T/s" "$ROOT/s" "$T/outside"
    broken "$T/s"
    [ "$(errors "$JOB")" = $'IsDirectory f3\nNotDirectory e\nNotDirectory g' ]
    [ "$(told '[.errors[].side] | unique | join(" ")')" = receiver ]
    [ "$(told '.errors[] | select(.path == "e") | .message')" = 's/e: there is no directory at the destination, but something else' ]
    [ "$(cat "$ROOT/s/e")" = file ]
    [ -z "$(ls "$T/outside")" ]
    # a link is no directory in the way of a file: it is replaced
    cmp "$T/s/f4" "$ROOT/s/f4"
    cmp "$T/s/d/f5" "$ROOT/s/d/f5"
    counts 12 9 0 3
}

@test "a directory that its own destination lies in does not go into itself" {
    [ -z "$XFERD_AS" ] || chown 65534:65534 "$ROOT"
    $XFERD_AS mkdir -p "$ROOT/s/d/copy"
    $XFERD_AS cp /etc/passwd "$ROOT/s/f"
    # into a directory of it: all else arrives there, once
    broken "$ROOT/s" --to s/d/copy
    [ "$(errors "$JOB")" = 'InvalidDestination d/copy' ]
    cmp "$ROOT/s/f" "$ROOT/s/d/copy/f"
    [ -z "$(ls "$ROOT/s/d/copy/d")" ]
    # and onto itself: nothing
    fails 2 InvalidDestination send "$ROOT/s" --to s
}

@test "a destination that is a file fails the whole tree" {
    some_files 2
    $XFERD_AS touch "$ROOT/s"
    local status=0
    sent "$T/s" || status=$?
    [ "$status" -eq 1 ]
    [ "$(told '.error.data | .name, .side')" = $'NotDirectory\nreceiver' ]
    [ -f "$ROOT/s" ]
}

@test "files that vanish on the way fail by name, the others arrive whole" {
    local f
    some_files 300
    ctl -q limit 20K
    JOB=$(ctl send --no-wait --retries 0 "$T/s")
    within 10 job_moves "$JOB"
    rm "$T"/s/f* "$T"/s/d/f*
    ctl -q limit 0
    fails 1 Incomplete wait "$JOB"
    SENT=$(ctl --json status "$JOB")
    [ "$(told '.files_failed > 0 and .files_failed + .files_done == .files_total')" = true ]
    [ "$(find "$ROOT/s" -type f | wc -l)" -eq "$(told .files_done)" ]
    [ -z "$(find "$ROOT/s" -type f ! -size 3000c)" ]
    [ -z "$(errors "$JOB" | grep -v -e ^NoSuchFile -e ^SourceChanged)" ]
    [ "$(errors "$JOB" | wc -l)" -eq "$(told .files_failed)" ]
}

@test "a file that changes while it is sent is never taken for what it was" {
    mkdir "$T/s"
    make_file "$T/s/changes" 500000
    echo other >"$T/s/other"
    [ -z "$XFERD_AS" ] || chown -R 65534 "$T/s"
    ctl -q limit 50K
    JOB=$(ctl send --no-wait "$T/s" --retries 0)
    within 10 job_has_sent 20000
    echo more >>"$T/s/changes"
    ctl -q limit 0
    fails 1 Incomplete wait "$JOB"
    [ "$(errors "$JOB")" = 'SourceChanged changes' ]
    [ ! -e "$ROOT/s/changes" ]
    cmp "$T/s/other" "$ROOT/s/other"
    # and is sent when it has come to rest
    ctl retry "$JOB"
    ctl -q wait "$JOB"
    cmp "$T/s/changes" "$ROOT/s/changes"
}

@test "the first hundred errors are in the job, all of them by transfer.errors, page by page" {
    local i after=0 n=0 page
    some_files 130
    hidden "$T"/s/f*
    broken "$T/s"
    counts 260 130 0 130
    [ "$(told '.errors | length')" -eq 100 ]
    [ "$(errors "$JOB" | sort -u | wc -l)" -eq 130 ]
    while :; do
        page=$(call transfer.errors "{\"job\":$JOB,\"after\":$after,\"limit\":50}")
        n=$((n + $(jq '.errors | length' <<<"$page")))
        [ "$(jq -r .more <<<"$page")" = true ] || break
        after=$(jq '.errors[-1].n' <<<"$page")
        [ $n -le 130 ]
    done
    [ $n -eq 130 ]
    [ "$(ctl errors "$JOB" | grep -c f)" -ge 130 ]
    fails 5 NoSuchJob call transfer.errors '{"job":999999}'
}

@test "people are told the first ten errors and warnings, and how many more there are" {
    local i
    some_files 6
    for i in $(seq 11); do $XFERD_AS mkfifo "$T/s/pipe$i"; done
    hidden "$T"/s/f* "$T"/s/d/f*
    local status=0 stderr
    JOB=$(ctl send "$T/s" 2>"$T/stderr") || status=$?
    stderr=$(cat "$T/stderr")
    echo "$stderr"
    [ "$status" -eq 1 ]
    JOB=${JOB%% *}
    [ "$(grep -c 'is a FIFO' <<<"$stderr")" -eq 10 ]
    grep -qx "xferctl: and 1 more warnings: 'xferctl errors $JOB' tells them all" <<<"$stderr"
    [ "$(grep -c "^xferctl: $T/s/[df].*identity = caller" <<<"$stderr")" -eq 10 ]
    grep -qx "xferctl: and 2 more: 'xferctl errors $JOB' tells them all" <<<"$stderr"
    [ "$(ctl errors "$JOB" | cut -d ' ' -f 1 | sort | uniq -c | tr -s ' ')" = $' 12 error\n 11 warning' ]
}

@test "names that nobody can print are told escaped, and as they are by the socket" {
    mkdir "$T/s"
    echo x >"$T/s/"$'new\nline'
    echo x >"$T/s/"$'\xff\xfe'
    hidden "$T/s/"*
    broken "$T/s"
    [ "$(told '[.errors[] | .path // .path_b64] | sort | join(" ")')" = "//4= new
line" ]
    run ctl errors "$JOB"
    [[ $output == *'new\nline'* ]]
    [ "${#lines[@]}" -le 3 ]
}

@test "a directory that is exchanged for a link at the destination leads nothing out of the root" {
    local i pid
    some_files 3
    for i in $(seq 20); do cp -rp "$T/s/d" "$T/s/d$i"; done
    mkdir "$T/outside"
    for i in $(seq 20); do mkdir "$T/outside/d$i"; done
    [ -z "$XFERD_AS" ] || chown -R 65534 "$T/s" "$T/outside"
    $XFERD_AS mkdir "$ROOT/s"
    for i in $(seq 20); do $XFERD_AS ln -s "$T/outside/d$i" "$ROOT/s/l$i"; done
    $XFERD_AS /usr/bin/python3 - "$ROOT/s" "$T/stop" <<'END' 3>&- &
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
os.chdir(sys.argv[1])
n = 0
while not os.path.exists(sys.argv[2]):
    n = n % 20 + 1
    libc.renameat2(-100, b"d%d" % n, -100, b"l%d" % n, 2)  # RENAME_EXCHANGE
END
    pid=$!
    for i in $(seq 10); do
        ctl -q send "$T/s" >/dev/null 2>&1 || true
    done
    touch "$T/stop"
    wait $pid
    [ -z "$(find "$T/outside" -type f)" ]
}
