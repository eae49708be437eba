# SPDX-License-Identifier: MIT
#
# The queue on disk: what was accepted outlives everything; a database that cannot be used is refused, and left as it is; numbers are never given
# twice; a disk that is full for a while costs nothing but time.

load xferd
load life

setup() {
    make_place
    own_runtime
    mkdir "$D/q"
    DB=$D/q/queue.db
    make_file "$D/f" 5000
}

teardown() {
    end_clients
    chmod u+rwx "$D/q"
    remove_place
}

start() { start_xferd -o queue.database="$DB" "$@"; }

# ---- what was accepted ---------------------------------------------------------------------------

@test "what was accepted right before everything is killed is done after the next start, by itself" {
    start
    local i
    kill -STOP "$(rank_pid 1)"
    for i in {1..20}; do
        JOB=$(ctl send --no-wait --priority $((i % 3)) "$D/f" --to "to/$i")
    done
    end_everything
    [ "$JOB" -eq 20 ]
    start
    within 20 all_done 20
    for i in {1..20}; do cmp "$D/f" "$ROOT/to/$i"; done
    [ "$(ctl --json list | jq -s 'map(.job) | sort == [range(1; 21)]')" = true ]
    [ "$(ctl send --no-wait "$D/f")" -eq 21 ]
}

all_done() { [ "$(call system.stats | jq .jobs.done)" -eq "$1" ]; }

@test "each reply that a client has got is kept, however hard everything is killed while they come" {
    start
    local round job n=0
    for round in 1 2 3; do
        (for i in {1..2000}; do
            ctl send --no-wait --sync=none --timeout 1 "$D/f" --to "r$round/$i" >>"$D/replies" 2>/dev/null || break
        done) 3>&- &
        CLIENT=$!
        within 20 replies_grow $((n + 15))
        end_everything
        wait "$CLIENT" || true
        n=$(wc -l <"$D/replies")
        start
    done
    [ "$n" -ge 45 ]
    [ "$(sort "$D/replies" | uniq -d | wc -l)" -eq 0 ]
    ctl wait $(cat "$D/replies") >"$D/ended"
    [ "$(grep -c '^[0-9]*  done  ' "$D/ended")" -eq "$n" ]
}

replies_grow() { [ "$(cat "$D/replies" 2>/dev/null | wc -l)" -ge "$1" ]; }

@test "a daemon that was stopped with jobs in its queue does them when it is started" {
    start
    ctl pause
    ctl send --no-wait "$D/f" --to a
    ctl send --no-wait "$D/f" --to a
    stop_xferd
    [ ! -e "$ROOT/a" ]
    start
    ctl resume
    within 20 all_done 2
    cmp "$D/f" "$ROOT/a"
    [ "$(ctl send --no-wait "$D/f")" -eq 3 ]
}

@test "the file of the queue is its user's alone" {
    rmdir "$D/q"
    start
    ctl send "$D/f"
    [ "$(stat -c %a "$D/q" "$DB" "$DB-wal" | xargs)" = '700 600 600' ]
}

# ---- refusals ------------------------------------------------------------------------------------

# A database with a job that is done and one that waits, and no daemon.
make_database() {
    start
    ctl send "$D/f" >/dev/null
    ctl pause
    ctl send --no-wait "$D/f" --to later
    stop_xferd
    [ -s "$DB" ]
}

# Bytes of the file at an offset.
write_at() { printf "$2" | dd of="$DB" bs=1 seek="$1" conv=notrunc status=none; }

# An empty log is as good as none.
state_of_disk() { find "$D/q" -type f ! \( -name '*-wal' -empty \) -printf '%p %s %m %T@\n' -exec sha256sum {} + 2>/dev/null | sort; }

# refuses WORDS...: a start ends with status 1 and says all of this, the name of the database among it; nothing beside it has changed.
refuses() {
    local status=0 words
    state_of_disk >"$D/before"
    XFER_TEST_DIR=$D timeout 60 ${XFERD_AS-} "$XFERD" -o control.socket="$S" -o queue.database="$DB" -o store.root="$ROOT" \
        >"$D/said" 2>&1 </dev/null 3>&- || status=$?
    cat "$D/said"
    [ "$status" -eq 1 ]
    for words in "$DB" "$@"; do grep -qF -- "$words" "$D/said"; done
    state_of_disk | diff "$D/before" -
    not grep 'started again' "$D/said"
    [ ! -e "$S" ]
    none_of_ours
}

