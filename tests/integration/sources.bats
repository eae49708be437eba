# SPDX-License-Identifier: MIT
#
# What is sent: what is no file is refused at once, links are followed, and a file that changes on the way is not taken for what it was.

load xferd

setup_file() {
    share_xferd
    make_file "$D/f" 3000000
    ctl send "$D/f" >/dev/null
    rm "$ROOT/f"
    DESCRIPTORS=$(descriptors)
    export DESCRIPTORS
}
teardown_file() { unshare_xferd; }
setup() { begin_test; }
teardown() { end_test; }

SIXTEEN_MIB=16777216

# refused EXIT-CODE NAME SOURCE: by the sender; nothing comes of it
refused() {
    fails "$1" "$2" send "$3" --timeout 20
    [ "$(error_field .side)" = sender ]
    [ "$(error_field .path)" = "$3" ]
    only_files
    still_serves
}

@test "a source that is missing" {
    refused 5 NoSuchFile "$T/none"
    [ "$(error_field .errno)" -eq 2 ]
}

@test "a source in a directory that is missing" {
    refused 5 NoSuchFile "$T/none/none"
}

@test "a source beneath a file" {
    : >"$T/f"
    refused 1 NotDirectory "$T/f/g"
}

@test "a source that is missing makes no parents of its destination" {
    fails 5 NoSuchFile send "$T/none" --to a/b/c
    only_files
}

@test "a directory of the kernel's making" {
    refused 4 PermissionDenied /proc
}

@test "a FIFO is refused and not opened" {
    local writer
    mkfifo "$T/fifo"
    echo x >"$T/fifo" 3>&- &
    writer=$!
    refused 1 NotRegular "$T/fifo"
    # it would have gone on when somebody had opened the other end
    kill -0 $writer
    kill $writer
}

@test "a socket" {
    python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$T/socket"
    refused 1 NotRegular "$T/socket"
}

@test "devices" {
    refused 1 NotRegular /dev/zero
    refused 1 NotRegular /dev/null
    refused 1 NotRegular /dev/tty
}

@test "a file of /proc is refused and not taken for empty, by whatever path" {
    refused 4 PermissionDenied /proc/self/status
    refused 4 PermissionDenied /proc/self/root/proc/1/environ
    ln -s /proc/self/environ "$T/link"
    refused 4 PermissionDenied "$T/link"
    [[ $(jq -r .error.message <<<"$FAILURE") == *"uid $(id -u)"* ]]
}

@test "the queue of the daemon is refused, by whatever name" {
    refused 4 PermissionDenied "$D/queue.db"
    refused 4 PermissionDenied "$D/queue.db-wal"
    ln "$D/queue.db" "$T/hard"
    refused 4 PermissionDenied "$T/hard"
}

@test "what the receiver keeps for itself is refused" {
    refused 4 PermissionDenied "$ROOT/.xfer/lock"
}

@test "a symbolic link is followed and keeps its name" {
    echo contents >"$T/file"
    chmod 640 "$T/file"
    ln -s file "$T/link"
    ln -s "$T/link" "$T/link2"
    ctl send "$T/link" "$T/link2"
    only_files link link2
    [ "$(stat -c %F "$ROOT/link")" = 'regular file' ]
    [ "$(stat -c %a "$ROOT/link")" = 640 ]
    cmp "$T/file" "$ROOT/link"
    cmp "$T/file" "$ROOT/link2"
    still_serves
}

@test "a link through a directory that is a link" {
    mkdir "$T/d"
    echo contents >"$T/d/f"
    ln -s d "$T/e"
    ctl send "$T/e/f"
    cmp "$T/d/f" "$ROOT/f"
}

@test "a dangling symbolic link" {
    ln -s none "$T/link"
    refused 5 NoSuchFile "$T/link"
}

@test "symbolic links in a circle" {
    ln -s b "$T/a"
    ln -s a "$T/b"
    fails 4 UnsafePath send "$T/a" --timeout 20
    [ "$(error_field .errno)" -eq 40 ]
    only_files
    still_serves
}

@test "a symbolic link to what is no file" {
    mkfifo "$T/fifo"
    ln -s fifo "$T/link"
    ln -s /proc "$T/link2"
    refused 1 NotRegular "$T/link"
    refused 4 PermissionDenied "$T/link2"
}

@test "slashes at the end of a source mean nothing" {
    echo contents >"$T/f"
    ctl send "$T/f//"
    cmp "$T/f" "$ROOT/f"
    only_files f
}

@test "a relative source is taken from where xferctl runs" {
    echo contents >"$T/f"
    cd "$T"
    ctl send f
    ctl send ./f --to g
    ctl send ../t/f --to h
    only_files f g h
    cmp f "$ROOT/h"
}

@test "the socket takes no relative source" {
    run raw '{"id":1,"method":"transfer.submit","params":{"source":"f"}}'
    [ "$(jq .error.code <<<"$output")" -eq -32602 ]
    only_files
}

