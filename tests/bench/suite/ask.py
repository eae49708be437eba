# SPDX-License-Identifier: MIT
"""Asking a daemon over its socket: one request, and very many."""
import json
import os
import selectors
import socket
import time

from suite import common


class Sender:
    """One client that stays connected, and xferctl. target: an absolute path beneath the receiving root."""

    def __init__(self, daemon, xferctl):
        self.daemon = daemon
        self.xferctl = xferctl
        self.client = daemon.client(3600)

    def close(self):
        self.client.close()

    def dest(self, target):
        return os.path.relpath(target, self.daemon.root)

    def request(self, source, target, **more):
        """From request to receipt, over the socket."""
        job = self.client.call("transfer.submit", source=source, dest=self.dest(target), wait=True, **more)
        if job["state"] != "done":
            raise SystemExit("job %s did not arrive: %s" % (job["job"], job))
        return job

    def ctl(self, source, target, *options):
        return common.run(self.xferctl, "-s", self.daemon.socket_path, "-q", "send", source, "--to", self.dest(target), *options)


def submit_line(number, source, dest, **more):
    params = dict(source=source, dest=dest, **more)
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": "transfer.submit", "params": params}).encode() + b"\n"


class Storm:
    """One process plays all clients, each of which has so many requests open: it sends the next line when an answer has come."""

    def __init__(self, path, clients, window=1):
        self.selector = selectors.DefaultSelector()
        self.window = window
        self.input = {}
        for _ in range(clients):
            s = socket.socket(socket.AF_UNIX)
            s.connect(path)
            self.input[s] = b""
            self.selector.register(s, selectors.EVENT_READ)

    def close(self):
        for s in self.input:
            s.close()
        self.selector.close()

    def run(self, lines, until=lambda answered, seconds: False):
        """Sends the lines, until there is none, or until it is time. Answers, each as bytes; the wait for each; the seconds in all."""
        lines = iter(lines)
        answers, waits, opened = [], [], 0
        sent = {s: [] for s in self.input}
        start = time.perf_counter()

        def send(s, n):
            """True: there was a line."""
            nonlocal opened
            begun = len(sent[s])
            out = []
            for line in lines:
                out.append(line)
                if len(out) == n:
                    break
            if out:
                opened += len(out)
                sent[s] += [time.perf_counter()] * len(out)
                s.sendall(b"".join(out))
            return len(sent[s]) > begun

        for s in self.input:
            send(s, self.window)
        while opened:
            for key, _ in self.selector.select():
                s = key.fileobj
                more = s.recv(1 << 18)
                if not more:
                    raise SystemExit("the daemon closed the connection")
                *whole, self.input[s] = (self.input[s] + more).split(b"\n")
                now = time.perf_counter()
                for answer in whole:
                    if b'"error":{' in answer and b'"result":' not in answer:
                        raise SystemExit("a request was refused: %s" % answer.decode("utf-8", "replace"))
                    answers.append(answer)
                    # one client's answers may come in another order than its requests went: the mean is right all the same
                    waits.append(now - sent[s].pop(0))
                opened -= len(whole)
                if until(len(answers), now - start):
                    return answers, waits, now - start
                if whole:
                    send(s, len(whole))
        return answers, waits, time.perf_counter() - start
