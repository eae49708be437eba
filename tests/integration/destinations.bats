# SPDX-License-Identifier: MIT
#
# Where files go: beneath the receiving root and nowhere else, whole or not at all, in the order in which they were asked for.

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

setup() {
    begin_test
    echo contents >"$T/f"
    OUTSIDE=$D/outside
    mkdir "$OUTSIDE"
}

teardown() {
    end_test
    rm -rf "$OUTSIDE"
}

# submit SOURCE DEST [MEMBER...]: over the socket, which says what xferctl would not even ask; fails as fails() does
submit_fails() { fails "$1" "$2" call transfer.submit "{\"source\":\"$T/f\",\"dest\":\"$3\",\"wait\":true}"; }

# refused EXIT-CODE NAME ARGUMENT...: send with these fails by the receiver's word, and the root is as it was
refused() {
    local before
    before=$(find "$ROOT" -mindepth 1 -path "$ROOT/.xfer" -prune -o -printf '%p %y %s %l %T@\n')
    fails "$1" "$2" send "$T/f" "${@:3}"
    [ "$(error_field .side)" = receiver ]
    [ "$(find "$ROOT" -mindepth 1 -path "$ROOT/.xfer" -prune -o -printf '%p %y %s %l %T@\n')" = "$before" ]
    [ -z "$(find "$ROOT/.xfer" -type f ! -name lock)" ]
    still_serves
}

# ---- what a destination may be

@test "absolute destinations are refused" {
    local dest
    for dest in / /f //f "$D/f" /etc/xfer-test; do
        submit_fails 2 InvalidDestination "$dest"
        fails 2 Usage send "$T/f" --to "$dest"
    done
    only_files
    still_serves
}

@test "destinations with .. are refused, even where they would stay beneath the root" {
    local dest
    for dest in .. ../ ../f a/.. a/../ a/../b a/b/../../../c ./.. ..//f; do
        submit_fails 2 InvalidDestination "$dest"
        fails 2 Usage send "$T/f" --to "$dest"
    done
    only_files
    still_serves
}

@test "xfer's own names are refused" {
    local dest
    for dest in .xfer .xfer/lock .xfer/partial/f .xfer-1 a/.xfer/f a/.xferx .xfer/ ./.xfer/f; do
        submit_fails 2 InvalidDestination "$dest"
        fails 2 Usage send "$T/f" --to "$dest"
    done
    only_files
    still_serves
}

@test "a destination without a name is refused" {
    submit_fails 2 InvalidDestination .
    submit_fails 2 InvalidParams ''
    fails 2 Usage send "$T/f" --to .
    only_files
}

@test "without a slash at its end the destination is the name, with one the directory" {
    ctl send "$T/f" --to name
    ctl send "$T/f" --to dir/
    ctl send "$T/f" --to a/b/name
    ctl send "$T/f" --to a/b/dir/
    ctl send "$T/f" --to ./
    only_files name dir dir/f a a/b a/b/name a/b/dir a/b/dir/f f
}

@test "repeated slashes and dots mean nothing" {
    ctl --json send "$T/f" --to ./a//./b///c >"$T/job"
    [ "$(jq -r .dest "$T/job")" = a/b/c ]
    only_files a a/b a/b/c
}

@test "several sources go into a directory, or into the root" {
    echo 2 >"$T/g"
    ctl send "$T/f" "$T/g" --to new/dir/
    ctl send "$T/f" "$T/g"
    only_files new new/dir new/dir/f new/dir/g f g
    cmp "$T/g" "$ROOT/new/dir/g"
}

@test "several sources and one name: refused before any is sent" {
    echo 2 >"$T/g"
    fails 2 Usage send "$T/f" "$T/g" --to name
    mkdir "$T/d"
    echo 3 >"$T/d/f"
    fails 2 Usage send "$T/f" "$T/g" "$T/d/f"
    fails 2 Usage send "$T/f" "$T/d/f" --to x/
    only_files
    still_serves
}

