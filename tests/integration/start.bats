# SPDX-License-Identifier: MIT
#
# How the daemon starts: where it puts what, what it refuses and how it says so, how it tells that it is ready.

load xferd
load life

OTHER=64997 # a user without an entry in passwd, for when root runs the tests

setup() {
    make_place
    own_runtime
    HOME_DIR=$D/home
    mkdir "$HOME_DIR"
}

teardown() {
    end_clients
    [ -z "${PRIVATE-}" ] || rmdir "/tmp/xfer-$OTHER" 2>/dev/null || true
    remove_place
}

# An ordinary user for the rest of the test: this one, or another if this is root. The place is his.
become_ordinary() {
    AS=()
    unset RUNTIME_DIRECTORY
    if [ "$(id -u)" -eq 0 ]; then
        command -v setpriv >/dev/null || skip 'setpriv is not there'
        AS=(setpriv --reuid=$OTHER --regid=$OTHER --clear-groups --)
        "${AS[@]}" test -x "$XFERD" && "${AS[@]}" test -x "$XFERCTL" || skip 'another user cannot reach the programs'
        chown -R $OTHER:$OTHER "$D"
    else
        OTHER=$(id -u)
    fi
    [ -e "/tmp/xfer-$OTHER" ] || PRIVATE=yes
}

# plain VARIABLE=VALUE...: to be put before a command: an environment of these variables, and PATH, alone.
plain() { PLAIN=("${AS[@]}" env -i PATH="$PATH" ${ASAN_OPTIONS+ASAN_OPTIONS="$ASAN_OPTIONS" LSAN_OPTIONS="$LSAN_OPTIONS" UBSAN_OPTIONS="$UBSAN_OPTIONS"} "$@"); }

# start_as COMMAND...: in the background, until it is ready.
start_as() {
    "$@" >>"$LOG" 2>&1 </dev/null 3>&- &
    XFERD_PID=$!
    within 30 gone_or_says_ready
    not gone "$XFERD_PID"
}

gone_or_says_ready() { gone "$XFERD_PID" || grep -q 'xferd: ready: ' "$LOG"; }

# refused STATUS TEXT [ARGUMENT...]: this start ends with that status and says so; nothing of it is left.
refused() {
    local expected=$1 text=$2
    shift 2
    run timeout -k 5 60 "${PLAIN[@]}" "$XFERD" "$@" 3>&-
    echo "$output"
    [ "$status" -eq "$expected" ]
    [[ $output == *"$text"* ]]
    [ -n "$XFERD_PID" ] || not compgen -G "$D/run/xfer/xferd-*"
}

mode() { stat -c %a "$1"; }

keys() { echo -o control.socket="$S" -o queue.database="$D/queue.db" -o store.root="$ROOT"; }

# ---- places ----

@test "with HOME and nothing else: a private daemon, in its places" {
    become_ordinary
    [ ! -e "/tmp/xfer-$OTHER" ] || skip 'a private daemon is here'
    plain HOME="$HOME_DIR"
    start_as "${PLAIN[@]}" "$XFERD"
    local socket=/tmp/xfer-$OTHER/control.sock
    [ "$(mode "/tmp/xfer-$OTHER")" = 700 ]
    [ "$(mode "$socket")" = 600 ]
    [ "$("${PLAIN[@]}" "$XFERCTL" socket)" = "$socket" ]
    grep -q "ready: socket $socket, peer .*, receiving root $HOME_DIR/.local/state/xfer/incoming" "$LOG"

    make_file "$D/f" 1234
    chmod 644 "$D/f"
    "${PLAIN[@]}" "$XFERCTL" send "$D/f"
    cmp "$D/f" "$HOME_DIR/.local/state/xfer/incoming/f"
    stop_xferd
    [ ! -e "$socket" ]
    [ -z "$(ls -A "/tmp/xfer-$OTHER")" ]
}

