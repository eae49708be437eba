#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
#
# The inner half of machine.bash, process 1 of a namespace of its own: makes the root and boots it, again after each reboot. Without a package
# xfer is installed into it here.
set -eu
: "${MACHINE:?}" "${MACHINE_GROUP:?}" "${top_builddir:?}"

mount --make-rprivate /
mount -t tmpfs tmpfs /run # where nspawn keeps its own things
mount -t tmpfs -o size=75% tmpfs "$MACHINE"
root=$MACHINE/root
mkdir "$MACHINE/upper" "$MACHINE/work" "$root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$MACHINE/upper,workdir=$MACHINE/work" "$root"

# Nothing of what this machine does is done there, nor what xfer it may have.
rm -rf "$root"/etc/systemd/{system,user,network}/* "$root"/etc/rc?.d "$root"/etc/fstab "$root"/etc/crypttab \
    "$root"/var/log/journal "$root"/var/lib/systemd/linger "$root"/etc/xfer "$root"/var/lib/xfer \
    "$root"/usr/lib/systemd/system/xferd.* "$root"/usr/local/lib/systemd
tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id" # else it would be a first boot, with presets
echo machine >"$root/etc/hostname"
echo 127.0.0.1 localhost machine >"$root/etc/hosts"

# A service of before, of root's.
mkdir -p "$root/var/lib/xfer/incoming"
echo old >"$root/var/lib/xfer/incoming/old"

[ -n "${DEB-}" ] || env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS make -s -C "$top_builddir" install DESTDIR="$root" prefix=/usr
touch "$MACHINE/../installed" # what fails from here on is not xfer's fault

mount -t cgroup2 none /sys/fs/cgroup
for left in /sys/fs/cgroup/xfer-test-*; do # by a bats that was killed
    if grep -qsx 'populated 0' "$left/cgroup.events"; then
        find "$left" -depth -type d -exec rmdir {} + || true
    fi
done
mkdir "/sys/fs/cgroup/$MACHINE_GROUP"
echo $$ >"/sys/fs/cgroup/$MACHINE_GROUP/cgroup.procs"
export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
again=133
while [ $again -eq 133 ]; do
    again=0
    systemd-nspawn --quiet --directory="$root" --machine="$MACHINE_GROUP" --hostname=machine --boot \
        --register=no --keep-unit --private-network --console=pipe --kill-signal=SIGRTMIN+3 systemd.unit=multi-user.target || again=$?
done
exit $again
