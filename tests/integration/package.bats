# SPDX-License-Identifier: MIT
#
# The Debian package: looked over, and then installed, upgraded, removed and purged on a machine of its own with a real systemd. Nothing of it touches this machine.

load xferd
load ../rigs/package
load ../rigs/machine

incoming=/var/lib/xfer/incoming
xfer_state=/var/lib/xfer

setup_file() {
    export MACHINE_MISSING=
    package_build
    [ -z "$PACKAGE_MISSING" ] || return 0
    machine_start
    [ -z "$MACHINE_MISSING" ] || return 0
    inside useradd --create-home member
}

teardown_file() {
    [ -n "${PACKAGE_MISSING-}" ] || machine_stop
}

package_needed() { [ -z "$PACKAGE_MISSING" ] || skip "$PACKAGE_MISSING"; }

# ---- what is in it -------------------------------------------------------------------------------

# build_depends [nocheck]: the packages in Build-Depends; those for the tests
build_depends() {
    sed -n '/^Build-Depends:/,/^$/ s/^ \([^ ,]*\)\( [^,]*\)\?,$/\1\2/p' "$top_srcdir/debian/control" |
        if [ $# -eq 0 ]; then grep -v '<!nocheck>'; else sed -n 's/ <!nocheck>//p'; fi |
        sed 's/ .*//' | grep -v '^debhelper-compat$\|^dh-' | sort
}

packages_debian() { sed -n "s/^$1[[:space:]]*\([^[:space:]#]*\).*/\1/p" "$top_srcdir/packages.debian" | sort; }

@test "Build-Depends is what packages.debian lists" {
    [ -r "$top_srcdir/debian/control" ] || skip 'debian/ is not part of this tree'
    # build-essential has three of them; xxhsum is for the tests and for quickstart
    diff <(packages_debian build | grep -vx 'gcc\|libc6-dev\|make\|xxhash') <(build_depends)
    local package
    for package in $(build_depends nocheck); do
        packages_debian test | grep -qx "$package"
    done
}

@test "the package has the version of the tree" {
    [ -r "$top_srcdir/debian/changelog" ] || skip 'debian/ is not part of this tree'
    local version
    version=$(sed -n 's/^AC_INIT(\[xfer\], \[\(.*\)\])$/\1/p' "$top_srcdir/configure.ac")
    [ -n "$version" ]
    head -n 1 "$top_srcdir/debian/changelog" | grep -F "xfer ($version)"
}

@test "shellcheck finds nothing in the maintainer scripts" {
    [ -r "$top_srcdir/debian/control" ] || skip 'debian/ is not part of this tree'
    command -v shellcheck >/dev/null || skip 'shellcheck is not installed'
    run shellcheck "$top_srcdir"/debian/xfer.postrm "$top_srcdir"/debian/xfer.prerm
    echo "$output"
    [ "$status" -eq 0 ]
}

@test "lintian finds no error" {
    package_needed
    command -v lintian >/dev/null || skip 'lintian is not installed'
    run lintian --allow-root --fail-on error "$PACKAGES"/*.changes
    echo "$output"
    [ "$status" -eq 0 ]
}

@test "it holds the programs, the man pages, the units, the documents and the examples" {
    package_needed
    dpkg-deb -c "$DEB" | awk '{print $6}' | sed 's|^\.||' | sort >"$BATS_TEST_TMPDIR/files"
    cat "$BATS_TEST_TMPDIR/files"
    local file
    for file in /usr/bin/xferctl /usr/sbin/xferd /etc/xfer/xferd.conf /lib/systemd/system/xferd.service /usr/lib/sysusers.d/xfer.conf \
        /usr/share/man/man1/xferctl.1.gz /usr/share/man/man5/xferd.conf.5.gz /usr/share/man/man7/xfer-protocol.7.gz \
        /usr/share/man/man8/xferd.8.gz /usr/share/doc/xfer/copyright /usr/share/doc/xfer/README.Debian \
        /usr/share/doc/xfer/PROTOCOL.md.gz; do
        grep -qxF "$file" "$BATS_TEST_TMPDIR/files" || { echo "missing: $file"; return 1; }
    done
    for file in contrib/nagios/check_xfer contrib/prometheus/xfer-metrics.service contrib/prometheus/xfer-metrics.timer systemd/two-hosts.conf \
        systemd/identity-caller.conf; do
        grep -qxF "/usr/share/doc/xfer/$file" "$BATS_TEST_TMPDIR/files" || { echo "missing: $file"; return 1; }
    done
    for file in "$top_srcdir"/examples/*; do
        grep -qxF "/usr/share/doc/xfer/examples/${file##*/}" "$BATS_TEST_TMPDIR/files" || { echo "missing: $file"; return 1; }
    done
}