@test "the XDG directories are where a private daemon puts what it has" {
    become_ordinary
    plain HOME="$HOME_DIR" XDG_RUNTIME_DIR="$D/run" XDG_STATE_HOME="$D/state" XDG_CONFIG_HOME="$D/config"
    mkdir -p "$D/config/xfer"
    printf '[link]\nlanes = 3\n' >"$D/config/xfer/xferd.conf"
    [ "$(id -u)" -ne 0 ] || chown -R $OTHER "$D/config"
    start_as "${PLAIN[@]}" "$XFERD"
    S=$D/run/xfer/control.sock
    [ "$(mode "$D/run/xfer")" = 700 ]
    [ "$(mode "$S")" = 600 ]
    [ -d "$D/state/xfer/incoming" ]
    [ "$("${PLAIN[@]}" "$XFERCTL" socket)" = "$S" ]
    [ "$(call system.stats | jq .link.lanes)" = 3 ]
    stop_xferd
    [ -z "$(ls -A "$D/run/xfer")" ]
}

@test "with systemd's directories it is the service, with a socket for the group" {
    [ ! -e /etc/xfer/xferd.conf ] || skip 'this machine has a configuration for the service'
    mkdir "$D/rt" "$D/st"
    start_as env RUNTIME_DIRECTORY="$D/rt" STATE_DIRECTORY="$D/st" "$XFERD"
    S=$D/rt/control.sock
    [ "$(mode "$S")" = 660 ]
    [ -d "$D/st/incoming" ]
    if getent group xfer >/dev/null; then
        [ "$(stat -c %G "$S")" = xfer ]
    else
        grep -q 'no group xfer' "$LOG"
    fi
    ctl ping
    stop_xferd
    [ ! -e "$S" ]
}

@test "keys on the command line alone, without any home" {
    become_ordinary
    plain
    # shellcheck disable=SC2046
    start_as "${PLAIN[@]}" "$XFERD" $(keys)
    ctl ping
    stop_xferd
}