# What was refused is as good as before once it is mended.
mended() {
    start
    job_is 1 done
    [ "$(job_field 2 .reason)" = 'the queue is paused' ]
    ctl resume
    ctl wait 2
}

@test "a database with a damaged header" {
    make_database
    cp "$DB" "$D/good"
    write_at 0 'no database!'
    refuses 'damaged' 'restore it from a copy, or move it and its -wal file away'
    cp "$D/good" "$DB"
    mended
}

@test "a database with a damaged page" {
    make_database
    local pages page
    cp "$DB" "$D/good"
    pages=$(($(stat -c %s "$DB") / 4096))
    [ "$pages" -gt 4 ]
    for page in 1 2 $((pages - 1)); do
        cp "$D/good" "$DB"
        write_at $((page * 4096)) '\377\377\377\377\377\377\377\377'
        refuses 'damaged' 'restore it from a copy, or move it and its -wal file away'
    done
    cp "$D/good" "$DB"
    mended
}

@test "a database that was cut" {
    make_database
    cp "$DB" "$D/good"
    truncate -s -4096 "$DB"
    refuses 'damaged' 'restore it from a copy'
    truncate -s 100 "$DB"
    refuses 'damaged' 'restore it from a copy'
    cp "$D/good" "$DB"
    mended
}

@test "a file that is no database" {
    head -c 20000 /dev/urandom >"$DB"
    refuses 'never was a database' 'move it and its -wal file away'
    echo 'a few words' >"$DB"
    refuses 'never was a database' 'move it and its -wal file away'
}

@test "a database from a newer xferd" {
    make_database
    cp "$DB" "$D/good"
    write_at 60 "\\0\\0\\0\\$(printf %o $(($(od -An -tu1 -j 63 -N 1 "$DB") + 1)))"
    refuses 'newer xferd' 'use the newer xferd, or move it and its -wal file away'
    cp "$D/good" "$DB"
    mended
}

@test "a database whose log is from a newer xferd" {
    python3 -c 'import sqlite3' 2>/dev/null || skip 'python3 has no sqlite3'
    make_database
    cp "$DB" "$D/good"
    local status=0
    python3 - "$DB" <<'PY' || status=$?
import os, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
version, = db.execute("PRAGMA user_version").fetchone()
db.execute("PRAGMA wal_autocheckpoint = 0")
db.execute(f"PRAGMA user_version = {version + 1}")
os._exit(9)
PY
    [ "$status" -eq 9 ]
    [ -s "$DB-wal" ]
    cmp "$DB" "$D/good"
    rm -f "$DB-shm"
    refuses 'newer xferd' 'use the newer xferd, or move it and its -wal file away'
    mv "$DB-wal" "$D/"
    mended
}

@test "a database of another program" {
    make_database
    cp "$DB" "$D/good"
    write_at 68 'abcd'
    refuses 'another program' 'give queue.database another path'
    cp "$D/good" "$DB"
    mended
}

@test "a log without its database" {
    start
    ctl pause
    ctl send --no-wait "$D/f"
    end_everything
    [ -s "$DB-wal" ]
    mv "$DB" "$D/good"
    refuses 'missing or empty' "$DB-wal" 'bring back the database'
    : >"$DB"
    refuses 'missing or empty' "$DB-wal" 'bring back the database'
    mv "$D/good" "$DB"
    start
    job_is 1 queued
}

@test "a directory, a FIFO, a device in the place of the database" {
    mkdir "$DB"
    refuses 'irectory'
    rmdir "$DB"
    mkfifo "$DB"
    refuses 'no regular file'
    rm "$DB"
    ln -s /dev/null "$DB"
    refuses 'no regular file'
}

@test "a directory that is a file" {
    rmdir "$D/q"
    echo >"$D/q"
    refuses 'is no directory'
    rm "$D/q"
    mkdir "$D/q"
}

