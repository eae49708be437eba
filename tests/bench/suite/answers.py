# SPDX-License-Identifier: MIT
"""How soon there is an answer: a small file when nothing else is done, all of it while much else is, and what waiting costs."""
import os
import time

from suite import ask, common, small, usage


def whole_processes(bench, daemon, sender, source):
    """Whole programs, each for one small file: key, text, call."""
    peers = bench.peers
    known = set(peers.missing)
    peers.connect()
    for name in set(peers.missing) - known:
        bench.say("without %s" % name, peers.missing[name])
    ways = [("cp", "cp", peers.cp)]
    ways += [(key, text, call) for name, key, text, call in (
        ("scp", "scp", "scp over ssh to this machine", peers.scp),
        ("rsync-ssh", "rsync_ssh", "rsync over ssh to this machine", peers.rsync_ssh),
        ("original", "original", "mpiexec -n 2, original design", peers.original)) if peers.has(name)]
    ways.append(("ctl", "xferctl send --sync=none", lambda s, t: sender.ctl(s, t, "--sync=none")))
    found = {key: [] for key, _, _ in ways}
    bench.say("latency", "whole programs")
    number = 0
    for n, order in common.rotated(ways, bench.rounds(bench.sizes.process_rounds) + 1):
        for key, text, call in order:
            number += 1
            target = "%s/whole-%d" % (daemon.root, number)
            start = time.perf_counter()
            call(source, target)
            seconds = time.perf_counter() - start
            common.must_be_same_file(source, target, text)
            if n:  # the first one is not counted
                found[key].append(seconds * 1e3)
    table = bench.table("latency", "The same as a whole program", tail=True)
    for key, text, _ in ways:
        table.add(key, text, "ms", found[key], *([k for k, _, _ in ways if k != "ctl"] if key == "ctl" else ()))


def measure_latency(bench):
    sizes = bench.sizes
    with bench.daemon() as daemon:
        sender = ask.Sender(daemon, bench.xferctl)
        requests = small.Requests(sender, daemon.place, sizes.small)
        for _ in range(min(50, sizes.warm)):
            requests.send()
        bench.say("latency", "warm")
        warm, plain = requests.warm(sizes.warm)
        bench.say("latency", "cold")
        cold = requests.cold(sizes.cold, sizes.cold_idle)
        table = bench.table("latency", "A file of %d bytes, sync none, request to receipt over the socket" % sizes.small, tail=True)
        table.add("plain", "open, write, rename", "ms", [s * 1e3 for s in plain])
        table.add("warm", "warm", "ms", [s * 1e3 for s in warm], "plain")
        table.add("cold", "after %g idle seconds" % sizes.cold_idle, "ms", [s * 1e3 for s in cold], "warm")
        whole_processes(bench, daemon, sender, requests.source)
        sender.close()


# ---- while much else is done ----

class Sampler:
    """Milliseconds of each kind of request, one after the other."""

    def __init__(self, daemon, requests):
        self.client = daemon.client()
        self.requests = requests
        self.found = {"ping": [], "status": [], "stats": [], "file": []}

    def timed(self, key, call, *words, **more):
        start = time.perf_counter()
        result = call(*words, **more)
        self.found[key].append((time.perf_counter() - start) * 1e3)
        return result

    def sample(self, job):
        """The job's object, as it was before the last of the samples."""
        self.timed("ping", self.client.call, "system.ping")
        told = self.timed("status", self.client.call, "transfer.status", job=job)
        self.timed("stats", self.client.call, "system.stats")
        self.found["file"].append(self.requests.send(priority=50) * 1e3)
        time.sleep(0.002)
        return told


def load_round(sender, sampler, source, targets):
    for target in targets:
        common.remove(target)
    jobs = [sender.client.call("transfer.submit", source=source, dest=sender.dest(target), sync="none")["job"] for target in targets]
    for job in jobs:
        while sampler.sample(job)["state"] in ("queued", "running"):
            pass
    for job, target in zip(jobs, targets):
        told = sender.client.call("transfer.status", job=job)
        if told["state"] != "done":
            raise SystemExit("job %d did not arrive: %s" % (job, told))
        common.must_be_same_file(source, target, "transfer.submit")


def measure_load(bench):
    sizes = bench.sizes
    with bench.daemon() as daemon:
        sender = ask.Sender(daemon, bench.xferctl)
        requests = small.Requests(sender, daemon.place, sizes.small)
        size = bench.fitting(sizes.load_size, sizes.load_jobs + 1)
        source = bench.source(size)
        targets = ["%s/load/%d" % (daemon.root, n) for n in range(sizes.load_jobs)]
        bench.say("load", "without")
        quiet = Sampler(daemon, requests)
        job = sender.client.call("transfer.submit", source=requests.source, dest="one", wait=True)["job"]
        for _ in range(sizes.warm):
            quiet.sample(job)
        busy = Sampler(daemon, requests)
        for n in range(bench.rounds(sizes.load_rounds)):
            bench.say("load", "round %d" % (n + 1))
            load_round(sender, busy, source, targets)
        for target in targets:
            common.remove(target)
        table = bench.table("load", "While %d files of %d MiB are being sent" % (sizes.load_jobs, size >> 20), tail=True)
        for key, text in (("ping", "system.ping"), ("status", "transfer.status"), ("stats", "system.stats"),
                          ("file", "a file of %d bytes, priority 50, sync none, until it is stored" % sizes.small)):
            table.add("quiet_" + key, text + ", nothing else to do", "ms", quiet.found[key])
            table.add(key, text, "ms", busy.found[key], "quiet_" + key)
        for sampler in (quiet, busy):
            sampler.client.close()
        sender.close()


# ---- nothing to do ----

def measure_idle(bench):
    sizes = bench.sizes
    with bench.daemon() as daemon:
        sender = ask.Sender(daemon, bench.xferctl)
        requests = small.Requests(sender, daemon.place, sizes.small)
        requests.send()  # idle is a daemon that has worked before
        sender.close()
        time.sleep(sizes.idle_settle)
        bench.say("idle", "%g s" % sizes.idle)
        roles = {}
        for process in daemon.processes(with_supervisor=True):
            roles.setdefault(process.role, []).append(process.pid)
        before = {role: (usage.cpu_ns(pids), usage.switches(pids)) for role, pids in roles.items()}
        start = time.monotonic()
        time.sleep(sizes.idle)
        seconds = time.monotonic() - start
        after = {role: (usage.cpu_ns(pids), usage.switches(pids)) for role, pids in roles.items()}
        if any(not os.path.exists("/proc/%d" % pid) for pids in roles.values() for pid in pids):
            raise SystemExit("a process has gone while nothing was to do:\n" + daemon.log_end())
    table = bench.table("idle", "With nothing to do, over %g s" % sizes.idle)
    total = [0, 0]
    for role in sorted(roles, key=("supervisor", "launcher", "rank0", "rank1").index):
        cpu, switched = [(after[role][n] - before[role][n]) / seconds for n in (0, 1)]
        total = [total[0] + cpu, total[1] + switched]
        table.add(role + "_cpu", "%s: CPU" % role, "ms a second", [cpu / 1e6])
        table.add(role + "_switches", "%s: put on a core" % role, "a second", [switched])
    table.add("all_cpu", "all: CPU", "ms a second", [total[0] / 1e6])
    table.add("all_switches", "all: put on a core", "a second", [total[1]])
