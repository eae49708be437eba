# SPDX-License-Identifier: MIT
#
# xferctl top: on a terminal of any size, off one, and how it gives the terminal back. tests/integration/terminal.py plays the terminal and stands for no
# sequence that could come out of a name.

load xferd

setup_file() {
    share_xferd -o queue.stall_timeout=600
    # something that runs for as long as the tests do, and something that has failed
    make_file "$D/long" 67108864
    begin_stalled "$D/long" --to long
    ctl -q send "$D/none" || true
    export RANK1 JOB
}

teardown_file() {
    kill -CONT "$RANK1"
    ctl -q wait "$JOB"
    unshare_xferd
}

setup() {
    T=$D/t
    mkdir "$T"
}

teardown() {
    rm -rf "$T"
    [ -z "$BATS_TEST_COMPLETED" ] || [ "$(call system.hello | jq -r .boot_id)" = "$SHARED_BOOT" ]
}

# on_screen <SCRIPT: Python with a terminal at hand: top(OPTION..., rows=, cols=, env=)
on_screen() {
    needs_terminals
    { cat <<'END'; cat; } | T=$T JOB=$JOB py
from terminal import *
T, JOB = os.environ["T"], os.environ["JOB"]
def top(*options, before=(), **how):
    return Terminal([os.environ["XFERCTL"], "-s", S, *before, "top", "--interval", "100ms", *options], **how)
END
}

@test "on a terminal top shows the daemon, the queue, the jobs and how far they are" {
    on_screen <<'END'
with top(rows=24, cols=100) as t:
    t.await_text(rf"^ *{JOB} sending +\[[=> ]+\] +\d+% +[\d.]+ \w*B/s +\S.* {D}/long -> long$")
    for pattern in (r"^\d\d:\d\d:\d\d  xferd \S+ on \S+, up ", r"^peer   \S+ up, 4 lanes", r"^jobs   1 running, 0 queued, 0 done, 1 failed, ",
                    r"^rate   [\d.]+ \w*B/s", r"^store  .* free of .* in " + ROOT, r"^ +JOB STATE +PROGRESS +RATE +LEFT SOURCE",
                    rf"^ +\d+ failed +NoSuchFile +{D}/none -> none$", r"^every 0.1 s; q quits$"):
        assert t.has(pattern), pattern
    assert t.alternate and not t.cursor
    t.key("q")
    equal(t.end(), 0)
END
}

@test "q, Q and Ctrl-C end top, and the terminal is as it was" {
    on_screen <<'END'
for key, status in ("q", 0), ("Q", 0), ("\x03", 130):
    with top() as t:
        t.await_text("^jobs ")
        assert not t.is_as_before()
        t.key("x")
        t.key(key)
        equal(t.end(), status)
        assert t.is_as_before() and t.cursor and not t.alternate
END
}

@test "keys that Ctrl-C takes back after top has heard of them do not keep it waiting" {
    on_screen <<'END'
with top() as t:
    t.await_text("^jobs ")
    equal(termios.tcgetattr(t.slave)[6][termios.VMIN], 0, "a read would wait for so many keys")
    t.key("q")
    equal(t.end(), 0)
END
}

@test "signals end top, and the terminal is as it was" {
    on_screen <<'END'
for number in signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT:
    with top() as t:
        t.await_text("^jobs ")
        t.signal(number)
        equal(t.end(), 128 + number)
        assert t.is_as_before() and t.cursor and not t.alternate
END
}

@test "top ends by itself after --iterations, or --timeout, and the terminal is as it was" {
    on_screen <<'END'
for options, status in (["-n", "2"], 0), (["--iterations=1"], 0), (["--timeout", "300ms"], 124):
    with top(*options) as t:
        equal(t.end(), status)
        assert "failed" in t.raw
        assert t.is_as_before() and t.cursor and not t.alternate
END
}

