# SPDX-License-Identifier: MIT
"""A client of the control socket for tests: says what it is told to say, byte by byte, and judges what comes back.

Knows nothing of the project's own code; the environment gives S (the socket), D (a directory), ROOT (the receiving root).
"""
import base64
import json
import os
import resource
import signal
import socket
import sys
import threading
import time

S = os.environ.get("S", "")
D = os.environ.get("D", "")
ROOT = os.environ.get("ROOT", "")
LINE_MAX = 1 << 20
SECONDS = 60  # until a test gives up; never what it takes
SANITIZED = bool(os.environ.get("SANITIZER"))  # slow, and keeps freed memory for a while


class Refused(Exception):
    """An error reply."""

    def __init__(self, error):
        super().__init__(f"{error['data']['name']}: {error['message']}")
        self.error = error
        self.name = error["data"]["name"]
        self.code = error["code"]


def equal(got, wanted, about=""):
    if got != wanted:
        raise AssertionError(f"{about}\n     got: {got!r:.2000}\n  wanted: {wanted!r:.2000}")


def within(seconds, condition):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s")
        time.sleep(0.02)


def no_constant(text):
    raise ValueError(f"{text} is not JSON")


def loads(text):
    """JSON to the letter: one value, no NaN, no member twice, valid UTF-8."""

    def members(pairs):
        names = [name for name, _ in pairs]
        if len(set(names)) != len(names):
            raise ValueError(f"a member twice: {names}")
        return dict(pairs)

    if isinstance(text, bytes):
        text = text.decode("utf-8")
    return json.loads(text, parse_constant=no_constant, object_pairs_hook=members)


def encode(value):
    """A str or bytes is taken as it stands, all else becomes JSON."""
    if isinstance(value, bytes):
        return value
    return value.encode() if isinstance(value, str) else json.dumps(value).encode()


class Client:
    def __init__(self, path=None, seconds=SECONDS, connect=True):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(seconds)
        self.buffer = bytearray()
        self.last_id = 0
        self.events = []
        if connect:
            self.socket.connect(path or S)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def fileno(self):
        return self.socket.fileno()

    def write(self, data):
        self.socket.sendall(encode(data))

    def say(self, *values):
        self.write(b"".join(encode(v) + b"\n" for v in values))

    def pipeline(self, values):
        """Say all of them while the replies are read; the replies."""
        values = list(values)
        writer = threading.Thread(target=self.say, args=values)
        writer.start()
        replies = [self.reply() for _ in values]
        writer.join()
        return replies

    def no_more(self):
        self.socket.shutdown(socket.SHUT_WR)

    def read_line(self):
        """The next line without its LF; None at the end of input."""
        while True:
            at = self.buffer.find(b"\n")
            if at >= 0:
                line = bytes(self.buffer[:at])
                del self.buffer[: at + 1]
                return line
            more = self.socket.recv(1 << 16)
            if not more:
                assert not self.buffer, f"ends in the middle of a line: {bytes(self.buffer)!r:.200}"
                return None
            self.buffer += more

    def read(self):
        """The next message; None at the end of input."""
        line = self.read_line()
        if line is None:
            return None
        assert not line.endswith(b"\r"), line
        message = loads(line)
        check_message(message)
        return message

    def reply(self):
        """The next message that is no notification; those are kept in events."""
        while True:
            message = self.read()
            if isinstance(message, dict) and "method" in message:
                self.events.append(message)
            else:
                return message

    def ask(self, value):
        self.say(value)
        return self.reply()

    def call(self, method, params=None, /, **more):
        self.last_id += 1
        request = {"jsonrpc": "2.0", "id": self.last_id, "method": method}
        params = dict(params or {}, **more)
        if params:
            request["params"] = params
        reply = self.ask(request)
        assert reply is not None, f"no reply to {method}: the connection was closed"
        equal(reply["id"], self.last_id, "the id of a reply")
        if "error" in reply:
            raise Refused(reply["error"])
        return reply["result"]

    def refused(self, name, value, id=None):
        """Say it: it must be refused with that error."""
        reply = self.ask(value)
        about = f"in reply to {encode(value)!r:.300}"
        assert isinstance(reply, dict) and "error" in reply, f"not refused: {reply!r:.500} {about}"
        equal((reply["error"]["data"]["name"], reply["id"]), (name, id), about)
        return reply["error"]

    def refuses(self, name, method, params):
        return self.refused(name, {"jsonrpc": "2.0", "id": 77, "method": method, "params": params}, 77)

    def serves(self):
        """The connection goes on: a request is answered, and no other answer comes before."""
        equal(self.ask({"jsonrpc": "2.0", "id": "still?", "method": "events.unsubscribe"}),
              {"jsonrpc": "2.0", "id": "still?", "result": {"subscribed": False}})

    def closed(self):
        """The daemon closed the connection, in whichever of the two ways the kernel tells it."""
        try:
            message = self.read()
        except ConnectionResetError:
            return
        assert message is None, f"a message instead of the end: {message!r:.500}"

    def last_job(self):
        """The highest number given so far."""
        return self.call("transfer.submit", source="/does/not/exist")["job"]


def check_message(message):
    for m in message if isinstance(message, list) else [message]:
        assert isinstance(m, dict) and m.get("jsonrpc") == "2.0", m
        if "method" in m:
            equal(set(m), {"jsonrpc", "method", "params"})
        else:
            assert set(m) in ({"jsonrpc", "id", "result"}, {"jsonrpc", "id", "error"}), m
        if "error" in m:
            check_error(m["error"])


def is_integer(v):
    return isinstance(v, int) and not isinstance(v, bool)


