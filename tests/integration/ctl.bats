# SPDX-License-Identifier: MIT
#
# xferctl against a daemon: what each command does, prints and exits with.

load xferd

setup_file() {
    share_xferd -o queue.retry_delay=5min
    make_file "$D/big" 41943040
    make_file "$D/small" 5000
    export TERM=xterm
    unset NO_COLOR
}

teardown_file() { unshare_xferd; }

setup() {
    RANK1=
    cd "$BATS_TEST_TMPDIR"
}

teardown() {
    [ -z "$RANK1" ] || kill -CONT "$RANK1"
    check_shared
}

# what went to where, when only one of both is looked at
apart() {
    local status=0
    "$@" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" || status=$?
    OUT=$(cat "$BATS_TEST_TMPDIR/out")
    ERR=$(cat "$BATS_TEST_TMPDIR/err")
    echo "status $status, stdout: $OUT"
    echo "stderr: $ERR"
    STATUS=$status
}

newest() { call transfer.list '{"limit":1000}' | jq '[.jobs[].job] | max'; }
newest_is_not() { [ "$(newest)" != "$1" ]; }

# begin_client COMMAND...: xferctl in the background, until its job runs or waits; CLIENT, JOB
begin_client() {
    local before
    before=$(newest)
    "$XFERCTL" -s "$S" "$@" >out 2>err 3>&- &
    CLIENT=$!
    within 20 newest_is_not "$before"
    JOB=$(newest)
    # it has its number by the time at which it waits
    within 20 client_waits
}

client_waits() { [ "$(process_state "$CLIENT")" = S ]; }

# wait_client JOB
wait_client() {
    "$XFERCTL" -s "$S" wait "$1" >out 2>err 3>&- &
    CLIENT=$!
    within 20 client_waits
}

# end_client [SIGNAL]: its exit status in STATUS
end_client() {
    [ -z "$1" ] || kill "-$1" "$CLIENT"
    STATUS=0
    wait "$CLIENT" || STATUS=$?
    OUT=$(cat out)
    ERR=$(cat err)
    echo "status $STATUS, stdout: $OUT"
    echo "stderr: $ERR"
}

go_on() {
    kill -CONT "$RANK1"
    RANK1=
}

stall() {
    RANK1=$(rank_pid 1)
    kill -STOP "$RANK1"
}

# "! command" alone never fails a test
refute() { ! "$@"; }

escapes() { grep -q $'\e' "$@"; }

# on_terminal COMMAND: what a terminal shows of it; STATUS is its exit status
on_terminal() {
    needs_terminals
    STATUS=0
    script -qec "stty cols 100; $1" /dev/null >"$BATS_TEST_TMPDIR/screen" 2>&1 </dev/null || STATUS=$?
    cat -v "$BATS_TEST_TMPDIR/screen"
}

# ---- send ----------------------------------------------------------------------------------------

@test "send waits, stores the file, and prints one line of the documented form" {
    apart ctl send "$D/small"
    [ "$STATUS" -eq 0 ]
    local job=${OUT%% *}
    [ "$OUT" = "$job  done  5000  xxh128:$(xxhsum -H2 "$D/small" | cut -d' ' -f1)  $D/small -> $(hostname):$ROOT/small" ]
    [ -z "$ERR" ]
    cmp "$D/small" "$ROOT/small"
}

@test "a name with newline and backslash is printed escaped, in a line that begins with a backslash" {
    local name=$'a\nb\\c\rd'
    cp "$D/small" "$D/$name"
    apart ctl send "$D/$name"
    [ "$STATUS" -eq 0 ]
    [ "$(wc -l <out)" -eq 1 ]
    [[ $OUT == \\*"  $D/a\\nb\\\\c\\rd -> $(hostname):$ROOT/a\\nb\\\\c\\rd" ]]
    cmp "$D/small" "$ROOT/$name"
}

@test "a failed send prints its line, tells why on stderr, and exits with the error's code" {
    apart ctl send "$D/nothing"
    [ "$STATUS" -eq 5 ]
    [[ $OUT == *"  failed  0  -  $D/nothing -> $(hostname):$ROOT/nothing" ]]
    [[ $ERR == *"$D/nothing"*"No such file"* ]]
}

@test "send --no-wait prints the job's number alone" {
    apart ctl send --no-wait "$D/small" --to later
    [ "$STATUS" -eq 0 ]
    [[ $OUT =~ ^[0-9]+$ ]]
    [ -z "$ERR" ]
    ctl wait "$OUT"
    cmp "$D/small" "$ROOT/later"
}

