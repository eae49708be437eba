# SPDX-License-Identifier: MIT
"""What happens to the daemon: its processes die and hang, its disk is full, its sources change."""
import os
import random
import signal
import statistics
import threading
import time

from proof.client import Client, Gone, Hangs, Refused
from proof.sources import MIB

RESUME_MIN = 16 * MIB

# The supervisor starts dead ranks again at once for as long as deaths aren't too many: ten in a row, and one in two seconds on average.
# What would be more dies by its supervisor, which counts anew.
DEATHS_AT_ONCE = 9
SECONDS_PER_DEATH = 2.2

KINDS = {
    # kind: weight
    "rank0": 20,
    "rank1": 20,
    "ranks": 10,
    "launcher": 10,
    "twice": 5,
    "supervisor": 8,
    "all": 4,
    "stop": 12,
    "term": 5,
}


class Watcher(threading.Thread):
    """Sees what moves, and how soon it moves again after a kill."""

    def __init__(self, daemon, journal):
        super().__init__(daemon=True)
        self.daemon_ = daemon
        self.journal = journal
        self.over = threading.Event()
        self.moves = threading.Event()  # a large file is on its way
        self.moving = {}  # job: event
        self.waited = None  # (time of a kill, kind, jobs)
        self.connections = 0
        self.after_kill = []  # (kind, seconds)

    def run(self):
        while not self.over.is_set():
            connection = Client(self.daemon_.socket_path, 120)
            connection.on_event = self.see
            try:
                connection.call("events.subscribe")
                self.connections += 1
                while not self.over.is_set():
                    try:
                        self.see(connection.read(1))
                    except Hangs:
                        pass
            except Hangs:
                self.journal.blame("events.subscribe was not answered")
            except (Gone, Refused):
                time.sleep(0.005)
            self.moving = {}
            self.moves.clear()
            connection.close()

    def see(self, message):
        if message.get("method") != "transfer.event":
            return
        event = message["params"]
        self.journal.seen(event)
        number = event["job"]
        large = event["bytes_total"] >= RESUME_MIN
        if event["state"] == "running" and event["phase"] in ("sending", "storing") and event["bytes_done"] > 0 and large:
            waited = self.waited
            if waited and number in waited[2] and self.connections > waited[3]:
                self.after_kill.append((waited[1], time.monotonic() - waited[0]))
                self.waited = None
        if event["state"] == "running" and event["phase"] == "sending" and large:
            self.moving[number] = event
            self.moves.set()
        elif self.moving.pop(number, None) and not self.moving:
            self.moves.clear()

    def killed(self, kind):
        jobs = {n for n, e in list(self.moving.items()) if 0 < e["bytes_done"] < e["bytes_total"]}
        self.waited = (time.monotonic(), kind, jobs, self.connections) if jobs else None

    def median_after_kill(self):
        seconds = [s for _, s in self.after_kill]
        return (statistics.median(seconds), max(seconds), len(seconds)) if seconds else None


class Disk(threading.Thread):
    """Sources change, and the receiving disk is full for a while, now and then."""

    def __init__(self, sources, journal, seed, filler, shim, root):
        super().__init__(daemon=True)
        self.sources = sources
        self.journal = journal
        self.rng = random.Random("%s/disk" % seed)
        self.filler = filler  # path beside the root on a small disk, or None
        self.shim = shim  # else this one says that it is full; None: it never is
        self.root = root
        self.over = threading.Event()
        self.changes = 0

    def run(self):
        full_at = time.monotonic() + self.rng.uniform(2, 6)
        while not self.over.wait(self.rng.expovariate(3)):
            try:
                what, path = self.sources.change_one()
                self.changes += 1
                self.journal.write("source", how=what, path=path)
                if (self.filler or self.shim) and time.monotonic() > full_at:
                    period = [time.time(), None]
                    self.journal.full.append(period)
                    (self.fill if self.filler else self.pretend)(self.rng.uniform(0.2, 2.5))
                    period[1] = time.time()
                    self.journal.fault("full")
                    full_at = time.monotonic() + self.rng.uniform(3, 12)
            except OSError as e:
                self.journal.blame("the torture itself failed: %s" % e)

    def fill(self, seconds):
        """Up to nothing, or a little."""
        spare = self.rng.choice([0, 0, 5000, 100000, 3 * MIB])
        with open(self.filler, "wb", buffering=0) as f:
            size = 0
            end = time.monotonic() + seconds
            while time.monotonic() < end and not self.over.is_set():
                vfs = os.fstatvfs(f.fileno())
                more = vfs.f_bavail * vfs.f_frsize - spare
                try:
                    if more > 0:
                        os.posix_fallocate(f.fileno(), size, more)
                        size += more
                except OSError:
                    pass
                time.sleep(0.01)
        os.unlink(self.filler)

    def pretend(self, seconds):
        for i, kind in enumerate(("write", "fallocate", "mkdir")):
            self.shim.arm(i, kind, self.rng.choice(["ENOSPC", "EDQUOT"]), 1, self.root, True)
        self.over.wait(seconds)
        self.shim.disarm()


