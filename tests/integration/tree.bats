# SPDX-License-Identifier: MIT
#
# Whole trees: what arrives is what was there, again and again, and only what was to be sent is sent.

load xferd
load tree

setup_file() { share_xferd; }
teardown_file() { unshare_xferd; }
setup() {
    need_judge
    begin_test
}
teardown() {
    end_test
    check_shared
}

# A small tree that is the same each time: six files of 3107 bytes, a link, three directories.
some_tree() {
    mkdir -p "$T/s/d/e" "$T/s/empty"
    cd "$T/s" || return
    seq 100 199 >a.c
    seq 1000 1099 >d/b.c
    seq 1 9 >d/e/c.h
    head -c 2187 /dev/urandom >big
    : >nothing
    echo x >d/x~
    ln -s d/b.c link
    find . -exec touch -h -d '2021-02-03 04:05:06.123456789' {} +
    cd "$OLDPWD" || return
}

# ---- faithfully ----

@test "odd trees arrive as they are" {
    for seed in 1 2 3; do
        make_tree $seed plain empty names links modes times
        sent "$T/$seed"
        same "$T/$seed" $seed
        [ "$(told '.state, .error, .files_failed, .files_skipped')" = $'done\nnull\n0\n0' ]
        [ "$(told .files_total)" -eq "$(jq '.files + .links' "$T/made")" ]
        [ "$(told .files_done)" -eq "$(told .files_total)" ]
        [ "$(told .bytes_total)" -eq "$(jq .bytes "$T/made")" ]
        [ "$(told .bytes_done)" -eq "$(told .bytes_total)" ]
        [ "$(told '.errors | length')" -eq 0 ]
    done
    no_leftovers
}

@test "paths arrive up to the longest, and directories inside each other by the thousand" {
    make_tree 1 deep deepest
    sent "$T/1"
    same "$T/1" 1
}

@test "ten thousand entries in one directory" {
    make_tree 1 wide
    sent "$T/1"
    same "$T/1" 1
    sent "$T/1" --overwrite changed
    counts 9500 0 9500 0
}

@test "a real tree of this machine" {
    local dir
    dir=$(du --inodes -d 1 /usr/share 2>/dev/null | awk '$1 <= 3000 && $2 != "/usr/share" && $1 > most { most = $1; dir = $2 } END { print dir }')
    [ -n "$dir" ] || skip 'there is nothing suitable in /usr/share'
    sent "$dir" --to real
    same "$dir" real
    sent "$dir" --to real --overwrite changed
    [ "$(told .files_skipped)" -eq "$(told .files_total)" ]
    sent_nothing
}

@test "a checkout of this project" {
    git -c safe.directory='*' -C "$top_srcdir" rev-parse HEAD >/dev/null 2>&1 || skip 'this is no git checkout'
    mkdir "$T/checkout"
    git -c safe.directory='*' -C "$top_srcdir" archive HEAD | tar -x -C "$T/checkout"
    git -C "$T/checkout" init -q
    git -C "$T/checkout" add .
    git -C "$T/checkout" -c user.name=x -c user.email=x@example.org commit -q -m x
    sent "$T/checkout"
    same "$T/checkout" checkout
    [ -z "$(git -c safe.directory='*' -C "$ROOT/checkout" status --porcelain)" ]
}

@test "an empty directory" {
    mkdir -m 1711 "$T/empty"
    touch -d @-1.5 "$T/empty"
    sent "$T/empty" --to a/b/
    same "$T/empty" a/b/empty
    counts 0 0 0 0
    [ "$(told '.state, .bytes_total')" = $'done\n0' ]
}

@test "FIFOs, sockets and devices are left out with a warning each, and fail nothing" {
    make_tree 1 special
    sent "$T/1"
    same "$T/1" 1
    [ "$(told '.warnings | length')" -eq "$(jq .special "$T/made")" ]
    [ "$(told '.warnings[] | select(.path == "special/fifo") | .message')" ]
    [ "$(told '.files_failed, .exit_code')" = $'0\n0' ]
}

# ---- which name ----

