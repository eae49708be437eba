# SPDX-License-Identifier: MIT
#
# The daemon's counters for Prometheus: xferctl stats --prometheus and --textfile, and the Nagios check that reads the former.

load xferd

setup_file() { share_xferd; }
teardown_file() { unshare_xferd; }

setup() {
    command -v python3 >/dev/null || skip 'python3 is not installed'
    begin_test
    AWAY_PID=
    cd "$T"
}

teardown() {
    if [ -n "$AWAY_PID" ]; then
        kill -TERM "$AWAY_PID"
        within 10 gone "$AWAY_PID" || kill -KILL "$AWAY_PID"
        wait "$AWAY_PID" || true
    fi
    ctl resume
    cd /
    end_test
    check_shared
}

# samples FILE: a line each, of what is exactly of the format
samples() { python3 "$top_srcdir/tests/integration/exposition.py" <"$1"; }

# metrics [ARGUMENT...]: into the file samples; of another socket with -s
metrics() {
    "$XFERCTL" -s "$S" "$@" stats --prometheus >out
    samples out >samples
}

# sample NAME: its value
sample() { awk -v name="$1" '$1 == name {print $2; seen = 1} END {exit !seen}' samples; }

known() { [ -n "$(sample "$1")" ]; }

unknown() {
    if grep "^$1[{ ]" samples; then return 1; fi
}

# start_alone: another daemon, whose peer can't be had. Sets ALONE, its socket.
start_alone() {
    ALONE=$T/alone.sock
    RUNTIME_DIRECTORY=$T/run "$XFERD" -o control.socket="$ALONE" -o queue.database="$T/queue.db" -o store.root="$T/in" \
        -o peer.host=192.0.2.1 -o peer.agent=/bin/false >log 2>&1 </dev/null 3>&- &
    AWAY_PID=$!
    within 30 is_alone
}

is_alone() {
    local status=0
    "$XFERCTL" -s "$ALONE" ping >/dev/null 2>&1 || status=$?
    [ $status -eq 9 ]
}

# ---- --prometheus ----