@test "while it is stopped, top has given the terminal back; it takes it again" {
    on_screen <<'END'
with top() as t:
    for stop in (lambda: t.key("\x1a"), lambda: t.signal(signal.SIGTSTP)):
        t.await_text("^jobs ")
        stop()
        t.until(lambda: t.stopped)
        t.await_alternate(False)
        assert t.is_as_before()
        t.signal(signal.SIGCONT)
        t.await_text("^jobs ")
        assert t.alternate and not t.cursor and not t.is_as_before()
    t.key("q")
    equal(t.end(), 0)
    assert t.is_as_before()
END
}

@test "top fits screens of all sizes, and takes up another size at once" {
    on_screen <<'END'
with top("--interval", "1h", rows=24, cols=80) as t:
    t.await_text("^every ")
    for rows, cols in (5, 20), (60, 250), (12, 40), (1, 1), (3, 7), (11, 71), (24, 99), (200, 30), (24, 80):
        t.resize(rows, cols)
        t.until(lambda: any(t.screen()))
        if rows >= 5 and cols >= 20:
            t.await_text(rf"^ *{JOB} sending")
        t.until(lambda: t.has("^every ") == (rows >= 12 and t.cells != {}) or cols < 6)
    t.key("q")
    equal(t.end(), 0)
END
}

@test "on a screen of 20 by 5 there are the rate, the queue and a job" {
    on_screen <<'END'
with top(rows=5, cols=20) as t:
    t.await_text(rf"^ *{JOB} sending +\d+%")
    for pattern in "^xferd ", "^peer ", "^jobs   1 running", "^rate ":
        assert t.has(pattern), pattern
END
}

@test "the head of a long queue is shown, with the reasons why it waits" {
    for i in 1 2 3 4 5 6 7 8 9 10 11 12; do echo "$D/none-$i"; done >"$T/names"
    ctl pause
    xargs "$XFERCTL" -s "$S" send --no-wait <"$T/names" >"$T/jobs"
    FIRST=$(head -n 1 "$T/jobs") on_screen <<'END'
first = int(os.environ["FIRST"])
with top(rows=14, cols=100) as t:
    t.await_text(r"^jobs   paused  1 running, 12 queued \(for up to ")
    t.await_text(rf"^ *{first} queued +the queue is paused +{D}/none-1 -> none-1$")
    numbers = [int(m[1]) for line in t.screen() if (m := re.match(r" *(\d+) queued ", line))]
    equal(numbers, list(range(first, first + 5)))
END
    xargs "$XFERCTL" -s "$S" cancel <"$T/jobs"
    ctl resume
}

@test "no name can send anything to the terminal" {
    on_screen <<'END'
names = [b"x\x1b[31mred\x1b[2J", b"two\nlines\r", b"\xff\xfe\x9b31m", "\u202egnp.exe".encode(), "\u200b\u2066\ufeff\U000e0041".encode(),
         "e\u0301\u0301\u0301\u0301".encode(), "\u5bbd\u5bbd".encode() * 40, b"\xc2\x9b31m"]
with Client() as c:
    c.call("queue.pause")
    jobs = [c.call("transfer.submit", source_b64=base64.b64encode(os.fsencode(D) + b"/" + n).decode(),
                   dest_b64=base64.b64encode(b"%d" % i + n.replace(b"/", b"")).decode())["job"] for i, n in enumerate(names)]
    try:
        for cols in 60, 61, 120, 300:
            with top(rows=24, cols=cols) as t:
                t.await_text(rf"^ *{jobs[-1]} queued")
                t.key("q")
                equal(t.end(), 0)
        assert t.raw.count("\\x1b[31mred") and "\\xff" in t.raw, t.raw
    finally:
        for job in jobs:
            c.call("transfer.cancel", job=job)
        c.call("queue.resume")
END
}

@test "where only ASCII can be shown there is nothing else" {
    on_screen <<'END'
with top(rows=24, cols=100, env={"LC_ALL": "C"}) as t:
    t.await_text("sending")
    t.key("q")
    equal(t.end(), 0)
    assert t.raw.isascii()
END
}