@test "all that make install installs is in it, and it belongs to root, with no modes but 755 and 644" {
    package_needed
    local installed=$BATS_TEST_TMPDIR/installed
    env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS make -s -C "$PACKAGES/xfer/build/debian" install DESTDIR="$installed" >/dev/null
    diff <(cd "$installed" && find . -type f | sort) \
        <(dpkg-deb -c "$DEB" | awk '$1 ~ /^-/ {print $6}' | sed 's/\.gz$//' | sort) | sed -n 's/^< //p' >"$BATS_TEST_TMPDIR/lacking"
    cat "$BATS_TEST_TMPDIR/lacking"
    [ ! -s "$BATS_TEST_TMPDIR/lacking" ]
    run awk '$2 != "root/root" || !/^(drwxr-xr-x|-rwxr-xr-x|-rw-r--r--|lrwxrwxrwx)/' <(dpkg-deb -c "$DEB")
    echo "$output"
    [ -z "$output" ]
    # programs are where programs belong, and where they can be copied from
    run awk '$1 == "-rwxr-xr-x" && $6 !~ /^\.\/(usr\/(s?bin|lib|libexec)|usr\/share\/doc\/xfer\/(examples|contrib\/nagios))\//' <(dpkg-deb -c "$DEB")
    echo "$output"
    [ -z "$output" ]
}

@test "the configuration is a conffile, the only one, with nothing set" {
    package_needed
    [ "$(dpkg-deb -I "$DEB" conffiles)" = /etc/xfer/xferd.conf ]
    dpkg-deb --fsys-tarfile "$DEB" | tar -x -O ./etc/xfer/xferd.conf >"$BATS_TEST_TMPDIR/xferd.conf"
    run grep -v '^#\|^\[[a-z]*\]$\|^$' "$BATS_TEST_TMPDIR/xferd.conf"
    [ -z "$output" ]
}

# ---- a life on a machine -------------------------------------------------------------------------

ctl() { inside xferctl "$@"; }
in_state() { [ "$(inside dpkg-query -W -f '${db:Status-Status}' xfer 2>/dev/null)" = "$1" ]; }
is_not() { ! "$@"; }
main_pid() { inside systemctl show --value --property MainPID xferd; }
service_is() { [ "$(inside systemctl is-active "${2-xferd}")" = "$1" ]; }

# A machine on which the package is installed, as at first, and its daemon runs.
installed() {
    package_needed
    machine_needed
    in_state installed || install_deb /srv/xfer.deb
    within 30 service_is active
    inside usermod -aG xfer member
    ctl resume
}

# put NAME: a file of member's that the daemon may read
put() {
    head -c 300000 /dev/urandom >"$BATS_TEST_TMPDIR/$1"
    bring "$BATS_TEST_TMPDIR/$1" "/srv/$1" member
}

# has_arrived NAME
has_arrived() { inside cmp "/srv/$1" "$incoming/$1"; }

@test "an installation starts the service, and a member of the group sends a file" {
    installed
    [ "$(inside systemctl is-enabled xferd)" = enabled ]
    [ "$(inside stat -c '%a %G' /run/xfer/control.sock)" = '660 xfer' ]
    put first
    as member xferctl -q send /srv/first
    has_arrived first
    # nobody asked for these
    [ "$(inside systemctl is-active xferd.socket)" != active ]
    [ -z "$(inside find /etc/systemd/user -name 'xferd*')" ]
}

# outbox_commands: how to set it up, as the head of its path unit says
outbox_commands() { inside sed -n 's/^#     //p' /usr/share/doc/xfer/examples/xfer-outbox.path | sed 's/ *#.*//'; }
outbox_is_empty() { [ -z "$(inside find /var/spool/xfer-outbox/new -type f)" ]; }