@test "the metrics are of the format, and all that are promised are there" {
    metrics
    for name in xfer_up "xfer_build_info{version=\"$("$XFERCTL" version | cut -d' ' -f2)\"}" xfer_peer_up; do
        [ "$(sample "$name")" = 1 ]
    done
    for name in xfer_jobs{state=\"{queued,running,done,failed,cancelled}\"} xfer_jobs_finished_total{result=\"{done,failed,cancelled}\"} \
        xfer_sent_bytes_total xfer_sent_files_total xfer_oldest_queued_seconds xfer_store_free_bytes xfer_store_total_bytes \
        xfer_uptime_seconds xfer_queue_paused xfer_queue_draining xfer_clients xfer_generation xfer_link_lanes xfer_link_chunk_bytes \
        xfer_attempts_started_total xfer_attempts_failed_total xfer_attempts_bytes_total; do
        known "$name"
    done
    [ "$(sample xfer_store_free_bytes)" -le "$(sample xfer_store_total_bytes)" ]
}

@test "the man page tells of each metric" {
    metrics
    local name
    for name in $(sed 's/[{ ].*//' samples | sort -u); do
        grep -qE "^\\.It Va (.* )?$name( |$)" "$top_srcdir/ctl/xferctl.1" || {
            echo "$name is not in xferctl.1"
            return 1
        }
    done
}

@test "promtool has nothing against the metrics" {
    command -v promtool >/dev/null || skip 'promtool is not installed'
    ctl stats --prometheus | promtool check metrics
}

@test "the metrics count what happens" {
    metrics
    local files bytes failed
    files=$(sample xfer_sent_files_total) bytes=$(sample xfer_sent_bytes_total)
    failed=$(sample 'xfer_jobs_finished_total{result="failed"}')
    make_file "$T/a" 12345
    ctl send "$T/a"
    run ctl send "$T/none"
    [ "$status" -eq 5 ]
    ctl pause
    ctl send --no-wait "$T/a"
    metrics
    [ "$(sample xfer_sent_files_total)" -eq $((files + 1)) ]
    [ "$(sample xfer_sent_bytes_total)" -eq $((bytes + 12345)) ]
    [ "$(sample 'xfer_jobs_finished_total{result="failed"}')" -eq $((failed + 1)) ]
    [ "$(sample 'xfer_jobs{state="queued"}')" -eq 1 ]
    [ "$(sample xfer_queue_paused)" -eq 1 ]
    [ "$(sample xfer_queue_draining)" -eq 0 ]
    [ "$(sample xfer_oldest_queued_seconds)" != 0 ]
    ctl resume
    ctl drain
    metrics
    [ "$(sample xfer_queue_paused)$(sample xfer_queue_draining)" = 01 ]
}

@test "no series comes with a job" {
    metrics
    cut -d' ' -f1 samples >before
    make_file "$T/a" 100
    for i in 1 2 3 4 5; do ctl send "$T/a" --to "place-$i"; done
    metrics
    diff before <(cut -d' ' -f1 samples)
}

@test "what is not known without the other rank is left out" {
    start_alone
    metrics -s "$ALONE"
    [ "$(sample xfer_up)" = 1 ]
    [ "$(sample xfer_peer_up)" = 0 ]
    for name in xfer_store_free_bytes xfer_store_total_bytes xfer_link_lanes xfer_link_chunk_bytes; do
        unknown $name
    done
}

@test "without a daemon --prometheus prints nothing and exits 3" {
    run "$XFERCTL" -q -s "$T/none" stats --prometheus 2>err
    [ "$status" -eq 3 ]
    [ -z "$(grep -v '^xferctl: ' <<<"$output")" ]
}

@test "--prometheus is no JSON" {
    for option in --prometheus --textfile=x.prom; do
        run "$XFERCTL" -s "$S" --json stats $option
        [ "$status" -eq 2 ]
        [ ! -e x.prom ]
    done
}

# ---- --textfile ----

@test "--textfile writes the metrics, for all to read, and prints nothing" {
    (umask 077 && ctl stats --textfile x.prom >out 2>&1)
    [ ! -s out ]
    samples x.prom >samples
    [ "$(sample xfer_up)" = 1 ]
    [ "$(stat -c %a x.prom)" = 644 ]
    [ "$(ls)" = $'out\nsamples\nx.prom' ]
}

@test "--textfile replaces the file as a whole: who has it open keeps the old one" {
    echo old >x.prom
    exec 7<x.prom
    ctl stats --textfile "$T/x.prom"
    [ "$(cat <&7)" = old ]
    exec 7<&-
    samples x.prom | grep -qx 'xfer_up 1'
    [ "$(ls)" = x.prom ]
}

@test "--textfile without a daemon says xfer_up 0 alone, exit 3" {
    ctl stats --textfile x.prom
    run "$XFERCTL" -s "$T/none" stats --textfile x.prom
    [ "$status" -eq 3 ]
    [[ $output == *"$T/none"* ]]
    [ "$(samples x.prom)" = 'xfer_up 0' ]
    [ "$(stat -c %a x.prom)" = 644 ]
}

@test "--textfile says xfer_up 0 when the daemon does not answer in time, exit 124" {
    local status=0 rank0
    rank0=$(rank_pid 0)
    kill -STOP "$rank0"
    ctl -q --timeout 100ms stats --textfile x.prom || status=$?
    kill -CONT "$rank0"
    [ $status -eq 124 ]
    [ "$(samples x.prom)" = 'xfer_up 0' ]
}

@test "--textfile where no file can be is an error, and leaves nothing" {
    run ctl stats --textfile "$T/none/x.prom"
    [ "$status" -eq 5 ]
    [[ $output == *"$T/none/x.prom"* ]]
    run ctl stats --textfile ''
    [ "$status" -eq 2 ]
    [ -z "$(ls)" ]
}

@test "--textfile replaces no link, no directory and no device" {
    mkdir dir
    mkfifo fifo
    echo precious >file
    ln -s file link
    for path in dir fifo link; do
        run ctl stats --textfile $path
        echo "$output"
        [ "$status" -eq 1 ]
        [[ $output == *"$path: is no regular file"* ]]
    done
    [ -d dir ] && [ -p fifo ] && [ -L link ]
    [ "$(cat file)" = precious ]
    [ "$(ls | wc -l)" -eq 4 ]
}

@test "the units for node_exporter's text file are sound" {
    command -v systemd-analyze >/dev/null || skip 'systemd-analyze is not installed'
    cp "$top_srcdir"/contrib/prometheus/xfer-metrics.* .
    sed -i "s|ExecStart=xferctl|ExecStart=$XFERCTL|" xfer-metrics.service
    run env SYSTEMD_LOG_LEVEL=warning systemd-analyze verify --man=no ./xfer-metrics.service ./xfer-metrics.timer
    echo "$output"
    [ "$status" -eq 0 ]
    [ -z "$(grep xfer-metrics <<<"$output")" ]
}

# ---- contrib/nagios/check_xfer ----

# check STATUS WORD [ARGUMENT...]: it ends so, with one line that begins so, and with performance data of the right form unless it is not known.
check() {
    local expected=$1 word=$2
    shift 2
    run "$top_srcdir/contrib/nagios/check_xfer" -x "$XFERCTL" "$@"
    echo "$output"
    [ "$status" -eq "$expected" ]
    [ "${#lines[@]}" -eq 1 ]
    [[ $output == "XFER $word - "* ]]
}

has_performance_data() {
    local number='[0-9]+(\.[0-9]+)?' item
    [[ $output == *' | '* ]]
    for item in ${output#* | }; do
        [[ $item =~ ^[a-z_]+=$number(s|B|c)?\;($number:?)?\;($number:?)?\;0\;($number)?$ ]]
    done
}

@test "check_xfer: a daemon that runs is OK" {
    check 0 OK -s "$S" -w 600 -c 3600 -W 1K -C 1
    has_performance_data
    [[ $output == *' free='*'B;1024:;1:;0;'* ]]
}

@test "check_xfer: a queue that is paused or drains is a warning" {
    ctl pause
    check 1 WARNING -s "$S"
    [[ $output == *'the queue is paused; '* ]]
    has_performance_data
    ctl resume
    ctl drain
    check 1 WARNING -s "$S"
    [[ $output == *'the queue drains; '* ]]
}

@test "check_xfer: a job that waits too long is a warning, then critical" {
    make_file "$T/a" 100
    ctl pause
    ctl send --no-wait "$T/a"
    check 1 WARNING -s "$S" -w 0 -c 3600
    [[ $output == *'a job has been queued for '*' s; 1 queued, 0 running'* ]]
    check 2 CRITICAL -s "$S" -w 0 -c 0
    has_performance_data
    ctl resume
    ctl drain
}

@test "check_xfer: too little free space is a warning, then critical" {
    check 1 WARNING -s "$S" -W 100% -C 1K
    [[ $output == *' free for what is received; '* ]]
    check 2 CRITICAL -s "$S" -C 1000000T
    has_performance_data
}

@test "check_xfer: failed jobs that are remembered" {
    run ctl send "$T/none"
    check 0 OK -s "$S" -f 1000
    check 1 WARNING -s "$S" -f 0 -F 1000
    check 2 CRITICAL -s "$S" -f 0 -F 0
    [[ $output == *' failed jobs; '* ]]
}

@test "check_xfer: without the other rank it is critical, and free space is not known" {
    start_alone
    check 2 CRITICAL -s "$ALONE" -W 1K
    [[ $output == *'the other rank is down; 0 queued, 0 running | '* ]]
    [[ $output != *free* ]]
    has_performance_data
}

@test "check_xfer: without a daemon it is critical" {
    check 2 CRITICAL -s "$T/none"
    [[ $output == *"no daemon: "*"$T/none"* ]]
}

@test "check_xfer: a daemon that does not answer in time is critical" {
    local rank0 status
    rank0=$(rank_pid 0)
    kill -STOP "$rank0"
    run "$top_srcdir/contrib/nagios/check_xfer" -x "$XFERCTL" -s "$S" -t 0.1
    kill -CONT "$rank0"
    [ "$status" -eq 2 ]
    [ "$output" = 'XFER CRITICAL - no answer within 0.1 s' ]
}

@test "check_xfer: what it is not meant to do is not known" {
    for arguments in '-w soon' '-W 5X' '-t' '-y' '-F 1.2.3' more; do
        check 3 UNKNOWN $arguments
    done
    run "$top_srcdir/contrib/nagios/check_xfer" -x "$T/no-such-program"
    [ "$status" -eq 3 ]
    [[ $output == 'XFER UNKNOWN - '*'no-such-program'* ]]
    run "$top_srcdir/contrib/nagios/check_xfer" -h
    [ "$status" -eq 3 ]
    [[ $output == usage:* ]]
}

@test "check_xfer: a socket that may not be used is not known" {
    command -v setpriv >/dev/null && [ "$(id -u)" -eq 0 ] || skip 'not root'
    chmod 755 "$D"
    run setpriv --reuid=65534 --regid=65534 --clear-groups -- "$top_srcdir/contrib/nagios/check_xfer" -x "$XFERCTL" -s "$S"
    chmod 700 "$D"
    echo "$output"
    [ "$status" -eq 3 ]
    [[ $output == 'XFER UNKNOWN - '* ]]
}