@test "colours are left out with NO_COLOR and --color=never" {
    on_screen <<'END'
for options, env, coloured in ([], {}, True), (["--color=never"], {}, False), ([], {"NO_COLOR": "1"}, False), (["--color=always"], {"NO_COLOR": "1"}, True):
    with top(*options, env=env) as t:
        t.await_text("sending")
        t.key("q")
        equal(t.end(), 0)
        equal(bool(t.styles - {""}), coloured, t.styles)
END
}

@test "keys are not needed: standard input may be anything" {
    on_screen <<'END'
with top("-n", "3", stdin="/dev/null") as t:
    equal(t.end(), 0)
    assert "sending" in t.raw and t.is_as_before()
END
}

@test "a terminal that takes nothing keeps no signal from ending top" {
    on_screen <<'END'
with top() as t:
    t.await_text("sending")
    termios.tcflow(t.slave, termios.TCOOFF)
    t.signal(signal.SIGTERM)
    t.until(lambda: t.status is not None)
    equal(t.status, 143)
    termios.tcflow(t.slave, termios.TCOON)
    assert t.is_as_before()
END
}

@test "a daemon that does not answer is waited for, and that is said" {
    on_screen <<'END'
rank0 = next(r["pid"] for r in Client().call("system.hello")["ranks"] if r["rank"] == 0)
with top() as t:
    t.await_text("sending")
    os.kill(rank0, signal.SIGSTOP)
    try:
        t.await_text("^waiting for the daemon")
        assert t.has("sending")
        t.resize(10, 50)
        t.await_text("^waiting for the daemon")
    finally:
        os.kill(rank0, signal.SIGCONT)
    t.await_no_text("waiting for the daemon")
    assert t.has("sending")
END
}

# ---- off a terminal ----

@test "off a terminal there is a block of lines a time, nothing else" {
    ctl top -n 3 --interval 100ms >"$T/out" 2>"$T/err"
    [ ! -s "$T/err" ]
    [ "$(grep -c '^[0-9:]*  xferd ' "$T/out")" -eq 3 ]
    [ "$(grep -c "^ *$JOB sending .* $D/long -> long\$" "$T/out")" -eq 3 ]
    [ "$(grep -c '^$' "$T/out")" -eq 3 ]
    if grep -q $'[^[:print:]]' "$T/out"; then return 1; fi
}

@test "on a dumb terminal there are lines, too" {
    on_screen <<'END'
with top("-n", "2", env={"TERM": "dumb"}) as t:
    equal(t.end(), 0)
    assert "\x1b" not in t.raw and t.raw.count("  xferd ") == 2, t.raw
END
}

@test "long names are whole off a terminal, and can't make lines" {
    local name
    name=$(printf 'n%.0s' {1..200})$'\n''more'
    ctl -q send "$D/$name" || true
    ctl top -n 1 >"$T/out"
    grep -F "${name%$'\n'*}\\nmore -> " "$T/out"
}

@test "--json prints one value a time, with counters and jobs" {
    ctl --json top -n 2 --interval 100ms >"$T/out"
    [ "$(wc -l <"$T/out")" -eq 2 ]
    jq -e --argjson job "$JOB" '.stats.jobs.running == 1 and .jobs[0].job == $job and .jobs[0].state == "running"' "$T/out"
}

@test "no one who reads ends top" {
    local status=0
    ctl top --interval 100ms 2>"$T/err" | head -n 1 || status=${PIPESTATUS[0]}
    [ $status -eq 0 ] || [ $status -eq 1 ]
    grep -q 'standard output' "$T/err"
}

@test "top without a daemon: exit 3, and the terminal stays as it is" {
    on_screen <<'END'
with Terminal([os.environ["XFERCTL"], "-s", T + "/none", "top"]) as t:
    equal(t.end(), 3)
    assert T + "/none" in t.raw and "\x1b" not in t.raw
END
}