@test "the names that a directory gets" {
    some_tree
    ln -s s "$T/by-link"
    ctl -q send "$T/s/"
    ctl -q send "$T/s" --to new/name
    ctl -q send "$T/s" --to into/
    # keeps the link's name, and is what the link leads to
    ctl -q send "$T/by-link"
    for dest in s new/name into/s by-link; do same "$T/s" $dest; done
    [ ! -L "$ROOT/by-link" ]
}

@test "a directory that is there already is filled, and keeps what else is in it" {
    some_tree
    mkdir -p "$ROOT/s/d/more"
    echo other >"$ROOT/s/d/b.c"
    echo mine >"$ROOT/s/mine"
    sent "$T/s"
    cmp "$T/s/d/b.c" "$ROOT/s/d/b.c"
    [ "$(cat "$ROOT/s/mine")" = mine ]
    rm -r "$ROOT/s/d/more" "$ROOT/s/mine"
    same --ignore-top "$T/s" s || { touch -r "$T/s/d" "$ROOT/s/d" && same --ignore-top "$T/s" s; }
}

@test "jobs with the same or nested destinations go one after the other, trees too" {
    some_tree
    echo last >"$T/last"
    echo first >"$T/first"
    ctl pause
    ctl send --no-wait "$T/first" --to s/d/b.c >>"$T/jobs"
    ctl send --no-wait "$T/s" >>"$T/jobs"
    ctl send --no-wait "$T/last" --to s/a.c >>"$T/jobs"
    ctl send --no-wait "$T/s/d" --to s/d/e/again >>"$T/jobs"
    ctl send --no-wait "$T/last" --to s/d/e/again/x~ >>"$T/jobs"
    ctl resume
    # shellcheck disable=SC2046
    ctl -q wait $(cat "$T/jobs")
    cmp "$T/s/d/b.c" "$ROOT/s/d/b.c"
    [ "$(cat "$ROOT/s/a.c" "$ROOT/s/d/e/again/x~")" = $'last\nlast' ]
    cmp "$T/s/d/b.c" "$ROOT/s/d/e/again/b.c"
}

# ---- what is sent again ----

@test "an unchanged tree is not sent again with overwrite=changed" {
    local before
    make_tree 1 plain empty names links modes times
    ctl -q send "$T/1"
    before=$(snapshot)
    sent "$T/1" --overwrite changed
    [ "$(told .files_skipped)" -eq "$(told .files_total)" ]
    [ "$(told '.files_done, .files_failed')" = $'0\n0' ]
    [ "$(jq '.files + .links' "$T/made")" -eq "$(told .files_total)" ]
    sent_nothing
    # not even written again: inodes and times of change are those of before, but for directories whose mode and times were set
    [ "$(grep -v '^[^ ]* d ' <<<"$before" | grep -vF $'\n')" = "$(grep -v '^[^ ]* d ' <<<"$(snapshot)" | grep -vF $'\n')" ]
    same "$T/1" 1
}

@test "overwrite=changed sends what has another size or another time, and nothing else" {
    some_tree
    ctl -q send "$T/s"
    echo more >>"$T/s/d/b.c"
    touch -d '2021-02-03 04:05:06.123456789' "$T/s/d/b.c"
    touch -d '2021-02-03 04:05:06.123456788' "$T/s/a.c"
    # same size, same time, other content: is taken for the same
    tr 1 2 <"$T/s/d/e/c.h" >"$T/c.h"
    touch -r "$T/s/d/e/c.h" "$T/c.h"
    cp -p "$T/c.h" "$T/s/d/e/c.h"
    echo new >"$T/s/new"
    ln -sfn d/e/c.h "$T/s/link"
    sent "$T/s" --overwrite changed
    counts 8 4 4 0
    cmp "$T/s/d/b.c" "$ROOT/s/d/b.c"
    [ "$(readlink "$ROOT/s/link")" = d/e/c.h ]
    cmp "$T/c.h" "$T/s/d/e/c.h"
    [ "$(cat "$ROOT/s/d/e/c.h")" != "$(cat "$T/c.h")" ]
    # and is noticed by its content
    sent "$T/s" --overwrite changed --checksum
    counts 8 1 7 0
    same "$T/s" s
}

