# SPDX-License-Identifier: MIT
#
# The tools that prove trees: make-tree makes the same tree of the same seed, and same-tree notices whatever differs. No daemon.

setup_file() { PATH=$top_srcdir/tests/trees:$PATH; }

setup() {
    command -v python3 >/dev/null || skip 'python3 is not installed'
    command -v rsync >/dev/null || skip 'rsync is not installed'
    T=$(mktemp -d "${TMPDIR:-/tmp}/xt-XXXXXX")
}
teardown() {
    chmod -R u+rwX "$T"
    rm -rf "$T"
}

# A small tree with one of each, and a copy of it.
twins() {
    mkdir -p "$T/a/d/empty" "$T/a/e"
    echo one >"$T/a/f"
    echo two >"$T/a/d/f"
    ln "$T/a/d/f" "$T/a/d/g"
    ln -s f "$T/a/l"
    ln -s nothing "$T/a/d/dangling"
    head -c 8192 /dev/urandom >"$T/a/sparse"
    truncate -s 8M "$T/a/sparse"
    cp "$T/a/f" "$T/a/e/like-f"
    touch -h -d @1000000000.123456789 "$T/a/l" "$T/a/e/like-f"
    touch -d @1000000000.123456789 "$T/a/f" "$T/a/e"
    cp -a "$T/a" "$T/b"
    same-tree --all "$T/a" "$T/b"
}

# noticed TEXT COMMAND...: what the command does to the copy is told with that text. Afterwards it is as before. $FLAGS are the judge's.
noticed() {
    local text=$1
    shift
    rm -rf "$T/c"
    cp -a "$T/b" "$T/c"
    (cd "$T/c" && "$@")
    # only that is to be told
    [ -n "$KEEP_TOP" ] || touch -r "$T/a" "$T/c"
    # shellcheck disable=SC2086
    run same-tree ${FLAGS---all} "$T/a" "$T/c"
    echo "$*: $output"
    [ "$status" -eq 1 ] && [[ $output == *"$text"* ]]
}

# as before, for what must not be told
unnoticed() { ! noticed '' "$@" && [ "$status" -eq 0 ]; }

with_times_of() {
    local of=$1
    shift
    touch -r "$of" "$T/reference"
    "$@"
    touch -h -r "$T/reference" "$of"
}
in_place() { printf %s "$2" | dd of="$1" conv=notrunc bs=1 status=none; }

@test "a tree is the same for the same seed, and another one for another" {
    make-tree 7 "$T/1" 2>/dev/null
    make-tree 7 "$T/2" 2>/dev/null
    same-tree --all --special "$T/1" "$T/2"
    make-tree 8 "$T/3" plain names
    run same-tree "$T/1" "$T/3"
    [ "$status" -eq 1 ]
    run make-tree 7 "$T/1"
    [ "$status" -ne 0 ]
}

@test "every kind is made, alone as among others" {
    local kind
    make-tree 3 "$T/all" 2>/dev/null
    for kind in plain empty names deep links hardlinks sparse modes times special attrs acls owners; do
        make-tree 3 "$T/$kind" $kind 2>/dev/null
        same-tree --all --special "$T/all/$kind" "$T/$kind/$kind"
    done
    [ "$(find "$T/deep" -printf '%P\n' | awk '{ if (length > max) max = length } END { print max }')" -ge 3890 ]
    [ -n "$(find "$T/names" -name $'*\n*')" ]
    [ -n "$(find "$T/hardlinks" -links +2)" ]
    [ -n "$(find "$T/times" ! -newermt 1960-01-01)" ]
    [ -n "$(find "$T/times" -newermt 2200-01-01)" ]
    [ -n "$(find "$T/special" -type p)" ]
    [ "$(du -s "$T/sparse" | cut -f 1)" -lt $(($(du -s --apparent-size "$T/sparse" | cut -f 1) / 4)) ]
}

@test "the judge notices what is missing, and what is more" {
    twins
    noticed "'f': is missing" rm f
    noticed "'d/empty': is missing" with_times_of d rmdir d/empty
    noticed "'l': is missing" rm l
    noticed "'x': is there" touch x
    noticed "'d/.x': is there" mkdir d/.x
    noticed 'deleting' touch x
}

