# SPDX-License-Identifier: MIT
#
# Many clients, and clients that behave badly: none of them does harm to the others or to the daemon.

load xferd

setup_file() { share_xferd; }
teardown_file() { unshare_xferd; }
teardown() { check_shared; }

@test "500 clients at once each have their file stored" {
    py <<'END'
many_descriptors(500)
clients = []
for i in range(500):
    path = make_file(f"c{i}", 100 + 37 * i)
    clients.append((Client(), path))
for i, (c, path) in enumerate(clients):
    c.say({"jsonrpc": "2.0", "id": i, "method": "transfer.submit", "params": {"source": path, "dest": "500/", "wait": True}})
for i, (c, path) in enumerate(clients):
    reply = c.reply()
    equal((reply["id"], check_job(reply["result"])["state"]), (i, "done"))
    same_file(path, f"{ROOT}/500/c{i}")
    c.close()
    os.unlink(path)
equal(len(os.listdir(ROOT + "/500")), 500)
END
    rm -r "$ROOT/500"
}

@test "500 clients that each say half a request don't keep others waiting" {
    py <<'END'
many_descriptors(500)
clients = [Client() for _ in range(500)]
for c in clients:
    c.write('{"jsonrpc":"2.0","id":1,"method":"events.unsub')
with Client() as other:
    other.serves()
for c in clients:
    c.write('scribe"}\n')
for c in clients:
    equal(c.reply()["id"], 1)
END
}

@test "2,000 submits with wait on one connection are numbered in their order and all answered" {
    py <<'END'
path = make_file("one", 1000)
n = 2000
with Client() as c:
    jobs = {}
    for reply in c.pipeline({"jsonrpc": "2.0", "id": i, "method": "transfer.submit",
                             "params": {"source": path, "dest": f"2000/{i}", "sync": "none", "wait": True}} for i in range(n)):
        equal(check_job(reply["result"])["state"], "done")
        assert reply["id"] not in jobs
        jobs[reply["id"]] = reply["result"]["job"]
equal([jobs[i] for i in range(n)], list(range(jobs[0], jobs[0] + n)))
equal(len(os.listdir(ROOT + "/2000")), n)
for i in range(n):
    same_file(path, f"{ROOT}/2000/{i}")
END
    rm -r "$ROOT/2000"
}

@test "jobs of one destination run in the order in which they were submitted" {
    py <<'END'
paths = [make_file(f"v{i}", 2000 - 9 * i) for i in range(200)]
with Client() as c, Client() as d:
    for i, path in enumerate(paths):
        (c if i % 2 else d).call("transfer.submit", source=path, dest="version", priority=(-1) ** i * 50)
    c.call("transfer.wait", job=c.call("transfer.submit", source=paths[-1], dest="version", priority=100)["job"])
    jobs = [j for j in c.call("transfer.list", limit=201)["jobs"] if j["dest"] == "version"]
jobs.sort(key=lambda j: j["job"])
for a, b in zip(jobs, jobs[1:]):
    assert a["state"] == "done" and a["finished_at"] <= b["started_at"] + 0.001, (a, b)
same_file(paths[-1], ROOT + "/version")
END
}

@test "a client that never reads is not read any more, fills no memory and harms nobody" {
    py <<'END'
path = make_file("beside", 5000)
with Client() as c:
    rank0 = rank_pid(c, 0)
    for _ in range(20):
        c.call("transfer.submit", source="/none/" + "x/" * 500 + "y")
    c.call("transfer.list", limit=20)
    before = memory_of(rank0)
lazy = [Client() for _ in range(8)]
request = b'{"jsonrpc":"2.0","id":%d,"method":"transfer.list","params":{"limit":20}}\n'
asked = []
for c in lazy:
    c.socket.setblocking(False)
    c.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 15)
    n, rest = 0, b""
    while True:
        try:
            rest = rest or b"".join(request % i for i in range(n, n + 100))
            rest = rest[c.socket.send(rest):]
            n += 0 if rest else 100
        except BlockingIOError:
            # full: it is when the daemon, too, has had time to take what it wants
            with Client() as other:
                equal(other.call("transfer.submit", source=path, dest="beside", wait=True)["state"], "done")
            try:
                rest = rest[c.socket.send(rest):]
                n += 0 if rest else 100
            except BlockingIOError:
                break
    asked.append((c, n, rest))
assert sum(n for _, n, _ in asked) > 1000, asked
grown = memory_of(rank0) - before
assert SANITIZED or grown < 16 << 20, f"{grown >> 20} MiB more for 8 clients"
idles(rank0)
same_file(path, ROOT + "/beside")
# who reads at last gets all that it asked for, in order
c, n, rest = asked[0]
c.socket.settimeout(SECONDS)
sender = threading.Thread(target=c.write, args=(rest + b"\n",))
sender.start()
for i in range(n):
    line = c.read_line()
    assert line.startswith(b'{"jsonrpc":"2.0","id":%d,' % i), line[:80]
sender.join()
END
}

