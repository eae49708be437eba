# SPDX-License-Identifier: MIT
"""Small files: one after the other, ten thousand single requests, and whole trees of them.

Two things would spoil the numbers: removing many files disturbs the minutes that follow, and what is not written yet the seconds. So each run
goes into a directory of its own after a sync, all of them where nothing was removed lately (common.spread), and nothing is removed here.
"""
import json
import os
import shutil
import time

from suite import ask, common
from suite.common import run


class Requests:
    """One small file, again and again, by one client that waits for each receipt; beside it the same by open, write, rename."""

    def __init__(self, sender, place, size=4096):
        self.sender = sender
        self.place = place
        self.source = place + "/small"
        self.data = os.urandom(size)
        self.number = 0
        with open(self.source, "wb") as f:
            f.write(self.data)

    def send(self, **more):
        self.number += 1
        target = "%s/bench/%d" % (self.sender.daemon.root, self.number)
        start = time.perf_counter()
        self.sender.request(self.source, target, sync="none", **more)
        seconds = time.perf_counter() - start
        with open(target, "rb") as f:
            if f.read() != self.data:
                raise SystemExit("%s is not what was sent" % target)
        return seconds

    def plain_write(self):
        self.number += 1
        start = time.perf_counter()
        write_plainly(self.data, self.place + "/plain.tmp", "%s/plain-%d" % (self.place, self.number))
        return time.perf_counter() - start

    def warm(self, runs):
        sent, written = [], []
        for _ in range(runs):
            sent.append(self.send())
            written.append(self.plain_write())
        return sent, written

    def cold(self, runs, idle):
        sent = []
        for _ in range(runs):
            time.sleep(idle)
            sent.append(self.send())
        return sent


def write_plainly(data, temporary, target):
    with open(temporary, "wb") as f:
        f.write(data)
    os.rename(temporary, target)


class Singles:
    """Every file of a tree is a request of its own. dest: a directory beneath the receiving root that is not there."""

    def __init__(self, daemon, source):
        self.daemon = daemon
        self.source = source
        self.names = sorted(os.path.relpath(os.path.join(top, name), source) for top, _, names in os.walk(source) for name in names)

    def by_clients(self, dest, clients, window):
        base = os.path.relpath(dest, self.daemon.root)
        lines = [ask.submit_line(n, "%s/%s" % (self.source, name), "%s/%s" % (base, name), sync="none", wait=True)
                 for n, name in enumerate(self.names)]
        storm = ask.Storm(self.daemon.socket_path, clients, window)
        try:
            os.sync()
            answers, _, seconds = storm.run(lines)
        finally:
            storm.close()
        jobs = [json.loads(a)["result"] for a in answers]
        if len(jobs) != len(self.names) or any(j["state"] != "done" for j in jobs):
            raise SystemExit("not all were stored: %s" % [j for j in jobs if j["state"] != "done"][:1])
        return seconds

    def plainly(self, dest):
        os.sync()
        start = time.perf_counter()
        made = set()
        for name in self.names:
            top = os.path.dirname("%s/%s" % (dest, name))
            if top not in made:
                os.makedirs(top, exist_ok=True)
                made.add(top)
            with open("%s/%s" % (self.source, name), "rb") as f:
                data = f.read()
            write_plainly(data, top + "/.tmp", "%s/%s" % (dest, name))
        return time.perf_counter() - start


