# SPDX-License-Identifier: MIT
"""A terminal with one program on it: shows what is on the screen, knows few control sequences, and takes any other one for an attack.

    with Terminal([XFERCTL, "top"], rows=24, cols=80) as t:
        t.until(lambda: t.has("running"))

The program is a job of a session of its own, as under a shell, so that it can be stopped and go on.
"""
import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
import unicodedata

SECONDS = 30
SEQUENCE = re.compile(r"\x1b\[(\?)?([0-9;]*)([A-Za-z])")


def width(c):
    if unicodedata.combining(c):
        return 0
    return 2 if unicodedata.east_asian_width(c) in "WF" else 1


class Terminal:
    def __init__(self, argv, rows=24, cols=80, env=None, stdin=None):
        self.rows, self.cols = rows, cols
        self.alternate, self.cursor = False, True
        self.styles, self.raw, self.pending = set(), "", b""
        self.stopped, self.status = False, None
        self.clear()
        self.master, self.slave = pty.openpty()
        self.set_size()
        self.before = termios.tcgetattr(self.slave)
        self.news, news = os.pipe()
        self.leader = os.fork()
        if self.leader == 0:
            os.close(self.master)
            os.close(self.news)
            lead(argv, self.slave, news, {**os.environ, "TERM": "xterm", **(env or {})}, stdin)
        os.close(news)
        self.pid = int(self.news_line().split()[1])

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            print("screen:", *self.screen(), sep="\n  |", file=sys.stderr)
            print(f"raw, at its end: {self.raw[-400:]!r}", file=sys.stderr)
        if self.status is None:
            with contextlib.suppress(ProcessLookupError):  # its leader has waited for it already
                os.kill(self.pid, signal.SIGKILL)
                os.kill(self.pid, signal.SIGCONT)
            self.end()

    def clear(self):
        self.cells = {}
        self.row, self.col = 1, 1

    def set_size(self):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", self.rows, self.cols, 0, 0))

    def news_line(self):
        line = b""
        while not line.endswith(b"\n"):
            byte = os.read(self.news, 1)
            assert byte, "the session ended"
            line += byte
        return line.decode()

    # ---- what the program writes

    def put(self, c):
        if not self.alternate:
            return
        assert c >= " " and c != "\x7f" and not ("\x80" <= c < "\xa0"), f"control character {c!r}"
        assert unicodedata.category(c) not in ("Cf", "Zl", "Zp", "Cs"), f"hidden character {c!r}"
        assert 1 <= self.row <= self.rows, f"row {self.row} of {self.rows}"
        assert self.col + width(c) - 1 <= self.cols, f"{c!r} in column {self.col} of {self.cols}"
        if width(c) == 0:
            return
        self.cells[self.row, self.col] = c
        self.col += width(c)

    def obey(self, private, numbers, letter):
        if private:
            assert (numbers, letter) in {("1049", "h"), ("1049", "l"), ("25", "h"), ("25", "l")}, (numbers, letter)
            if numbers == "25":
                self.cursor = letter == "h"
            else:
                self.alternate = letter == "h"
                self.clear()
        elif letter == "m":
            self.styles.add(numbers)
        elif letter == "H":
            self.row, self.col = map(int, numbers.split(";"))
            assert 1 <= self.row <= self.rows and self.col == 1, numbers
        elif letter == "K" and not numbers:
            self.cells = {at: c for at, c in self.cells.items() if at[0] != self.row or at[1] < self.col}
        elif letter == "J" and numbers in ("", "2"):
            self.cells = {} if numbers else {at: c for at, c in self.cells.items() if at < (self.row, self.col)}
        else:
            raise AssertionError(f"unexpected sequence {numbers}{letter}")

    def feed(self, data):
        data = self.pending + data
        if not whole(data):
            self.pending = data
            return
        text, self.pending = data.decode(), b""
        self.raw += text
        at = 0
        while at < len(text):
            if text[at] != "\x1b":
                self.put(text[at])
                at += 1
                continue
            match = SEQUENCE.match(text, at)
            if not match:
                assert len(text) - at < 16, f"unexpected sequence {text[at:at + 16]!r}"
                self.pending = text[at:].encode()
                self.raw = self.raw[:len(self.raw) - (len(text) - at)]
                return
            self.obey(*match.groups())
            at = match.end()

    def read(self, seconds):
        ready, _, _ = select.select([self.master] + ([self.news] if self.status is None else []), [], [], seconds)
        if self.master in ready:
            self.feed(os.read(self.master, 65536))
        if self.news in ready:
            what, number = self.news_line().split()
            if what == "ended":
                self.status = int(number)
            else:
                self.stopped = what == "stopped"
        return bool(ready)

    def until(self, condition, what=None):
        end = time.monotonic() + SECONDS
        while not condition():
            assert time.monotonic() < end, what or "it did not come to that"
            assert self.status is None or condition(), f"it ended with status {self.status}"
            self.read(0.1)

    # ---- for tests

    def screen(self):
        rows = []
        for row in range(1, self.rows + 1):
            line = {at[1]: c for at, c in self.cells.items() if at[0] == row}
            rows.append("".join(line.get(col, " ") for col in range(1, max(line, default=0) + 1)).rstrip())
        return rows

    def has(self, pattern):
        return any(re.search(pattern, line) for line in self.screen())

    def await_text(self, pattern):
        self.until(lambda: self.has(pattern), f"no {pattern!r} on the screen")

    def await_no_text(self, pattern):
        self.until(lambda: not self.has(pattern), f"{pattern!r} stays on the screen")

    def await_alternate(self, on):
        self.until(lambda: self.alternate == on and self.cursor != on)

    def resize(self, rows, cols):
        """Not before all that was written for the former size is read."""
        while self.read(0.05):
            pass
        self.clear()
        self.rows, self.cols = rows, cols
        self.set_size()

    def key(self, text):
        os.write(self.master, text.encode())

    def signal(self, number):
        os.kill(self.pid, number)

    def is_as_before(self):
        return termios.tcgetattr(self.slave) == self.before

    def end(self):
        """Its exit status."""
        end = time.monotonic() + SECONDS
        while self.status is None:
            assert time.monotonic() < end, "it does not end"
            self.read(0.1)
        while self.read(0):
            pass
        os.waitpid(self.leader, 0)
        return self.status