@test "several sources are told in the order of the arguments" {
    for i in 1 2 3 4 5; do make_file "$D/many/$i" $((i * 100)); done
    apart ctl send "$D/big" "$D/many/5" "$D/many/1" "$D/nothing" "$D/many/3" --to many/
    [ "$STATUS" -eq 5 ]
    [ "$(sed 's/.*  \(.*\) -> .*/\1/' out)" = "$D/big
$D/many/5
$D/many/1
$D/nothing
$D/many/3" ]
    [ "$(awk '{print $2}' out | tr '\n' ' ')" = 'done done done failed done ' ]
    cmp "$D/big" "$ROOT/many/big"
    cmp "$D/many/3" "$ROOT/many/3"
}

@test "a thousand sources in one command all arrive" {
    mkdir "$D/thousand"
    for i in $(seq 1000); do echo "$i" >"$D/thousand/$i"; done
    apart ctl send --sync=none --to thousand/ "$D"/thousand/*
    [ "$STATUS" -eq 0 ]
    [ "$(grep -c '  done  ' out)" -eq 1000 ]
    diff -r "$D/thousand" "$ROOT/thousand"
    rm -r "$D/thousand" "$ROOT/thousand"
}

@test "send --to takes a new name, or with a slash at the end a directory" {
    ctl send "$D/small" --to new/name
    cmp "$D/small" "$ROOT/new/name"
    ctl send "$D/small" --to new/dir/
    cmp "$D/small" "$ROOT/new/dir/small"
}

@test "a relative source counts from the current directory, and a slash at its end means nothing" {
    mkdir sub
    cp "$D/small" sub/file
    cd sub
    apart ctl send file --to relative
    [[ $OUT == *"  $PWD/file -> "* ]]
    ctl send ./file/ ../sub/file/// --to relative-2 && return 1
    ctl send ./file/ --to relative-dir/
    cmp "$D/small" "$ROOT/relative-dir/file"
    ctl send ../sub/file --to relative-up/
    cmp "$D/small" "$ROOT/relative-up/file"
}

@test "a symbolic link is followed and keeps its own name" {
    ln -s "$D/small" link
    ctl send link
    cmp "$D/small" "$ROOT/link"
    [ ! -L "$ROOT/link" ]
}

@test "names that begin with a dash go behind --" {
    cp "$D/small" ./--json
    apart ctl send --to dash/ -- --json
    [ "$STATUS" -eq 0 ]
    cmp "$D/small" "$ROOT/dash/--json"
}

@test "options may follow the command and its arguments" {
    apart "$XFERCTL" send "$D/small" -s "$S" --to after --json -q
    [ "$STATUS" -eq 0 ]
    [ "$(jq -r .state out)" = done ]
}

@test "--overwrite=never fails with exit 6 and leaves what is there" {
    ctl send "$D/small" --to kept
    apart ctl send "$D/big" --to kept --overwrite=never
    [ "$STATUS" -eq 6 ]
    [[ $ERR == *"$ROOT/kept"* ]] || [[ $ERR == *exists* ]]
    cmp "$D/small" "$ROOT/kept"
    ctl send "$D/big" --to kept --overwrite=replace
    cmp "$D/big" "$ROOT/kept"
}

@test "a send that waits says for what" {
    stall
    JOB=$(ctl send --no-wait "$D/big" --to queue)
    begin_client send "$D/small" --to queue
    within 20 grep -q "waiting for job $((JOB - 1))" err
    go_on
    end_client
    [ "$STATUS" -eq 0 ]
    cmp "$D/small" "$ROOT/queue"
}

@test "-q is silent while it waits, and still tells errors" {
    stall
    ctl send --no-wait "$D/big" --to queue-q
    begin_client send -q "$D/small" --to queue-q
    [ "$(job_field "$JOB" .state)" = queued ]
    go_on
    end_client
    [ "$STATUS" -eq 0 ]
    [ -z "$ERR" ]
    apart ctl send -q "$D/nothing"
    [ "$STATUS" -eq 5 ]
    [[ $ERR == *"No such file"* ]]
}

# ---- directories ---------------------------------------------------------------------------------

# make_tree NAME: D/NAME with two files of 5000 bytes, a link, an empty directory; and a FIFO, of which nothing is sent
make_tree() {
    mkdir -p "$D/$1/sub/empty"
    cp "$D/small" "$D/$1/a"
    cp "$D/small" "$D/$1/sub/b"
    ln -s a "$D/$1/link"
    mkfifo "$D/$1/fifo"
}

@test "a directory is one job, and what is never sent is told on stderr" {
    make_tree t1
    apart ctl send "$D/t1"
    [ "$STATUS" -eq 0 ]
    [ "$OUT" = "${OUT%% *}  done  10000  -  $D/t1 -> $(hostname):$ROOT/t1" ]
    [ "$ERR" = "xferctl: warning: $D/t1/fifo: is a FIFO, of which nothing is sent" ]
    cmp "$D/small" "$ROOT/t1/sub/b"
    [ "$(readlink "$ROOT/t1/link")" = a ]
    [ -d "$ROOT/t1/sub/empty" ]
    [ ! -e "$ROOT/t1/fifo" ]
}

@test "with -q warnings are not told, but errors tells them" {
    make_tree t2
    apart ctl -q send "$D/t2"
    [ "$STATUS" -eq 0 ]
    [ -z "$ERR" ]
    apart ctl errors "${OUT%% *}"
    [ "$STATUS" -eq 0 ]
    [ "$OUT" = "warning  NotRegular  fifo  $D/t2/fifo: is a FIFO, of which nothing is sent" ]
    [ -z "$ERR" ]
}

@test "what fails of a directory is told by name with status 1, and the rest arrives" {
    make_tree t3
    mkdir -p "$ROOT/t3/a"
    apart ctl send "$D/t3"
    [ "$STATUS" -eq 1 ]
    [[ $OUT == *"  failed  "*"  $D/t3 -> "* ]]
    [[ $ERR == *"$D/t3/a: "* ]]
    [[ $ERR == *'1 of 4 entries could not be sent'* ]]
    cmp "$D/small" "$ROOT/t3/sub/b"
    local job=${OUT%% *}
    apart ctl status "$job"
    grep -qx 'files         4, 2 done, 1 skipped, 1 failed' <<<"$OUT"
    grep -qx "failed files  1: 'xferctl errors $job' tells them" <<<"$OUT"
    grep -qx "warnings      1: 'xferctl errors $job' tells them" <<<"$OUT"
    [ "$(ctl --json status "$job" | jq -r '.error.data.name, .exit_code, .files_failed, .errors[0].path')" = $'Incomplete\n1\n1\na' ]
    [ "$(ctl errors "$job" | cut -d' ' -f1,3,5 | sort)" = $'error IsDirectory a\nwarning NotRegular fifo' ]
}

@test "retry sends what is missing" {
    make_tree t4
    mkdir -p "$ROOT/t4/a"
    apart ctl -q send "$D/t4"
    [ "$STATUS" -eq 1 ]
    local job=${OUT%% *}
    rmdir "$ROOT/t4/a"
    ctl retry "$job"
    apart ctl wait "$job"
    [ "$STATUS" -eq 0 ]
    cmp "$D/small" "$ROOT/t4/a"
    [ "$(ctl --json status "$job" | jq '.files_done + .files_skipped, .files_failed')" = $'4\n0' ]
}

@test "a dry run prints what would be done, and changes nothing" {
    make_tree t5
    apart ctl send -n "$D/t5"
    [ "$STATUS" -eq 0 ]
    local job
    job=$(newest)
    [ "$(sort <<<"$OUT")" = "$(sort <<<'make  directory  0  .
make  directory  0  sub
make  directory  0  sub/empty
send  file  5000  a
send  file  5000  sub/b
send  link  0  link')" ]
    [ ! -e "$ROOT/t5" ]
    local plan=$OUT
    apart ctl plan "$job"
    [ "$STATUS" -eq 0 ]
    [ "$OUT" = "$plan" ]
    apart ctl --json plan "$job"
    [ "$(jq '.entries | length' <<<"$OUT")" -eq 6 ]
    apart ctl --json errors "$job"
    [ "$(jq -r '.errors[] | .kind, .path' <<<"$OUT")" = $'warning\nfifo' ]
    apart ctl send -n --no-wait "$D/t5"
    [[ $OUT =~ ^[0-9]+$ ]]
    ctl wait "$OUT"
}

@test "what has not changed is skipped, and a dry run says so" {
    make_tree t6
    ctl -q send "$D/t6"
    touch -d @1000000000 "$D/t6/a"
    apart ctl send -qn --overwrite=changed "$D/t6"
    [ "$(grep -v directory <<<"$OUT" | sort)" = "$(sort <<<'keep  file  5000  sub/b
keep  link  0  link
replace  file  5000  a')" ]
    apart ctl -q send --overwrite=changed "$D/t6"
    [ "$STATUS" -eq 0 ]
    [ "$(stat -c %Y "$ROOT/t6/a")" -eq 1000000000 ]
    [ "$(ctl --json status "${OUT%% *}" | jq '.files_done, .files_skipped')" = $'1\n3' ]
}

@test "a link to a directory that is named as source keeps its name, and a slash at the end means nothing" {
    make_tree t7
    ln -s t7 "$D/l7"
    apart ctl -q send "$D/l7/"
    [ "$STATUS" -eq 0 ]
    [[ $OUT == *"  $D/l7 -> $(hostname):$ROOT/l7" ]]
    [ ! -L "$ROOT/l7" ]
    cmp "$D/small" "$ROOT/l7/sub/b"
}

@test "several directories are a job each" {
    make_tree t8
    make_tree t9
    apart ctl -q send "$D/t8" "$D/t9/" "$D/small" --to several/
    [ "$STATUS" -eq 0 ]
    [ "$(wc -l <<<"$OUT")" -eq 3 ]
    cmp "$D/small" "$ROOT/several/t8/a"
    cmp "$D/small" "$ROOT/several/t9/sub/b"
    cmp "$D/small" "$ROOT/several/small"
}

@test "include and exclude hold in the order in which they stand" {
    mkdir -p "$D/t10/src/.git"
    touch "$D/t10/src/a.o" "$D/t10/src/keep.o" "$D/t10/src/a.c" "$D/t10/src/.git/x"
    apart ctl send --include keep.o --exclude '*.o' --exclude .git/ "$D/t10"
    [ "$STATUS" -eq 0 ]
    [ "$(cd "$ROOT/t10/src" && ls -A)" = $'a.c\nkeep.o' ]
    apart ctl status "${OUT%% *}"
    grep -qx 'filter        + keep.o' <<<"$OUT"
    grep -qx '              - \*.o' <<<"$OUT"
}

@test "what is preserved is as asked for" {
    make_tree t11
    chmod 0640 "$D/t11/a"
    touch -d @1000000000.5 "$D/t11/a"
    apart ctl -q send --preserve none "$D/t11"
    [ "$STATUS" -eq 0 ]
    [ "$(stat -c %Y "$ROOT/t11/a")" -ne 1000000000 ]
    grep -qx 'preserve      none' <(ctl status "${OUT%% *}")
    apart ctl -q send "$D/t11"
    [ "$(stat -c '%a %.1Y' "$ROOT/t11/a")" = '640 1000000000.5' ]
    ln "$D/t11/a" "$D/t11/hard"
    apart ctl -q send --preserve +links "$D/t11"
    [ "$(stat -c %i "$ROOT/t11/a")" = "$(stat -c %i "$ROOT/t11/hard")" ]
}

@test "errors of a job that is not there: exit 5" {
    apart ctl errors 999999
    [ "$STATUS" -eq 5 ]
    apart ctl plan 999999
    [ "$STATUS" -eq 5 ]
}

# ---- exit codes ----------------------------------------------------------------------------------

@test "exit 1: a device" {
    apart ctl send /dev/null
    [ "$STATUS" -eq 1 ]
}

@test "exit 2: a request that the daemon finds malformed" {
    apart ctl call transfer.status '{"job":"x"}'
    [ "$STATUS" -eq 2 ]
    apart ctl call no.such.method
    [ "$STATUS" -eq 2 ]
    apart ctl call transfer.status '{"job":'
    [ "$STATUS" -eq 2 ]
}

@test "exit 4: a link that leads out of the receiving root" {
    ln -s /tmp "$ROOT/out"
    apart ctl send "$D/small" --to out/x
    [ "$STATUS" -eq 4 ]
    [ ! -e /tmp/x ]
    rm "$ROOT/out"
}

@test "exit 4: a source that may not be read" {
    [ "$(id -u)" -ne 0 ] || skip 'root may read everything'
    cp "$D/small" "$D/secret"
    chmod 0 "$D/secret"
    apart ctl send "$D/secret"
    [ "$STATUS" -eq 4 ]
}

@test "exit 5: no such job" {
    for command in wait cancel retry status watch; do
        apart ctl $command 999999999
        [ "$STATUS" -eq 5 ]
        [[ $ERR == *999999999* ]]
    done
}

@test "exit 10: a job that was cancelled" {
    stall
    JOB=$(ctl send --no-wait "$D/big" --to cancelled)
    wait_client "$JOB"
    # sent and taken before the transfer can end
    py "$JOB" <<'END'
c = Client()
c.say({"id": 1, "method": "transfer.cancel", "params": {"job": int(sys.argv[1])}}, {"id": 2, "method": "events.unsubscribe"})
equal(c.reply()["id"], 2)
END
    go_on
    end_client
    [ "$STATUS" -eq 10 ]
    [[ $OUT == "$JOB  cancelled  "* ]]
    apart ctl wait "$JOB"
    [ "$STATUS" -eq 10 ]
    apart ctl cancel "$JOB"
    [ "$STATUS" -eq 0 ]
    [ ! -e "$ROOT/cancelled" ]
}

@test "cancelling a queued job returns at once" {
    stall
    ctl send --no-wait "$D/big" --to cancel-queued
    JOB=$(ctl send --no-wait "$D/big" --to cancel-queued)
    apart ctl cancel "$JOB"
    [ "$STATUS" -eq 0 ]
    job_is "$JOB" cancelled
    go_on
    apart ctl cancel $((JOB - 1)) "$JOB"
    ctl wait $((JOB - 1)) || true
}

@test "cancelling a job that is done is an error" {
    JOB=$(ctl send --no-wait "$D/small")
    ctl wait "$JOB"
    apart ctl cancel "$JOB"
    [ "$STATUS" -eq 1 ]
    [[ $ERR == *"$JOB"*done* ]]
}

@test "exit 124: --timeout ends the waiting, not the job, and names it" {
    stall
    apart ctl send "$D/big" --to timeout --timeout 0.5
    [ "$STATUS" -eq 124 ]
    [ -z "$OUT" ]
    JOB=$(newest)
    [[ $ERR == *"job $JOB goes on"*"xferctl cancel $JOB"* ]]
    apart ctl wait --timeout 100ms "$JOB"
    [ "$STATUS" -eq 124 ]
    [[ $ERR == *"$JOB"* ]]
    apart ctl wait --json --timeout 100ms "$JOB"
    [ "$STATUS" -eq 124 ]
    [ "$(jq -r '.error.data.name, .error.data.job, .exit_code' out)" = "Timeout
$JOB
124" ]
    go_on
    ctl wait "$JOB"
    cmp "$D/big" "$ROOT/timeout"
}

@test "exit 124: a send whose time is over before it began says that nothing was submitted" {
    local before
    before=$(newest)
    apart ctl send --timeout 0 "$D/small"
    [ "$STATUS" -eq 124 ]
    [ -z "$OUT" ]
    [ "$ERR" = 'xferctl: the time is over: nothing was submitted' ]
    [ "$(newest)" = "$before" ]
    apart ctl wait --timeout 0 1
    [ "$STATUS" -eq 124 ]
    [[ $ERR == *'what became of job 1 is not known'* ]]
}

@test "exit 130: an interrupt leaves the job to go on, and says how to cancel it" {
    stall
    begin_client send "$D/big" --to interrupted
    end_client INT
    [ "$STATUS" -eq 130 ]
    [ -z "$OUT" ]
    [ "$(grep -vc ': waiting for' err)" -eq 1 ]
    [[ $ERR == *"job $JOB goes on"*"xferctl cancel $JOB"* ]]
    go_on
    ctl wait "$JOB"
    cmp "$D/big" "$ROOT/interrupted"
}

@test "exit 143: a termination signal does the same, in wait too" {
    stall
    begin_client send "$D/big" --to terminated
    end_client TERM
    [ "$STATUS" -eq 143 ]
    [[ $ERR == *"job $JOB goes on"* ]]
    wait_client "$JOB"
    end_client TERM
    [ "$STATUS" -eq 143 ]
    go_on
    ctl wait "$JOB"
}

@test "--cancel-on-interrupt cancels the jobs too" {
    stall
    ctl send --no-wait "$D/big" --to cancel-int
    begin_client send --cancel-on-interrupt "$D/small" --to cancel-int
    end_client INT
    [ "$STATUS" -eq 130 ]
    job_is "$JOB" cancelled
    go_on
    ctl wait $((JOB - 1))
    cmp "$D/big" "$ROOT/cancel-int"
}

@test "of several jobs the first status that is not 0 counts, in the order of the arguments" {
    local a b c
    a=$(ctl send --no-wait "$D/small")
    b=$(ctl send --no-wait "$D/dir-that-is-not")
    c=$(ctl send --no-wait /dev/null)
    apart ctl wait "$a" "$b" "$c"
    [ "$STATUS" -eq 5 ]
    [ "$(awk '{print $1, $2}' out)" = "$a done
$b failed
$c failed" ]
    apart ctl wait "$a" "$c" "$b"
    [ "$STATUS" -eq 1 ]
    apart ctl wait "$c" 999999999 "$a"
    [ "$STATUS" -eq 1 ]
    apart ctl wait 999999999 "$c" "$a"
    [ "$STATUS" -eq 5 ]
    [ "$(awk '{print $1, $2}' out)" = "$c failed
$a done" ]
}

# ---- keys, attempts, the queue -------------------------------------------------------------------

@test "send --key twice is one job, and tells its result again" {
    apart ctl send --key 'my key' "$D/small" --to keyed
    [ "$STATUS" -eq 0 ]
    local first=$OUT
    rm "$ROOT/keyed"
    apart ctl send --key 'my key' "$D/small" --to keyed
    [ "$STATUS" -eq 0 ]
    [ "$OUT" = "$first" ]
    [ ! -e "$ROOT/keyed" ]
    [ "$(ctl --json send --key 'my key' "$D/small" --to keyed | jq -c '[.job, .key, .existing]')" = "[${first%% *},\"my key\",true]" ]
    [ "$(ctl send --no-wait --key 'my key' "$D/small" --to keyed)" = "${first%% *}" ]
    apart ctl status "${first%% *}"
    [[ $OUT == *key*'my key'* ]]
}

@test "exit 2: the key of another request" {
    JOB=$(ctl send --no-wait --key other "$D/small" --to keyed-2)
    apart ctl send --key other "$D/big" --to keyed-2
    [ "$STATUS" -eq 2 ]
    [[ $ERR == *"job $JOB"* ]]
    apart ctl --json send --key other "$D/small" --to keyed-3
    [ "$STATUS" -eq 2 ]
    [ "$(jq -r .error.data.name out)" = KeyConflict ]
}

# changed_source [OPTION]...: a job whose first attempt fails since its source changes. Sets JOB.
changed_source() {
    make_file "$D/changing" 41943040
    stall
    JOB=$(ctl send --no-wait "$@" "$D/changing")
    within 20 job_moves "$JOB"
    echo more >>"$D/changing"
    go_on
}

has_failed_once() { [ "$(job_field "$JOB" '.error.data.name')" = SourceChanged ]; }

@test "a job that waits for its next attempt says so, in status and in list, and retry starts it at once" {
    changed_source
    within 20 has_failed_once
    job_is "$JOB" queued
    [ "$(job_field "$JOB" '.attempts, .retries, .exit_code, (.not_before > now)')" = "1
3
0
true" ]
    apart ctl status "$JOB"
    [[ $OUT == *reason*'2 of 4'* ]]
    grep -q '^attempts  *1 of 4$' out
    grep -q '^next attempt  *20[0-9][0-9]-' out
    grep -q '^last error  *SourceChanged$' out
    refute grep -q '^exit code' out
    apart ctl list --state queued
    [[ $OUT == *"$JOB  queued"*'2 of 4'* ]]
    wait_client "$JOB"
    within 20 grep -q "job $JOB: .*2 of 4" err
    [ -z "$(ctl retry "$JOB" 2>&1)" ]
    end_client
    [ "$STATUS" -eq 0 ]
    cmp "$D/changing" "$ROOT/changing"
    [ "$(job_field "$JOB" '.attempts, .error')" = $'2\nnull' ]
    rm "$D/changing" "$ROOT/changing"
}

@test "send --retries=0 fails at the first error" {
    changed_source --retries=0
    apart ctl wait "$JOB"
    [ "$STATUS" -eq 1 ]
    [ "$(job_field "$JOB" '.attempts, .retries, .error.data.name')" = $'1\n0\nSourceChanged' ]
    [ ! -e "$ROOT/changing" ]
    rm "$D/changing"
}

@test "retry runs a job again that has failed or was cancelled, and prints nothing" {
    apart ctl send "$D/not-yet"
    [ "$STATUS" -eq 5 ]
    JOB=${OUT%% *}
    cp "$D/small" "$D/not-yet"
    apart ctl retry "$JOB"
    [ "$STATUS" -eq 0 ]
    [ -z "$OUT$ERR" ]
    ctl wait "$JOB"
    cmp "$D/small" "$ROOT/not-yet"
    stall
    local a b
    a=$(ctl send --no-wait "$D/big" --to retry-queue)
    b=$(ctl send --no-wait "$D/small" --to retry-queue)
    ctl cancel "$b"
    apart ctl --json retry "$b"
    [ "$STATUS" -eq 0 ]
    [ "$(jq -c '[.job, .state, .error]' out)" = "[$b,\"queued\",null]" ]
    go_on
    ctl wait "$a" "$b"
    cmp "$D/small" "$ROOT/retry-queue"
}

@test "retrying a job that is done is an error, and keeps no other from being retried" {
    JOB=$(ctl send --no-wait "$D/small" --to done-already)
    ctl wait "$JOB"
    apart ctl send "$D/not-there"
    local failed=${OUT%% *}
    cp "$D/small" "$D/not-there"
    apart ctl retry "$JOB" "$failed" 999999999
    [ "$STATUS" -eq 1 ]
    [[ $ERR == *"$JOB"*done* ]]
    ctl wait "$failed"
    apart ctl --json retry "$JOB"
    [ "$STATUS" -eq 1 ]
    [ "$(jq -r .exit_code out)" = 1 ]
}

@test "pause keeps jobs from starting, says so, and resume ends it" {
    apart ctl pause
    [ "$STATUS" -eq 0 ]
    [ -z "$OUT$ERR" ]
    apart ctl status
    [ "$STATUS" -eq 0 ]
    [[ $OUT == *queue*paused* ]]
    begin_client send "$D/small" --to paused
    within 20 grep -q "job $JOB: .*pause" err
    [ ! -e "$ROOT/paused" ]
    [ "$(ctl --json pause | jq -c '[.paused, .queued]')" = '[true,1]' ]
    ctl resume >resumed 2>&1
    [ ! -s resumed ]
    end_client
    [ "$STATUS" -eq 0 ]
    cmp "$D/small" "$ROOT/paused"
    apart ctl status
    [[ $OUT != *paused* ]]
}

@test "drain refuses jobs with exit 1, returns when the queue is empty, and resume ends it" {
    apart ctl drain
    [ "$STATUS" -eq 0 ]
    ctl resume
    stall
    JOB=$(ctl send --no-wait "$D/big" --to drained)
    "$XFERCTL" -s "$S" drain >out 2>err 3>&- &
    CLIENT=$!
    within 20 grep -q 'waiting for 1 job to end' err
    [[ $(ctl status) == *queue*draining* ]]
    STATUS=0
    ctl --json send "$D/small" >refused || STATUS=$?
    [ "$STATUS" -eq 1 ]
    [ "$(jq -r .error.data.name refused)" = Draining ]
    go_on
    end_client
    [ "$STATUS" -eq 0 ]
    [ -z "$OUT" ]
    job_is "$JOB" done
    [ "$(ctl --json drain | jq -c .draining)" = true ]
    ctl resume
    ctl send "$D/small"
}

@test "drain: --timeout ends the waiting with 124, resume with 1, and the job goes on" {
    stall
    JOB=$(ctl send --no-wait "$D/big" --to drained-2)
    apart ctl drain --timeout 0.5
    [ "$STATUS" -eq 124 ]
    [[ $ERR == *'xferctl resume'* ]]
    [ "$(ctl --json stats | jq .queue.draining)" = true ]
    "$XFERCTL" -s "$S" drain >out 2>err 3>&- &
    CLIENT=$!
    within 20 grep -q 'waiting for 1 job to end' err
    ctl resume
    end_client
    [ "$STATUS" -eq 1 ]
    [[ $ERR == *resume* ]]
    go_on
    ctl wait "$JOB"
}

# ---- other commands ------------------------------------------------------------------------------

@test "status tells the daemon, the peer, the queue and the receiving root" {
    apart ctl status
    [ "$STATUS" -eq 0 ]
    [[ $OUT == *"$ROOT"* ]]
    [[ $OUT == *"$(hostname)"* ]]
    [[ $OUT == *"$(rank_pid 0)"* ]]
    [[ $OUT == *"$(rank_pid 1)"* ]]
}

@test "status JOB tells a job in full" {
    JOB=$(ctl send --no-wait "$D/small" --to in-full)
    ctl wait "$JOB"
    apart ctl status "$JOB"
    [ "$STATUS" -eq 0 ]
    for what in "$JOB" 'done' "$D/small" "$ROOT/in-full" "$(xxhsum -H2 "$D/small" | cut -d' ' -f1)" 5000; do
        [[ $OUT == *"$what"* ]]
    done
}

@test "list shows unfinished jobs with the reason why they wait, then the last finished ones" {
    stall
    local a b
    a=$(ctl send --no-wait "$D/big" --to listed)
    b=$(ctl send --no-wait "$D/small" --to listed)
    within 20 job_moves "$a"
    apart ctl list --limit 5
    [ "$STATUS" -eq 0 ]
    [[ ${OUT%%$'\n'*} == *JOB*STATE*REASON* ]]
    [[ $(sed -n 2p out) == *"$a  running"* ]]
    [[ $(sed -n 3p out) == *"$b  queued"*"waiting for job $a"* ]]
    [ "$(wc -l <out)" -le 6 ]
    [ "$(ctl --json list --state queued | jq .job)" = "$b" ]
    [ "$(ctl --json list --state running | jq .job)" = "$a" ]
    [ -z "$(ctl --json list --state queued --user 4294967294)" ]
    [ "$(ctl --json list --state queued --user "$(id -un)" | jq .job)" = "$b" ]
    [ "$(ctl --json list --state queued --user "$(id -u)" | jq .job)" = "$b" ]
    go_on
    ctl wait "$a" "$b"
    [ -z "$(ctl --json list --since 0s --state done | jq "select(.job == $a)")" ]
    [ "$(ctl --json list --since 1h --state done | jq "select(.job == $a).job")" = "$a" ]
    [ "$(ctl --json list --since "@$(date -d '-1 hour' +%s)" | jq "select(.job == $a).job")" = "$a" ]
    [ -z "$(ctl --json list --since "@$(date -d '+1 hour' +%s)")" ]
}

@test "watch JOB follows it to its end and exits as it did" {
    stall
    JOB=$(ctl send --no-wait "$D/big" --to watched)
    within 20 job_moves "$JOB"
    "$XFERCTL" -s "$S" watch "$JOB" >out 2>err 3>&- &
    CLIENT=$!
    within 20 grep -q running out
    go_on
    end_client
    [ "$STATUS" -eq 0 ]
    [[ $(tail -n 1 out) == "$JOB  done"* ]]
    [ "$(grep -c 'done' out)" -eq 1 ]
    JOB=$(ctl send --no-wait "$D/nothing")
    ctl wait "$JOB" || true
    apart ctl watch "$JOB"
    [ "$STATUS" -eq 5 ]
    [[ $OUT == "$JOB  failed"* ]]
}

@test "watch follows all jobs until it is ended" {
    "$XFERCTL" -s "$S" watch >out 2>err 3>&- &
    CLIENT=$!
    within 20 client_waits
    seen() { ctl send "$D/small" --to watch-all >/dev/null; grep -q 'done' out; }
    within 20 seen
    kill -TERM "$CLIENT"
    wait "$CLIENT" || [ $? -eq 143 ]
    apart ctl watch --timeout 0.2
    [ "$STATUS" -eq 124 ]
}

@test "ping prints the round trip" {
    apart ctl ping
    [ "$STATUS" -eq 0 ]
    [[ $OUT =~ ^[0-9]+\.[0-9]+\ ms$ ]]
}

@test "stats prints a name and a number a line" {
    apart ctl stats
    [ "$STATUS" -eq 0 ]
    [ "$(wc -l <out)" -gt 10 ]
    refute grep -Ev '^[a-z_.]+ +[^ ].*$' out
}

@test "call prints the result of any method, raw" {
    [ "$(ctl call system.hello | jq -r .server)" = xferd ]
    [ "$(ctl call system.describe '{"method":"system.ping"}' | jq -r .name)" = system.ping ]
    apart ctl call transfer.status '{"job":999999999}'
    [ "$STATUS" -eq 5 ]
    [ -z "$OUT" ]
    apart ctl --json call transfer.status '{"job":999999999}'
    [ "$STATUS" -eq 5 ]
    [ "$(jq -r '.error.data.name, .exit_code' out)" = $'NoSuchJob\n5' ]
}

@test "every command with --json prints one JSON value a line" {
    JOB=$(ctl --json send "$D/small" --to json | jq .job)
    local job_shape='(.job|type) == "number" and .state == "done" and .digest.algorithm == "xxh128" and .error == null and .bytes_done == 5000'
    for command in "wait $JOB" "status $JOB" "send $D/small --to json" "send --no-wait $D/small --to json"; do
        apart ctl --json $command
        [ "$STATUS" -eq 0 ]
        [ "$(wc -l <out)" -eq 1 ]
        case $command in
        *no-wait*) jq -e '.job > 0' out ;;
        *) jq -e "$job_shape" out ;;
        esac
        ctl --json wait "$(jq .job out)"
    done
    [ "$(ctl --json send "$D/small" "$D/big" --to json/ 2>&1 | jq -s -c 'map(.state)')" = '["failed","failed"]' ]
    ctl --json list --limit 3 | jq -e -s 'length == 3 and all(.job > 0)'
    ctl --json watch "$JOB" | jq -e '.state == "done" and .seq >= 0 and (.phase|type) == "string"'
    ctl --json status | jq -e '.hello.server == "xferd" and .stats.peer.up'
    ctl --json ping | jq -e '.peer_up and .round_trip > 0'
    ctl --json stats | jq -e '.jobs.running == 0'
    ctl --json socket | jq -e --arg s "$S" '.socket == $s'
    ctl --json version | jq -e '.version'
    ctl --json call system.ping | jq -e '.peer_up'
    ctl --json pause | jq -e '.paused == true and .draining == false and .queued == 0 and .running == 0'
    ctl --json resume | jq -e '.paused == false and .draining == false'
    ctl --json drain | jq -e '.draining == true and .queued == 0'
    ctl --json resume | jq -e '.draining == false'
    JOB=$(ctl --json send "$D/nothing" | jq -e 'select(.state == "failed" and .exit_code == 5 and .error.data.name == "NoSuchFile").job')
    apart ctl --json cancel "$JOB"
    [ "$STATUS" -eq 1 ]
    jq -e '.exit_code' out
    apart ctl --json status 999999999
    [ "$STATUS" -eq 5 ]
    jq -e '.error.data.name == "NoSuchJob" and .exit_code == 5' out
}

@test "XFER_SOCKET names the socket, and -s goes before it" {
    XFER_SOCKET=$S apart "$XFERCTL" ping
    [ "$STATUS" -eq 0 ]
    XFER_SOCKET=$D/none apart "$XFERCTL" ping
    [ "$STATUS" -eq 3 ]
    [[ $ERR == *"$D/none"* ]]
    XFER_SOCKET=$D/none apart "$XFERCTL" -s "$S" ping
    [ "$STATUS" -eq 0 ]
    XFER_SOCKET=$S apart "$XFERCTL" ping -s "$D/none"
    [ "$STATUS" -eq 3 ]
}

@test "output that can't be written is an error, and the job is done all the same" {
    for command in "send $D/small --to full" 'list' 'status' 'stats' 'ping' 'call system.hello' 'send --no-wait --to full '"$D/small"; do
        STATUS=0
        "$XFERCTL" -s "$S" $command >/dev/full 2>err || STATUS=$?
        cat err
        [ "$STATUS" -eq 1 ]
        grep -q 'No space left' err
    done
    cmp "$D/small" "$ROOT/full"
    ctl send "$D/small" "$D/big" --to full/ | true
}

# ---- terminals -----------------------------------------------------------------------------------

@test "off a terminal there is no bar, no colour, no escape sequence" {
    stall
    begin_client send "$D/big" --to plain
    within 20 job_moves "$JOB"
    go_on
    end_client
    [ "$STATUS" -eq 0 ]
    [ -z "$(grep -v '^xferctl: waiting for' <<<"$ERR")" ]
    refute escapes out
    ctl list >out 2>err
    refute escapes out err
    ctl --color=always list >out
    escapes out
    NO_COLOR=1 ctl list >out
    refute escapes out
    ctl --color=always --json list >out
    refute escapes out
}

@test "on a terminal there is a progress bar, and it is taken away at the end" {
    command -v script >/dev/null || skip 'script is not installed'
    on_terminal "'$XFERCTL' -s '$S' send '$D/big' --to bar"
    [ "$STATUS" -eq 0 ]
    grep -q '\[[=> ]*\] *[0-9]*%' "$BATS_TEST_TMPDIR/screen"
    grep -q 'ETA' "$BATS_TEST_TMPDIR/screen"
    # the last bar is followed by what wipes its line, then by the result
    [[ $(tr -d '\r' <"$BATS_TEST_TMPDIR/screen" | tail -n 1) == *$'\e[K'*done* ]]
    for way in "NO_COLOR=1 '$XFERCTL'" "TERM=dumb '$XFERCTL'" "'$XFERCTL' -q"; do
        on_terminal "$way -s '$S' send '$D/big' --to bar"
        [ "$STATUS" -eq 0 ]
        refute grep -q '\[=' "$BATS_TEST_TMPDIR/screen"
        refute grep -q $'\e\\[K' "$BATS_TEST_TMPDIR/screen"
    done
}

@test "on a terminal states are coloured unless NO_COLOR or --color=never say otherwise" {
    command -v script >/dev/null || skip 'script is not installed'
    ctl send "$D/small"
    on_terminal "'$XFERCTL' -s '$S' list"
    escapes "$BATS_TEST_TMPDIR/screen"
    on_terminal "'$XFERCTL' -s '$S' list --color=never"
    refute escapes "$BATS_TEST_TMPDIR/screen"
    on_terminal "NO_COLOR=1 '$XFERCTL' -s '$S' list"
    refute escapes "$BATS_TEST_TMPDIR/screen"
}

@test "on a terminal names can't send escape sequences" {
    command -v script >/dev/null || skip 'script is not installed'
    local name=$'x\e[31my'
    cp "$D/small" "$D/$name"
    on_terminal "'$XFERCTL' -s '$S' -q send --color=never '$D/$name'"
    [ "$STATUS" -eq 0 ]
    refute escapes "$BATS_TEST_TMPDIR/screen"
    cmp "$D/small" "$ROOT/$name"
}