@test "the outbox, set up as its units say, sends what a member puts there, with and without a daemon" {
    installed
    outbox_commands | tee "$BATS_TEST_TMPDIR/commands"
    grep -q 'systemctl enable --now xfer-outbox.path' "$BATS_TEST_TMPDIR/commands"
    inside sh -eu <"$BATS_TEST_TMPDIR/commands"
    run inside systemd-analyze --no-pager --man=no verify xfer-outbox.path xfer-outbox.service
    echo "$output"
    [ "$status" -eq 0 ]
    [ -z "$output" ]

    as member sh -c 'umask 027; echo one >/var/spool/xfer-outbox/new/.one; mv /var/spool/xfer-outbox/new/.one /var/spool/xfer-outbox/new/one'
    within 30 outbox_is_empty
    [ "$(inside cat "$incoming/outbox/one")" = one ]
    inside test -s /var/spool/xfer-outbox/sent/one

    # while there is none it is tried again by systemd, here without the pause of half a minute
    inside sh -c 'mkdir -p /run/systemd/system/xfer-outbox.service.d
        printf "[Service]\nRestartSec=100ms\n" >/run/systemd/system/xfer-outbox.service.d/fast.conf'
    inside systemctl daemon-reload
    inside systemctl stop xferd
    as member sh -c 'echo two >/var/spool/xfer-outbox/new/.two; mv /var/spool/xfer-outbox/new/.two /var/spool/xfer-outbox/new/two'
    inside systemctl start xferd
    within 60 outbox_is_empty
    [ "$(inside cat "$incoming/outbox/two")" = two ]
    inside systemctl -q disable --now xfer-outbox.path
}

@test "the Slurm epilog sends as the job's user, and only what that user can read" {
    installed
    inside sh -c 'mkdir -p /srv/out/5 && echo result >/srv/out/5/result && chmod 644 /srv/out/5/result && chown -R member: /srv/out/5 &&
        echo secret >/srv/out/5/secret && chmod 600 /srv/out/5/secret'
    inside env SLURM_JOB_ID=5 SLURM_JOB_USER=member XFER_OUTPUT_BASE=/srv/out /usr/share/doc/xfer/examples/slurm-epilog
    local job uid
    uid=$(inside id -u member)
    job=$(ctl --json list | jq 'select(.dest == "slurm/5/result").job')
    ctl -q wait "$job"
    [ "$(inside cat "$incoming/slurm/5/result")" = result ]
    [ "$(ctl --json status "$job" | jq .uid)" = "$uid" ]
    all_over() { [ -z "$(ctl --json list | jq 'select(.state == "queued" or .state == "running").job')" ]; }
    within 30 all_over
    inside test ! -e "$incoming/slurm/5/secret"
}

@test "an upgrade keeps the queue and the configuration, and the new daemon goes on; who waits goes on waiting" {
    installed
    inside sh -c 'printf "[log]\nlevel = info\n" >/etc/xfer/xferd.conf'
    put queued
    ctl pause
    local job pid waiter
    job=$(as member xferctl -q send --no-wait /srv/queued)
    pid=$(main_pid)
    ctl -q wait "$job" >/dev/null 3>&- &
    waiter=$!
    install_deb /srv/next.deb
    [ "$(inside dpkg-query -W -f '${Version}' xfer)" = "$(dpkg-deb -f "$NEXT_DEB" Version)" ]
    within 30 service_is active
    [ "$(main_pid)" != "$pid" ]
    [ "$(ctl --json status "$job" | jq -r .state)" = queued ]
    [ "$(inside sed -n 2p /etc/xfer/xferd.conf)" = 'level = info' ]
    ctl resume
    wait "$waiter"
    has_arrived queued
}

@test "an upgrade in the middle of a transfer: the job goes on where it was, and a waiting xferctl send is told its end" {
    installed
    inside sh -c 'head -c 100000000 /dev/urandom >/srv/large && chown member: /srv/large'
    local pid job waiter
    pid=$(main_pid)
    # the limit holds until the daemon is started again
    ctl -q limit 10M
    as member xferctl -q send /srv/large >"$BATS_TEST_TMPDIR/out" 2>&1 3>&- &
    waiter=$!
    within 20 large_has_moved 0
    job=$(ctl --json list | jq 'select(.dest == "large").job')
    within 20 large_has_moved 20000000
    ctl -q limit 100K
    install_deb "$(other_deb)"
    within 30 service_is active
    [ "$(main_pid)" != "$pid" ]
    wait "$waiter"
    has_arrived large
    [ "$(ctl --json status "$job" | jq '.state == "done" and .bytes_resumed > 0')" = true ]
    inside rm -f /srv/large "$incoming/large"
}

