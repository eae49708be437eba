# SPDX-License-Identifier: MIT
#
# send --files-from: what a list names of a directory is sent, and nothing else; the daemon keeps the list for as long as the job.

load xferd

setup_file() {
    share_xferd
    mkdir -p "$D/src/dir/deep" "$D/src/other"
    for name in a b 'with blank' dir/c dir/deep/d other/e $'new\nline'; do echo "$name" >"$D/src/$name"; done
    ln -s a "$D/src/link"
}
teardown_file() { unshare_xferd; }
setup() {
    begin_test
    DEST=$BATS_TEST_NUMBER
    cd "$T"
}
teardown() { end_test; check_shared; }

# list TEXT: T/list, with that as by printf
list() { printf "$1" >"$T/list"; }

# send_list ARGUMENT...: STATUS, OUT, ERR of sending D/src by T/list to ROOT/DEST
send_list() {
    STATUS=0
    ctl send --files-from "$T/list" "$D/src" --to "$DEST" "$@" >"$T/out" 2>"$T/err" || STATUS=$?
    OUT=$(cat "$T/out")
    ERR=$(cat "$T/err")
    echo "status $STATUS, stdout: $OUT, stderr: $ERR"
}

# arrived NAME...: these files and links are at the destination, and no others
arrived() {
    (cd "$ROOT/$DEST" && find . ! -type d -printf '%P\0' | LC_ALL=C sort -z) >"$T/there"
    printf '%s\0' "$@" | LC_ALL=C sort -z | cmp - "$T/there"
}

# lists: how many the daemon keeps
lists() { find "$D/queue.db.lists" -type f 2>/dev/null | wc -l; }

@test "what the lines of a list name is sent as one job, directories with all that is in them" {
    list 'a\nwith blank\n\ndir\nlink'
    send_list
    [ "$STATUS" -eq 0 ]
    [ "$(wc -l <"$T/out")" -eq 1 ]
    arrived a 'with blank' dir/c dir/deep/d link
    [ "$(ctl --json status "${OUT%% *}" | jq '.files_from, .files_total')" = $'true\n5' ]
    grep -qx 'files from    a list' <(ctl status "${OUT%% *}")
}

@test "a list with a NUL is ended by NULs, with or without the last one" {
    list 'new\nline\0b\0'
    send_list
    [ "$STATUS" -eq 0 ]
    arrived b $'new\nline'
    list 'a\0b'
    send_list
    [ "$STATUS" -eq 0 ]
    arrived a b $'new\nline'
}

@test "- is standard input" {
    printf 'dir/c\n./other//e\n' | ctl send --files-from - "$D/src" --to "$DEST"
    arrived dir/c other/e
}

@test "what is wrong with a path of the list fails by its name, and the rest arrives" {
    list 'a\n/etc/passwd\n../src/b\nnone\n'
    send_list
    [ "$STATUS" -eq 1 ]
    arrived a
    [[ $ERR == *'"/etc/passwd" is absolute'* ]]
    [[ $ERR == *'"../src/b" has a ".." component'* ]]
    [[ $ERR == *none* ]]
    [ "$(ctl --json status "${OUT%% *}" | jq -r '.error.data.name, .files_failed')" = $'Incomplete\n3' ]
}

@test "a list that can't be one is refused before anything is asked" {
    local before=$(call transfer.list '{"limit":1000}' | jq '.jobs | length')
    list ''
    send_list
    [ "$STATUS" -eq 2 ]
    [[ $ERR == *'--files-from: '*'names no file'* ]]
    list '\n\n'
    send_list
    [ "$STATUS" -eq 2 ]
    run ctl send --files-from "$D/src" "$D/src"
    [ "$status" -eq 2 ]
    [[ $output == *'is a directory, not a list of files'* ]]
    run ctl send --files-from "$T/none" "$D/src"
    [ "$status" -eq 5 ]
    run ctl send --files-from "$T/list" "$D/src" "$D/src/dir"
    [ "$status" -eq 2 ]
    [[ $output == *'--files-from is for one source'* ]]
    [ "$(call transfer.list '{"limit":1000}' | jq '.jobs | length')" -eq "$before" ]
}

@test "a list longer than the limit is refused" {
    truncate -s 4294967297 "$T/list" || skip 'no file of that size'
    run ctl send --files-from "$T/list" "$D/src"
    echo "$output"
    [ "$status" -eq 2 ]
    [[ $output == *'longer than 4294967296 bytes'* ]]
}

