# SPDX-License-Identifier: MIT
"""Source files that change and vanish, with a memory of every state that they were in.

Each state is a version: its digest (by xxhsum, not by anything of ours), its size and the time in which a reader could have met it. The
times include the change itself at both ends.
"""
import os
import subprocess
import threading
import time

MIB = 1 << 20
# A change within the same tick of the kernel's clock as the one before can't be told by the times of a file.
TICK = 0.02


def xxh128(path):
    return digests([path])[path]


def digests(paths):
    """path: 32 hexadecimal digits"""
    found = {}
    for i in range(0, len(paths), 200):
        some = paths[i:i + 200]
        # the names are ours: nothing in them that xxhsum would escape
        out = subprocess.run(["xxhsum", "-q", "-H2", "--", *some], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                             stdin=subprocess.DEVNULL, check=False).stdout.decode()
        for line in out.splitlines():
            digest, _, path = line.partition("  ")
            found[path] = digest
    return found


class Version:
    def __init__(self, digest, size, since):
        self.digest = digest
        self.size = size
        self.since = since
        self.until = None  # None: still so

    def met(self, start, end):
        return self.since <= end and (self.until is None or self.until >= start)


class Source:
    """Changed by one thread at a time; looked up by any."""

    def __init__(self, path, rng, sizes):
        self.path = path
        self.rng = rng
        self.sizes = sizes
        self.versions = []
        self.absences = []  # [since, until or None]
        self.changes = []  # times of changes while it was there
        self.lock = threading.Lock()
        self.replace()

    def _content(self, path, size):
        """Differs from version to version and from place to place."""
        block = self.rng.randbytes(min(size, MIB) or 1)
        with open(path, "wb", buffering=0) as f:
            at = 0
            while at < size:
                f.write((b"%016d" % at + block[16:])[:size - at])
                at += len(block)

    def _begin(self, version, since):
        now = time.time()
        with self.lock:
            if self.versions and self.versions[-1].until is None:
                self.versions[-1].until = now
                self.changes.append((since, now))
            for absence in self.absences:
                absence[1] = absence[1] or now
            if version:
                self.versions.append(version)

    def replace(self, size=None):
        """Another file by rename."""
        new = self.path + ".new"
        size = self.rng.choice(self.sizes) if size is None else size
        self._content(new, size)
        digest = xxh128(new)
        if self.versions:
            time.sleep(TICK)
        since = time.time()
        os.rename(new, self.path)
        self._begin(Version(digest, size, since), since)
        time.sleep(TICK)

    def overwrite(self):
        """In place, a page somewhere."""
        self._in_place(lambda f, size: os.pwrite(f.fileno(), self.rng.randbytes(min(4096, size)),
                                                 self.rng.randrange(max(1, size - 4095))))

    def grow(self):
        self._in_place(lambda f, size: os.pwrite(f.fileno(), self.rng.randbytes(1000), size))

    def shrink(self):
        self._in_place(lambda f, size: os.ftruncate(f.fileno(), size - size // 4))

    def _in_place(self, change):
        if not os.path.exists(self.path) or os.stat(self.path).st_size == 0:
            return
        time.sleep(TICK)
        with open(self.path, "r+b", buffering=0) as f:
            since = time.time()
            change(f, os.fstat(f.fileno()).st_size)
        self._begin(Version(xxh128(self.path), os.stat(self.path).st_size, since), since)
        time.sleep(TICK)

    def vanish(self):
        if not os.path.exists(self.path):
            return
        since = time.time()
        os.unlink(self.path)
        self._begin(None, since)
        with self.lock:
            self.absences.append([since, None])

    def appear(self):
        if not os.path.exists(self.path):
            self.replace()

    # ---- what may a job have met between two times? ----

    def digests_met(self, start, end):
        with self.lock:
            return {v.digest for v in self.versions if v.met(start, end)}

    def was_absent(self, start, end):
        with self.lock:
            return any(a[0] <= end and (a[1] is None or a[1] >= start) for a in self.absences)

    def changed(self, start, end):
        with self.lock:
            return any(a <= end and b >= start for a, b in self.changes)

    def has_version(self, digest):
        with self.lock:
            return any(v.digest == digest for v in self.versions)


class Pool:
    """The sources of one kind of file."""

    def __init__(self, place, kind, count, sizes, rng):
        self.kind = kind
        self.sources = [Source("%s/%s-%d" % (place, kind, i), rng, [sizes[i % len(sizes)]] if i < len(sizes) else sizes)
                        for i in range(count)]


KINDS = {
    # kind: (sources, their sizes)
    "small": (16, [0, 1, 4095, 4096, 4097, 65536, 65537, 200000]),
    "middle": (5, [MIB, MIB + 1, 3 * MIB + 5, 6 * MIB]),
    "large": (3, [16 * MIB, 16 * MIB - 1, 24 * MIB + 11, 40 * MIB]),
    "huge": (2, [64 * MIB + 1, 100 * MIB + 4097, 128 * MIB]),
}


class Sources:
    def __init__(self, place, rng):
        os.mkdir(place)
        self.rng = rng
        self.pools = {kind: Pool(place, kind, count, sizes, rng) for kind, (count, sizes) in KINDS.items()}
        self.by_path = {s.path: s for p in self.pools.values() for s in p.sources}

    def change_one(self):
        """Something happens to one of them: called by one thread. Returns what."""
        kind = self.rng.choices(["small", "middle", "large", "huge"], [6, 3, 4, 2])[0]
        source = self.rng.choice(self.pools[kind].sources)
        what = self.rng.choices(["replace", "overwrite", "grow", "shrink", "vanish"], [5, 3, 1, 1, 2])[0]
        away = [s for s in self.by_path.values() if not os.path.exists(s.path)]
        if away and (source in away or self.rng.random() < 0.4):
            source = self.rng.choice(away)
            kind = next(k for k, p in self.pools.items() if source in p.sources)
            what = "appear"
        if kind == "small" and what in ("overwrite", "grow", "shrink"):
            what = "replace"  # is read at once: see TICK
        if what in ("grow", "shrink") and source.versions[-1].size > 160 * MIB:
            what = "replace"
        getattr(source, what)()
        return what, source.path