# as_nobody: daemons are started as another user, to whom $D belongs; $XFERD_AS stays empty for a user who is none but himself
as_nobody() {
    [ "$(id -u)" -eq 0 ] || return 0
    XFERD_AS='setpriv --reuid=65534 --regid=65534 --clear-groups --'
    chown -R 65534:65534 "$D"
    $XFERD_AS test -x "$XFERD" -a -w "$D" || skip "another user can't reach $XFERD or $D"
}

@test "a database that may not be written" {
    as_nobody
    make_database
    chmod 444 "$DB"
    refuses 'uid' 'let this user'
    chmod 000 "$DB"
    refuses 'let this user'
    chmod 600 "$DB"
    mended
}

@test "a database in a directory that may not be written" {
    as_nobody
    make_database
    chmod 555 "$D/q"
    refuses 'let this user write to it, its -wal file and its directory'
    chmod 755 "$D/q"
    mended
}

@test "a new database where nothing may be made" {
    as_nobody
    chmod 555 "$D/q"
    refuses 'cannot be made' 'ermission denied'
    DB=$D/q/deeper/queue.db
    refuses 'cannot be made' 'ermission denied'
}

@test "a database whose directory others may write to" {
    make_database
    chmod 777 "$D/q"
    refuses "$D/q"
    chmod 755 "$D/q"
    mended
}

@test "a database that another daemon uses" {
    make_database
    start
    local owner=$XFERD_PID rank0
    rank0=$(rank_pid 0)
    local first=$S status=0
    XFER_TEST_DIR=$D timeout 60 "$XFERD" -o control.socket="$D/other.sock" -o queue.database="$DB" -o store.root="$D/other" \
        >"$D/said" 2>&1 </dev/null 3>&- || status=$?
    cat "$D/said"
    [ "$status" -eq 1 ]
    grep -qF "queue database $DB is in use by process $rank0: stop the xferd that it belongs to, or give queue.database another path" "$D/said"
    # the one who has it has not noticed
    [ "$(rank_pid 0)" = "$rank0" ]
    ctl resume
    ctl wait 2
    still_serves
}

# Mount $D/q with these options.
mount_queue() {
    [ "$(id -u)" -eq 0 ] || skip 'needs root, to mount a small tmpfs'
    mount -t tmpfs -o "mode=700,$1" xfer-test "$D/q" || skip 'cannot mount'
}

fill() { cat /dev/zero >"$D/q/filler" 2>/dev/null || true; }

@test "a new database on a full disk" {
    mount_queue size=64k
    fill
    XFER_TEST_DIR=$D timeout 60 "$XFERD" -o control.socket="$S" -o queue.database="$DB" -o store.root="$ROOT" >"$D/said" 2>&1 \
        </dev/null 3>&- && false
    cat "$D/said"
    grep -qF "$DB" "$D/said"
    grep -q 'make room' "$D/said"
    rm "$D/q/filler"
    umount "$D/q"
    mount_queue size=4m
    start
    still_serves
}

@test "a database on a read-only file system" {
    mount_queue size=4m
    make_database
    mount -o remount,ro "$D/q"
    refuses 'read-only file system' 'put it on one that can be written'
    mount -o remount,rw "$D/q"
    mended
}

# ---- an older one --------------------------------------------------------------------------------