large_has_moved() { [ "$(ctl --json list | jq "select(.dest == \"large\") | .bytes_done > $1")" = true ]; }

# The version that is not installed.
other_deb() {
    if [ "$(inside dpkg-query -W -f '${Version}' xfer)" = "$(dpkg-deb -f "$NEXT_DEB" Version)" ]; then
        echo /srv/xfer.deb
    else
        echo /srv/next.deb
    fi
}

@test "an upgrade with xferd.socket enabled: it goes on listening, and starts the new daemon" {
    installed
    inside systemctl stop xferd
    inside systemctl -q enable --now xferd.socket
    ctl -q --timeout 30 ping
    local pid
    pid=$(main_pid)
    install_deb "$(other_deb)"
    service_is active xferd.socket
    [ "$(inside systemctl is-enabled xferd.socket)" = enabled ]
    ctl -q --timeout 30 ping
    [ "$(main_pid)" != "$pid" ]
    [ "$(inside systemctl show --value --property NRestarts xferd)" = 0 ]
    inside systemctl stop xferd
    ctl -q --timeout 30 ping
    service_is active
    inside systemctl stop xferd.socket xferd
    inside systemctl -q disable xferd.socket
    inside systemctl start xferd
}

@test "what is removed leaves queue, configuration and received files, and an installation goes on with them" {
    installed
    put kept
    ctl pause
    local job
    job=$(as member xferctl -q send --no-wait /srv/kept)
    inside dpkg --no-triggers -r xfer
    in_state config-files
    is_not service_is active
    [ -z "$(inside pgrep -x xferd)" ]
    inside test ! -e /run/xfer
    inside test -s "$xfer_state/queue.db"
    inside test -e /etc/xfer/xferd.conf
    inside test -s "$incoming/first"
    install_deb /srv/xfer.deb
    within 30 service_is active
    [ "$(ctl --json status "$job" | jq -r .state)" = queued ]
    ctl resume
    ctl -q wait "$job"
    has_arrived kept
}

@test "a removal stops a socket unit that was enabled" {
    installed
    inside test -e /lib/systemd/system/xferd.socket || skip 'there is no socket unit'
    inside systemctl stop xferd
    inside systemctl -q enable --now xferd.socket
    ctl -q --timeout 30 ping
    inside dpkg --no-triggers -r xfer
    is_not service_is active xferd.socket
    is_not service_is active
    inside test ! -e /run/xfer
    inside systemctl -q disable xferd.socket 2>/dev/null || true
}

@test "a purge removes queue, incomplete files and configuration, and nothing that was received, here or elsewhere" {
    installed
    inside systemctl stop xferd
    # as a transfer leaves it that was cut off, here and in a root elsewhere
    inside sh -c "mkdir -p $incoming/.xfer/partial /srv/other/.xfer/partial &&
        echo part >$incoming/.xfer/partial/0-1-0 && echo part >/srv/other/.xfer/partial/0-1-0 && echo whole >/srv/other/file"
    inside sh -c 'printf "[store]\nroot = /srv/other\n" >/etc/xfer/xferd.conf'
    inside find "$incoming" -path "$incoming/.xfer" -prune -o -type f -print | sort >"$BATS_TEST_TMPDIR/before"
    [ -s "$BATS_TEST_TMPDIR/before" ]
    inside dpkg --no-triggers -P xfer
    is_not in_state config-files
    inside find "$incoming" -type f | sort | diff "$BATS_TEST_TMPDIR/before" -
    [ "$(inside find /srv/other -type f | sort | tr '\n' ' ')" = '/srv/other/.xfer/partial/0-1-0 /srv/other/file ' ]
    [ -z "$(inside find "$xfer_state" -maxdepth 1 -name 'queue*')" ]
    inside test ! -e "$incoming/.xfer"
    inside test ! -e /etc/xfer
    inside test ! -e /etc/systemd/system/multi-user.target.wants/xferd.service
    inside getent group xfer
}

@test "a purge does not follow a link in the place of the receiving root" {
    installed
    inside systemctl stop xferd
    inside sh -c "mv $incoming /srv/moved && ln -s /srv/moved $incoming && mkdir -p /srv/moved/.xfer/partial && echo part >/srv/moved/.xfer/partial/p"
    inside dpkg --no-triggers -P xfer
    inside test -s /srv/moved/.xfer/partial/p
    inside test -s /srv/moved/old
    inside test -L "$incoming"
}

@test "a purge of what has received nothing leaves nothing behind" {
    package_needed
    machine_needed
    inside rm -rf "$incoming" "$xfer_state"
    installed
    inside dpkg --no-triggers -P xfer
    inside test ! -e "$xfer_state"
    inside test ! -e /etc/xfer
    inside test ! -e /run/xfer
}
