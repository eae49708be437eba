# SPDX-License-Identifier: MIT
#
# A machine of one's own: systemd as process 1 in a container whose root is an overlay over this machine's, in memory, with nothing enabled but
# what xfer's installation enables. It has no network but its loopback. Load it after xferd and package.
#
#   machine_start          boots it, and installs the package there; call it in setup_file after package_build. Where there is none, "make install"
#                          has to do, and nothing is started. Where there can be no machine, MACHINE_MISSING says why
#   machine_needed         skips the test then; call it in setup
#   machine_stop           call it in teardown_file
#   inside COMMAND...      runs it there as root, like someone who logs in anew
#   as USER COMMAND...     the same as that user with its present groups
#   bring FILE PATH [USER] copies a file in, there at PATH for that user (root), mode 0644
#   write PATH             standard input becomes that file, mode 0644
#   machine_reboot         in order; returns when it is up again
#
# All of it is in a mount and a process namespace that go with the bats process that started them, however that ends.

machine_cannot() {
    local tool
    [ "$(id -u)" -eq 0 ] || { echo 'not root'; return; }
    [ -z "${SANITIZER-}" ] || { echo "a sanitizer's memory does not fit into the unit's limits"; return; }
    for tool in systemd-nspawn nsenter unshare setpriv make; do
        command -v "$tool" >/dev/null || { echo "$tool is not there"; return; }
    done
    grep -q '^#define HAVE_LIBSYSTEMD 1' "$top_builddir/config.h" || { echo 'built without libsystemd'; return; }
    unshare --mount sh -c 'mount --make-rprivate / && mount -t tmpfs tmpfs /mnt && mount -t cgroup2 none /sys/fs/cgroup' 2>/dev/null ||
        echo 'no mounts here'
}

machine_start() {
    export MACHINE=$BATS_FILE_TMPDIR/machine MACHINE_HOLDER= MACHINE_MISSING MACHINE_GROUP=xfer-test-$$
    MACHINE_MISSING=$(machine_cannot)
    [ -z "$MACHINE_MISSING" ] || return 0
    mkdir "$MACHINE"
    setpriv --pdeathsig KILL unshare --mount --pid --fork --kill-child=KILL --mount-proc \
        bash "$top_srcdir/tests/rigs/machine.sh" >"$MACHINE/log" 2>&1 </dev/null 3>&- &
    MACHINE_HOLDER=$!
    within 60 machine_is_up_or_gone
    if gone "$MACHINE_HOLDER"; then
        cat "$MACHINE/log" >&2
        [ ! -e "$BATS_FILE_TMPDIR/installed" ] || MACHINE_MISSING="systemd does not boot here: $(tail -n 1 "$MACHINE/log")"
        [ -n "$MACHINE_MISSING" ]
        return
    fi
    [ -n "$DEB" ] || return 0
    inside rm -f /usr/sbin/policy-rc.d # a container's, that has services not started
    bring "$DEB" /srv/xfer.deb
    bring "$NEXT_DEB" /srv/next.deb
    install_deb /srv/xfer.deb
}

install_deb() { inside dpkg --no-triggers -i "$1"; }

machine_needed() { [ -z "$MACHINE_MISSING" ] || skip "$MACHINE_MISSING"; }

machine_stop() {
    [ -n "$MACHINE_HOLDER" ] || return 0
    kill -KILL "$MACHINE_HOLDER" 2>/dev/null
    wait "$MACHINE_HOLDER" 2>/dev/null || true
    # its cgroups outlive it
    within 10 unshare --mount sh -c 'mount --make-rprivate / && mount -t cgroup2 none /sys/fs/cgroup && cd /sys/fs/cgroup &&
        [ ! -d "$0" ] || find "$0" -depth -type d -exec rmdir {} +' "$MACHINE_GROUP" 2>/dev/null
    rm -rf "$MACHINE"
}

machine_children() { cat "/proc/$1/task/$1/children" 2>/dev/null; }

# Its process 1 as seen from here; nothing while there is none. Above it are nspawn, the script, and unshare.
machine_leader() {
    local script child
    script=$(machine_children "$MACHINE_HOLDER")
    for child in $(machine_children "${script% }"); do
        [ "$(cat "/proc/$child/comm" 2>/dev/null)" = systemd-nspawn ] || continue
        machine_children "$child" | cut -d ' ' -f 1
    done
}

machine_is_up() { inside systemctl -q is-active multi-user.target 2>/dev/null; }
machine_is_up_or_gone() { machine_is_up || gone "$MACHINE_HOLDER"; }

machine_reboot() {
    local before
    before=$(machine_leader)
    inside systemctl reboot
    within 30 machine_is_another "$before"
    within 30 machine_is_up
}

machine_is_another() {
    local leader
    leader=$(machine_leader)
    [ -n "$leader" ] && [ "$leader" != "$1" ]
}

inside() {
    local leader
    leader=$(machine_leader)
    [ -n "$leader" ] || { echo 'the machine is down' >&2; return 1; }
    env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 SYSTEMD_PAGER= \
        nsenter --target "$leader" --all -- env -C / "$@" 3>&-
}

as() {
    local user=$1
    shift
    inside setpriv --reuid="$user" --regid="$user" --init-groups --reset-env -- "$@"
}

write() { inside sh -c 'umask 022; mkdir -p "${1%/*}"; cat >"$1"' sh "$1"; }

bring() {
    write "$2" <"$1"
    [ -z "${3-}" ] || inside chown "$3:" "$2"
}
