# SPDX-License-Identifier: MIT
#
# What xferctl does when its connection breaks between a request and the answer, at moments that a daemon does not hit at will: the tests
# play the daemon.

load xferd

setup() {
    make_place
}

teardown() {
    remove_place
}

# play <SCRIPT
play() {
    local script=$BATS_TEST_TMPDIR/play_it.py
    command -v python3 >/dev/null || skip 'python3 is not installed'
    { echo 'from play import *'; cat; } >"$script"
    S=$S D=$D XFERCTL=$XFERCTL PYTHONPATH=$top_srcdir/tests/integration PYTHONDONTWRITEBYTECODE=1 timeout 100 python3 "$script" 3>&-
}

@test "a submission whose answer was lost is made again with the same key, and is one job" {
    play <<'END'
stage = Stage("send", "/data/a")
c = stage.accept().greeted()
first = c.asked("transfer.submit", source="/data/a")
c.close()
c = stage.accept().greeted()
again = c.asked("transfer.submit")
equal(again["params"], first["params"])
c.answer(again, job(7, existing=True))
c.answer(c.asked("transfer.wait", job=7), job(7, "done", bytes_done=5))
out, err = stage.ends(0)
holds(out, "7  done  5  ")
equal(err, "")
END
}

@test "send --no-wait does the same" {
    play <<'END'
stage = Stage("send", "--no-wait", "/data/a")
c = stage.accept().greeted()
first = c.asked("transfer.submit")
c.close()
c = stage.accept().greeted()
again = c.asked("transfer.submit")
equal(again["params"], first["params"])
c.answer(again, job(7, existing=True))
equal(stage.ends(0), ("7\n", ""))
END
}

@test "each submission has a key of its own, or the user's" {
    play <<'END'
import re
keys = set()
for _ in range(2):
    stage = Stage("send", "--no-wait", "/data/a", "/data/b")
    c = stage.accept().greeted()
    for n in 1, 2:
        r = c.asked("transfer.submit")
        assert re.fullmatch("xferctl-[0-9a-f]{32}", r["params"]["key"]), r
        keys.add(r["params"]["key"])
        c.answer(r, job(n))
    stage.ends(0)
    stage.leave()
equal(len(keys), 4)
stage = Stage("send", "--no-wait", "/data/a", "--key", "nightly 7", "--retries=0")
c = stage.accept().greeted()
c.answer(c.asked("transfer.submit", key="nightly 7", retries=0), job(1))
stage.ends(0)
END
}

@test "without --retries it is left to the daemon how often" {
    play <<'END'
stage = Stage("send", "--no-wait", "/data/a")
c = stage.accept().greeted()
r = c.asked("transfer.submit")
assert "retries" not in r["params"], r
c.answer(r, job(1))
stage.ends(0)
END
}

@test "nothing is submitted before it is known which queue this is" {
    play <<'END'
stage = Stage("send", "--no-wait", "/data/a")
c = stage.accept()
hello = c.asked("system.hello")
c.nothing_asked(0.3)
c.answer(hello, {"queue_id": QUEUE})
c.answer(c.asked("transfer.submit"), job(1))
stage.ends(0)
END
}

@test "a submission whose answer was lost is not made again in another queue: it is told that it is not known" {
    play <<'END'
stage = Stage("send", "/data/a")
c = stage.accept().greeted()
c.asked("transfer.submit")
c.close()
c = stage.accept().greeted(OTHER_QUEUE)
out, err = stage.ends(1)
equal(out, "")
holds(err, "not known whether it was queued")
END
}

@test "what was not submitted before the connection broke is submitted in another queue" {
    play <<'END'
stage = Stage("send", "--no-wait", "/data/a")
c = stage.accept()
c.asked("system.hello")
c.close()
c = stage.accept().greeted(OTHER_QUEUE)
c.answer(c.asked("transfer.submit"), job(1))
stage.ends(0)
END
}

@test "a job that was waited for in another queue is lost, whatever has its number there" {
    play <<'END'
stage = Stage("wait", "7")
c = stage.accept().greeted()
c.asked("transfer.wait", job=7)
c.close()
c = stage.accept().greeted(OTHER_QUEUE)
out, err = stage.ends(1)
equal(out, "")
holds(err, "job 7")
holds(err, "another queue")
END
}

@test "a wait goes on over any number of broken connections, and ends with the true result" {
    play <<'END'
stage = Stage("wait", "7", "8")
for _ in range(5):
    c = stage.accept().greeted()
    c.asked("transfer.wait", job=7)
    c.asked("transfer.wait", job=8)
    c.close()
c = stage.accept().greeted()
seven, eight = c.asked("transfer.wait", job=7), c.asked("transfer.wait", job=8)
c.answer(eight, job(8, "failed", exit_code=8, error={"code": -32015, "message": "full", "data": {"name": "NoSpace"}}))
c.close()
c = stage.accept().greeted()
c.answer(c.asked("transfer.wait", job=7), job(7, "done"))
out, err = stage.ends(8)
equal([line.split()[:2] for line in out.splitlines()], [["7", "done"], ["8", "failed"]])
END
}

