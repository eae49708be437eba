# SPDX-License-Identifier: MIT
"""The peak of what each rank has in memory while it works."""
import json
import time

from suite import common, usage


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
