# SPDX-License-Identifier: MIT
"""One run of the bench: its sizes, its place, its daemons, its peers, what it has found."""
import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import time
import types

from proof import daemon as daemons
from suite import common, peers, report
from suite.common import GIB, KIB, MIB

# Of each part; bytes, seconds or how many. "tiny" measures nothing: it is to see that all works.
SIZES = {
    "large": dict(full=(512 * MIB, 2 * GIB), quick=(256 * MIB,), tiny=(MIB,)),
    "large_rounds": dict(full=5, quick=3, tiny=1),
    "durable": dict(full=512 * MIB, quick=256 * MIB, tiny=MIB),
    "durable_rounds": dict(full=5, quick=3, tiny=1),
    "small": dict(full=4 * KIB, quick=4 * KIB, tiny=512),
    "tree_files": dict(full=10000, quick=1000, tiny=20),
    "tree_rounds": dict(full=7, quick=3, tiny=1),
    "singles": dict(full=10000, quick=1000, tiny=20),
    "singles_rounds": dict(full=3, quick=3, tiny=1),
    "window": dict(full=256, quick=256, tiny=8),
    "clients": dict(full=64, quick=64, tiny=4),
    "warm": dict(full=1000, quick=200, tiny=5),
    "cold": dict(full=6, quick=3, tiny=1),
    "cold_idle": dict(full=10, quick=2, tiny=0.1),
    "process_rounds": dict(full=20, quick=5, tiny=1),
    "load_jobs": dict(full=8, quick=8, tiny=2),
    "load_size": dict(full=512 * MIB, quick=256 * MIB, tiny=4 * MIB),
    "load_rounds": dict(full=5, quick=2, tiny=1),
    "idle": dict(full=60, quick=10, tiny=0.3),
    "idle_settle": dict(full=3, quick=2, tiny=0),
    "memory_large": dict(full=GIB, quick=0, tiny=0),
    "memory_sparse": dict(full=100 * GIB, quick=10 * GIB, tiny=64 * MIB),
    "memory_files": dict(full=100000, quick=10000, tiny=20),
    "scale_sizes": dict(full=tuple(MIB << n for n in range(0, 15, 2)), quick=tuple(MIB << n for n in range(0, 9, 2)), tiny=(MIB // 16, MIB // 8)),
    "scale_jobs": dict(full=tuple(1 << n for n in range(7)), quick=tuple(1 << n for n in range(7)), tiny=(1, 2)),
    "scale_job_size": dict(full=16 * MIB, quick=16 * MIB, tiny=64 * KIB),
    "scale_rounds": dict(full=5, quick=3, tiny=1),
    "spare": dict(full=8 * GIB, quick=GIB, tiny=0),  # of the disk, that stays free
}


class Bench:
    def __init__(self, args):
        self.args = args
        self.xferd = args.xferd
        self.xferctl = args.xferctl
        kind = "tiny" if args.tiny else "quick" if args.quick else "full"
        self.sizes = types.SimpleNamespace(**{name: values[kind] for name, values in SIZES.items()})
        self.place = common.make_place(args.dir)
        self.peers = peers.Peers(args.floor, self.place)
        self.parts = {}
        self.plots = []
        self.running = []
        self.begun = time.monotonic()

    def close(self):
        """Small files are removed here, when nothing is measured any more."""
        for daemon in self.running:
            daemon.end_all()
        self.peers.close()
        shutil.rmtree(self.place, ignore_errors=True)

    def say(self, part, text):
        if not self.args.silent:
            common.note("%4.0f s  %s: %s" % (time.monotonic() - self.begun, part, text))

    def rounds(self, default, size=0):
        """What takes long is done less often. size: of the file"""
        return self.args.rounds or (default if size < GIB else min(default, 3) if size < 4 * GIB else 1)

    def table(self, part, title, tail=False):
        table = report.Table(title, tail)
        self.parts.setdefault(part, []).append(table)
        return table

    def room(self):
        """Bytes that may be written beneath the place."""
        found = os.statvfs(self.place)
        return found.f_bavail * found.f_frsize - self.sizes.spare

    def fitting(self, size, copies=2):
        """So much of it that there is room for these copies."""
        while size > MIB and size * copies > self.room():
            size //= 2
        return size

    def source(self, size):
        """A file of that size, which stays: pages that are new to it take longer than all that is measured. There is one of each size."""
        path = "%s/source-%d" % (self.place, size)
        common.make_file(path, size)
        return path

    @contextlib.contextmanager
    def daemon(self, *options):
        """One for a part, with nobody else's files, that has to end in order."""
        daemon = daemons.Daemon(self.xferd, options, base=self.place)
        self.running.append(daemon)
        try:
            daemon.start()
            daemon.wait_ready()
            yield daemon
            common.stop(daemon)
        except BaseException:
            sys.stderr.write(daemon.log_end() + "\n")
            raise
        finally:
            daemon.end_all()
            self.running.remove(daemon)


class Copies:
    """Ways to copy one large file, each after the other. The target of the last run is removed right before the next, outside the clock: its
    pages are what the next one writes into, and pages that were not used lately cost ten times as much."""

    def __init__(self, source, target):
        self.source = source
        self.target = target
        self.ways = []

    def way(self, key, text, call, same=True, removes=False):
        """same: the copy is to be compared; removes: it removes the target by itself, once it has started"""
        self.ways.append((key, text, call, same, removes))

    def once(self, way):
        """Seconds, and what the way itself has told."""
        _, text, call, same, removes = way
        before = None
        if not removes:
            common.remove(self.target)
        elif os.path.exists(self.target):
            before = os.stat(self.target).st_mtime_ns
        start = time.perf_counter()
        own = call(self.source, self.target)
        seconds = time.perf_counter() - start
        if os.stat(self.target).st_mtime_ns == before:
            raise SystemExit("%s has made no file: there is the one of before" % text)
        if same:
            common.must_be_same_file(self.source, self.target, text)
        elif os.path.getsize(self.target) != os.path.getsize(self.source):
            raise SystemExit("%s has made a file of another size" % text)
        return seconds, own

    def measure(self, rounds, warm=True):
        """Seconds by key; of those that tell their own, by key + "_own"."""
        with open(self.source, "rb", buffering=0) as f:  # it comes into the page cache
            while f.read(MIB):
                pass
        if warm:  # not counted
            for way in self.ways:
                self.once(way)
        found = {}
        for _, order in common.rotated(self.ways, rounds):
            for way in order:
                seconds, own = self.once(way)
                found.setdefault(way[0], []).append(seconds)
                if isinstance(own, float):
                    found.setdefault(way[0] + "_own", []).append(own)
        common.remove(self.target)
        return found


@contextlib.contextmanager
def busy():
    """Another process computes all the time."""
    burner = subprocess.Popen([sys.executable, "-c", "while True: pass"], stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        burner.kill()
        burner.wait()


def rate(size, seconds):
    """MiB a second in each round."""
    return [size / MIB / s for s in seconds]


def median(values):
    return statistics.median(values)
