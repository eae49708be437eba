# SPDX-License-Identifier: MIT
#
# What happens at the bounds of the daemon: each is refused by name, costs no more than it must, and is over when its cause is.

load xferd

setup() { make_place; }
teardown() { remove_place; }

# may_skip: run the script; it says by status 77 that this machine's limits are too low for it
may_skip() {
    local status=0
    py || status=$?
    [ "$status" -ne 77 ] || skip 'the limit of descriptors is too low here'
    return "$status"
}

@test "more connections than descriptors: nothing spins, those who are connected are served, and all are when some have left" {
    start_xferd
    py <<'END'
inside = Client()
rank0 = rank_pid(inside, 0)
used = len(os.listdir(f"/proc/{rank0}/fd"))
resource.prlimit(rank0, resource.RLIMIT_NOFILE, (used + 20, used + 20))
outside = []
for i in range(80):
    c = Client()
    c.say({"jsonrpc": "2.0", "id": i, "method": "events.unsubscribe"})
    outside.append(c)
inside.serves()
within(SECONDS, lambda: inside.call("system.stats")["clients"] >= 15)
taken = inside.call("system.stats")["clients"]
assert taken < 40, taken
idles(rank0)
inside.serves()
equal(inside.call("system.stats")["clients"], taken)
# a source can't be opened now; the job fails by name
path = make_file("exhausted", 1000)
job = check_job(inside.call("transfer.submit", source=path, wait=True))
assert job["state"] == "done" or job["error"]["data"]["name"] == "NoResources", job
for i, c in enumerate(outside):
    equal(c.reply()["id"], i)
    c.close()
within(SECONDS, lambda: inside.call("system.stats")["clients"] == 1)
equal(inside.call("transfer.submit", source=path, wait=True)["state"], "done")
with Client() as c:
    c.serves()
END
    still_serves
    [ "$(grep -c 'no connection can be taken' "$LOG")" -ge 1 ]
    [ "$(grep -c 'no connection can be taken' "$LOG")" -le 5 ]
}

@test "a daemon with few descriptors keeps some of them from its clients, to open files" {
    printf '#!/bin/sh\nulimit -n 120\nexec "%s" "$@"\n' "$XFERD" >"$D/few"
    chmod +x "$D/few"
    XFERD=$D/few start_xferd
    py <<'END'
first = Client()
first.serves()
clients = [Client() for _ in range(100)]
for c in clients[60:]:
    message = c.read()
    equal((message["id"], message["error"]["data"]["name"]), (None, "TooBusy"))
    c.closed()
path = make_file("few", 1000)
for i in range(20):
    first.say({"id": i, "method": "transfer.submit", "params": {"source": path, "dest": f"few/{i}", "wait": True}})
for i in range(20):
    equal(check_job(first.reply()["result"])["state"], "done")
clients[40].serves()
END
}

@test "one connection more than there may be is told TooBusy and closed, and the next is taken when one has left" {
    start_xferd
    may_skip <<'END'
limit = 2048
many_descriptors(limit + 10)
with open("/proc/%d/limits" % rank_pid(Client(), 0), encoding="ascii") as f:
    rank0 = next(line.split()[3] for line in f if line.startswith("Max open files"))
if rank0 != "unlimited" and int(rank0) < limit + 100:
    sys.exit(77)
first = Client()
within(SECONDS, lambda: first.call("system.stats")["clients"] == 1)
clients = [first] + [Client() for _ in range(limit - 1)]
within(SECONDS, lambda: first.call("system.stats")["clients"] == limit)
for _ in range(3):
    c = Client()
    message = c.read()
    equal((message["id"], message["error"]["data"]["name"]), (None, "TooBusy"))
    c.closed()
clients[7].serves()
clients.pop().close()
within(SECONDS, lambda: first.call("system.stats")["clients"] == limit - 1)
last = Client()
last.serves()
clients[1000].serves()
END
    still_serves
}

@test "more replies than one client may be owed are TooBusy, and those it is owed come" {
    start_xferd
    py <<'END'
path = make_file("owed", 40 << 20)
n = 65536
with Client() as c, Client() as other:
    with Stopped(rank_pid(other, 1)):
        job = other.call("transfer.submit", source=path)["job"]
        c.write(b"".join(b'{"id":%d,"method":"transfer.wait","params":{"job":%d}}\n' % (i, job) for i in range(n + 3)))
        for i in range(3):
            error = c.read()
            equal((error["id"], error["error"]["data"]["name"]), (n + i, "TooBusy"))
        other.serves()
    equal(sorted(loads(c.read_line())["id"] for _ in range(n)), list(range(n)))
    c.serves()
END
    still_serves
}