@test "an answer that the daemon is stopping is no answer" {
    play <<'END'
stage = Stage("send", "/data/a")
c = stage.accept().greeted()
first = c.asked("transfer.submit")
c.refuse(first, "Stopping", code=-32024)
c.close()
c = stage.accept().greeted()
again = c.asked("transfer.submit")
equal(again["params"], first["params"])
c.answer(again, job(7))
c.refuse(c.asked("transfer.wait", job=7), "Stopping", code=-32024)
c.close()
c = stage.accept()
c.refuse(c.asked("system.hello"), "Stopping", code=-32024)
c.close()
c = stage.accept().greeted()
c.answer(c.asked("transfer.wait", job=7), job(7, "done"))
stage.ends(0)
END
}

@test "a job that was forgotten while the daemon was away is told as that" {
    play <<'END'
stage = Stage("send", "/data/a")
c = stage.accept().greeted()
c.answer(c.asked("transfer.submit"), job(7))
c.asked("transfer.wait", job=7)
c.close()
c = stage.accept().greeted()
c.refuse(c.asked("transfer.wait", job=7), "JobForgotten", "job 7 has ended and is forgotten", -32002)
out, err = stage.ends(5)
equal(out, "")
holds(err, "job 7 has ended and is forgotten")
END
}

@test "a job that is gone from its own queue is lost" {
    play <<'END'
stage = Stage("send", "/data/a")
c = stage.accept().greeted()
c.answer(c.asked("transfer.submit"), job(7))
c.asked("transfer.wait", job=7)
c.close()
c = stage.accept().greeted()
c.refuse(c.asked("transfer.wait", job=7), "NoSuchJob", "no job 7", -32001)
out, err = stage.ends(1)
holds(err, "job 7")
holds(err, "lost")
END
}

@test "a number that never was a job is no such job, after a broken connection too" {
    play <<'END'
stage = Stage("wait", "7")
c = stage.accept().greeted()
c.asked("transfer.wait", job=7)
c.close()
c = stage.accept().greeted()
c.refuse(c.asked("transfer.wait", job=7), "NoSuchJob", "no job 7", -32001)
stage.ends(5)
END
}

@test "a key conflict is exit 2" {
    play <<'END'
stage = Stage("send", "/data/a", "--key=k")
c = stage.accept().greeted()
c.refuse(c.asked("transfer.submit", key="k"), "KeyConflict", "the key is that of job 3", -32031)
out, err = stage.ends(2)
holds(err, "the key is that of job 3")
END
}

@test "a key whose job has ended already tells that job's result" {
    play <<'END'
stage = Stage("send", "/data/a", "--key=k")
c = stage.accept().greeted()
c.answer(c.asked("transfer.submit"), job(3, "done", existing=True))
out, err = stage.ends(0)
holds(out, "3  done")
END
}

@test "that a job was there before is what the first answer said, over a lost connection, too" {
    play <<'END'
for existing in True, False:
    stage = Stage("--json", "send", "/data/a", "--key=k")
    c = stage.accept().greeted()
    c.answer(c.asked("transfer.submit"), job(3, existing=existing))
    c.asked("transfer.wait")
    c.close()
    c = stage.accept().greeted()
    c.answer(c.asked("transfer.wait"), job(3, "done", existing=False))
    out, err = stage.ends(0)
    equal(json.loads(out)["existing"], existing)
    stage.leave()
END
}

@test "a refusal of new jobs does not say that a submission whose answer was lost was not queued" {
    play <<'END'
for name, code in ("Draining", -32004), ("QueueFull", -32005), ("NoSpace", -32015):
    stage = Stage("send", "/data/a")
    c = stage.accept().greeted()
    c.asked("transfer.submit")
    c.close()
    c = stage.accept().greeted()
    c.refuse(c.asked("transfer.submit"), name, "no new jobs", code)
    out, err = stage.ends(1)
    holds(err, "not known whether it was queued: no new jobs")
    stage.leave()
END
}

@test "an interrupt while the answer to a submission is lost says that it is not known" {
    play <<'END'
stage = Stage("send", "/data/a")
c = stage.accept().greeted()
c.asked("transfer.submit")
stage.leave()
c.close()
within(20, lambda: not stage.client.poll() and b"waiting for the daemon" in stage.client.stderr.readline())
stage.signal(signal.SIGINT)
out, err = stage.ends(130)
holds(err, "not known whether queued: 1 of 1")
END
}

@test "--timeout bounds the time without a daemon, and what was not answered is not known" {
    play <<'END'
stage = Stage("send", "/data/a", "--timeout=1")
c = stage.accept().greeted()
c.asked("transfer.submit")
stage.leave()
c.close()
out, err = stage.ends(124)
holds(err, "not known whether queued: 1 of 1")
END
}

