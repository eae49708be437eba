# SPDX-License-Identifier: MIT
"""Whole trees under torture: sources made by trees/make-tree, and a client that has each of them sent again and again, through all that dies
meanwhile, and lets trees/same-tree judge what has come of it. Its destinations are beneath "trees", where nobody else sends anything."""
import json
import os
import shutil
import subprocess
import time

from proof.client import Client, Gone, Refused
from proof.journal import ENDED

TOP = "trees"
TOOLS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "trees")
ANSWER_SECONDS = 120
# From the end of all faults until a tree must be there.
END_SECONDS = 150

KINDS = {
    # name: (scale, kinds, preserve)
    "many": (20, ["plain", "empty"], None),
    "odd": (1, ["plain", "names", "links", "hardlinks", "sparse", "times", "modes"], "+links,+sparse"),
    "deep": (1, ["deep", "empty", "links"], None),
    "large": (5, ["plain", "sparse"], "+sparse"),
}


class Tree:
    def __init__(self, place, name, seed):
        self.name = name
        self.path = "%s/tree-%s" % (place, name)
        scale, kinds, self.preserve = KINDS[name]
        ran = subprocess.run([TOOLS + "/make-tree", "--scale", str(scale), str(seed), self.path, *kinds], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, check=True)
        made = json.loads(ran.stdout)
        self.entries = made["files"] + made["links"]

    def differs(self, copy):
        """What same-tree says; empty: nothing."""
        preserve = {"mode", "times"} | {p.strip("+") for p in (self.preserve or "").split(",") if p}
        ran = subprocess.run([TOOLS + "/same-tree", "--preserve", ",".join(sorted(preserve)), self.path, copy], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        return ran.stdout.decode("utf-8", "replace")[:2000] if ran.returncode else ""


class Trees:
    """All of them, and what was sent where. Used by one client at a time."""

    def __init__(self, place, seed, journal, daemon):
        self.by_path = {}
        for name in KINDS:
            tree = Tree(place, name, seed)
            self.by_path[tree.path] = tree
        self.journal = journal
        self.daemon = daemon
        self.sent = 0
        self.attempts = 0
        self.again = 0  # retries by hand, after a failure or a cancel
        self.stored = {}  # destination: tree

    def client(self, over, rng):
        """Until over, and then until the last one is there."""
        number = 0
        with Client(self.daemon.socket_path, ANSWER_SECONDS) as connection:
            while not over.is_set():
                number += 1
                self.one(connection, rng, over, number)

    def one(self, connection, rng, over, number):
        tree = rng.choice(list(self.by_path.values()))
        dest = "%s/%s-%d" % (TOP, tree.name, rng.randrange(2))
        if dest in self.stored and rng.random() < 0.6:
            shutil.rmtree(self.daemon.root + "/" + dest, ignore_errors=True)
            del self.stored[dest]
        params = {"source": tree.path, "dest": dest, "sync": rng.choice(["batch", "batch", "none", "file"]), "key": "tree-%d" % number,
                  "overwrite": rng.choice(["replace", "changed"]), "priority": rng.choice([0, 100])}
        if tree.preserve:
            params["preserve"] = tree.preserve
        submission = self.journal.submit(params)
        job = self.submit(connection, submission)
        if rng.random() < 0.2:
            time.sleep(rng.uniform(0, 0.5))
            self.journal.asked("cancels", job["job"])
            job = connection.call_again("transfer.cancel", time.monotonic() + ANSWER_SECONDS, job=job["job"])
        self.bring_to_an_end(connection, job["job"], tree, dest, over)

    def submit(self, connection, submission):
        while True:
            try:
                job = connection.call("transfer.submit", **submission.params)
                self.journal.accepted(submission, job, job["existing"])
                return job
            except Gone as gone:
                if gone.asked:
                    self.journal.unanswered(submission, gone)
            except Refused as refused:
                if refused.name != "Draining":
                    self.journal.blame("submit of a tree: %s %s" % (refused, submission.params))
                    raise
            time.sleep(0.02)

    def wait(self, connection, number):
        while True:
            try:
                job = connection.call("transfer.wait", job=number, timeout=5)
            except Gone:
                time.sleep(0.02)
                continue
            except Refused as refused:
                if refused.name != "Timeout":
                    raise
                continue
            if job["state"] in ENDED:
                self.journal.seen(job)
                return job

    def bring_to_an_end(self, connection, number, tree, dest, over):
        ended_at = None
        while True:
            job = self.wait(connection, number)
            if job["state"] == "done":
                break
            self.check_reason(connection, job)
            if over.is_set():
                ended_at = ended_at or time.monotonic()
                if time.monotonic() - ended_at > END_SECONDS:
                    self.journal.blame("tree job %d does not come to its end: %s" % (number, job["error"]))
                    return
            time.sleep(0.2)
            self.retry(connection, number)
        self.sent += 1
        self.attempts += job["attempts"]
        self.stored[dest] = tree
        if job["files_done"] + job["files_skipped"] != job["files_total"] or job["files_total"] != tree.entries or job["files_failed"] \
                or job["bytes_done"] != job["bytes_total"] or job["error"]:
            self.journal.blame("tree job %d of %d entries is done with %s" % (number, tree.entries, {
                k: job[k] for k in ("files_total", "files_done", "files_skipped", "files_failed", "bytes_done", "bytes_total", "error")}))
        self.check(dest)

    def retry(self, connection, number):
        self.again += 1
        self.journal.asked("retries", number)
        while True:
            try:
                self.journal.seen(connection.call("transfer.retry", job=number))
                return
            except Gone:
                time.sleep(0.02)
            except Refused as refused:
                if refused.name == "InvalidParams":
                    return  # was heard the first time
                if refused.name != "Draining":
                    raise
                time.sleep(0.1)

    def check_reason(self, connection, job):
        """A full disk, or a cancel; of each entry that failed."""
        number, name = job["job"], job["error"]["data"]["name"]
        if name == "Cancelled" and number in self.journal.cancels:
            return
        names = {name}
        if name == "Incomplete":
            page = connection.call_again("transfer.errors", time.monotonic() + ANSWER_SECONDS, job=number)
            names = {e["name"] for e in page["errors"] if e["kind"] == "error"}
            if not names:
                self.journal.blame("tree job %d is incomplete for no reason at all" % number)
        # directories of which something is missing for want of space
        if names - {"NoSpace"} or not self.journal.was_full(job["submitted_at"] - 1, time.time()):
            self.journal.blame("tree job %d is %s for no true reason: %s %s" % (number, job["state"], sorted(names), job["error"]))

    def check(self, dest):
        differs = self.stored[dest].differs(self.daemon.root + "/" + dest)
        if differs:
            self.journal.blame("%s is not what was sent:\n%s" % (dest, differs))

    def check_all(self):
        for dest in self.stored:
            self.check(dest)
