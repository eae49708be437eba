# SPDX-License-Identifier: MIT
"""What all that measures has in common: running programs, making what is copied, judging the copies, the order of runs."""
import fcntl
import os
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30


def run(*words, **options):
    """Its output, of both kinds; a failure ends it all."""
    ran = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, **options)
    if ran.returncode:
        raise SystemExit("%s ended with %d:\n%s" % (" ".join(words), ran.returncode, ran.stdout.decode("utf-8", "replace")[-2000:]))
    return ran.stdout


def note(text):
    """For whoever waits; not a result."""
    sys.stderr.write("bench: %s\n" % text)
    sys.stderr.flush()


def human(size):
    for unit, letter in ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= unit and size % unit == 0:
            return "%d %s" % (size // unit, letter)
    return "%d byte%s" % (size, "" if size == 1 else "s")


def percentile(values, p):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * p))]


def timed(call, times):
    """Milliseconds, the median."""
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds) * 1e3


def rotated(ways, rounds):
    """The rounds, each with all ways, and each beginning with another one."""
    for n in range(rounds):
        at = n % len(ways)
        yield n, ways[at:] + ways[:at]


# ---- where ----

GET_FLAGS = 0x80086601  # of linux/fs.h
SET_FLAGS = 0x40086602
TOP_DIRECTORY = 0x00020000


def spread(directory):
    """ext4 takes no number of a file that was removed in the last minutes, and looks at each of them for every file that is made in their
    neighbourhood: ten times as long. With this (chattr +T) what is made in the directory lies all over the disk, each with another neighbourhood."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        flags = bytearray(struct.calcsize("l"))
        fcntl.ioctl(fd, GET_FLAGS, flags)
        now = struct.unpack_from("I", flags)[0]
        fcntl.ioctl(fd, SET_FLAGS, struct.pack("l", now | TOP_DIRECTORY))
    except OSError:  # another file system has other ways
        pass
    finally:
        os.close(fd)


def make_place(base):
    """A directory in which each part has a neighbourhood of its own."""
    place = tempfile.mkdtemp(prefix="xb-", dir=base)
    os.chmod(place, 0o755)
    spread(place)
    return place


# ---- what is copied ----

def make_file(path, size):
    """Or makes it longer. No two blocks are alike, and none is a hole. It is on disk then: nothing is left to be written while others are
    measured."""
    block = os.urandom(min(size, MIB))
    with open(path, "ab", buffering=0) as out:
        for at in range(os.path.getsize(path), size, MIB):
            out.write((b"%016d" % at + block[16:])[:size - at])
        os.fsync(out.fileno())


def make_files(top, directories, files, size):
    """All with different contents. Returns nothing that could be remembered of them."""
    os.mkdir(top)
    block = os.urandom(size) if size else b""
    for d in range(directories):
        os.mkdir("%s/%d" % (top, d))
        for f in range(files):
            with open("%s/%d/%d" % (top, d, f), "wb", buffering=0) as out:
                if size:
                    out.write((b"%08d" % (d * files + f) + block[8:])[:size])


def remove(path):
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


# ---- judging the copies ----

def must_be_same_file(source, target, who):
    """Much faster than cmp: with it a run would be nearly nothing else."""
    mine, its = bytearray(256 * KIB), bytearray(256 * KIB)
    at = 0
    with open(source, "rb", buffering=0) as a, open(target, "rb", buffering=0) as b:
        while True:
            n, m = a.readinto(mine), b.readinto(its)
            # what is left of the block before is the same in both
            if n != m or mine != its:
                raise SystemExit("%s has not made the same file: it differs after %d bytes" % (who, at))
            if n == 0:
                return
            at += n


def must_be_same_tree(source, target, who):
    if shutil.which("rsync"):
        differs = run("rsync", "-rn", "--checksum", "--delete", "--itemize-changes", source + "/", target + "/")
    else:
        differs = subprocess.run(["diff", "-r", "--", source, target], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, check=False).stdout
    if differs or not os.path.isdir(target):
        raise SystemExit("%s has not made the same tree:\n%s" % (who, differs.decode("utf-8", "replace")[:2000]))


def pieces(fd, size):
    """Offset and end of each that is no hole."""
    at = 0
    while at < size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError:  # nothing but a hole
            return
        at = os.lseek(fd, start, os.SEEK_HOLE)
        yield start, at


def must_be_same_sparse(source, target, who):
    """Reads what is no hole in either: more than all memory would be read otherwise."""
    with open(source, "rb", buffering=0) as a, open(target, "rb", buffering=0) as b:
        size = os.fstat(a.fileno()).st_size
        if os.fstat(b.fileno()).st_size != size:
            raise SystemExit("%s has made a file of another size" % who)
        for start, end in [*pieces(a.fileno(), size), *pieces(b.fileno(), size)]:
            for at in range(start, end, MIB):
                n = min(MIB, end - at)
                if os.pread(a.fileno(), n, at) != os.pread(b.fileno(), n, at):
                    raise SystemExit("%s has not made the same file: it differs after %d" % (who, at))


# ---- the daemon ----

def stop(daemon):
    if daemon.stop(60) != 0:
        raise SystemExit("xferd did not stop in order:\n" + daemon.log_end())
    daemon.end_all()


def finish(daemon):
    stop(daemon)
    shutil.rmtree(daemon.place)


def ranks(daemon):
    """The process of each."""
    with daemon.client() as c:
        return {r["rank"]: r["pid"] for r in c.call("system.hello")["ranks"]}