@test "a client that vanishes in the middle of a wait leaves its job to go on" {
    py <<'END'
path = make_file("orphan", 40 << 20)
with Client() as other:
    with Stopped(rank_pid(other, 1)):
        c = Client()
        job = c.call("transfer.submit", source=path)["job"]
        c.say({"jsonrpc": "2.0", "id": 1, "method": "transfer.wait", "params": {"job": job}},
              [{"jsonrpc": "2.0", "id": 2, "method": "transfer.wait", "params": {"job": job}}],
              {"jsonrpc": "2.0", "id": 3, "method": "events.subscribe"})
        c.reply()
        before = other.call("system.stats")["clients"]
        c.close()
        within(SECONDS, lambda: other.call("system.stats")["clients"] == before - 1)
        assert other.call("transfer.status", job=job)["state"] in ("queued", "running")
    equal(other.call("transfer.wait", job=job)["state"], "done")
same_file(path, ROOT + "/orphan")
END
    rm "$D/orphan" "$ROOT/orphan"
}

@test "questions of clients that have gone keep nobody busy, what they ordered is done" {
    py <<'END'
path = make_file("ordered", 1000)
with Client() as c:
    for _ in range(2 if SANITIZED else 20):
        c.ask([{"id": i, "method": "transfer.submit", "params": {"source": "/none/" + "x/" * 500 + "y"}} for i in range(50)])
    lists = b'{"jsonrpc":"2.0","id":1,"method":"transfer.list","params":{"limit":1000}}\n' * 500
    order = '{"jsonrpc":"2.0","id":1,"method":"transfer.submit","params":{"source":"%s","dest":"ordered/%d"}}\n'
    gone = [Client() for _ in range(20)]
    for i, g in enumerate(gone):
        g.write(lists + (order % (path, i)).encode() + lists)
    for g in gone:
        g.close()
    within(SECONDS, lambda: c.call("system.stats")["clients"] == 1)
    within(SECONDS, lambda: os.path.isdir(ROOT + "/ordered") and len(os.listdir(ROOT + "/ordered")) == 20)
END
    rm -r "$ROOT/ordered"
}

@test "a client that submits and vanishes at once has its job done" {
    py <<'END'
path = make_file("hasty", 3000)
for i in range(50):
    with Client() as c:
        c.say({"jsonrpc": "2.0", "id": i, "method": "transfer.submit", "params": {"source": path, "dest": f"hasty/{i}", "wait": True}})
within(SECONDS, lambda: os.path.isdir(ROOT + "/hasty") and len(os.listdir(ROOT + "/hasty")) == 50)
for i in range(50):
    same_file(path, f"{ROOT}/hasty/{i}")
END
    rm -r "$ROOT/hasty"
}

@test "clients that break off with answers unread leave nothing behind" {
    py <<'END'
def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))

with Client() as c:
    rank0 = rank_pid(c, 0)
    within(SECONDS, lambda: c.call("system.stats")["clients"] == 1)
    before = descriptors(rank0)
    for i in range(300):
        with Client() as bad:
            bad.write('{"id":1,"method":"system.list_methods"}\n' * 50 + "[" * (i % 70) + '{"id":')
            if i % 3 == 0:
                bad.no_more()
            if i % 5 == 0:
                bad.read()
    within(SECONDS, lambda: c.call("system.stats")["clients"] == 1)
    within(SECONDS, lambda: descriptors(rank0) <= before)
END
}

@test "whatever noise comes, each line is answered or skipped and the daemon lives" {
    py <<'END'
import random
random.seed(5)
good = [b'{"jsonrpc":"2.0","id":1,"method":"transfer.submit","params":{"source":"/none/x","dest":"a/b","priority":5,"wait":true}}',
        b'{"jsonrpc":"2.0","id":"a","method":"transfer.list","params":{"state":"done","limit":1e0}}',
        b'[{"jsonrpc":"2.0","id":-1.0,"method":"system.describe","params":{"method":"x"}},{"method":"system.hello"}]',
        b'{"jsonrpc":"2.0","id":1,"method":"transfer.wait","params":{"job":1,"timeout":0.001}}',
        b'{"id":"\\ud83d\\ude00\\u0000","method":"events.subscribe","params":{"job":1}}']
c = Client()
for i in range(500 if SANITIZED else 3000):
    line = bytearray(random.choice(good))
    for _ in range(random.randint(1, 6)):
        at = random.randrange(len(line) + 1)
        what = random.randrange(4)
        if what == 0:
            line[at:at + 1] = bytes([random.randrange(256)])
        elif what == 1:
            line[at:at] = random.choice([b'"', b"{", b"}", b"[", b"]", b"\\", b",", b":", b"null", b"1e9", b"-", b"\\u0000", b"\xc3", b"\0"])
        elif what == 2:
            del line[at:at + random.randint(1, 9)]
        else:
            line += line[at:]
    c.write(bytes(line).replace(b"\n", b" ") + b"\n")
    c.say({"id": f"mark{i}", "method": "events.unsubscribe"})
    while True:
        reply = c.reply()
        assert reply is not None, line
        if isinstance(reply, dict) and reply["id"] == f"mark{i}":
            break
END
}
