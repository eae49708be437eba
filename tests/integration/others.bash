# SPDX-License-Identifier: MIT
#
# For the bats files about several users: load it after xferd. $A and $B are users by number, without names and with a group of the same
# number; both may be members of $TEAM. Needs root.

A=64001
B=64002
TEAM=64010
USER_A=$A # also where $A is something else

# Put this into setup_file() or setup(), after make_place: D can be entered by all, and they have a xferctl that they can run.
need_others() {
    [ "$(id -u)" -eq 0 ] || skip 'needs root'
    command -v setpriv >/dev/null || skip 'setpriv is not installed'
    chmod 0755 "$D"
    install -m 0755 "$XFERCTL" "$D/xferctl"
    as "$USER_A" test -x "$D/xferctl" || skip 'other users cannot reach the programs'
}

# as UID[,GROUP...] COMMAND...
as() {
    local uid=${1%%,*} groups=${1#"${1%%,*}"}
    shift
    if [ -n "$groups" ]; then
        setpriv --reuid="$uid" --regid="$uid" --groups="${groups#,}" -- "$@"
    else
        setpriv --reuid="$uid" --regid="$uid" --clear-groups -- "$@"
    fi
}

# ctl_as UID[,GROUP...] ARGUMENT...
ctl_as() {
    local who=$1
    shift
    as "$who" "$D/xferctl" -s "$S" "$@"
}

# denied_to UID[,GROUP...] ARGUMENT...: xferctl of that user ends with 4 and PermissionDenied, or with what STATUS and ERROR name. Sets FAILURE.
denied_to() {
    local who=$1 status=0
    shift
    FAILURE=$(ctl_as "$who" --json -q "$@" 2>&1) || status=$?
    echo "exit $status: $FAILURE"
    [ "$status" -eq "${STATUS-4}" ] && [ "$(jq -r .error.data.name <<<"$FAILURE")" = "${ERROR-PermissionDenied}" ]
}

# its UID PATH BYTES [MODE]: a file of that user
its() {
    make_file "$2" "$3"
    chown "$1:$1" "$2"
    chmod "${4-600}" "$2"
}

# its_dir UID PATH [MODE]
its_dir() {
    mkdir "$2"
    chown "$1:$1" "$2"
    chmod "${3-700}" "$2"
}

# lies PATH "UID:GID MODE" [SOURCE]: beneath the root
lies() {
    local found
    found=$(stat -c '%u:%g %a' "$ROOT/$1")
    echo "$1: $found, wanted $2"
    [ "$found" = "$2" ] && { [ -z "${3-}" ] || cmp "$3" "$ROOT/$1"; }
}

# Every thread of both ranks is root's, with root's groups, as at the start; but for the capabilities.
all_threads_are_roots() {
    local pid
    for pid in $(call system.hello | jq '.ranks[].pid'); do
        # a worker may be in the middle of something
        within 10 threads_are_roots "$pid"
    done
}

threads_are_roots() {
    ! awk '/^[UG]id:/ { for (i = 2; i <= 5; i++) if ($i != 0) print } /^Groups:/ { print }' /proc/"$1"/task/*/status |
        grep -vxF "$(grep ^Groups: /proc/self/status)"
}
