# SPDX-License-Identifier: MIT
#
# How xferctl hands files over to a daemon that runs as another user: the tests play the daemon, and look at each descriptor.

load xferd

setup() { make_place; }
teardown() { remove_place; }

# play <SCRIPT
play() {
    local script=$BATS_TEST_TMPDIR/play_it.py
    command -v python3 >/dev/null || skip 'python3 is not installed'
    { cat <<'END'; cat; } >"$script"
import fcntl
import struct
import termios
from play import *

OTHER = os.geteuid() + 1
D = os.environ["D"]


def greet(c, **members):
    c.answer(c.asked("system.hello"), {"queue_id": QUEUE} | ({"uid": OTHER, "identity": "daemon"} | members))
    return c


def waiting(c):
    return struct.unpack("i", fcntl.ioctl(c.socket, termios.FIONREAD, b"\0" * 4))[0]


class Lines:
    """Requests with the descriptors that came with their bytes, read in pieces."""

    def __init__(self, c, piece=700):
        self.c, self.piece, self.data, self.fds = c, piece, b"", []

    def next(self, method):
        while b"\n" not in self.data:
            data, fds, flags, _ = socket.recv_fds(self.c.socket, self.piece, 8)
            assert data and not flags & socket.MSG_CTRUNC, (data, flags)
            self.data += data
            self.fds += [(fd, len(self.data)) for fd in fds]
        line, self.data = self.data.split(b"\n", 1)
        end = len(line) + 1
        mine = [fd for fd, at in self.fds if at <= end]
        self.fds = [(fd, at - end) for fd, at in self.fds if at > end]
        request = loads(line)
        equal(request["method"], method, request)
        equal(len(mine), 1 if request["params"].get("source_fd") else 0, request)
        return request, (mine[0] if mine else None)


def is_file(fd, path):
    there, here = os.stat(path), os.fstat(fd)
    equal((here.st_dev, here.st_ino), (there.st_dev, there.st_ino), path)
    equal(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE, os.O_RDONLY)
    os.close(fd)


def make(name):
    with open(f"{D}/{name}", "w", encoding="ascii") as f:
        f.write(name)
    return f"{D}/{name}"


END
    S=$S D=$D XFERCTL=$XFERCTL PYTHONPATH=$top_srcdir/tests/integration PYTHONDONTWRITEBYTECODE=1 timeout 100 python3 "$script" 3>&-
}

@test "each line has its own file, also where the connection takes less than all at once" {
    play <<'END'
deep = "/".join(["d" * 250] * 14)
os.makedirs(f"{D}/{deep}")
paths = [make(f"{deep}/{i}") for i in range(150)]
stage = Stage("send", "--no-wait", "-q", *paths)
c = greet(stage.accept())
within(SECONDS, lambda: waiting(c) > 100000)
lines = Lines(c)
for i, path in enumerate(paths):
    request, fd = lines.next("transfer.submit")
    equal(request["params"]["source"], path)
    is_file(fd, path)
    c.answer(request, job(i + 1, handle=True))
out, err = stage.ends(0)
equal((out.split(), err), ([str(i + 1) for i in range(150)], ""))
END
}

@test "the path alone goes to a daemon of the same user, to one with the caller's rights, and where the caller can't open it" {
    play <<'END'
path = make("f")
os.mkfifo(f"{D}/fifo")
for file, members in ((path, {"uid": os.geteuid()}), (path, {"identity": "caller"}), (f"{D}/fifo", {}), (f"{D}/none", {}), (D, {}), ("/dev/null", {})):
    stage = Stage("send", "--no-wait", file)
    c = greet(stage.accept(), **members)
    request, fd = Lines(c).next("transfer.submit")
    equal((fd, "source_fd" in request["params"]), (None, False), file)
    c.answer(request, job(1, handle=False))
    equal(stage.ends(0), ("1\n", ""))
    stage.leave()
END
}

@test "after a lost connection the same submission hands the file over again, and only while the job is unfinished" {
    play <<'END'
path = make("f")
stage = Stage("send", path)
c = greet(stage.accept())
lines = Lines(c)
first, fd = lines.next("transfer.submit")
is_file(fd, path)
c.answer(first, job(7, handle=True))
lines.next("transfer.wait")
c.close()
c = greet(stage.accept())
lines = Lines(c)
request, _ = lines.next("transfer.status")
c.answer(request, job(7, handle=True))
again, fd = lines.next("transfer.submit")
is_file(fd, path)
equal(again["params"], first["params"])
c.answer(again, job(7, handle=True, existing=True))
lines.next("transfer.wait")
c.close()
c = greet(stage.accept())
request, _ = Lines(c).next("transfer.status")
c.answer(request, job(7, "done", handle=True, bytes_done=1))
out, err = stage.ends(0)
holds(out, "7  done  1  ")
equal(err, "")
END
}

@test "a file for which there is no room is handed over later" {
    play <<'END'
path = make("f")
stage = Stage("send", path)
c = greet(stage.accept())
lines = Lines(c)
for _ in range(2):
    request, fd = lines.next("transfer.submit")
    is_file(fd, path)
    c.refuse(request, "TooBusy", "as many files as possible")
request, fd = lines.next("transfer.submit")
is_file(fd, path)
c.answer(request, job(7, handle=True))
request, _ = lines.next("transfer.wait")
c.answer(request, job(7, "done", handle=True))
stage.ends(0)
END
}

@test "retry hands over the file of the caller's own job, and of no other" {
    play <<'END'
path = make("f")
for members, given in (({"uid": os.geteuid(), "handle": True}, True), ({"uid": OTHER, "handle": True}, False), ({"uid": os.geteuid(), "handle": False}, False)):
    stage = Stage("retry", "7")
    c = greet(stage.accept())
    lines = Lines(c)
    request, _ = lines.next("transfer.status")
    c.answer(request, job(7, "failed", source=path, **members))
    request, fd = lines.next("transfer.retry")
    equal(fd is not None, given, members)
    if given:
        is_file(fd, path)
    c.answer(request, job(7, source=path, **members))
    stage.ends(0)
    stage.leave()
END
}
