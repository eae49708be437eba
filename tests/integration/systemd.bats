# SPDX-License-Identifier: MIT
#
# xfer as a service of a real systemd: its package installed into a machine of its own, which is booted once for all tests, and once more by one of
# them. Where no package can be built it is installed by "make install", which the first test tells by being skipped.

load xferd
load ../rigs/package
load ../rigs/machine

UNIT=xferd.service

setup_file() {
    package_build
    machine_start
    [ -z "$MACHINE_MISSING" ] || return 0
    if [ -z "$DEB" ]; then
        inside systemd-sysusers
        inside systemd-tmpfiles --create xfer.conf
        inside systemctl daemon-reload
        inside systemctl -q enable --now xferd
    fi
    inside useradd --create-home --groups xfer member
    inside useradd --create-home stranger
    inside chmod 755 /home/member
    head -c 150000000 /dev/urandom | write /srv/big
}

teardown_file() { machine_stop; }

setup() { machine_needed; }

teardown() {
    [ -z "$MACHINE_MISSING" ] || return 0
    if [ -z "$BATS_TEST_COMPLETED" ]; then
        inside systemctl status --no-pager --lines 0 xferd | grep -v -- --handoff
        inside journalctl --no-pager -b -n 30 -u xferd | sed 's/^/# /'
    fi
    # what a test has changed, or has left behind when it failed
    [ ! -e "$BATS_TEST_TMPDIR/changed" ] || back_to_normal
}

back_to_normal() {
    inside sh -c 'pkill -CONT -x xferd; rm -rf /run/systemd/system/xferd.service.d /etc/xfer/xferd.conf'
    inside systemctl -q stop xferd.socket xferd
    inside systemctl daemon-reload
    inside systemctl reset-failed
    inside systemctl start xferd
    inside xferctl resume
}

# changes: say so before a test changes something of the service.
changes() { touch "$BATS_TEST_TMPDIR/changed"; }

# drop_in: standard input becomes one, and xferd is started with it.
drop_in() {
    changes
    write /run/systemd/system/xferd.service.d/test.conf
    inside systemctl daemon-reload
    inside systemctl restart xferd
}

# shown NAME: a property of the unit
shown() { inside systemctl show --value --property "$1" "${2-$UNIT}"; }

is_shown() { [ "$(shown "$1")" = "$2" ]; }

# supervisor_status FIELD: the first value in /proc/PID/status
supervisor_status() { inside awk -v f="$1:" '$1 == f {print $2}' "/proc/$(shown MainPID)/status"; }

# The socket's methods, as root.
ctl() { inside xferctl "$@"; }

# said SINCE [MATCH...]: what the daemon has logged since then (now), as JSON, a line an entry
said() {
    local since=$1
    shift
    inside journalctl --no-pager -q -o json --since "$since" "_SYSTEMD_UNIT=$UNIT" "$@"
}
now() { date +@%s.%6N; }
has_said() { said "$1" | jq -r .MESSAGE | grep -q -- "$2"; }

# sends_as USER FILE: and it arrives
sends_as() {
    as "$1" xferctl -q send "$2"
    inside cmp "$2" "/var/lib/xfer/incoming/${2##*/}"
}

exposure_is_low() {
    run inside systemd-analyze security --no-pager "$UNIT"
    grep ✗ <<<"$output"
    [ "$(sed -n 's/.*exposure level for .*: \([0-9]*\)\.\([0-9]\) .*/\1\2/p' <<<"$output")" -le 25 ]
}

# A transfer in the middle: rank 1 stands still, its process is $RANK1. Sets JOB.
begin_stalled_inside() {
    changes
    RANK1=$(rank_pid 1)
    inside kill -STOP "$RANK1"
    JOB=$(ctl send --no-wait /srv/big --to "$1")
    within 10 job_moves "$JOB"
}

# The job is done by a later attempt.
goes_on() {
    ctl -q --timeout 30 wait "$JOB"
    [ "$(job_field "$JOB" .state)" = done ]
    [ "$(job_field "$JOB" .attempts)" -ge 2 ]
    inside cmp /srv/big "/var/lib/xfer/incoming/$1"
}