@test "what is there does not change what a destination means" {
    mkdir "$ROOT/d"
    refused 1 IsDirectory --to d
    ctl send "$T/f" --to d/
    only_files d d/f
}

@test "missing parents are made, for everybody to enter" {
    ctl send "$T/f" --to a/b/c/f
    [ "$(stat -c %a "$ROOT/a" "$ROOT/a/b" "$ROOT/a/b/c" | xargs)" = '755 755 755' ]
    cmp "$T/f" "$ROOT/a/b/c/f"
    still_serves
}

@test "the job tells where the file is" {
    ctl --json send "$T/f" --to a/b >"$T/job"
    cmp "$T/f" "$(jq -r .dest_path "$T/job")"
    [ "$(jq -r .dest_host "$T/job")" = "$(hostname)" ]
}

# ---- links

@test "a link out of the root on the way is not followed" {
    ln -s "$OUTSIDE" "$ROOT/out"
    refused 4 UnsafePath --to out/f
    refused 4 UnsafePath --to out/
    refused 4 UnsafePath --to out/new/f
    mkdir "$ROOT/d"
    ln -s ../../outside "$ROOT/d/out"
    refused 4 UnsafePath --to d/out/f
    ln -s .. "$ROOT/up"
    refused 4 UnsafePath --to up/outside/f
    ln -s / "$ROOT/slash"
    refused 4 UnsafePath --to "slash$OUTSIDE/f"
    ln -s /proc/self/cwd "$ROOT/magic"
    refused 4 UnsafePath --to magic/f
    [ -z "$(ls -A "$OUTSIDE")" ]
}

@test "links on the way that stay beneath the root are not followed either" {
    mkdir "$ROOT/d"
    ln -s d "$ROOT/link"
    ln -s link2 "$ROOT/link2"
    ln -s none "$ROOT/dangling"
    refused 4 UnsafePath --to link/f
    refused 4 UnsafePath --to link2/f
    refused 4 UnsafePath --to dangling/f
    [ ! -e "$ROOT/none" ]
}

@test "a link in place of the file is replaced, not written through" {
    echo precious >"$OUTSIDE/f"
    ln -s "$OUTSIDE/f" "$ROOT/f"
    ctl send "$T/f"
    [ "$(cat "$OUTSIDE/f")" = precious ]
    [ "$(stat -c %F "$ROOT/f")" = 'regular file' ]
    cmp "$T/f" "$ROOT/f"
    ln -s "$OUTSIDE/new" "$ROOT/dangling"
    ctl send "$T/f" --to dangling
    [ ! -e "$OUTSIDE/new" ]
    cmp "$T/f" "$ROOT/dangling"
    ln -s "$OUTSIDE" "$ROOT/dir"
    ctl send "$T/f" --to dir
    [ "$(stat -c %F "$ROOT/dir")" = 'regular file' ]
    only_files f dangling dir
    [ "$(ls -A "$OUTSIDE")" = f ]
}

@test "a link in place of the file exists, wherever it leads, for never" {
    ln -s none "$ROOT/f"
    refused 6 DestinationExists --overwrite=never
    [ "$(readlink "$ROOT/f")" = none ]
}

@test "a directory that is exchanged for a link while a file comes leads nothing out" {
    truncate -s 400M "$T/large"
    mkdir "$ROOT/d"
    begin_halfway "$T/large" --to d/f
    mv "$ROOT/d" "$ROOT/was-d"
    ln -s "$OUTSIDE" "$ROOT/d"
    kill -CONT "$RANK1"
    ctl wait "$JOB" || true
    [ -z "$(ls -A "$OUTSIDE")" ]
    still_serves
}

@test "a link that comes to the name of a missing directory while a file comes leads nothing out" {
    truncate -s 400M "$T/large"
    begin_halfway "$T/large" --to d/f
    ln -s "$OUTSIDE" "$ROOT/d"
    kill -CONT "$RANK1"
    fails 4 UnsafePath wait "$JOB"
    [ -z "$(ls -A "$OUTSIDE")" ]
    only_files d
    still_serves
}