@test "a database of the first version is brought up to date, and all that is in it counts" {
    python3 -c 'import sqlite3' 2>/dev/null || skip 'python3 has no sqlite3'
    local status=0
    python3 - "$DB" "$D/f" "$(id -u)" <<'PY' || status=$?
import os, sqlite3, sys, time

path, source, uid = sys.argv[1:]
db = sqlite3.connect(path, isolation_level=None)
db.execute("PRAGMA journal_mode = WAL")
db.executescript("""
BEGIN;
CREATE TABLE meta (name TEXT NOT NULL PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE jobs (
  id INTEGER PRIMARY KEY AUTOINCREMENT, position INTEGER NOT NULL, state INTEGER NOT NULL, ended INTEGER NOT NULL, owner INTEGER NOT NULL,
  priority INTEGER NOT NULL, overwrite INTEGER NOT NULL, sync INTEGER NOT NULL, retries INTEGER NOT NULL, source BLOB NOT NULL,
  dest BLOB NOT NULL, key TEXT, attempts INTEGER NOT NULL, failures INTEGER NOT NULL, not_before REAL NOT NULL, submitted_at REAL NOT NULL,
  started_at REAL NOT NULL, finished_at REAL NOT NULL, bytes_total INTEGER NOT NULL, bytes_done INTEGER NOT NULL,
  bytes_resumed INTEGER NOT NULL, digest BLOB, error TEXT, error_side TEXT, error_errno INTEGER NOT NULL, error_text TEXT, error_path BLOB);
CREATE UNIQUE INDEX jobs_key ON jobs (owner, key) WHERE key IS NOT NULL;
INSERT INTO meta VALUES ('queue_id', x'000102030405060708090a0b0c0d0e0f'), ('paused', 0), ('draining', 0), ('last_ended', 2);
PRAGMA application_id = 0x78666572;
PRAGMA user_version = 1;
COMMIT;
""")
now = time.time()


def add(job, state, ended, dest, key=None, error=None):
    db.execute("INSERT INTO jobs VALUES (" + ",".join("?" * 27) + ")",
               (job, job, state, ended, int(uid), 0, 0, 0, 3, source.encode(), dest.encode(), key, 1, 0, 0, now, now if ended else 0,
                now if ended else 0, 5000, 5000, 0, bytes(16) if state == 2 else None, error, "sender" if error else None, 0,
                "no such file" if error else None, source.encode() if error else None))


add(1, 2, 1, "first", key="k")
add(2, 3, 2, "second", error="NoSuchFile")
add(3, 0, 0, "third")
add(9, 0, 0, "ninth")
db.execute("DELETE FROM jobs WHERE id = 9")
os._exit(9)
PY
    [ "$status" -eq 9 ]
    [ -s "$DB-wal" ]
    rm -f "$DB-shm"
    start
    within 10 job_is 3 done
    cmp "$D/f" "$ROOT/third"
    job_is 1 done
    [ "$(job_field 2 '.state + .error.data.name')" = failedNoSuchFile ]
    [ "$(call system.hello | jq -r .queue_id)" = 000102030405060708090a0b0c0d0e0f ]
    [ "$(ctl --json send --key k "$D/f" --to first | jq -c '[.job, .existing]')" = '[1,true]' ]
    [ "$(ctl send --no-wait "$D/f")" -eq 10 ]
    [ "$(call transfer.list '{"state":"failed"}' | jq '.jobs | length')" -eq 1 ]
    stop_xferd
    [ "$(od -An -tx1 -j 60 -N 4 "$DB" | tr -d ' ')" != 00000001 ]
    start
    job_is 3 done
    still_serves
}

# ---- history -------------------------------------------------------------------------------------

listed() { ctl --json list | jq -s -c 'map(.job) | sort'; }
lists() { [ "$(listed)" = "$1" ]; }

@test "as many finished jobs are kept as queue.history says, and what is pruned is told as forgotten" {
    start -o queue.history=3
    ctl pause
    # the same destination: each ends before the next one starts
    for _ in {1..7}; do ctl send --no-wait "$D/f" --to same; done
    ctl send --no-wait "$D/f"
    ctl cancel 1 8
    ctl retry 1 # the last one now
    ctl resume
    ctl wait 1
    within 10 lists '[1,6,7]'
    for job in 2 5 8; do
        fails 5 JobForgotten status $job
        fails 5 JobForgotten wait $job
        fails 5 JobForgotten cancel $job
        fails 5 JobForgotten retry $job
    done
    fails 5 NoSuchJob status 9
    [ "$(call system.stats | jq .jobs.done)" -eq 3 ]
    end_everything
    start -o queue.history=3
    [ "$(listed)" = '[1,6,7]' ]
    fails 5 JobForgotten status 2
    fails 5 JobForgotten status 8
    fails 5 NoSuchJob status 9
}

@test "jobs are forgotten when they are older than queue.history_time, unfinished ones never" {
    start -o queue.history_time=500ms
    kill -STOP "$(rank_pid 1)"
    JOB=$(ctl send --no-wait "$D/f")
    OLD=$(ctl send --no-wait "$D/f")
    ctl cancel "$OLD"
    within 10 lists "[$JOB]"
    fails 5 JobForgotten status "$OLD"
    job_is "$JOB" running
}

