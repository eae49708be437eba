# SPDX-License-Identifier: MIT
"""A client of the control socket that expects the daemon to die at any moment."""
import json
import socket
import time


class Gone(Exception):
    """Nobody there, or the connection ended before the answer. asked: the request may have arrived."""

    def __init__(self, text, asked=False):
        super().__init__(text)
        self.asked = asked


class Hangs(Exception):
    """No answer, and the connection stands."""


class Refused(Exception):
    def __init__(self, error):
        super().__init__("%s: %s" % (error["data"]["name"], error["message"]))
        self.error = error
        self.name = error["data"]["name"]


class Client:
    def __init__(self, path, seconds=60):
        self.path = path
        self.seconds = seconds
        self.socket = None
        self.buffer = b""
        self.next_id = 0
        self.on_event = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.socket:
            self.socket.close()
        self.socket = None
        self.buffer = b""

    def connect(self):
        if self.socket:
            return
        s = socket.socket(socket.AF_UNIX)
        try:
            s.settimeout(self.seconds)
            s.connect(self.path)
        except OSError as e:
            s.close()
            raise Gone("connect: %s" % e) from None
        self.socket = s

    def read(self, seconds=None):
        """The next message; Gone at the end."""
        end = time.monotonic() + (seconds if seconds is not None else self.seconds)
        while b"\n" not in self.buffer:
            left = end - time.monotonic()
            if left <= 0:
                raise Hangs()
            self.socket.settimeout(left)
            try:
                more = self.socket.recv(1 << 18)
            except socket.timeout:
                raise Hangs() from None
            except OSError as e:
                self.close()
                raise Gone("read: %s" % e, True) from None
            if not more:
                self.close()
                raise Gone("the daemon closed the connection", True)
            self.buffer += more
        line, _, self.buffer = self.buffer.partition(b"\n")
        return json.loads(line)

    def say(self, method, params):
        self.connect()
        self.next_id += 1
        line = json.dumps({"jsonrpc": "2.0", "id": self.next_id, "method": method, "params": params}).encode() + b"\n"
        try:
            self.socket.settimeout(self.seconds)
            self.socket.sendall(line)
        except OSError as e:
            self.close()
            raise Gone("write: %s" % e, True) from None
        return self.next_id

    def answer(self, request, seconds=None):
        """To the request of that id. Notifications that come before go to on_event."""
        end = time.monotonic() + (seconds or self.seconds)
        while True:
            message = self.read(max(0, end - time.monotonic()))
            if "method" in message:
                if self.on_event:
                    self.on_event(message)
            elif message["id"] == request:
                if "error" in message:
                    if message["error"]["data"]["name"] == "Stopping":
                        # what had been begun for it may stand
                        raise Gone("the daemon is stopping", True)
                    raise Refused(message["error"])
                return message["result"]

    def call(self, method, seconds=None, **params):
        return self.answer(self.say(method, params), seconds)

    def call_again(self, method, until, **params):
        """For what may be asked twice: goes on through restarts until the time (monotonic)."""
        while True:
            try:
                return self.call(method, **params)
            except Gone:
                if time.monotonic() > until:
                    raise
                time.sleep(0.02)