class Faults:
    """The processes. Runs in the main thread."""

    def __init__(self, daemon, journal, watcher, seed, gap, hangs):
        self.daemon = daemon
        self.journal = journal
        self.watcher = watcher
        self.rng = random.Random("%s/faults" % seed)
        self.gap = gap
        self.hangs = hangs  # whether a rank may be stopped for longer than link.timeout
        self.deaths = DEATHS_AT_ONCE
        self.counted_at = time.monotonic()
        self.stop_seconds = []
        self.start_seconds = []
        self.killed = 0  # processes

    def run(self, seconds):
        end = time.monotonic() + seconds
        hang_at = time.monotonic() + self.rng.uniform(30, 90)
        while time.monotonic() < end:
            self.wait_for_a_moment(end)
            self.daemon.note_shared()
            self.check_supervisor()
            if self.hangs and time.monotonic() > hang_at:
                self.stop(self.rng.uniform(11, 14))
                hang_at = time.monotonic() + self.rng.uniform(60, 180)
            else:
                self.one()

    def wait_for_a_moment(self, end):
        """Any, or one in which a large file is on its way."""
        if self.rng.random() < 0.5:
            time.sleep(min(max(0, end - time.monotonic()), self.rng.expovariate(1 / self.gap)))
        else:
            time.sleep(self.rng.uniform(0, self.gap))
            self.watcher.moves.wait(4 * self.gap)
            time.sleep(self.rng.choice([0, self.rng.uniform(0, 0.02), self.rng.uniform(0, 0.3)]))

    def check_supervisor(self):
        if not self.daemon.lives():
            self.journal.blame("the supervisor ended by itself with %s:\n%s" % (self.daemon.popen.returncode, self.daemon.log_end()))
            self.start()

    def may_die(self):
        now = time.monotonic()
        self.deaths = min(DEATHS_AT_ONCE, self.deaths + (now - self.counted_at) / SECONDS_PER_DEATH)
        self.counted_at = now
        return self.deaths >= 2

    def one(self):
        kind = self.rng.choices(list(KINDS), KINDS.values())[0]
        if kind in ("rank0", "rank1", "ranks", "launcher", "twice") and not self.may_die():
            kind = "supervisor"
        if kind in ("supervisor", "all"):
            self.end_supervisor(kind)
        elif kind == "stop":
            self.stop(self.rng.choice([self.rng.uniform(0, 0.1), self.rng.uniform(0, 1.5)]))
        elif kind == "term":
            self.terminate()
        elif kind == "twice":
            self.kill(self.rng.choice(["rank0", "rank1"]))
            time.sleep(self.rng.uniform(0, 0.6))
            self.kill(self.rng.choice(["rank0", "rank1", "launcher"]))
        else:
            self.kill(kind)

    def kill(self, kind):
        roles = {"ranks": ("rank0", "rank1")}.get(kind, (kind,))
        hit = []
        self.watcher.killed(kind)
        for p in self.daemon.processes():
            if p.role in roles and self.daemon.signal(p, signal.SIGKILL):
                hit.append(p)
        self.deaths -= 1
        if hit:
            self.killed += len(hit)
            self.journal.fault(kind, str(hit))
        return hit

    def end_supervisor(self, kind):
        self.watcher.waited = None
        hit = self.daemon.processes() if kind == "all" else []
        self.daemon.popen.kill()
        hit = [p for p in hit if self.daemon.signal(p, signal.SIGKILL)]
        self.daemon.popen.wait()
        self.killed += 1 + len(hit)
        self.journal.fault(kind, str(hit))
        self.start()

    def start(self):
        """At once, and mostly left alone until it serves."""
        self.daemon.start("link.chunk=%s" % self.rng.choice(["16K", "16K", "64K", "256K"]))
        began = time.monotonic()
        self.deaths = DEATHS_AT_ONCE
        if self.rng.random() < 0.2:
            time.sleep(self.rng.uniform(0, 0.5))
            self.journal.fault("restart", "cut short")
            return
        while True:
            try:
                with Client(self.daemon.socket_path, 60) as c:
                    c.call("system.ping")
                self.start_seconds.append(time.monotonic() - began)
                self.journal.fault("restart")
                return
            except (Gone, Refused):
                if not self.daemon.lives():
                    self.journal.blame("xferd ended at start with %d:\n%s" % (self.daemon.popen.returncode, self.daemon.log_end()))
                    self.daemon.start()
                if time.monotonic() - began > 90:
                    self.journal.blame("not ready 90 s after a start:\n%s" % self.daemon.log_end())
                    return
                time.sleep(0.02)
            except Hangs:
                self.journal.blame("a ping after a start was not answered within 60 s:\n%s" % self.daemon.log_end())
                return

    def stop(self, seconds):
        """One process stands still, and goes on."""
        role = self.rng.choice(["rank0", "rank1", "rank1", "launcher", "supervisor"] if seconds < 5 else ["rank0", "rank1"])
        hit = self.daemon.signal_role(role, signal.SIGSTOP)
        if not hit:
            return
        time.sleep(seconds)
        for p in hit:
            self.daemon.signal(p, signal.SIGCONT)
        if seconds > 5:
            self.deaths -= 1
        self.journal.fault("hang" if seconds > 5 else "stop", "%s for %.2f s" % (hit, seconds))

    def terminate(self):
        self.watcher.waited = None
        began = time.monotonic()
        status = self.daemon.stop()
        self.stop_seconds.append(time.monotonic() - began)
        if status != 0:
            self.journal.blame("SIGTERM: the supervisor ended with %s:\n%s" % (status, self.daemon.log_end()))
            if status is None:
                self.daemon.popen.kill()
                self.daemon.popen.wait()
        self.journal.fault("term", "%.2f s" % self.stop_seconds[-1])
        self.start()
