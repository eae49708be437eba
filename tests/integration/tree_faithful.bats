# SPDX-License-Identifier: MIT
#
# What --preserve promises of trees, and what can't be kept: a warning, never a failure.

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
    for mount in $(awk -v d="$ROOT/" 'index($2, d) == 1 {print $2}' /proc/mounts); do umount "$mount"; done
    end_test
    check_shared
}

need_root() { [ "$(id -u)" -eq 0 ] || skip 'needs root'; }

@test "everything is kept with preserve=all" {
    need_root
    for seed in 1 2; do
        make_tree $seed
        sent "$T/$seed" --preserve=all
        same --all "$T/$seed" $seed
        [ "$(told '[.state, .files_failed] | join(" ")')" = 'done 0' ]
        [ "$(told .files_total)" -eq "$(jq '.files + .links + .special' "$T/made")" ]
        [ "$(told .files_skipped)" -eq "$(jq .special "$T/made")" ]
        [ "$(told '[.warnings[].path | select(startswith("special/") | not)] | length')" -eq 0 ]
    done
    no_leftovers
}

@test "and again, onto what is there, with nothing to send" {
    need_root
    make_tree 1
    ctl -q send "$T/1" --preserve=all
    sent "$T/1" --preserve=all --overwrite=changed
    sent_nothing
    same --all "$T/1" 1
}

@test "only what was asked for is kept" {
    need_root
    local list
    make_tree 1 plain hardlinks sparse modes times attrs acls owners
    for list in mode times mode,times,owner mode,times,xattr mode,times,acl mode,times,links mode,times,sparse mode,owner,xattr; do
        sent "$T/1" --preserve=$list --to "$list"
        same --preserve $list "$T/1" "$list"
    done
    # rsync tells of the rest that it is not there
    [ -z "$(find "$ROOT/mode,times,links" -uid +0)" ]
    run --separate-stderr getfattr -dhR "$ROOT/mode,times,links"
    [ -z "$output" ]
    [ -z "$(find "$ROOT/mode,times,acl" -perm /6000)" ]
    [ -n "$(find "$ROOT/mode,times,owner" -perm /6000)" ]
    # without mode: as if made here; without times: now
    [ -z "$(find "$ROOT/times" -type f -perm /111)" ]
    [ -z "$(find "$ROOT/mode" ! -newer "$T/made")" ]
}

@test "+X adds to the default" {
    make_tree 1 hardlinks
    sent "$T/1" --preserve=+links
    same --preserve mode,times,links "$T/1" 1
    fails 2 Usage send "$T/1" --preserve=mood
    fails 2 InvalidParams call transfer.submit "{\"source\":\"$T/1\",\"preserve\":\"mood\"}"
}

@test "names of one file are sent once, and stay one file" {
    mkdir -p "$T/s/a" "$T/s/b"
    make_file "$T/s/a/x" 1000000
    ln "$T/s/a/x" "$T/s/b/y"
    ln "$T/s/a/x" "$T/s/z"
    ln "$T/s/a/x" "$T/outside"
    sent "$T/s" --preserve=+links
    [ "$(told '.files_total, .files_done')" = $'3\n3' ]
    [ "$(told .bytes_done)" -eq "$(told .bytes_total)" ]
    [ "$(stat -c %h "$ROOT/s/z")" -eq 3 ]
    [ "$(stat -c %i "$ROOT/s/a/x")" -eq "$(stat -c %i "$ROOT/s/b/y")" ]
    cmp "$T/s/z" "$ROOT/s/z"
    # and are one again when one of them was replaced at the destination
    cp -p "$ROOT/s/z" "$ROOT/s/new"
    mv "$ROOT/s/new" "$ROOT/s/b/y"
    sent "$T/s" --preserve=+links --overwrite=changed
    same --preserve mode,times,links "$T/s" s
}

@test "holes are not sent, and stay holes" {
    mkdir "$T/s"
    truncate -s 1G "$T/s/hole"
    truncate -s 300M "$T/s/ends"
    printf begin | dd of="$T/s/ends" conv=notrunc status=none
    printf end >>"$T/s/ends"
    sent "$T/s" --preserve=+sparse
    [ "$(told .bytes_done)" -eq $(((1024 + 300) * 1048576 + 3)) ]
    [ "$(du -k "$ROOT/s/hole" | cut -f 1)" -le 64 ]
    [ "$(du -k "$ROOT/s/ends" | cut -f 1)" -le 128 ]
    [ "$(stat -c %s "$ROOT/s/hole" "$ROOT/s/ends")" = "$(stat -c %s "$T/s/hole" "$T/s/ends")" ]
    cmp -n 10000000 "$T/s/ends" "$ROOT/s/ends"
    [ "$(tail -c 3 "$ROOT/s/ends")" = end ]
    # one by itself tells the digest of all its zeros
    truncate -s 40M "$T/one"
    echo x >>"$T/one"
    sent "$T/one" --preserve=+sparse
    [ "$(told .digest.value)" = "$(xxhsum -q -H2 "$T/one" | cut -d ' ' -f 1)" ]
    [ "$(du -k "$ROOT/one" | cut -f 1)" -le 64 ]
    cmp "$T/one" "$ROOT/one"
}

