# SPDX-License-Identifier: MIT
#
# A daemon whom permissions stop, since it doesn't run as root: what it may not read or write fails with exit 4, and nothing else suffers.

load xferd

setup_file() { share_xferd_unprivileged; }
teardown_file() { unshare_xferd; }

setup() {
    [ -n "$XFERD_PID" ] || skip "another user can't reach $XFERD or $D"
    begin_test
    # nobody's, where the tests run as root
    chmod 755 "$T"
    echo contents >"$T/f"
}

teardown() {
    [ -z "$XFERD_PID" ] || end_test
}

# As the user of the daemon: another one would hand over what the daemon can't read.
ctl() { $XFERD_AS "$XFERCTL" -s "$S" "$@"; }

# denied SIDE ARGUMENT...: send with these fails so
denied() {
    fails 4 PermissionDenied send "${@:2}"
    [ "$(error_field .side)" = "$1" ]
    [ "$(error_field .errno)" -eq 13 ]
    [ "$(error_field .retryable)" = false ]
}

@test "the daemon is not root" {
    [ "$(stat -c %u "/proc/$(rank_pid 1)")" -ne 0 ]
    ctl send "$T/f"
    cmp "$T/f" "$ROOT/f"
    only_files f
}

@test "a source that may not be read" {
    chmod 000 "$T/f"
    denied sender "$T/f"
    [ "$(error_field .path)" = "$T/f" ]
    only_files
    chmod 644 "$T/f"
    still_serves
}

@test "a source in a directory that may not be entered" {
    mkdir "$T/d"
    echo contents >"$T/d/f"
    chmod 000 "$T/d"
    denied sender "$T/d/f"
    chmod 755 "$T/d"
    only_files
    still_serves
}

@test "a source behind a link into what may not be entered" {
    mkdir "$T/d"
    echo contents >"$T/d/f"
    ln -s d/f "$T/link"
    chmod 000 "$T/d"
    denied sender "$T/link"
    chmod 755 "$T/d"
    only_files
}

# as_daemon COMMAND...: as the user of the daemon
as_daemon() { $XFERD_AS "$@"; }

@test "a directory that may not be written, small and large, new and existing" {
    local size overwrite
    as_daemon mkdir "$ROOT/d"
    as_daemon touch "$ROOT/d/old"
    as_daemon chmod 555 "$ROOT/d"
    for size in 10 100000 5000000; do
        make_file "$T/$size" $size
        denied receiver "$T/$size" --to d/new
        denied receiver "$T/$size" --to d/old
        denied receiver "$T/$size" --to d/new/f
        denied receiver "$T/$size" --to d/new --overwrite=never
    done
    [[ $(error_field .path) == "$ROOT/d/new" ]]
    only_files d d/old
    [ ! -s "$ROOT/d/old" ]
    still_serves
}

@test "a directory that may not be entered" {
    as_daemon mkdir -p "$ROOT/d/e"
    as_daemon chmod 000 "$ROOT/d"
    denied receiver "$T/f" --to d/f
    denied receiver "$T/f" --to d/e/f
    as_daemon chmod 755 "$ROOT/d"
    only_files d d/e
    still_serves
}

@test "a directory that may be written but not read takes files" {
    as_daemon mkdir "$ROOT/d"
    as_daemon chmod 333 "$ROOT/d"
    ctl send "$T/f" --to d/f
    ctl send "$T/f" --to d/f
    ctl send "$T/f" --to d/e/f --sync=none
    as_daemon chmod 755 "$ROOT/d"
    only_files d d/f d/e d/e/f
    cmp "$T/f" "$ROOT/d/f"
}

@test "a directory that becomes read-only while a file comes" {
    truncate -s 400M "$T/large"
    as_daemon mkdir "$ROOT/d"
    begin_halfway "$T/large" --to d/f
    as_daemon chmod 555 "$ROOT/d"
    kill -CONT "$RANK1"
    fails 4 PermissionDenied wait "$JOB"
    only_files d
    still_serves
}

@test "a file that may not be written is replaced all the same, as its directory allows it" {
    as_daemon touch "$ROOT/f"
    as_daemon chmod 000 "$ROOT/f"
    ctl send "$T/f"
    cmp "$T/f" "$ROOT/f"
    [ "$(stat -c %a "$ROOT/f")" = "$(stat -c %a "$T/f")" ]
}

@test "read-only files arrive read-only and can be replaced" {
    local mode
    for mode in 400 444 440; do
        cp "$T/f" "$T/$mode"
        chmod $mode "$T/$mode"
        as_daemon test -r "$T/$mode" || continue
        ctl send "$T/$mode"
        ctl send "$T/$mode"
        [ "$(stat -c %a "$ROOT/$mode")" = $mode ]
    done
}

@test "one that may not be read among others is the only one that fails" {
    echo secret >"$T/secret"
    chmod 000 "$T/secret"
    run ctl send "$T/secret" "$T/f"
    [ "$status" -eq 4 ]
    only_files f
    still_serves
}