class Trees:
    """A tree of small files, in all ways. Each way makes dest, which is not there; but for those that find it there, unchanged."""

    NEEDS = {"rsync": "rsync", "tar": "tar", "rsync_again": "rsync", "dcp": "dcp"}

    def __init__(self, sender, source):
        self.sender = sender
        self.daemon = sender.daemon
        self.source = source
        self.number = 0
        self.dcp_command = None

    def send(self, dest, *options):
        self.sender.ctl(self.source, dest, *options)

    # ---- each makes dest, which is not there ----

    def cp(self, dest):
        run("cp", "-r", self.source, dest)

    def cp_syncfs(self, dest):
        run("cp", "-r", self.source, dest)
        run("sync", "-f", dest)

    def rsync(self, dest):
        run("rsync", "-a", self.source + "/", dest + "/")

    def tar(self, dest):
        run("sh", "-c", 'mkdir "$2" && tar -C "$1" -cf - . | tar -C "$2" -xf -', "sh", self.source, dest)

    def dcp(self, dest):
        self.dcp_command(self.source, dest)

    def send_none(self, dest):
        self.send(dest, "--sync=none")

    def send_batch(self, dest):
        self.send(dest, "--sync=batch")

    # ---- and these find it there ----

    def rsync_again(self, dest):
        self.rsync(dest)

    def send_again(self, dest):
        self.send(dest, "--sync=none", "--overwrite=changed")

    def timed(self, way, dest):
        os.sync()
        start = time.perf_counter()
        way(dest)
        seconds = time.perf_counter() - start
        common.must_be_same_tree(self.source, dest, way.__name__)
        return seconds

    def fresh(self):
        self.number += 1
        return "%s/%d" % (self.daemon.root, self.number)

    def has(self, way):
        if way == self.dcp:
            return self.dcp_command is not None
        return shutil.which(self.NEEDS.get(way.__name__, "sh")) is not None

    def measure(self, rounds):
        """Seconds of each round by way."""
        ways = [w for w in (self.cp, self.rsync, self.tar, self.dcp, self.send_none, self.cp_syncfs, self.send_batch) if self.has(w)]
        agains = [w for w in (self.rsync_again, self.send_again) if self.has(w)]
        found = {w.__name__: [] for w in [*ways, *agains]}
        for warm in ways:  # not counted: programs and pages come to where they are needed
            self.timed(warm, self.fresh())
        for n, order in common.rotated(ways, rounds):
            dests = {}
            for way in order:
                dests[way.__name__] = self.fresh()
                found[way.__name__].append(self.timed(way, dests[way.__name__]))
            for way in agains if n % 2 else agains[::-1]:
                first = {"rsync_again": "rsync", "send_again": "send_none"}[way.__name__]
                found[way.__name__].append(self.timed(way, dests[first]))
        return found


# What is compared with what.
TREE_ROWS = (
    ("cp", "cp -r", ()),
    ("rsync", "rsync -a", ()),
    ("tar", "tar | tar", ()),
    ("dcp", "dcp, 2 ranks", ()),
    ("send_none", "xferctl send --sync=none", ("cp", "rsync", "tar", "dcp")),
    ("cp_syncfs", "cp -r + syncfs", ()),
    ("send_batch", "xferctl send --sync=batch", ("cp_syncfs",)),
    ("rsync_again", "rsync -a again", ()),
    ("send_again", "xferctl send --overwrite=changed again", ("rsync_again",)),
)


def measure(bench):
    sizes = bench.sizes
    with bench.daemon() as daemon:
        sender = ask.Sender(daemon, bench.xferctl)
        source = daemon.place + "/source"
        common.make_files(source, 10, sizes.tree_files // 10, sizes.small)
        table = bench.table("small", "Trees: %d files of %d bytes in ten directories" % (sizes.tree_files // 10 * 10, sizes.small))
        bench.say("small", "trees")
        trees = Trees(sender, source)
        trees.dcp_command = bench.peers.dcp if bench.peers.has("dcp") else None
        found = trees.measure(bench.rounds(sizes.tree_rounds))
        for key, text, to in TREE_ROWS:
            if key in found:
                table.add(key, text, "s", found[key], *to)

        bench.say("small", "single requests")
        source = daemon.place + "/singles"
        common.make_files(source, 10, sizes.singles // 10, sizes.small)
        singles = Singles(daemon, source)
        n = len(singles.names)
        table = bench.table("small", "Single requests: %d files of %d bytes, each a job" % (n, sizes.small))
        ways = [("plain", "open, write, rename in a loop", singles.plainly),
                ("pipelined", "one client that keeps %d open" % sizes.window, lambda dest: singles.by_clients(dest, 1, sizes.window)),
                ("clients", "%d clients, each waits" % sizes.clients, lambda dest: singles.by_clients(dest, sizes.clients, 1))]
        rates = {key: [] for key, _, _ in ways}
        for key, _, way in ways:  # not counted
            way("%s/s-warm-%s" % (daemon.root, key))
        for r, order in common.rotated(ways, bench.rounds(sizes.singles_rounds)):
            for key, text, way in order:
                dest = "%s/s-%d-%s" % (daemon.root, r, key)
                rates[key].append(n / way(dest))
                common.must_be_same_tree(source, dest, text)
        for key, text, _ in ways:
            table.add(key, text, "files/s", rates[key], *(() if key == "plain" else ("plain",)))
        sender.close()