# ---- what was installed --------------------------------------------------------------------------

@test "it is the package that is tested here: installed as built, and its service enabled and started by it" {
    [ -n "$DEB" ] || skip "no package, but make install: $PACKAGE_MISSING"
    run inside dpkg --verify xfer
    echo "$output"
    [ "$status" -eq 0 ]
    [ -z "$output" ]
    [ "$(inside dpkg-query -W -f '${Version}' xfer)" = "$(dpkg-deb -f "$DEB" Version)" ]
    [ "$(inside systemctl is-enabled xferd)" = enabled ]
    is_shown ActiveState active
}

@test "systemd finds nothing wrong with the units" {
    local man=yes
    inside sh -c 'command -v man >/dev/null' || man=no
    run inside systemd-analyze --no-pager --man=$man verify xferd.service xferd.socket
    echo "$output"
    [ "$status" -eq 0 ]
    [ -z "$output" ]
    run as member env XDG_RUNTIME_DIR=/tmp systemd-analyze --no-pager --man=$man --user verify /usr/lib/systemd/user/xferd.service
    echo "$output"
    [ "$status" -eq 0 ]
    [ -z "$output" ]
}

@test "the exposure of the service is at most 2.5" {
    exposure_is_low
}

@test "each place for the units can be chosen, or left out" {
    grep -qF -- '--with-systemduserunitdir' "$top_srcdir/configure"
    make -s -C "$top_builddir" MAKEFLAGS= install-units DESTDIR="$BATS_TEST_TMPDIR" prefix=/p systemdsystemunitdir=/p/units tmpfilesdir=/p/tmp
    (cd "$BATS_TEST_TMPDIR/p" && ls units/xferd.service units/xferd.socket lib/systemd/user/xferd.service lib/sysusers.d/xfer.conf tmp/xfer.conf)
    grep -qx ExecStart=/p/sbin/xferd "$BATS_TEST_TMPDIR/p/units/xferd.service"
    make -s -C "$top_builddir" MAKEFLAGS= uninstall-units DESTDIR="$BATS_TEST_TMPDIR" prefix=/p systemdsystemunitdir=/p/units tmpfilesdir=/p/tmp
    [ -z "$(find "$BATS_TEST_TMPDIR/p" -type f)" ]
}