def check_error(error):
    equal(set(error), {"code", "message", "data"})
    assert is_integer(error["code"]) and isinstance(error["message"], str) and error["message"], error
    assert not any(ord(c) < 32 or ord(c) == 127 for c in error["message"]), error
    data = error["data"]
    assert set(data) <= {"name", "errno", "side", "path", "path_b64", "retryable", "job"}, error
    assert data["name"] in documented_errors(), error
    code, exit_code, retryable = documented_errors()[data["name"]]
    equal((error["code"], data["retryable"]), (code, retryable), data["name"])
    assert data.get("side", "daemon") in ("client", "daemon", "sender", "receiver"), error
    assert is_integer(data.get("job", 1)) and is_integer(data.get("errno", 1)), error


_errors = {}


def documented_errors():
    """name: (code, exit code, retryable), from PROTOCOL.md."""
    if not _errors:
        with open(os.environ["top_srcdir"] + "/proto/PROTOCOL.md", encoding="utf-8") as f:
            for line in f:
                cells = [c.strip() for c in line.split("|")]
                if len(cells) == 7 and cells[1].startswith("`") and cells[2].startswith("-3"):
                    _errors[cells[1].strip("`")] = (int(cells[2]), int(cells[3]), cells[4] == "yes")
        assert len(_errors) > 30, _errors
    return _errors


INTEGER = (int,)
NUMBER = (int, float)
TEXT = (str,)
NULL = type(None)
JOB = {
    "job": INTEGER, "state": TEXT, "phase": TEXT, "reason": (str, NULL), "source": TEXT, "dest": TEXT, "dest_host": TEXT,
    "dest_path": TEXT, "bytes_total": INTEGER, "bytes_done": INTEGER, "bytes_resumed": INTEGER, "files_total": INTEGER,
    "files_done": INTEGER, "files_failed": INTEGER, "files_skipped": INTEGER, "rate": NUMBER, "digest": (dict, NULL),
    "attempts": INTEGER, "retries": INTEGER, "not_before": (int, float, NULL), "priority": INTEGER, "bandwidth": INTEGER, "key": (str, NULL), "existing": (bool,),
    "submitted_at": NUMBER, "started_at": (int, float, NULL), "finished_at": (int, float, NULL), "uid": INTEGER,
    "handle": (bool,), "exit_code": INTEGER, "error": (dict, NULL), "errors": (list,), "warnings": (list,), "warnings_total": INTEGER,
    "walking": (bool,), "preserve": TEXT, "filter": (list,), "dry_run": (bool,), "checksum": (bool,), "one_file_system": (bool,), "files_from": (bool,),
}


def check_job(job):
    """Every documented member is there, with its type, and they agree with each other."""
    for name, types in JOB.items():
        if name in ("source", "dest", "dest_path", "filter") and name + "_b64" in job:
            assert name not in job, job
            for text in [job[name + "_b64"]] if name != "filter" else job["filter_b64"]:
                base64.b64decode(text, validate=True)
            continue
        assert name in job, f"no member {name}: {job}"
        value = job[name]
        assert isinstance(value, types) and (types == (bool,) or not isinstance(value, bool)), f"{name}: {job}"
    assert job["state"] in ("queued", "running", "done", "failed", "cancelled"), job
    ended = job["state"] in ("done", "failed", "cancelled")
    equal(job["finished_at"] is not None, ended, f"finished_at {job}")
    if job["state"] == "done":
        equal((job["exit_code"], job["error"], job["bytes_done"], job["files_done"], job["files_failed"]),
              (0, None, job["bytes_total"], 1, 0), str(job))
        assert job["digest"]["algorithm"] == "xxh128" and len(job["digest"]["value"]) == 32, job
        assert job["submitted_at"] <= job["started_at"] <= job["finished_at"], job
    elif ended:
        check_error(job["error"])
        equal(job["exit_code"], documented_errors()[job["error"]["data"]["name"]][1], str(job))
        equal(job["error"]["data"].get("job"), job["job"])
    else:
        equal(job["exit_code"], 0, str(job))
        if job["error"] is not None:  # of its last attempt
            check_error(job["error"])
            assert job["attempts"] > 0, job
    return job


def make_file(name, size, fill=None):
    path = os.path.join(D, name)
    with open(path, "wb") as f:
        f.write(os.urandom(size) if fill is None else fill * size)
    return path


def same_file(a, b):
    with open(a, "rb") as f, open(b, "rb") as g:
        assert f.read() == g.read(), f"{a} and {b} differ"


def memory_of(pid):
    """Bytes resident."""
    with open(f"/proc/{pid}/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def cpu_of(pid):
    """Seconds used."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rank_pid(client, rank):
    return next(r["pid"] for r in client.call("system.hello")["ranks"] if r["rank"] == rank)


class Stopped:
    """with Stopped(pid): that process stands still; what it is to receive piles up."""

    def __init__(self, pid):
        self.pid = pid

    def __enter__(self):
        os.kill(self.pid, signal.SIGSTOP)
        return self

    def go_on(self):
        os.kill(self.pid, signal.SIGCONT)

    def __exit__(self, *_):
        self.go_on()


def idles(pid, seconds=30):
    """It uses next to no CPU: some half second comes in which it doesn't."""
    end = time.monotonic() + seconds
    while True:
        before, began = cpu_of(pid), time.monotonic()
        time.sleep(0.5)
        share = (cpu_of(pid) - before) / (time.monotonic() - began)
        if share < 0.1:
            return
        assert time.monotonic() < end, f"process {pid} still uses {share:.0%} of a core"


def many_descriptors(n):
    """May this process open so many? Exit status 77 tells the test to skip."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < n + 100:
        sys.exit(77)
    resource.setrlimit(resource.RLIMIT_NOFILE, (n + 100, hard))
