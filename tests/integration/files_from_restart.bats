# SPDX-License-Identifier: MIT
#
# Lists of send --files-from, beside the queue: there after a restart, and gone with their jobs.

load xferd

setup() {
    make_place
    mkdir "$D/src"
    for name in a b c; do echo $name >"$D/src/$name"; done
}
teardown() { remove_place; }

lists() { find "$D/queue.db.lists" -type f 2>/dev/null | wc -l; }
lists_are() { [ "$(lists)" -eq "$1" ]; }

@test "a list is there after a kill, and what no job names is removed at the start" {
    start_xferd
    ctl pause
    printf 'a\nb\n' | ctl send --no-wait --files-from - "$D/src"
    lists_are 1
    [ "$(stat -c %a "$D/queue.db.lists")" = 700 ]
    local list=$(echo "$D/queue.db.lists"/*) id
    # that which a death leaves before its job is recorded, and one of another queue
    id=$(call system.hello | member queue_id)
    cp "$list" "$D/queue.db.lists/$id-$(printf '%032d' 1)-$(printf '%032d' 1)"
    cp "$list" "$D/queue.db.lists/$id-$(printf '%032d' 1)"
    cp "$list" "$D/queue.db.lists/$(printf '%032d' 0)-$(printf '%032d' 1)-$(printf '%032d' 1)"
    local pids=$(ours)
    kill -KILL "$XFERD_PID"
    wait "$XFERD_PID" || true
    within 20 none_of_ours
    start_xferd
    lists_are 2
    [ -e "$list" ]
    ctl resume
    ctl wait 1
    [ "$(ls "$ROOT/src")" = $'a\nb' ]
    [ "$(ctl --json status 1 | jq .files_from)" = true ]
}

@test "a list goes when its job is forgotten" {
    start_xferd -o queue.history=1
    printf 'a\n' | ctl send --files-from - "$D/src"
    lists_are 1
    ctl send "$D/src/b"
    within 20 lists_are 0
}

@test "a list is none of what may be sent" {
    start_xferd
    ctl pause
    printf 'a\n' | ctl send --no-wait --files-from - "$D/src"
    ctl resume
    ctl wait 1
    fails 4 PermissionDenied send "$(echo "$D/queue.db.lists"/*)"
}