@test "a daemon that takes connections and closes them is not asked without a pause" {
    play <<'END'
stage = Stage("send", "/data/a", "--timeout=2")
tries = 0
stage.listener.settimeout(0.2)
while stage.client.poll() is None:
    try:
        c = stage.accept()
    except TimeoutError:
        continue
    tries += 1
    c.close()
stage.ends(124)
assert 2 <= tries <= 20, tries
END
}

@test "what a job waits for is told, attempt by attempt" {
    play <<'END'
stage = Stage("wait", "7")
c = stage.accept().greeted()
wait = c.asked("transfer.wait", job=7)
reasons = ["waiting for h", "attempt 2 of 4 at 12:03:04: no space left", "the queue is paused"]
states = [dict(reason=reasons[0]), dict(reason=reasons[0]), dict(state="running"), dict(reason=reasons[1]), dict(reason=reasons[2])]
for members in states:
    c.answer(c.asked("transfer.status", job=7), job(7) | members)
c.answer(wait, job(7, "done"))
out, err = stage.ends(0)
equal(err.splitlines(), ["xferctl: job 7: waiting for h", "xferctl: job 7: attempt 2 of 4 at 12:03:04: no space left",
                         "xferctl: job 7: waiting: the queue is paused"])
END
}

@test "a failed job tells after how many attempts" {
    play <<'END'
stage = Stage("wait", "7")
c = stage.accept().greeted()
c.answer(c.asked("transfer.wait"), job(7, "failed", attempts=4, exit_code=8,
                                       error={"code": -32015, "message": "full", "data": {"name": "NoSpace"}}))
out, err = stage.ends(8)
holds(err, "full")
holds(err, "attempt 4")
END
}

@test "retry ends when the daemon has answered, over broken connections, and prints nothing" {
    play <<'END'
stage = Stage("retry", "7", "8")
c = stage.accept().greeted()
c.answer(c.asked("transfer.retry", job=7), job(7))
c.asked("transfer.retry", job=8)
c.close()
c = stage.accept().greeted()
c.answer(c.asked("transfer.retry", job=8), job(8, "running"))
equal(stage.ends(0), ("", ""))
END
}

@test "retry of a job that is done is exit 1, unless it is done by a retry whose answer was lost" {
    play <<'END'
stage = Stage("retry", "7")
c = stage.accept().greeted()
c.refuse(c.asked("transfer.retry", job=7), "InvalidParams", "job 7 is done: send it again", -32602)
out, err = stage.ends(1)
holds(err, "job 7 is done")
stage.leave()
stage = Stage("retry", "7")
c = stage.accept().greeted()
c.asked("transfer.retry", job=7)
c.close()
c = stage.accept().greeted()
c.refuse(c.asked("transfer.retry", job=7), "InvalidParams", "job 7 is done: send it again", -32602)
equal(stage.ends(0), ("", ""))
END
}

@test "drain asks again after a broken connection, and returns when the queue is empty" {
    play <<'END'
stage = Stage("drain")
c = stage.accept()
c.asked("queue.drain")
c.answer(c.asked("system.stats"), {"jobs": {"queued": 2, "running": 1}})
c.close()
c = stage.accept()
drain = c.asked("queue.drain")
c.answer(drain, {"paused": False, "draining": True, "queued": 0, "running": 0})
out, err = stage.ends(0)
equal(out, "")
holds(err, "waiting for 3 jobs")
END
}

@test "drain that a resume has ended is exit 1" {
    play <<'END'
stage = Stage("drain")
c = stage.accept()
c.answer(c.asked("queue.drain"), {"paused": False, "draining": False, "queued": 2, "running": 0})
out, err = stage.ends(1)
holds(err, "resume")
END
}

@test "drain that may not be is exit 4" {
    play <<'END'
stage = Stage("drain")
c = stage.accept()
c.refuse(c.asked("queue.drain"), "PermissionDenied", "only administrators", -32003)
out, err = stage.ends(4)
holds(err, "only administrators")
END
}

@test "drain that is interrupted says that the queue goes on draining" {
    play <<'END'
stage = Stage("drain")
c = stage.accept()
c.asked("queue.drain")
stage.signal(signal.SIGINT)
out, err = stage.ends(130)
holds(err, "xferctl resume")
END
}

@test "pause and resume are repeated over a broken connection" {
    play <<'END'
for command in "pause", "resume":
    stage = Stage(command)
    c = stage.accept()
    c.asked("queue." + command)
    c.close()
    c = stage.accept()
    c.refuse(c.asked("queue." + command), "Stopping", code=-32024)
    c = stage.accept()
    c.answer(c.asked("queue." + command), {"paused": command == "pause", "draining": False, "queued": 0, "running": 0})
    equal(stage.ends(0), ("", ""))
    stage.leave()
END
}
