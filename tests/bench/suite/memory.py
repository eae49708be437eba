# SPDX-License-Identifier: MIT
"""The peak of what each rank has in memory while it works."""
import json
import os
import time

from suite import common, usage
from suite.common import MIB, human


class Memory:
    def __init__(self, daemon, xferctl):
        self.daemon = daemon
        self.xferctl = xferctl

    def ready(self):
        """Idle is a daemon that has worked before."""
        few = self.daemon.place + "/few"
        common.make_files(few, 2, 10, 100)
        self.peaks(few, "few")

    def peaks(self, source, dest, *options):
        """Of each rank above what it had before; what that was; the seconds; the job."""
        ranks = common.ranks(self.daemon)
        before = {}
        for rank, pid in ranks.items():
            before[rank] = usage.memory(pid, "VmRSS")
            usage.forget_peak(pid)
        start = time.perf_counter()
        job = json.loads(common.run(self.xferctl, "-s", self.daemon.socket_path, "--json", "-q", "send", source, "--to", dest, *options))
        seconds = time.perf_counter() - start
        if common.ranks(self.daemon) != ranks or job["files_done"] + job["files_skipped"] != job["files_total"]:
            raise SystemExit("something has gone wrong: %s\n%s" % (job, self.daemon.log_end()))
        return {rank: usage.memory(pid, "VmHWM") - before[rank] for rank, pid in ranks.items()}, before, seconds, job


def make_sparse(path, size):
    """A piece of data at the beginning, in the middle and at the end."""
    data = os.urandom(64 << 10)
    with open(path, "wb", buffering=0) as f:
        for at in (0, size // 2, size - len(data)):
            f.seek(at)
            f.write(data)


def measure(bench):
    sizes = bench.sizes
    table = bench.table("memory", "The peak resident of each rank")
    with bench.daemon() as daemon:
        memory = Memory(daemon, bench.xferctl)
        memory.ready()
        root, place = daemon.root, daemon.place
        first = True

        def one(key, text, source, same, *options):
            nonlocal first
            bench.say("memory", text)
            peaks, before, seconds, _ = memory.peaks(source, key, *options)
            same(source, "%s/%s" % (root, key), "xferctl send")
            if first:
                for rank in (0, 1):
                    table.add("idle_rank%d" % rank, "idle, rank %d" % rank, "MiB", [before[rank] / MIB])
            first = False
            for rank in (0, 1):
                table.add("%s_rank%d" % (key, rank), "%s, rank %d" % (text, rank), "MiB", [(before[rank] + peaks[rank]) / MIB],
                          "idle_rank%d" % rank, rise_mib=peaks[rank] / MIB, seconds=seconds)

        def file(key, size, make, same, *options):
            source = "%s/%s" % (place, key)
            make(source, size)
            one(key, human(size) + (", nearly all of it a hole" if make == make_sparse else ""), source, same, *options)
            common.remove(source)
            common.remove("%s/%s" % (root, key))

        file("byte", 1, common.make_file, common.must_be_same_file)
        if sizes.memory_large:
            file("large", bench.fitting(sizes.memory_large), common.make_file, common.must_be_same_file)
        file("sparse", sizes.memory_sparse, make_sparse, common.must_be_same_sparse, "--preserve=+sparse")
        many = place + "/many"
        directories = max(1, sizes.memory_files // 1000)
        common.make_files(many, directories, sizes.memory_files // directories, 100)
        one("many", "%d files of 100 bytes" % (sizes.memory_files // directories * directories), many, common.must_be_same_tree)