@test "a long list goes by a temporary file" {
    { printf 'a\n'; yes "$(printf 'b/%0200d' 0)" | head -n 90000; } >"$T/list"
    [ "$(stat -c %s "$T/list")" -gt 16777216 ]
    send_list --no-wait
    [ "$STATUS" -eq 0 ]
    ctl cancel "$OUT" || [ $? -eq 1 ]
}

@test "the same key with the same list is the same job, with another one a conflict, and no list is left of it" {
    list 'a\n'
    send_list --key k1
    local job=${OUT%% *} n
    n=$(lists)
    send_list --key k1
    [ "$STATUS" -eq 0 ]
    [ "${OUT%% *}" = "$job" ]
    list 'b\n'
    send_list --key k1
    [ "$STATUS" -eq 2 ]
    [[ $ERR == *KeyConflict* || $ERR == *"key"* ]]
    run ctl send --key k1 "$D/src" --to "$DEST"
    [ "$status" -eq 2 ]
    as_before() { [ "$(lists)" -eq "$n" ]; }
    within 20 as_before
    arrived a
}

@test "a source that is no directory fails" {
    list 'a\n'
    run ctl send --files-from "$T/list" "$D/src/a" --to "$DEST"
    echo "$output"
    [ "$status" -eq 1 ]
}

@test "retry works from the same list" {
    mkdir -p "$ROOT/$DEST/a"
    list 'a\nb\n'
    send_list
    [ "$STATUS" -eq 1 ]
    rmdir "$ROOT/$DEST/a"
    rm "$T/list"
    ctl retry "${OUT%% *}"
    ctl wait "${OUT%% *}"
    arrived a b
}

@test "a filter holds for what is in a directory of the list" {
    list 'dir\na\n'
    send_list --exclude d
    [ "$STATUS" -eq 0 ]
    arrived a dir/c
}

# ---- the socket ----------------------------------------------------------------------------------

@test "a script gives the list with its request" {
    call transfer.submit "$(jq -nc --arg s "$D/src" --arg d "$DEST" '{source:$s,dest:$d,files:["a","dir/c"],wait:true}')" >"$T/job"
    [ "$(jq -r '.state, .files_from, .files_done' "$T/job")" = $'done\ntrue\n2' ]
    arrived a dir/c
    call transfer.submit "$(jq -nc --arg s "$D/src" --arg d "$DEST" '{source:$s,dest:$d,files_b64:["Yg=="],wait:true}')" >"$T/job"
    arrived a b dir/c
}

@test "lists that can't be, and two descriptors, are InvalidParams" {
    local params
    for params in '"files":[]' '"files":[""]' '"files":"a"' '"files_fd":true' '"files_fd":true,"source_fd":true' '"files":["a"],"files_fd":true' \
        '"files":["a"],"source_fd":true'; do
        run ctl call transfer.submit "{\"source\":\"$D/src\",$params}"
        echo "$params: $output"
        [ "$status" -eq 2 ]
    done
    [ "$(raw '[{"id":1,"method":"transfer.submit","params":{"source":"/x","files_fd":true}}]' | jq -r '.[0].error.data.name')" = InvalidParams ]
}

@test "a descriptor that is no list is InvalidParams" {
    python3 - "$S" "$D/src" "$T" <<'P'
import array, json, os, socket, sys
path, source, directory = sys.argv[1:]
def refused(fd):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(path)
        line = json.dumps({"id": 1, "method": "transfer.submit", "params": {"source": source, "files_fd": True}}).encode() + b"\n"
        s.sendmsg([line], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
        error = json.loads(s.makefile().readline())["error"]
        assert error["data"]["name"] == "InvalidParams", error
        return error["message"]
def with_bytes(data):
    fd = os.memfd_create("list")
    os.write(fd, data)
    return fd
assert "is empty" in refused(with_bytes(b""))
assert "not ended by a NUL" in refused(with_bytes(b"a\0b"))
assert "no regular file" in refused(os.pipe()[0])
assert "no regular file" in refused(os.open(directory, os.O_RDONLY))
assert "not open for reading" in refused(os.open(directory + "/x", os.O_WRONLY | os.O_CREAT))
assert "not open for reading" in refused(os.open(directory, os.O_PATH))
P
}
