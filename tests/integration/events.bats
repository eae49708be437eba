# SPDX-License-Identifier: MIT
#
# Events: who subscribes sees each job begin, move and end, seldom enough and never without the end.

load xferd

setup_file() { share_xferd; }
teardown_file() { unshare_xferd; }
teardown() { check_shared; }

@test "a subscription is confirmed, begins with a snapshot of what is unfinished and tells the end of each job" {
    py <<'END'
path = make_file("snapshot", 40 << 20)
with Client() as c, Client() as other:
    equal(other.call("transfer.submit", source=path, dest="before", wait=True)["state"], "done")
    with Stopped(rank_pid(other, 1)):
        a = other.call("transfer.submit", source=path, dest="a")["job"]
        b = other.call("transfer.submit", source=path, dest="a")["job"]
        within(SECONDS, lambda: other.call("transfer.status", job=a)["bytes_done"] > 0)
        c.say({"jsonrpc": "2.0", "id": 1, "method": "events.subscribe"})
        equal(c.read(), {"jsonrpc": "2.0", "id": 1, "result": {"subscribed": True}})
        snapshot = {}
        for _ in range(2):
            event = c.read()
            equal(event["method"], "transfer.event")
            snapshot[event["params"]["job"]] = event["params"]
        equal({j: e["state"] for j, e in snapshot.items()}, {a: "running", b: "queued"})
        equal(snapshot[a]["bytes_total"], 40 << 20)
    seen = {a: [], b: []}
    last = 0
    while not all(s and s[-1]["state"] == "done" for s in seen.values()):
        event = c.read()["params"]
        equal(set(event), {"seq", "job", "state", "phase", "bytes_done", "bytes_total", "files_done", "files_total", "files_failed", "files_skipped", "walking", "rate"})
        assert event["seq"] > last, (event, last)
        last = event["seq"]
        seen[event["job"]].append(event)
    for s in seen.values():
        equal([e["state"] for e in s].count("done"), 1)
        equal((s[-1]["bytes_done"], s[-1]["files_done"]), (40 << 20, 1))
        assert [e["bytes_done"] for e in s] == sorted(e["bytes_done"] for e in s), s
os.unlink(path)
END
}

@test "a subscription to one job tells of that job alone, and at once where it has ended" {
    py <<'END'
path = make_file("single", 100)
with Client() as c, Client() as other:
    done = other.call("transfer.submit", source=path, wait=True)["job"]
    failed = other.call("transfer.submit", source=path + "?", wait=True)["job"]
    for job, state in ((done, "done"), (failed, "failed")):
        c.call("events.subscribe", job=job)
        event = c.read()
        equal((event["params"]["job"], event["params"]["state"]), (job, state))
    big = make_file("single-big", 40 << 20)
    with Stopped(rank_pid(other, 1)):
        job = other.call("transfer.submit", source=big)["job"]
        c.call("events.subscribe", job=job)
        equal(c.read()["params"]["job"], job)
    other.call("transfer.submit", source=path, wait=True)
    while True:
        event = c.read()["params"]
        equal(event["job"], job)
        if event["state"] == "done":
            break
    c.serves()
os.unlink(big)
END
}

@test "after unsubscribing nothing comes" {
    py <<'END'
path = make_file("unsubscribe", 100)
with Client() as c, Client() as other:
    c.call("events.subscribe")
    other.call("transfer.submit", source=path, wait=True)
    while c.read()["params"]["state"] != "done":
        pass
    c.call("events.unsubscribe")
    c.events.clear()
    other.call("transfer.submit", source=path, wait=True)
    c.serves()
    equal(c.events, [])
    c.call("events.unsubscribe")
END
}

@test "a transfer that goes on and on tells at most 5 events a second, and its end" {
    py <<'END'
path = D + "/long"
with open(path, "wb") as f:
    f.truncate(4 << 30)
with Client() as c, Client() as other:
    rank1 = rank_pid(other, 1)
    c.call("events.subscribe")
    job = other.call("transfer.submit", source=path)["job"]
    states = set()
    events = []
    began = time.monotonic()
    try:
        while time.monotonic() < began + 2.5:
            # it moves in hundreds of small steps
            os.kill(rank1, signal.SIGCONT)
            time.sleep(0.0005)
            os.kill(rank1, signal.SIGSTOP)
            time.sleep(0.01)
    finally:
        os.kill(rank1, signal.SIGCONT)
    ended = other.call("transfer.cancel", job=job)
    equal(ended["state"], "cancelled", str(ended))
    elapsed = time.monotonic() - began
    while not events or events[-1]["state"] != "cancelled":
        message = c.read()
        equal(message["method"], "transfer.event")
        events.append(message["params"])
    c.serves()
equal(c.events, [], "nothing follows the end")
moved = len({e["bytes_done"] for e in events})
assert moved >= 5, events
assert len(events) <= 5 * (int(elapsed) + 1), f"{len(events)} events in {elapsed} s"
os.unlink(path)
END
}

@test "a reader that is too slow is told of every end and of how many events it lost" {
    py <<'END'
path = make_file("slow", 10)
n = 4000
with Client() as slow, Client() as quick, Client() as c:
    slow.call("events.subscribe")
    quick.call("events.subscribe")
    counted = 0
    for _ in range(n // 500):
        jobs = c.pipeline({"id": i, "method": "transfer.submit", "params": {"source": path, "dest": f"slow/{i}", "sync": "none", "wait": True}}
                          for i in range(500))
        jobs = [check_job(j["result"]) for j in jobs]
        equal({j["state"] for j in jobs}, {"done"})
        ends = set()
        while len(ends) < 500:
            event = quick.read()
            equal(event["method"], "transfer.event", "one that reads loses nothing")
            counted += 1
            if event["params"]["state"] == "done":
                ends.add(event["params"]["job"])
        equal(ends, {j["job"] for j in jobs})
    last = max(j["job"] for j in jobs)
    ends, lost, told, seq = [], 0, 0, 0
    slow.say({"id": "end", "method": "system.ping"})
    while True:
        message = slow.read()
        if message.get("id") == "end":
            break
        if message["method"] == "events.lost":
            lost += message["params"]["lost"]
            continue
        told += 1
        assert message["params"]["seq"] > seq
        seq = message["params"]["seq"]
        if message["params"]["state"] == "done":
            ends.append(message["params"]["job"])
    equal(sorted(ends), list(range(last - n + 1, last + 1)), "the end of every job, once")
    assert lost > 0, "nothing was lost: the test is too small"
    equal(told + lost, counted, "events told and lost")
END
    rm -r "$ROOT/slow"
}

@test "a reader that is too slow for the events of one job is told of its end" {
    py <<'END'
with Client() as c:
    c.call("events.subscribe")
    # its output is full before the job begins
    c.socket.setblocking(False)
    try:
        while True:
            c.socket.send(b'{"id":1,"method":"system.list_methods"}\n' * 100)
    except BlockingIOError:
        pass
    with Client() as other:
        path = make_file("muffled", 5000)
        job = other.call("transfer.submit", source=path, wait=True)["job"]
    c.socket.settimeout(SECONDS)
    while True:
        message = c.read()
        if message.get("method") == "transfer.event" and message["params"]["job"] == job and message["params"]["state"] == "done":
            break
END
}