@test "without a home, a place that is not named is asked for" {
    become_ordinary
    [ ${#AS[@]} -gt 0 ] || skip 'not root: this user has a home'
    plain
    refused 2 'store.root is not set' -o control.socket="$S" -o queue.database="$D/queue.db"
}

@test "what -o says goes before the file" {
    printf '[link]\nlanes = 3\nchunk = 1M\n' >"$D/conf"
    run "$XFERD" -c "$D/conf" -o link.lanes=5 --check-config
    [ "$status" -eq 0 ]
    grep -qx 'lanes = 5' <<<"$output"
    grep -qx 'chunk = 1048576' <<<"$output"
}

@test "what --check-config prints is a file that says the same" {
    "$XFERD" -o store.root=/somewhere -o control.mode=0640 -o log.level=debug --check-config >"$D/conf"
    grep -qx 'root = /somewhere' "$D/conf"
    diff "$D/conf" <("$XFERD" -c "$D/conf" --check-config)
}

@test "the socket gets mode and group as told, whatever the umask" {
    local gid
    gid=$(id -G | tr ' ' '\n' | tail -n 1)
    (umask 0 && exec "$XFERD" $(keys) -o control.mode=0606 -o control.group="$gid") >>"$LOG" 2>&1 </dev/null 3>&- &
    XFERD_PID=$!
    within 30 gone_or_says_ready
    [ "$(mode "$S")" = 606 ]
    [ "$(stat -c %g "$S")" = "$gid" ]
    [ "$(mode "$ROOT")" = 755 ]
    [ "$(mode "$ROOT/.xfer")" = 700 ]
    still_serves
}

@test "missing directories of the socket are made for the owner" {
    become_ordinary
    S=$D/a/b/control.sock
    plain HOME="$HOME_DIR" XDG_RUNTIME_DIR="$D/run"
    # shellcheck disable=SC2046
    start_as "${PLAIN[@]}" "$XFERD" $(keys)
    [ "$(mode "$D/a/b")" = 700 ]
    ctl ping
}

# ---- the command line and the configuration ----

@test "--version and --help" {
    run "$XFERD" --version
    [ "$status" -eq 0 ]
    [[ $output == "xferd "[0-9]* ]]
    run "$XFERD" --help
    [ "$status" -eq 0 ]
    [[ $output == *store.root*peer.host*link.lanes* ]]
}

@test "a wrong command line is a usage error" {
    refused 2 usage --fast
    refused 2 usage -c
    refused 2 usage file
    refused 2 'SECTION.KEY=VALUE' -o store.root
    refused 2 'SECTION.KEY=VALUE' -o =x
}

@test "an unknown key or section on the command line is named" {
    refused 2 'store.rot' -o store.rot=/x
    refused 2 'unknown section shop' -o shop.root=/x
}

@test "an unknown key or section in the file is named with file and line" {
    printf '# comment\n[store]\nroot = /x\nrot = /y\n' >"$D/conf"
    refused 2 "$D/conf:4: unknown key store.rot" -c "$D/conf"
    printf '[store]\n\n[shop]\nroot = /y\n' >"$D/conf"
    refused 2 "$D/conf:4: unknown section shop" -c "$D/conf"
    printf 'root = /y\n' >"$D/conf"
    refused 2 "$D/conf:1: " -c "$D/conf"
    printf '[store]\nroot = /y\nnonsense\n' >"$D/conf"
    refused 2 "$D/conf:3: " -c "$D/conf"
    printf '[store]\nroot = /y\nroot = /z\n' >"$D/conf"
    refused 2 "$D/conf:3: key store.root was there already" -c "$D/conf"
}

@test "a configuration that was asked for must be there" {
    refused 2 "$D/none" -c "$D/none"
    refused 2 "$D" -c "$D"
}

@test "values that are none are refused by key" {
    for bad in control.socket=relative control.mode=9 control.mode=01777 store.root=relative store.dir_mode=0600 store.file_mode=rw link.lanes=0 \
        link.lanes=many link.lanes=1000 link.timeout=9 link.chunk=1 link.chunk=1T log.level=loud peer.host=a,b peer.host=-x peer.user='a b'; do
        refused 2 "${bad%%=*}" -o "$bad"
    done
}

@test "a relative path is told with file and line" {
    printf '[store]\n\nroot = here\n' >"$D/conf"
    refused 2 "$D/conf:3: store.root: \"here\" is no absolute path" -c "$D/conf"
    refused 2 '-o: store.root: "here" is no absolute path' -o store.root=here
}

@test "a group or an administrator that is not there is refused, by --check-config too" {
    local check
    for check in '' --check-config; do
        # shellcheck disable=SC2046
        refused 2 'control.group: there is no group "no-such-group"' $(keys) -o control.group=no-such-group $check
        # shellcheck disable=SC2046
        refused 2 'control.admins: there is no user "no-such-user"' $(keys) -o control.admins='root no-such-user' $check
        # shellcheck disable=SC2046
        refused 2 'control.admins: there is no group "no-such-group"' $(keys) -o control.admins=@no-such-group $check
    done
    [ ! -e "$S" ]
    [ ! -e "$S.lock" ]
}

@test "what is printed on a full disk is an error" {
    local option
    for option in --help --version --check-config; do
        run bash -c '"$XFERD" '$option' >/dev/full'
        echo "$output"
        [ "$status" -eq 1 ]
        [[ $output == *'standard output: No space left'* ]]
    done
}

@test "too long a path for a socket is refused with its length" {
    refused 2 '107' -o control.socket="$D/$(printf '%0120d' 0)"
}

# ---- the socket ----

@test "a second daemon on one socket is refused, the first is unharmed" {
    start_xferd
    # shellcheck disable=SC2046
    refused 1 "$S is already served by pid $XFERD_PID" $(keys) -o store.root="$D/second"
    still_serves
    stop_xferd
    [ ! -e "$S" ]
}

@test "of two daemons that start at once one serves" {
    "$XFERD" $(keys) -o store.root="$D/in1" >"$D/log1" 2>&1 </dev/null 3>&- &
    local one=$!
    "$XFERD" $(keys) -o store.root="$D/in2" >"$D/log2" 2>&1 </dev/null 3>&- &
    local two=$!
    within 30 ctl ping >/dev/null 2>&1
    within 30 either_gone $one $two
    ctl ping
    cat "$D/log1" "$D/log2"
    [ "$(cat "$D/log1" "$D/log2" | grep -c 'already served')" -eq 1 ]
    [ "$(cat "$D/log1" "$D/log2" | grep -c 'ready:')" -eq 1 ]
    kill "$one" "$two" 2>/dev/null || true
    wait "$one" "$two" || true
}

either_gone() { gone "$1" || gone "$2"; }

@test "a stale socket is taken over" {
    socat -u UNIX-LISTEN:"$S" - </dev/null >/dev/null 2>&1 3>&- &
    WATCHER=$!
    within 5 test -S "$S"
    kill -KILL "$WATCHER"
    wait "$WATCHER" || true
    [ -S "$S" ]
    start_xferd
    still_serves
}

@test "the socket of another program is left alone" {
    socat -u UNIX-LISTEN:"$S",fork - </dev/null >/dev/null 2>&1 3>&- &
    WATCHER=$!
    within 5 test -S "$S"
    local before
    before=$(stat -c %i "$S")
    # shellcheck disable=SC2046
    refused 1 'already served by another process' $(keys)
    [ "$(stat -c %i "$S")" = "$before" ]
}

@test "what is no socket is left alone" {
    echo mine >"$S"
    # shellcheck disable=SC2046
    refused 1 "$S is there already and is no socket" $(keys)
    [ "$(cat "$S")" = mine ]
    rm "$S"
    mkdir "$S"
    # shellcheck disable=SC2046
    refused 1 "$S" $(keys)
    rmdir "$S"
    ln -s "$D/elsewhere" "$S"
    # shellcheck disable=SC2046
    refused 1 "$S" $(keys)
    [ -L "$S" ]
    [ ! -e "$D/elsewhere" ]
}

@test "a directory of somebody else is refused" {
    [ "$(id -u)" -eq 0 ] || skip 'not root'
    mkdir "$D/theirs"
    chown $OTHER "$D/theirs"
    S=$D/theirs/control.sock
    # shellcheck disable=SC2046
    refused 1 "$D/theirs belongs to uid $OTHER" $(keys)
    [ -z "$(ls -A "$D/theirs")" ]
}

@test "a directory that everybody may write to is refused" {
    mkdir -m 777 "$D/open"
    S=$D/open/control.sock
    # shellcheck disable=SC2046
    refused 1 "$D/open can be written by everybody" $(keys)
}

# ---- the receiving root ----

@test "a root that cannot be written is refused by name" {
    become_ordinary
    plain HOME="$HOME_DIR" XDG_RUNTIME_DIR="$D/run"
    mkdir -m 555 "$D/locked"
    [ "$(id -u)" -ne 0 ] || chown $OTHER "$D/locked"
    # shellcheck disable=SC2046
    refused 1 "$D/locked" $(keys) -o store.root="$D/locked/in"
    # shellcheck disable=SC2046
    refused 1 "$D/locked" $(keys) -o store.root="$D/locked"
    [ ! -e "$S" ]
}

@test "a root that is no directory is refused by name" {
    echo mine >"$D/file"
    # shellcheck disable=SC2046
    refused 1 "$D/file" $(keys) -o store.root="$D/file"
    [ "$(cat "$D/file")" = mine ]
}

@test "a root that another daemon serves is refused by name, after a wait that costs nothing" {
    start_xferd
    know_daemon
    "$XFERD" -o control.socket="$D/other.sock" -o queue.database="$D/other.db" -o store.root="$ROOT" >"$D/said" 2>&1 </dev/null 3>&- &
    WATCHER=$!
    within 10 test -S "$D/other.sock"
    within 5 quiet_second
    not gone "$WATCHER"
    local status=0
    wait "$WATCHER" || status=$?
    cat "$D/said"
    [ "$status" -eq 1 ]
    grep -q "$ROOT is in use by another xferd (process $RANK1)" "$D/said"
    [ ! -e "$D/other.sock" ]
    still_serves
}

# ---- telling that it is ready ----

@test "the ready line names socket, peer and root" {
    start_xferd
    within 5 grep -qx "xferd: ready: socket $S, peer $(hostname), receiving root $ROOT" "$LOG"
}

@test "systemd is told READY, when the socket serves, and STOPPING" {
    grep -q '^#define HAVE_LIBSYSTEMD 1' "$top_builddir/config.h" || skip 'built without libsystemd'
    socat -u UNIX-RECV:"$D/notify",type=2 CREATE:"$D/told" 3>&- &
    WATCHER=$!
    within 5 test -S "$D/notify"
    NOTIFY_SOCKET=$D/notify "$XFERD" $(keys) >>"$LOG" 2>&1 </dev/null 3>&- &
    XFERD_PID=$!
    within 30 grep -qa READY=1 "$D/told"
    ctl ping
    not grep -qa STOPPING "$D/told"
    not grep -qa NOTIFY_SOCKET "/proc/$(rank_pid 0)/environ"
    stop_xferd
    within 5 grep -qa STOPPING=1 "$D/told"
}

@test "the watchdog of systemd is fed while no rank serves" {
    grep -q '^#define HAVE_LIBSYSTEMD 1' "$top_builddir/config.h" || skip 'built without libsystemd'
    printf '#!/bin/sh\nexec tail -f /dev/null\n' >"$D/agent"
    chmod +x "$D/agent"
    socat -u UNIX-RECV:"$D/notify",type=2 CREATE:"$D/told" 3>&- &
    WATCHER=$!
    within 5 test -S "$D/notify"
    NOTIFY_SOCKET=$D/notify WATCHDOG_USEC=400000 "$XFERD" $(keys) -o peer.host=192.0.2.1 -o peer.agent="$D/agent" >>"$LOG" 2>&1 </dev/null 3>&- &
    XFERD_PID=$!
    within 5 fed_often "$D/told"
    not grep -qa READY "$D/told"
}

fed_often() { [ "$(grep -ao WATCHDOG=1 "$1" | wc -l)" -ge 3 ]; }

@test "a socket that systemd passes is served, and left to it at the end" {
    command -v systemd-socket-activate >/dev/null || skip 'systemd-socket-activate is not there'
    local passed=$D/passed.sock
    local kept=() name
    for name in ${RUNTIME_DIRECTORY:+RUNTIME_DIRECTORY} XDG_RUNTIME_DIR XDG_STATE_HOME XDG_CONFIG_HOME ASAN_OPTIONS LSAN_OPTIONS UBSAN_OPTIONS; do kept+=(-E "$name"); done
    systemd-socket-activate "${kept[@]}" -l "$passed" "$XFERD" $(keys) >>"$LOG" 2>&1 </dev/null 3>&- &
    XFERD_PID=$!
    within 5 test -S "$passed"
    "$XFERCTL" -s "$passed" ping --timeout 30
    grep -q "ready: socket $passed, " "$LOG"
    [ ! -e "$S" ]
    S=$passed
    still_serves
    stop_xferd
    [ -S "$passed" ]
}

# ---- odd surroundings ----

@test "it starts with standard input, output and errors closed" {
    "$XFERD" $(keys) <&- >&- 2>&- 3>&- &
    XFERD_PID=$!
    within 30 ready_or_gone
    still_serves
    stop_xferd
}

@test "it starts in a directory that is gone, and a relative -c is found before" {
    mkdir "$D/gone"
    printf '[link]\nlanes = 2\n' >"$D/conf"
    (cd "$D/gone" && rmdir "$D/gone" && exec "$XFERD" $(keys)) >>"$LOG" 2>&1 </dev/null 3>&- &
    XFERD_PID=$!
    within 30 ready_or_gone
    still_serves
    stop_xferd
    (cd "$D" && exec "$XFERD" -c conf $(keys)) >>"$LOG" 2>&1 </dev/null 3>&- &
    XFERD_PID=$!
    within 30 ready_or_gone
    [ "$(call system.stats | jq .link.lanes)" = 2 ]
    kill -HUP "$XFERD_PID"
    within 5 grep -q 'the configuration is as it was' "$LOG"
}

@test "a runtime directory that is missing or too long is made up for" {
    become_ordinary
    [ ! -e "/tmp/xfer-$OTHER" ] || skip 'a private daemon is here'
    for runtime in /nonexistent/run "$D/$(printf '%090d' 0)"; do
        plain HOME="$HOME_DIR" XDG_RUNTIME_DIR="$runtime"
        # shellcheck disable=SC2046
        start_as "${PLAIN[@]}" "$XFERD" $(keys)
        ctl ping
        stop_xferd
        : >"$LOG"
    done
}

@test "a launcher that is not there is named" {
    local mpiexec=${MPIEXEC-mpiexec}
    [[ $mpiexec != */* ]] || skip 'configured with a path'
    PLAIN=(env PATH=/nonexistent)
    # shellcheck disable=SC2046
    refused 1 "$mpiexec is not in PATH" $(keys)
}

@test "a TMPDIR that is not there does not matter" {
    TMPDIR=/nonexistent start_xferd
    still_serves
}
