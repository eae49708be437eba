#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Sends one file, and sees it through whatever happens to the daemon meanwhile: client.py KEY SOURCE [DEST]

With nothing but the standard library. KEY is the caller's own name for this transfer: run again with the same key, after a crash or a
reboot, it is about the same job and never a second one. Prints the job's end and its digest; exits with the job's exit code, as xferctl.

A connection breaks when the daemon is started again. What was accepted holds all the same, so this connects again, makes sure that it is
the same queue still, and asks again what it had not been told: for a submission that is harmless because it has a key.
"""
import itertools
import json
import os
import socket
import subprocess
import sys
import time

GIVE_UP = 60  # seconds without a daemon


class Refused(Exception):
    """The daemon has answered, with an error; error["data"]["name"] tells which."""


class Xfer:
    def __init__(self, path):
        self.path, self.queue, self.stream = path, None, None
        self.ids = itertools.count(1)

    def connect(self):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(self.path)
        self.stream = connection.makefile("rw", encoding="utf-8", newline="\n")
        queue = self.ask("system.hello", {})["queue_id"]
        if self.queue not in (None, queue):
            raise SystemExit("the daemon has another queue now: its jobs are not those we know")
        self.queue = queue

    def ask(self, method, params):
        """One request, one answer; OSError when the connection breaks before it."""
        number = next(self.ids)
        self.stream.write(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}) + "\n")
        self.stream.flush()
        for line in self.stream:
            answer = json.loads(line)
            if answer.get("id") != number:
                continue  # a notification
            if "error" not in answer:
                return answer["result"]
            if answer["error"]["data"]["name"] == "Stopping":
                break
            raise Refused(answer["error"])
        raise ConnectionResetError("the daemon went away")

    def call(self, method, params):
        """The same, over as many connections as it takes; only for what may be asked again."""
        pause, end = 0.05, time.monotonic() + GIVE_UP
        while True:
            try:
                if self.stream is None:
                    self.connect()
                return self.ask(method, params)
            except OSError as problem:
                self.stream = None
                if isinstance(problem, PermissionError) or time.monotonic() > end - pause:
                    raise
                time.sleep(pause)
                pause = min(2 * pause, 2)


def main(key, source, dest=None):
    path = os.environ.get("XFER_SOCKET") or subprocess.check_output(["xferctl", "socket"], text=True).strip()
    xfer = Xfer(path)
    request = {"source": os.path.abspath(source), "key": key}
    if dest:
        request["dest"] = dest
    try:
        job = xfer.call("transfer.submit", request)
        print("job", job["job"], "was there already" if job["existing"] else "is accepted", flush=True)
        job = xfer.call("transfer.wait", {"job": job["job"]})
    except Refused as refusal:
        raise SystemExit(f"refused: {refusal.args[0]['message']}") from None
    print(job["state"], job["digest"]["value"] if job["digest"] else job["error"]["message"])
    return job["exit_code"]


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        raise SystemExit(__doc__)
    sys.exit(main(*sys.argv[1:]))