@test "the file that a hard link shares is not changed" {
    echo precious >"$OUTSIDE/f"
    ln "$OUTSIDE/f" "$ROOT/f"
    ctl send "$T/f"
    [ "$(cat "$OUTSIDE/f")" = precious ]
    cmp "$T/f" "$ROOT/f"
}

# ---- what is in the way

@test "a directory in the way, empty or not" {
    mkdir "$ROOT/d" "$ROOT/f"
    echo keep >"$ROOT/f/g"
    refused 1 IsDirectory --to d
    refused 1 IsDirectory
    refused 1 IsDirectory --overwrite=never
}

@test "a file as a parent" {
    echo keep >"$ROOT/p"
    refused 1 NotDirectory --to p/f
    refused 1 NotDirectory --to p/q/r/f
    [ "$(cat "$ROOT/p")" = keep ]
}

@test "a FIFO or a socket in the way stays what it is" {
    mkfifo "$ROOT/fifo"
    python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$ROOT/socket"
    refused 1 NotRegular --to fifo
    refused 1 NotRegular --to socket
    [ -p "$ROOT/fifo" ]
    [ -S "$ROOT/socket" ]
}

@test "the other rank learns at once that a large file can't be stored, and the sender stops" {
    truncate -s 2G "$T/large"
    mkdir "$ROOT/large"
    fails 1 IsDirectory send "$T/large"
    [ "$(jq .bytes_done <<<"$FAILURE")" -lt 2147483648 ]
    only_files large
    still_serves
}

# ---- never

@test "never: what exists stays" {
    echo old >"$ROOT/f"
    refused 6 DestinationExists --overwrite=never
    [ "$(error_field .errno)" -eq 17 ]
    [ "$(cat "$ROOT/f")" = old ]
}

@test "never: what doesn't exist is stored" {
    ctl send "$T/f" --overwrite=never
    cmp "$T/f" "$ROOT/f"
    only_files f
    make_file "$T/large" 5000000
    ctl send "$T/large" --overwrite=never --to d/
    cmp "$T/large" "$ROOT/d/large"
}

@test "never: of many jobs at once exactly one wins" {
    local i jobs=() won=0
    for i in {1..20}; do
        echo "$i" >"$T/$i"
        printf '{"id":%d,"method":"transfer.submit","params":{"source":"%s","dest":"same","overwrite":"never","wait":true}}\n' "$i" "$T/$i"
    done | socat -t 20 - UNIX-CONNECT:"$S" >"$D/answers"
    [ "$(jq -r .result.state "$D/answers" | sort | uniq -c | xargs)" = '1 done 19 failed' ]
    [ "$(jq -r 'select(.result.state == "failed").result.error.data.name' "$D/answers" | sort -u)" = DestinationExists ]
    [ "$(cat "$ROOT/same")" = "$(jq 'select(.result.state == "done").id' "$D/answers")" ]
    only_files same
}

@test "never: a file that comes from elsewhere in the middle stays" {
    make_file "$T/f" 16777216
    begin_stalled "$T/f" --overwrite=never
    echo mine >"$ROOT/f"
    kill -CONT "$RANK1"
    fails 6 DestinationExists wait "$JOB"
    [ "$(cat "$ROOT/f")" = mine ]
    only_files f
    still_serves
}

@test "never: a small file loses against one that comes before its end, too" {
    local i lost=0 status
    for i in {1..30}; do
        (echo other >"$T/other" && ln "$T/other" "$ROOT/race" 2>/dev/null && echo x >>"$D/other-won") 3>&- &
        status=0
        ctl send "$T/f" --to race --overwrite=never --sync=none >/dev/null 2>&1 || status=$?
        wait $! || true
        case $status in
        0) cmp "$T/f" "$ROOT/race" ;;
        6) [ "$(cat "$ROOT/race")" = other ] ;;
        *) false ;;
        esac
        rm "$ROOT/race" "$T/other"
    done
    still_serves
}

# ---- replace

