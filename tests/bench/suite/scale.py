# SPDX-License-Identifier: MIT
"""Where it bends: one file of ever larger sizes, and ever more files at once."""
import os
import subprocess
import time

from suite import ask, common, report
from suite.bench import Copies, median, rate
from suite.common import GIB, MIB, human


def by_size(bench, daemon, sender, curves):
    table = bench.table("scale", "One file of this size, sync none, request to receipt over the socket")
    source = daemon.place + "/source"
    for size in bench.sizes.scale_sizes:
        if size * 2 > bench.room() + (os.path.getsize(source) if os.path.exists(source) else 0):
            bench.say("scale", "no room for %s" % human(size))
            break
        bench.say("scale", human(size))
        common.make_file(source, size)  # the one of before, made longer
        copies = Copies(source, daemon.root + "/target")
        copies.way("cp", "cp --reflink=never", bench.peers.cp)
        copies.way("xfer", "xfer", lambda s, t: sender.request(s, t, sync="none"))
        found = copies.measure(bench.rounds(bench.sizes.scale_rounds, size), warm=size < 4 * GIB)
        for key, text in (("cp", "cp"), ("xfer", "xfer")):
            table.add("%s_%d" % (key, size), "%s, %s" % (text, human(size)), "MiB/s", rate(size, found[key]),
                      *(("cp_%d" % size,) if key == "xfer" else ()), bytes=size, seconds=median(found[key]))
            curves[text].append((size / MIB, median(rate(size, found[key]))))
    common.remove(source)


class AtOnce:
    """So many files at the same time, each with a target of its own. Sources are used by some of them, but are more than a cache holds."""

    SOURCES = 8

    def __init__(self, daemon, sender, size, most):
        self.daemon = daemon
        self.sender = sender
        self.sources = ["%s/at-once-%d" % (daemon.place, n % self.SOURCES) for n in range(most)]
        self.targets = ["%s/at-once-%d" % (daemon.root, n) for n in range(most)]
        for source in set(self.sources):
            common.make_file(source, size)

    def clear(self):
        for target in self.targets:
            common.remove(target)

    def cp(self, n):
        running = [subprocess.Popen(["cp", "--reflink=never", self.sources[i], self.targets[i]], stdin=subprocess.DEVNULL) for i in range(n)]
        if any([p.wait() for p in running]):
            raise SystemExit("cp has failed")

    def xfer(self, n):
        client = self.sender.client
        asked = [client.say("transfer.submit", dict(source=self.sources[i], dest=os.path.basename(self.targets[i]), sync="none")) for i in range(n)]
        jobs = [client.answer(a)["job"] for a in asked]
        for job in jobs:
            told = client.call("transfer.wait", job=job)
            if told["state"] != "done":
                raise SystemExit("job %d did not arrive: %s" % (job, told))

    def once(self, way, n):
        self.clear()
        start = time.perf_counter()
        way(n)
        seconds = time.perf_counter() - start
        for i in range(n):
            common.must_be_same_file(self.sources[i], self.targets[i], way.__name__)
        return seconds

    def remove(self):
        self.clear()
        for source in self.sources:
            common.remove(source)


def by_jobs(bench, daemon, sender, curves):
    size = bench.sizes.scale_job_size
    counts = [n for n in bench.sizes.scale_jobs if n * 2 * size <= bench.room()]
    table = bench.table("scale", "So many files of %s at once, each a job (cp: each a process)" % human(size))
    files = AtOnce(daemon, sender, size, max(counts, default=0))
    for n in counts:
        bench.say("scale", "%d at once" % n)
        ways = [files.cp, files.xfer]
        found = {"cp": [], "xfer": []}
        for way in ways:  # not counted
            files.once(way, n)
        for _, order in common.rotated(ways, bench.rounds(bench.sizes.scale_rounds)):
            for way in order:
                found[way.__name__].append(files.once(way, n))
        for key in ("cp", "xfer"):
            rates = rate(n * size, found[key])
            table.add("%s_%d" % (key, n), "%s, %d at once" % (key, n), "MiB/s", rates, *(("cp_%d" % n,) if key == "xfer" else ()),
                      jobs=n, seconds=median(found[key]))
            curves[key].append((n, median(rates)))
    files.remove()


def measure(bench):
    sizes, jobs = {"cp": [], "xfer": []}, {"cp": [], "xfer": []}
    with bench.daemon() as daemon:
        sender = ask.Sender(daemon, bench.xferctl)
        by_size(bench, daemon, sender, sizes)
        by_jobs(bench, daemon, sender, jobs)
        sender.close()
    if bench.args.plot:
        for name, title, x, curves in (("scale-size", "One file", "MiB of the file", sizes),
                                       ("scale-jobs", "Many files at once", "files at once", jobs)):
            drawn = report.plot(bench.args.plot, name, title, x, curves)
            if drawn:
                bench.plots.append(drawn)
            else:
                bench.say("scale", "there is no plot: gnuplot is missing, or can't")