@test "one that is missing among others is the only one that fails" {
    echo one >"$T/1"
    echo three >"$T/3"
    run ctl send "$T/1" "$T/2" "$T/3"
    echo "$output"
    [ "$status" -eq 5 ]
    only_files 1 3
    cmp "$T/3" "$ROOT/3"
}

@test "a file is sent onto itself" {
    make_file "$ROOT/f" 5000000
    cp "$ROOT/f" "$T/f"
    ctl send "$ROOT/f"
    cmp "$T/f" "$ROOT/f"
    only_files f
    still_serves
}

# ---- mode and times

@test "permissions arrive with the sticky bit, set-id bits do not without the owner" {
    local mode expected
    for mode in 600 640 644 755 700 444 400 6755 4711 2750 1644 7444; do
        : >"$T/$mode"
        chmod $mode "$T/$mode"
    done
    ctl send --sync=none "$T"/*
    for mode in 600 640 644 755 700 444 400 6755 4711 2750 1644 7444; do
        expected=$(printf '%o' $((8#$mode & 8#1777)))
        [ "$(stat -c %a "$ROOT/$mode")" = "$expected" ]
    done
    still_serves
}

@test "set-id bits of what is replaced are gone, too" {
    : >"$T/f"
    : >"$ROOT/f"
    chmod 6755 "$ROOT/f"
    chmod 755 "$T/f"
    ctl send "$T/f"
    [ "$(stat -c %a "$ROOT/f")" = 755 ]
}

@test "the modification time arrives to the nanosecond, long ago and far ahead" {
    local time
    for time in 1234567890.123456789 0.000000001 1.999999999 -86400.5 4102444800.000000007; do
        : >"$T/$time"
        touch -d "@$time" "$T/$time"
    done
    ctl send --sync=none -- "$T"/*
    for time in 1234567890.123456789 0.000000001 1.999999999 -86400.5 4102444800.000000007; do
        [ "$(stat -c %.9Y "$ROOT/$time")" = "$(stat -c %.9Y "$T/$time")" ]
    done
    [ "$(stat -c %.9Y "$ROOT/1234567890.123456789")" = 1234567890.123456789 ]
}

@test "sending does not change the source, not even when it was read last" {
    make_file "$T/f" 300000
    touch -a -d '2001-02-03' "$T/f"
    touch -m -d '2001-02-04' "$T/f"
    local before
    before=$(stat -c '%s %Y %Z %a %h' "$T/f")
    ctl send "$T/f"
    [ "$(stat -c '%s %Y %Z %a %h' "$T/f")" = "$before" ]
}

# ---- changes on the way

# changed COMMAND...: done to $T/f while it is being sent; the attempt fails, and nothing comes of it
changed() {
    make_file "$T/f" $SIXTEEN_MIB
    cp "$T/f" "$T/other"
    touch -d '2001-02-03 04:05:06.7' "$T/f"
    begin_stalled --retries=0 "$T/f"
    "$@"
    kill -CONT "$RANK1"
    fails 1 SourceChanged wait "$JOB"
    [ "$(error_field .side)" = sender ]
    [ "$(error_field .path)" = "$T/f" ]
    [ "$(error_field .retryable)" = true ]
    only_files
    still_serves
}

rewrite_in_place() { printf new | dd of="$T/f" conv=notrunc bs=1 seek=100 status=none; }
rewrite_at_the_end() { printf new | dd of="$T/f" conv=notrunc bs=1 seek=$((SIXTEEN_MIB - 3)) status=none; }
rewrite_and_set_back_the_time() { rewrite_in_place && touch -d '2001-02-03 04:05:06.7' "$T/f"; }
write_beside_and_rename() { mv "$T/other" "$T/f"; }
truncate_and_write_again() { cat "$T/other" >"$T/f"; }
move_the_directory() { mkdir "$T/d" && mv "$T/f" "$T/d/f"; }

@test "a source that becomes shorter" { changed truncate -s 5M "$T/f"; }
@test "a source that becomes empty" { changed truncate -s 0 "$T/f"; }
@test "a source that loses its last byte" { changed truncate -s $((SIXTEEN_MIB - 1)) "$T/f"; }
@test "a source that grows by one byte" { changed truncate -s $((SIXTEEN_MIB + 1)) "$T/f"; }
@test "a source that grows a lot" { changed truncate -s 64M "$T/f"; }
@test "a source that is rewritten in place" { changed rewrite_in_place; }
@test "a source that is rewritten where it was not yet read" { changed rewrite_at_the_end; }
@test "a source that is rewritten in place and given its old time" { changed rewrite_and_set_back_the_time; }
@test "a source that is truncated and written again with what it had" { changed truncate_and_write_again; }
@test "a source that is replaced by a copy of the same size" { changed write_beside_and_rename; }
@test "a source that is removed" { changed rm "$T/f"; }
@test "a source that is renamed" { changed mv "$T/f" "$T/g"; }

@test "a source that becomes shorter when a part of it is stored already" {
    truncate -s 800M "$T/f"
    echo old >"$ROOT/g"
    begin_halfway --retries=0 "$T/f" --to g
    truncate -s 700M "$T/f"
    kill -CONT "$RANK1"
    fails 1 SourceChanged wait "$JOB"
    [ "$(cat "$ROOT/g")" = old ]
    only_files g
    still_serves
}

@test "a link that leads elsewhere at the end" {
    make_file "$T/f" $SIXTEEN_MIB
    make_file "$T/g" $SIXTEEN_MIB
    ln -s f "$T/link"
    begin_stalled --retries=0 "$T/link"
    ln -sfn g "$T/link"
    kill -CONT "$RANK1"
    fails 1 SourceChanged wait "$JOB"
    only_files
    still_serves
}

@test "a source that changed leaves what it was to replace" {
    make_file "$T/f" $SIXTEEN_MIB
    echo old >"$ROOT/f"
    begin_stalled --retries=0 "$T/f"
    truncate -s 1 "$T/f"
    kill -CONT "$RANK1"
    fails 1 SourceChanged wait "$JOB"
    [ "$(cat "$ROOT/f")" = old ]
    only_files f
}

@test "a source that changed can be sent again" {
    make_file "$T/f" $SIXTEEN_MIB
    begin_stalled --retries=0 "$T/f"
    truncate -s 1M "$T/f"
    kill -CONT "$RANK1"
    fails 1 SourceChanged wait "$JOB"
    ctl send "$T/f"
    cmp "$T/f" "$ROOT/f"
    only_files f
}

@test "a source that changed is sent again by itself, from its beginning" {
    truncate -s 800M "$T/f"
    echo old >"$ROOT/g"
    begin_halfway "$T/f" --to g
    make_file "$T/h" $SIXTEEN_MIB
    cat "$T/h" | dd of="$T/f" conv=notrunc status=none
    kill -CONT "$RANK1"
    ctl wait "$JOB"
    [ "$(job_field "$JOB" '"\(.attempts) \(.bytes_resumed) \(.bytes_done)"')" = "2 0 838860800" ]
    cmp "$T/f" "$ROOT/g"
    only_files g
}

@test "a source that is removed on the way is not waited for" {
    make_file "$T/f" $SIXTEEN_MIB
    begin_stalled "$T/f"
    rm "$T/f"
    kill -CONT "$RANK1"
    fails 5 NoSuchFile wait "$JOB"
    [ "$(job_field "$JOB" .attempts)" -eq 2 ]
    only_files
}

@test "a file that is written all the time is refused or whole, and stops nobody" {
    (for _ in {1..400}; do head -c 65536 /dev/zero >>"$T/log"; done) 3>&- &
    local writer=$! status
    while kill -0 $writer 2>/dev/null; do
        status=0
        ctl send "$T/log" >/dev/null 2>&1 || status=$?
        [ $status -eq 0 ] || [ $status -eq 1 ] || [ $status -eq 5 ]
    done
    ctl send "$T/log"
    cmp "$T/log" "$ROOT/log"
    still_serves
}

@test "the source is read when its job runs" {
    make_file "$T/f" $SIXTEEN_MIB
    echo before >"$T/g"
    begin_stalled "$T/f" --to same
    local second
    second=$(ctl send --no-wait "$T/g" --to same)
    job_is "$second" queued
    echo afterwards >"$T/h"
    mv "$T/h" "$T/g"
    kill -CONT "$RANK1"
    ctl wait "$JOB" "$second"
    [ "$(cat "$ROOT/same")" = afterwards ]
    only_files same
}

# ---- other file systems

@test "a source on tmpfs, small and large, with mode and time" {
    [ "$(stat -f -c %T /dev/shm)" = tmpfs ] || skip '/dev/shm is no tmpfs'
    local there f
    there=$(mktemp -d /dev/shm/xt-XXXXXX)
    echo "$there" >"$T/there"
    make_file "$there/small" 1000
    make_file "$there/large" 5000001
    chmod 640 "$there/large"
    touch -d @1234567890.123456789 "$there/large"
    ctl send "$there/small" "$there/large"
    for f in small large; do cmp "$there/$f" "$ROOT/$f"; done
    [ "$(stat -c '%a %.9Y' "$ROOT/large")" = '640 1234567890.123456789' ]
    make_file "$there/f" $SIXTEEN_MIB
    begin_stalled --retries=0 "$there/f" --to g
    truncate -s 5M "$there/f"
    kill -CONT "$RANK1"
    fails 1 SourceChanged wait "$JOB"
    only_files small large
    rm -r "$there"
    still_serves
}

@test "no descriptor is left open by any of these" {
    descriptors_as_before() { [ "$(descriptors)" -le "$DESCRIPTORS" ]; }
    echo "$(descriptors) now, $DESCRIPTORS at first"
    within 5 descriptors_as_before
}