@test "replace: the old file is there until the new one is complete" {
    truncate -s 400M "$T/large"
    make_file "$ROOT/f" 100000
    cp "$ROOT/f" "$T/old"
    begin_halfway "$T/large" --to f
    cmp "$T/old" "$ROOT/f"
    kill -CONT "$RANK1"
    ctl wait "$JOB"
    cmp "$T/large" "$ROOT/f"
    only_files f
}

@test "replace: whoever reads finds a whole file at any time" {
    local i reader sums
    make_file "$T/a" 700001
    make_file "$T/b" 1000
    sums=" $(xxhsum -q -H2 "$T/a" "$T/b" | cut -d ' ' -f 1 | xargs) "
    ctl send "$T/a" --to f >/dev/null
    (
        while [ ! -e "$D/stop" ]; do
            sum=$(xxhsum -q -H2 "$ROOT/f" | cut -d ' ' -f 1)
            [[ $sums == *" $sum "* ]] || echo "found $sum" >>"$D/torn"
            echo x >>"$D/reads"
        done
    ) 3>&- 2>>"$D/torn" &
    reader=$!
    for i in {1..40}; do
        ctl send --sync=none "$T/a" --to f >/dev/null
        ctl send --sync=none "$T/b" --to f >/dev/null
    done
    touch "$D/stop"
    wait $reader
    echo "$(wc -l <"$D/reads") reads"
    [ ! -s "$D/torn" ] || { cat "$D/torn"; false; }
    rm "$D/stop" "$D/reads" "$D/torn"
    only_files f
}

@test "replace: whoever has the old file open goes on reading it" {
    echo old >"$ROOT/f"
    exec 5<"$ROOT/f"
    ctl send "$T/f"
    [ "$(cat <&5)" = old ]
    exec 5<&-
    cmp "$T/f" "$ROOT/f"
}

@test "replace: what comes to the name in the middle is replaced" {
    make_file "$T/f" 16777216
    begin_stalled "$T/f"
    echo other >"$ROOT/f"
    kill -CONT "$RANK1"
    ctl wait "$JOB"
    cmp "$T/f" "$ROOT/f"
    only_files f
}

@test "a directory that comes to the name in the middle stays" {
    make_file "$T/f" 16777216
    begin_stalled "$T/f"
    mkdir "$ROOT/f"
    kill -CONT "$RANK1"
    fails 1 IsDirectory wait "$JOB"
    only_files f
    still_serves
}

@test "a parent that is removed in the middle is made again" {
    truncate -s 400M "$T/large"
    mkdir -p "$ROOT/a/b"
    begin_halfway "$T/large" --to a/b/f
    rmdir "$ROOT/a/b" "$ROOT/a"
    kill -CONT "$RANK1"
    ctl wait "$JOB"
    cmp "$T/large" "$ROOT/a/b/f"
    only_files a a/b a/b/f
    still_serves
}

@test "in the middle nothing of a new file is there, neither it nor its new parents" {
    truncate -s 400M "$T/large"
    begin_halfway "$T/large" --to a/b/f
    [ -z "$(find "$ROOT" -mindepth 1 -path "$ROOT/.xfer" -prune -o -print)" ]
    kill -CONT "$RANK1"
    ctl wait "$JOB"
    only_files a a/b a/b/f
}

@test "a rank that is killed in the middle: what was there stays until the job, which goes on by itself, is done" {
    truncate -s 800M "$T/large"
    echo old >"$ROOT/old"
    begin_halfway "$T/large" --to a/b/f
    kill -KILL "$RANK1"
    ctl wait "$JOB"
    cmp "$T/large" "$ROOT/a/b/f"
    only_files a a/b a/b/f old
    begin_halfway "$T/large" --to old
    ctl pause # what is killed now waits
    kill -KILL "$RANK1"
    within 20 ctl ping
    [ "$(cat "$ROOT/old")" = old ]
    [ "$(find "$ROOT" -path "$ROOT/.xfer" -prune -o -type f -print | wc -l)" -eq 2 ]
    ctl resume
    ctl wait "$JOB"
    cmp "$T/large" "$ROOT/old"
    only_files a a/b a/b/f old
    still_serves
}