@test "a history that is made smaller counts from the next start" {
    start
    for i in {1..5}; do ctl send "$D/f" --to "$i" >/dev/null; done
    stop_xferd
    start -o queue.history=2
    within 10 lists '[4,5]'
}

@test "numbers are not given again after all jobs were forgotten and everything was killed" {
    start -o queue.history=0
    for i in {1..4}; do ctl send "$D/f" >/dev/null; done
    within 10 lists '[]'
    fails 5 JobForgotten status 4
    end_everything
    start -o queue.history=0
    fails 5 JobForgotten status 4
    fails 5 NoSuchJob status 5
    [ "$(ctl send --no-wait "$D/f")" -eq 5 ]
    stop_xferd
    start -o queue.history=0
    [ "$(ctl send --no-wait "$D/f")" -ge 6 ]
}

# ---- a disk that is full -------------------------------------------------------------------------

# submit: one more job, paused or not; ACCEPTED gets its number, or REFUSED grows
submit() {
    local status=0
    OUTPUT=$(ctl --json -q send --no-wait "$@" 2>&1) || status=$?
    if [ "$status" -eq 0 ]; then
        ACCEPTED+=("$(jq .job <<<"$OUTPUT")")
    else
        [ "$status" -eq 8 ]
        [ "$(jq -r '.error.data | .name + " " + .side' <<<"$OUTPUT")" = 'NoSpace daemon' ]
        REFUSED=$((REFUSED + 1))
    fi
}

is_refused() {
    local before=$REFUSED
    submit "$D/f" --to "n/$RANDOM$RANDOM$RANDOM"
    [ "$REFUSED" -gt "$before" ]
}

@test "a disk that is full under the database: submissions are refused, what runs goes on, and all is made up for" {
    mount_queue size=400k
    start
    ACCEPTED=() REFUSED=0
    make_file "$D/big" 30000000
    begin_stalled "$D/big"
    fill
    within 20 is_refused
    is_refused
    kill -CONT "$RANK1"
    within 20 phase_is "$JOB" recording
    cmp "$D/big" "$ROOT/big"
    job_is "$JOB" running
    ctl ping
    grep -q "$DB.*cannot be written: No space left on device" "$LOG"
    rm "$D/q/filler"
    ctl wait "$JOB" "${ACCEPTED[@]}"
    within 20 grep -q 'jobs are recorded again' "$LOG"
    submit "$D/f" --to after
    [ "$REFUSED" -eq 2 ]
    ctl wait "${ACCEPTED[-1]}"
    end_everything
    start
    for job in "$JOB" "${ACCEPTED[@]}"; do job_is "$job" done; done
    [ "$(call system.stats | jq .jobs.done)" -eq $((1 + ${#ACCEPTED[@]})) ]
}

phase_is() { [ "$(job_field "$1" .phase)" = "$2" ]; }

@test "everything is killed while the disk under the database is full: what was accepted is done once there is room" {
    mount_queue size=400k
    start
    ctl pause
    ACCEPTED=() REFUSED=0
    for i in {1..5}; do submit "$D/f" --to "$i"; done
    fill
    within 20 is_refused
    end_everything
    # without room it may be refused, but not without saying why
    if start; then
        ctl status "${ACCEPTED[0]}"
    else
        grep -q 'make room' "$LOG"
        XFERD_PID=
    fi
    rm "$D/q/filler"
    [ -n "$XFERD_PID" ] || start
    within 20 ctl resume
    ctl wait "${ACCEPTED[@]}"
    within 20 all_done ${#ACCEPTED[@]}
}

@test "pause and drain that cannot be recorded are refused, and are not in force" {
    mount_queue size=400k
    start
    ACCEPTED=() REFUSED=0
    fill
    within 20 is_refused
    fails 8 NoSpace pause
    fails 8 NoSpace drain
    [ "$(call system.stats | jq -c .queue)" = '{"paused":false,"draining":false}' ]
    rm "$D/q/filler"
    ctl pause
    [ "$(call system.stats | jq .queue.paused)" = true ]
}