@test "the judge notices other contents, sizes, types and targets" {
    twins
    noticed 'rsync: >fc' with_times_of f in_place f eno
    noticed "'f': size" with_times_of f truncate -s 3 f
    noticed 'rsync: >fc' with_times_of sparse in_place sparse eno
    noticed "'l': leads to" with_times_of l ln -sfn g l
    noticed "'f': type" eval 'rm f; ln -s l f'
    noticed "'d/empty': type" with_times_of d eval 'rmdir d/empty; touch d/empty'
    noticed "'f': type" eval 'rm f; mkfifo f'
}

@test "the judge notices other times, by a nanosecond, of all that has some" {
    twins
    noticed "'f': time 1000000000123456789 and 1000000000123456788 ns" touch -d @1000000000.123456788 f
    noticed "'e': time" touch -d @1000000000.123456788 e
    noticed "'l': time" touch -h -d @1000000000.123456788 l
    KEEP_TOP=yes noticed "'.': time" touch -d @5 .
    FLAGS='--preserve mode,links' unnoticed touch -d @5 f e
    KEEP_TOP=yes FLAGS='--all --ignore-top' unnoticed touch -d @5 .
}

@test "the judge notices other modes, and set-id bits where there may be none" {
    twins
    FLAGS= noticed "'f': mode" chmod 640 f
    FLAGS= noticed "'e': mode" chmod 1755 e
    FLAGS= noticed "'f': mode 0644 and 4644" chmod u+s f
    FLAGS='--preserve times,links' unnoticed chmod 640 f
    chmod u+s "$T/a/f"
    FLAGS='--preserve mode,times,links' unnoticed true
    noticed "'f': mode 4644 and 0644" true
    FLAGS= noticed "'f': mode 0644 and 4644" chmod u+s f
}

@test "the judge notices other owners" {
    [ "$(id -u)" -eq 0 ] || skip 'needs root'
    twins
    noticed "'f': owner" chown 7 f
    noticed "'e': owner" chgrp 7 e
    noticed "'l': owner" chown -h 7:7 l
    FLAGS='--preserve mode,times,links' unnoticed chown 7 f e
}

@test "the judge notices other attributes and lists" {
    twins
    setfattr -n user.x -v 1 "$T/a/f" || skip 'there are no extended attributes here'
    setfattr -n user.x -v 1 "$T/b/f"
    noticed "'f': user.x is b'1' and b'2'" setfattr -n user.x -v 2 f
    noticed "'f': user.x is b'1' and None" setfattr -x user.x f
    noticed "'e': user.y is None and b''" setfattr -n user.y e
    FLAGS='--preserve mode,times,links' unnoticed setfattr -x user.x f
    setfacl -m u:77:r "$T/b/d/f" || skip 'there are no access control lists here'
    setfacl -m u:77:r "$T/a/d/f"
    noticed "'f': system.posix_acl_access" setfacl -m u:78:r f
    noticed "'d/f': system.posix_acl_access" setfacl -b d/f
    noticed "'e': system.posix_acl_default" setfacl -d -m u:78:r e
}

@test "the judge notices names that are no longer one file, and such that are" {
    twins
    noticed "'d/f': 2 names" with_times_of d with_times_of d/g eval 'cp d/g x; mv x d/g'
    noticed "'e/like-f': 2 names are one file only in the second tree" with_times_of e ln -f f e/like-f
    FLAGS= noticed "is one file with others" true
}

@test "the judge notices holes that were filled" {
    twins
    FLAGS='--preserve mode,times,links,sparse'
    noticed "'sparse': 2046 blocks" with_times_of sparse eval 'cp --sparse=never sparse x; mv x sparse'
    FLAGS='--preserve mode,times,links' unnoticed with_times_of sparse eval 'cp --sparse=never sparse x; mv x sparse'
}

@test "the judge refuses what is no directory, and to judge by what it doesn't know" {
    twins
    run same-tree "$T/a/f" "$T/b/f"
    [ "$status" -eq 1 ] && [[ $output == *'is no directory' ]]
    run same-tree "$T/a" "$T/none"
    [ "$status" -eq 1 ] && [[ $output == *'is no directory' ]]
    run same-tree --preserve mood "$T/a" "$T/b"
    [ "$status" -eq 2 ] && [[ $output == *'mood'* ]]
}