@test "places and their modes: the queue is the daemon's alone, what was received can be fetched" {
    run inside stat -c '%n %a %U:%G' /etc/xfer /run/xfer /run/xfer/control.sock /var/lib/xfer /var/lib/xfer/incoming /var/lib/xfer/queue.db
    echo "$output"
    [ "$output" = '/etc/xfer 755 root:root
/run/xfer 755 xfer:xfer
/run/xfer/control.sock 660 xfer:xfer
/var/lib/xfer 755 xfer:xfer
/var/lib/xfer/incoming 755 xfer:xfer
/var/lib/xfer/queue.db 600 xfer:xfer' ]
}

@test "what a service of root's has left is given to xfer" {
    [ "$(inside stat -c %U /var/lib/xfer/incoming/old)" = xfer ]
}

# ---- running -------------------------------------------------------------------------------------

@test "the service is ready and says what it serves" {
    is_shown ActiveState active
    is_shown NotifyAccess main
    [ "$(shown StatusText)" = 'socket /run/xfer/control.sock, peer machine, receiving root /var/lib/xfer/incoming' ]
    inside systemctl status --no-pager xferd | grep -q 'Status: "socket /run/xfer/control.sock'
}

@test "no process of it is root, has a capability, or can get one" {
    local pid
    for pid in $(inside pgrep -x 'xferd|mpiexec|orterun'); do
        run inside grep -E '^(Uid|CapEff|CapBnd|NoNewPrivs|Seccomp):' "/proc/$pid/status"
        echo "$output"
        [ "$(awk '$1 == "Uid:" {print $2}' <<<"$output")" = "$(inside id -u xfer)" ]
        [ "$(awk '/^Cap/ {print $2}' <<<"$output" | sort -u)" = 0000000000000000 ]
        [ "$(awk '/^NoNewPrivs|^Seccomp/ {print $2}' <<<"$output" | tr -d '\n')" = 12 ]
    done
    [ "$(inside pgrep -c -x xferd)" -eq 3 ]
}

@test "nothing can be reached from outside: no port of the machine, and of the service's own network only a loopback" {
    [ -z "$(inside ss -Htuln)" ]
    local pid
    for pid in $(inside pgrep -x 'xferd|mpiexec|orterun'); do
        [ "$(inside readlink "/proc/$pid/ns/net")" != "$(inside readlink /proc/1/ns/net)" ]
    done
    [ "$(inside nsenter -t "$(shown MainPID)" -n ls /sys/class/net)" = "$(inside ls /sys/class/net)" ] # sysfs is the machine's; so:
    run inside nsenter -t "$(shown MainPID)" -n cat /proc/net/dev
    [ "$(tail -n +3 <<<"$output" | cut -d : -f 1 | tr -d ' \n')" = lo ]
}

@test "limits are as the unit sets them" {
    is_shown MemoryMax $((2 << 30))
    is_shown TasksMax 256
    is_shown LimitNOFILE 65536
    # where the machine has the controllers to give, the kernel knows them, too
    local group
    group=/sys/fs/cgroup$(shown ControlGroup)
    if inside test -e "$group/memory.max"; then
        [ "$(inside cat "$group/memory.max")" -eq $((2 << 30)) ]
    fi
    if inside test -e "$group/pids.max"; then
        [ "$(inside cat "$group/pids.max")" -eq 256 ]
    fi
}

@test "a member of the group sends a file: from its home, and from /tmp" {
    echo from home | write /home/member/from-home
    echo from tmp | write /tmp/from-tmp
    sends_as member /home/member/from-home
    sends_as member /tmp/from-tmp
}

@test "a stranger is refused: exit 4" {
    run as stranger xferctl send /etc/hostname
    echo "$output"
    [ "$status" -eq 4 ]
    run as stranger xferctl ping
    [ "$status" -eq 4 ]
}

@test "the daemon reads nothing that its user may not read" {
    inside sh -c 'umask 077; echo secret >/srv/secret'
    run call transfer.submit '{"source":"/srv/secret","wait":true,"retries":0}'
    echo "$output"
    [ "$(jq -r '.state, .error.data.name' <<<"$output" | tr '\n' ' ')" = 'failed PermissionDenied ' ]
    inside test ! -e /var/lib/xfer/incoming/secret
}

@test "set-id and group bits of directories work in the sandbox; another root takes a ReadWritePaths=" {
    changes
    inside groupadd shared
    inside usermod -aG shared xfer
    inside install -d -m 2775 -o xfer -g shared /srv/shared
    printf '[store]\nroot = /srv/shared\ndir_mode = 2775\n' | write /etc/xfer/xferd.conf
    printf '[Service]\nReadWritePaths=/srv/shared\n' | drop_in
    ctl -q send /etc/hostname --to a/b/c
    [ "$(inside stat -c '%a %G' /srv/shared/a /srv/shared/a/b | sort -u)" = '2775 shared' ]
    inside cmp /etc/hostname /srv/shared/a/b/c
}

@test "where /run is small, MPI's segments are in a /dev/shm of the service's own" {
    changes
    inside systemctl stop xferd
    inside mount -t tmpfs -o size=40m,mode=755,uid=xfer,gid=xfer tmpfs /run/xfer
    inside systemctl start xferd
    inside nsenter -t "$(shown MainPID)" -m sh -c 'ls -d /dev/shm/xferd-*'
    ctl -q send /srv/big --to small-run
    inside cmp /srv/big /var/lib/xfer/incoming/small-run
    [ -z "$(inside find /dev/shm -name 'xferd-*')" ]
    inside systemctl stop xferd
    inside umount /run/xfer
}

# ---- the journal ---------------------------------------------------------------------------------

@test "a job that fails is a warning in the journal, with its job and path as fields" {
    local from job
    from=$(now)
    job=$(ctl send --no-wait --retries 0 /srv/there-is-no-such-file)
    run ctl -q wait "$job"
    [ "$status" -eq 5 ]
    within 5 has_said "$from" 'No such file'
    run said "$from" "XFER_JOB=$job"
    [ "$(wc -l <<<"$output")" -eq 1 ]
    [ "$(jq -r '[.PRIORITY, .SYSLOG_IDENTIFIER, .XFER_RANK, .XFER_PATH, ._SYSTEMD_UNIT] | join(" ")' <<<"$output")" = \
        '4 xferd 0 /srv/there-is-no-such-file xferd.service' ]
    jq -r .MESSAGE <<<"$output" | grep -q "^job $job failed: /srv/there-is-no-such-file: "
    [ "$(said "$from" XFER_PATH=/srv/there-is-no-such-file | wc -l)" -eq 1 ]
}

@test "at level info a job that is done or cancelled is told, too" {
    local from job done_job
    changes
    printf '[log]\nlevel = info\n' | write /etc/xfer/xferd.conf
    inside systemctl restart xferd
    from=$(now)
    done_job=$(ctl --json send /etc/hostname | jq .job)
    ctl pause
    job=$(ctl send --no-wait /etc/hostname --to never)
    ctl -q cancel "$job"
    within 5 has_said "$from" "job $job was cancelled"
    [ "$(said "$from" "XFER_JOB=$done_job" | jq -r .PRIORITY)" = 6 ]
    [ "$(said "$from" "XFER_JOB=$job" | jq -r .PRIORITY)" = 6 ]
}

@test "a daemon that is well and idle says nothing, and feeds the watchdog" {
    local from since
    ctl ping
    from=$(now)
    since=$(shown WatchdogTimestampMonotonic)
    ctl -q send /etc/hostname
    ctl status
    within 12 not is_shown WatchdogTimestampMonotonic "$since"
    run said "$from"
    echo "$output"
    [ -z "$output" ]
}

not() { ! "$@"; }

# ---- what goes wrong -----------------------------------------------------------------------------

@test "rank 1 is killed: it is back by itself, and the job goes on" {
    local pid
    pid=$(shown MainPID)
    begin_stalled_inside killed
    inside kill -KILL "$RANK1"
    goes_on killed
    is_shown MainPID "$pid"
    is_shown NRestarts 0
    [ "$(rank_pid 1)" != "$RANK1" ]
}

@test "the daemon is stopped in the middle of a transfer, and goes on when it is started again" {
    begin_stalled_inside stopped
    inside systemctl stop --no-block xferd
    within 10 is_shown SubState stop-sigterm
    inside kill -CONT "$RANK1"
    within 15 is_shown ActiveState inactive
    is_shown Result success
    inside systemctl start xferd
    goes_on stopped
}

@test "a rank 0 that hangs trips the watchdog, and the daemon is started again" {
    drop_in <<<'[Service]
WatchdogSec=7s
RestartSec=100ms'
    begin_stalled_inside hung
    inside kill -STOP "$(rank_pid 0)"
    within 20 is_shown NRestarts 1
    inside journalctl --no-pager -q -b -u xferd | grep -q 'Watchdog timeout'
    within 20 is_shown ActiveState active
    goes_on hung
}

@test "a wrong configuration is told and not tried again" {
    changes
    printf '[link]\nlane = 4\n' | write /etc/xfer/xferd.conf
    run inside systemctl restart xferd
    [ "$status" -ne 0 ]
    is_shown ActiveState failed
    is_shown ExecMainStatus 2
    is_shown NRestarts 0
    inside journalctl --no-pager -q -b -u xferd | grep -q '/etc/xfer/xferd.conf:2'
}

# ---- what an administrator does ------------------------------------------------------------------

# configure LINE...: they become the whole configuration
configure() {
    changes
    printf '%s\n' "$@" | write /etc/xfer/xferd.conf
}

bandwidth() { ctl --json limit | jq .bandwidth; }

@test "reload: what can change holds when it returns, and what takes a restart is named in the journal" {
    local from pid
    pid=$(shown MainPID)
    from=$(now)
    configure '[limits]' 'bandwidth = 5M' '[link]' 'chunk = 128K'
    inside systemctl reload xferd
    [ "$(bandwidth)" -eq $((5 << 20)) ]
    within 5 has_said "$from" 'limits.bandwidth'
    within 5 has_said "$from" 'takes effect when xferd is started again: link.chunk'
    is_shown MainPID "$pid"
    is_shown ActiveState active
}

@test "reload: a wrong file makes it fail and changes nothing, and the journal names file, line and key" {
    local from pid was
    pid=$(shown MainPID)
    was=$(bandwidth)
    from=$(now)
    configure '[limits]' 'bandwidth = 5M' '[link]' 'chunks = 128K'
    run inside systemctl reload xferd
    echo "$output"
    [ "$status" -ne 0 ]
    within 5 has_said "$from" '/etc/xfer/xferd.conf:4: .*chunks'
    [ "$(bandwidth)" = "$was" ]
    is_shown MainPID "$pid"
    is_shown ActiveState active
    ctl ping
}

@test "reload: a socket elsewhere is named by a drop-in, as the unit says" {
    configure '[control]' 'socket = /run/xfer/other.sock'
    drop_in <<<'[Service]
Environment=XFER_SOCKET=/run/xfer/other.sock'
    configure '[control]' 'socket = /run/xfer/other.sock' '[limits]' 'bandwidth = 7M'
    inside systemctl reload xferd
    [ "$(inside xferctl -s /run/xfer/other.sock --json limit | jq .bandwidth)" -eq $((7 << 20)) ]
}

# ---- what goes with it ---------------------------------------------------------------------------

# hook LINE...: it is this shell script
hook() {
    printf '%s\n' '#!/bin/sh' "$@" | write /usr/local/lib/xfer-hook
    inside chmod 755 /usr/local/lib/xfer-hook
    configure '[hook]' 'command = /usr/local/lib/xfer-hook'
    inside systemctl reload xferd
}

@test "a hook runs as xfer in the sandbox: it can write beneath /var/lib/xfer, and to none of the machine's other places" {
    hook 'cat >/var/lib/xfer/said' 'for place in /etc /usr/local/lib /srv /tmp /var/tmp /home /root; do' \
        'touch $place/hook 2>/dev/null && echo $place >>/var/lib/xfer/wrote; done' 'id -un >/var/lib/xfer/as.new' \
        'mv /var/lib/xfer/as.new /var/lib/xfer/as'
    local job
    job=$(ctl --json send /etc/hostname --to hooked | jq .job)
    within 10 inside test -e /var/lib/xfer/as
    [ "$(inside cat /var/lib/xfer/as)" = xfer ]
    [ "$(inside jq -r '"\(.job) \(.state)"' /var/lib/xfer/said)" = "$job done" ]
    inside test ! -e /var/lib/xfer/wrote
    inside rm /var/lib/xfer/as /var/lib/xfer/said
}

@test "a hook that fails is told in the journal, with its job" {
    local from job
    from=$(now)
    hook 'exit 7'
    job=$(ctl --json send /etc/hostname --to hooked | jq .job)
    within 10 has_said "$from" "the hook of job $job failed with status 7"
    [ "$(said "$from" "XFER_JOB=$job" | jq -r '[.PRIORITY, .MESSAGE] | join(" ")' | grep -c "^4 the hook of job $job ")" -eq 1 ]
}

contrib=/usr/share/doc/xfer/contrib

metrics_say() { inside grep -qx "$1" "$metrics"; }
metrics_inode() { inside stat -c %i "$metrics"; }
metrics_are_another() { [ "$(metrics_inode)" != "$1" ]; }

@test "the timer for metrics writes the file anew, and says when there is no daemon" {
    metrics=/var/lib/prometheus/node-exporter/xfer.prom
    local unit inode
    changes
    inside mkdir -p "${metrics%/*}"
    for unit in service timer; do inside cp "$contrib/prometheus/xfer-metrics.$unit" /etc/systemd/system; done
    # here without the pause of a quarter of a minute
    printf '[Timer]\nOnUnitActiveSec=\nOnActiveSec=0\nOnUnitActiveSec=200ms\nAccuracySec=1ms\n' | write /run/systemd/system/xfer-metrics.timer.d/fast.conf
    printf '[Unit]\nStartLimitIntervalSec=0\n' | write /run/systemd/system/xfer-metrics.service.d/fast.conf
    inside systemctl daemon-reload
    run inside systemd-analyze --no-pager --man=no verify xfer-metrics.timer xfer-metrics.service
    echo "$output"
    [ "$status" -eq 0 ]
    [ -z "$output" ]
    inside systemctl -q enable --now xfer-metrics.timer
    within 20 metrics_say 'xfer_up 1'
    [ "$(inside stat -c %a "$metrics")" = 644 ]
    inode=$(metrics_inode)
    within 20 metrics_are_another "$inode"
    inside systemctl stop xferd
    within 20 metrics_say 'xfer_up 0'
    inside systemctl start xferd
    within 20 metrics_say 'xfer_up 1'
    inside systemctl -q disable --now xfer-metrics.timer
}

@test "check_xfer tells a running service from a stopped one, as a member of the group" {
    local check=$contrib/nagios/check_xfer
    changes
    run as member "$check"
    echo "$output"
    [ "$status" -eq 0 ]
    [[ "$output" == 'XFER OK - '* ]]
    inside systemctl stop xferd
    run as member "$check"
    echo "$output"
    [ "$status" -eq 2 ]
    [[ "$output" == 'XFER CRITICAL - no daemon: '* ]]
}

@test "xferd.socket: the first connection starts the daemon, and the socket stays when it stops" {
    changes
    inside systemctl stop xferd
    inside systemctl start xferd.socket
    is_shown ActiveState inactive
    [ "$(inside stat -c '%a %U:%G' /run/xfer/control.sock)" = '660 xfer:xfer' ]
    echo first | write /srv/first
    sends_as member /srv/first
    is_shown ActiveState active
    inside systemctl stop xferd
    inside test -S /run/xfer/control.sock
    echo second | write /srv/second
    sends_as member /srv/second
    run as stranger xferctl ping
    [ "$status" -eq 4 ]
    inside systemctl stop xferd.socket xferd
    inside test ! -e /run/xfer/control.sock
    inside systemctl start xferd
    ctl ping
}

# A second host: a network namespace behind a pair of interfaces, with a host name and a /dev/shm of its own, where one logs in as xfer, by a
# stand-in for ssh.
second_host() {
    inside ip netns add other
    inside ip link add here type veth peer name there netns other
    inside ip addr add 10.9.0.1/24 dev here
    inside ip -n other addr add 10.9.0.2/24 dev there
    inside sh -c 'ip link set here up; ip -n other link set there up; ip -n other link set lo up'
    write /srv/login <<'LOGIN'
#!/bin/sh
read -r line
exec setpriv --reuid=xfer --regid=xfer --init-groups --reset-env -- sh -c "$line"
LOGIN
    write /srv/agent <<'AGENT'
#!/bin/sh
host=$1
shift
echo "$*" | socat - "TCP:$host:2222"
AGENT
    inside chmod 755 /srv/login /srv/agent
    inside systemd-run --quiet --unit other ip netns exec other unshare -u -m sh -c 'hostname other; mount -t tmpfs tmpfs /dev/shm
        exec socat TCP-LISTEN:2222,fork,reuseaddr EXEC:/srv/login'
    within 10 inside sh -c 'ip netns exec other ss -Htln | grep -q :2222'
}

@test "the drop-in for two hosts: files go to another machine, ssh can be used, and still little is exposed" {
    inside sh -c 'command -v ip socat ssh >/dev/null' || skip 'ip, socat or ssh is not there'
    changes
    second_host
    printf '[peer]\nhost = 10.9.0.2\nagent = /srv/agent\n' | write /etc/xfer/xferd.conf
    { cat "$top_srcdir/systemd/two-hosts.conf"; echo 'ExecStartPre=-ssh -o BatchMode=yes -o StrictHostKeyChecking=no -p 2223 10.9.0.2 true'; } | drop_in
    within 20 ctl ping
    [ "$(ctl --json send /srv/big | jq -r .dest_host)" = other ]
    inside cmp /srv/big /var/lib/xfer/.local/state/xfer/incoming/big
    inside systemctl reload xferd
    exposure_is_low
    inside journalctl --no-pager -q -b -u xferd | grep -q 'ssh: connect to host 10.9.0.2 port 2223: Connection refused'
    inside systemctl stop xferd other
    inside ip netns del other
}

@test "the drop-in for identity = caller: root with seven capabilities, and back again" {
    drop_in <"$top_srcdir/systemd/identity-caller.conf"
    [ "$(supervisor_status Uid)" = 0 ]
    [ "$(supervisor_status CapBnd)" = 00000000000000df ]
    [ "$(supervisor_status CapEff)" = 00000000000000df ]
    ctl -q send /etc/hostname --to as-root
    inside systemctl reload xferd
    exposure_is_low
    # what it received before is still whose it was
    [ "$(inside stat -c %U /var/lib/xfer/incoming/old)" = xfer ]
    inside systemctl stop xferd
    inside sh -c 'cd /var/lib/xfer && chown -R xfer:xfer . --from=root:root'
}

@test "with that drop-in and the keys for it members read and store as themselves, in the sandbox" {
    local status=0
    printf '%s\n' '[source]' 'identity = caller' '[store]' 'identity = caller' 'per_user = yes' | write /etc/xfer/xferd.conf
    drop_in <"$top_srcdir/systemd/identity-caller.conf"
    echo 'for my eyes' | as member sh -c 'umask 077; cat >/home/member/own'
    as member xferctl -q --timeout 30 send /home/member/own
    [ "$(inside stat -c '%U %G %a' /var/lib/xfer/incoming/member/own)" = 'member member 600' ]
    inside cmp /home/member/own /var/lib/xfer/incoming/member/own
    # large ones come by way of a directory of the member's own
    as member xferctl -q --timeout 60 send /srv/big
    [ "$(inside stat -c '%U' /var/lib/xfer/incoming/member/big)" = member ]
    as member xferctl -q send /etc/shadow || status=$?
    [ "$status" -eq 4 ]
    inside systemctl stop xferd
    inside sh -c 'rm -rf /var/lib/xfer/incoming/member /var/lib/xfer/incoming/.xfer/users; cd /var/lib/xfer && chown -R xfer:xfer . --from=root:root'
}

@test "a machine that reboots with jobs in its queue does them after that" {
    local jobs job
    changes
    ctl pause
    for job in 1 2 3; do jobs+=" $(ctl send --no-wait /etc/hostname --to "reboot/$job")"; done
    machine_reboot
    within 30 is_shown ActiveState active
    [ "$(ctl --json list --state queued | wc -l)" -eq 3 ]
    ctl resume
    ctl -q --timeout 30 wait $jobs
    for job in 1 2 3; do inside cmp /etc/hostname "/var/lib/xfer/incoming/reboot/$job"; done
}

# ---- a daemon of one's own -----------------------------------------------------------------------

@test "the unit for users runs a private daemon" {
    local uid
    uid=$(inside id -u stranger)
    inside loginctl enable-linger stranger 2>/dev/null || skip 'no user manager: loginctl does not work here'
    within 10 inside test -S "/run/user/$uid/systemd/private" || skip 'no user manager here'
    user() { as stranger env XDG_RUNTIME_DIR="/run/user/$uid" "$@"; }
    user systemctl --user start xferd
    [ "$(user xferctl socket)" = "/run/user/$uid/xfer/control.sock" ]
    user xferctl -q send /etc/hostname
    user systemctl --user reload xferd
    inside cmp /etc/hostname /home/stranger/.local/state/xfer/incoming/hostname
    user systemctl --user status xferd | grep -q 'Status: "socket /run/user'
    user systemctl --user stop xferd
    inside test ! -e "/run/user/$uid/xfer/control.sock"
    inside loginctl disable-linger stranger
}