@test "a file that is the same but for its mode is compared, and its mode alone is set" {
    local before
    some_tree
    ctl -q send "$T/s"
    chmod 0751 "$T/s/big" "$T/s/a.c"
    sent "$T/s" --overwrite changed --dry-run
    [ "$(ctl plan "$JOB" | grep -v '^keep' | LC_ALL=C sort)" = $'set  file  2187  big\nset  file  400  a.c' ]
    # of what is newer there nothing is set
    touch -d 2031-01-01 "$ROOT/s/a.c"
    chmod 0600 "$ROOT/s/a.c"
    before=$(stat -c %i "$ROOT/s/big")
    sent "$T/s" --overwrite newer
    counts 7 0 7 0
    sent_nothing
    [ "$(stat -c %a "$ROOT/s/big" "$ROOT/s/a.c")" = $'751\n600' ]
    sent "$T/s" --overwrite changed
    counts 7 1 6 0
    [ "$(stat -c %i "$ROOT/s/big")" = "$before" ]
    # another content, which size and time don't tell, comes to light by that
    chmod 0600 "$T/s/a.c"
    touch -r "$T/s/a.c" "$T/stamp"
    tr 1 9 <"$T/s/a.c" >"$T/other"
    cat "$T/other" >"$T/s/a.c"
    touch -r "$T/stamp" "$T/s/a.c"
    sent "$T/s" --overwrite changed
    counts 7 1 6 0
    cmp "$T/s/a.c" "$ROOT/s/a.c"
    chmod 0640 "$T/s/big"
    before=$(stat -c %i "$ROOT/s/big")
    # nothing is read for a plan
    sent "$T/s" --overwrite changed --checksum --dry-run
    [ "$(ctl plan "$JOB" | grep -c '^replace  file')" -eq 6 ]
    sent "$T/s" --overwrite changed --checksum
    sent_nothing
    [ "$(stat -c '%i %a' "$ROOT/s/big")" = "$before 640" ]
    same "$T/s" s
}

@test "overwrite=newer leaves what is newer at the destination" {
    some_tree
    ctl -q send "$T/s"
    echo theirs >"$ROOT/s/a.c"
    echo older >"$ROOT/s/d/b.c"
    touch -d 2001-01-01 "$ROOT/s/d/b.c"
    sent "$T/s" --overwrite newer
    counts 7 1 6 0
    [ "$(cat "$ROOT/s/a.c")" = theirs ]
    cmp "$T/s/d/b.c" "$ROOT/s/d/b.c"
}

@test "overwrite=never leaves what is there, and sends what is missing" {
    some_tree
    mkdir -p "$ROOT/s/d"
    echo theirs >"$ROOT/s/a.c"
    ln -s nowhere "$ROOT/s/d/b.c"
    sent "$T/s" --overwrite never
    counts 7 5 2 0
    [ "$(cat "$ROOT/s/a.c")" = theirs ]
    [ "$(readlink "$ROOT/s/d/b.c")" = nowhere ]
    cmp "$T/s/big" "$ROOT/s/big"
}

@test "overwrite=replace sends all again" {
    some_tree
    ctl -q send "$T/s"
    sent "$T/s"
    # but for the link, which there is no need to make again
    counts 7 6 1 0
    [ "$(told '.bytes_total, .bytes_done, .bytes_resumed')" = $'3107\n3107\n0' ]
    same "$T/s" s
}

@test "single files know overwrite=changed and newer, too" {
    echo one >"$T/f"
    touch -d '2021-02-03 04:05:06.123456789' "$T/f"
    sent "$T/f" --overwrite changed
    counts 1 1 0 0
    [ "$(told .digest.value)" = "$(xxhsum -q -H2 "$T/f" | cut -d ' ' -f 1)" ]
    sent "$T/f" --overwrite changed
    counts 1 0 1 0
    echo two >"$T/f"
    sent "$T/f" --overwrite newer
    counts 1 1 0 0
    cmp "$T/f" "$ROOT/f"
    touch -d 2001-01-01 "$T/f"
    sent "$T/f" --overwrite newer
    counts 1 0 1 0
    fails 6 DestinationExists send "$T/f" --overwrite never
}

