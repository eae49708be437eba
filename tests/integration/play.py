# SPDX-License-Identifier: MIT
"""Plays the daemon for an xferctl: takes its connections, says what it asks, answers or breaks off, step by step.

What no real daemon does at will, as breaking off between a submission and its answer, is told here to the moment.
The environment gives XFERCTL (the program) and S (the socket).
"""
import json
import os
import signal
import socket
import subprocess

from rpc import S, equal, loads, within

QUEUE, OTHER_QUEUE = "00" * 16, "11" * 16
SECONDS = 40


def job(number, state="queued", **members):
    """A job object with what matters here."""
    ended = {"done": 0, "failed": 1, "cancelled": 10}.get(state)
    return {"job": number, "state": state, "phase": state, "source": "/data/a", "dest": "a", "dest_host": "h",
            "dest_path": "/r/a", "exit_code": ended or 0, "attempts": 1, "retries": 3} | members


class Connection:
    def __init__(self, listener):
        self.socket, _ = listener.accept()
        self.socket.settimeout(SECONDS)
        self.lines = self.socket.makefile("rb")

    def asked(self, method, **params):
        """The next request is that one, with these parameters among others. Gives it back."""
        line = self.lines.readline()
        assert line, f"the client closed instead of asking {method}"
        request = loads(line)
        equal(request["method"], method, request)
        for name, value in params.items():
            equal(request["params"].get(name), value, request)
        return request

    def say(self, request, **members):
        text = json.dumps({"jsonrpc": "2.0", "id": request["id"]} | members)
        self.socket.sendall(text.encode() + b"\n")

    def answer(self, request, result):
        self.say(request, result=result)

    def refuse(self, request, name, message="no", code=-32000):
        self.say(request, error={"code": code, "message": message, "data": {"name": name}})

    def greeted(self, queue=QUEUE):
        """The client asks first which queue this is."""
        self.answer(self.asked("system.hello"), {"queue_id": queue})
        return self

    def nothing_asked(self, seconds):
        """The client says nothing more for that long."""
        self.socket.settimeout(seconds)
        try:
            got = self.socket.recv(4096, socket.MSG_PEEK)
        except TimeoutError:
            got = None
        self.socket.settimeout(SECONDS)
        equal(got, None)

    def close(self):
        self.lines.close()
        self.socket.close()


class Stage:
    """A socket, and an xferctl that is started with these arguments."""

    def __init__(self, *arguments):
        self.listen()
        self.client = subprocess.Popen([os.environ["XFERCTL"], "-s", S, *arguments], stdin=subprocess.DEVNULL,
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def listen(self):
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.settimeout(SECONDS)
        self.listener.bind(S)
        self.listener.listen()

    def leave(self):
        """Nobody listens any more."""
        self.listener.close()
        os.unlink(S)

    def accept(self):
        return Connection(self.listener)

    def signal(self, number):
        self.client.send_signal(number)

    def ends(self, status):
        """It exits with that status. Gives what it has printed on stdout and stderr."""
        out, err = self.client.communicate(timeout=SECONDS)
        out, err = out.decode(), err.decode()
        equal(self.client.returncode, status, f"stdout: {out}\nstderr: {err}")
        return out, err


def holds(text, part):
    assert part in text, f"{part!r} is not in {text!r}"