@test "a finished job that is no longer kept is JobForgotten, and never NoSuchJob" {
    start_xferd -o queue.history=1000
    py <<'END'
with Client() as c:
    batch = [{"id": i, "method": "transfer.submit", "params": {"source": "/none/x", "wait": True}} for i in range(1000)]
    for _ in range(11):
        equal(len(c.ask(batch)), 1000)
    for method in ("transfer.status", "transfer.wait", "transfer.cancel", "transfer.retry", "events.subscribe"):
        equal(c.refuses("JobForgotten", method, {"job": 1})["data"]["job"], 1)
    equal(c.call("transfer.status", job=11000)["job"], 11000)
    c.refuses("NoSuchJob", "transfer.status", {"job": 11001})
    equal(c.call("system.stats")["finished"]["failed"], 11000)
END
    run ctl status 1
    [ "$status" -eq 5 ]
    still_serves
}

@test "more unfinished jobs than there may be are QueueFull, until some have ended" {
    [ -z "$SANITIZER" ] || skip 'too slow with sanitizers'
    start_xferd
    py <<'END'
path = D + "/full"
with open(path, "wb") as f:
    f.truncate(1 << 30)
with Client() as c:
    rank0, rank1 = rank_pid(c, 0), rank_pid(c, 1)
    with Stopped(rank1):
        first = c.call("transfer.submit", source=path, dest="x")["job"]
        batch = [{"id": i, "method": "transfer.submit", "params": {"source": path, "dest": "x"}} for i in range(1000)]
        batch = json.dumps(batch)
        refused = []
        for _ in range(100):
            refused += [r["error"]["data"]["name"] for r in c.ask(batch) if "error" in r]
        equal(refused, ["QueueFull"])
        equal(c.call("system.stats")["jobs"], {"queued": 99999, "running": 1, "done": 0, "failed": 0, "cancelled": 0})
        equal(c.refuses("QueueFull", "transfer.submit", {"source": path})["data"]["retryable"], True)
        assert SANITIZED or memory_of(rank0) < 512 << 20, memory_of(rank0)
        equal(len(c.call("transfer.list", limit=1000)["jobs"]), 1000)
        equal(c.call("transfer.cancel", job=first + 500)["state"], "cancelled")
        equal(c.call("transfer.submit", source=path, dest="x")["state"], "queued")
        idles(rank0)
END
}

@test "a rank that doesn't answer is PeerDown for ping, and exit 9" {
    start_xferd
    RANK1=$(rank_pid 1)
    kill -STOP "$RANK1"
    run ctl ping
    echo "$output"
    [ "$status" -eq 9 ]
    kill -CONT "$RANK1"
    within 30 ctl ping
    still_serves
}

@test "who waits for a job when the daemon is stopped is told Stopping, then the end" {
    start_xferd
    py "$XFERD_PID" <<'END'
path = make_file("stopping", 40 << 20)
with Client() as c, Client() as idle:
    idle.serves()
    with Stopped(rank_pid(c, 1)):
        running = c.call("transfer.submit", source=path, dest="x")["job"]
        waiting = c.call("transfer.submit", source=path, dest="x")["job"]
        # else nothing holds up the end
        within(SECONDS, lambda: c.call("transfer.status", job=running)["bytes_done"] > 0)
        c.say({"id": 1, "method": "transfer.wait", "params": {"job": waiting}})
        c.serves()
        os.kill(int(sys.argv[1]), signal.SIGTERM)
        error = c.read()
        equal((error["id"], error["error"]["data"]["name"], error["error"]["data"]["job"]), (1, "Stopping", waiting))
        error = c.ask({"id": 2, "method": "transfer.submit", "params": {"source": path}})
        equal((error["id"], error["error"]["data"]["name"]), (2, "Stopping"))
    while c.read() is not None:
        pass
    while idle.read() is not None:
        pass
END
    wait "$XFERD_PID"
    XFERD_PID=
    within 5 none_of_ours
}