# ---- what would be sent ----

@test "a dry run changes nothing, and what it lists is what then happens" {
    local before
    some_tree
    ctl -q send "$T/s"
    echo more >>"$T/s/a.c"
    echo new >"$T/s/d/new"
    mkdir "$T/s/dir"
    ln -s x "$T/s/dir/l"
    before=$(snapshot)
    sent "$T/s" --overwrite changed --dry-run
    [ "$(told '.state, .dry_run')" = $'done\ntrue' ]
    [ "$(snapshot)" = "$before" ]
    no_leftovers
    call transfer.plan "{\"job\":$JOB}" >"$T/plan"
    # which is what the waiting send prints, too
    [ "$(jq -c .entries "$T/plan")" = "$(jq -c .entries <<<"$PLAN")" ]
    [ "$(jq -r '.entries[] | select(.type != "directory" and .action != "keep") | .action + " " + .type + " " + .path' "$T/plan" |
        LC_ALL=C sort)" = $'replace file a.c\nsend file d/new\nsend link dir/l' ]
    [ "$(jq -r '.entries[] | select(.action == "make") | .path' "$T/plan")" = dir ]
    [ "$(jq -r '.entries[] | select(.path == "a.c") | .size' "$T/plan")" -eq "$(stat -c %s "$T/s/a.c")" ]
    sent "$T/s" --overwrite changed
    counts 9 3 6 0
    sent "$T/s" --overwrite changed --dry-run
    [ -z "$(call transfer.plan "{\"job\":$JOB}" | jq -r '.entries[] | select(.type != "directory" and .action != "keep")')" ]
}

@test "a plan is told page by page" {
    local i after=0 page
    mkdir "$T/s"
    for i in $(seq 24); do : >"$T/s/$i"; done
    sent "$T/s" --dry-run
    while :; do
        page=$(call transfer.plan "{\"job\":$JOB,\"after\":$after,\"limit\":10}")
        [ "$(jq '.entries | length <= 10' <<<"$page")" = true ]
        jq -r '.entries[].path' <<<"$page" >>"$T/paths"
        [ "$(jq -r .more <<<"$page")" = true ] || break
        after=$(jq '.entries[-1].n' <<<"$page")
        [ "$(wc -l <"$T/paths")" -le 25 ]
    done
    # the directory itself has no name
    [ "$(sort -n "$T/paths" | tr '\n' ' ')" = " $(seq 24 | tr '\n' ' ')" ]
}

# fails_alike STATUS TEXT ARGUMENT...: of send, with and without a dry run
fails_alike() {
    local wanted=$1 text=$2 dry
    shift 2
    for dry in '' -n; do
        run ctl send $dry "$@"
        echo "$output"
        [ "$status" -eq "$wanted" ]
        [[ $output == *"$text"* ]]
    done
}

@test "a dry run of a file that may not be replaced fails as the run would" {
    some_tree
    ctl -q send "$T/s/a.c"
    fails_alike 6 'a.c: the destination exists' --overwrite=never "$T/s/a.c"
    # and so does one of a file where a directory is
    mkdir "$ROOT/big"
    fails_alike 1 'there is a directory at the destination' --overwrite=changed "$T/s/big"
}

@test "plans of several sources are told apart" {
    some_tree
    ctl send -n "$T/s/d" "$T/s/big" --to x/ >"$T/plans"
    cat "$T/plans"
    [ "$(sed -n '1p; $p' "$T/plans")" = "$T/s/d:"$'\n''send  file  2187  .' ]
    [ "$(grep -B 1 -A 1 "^$T/s/big:$" "$T/plans")" = $'\n'"$T/s/big:"$'\n''send  file  2187  .' ]
    ctl send -n "$T/s/big" >"$T/plan"
    [ "$(cat "$T/plan")" = 'send  file  2187  .' ]
}

@test "a dry run to where nothing is makes nothing" {
    some_tree
    sent "$T/s" --to a/b/ --dry-run
    only_files
    [ "$(call transfer.plan "{\"job\":$JOB}" | jq '[.entries[] | select(.action == "send")] | length')" -eq 7 ]
    sent "$T/s/a.c" --dry-run
    only_files
}