def whole(data):
    """No character is cut in two at its end."""
    try:
        data.decode()
        return True
    except UnicodeDecodeError as e:
        if e.reason == "unexpected end of data":
            return False
        raise AssertionError(f"not UTF-8: {data[e.start:e.end + 8]!r}") from None


def lead(argv, tty, news, env, stdin):
    """The session's leader, in place of a shell: starts the program in the foreground and tells what becomes of it."""
    os.setsid()
    fcntl.ioctl(tty, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    go, ready = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        os.close(ready)
        os.read(go, 1)
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        for fd in range(3):
            os.dup2(tty, fd)
        if stdin is not None:
            os.dup2(os.open(stdin, os.O_RDONLY), 0)
        os.closerange(3, 256)
        os.execvpe(argv[0], argv, env)
    try:
        os.setpgid(pid, pid)
    except OSError:
        pass
    os.tcsetpgrp(tty, pid)
    os.close(ready)
    os.write(news, b"started %d\n" % pid)
    while True:
        _, status = os.waitpid(pid, os.WUNTRACED | os.WCONTINUED)
        if os.WIFSTOPPED(status):
            os.write(news, b"stopped %d\n" % os.WSTOPSIG(status))
        elif os.WIFCONTINUED(status):
            os.write(news, b"continued 0\n")
        else:
            code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
            os.write(news, b"ended %d\n" % code)
            os._exit(0)