@test "a file with holes replaces one without, and the reverse" {
    mkdir "$T/s"
    make_file "$T/s/x" 3000000
    truncate -s 3000000 "$T/s/y"
    ctl -q send "$T/s" --preserve=+sparse
    mv "$T/s/x" "$T/s/z" && mv "$T/s/y" "$T/s/x" && mv "$T/s/z" "$T/s/y"
    ctl -q send "$T/s" --preserve=+sparse
    same --preserve mode,times,sparse "$T/s" s
}

@test "directories get their modes and times when all that is in them is there" {
    mkdir -p "$T/s/closed/in" "$T/s/open"
    echo x >"$T/s/closed/in/f"
    chmod 555 "$T/s/closed/in"
    chmod 0 "$T/s/closed"
    touch -d '2001-02-03 04:05:06.7' "$T/s/closed" "$T/s/open" "$T/s"
    if [ "$(id -u)" -ne 0 ]; then chmod 500 "$T/s/closed"; fi
    sent "$T/s"
    same "$T/s" s
    # also when they are there and can't be written
    echo y >>"$T/s/closed/in/f" 2>/dev/null || { chmod u+w "$T/s/closed/in/f"; echo y >>"$T/s/closed/in/f"; }
    sent "$T/s" --overwrite=changed
    same "$T/s" s
}

@test "a file that comes later into a directory with default lists has its own list alone" {
    mkdir "$T/s"
    echo a >"$T/s/a"
    setfacl -d -m u:12345:rwx "$T/s" || skip 'there are no access control lists here'
    ctl -q send "$T/s" --preserve=+acl
    (umask 077 && echo b >"$T/b" && mkdir "$T/d")
    mv "$T/b" "$T/d" "$T/s/"
    ctl -q send "$T/s" --preserve=+acl --overwrite=changed
    same --preserve mode,times,acl "$T/s" s
    # and one that is to have none, where the directory has some of its own
    mkdir "$T/t" "$ROOT/t"
    setfacl -d -m u:12345:rwx "$ROOT/t"
    (umask 077 && echo c >"$T/t/c")
    ctl -q send "$T/t" --preserve=+acl
    same --preserve mode,times,acl "$T/t" t
}

@test "what can't be kept is a warning with path and reason, and the file is stored" {
    need_root
    make_tree 1 attrs
    mkdir "$ROOT/small"
    # no extended attributes of users there
    mount -t ramfs xfer-test "$ROOT/small" || skip 'nothing can be mounted here'
    setfattr -n user.x -v 1 "$ROOT/small" 2>/dev/null && skip 'this file system keeps attributes'
    sent "$T/1" --preserve=all --to small/
    same "$T/1" small/1
    [ "$(told '.state, .exit_code, .files_failed')" = $'done\n0\n0' ]
    [ "$(told '[.warnings[] | select(.path == "attrs/f1")] | length')" -ge 1 ]
    [ "$(told '.warnings[] | select(.path == "attrs/f1") | .side')" = receiver ]
    [[ "$(told '.warnings[] | select(.path == "attrs/f1") | .message')" == *user.* ]]
}

@test "owners that nobody but root may give are a warning" {
    share_other_unprivileged
    mkdir "$T/s"
    echo x >"$T/s/f"
    chown -R 12345:12345 "$T/s"
    SENT=$("$XFERCTL" -s "$T/own/sock" --json -q send "$T/s" --preserve=+owner)
    end_other
    [ "$(told '.state, .exit_code')" = $'done\n0' ]
    [ "$(told '[.warnings[] | select(.path == "f")] | length')" -ge 1 ]
    cmp "$T/s/f" "$T/own/in/s/f"
}

# share_other_unprivileged: a daemon of nobody's beside the shared one, on $T/own/sock
share_other_unprivileged() {
    need_root
    chmod 755 "$D" "$T"
    install -d -o 65534 -g 65534 "$T/own"
    setpriv --reuid=65534 --regid=65534 --clear-groups -- test -x "$XFERD" || skip 'other users cannot reach the programs'
    setpriv --reuid=65534 --regid=65534 --clear-groups -- env XDG_RUNTIME_DIR="$T/own" XDG_STATE_HOME="$T/own" "$XFERD" -o control.socket="$T/own/sock" \
        -o queue.database="$T/own/queue.db" -o store.root="$T/own/in" >>"$LOG" 2>&1 </dev/null 3>&- &
    OTHER=$!
    within 30 other_is_ready
}
other_is_ready() { "$XFERCTL" -s "$T/own/sock" ping >/dev/null 2>&1; }
end_other() {
    kill -TERM "$OTHER"
    wait "$OTHER"
}
