# SPDX-License-Identifier: MIT
#
# Extended attributes and access control lists from end to end. What the file system of the test can't keep is skipped by name.

load xferd

setup_file() {
    share_xferd
    export HAS_XATTRS=
    : >"$D/probe"
    command -v setfattr getfattr setfacl getfacl >/dev/null && setfattr -n user.probe -v 1 "$D/probe" 2>/dev/null &&
        setfacl -m u:1:r "$D/probe" 2>/dev/null && HAS_XATTRS=1
    rm "$D/probe"
}
teardown_file() { unshare_xferd; }
setup() { begin_test; }
teardown() {
    # the daemon may keep a directory there open for a while
    for mount in $(awk -v d="$D/" 'index($2, d) == 1 {print $2}' /proc/mounts); do umount -l "$mount"; done
    end_test
}

needs_xattrs() { [ -n "$HAS_XATTRS" ] || skip 'needs attr and acl, and a file system with extended attributes and access control lists'; }

# same PATH PATH: what is beneath both has the same attributes and lists. All but the kernel's and its modules' own.
same() { diff <(attributes "$1") <(attributes "$2"); }
attributes() {
    (cd "$1" && find . -print0 | sort -z | xargs -0 getfattr -h -d -m '^(user|trusted|security\.[^s]|system\.posix)' -e hex --)
}

# send ARGUMENT...: the tree; the job object is in $JOB
send() { JOB=$(ctl --json -q send --preserve=+xattr,acl "$@" "$T/tree"); }

make_tree() {
    mkdir -p "$T/tree/sub/empty"
    echo one >"$T/tree/one"
    echo two >"$T/tree/sub/two"
    head -c 200000 /dev/urandom >"$T/tree/large"
    ln -s one "$T/tree/link"
    setfattr -n user.a -v "of the file" "$T/tree/one"
    setfattr -n user.big -v "$(head -c 1500 /dev/zero | tr '\0' x)" "$T/tree/sub/two"
    setfattr -n user.a "$T/tree/large"
    setfattr -n user.dir -v "of the directory" "$T/tree/sub"
    setfattr -n user.top -v 1 "$T/tree"
    setfacl -m u:1:rw,g:2:r "$T/tree/one" "$T/tree/large"
    setfacl -m u:1:rwx,d:u:1:rx,d:g:2:rwx "$T/tree/sub/empty"
}

@test "a single file has its attributes and lists" {
    needs_xattrs
    make_tree
    ctl -q send --preserve=+xattr,acl "$T/tree/one" "$T/tree/large"
    for name in one large; do
        diff <(getfattr -d -m - -e hex "$T/tree/$name" | tail -n +2) <(getfattr -d -m - -e hex "$ROOT/$name" | tail -n +2)
    done
}

@test "so have all files and directories of a tree" {
    needs_xattrs
    make_tree
    send
    same "$T/tree" "$ROOT/tree"
    [ "$(jq '.warnings | length' <<<"$JOB")" -eq 0 ]
}

@test "without being asked for none arrives" {
    needs_xattrs
    make_tree
    ctl -q send "$T/tree"
    [ -z "$(attributes "$ROOT/tree")" ]
}

@test "attributes alone are no lists, and the reverse" {
    needs_xattrs
    make_tree
    ctl -q send --preserve=+xattr --to x "$T/tree/one"
    ctl -q send --preserve=+acl --to a "$T/tree/one"
    getfattr -d -m - "$ROOT/x" | grep -q user.a
    ! getfattr -d -m - "$ROOT/x" | grep -q posix_acl
    ! getfattr -d -m - "$ROOT/a" | grep -q user.a
    getfattr -d -m - "$ROOT/a" | grep -q posix_acl
}

@test "what the source no longer has goes with the next run" {
    needs_xattrs
    make_tree
    send
    setfattr -x user.dir "$T/tree/sub"
    setfattr -n user.new -v n "$T/tree/sub/empty"
    setfacl -b "$T/tree/sub/empty" "$T/tree/one"
    send
    same "$T/tree" "$ROOT/tree"
}

@test "a run that looks for changes sees changed attributes, and sends nothing else" {
    needs_xattrs
    make_tree
    send --overwrite=changed
    send --overwrite=changed
    [ "$(jq .files_skipped <<<"$JOB")" -eq 4 ]
    setfattr -n user.a -v other "$T/tree/one"
    setfacl -m u:1:r "$T/tree/large"
    send --overwrite=changed
    same "$T/tree" "$ROOT/tree"
    [ "$(jq '.files_skipped, .bytes_done - .bytes_resumed' <<<"$JOB")" = $'4\n0' ]
}

@test "attributes of root alone arrive, of symbolic links as well" {
    needs_xattrs
    make_tree
    setfattr -n trusted.a -v t "$T/tree/one" 2>/dev/null || skip 'needs root'
    setfattr -h -n trusted.l -v l "$T/tree/link"
    send
    same "$T/tree" "$ROOT/tree"
    [ "$(getfattr -h --only-values -n trusted.l "$ROOT/tree/link")" = l ]
}

@test "file capabilities arrive with the owner alone" {
    needs_xattrs
    make_tree
    # version 2, cap_net_raw+ep
    setfattr -n security.capability -v 0x0100000200200000000000000000000000000000 "$T/tree/one" 2>/dev/null || skip 'needs root'
    ctl -q send --preserve=+xattr --to without "$T/tree/one"
    ctl -q send --preserve=+xattr,owner --to with "$T/tree/one"
    ! getfattr -n security.capability "$ROOT/without"
    getfattr -n security.capability "$ROOT/with"
}

@test "what can't be kept there is a warning, and the file is stored" {
    needs_xattrs
    [ "$(id -u)" -eq 0 ] || skip 'needs root, to mount a file system without attributes'
    make_tree
    mkdir "$ROOT/tree"
    mount -t ramfs xfer-test "$ROOT/tree" || skip 'no ramfs here'
    if setfattr -n user.probe -v 1 "$ROOT/tree" 2>/dev/null; then skip 'ramfs has attributes here'; fi
    send
    cmp "$T/tree/one" "$ROOT/tree/one"
    [ "$(jq -r .state <<<"$JOB")" = done ]
    jq -r '.warnings[] | select(.path == "one").message' <<<"$JOB" | grep 'xattr user.a: Operation not supported'
}

@test "more attributes than can be sent are a warning, and the file goes without" {
    needs_xattrs
    [ "$(id -u)" -eq 0 ] || skip 'needs root, to mount a file system that takes so many'
    mkdir "$T/tree"
    mount -t tmpfs xfer-test "$T/tree"
    head -c 60000 /dev/zero | tr '\0' x >"$D/value"
    echo one >"$T/tree/one"
    local i
    for i in 1 2 3 4 5 6 7 8 9; do
        setfattr -n user.$i -v "$(cat "$D/value")" "$T/tree/one" 2>/dev/null || skip 'tmpfs takes no such attributes here'
    done
    send
    [ "$(cat "$ROOT/tree/one")" = one ]
    jq -r '.warnings[0] | .path, .side, .message' <<<"$JOB" | grep -A 2 -x one | grep 'more than the 524288 bytes'
}