@test "the new parents of a file that fails are gone" {
    make_file "$T/f" 16777216
    mkdir "$ROOT/old"
    begin_stalled --retries=0 "$T/f" --to old/new/newer/f
    truncate -s 1 "$T/f"
    kill -CONT "$RANK1"
    fails 1 SourceChanged wait "$JOB"
    only_files old
    still_serves
}

# ---- order

# blocked JOB: it waits, and says for which
blocked() { [ "$(job_field "$1" '"\(.state) \(.reason != null)"')" = 'queued true' ]; }

@test "jobs with the same destination run one after the other, in their order" {
    local jobs=() i
    make_file "$T/f" 16777216
    begin_stalled "$T/f" --to same
    for i in 1 2 3; do
        echo $i >"$T/$i"
        jobs+=("$(ctl send --no-wait "$T/$i" --to same)")
        blocked "${jobs[-1]}"
    done
    kill -CONT "$RANK1"
    ctl --json wait "$JOB" "${jobs[@]}" >"$D/jobs"
    [ "$(cat "$ROOT/same")" = 3 ]
    # each began when the one before had ended
    [ "$(jq -s '[range(1; length) as $i | .[$i].started_at >= .[$i - 1].finished_at] | all' "$D/jobs")" = true ]
    only_files same
}

@test "jobs with nested destinations run one after the other, in their order" {
    local below above
    make_file "$T/f" 16777216
    begin_stalled "$T/f" --to a/b
    below=$(ctl send --no-wait "$T/f" --to a/b/c/d)
    above=$(ctl send --no-wait "$T/f" --to a)
    blocked "$below"
    blocked "$above"
    kill -CONT "$RANK1"
    ctl wait "$JOB"
    fails 1 NotDirectory wait "$below"
    fails 1 IsDirectory wait "$above"
    only_files a a/b
    still_serves
}

@test "a higher priority does not go before an older job with the same destination" {
    local low high
    make_file "$T/f" 16777216
    echo low >"$T/low"
    echo high >"$T/high"
    begin_stalled "$T/f" --to same
    low=$(ctl send --no-wait "$T/low" --to same --priority=-100)
    high=$(ctl send --no-wait "$T/high" --to same --priority=100)
    kill -CONT "$RANK1"
    ctl wait "$JOB" "$low" "$high"
    [ "$(cat "$ROOT/same")" = high ]
}

@test "jobs with other destinations do not wait, not even with nearly the same" {
    local job jobs=() dest
    make_file "$T/f" 16777216
    begin_stalled "$T/f" --to a/b
    for dest in a/bc a/b.x ab a/c/b; do
        job=$(ctl send --no-wait "$T/f" --to $dest)
        within 10 job_is "$job" running
        jobs+=("$job")
    done
    kill -CONT "$RANK1"
    ctl wait "$JOB" "${jobs[@]}"
    only_files a a/b a/bc a/b.x ab a/c a/c/b
}

@test "the same destination written in other ways is the same" {
    local job
    make_file "$T/f" 16777216
    begin_stalled "$T/f" --to a/f
    job=$(ctl send --no-wait "$T/f" --to .//a/./)
    blocked "$job"
    kill -CONT "$RANK1"
    ctl wait "$JOB" "$job"
    only_files a a/f
}

@test "many files at once into the same new directories" {
    local i
    for i in {1..60}; do
        echo "$i" >"$T/$i"
    done
    rm "$T/f"
    ctl send "$T"/* --to new/dir/deep/ >/dev/null
    diff -r "$T" "$ROOT/new/dir/deep"
    still_serves
}

@test "no descriptor is left open by any of these" {
    descriptors_as_before() { [ "$(descriptors)" -le "$DESCRIPTORS" ]; }
    echo "$(descriptors) now, $DESCRIPTORS at first"
    within 5 descriptors_as_before
}
