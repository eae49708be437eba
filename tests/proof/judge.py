# SPDX-License-Identifier: MIT
"""What must be true in the end, from outside: the database as SQLite reads it, the files as xxhsum reads them, against what the journal says was
asked and answered, and against what was done to the sources and to the disk."""
import bisect
import os
import shutil
import sqlite3
import time

from proof.client import Refused
from proof.journal import ENDED
from proof.sources import digests
from proof.trees import TOP

# Between the clocks of the journal and of the daemon, and for what takes its time.
SLACK = 0.5
# Another attempt may help: these end a job only when its retries are used up.
RETRYABLE = ("NoSpace", "SourceChanged", "IOError", "DigestMismatch", "NoResources", "Stalled")


def read_database(path, copy):
    """The rows as dictionaries, read from a copy, by id."""
    os.mkdir(copy)
    for suffix in ("", "-wal", "-journal"):
        if os.path.exists(path + suffix):
            shutil.copyfile(path + suffix, copy + "/queue.db" + suffix)
    db = sqlite3.connect(copy + "/queue.db")
    db.row_factory = sqlite3.Row
    db.text_factory = bytes
    rows = {}
    for row in db.execute("SELECT * FROM jobs"):
        rows[row["id"]] = {k: row[k] for k in row.keys()}
    check = db.execute("PRAGMA integrity_check").fetchone()[0]
    db.close()
    return rows, check.decode()


def text(value):
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value


class Judge:
    def __init__(self, journal, sources, root):
        self.journal = journal
        self.sources = sources
        self.root = root
        self.wrong = {"lost": [], "corrupted": [], "duplicated": [], "untrue": [], "left": []}
        self.notes = {}
        self.jobs = {}  # job objects, by id
        self.rows_cut_off = []
        self.deaths = sorted(at for at, kind, _ in journal.faults if kind not in ("full", "stop", "restart"))

    def blame(self, kind, what):
        self.wrong[kind].append(what)

    def note(self, kind):
        self.notes[kind] = self.notes.get(kind, 0) + 1

    # ---- what the daemon says of what it had accepted ----

    def ask(self, connection, rows_expected):
        """Every job that was ever accepted, by transfer.status."""
        for number in sorted(rows_expected):
            try:
                self.jobs[number] = connection.call_again("transfer.status", time.monotonic() + 60, job=number)
            except Refused as refused:
                self.blame("lost", "job %d was accepted, and is now: %s" % (number, refused))

    # ---- the database ----

    def check_rows(self, rows, integrity):
        if integrity != "ok":
            self.blame("corrupted", "the database: %s" % integrity)
        for number, submission in self.journal.by_job.items():
            row = rows.get(number)
            if row is None:
                self.blame("lost", "job %d was accepted and is not in the database: %s" % (number, submission.params))
            elif not self.fits(row, submission.params):
                self.blame("untrue", "job %d is recorded as %s, asked for was %s" % (number, row, submission.params))
        self.check_unknown({n: r for n, r in rows.items() if n not in self.journal.by_job})
        keys = {}
        for row in rows.values():
            if row["key"] is not None:
                keys.setdefault(text(row["key"]), []).append(row["id"])
        for key, numbers in keys.items():
            if len(numbers) > 1:
                self.blame("duplicated", "key %s has the jobs %s" % (key, numbers))
        for submission in self.journal.submissions:
            if sum(existing is False for _, existing in submission.accepted) > 1:
                self.blame("duplicated", "accepted as new more than once: %s %s" % (submission.accepted, submission.params))
        for number, job in self.jobs.items():
            if number in rows and text(rows[number]["source"]) != job["source"]:
                self.blame("untrue", "job %d: the daemon says %s, the database %s" % (number, job["source"], rows[number]["source"]))

    def fits(self, row, params):
        dest = params["dest"]
        if dest.endswith("/"):
            dest += os.path.basename(params["source"])
        return (text(row["source"]), text(row["dest"]), text(row["key"])) == (params["source"], dest, params.get("key"))

    def check_unknown(self, rows):
        """Jobs of which nobody has heard must come from requests that were not answered, each from one."""
        open_ones = [s for s in self.journal.submissions if s.unanswered and not s.accepted]
        left = {id(s): s.unanswered if "key" not in s.params else 1 for s in open_ones}
        for number, row in sorted(rows.items()):
            for s in open_ones:
                if left[id(s)] > 0 and self.fits(row, s.params):
                    left[id(s)] -= 1
                    self.journal.by_job[number] = s
                    self.note("unheard")
                    break
            else:
                self.blame("duplicated", "nobody asked for job %d: %s" % (number, row))

    # ---- how each job ended ----

    def check_ends(self, rows):
        for number, job in self.jobs.items():
            if job["state"] not in ENDED:
                self.blame("lost", "job %d has not ended: %s, %s, %s" % (number, job["state"], job["phase"], job["reason"]))
                continue
            digest = (job["digest"] or {}).get("value")
            for at, state, seen, _ in self.journal.ends.get(number, []):
                again = state != "done" and any(t >= at - 60 for t in self.journal.retries.get(number, []))
                if state != job["state"] and not again:
                    self.blame("untrue", "job %d was told to be %s, and is now %s" % (number, state, job["state"]))
                elif state == "done" and seen and seen != digest:
                    self.blame("untrue", "job %d was done with %s, and is now with %s" % (number, seen, digest))
            if self.is_tree(job):
                if job["state"] != "done":
                    self.blame("lost", "the tree of job %d is %s: %s" % (number, job["state"], job["error"]))
            elif job["state"] == "done":
                self.check_done(job, digest)
            elif number in rows:
                self.check_reason(job, rows[number])

    @staticmethod
    def is_tree(job):
        """Its client judges what came of it."""
        return job["dest"].startswith(TOP + "/")

    def source(self, job):
        return self.sources.by_path[job["source"]]

    def check_done(self, job, digest):
        met = self.source(job).digests_met(job["submitted_at"] - SLACK, job["finished_at"] + SLACK)
        if digest not in met:
            kind = "untrue" if self.source(job).has_version(digest) else "corrupted"
            self.blame(kind, "job %d is done with %s, which its source was not between %.3f and %.3f: %s"
                       % (job["job"], digest, job["submitted_at"], job["finished_at"], job["source"]))
        if not 0 <= job["bytes_resumed"] <= job["bytes_total"] == job["bytes_done"]:
            self.blame("untrue", "job %d: resumed %d, done %d, total %d"
                       % (job["job"], job["bytes_resumed"], job["bytes_done"], job["bytes_total"]))

    def check_reason(self, job, row):
        number, name = job["job"], job["error"]["data"]["name"]
        start, end = job["submitted_at"] - SLACK, job["finished_at"] + SLACK
        if job["state"] == "cancelled":
            true = name == "Cancelled" and number in self.journal.cancels
        elif name == "NoSuchFile":
            true = self.source(job).was_absent(start, end)
        elif name == "SourceChanged":
            true = self.source(job).changed(start, end) or self.source(job).was_absent(start, end)
        elif name == "NoSpace":
            true = self.journal.was_full(start, end)
        else:  # is judged by what was at the destination; anything else is never a reason
            true = name in ("DestinationExists", "IsDirectory", "NotDirectory")
        if not true:
            self.blame("untrue", "job %d is %s for no true reason: %s" % (number, job["state"], job["error"]))
        if job["state"] == "failed" and name in RETRYABLE and row["failures"] <= row["retries"]:
            self.blame("untrue", "job %d was given up after %d failures with %d retries: %s"
                       % (number, row["failures"], row["retries"], job["error"]))

    def cut_off(self, job):
        """An attempt of it may have been: one that had named its file, and nobody was told. The counters of attempts don't tell,
        they are recorded at leisure."""
        i = bisect.bisect_left(self.deaths, job["submitted_at"] - SLACK)
        return i < len(self.deaths) and (job["finished_at"] is None or self.deaths[i] <= job["finished_at"] + SLACK)

    # ---- what is at each destination ----

    def check_files(self, rows):
        """Jobs of one destination, and of those beneath and above, in the order of their ends: that is the order in which they were run."""
        ordered = sorted((r for r in rows.values() if r["id"] in self.jobs and self.jobs[r["id"]]["state"] in ENDED), key=lambda r: r["ended"])
        self.check_order(ordered)
        content = {}  # path: (digest, job)
        perhaps = {}  # path: jobs that were cut off after it was last told what is there, and may have named their file
        for row in ordered:
            if self.is_tree(self.jobs[row["id"]]):
                continue
            self.replay(self.jobs[row["id"]], row, text(row["dest"]), content, perhaps)
        found = self.walk(content, perhaps)
        sums = digests([self.root + "/" + p for p in found])
        for path in sorted(set(found) | set(content)):
            there = sums.get(self.root + "/" + path)
            self.check_file(path, there, content.get(path), perhaps.get(path, []))

    def check_order(self, ordered):
        last = {}
        for row in ordered:
            job = self.jobs[row["id"]]
            if job["state"] == "cancelled":
                continue  # may end before its turn
            for dest in self.above(text(row["dest"])):
                if dest in last and last[dest]["position"] > row["position"]:
                    self.blame("untrue", "jobs %d and %d for %s ended in the wrong order" % (last[dest]["id"], row["id"], dest))
            last[text(row["dest"])] = row

    @staticmethod
    def above(dest):
        parts = dest.split("/")
        return ["/".join(parts[:n]) for n in range(1, len(parts) + 1)]

    def replay(self, job, row, dest, content, perhaps):
        name = (job["error"] or {}).get("data", {}).get("name")
        upward = [p for p in self.above(dest)[:-1]]
        file_above = any(p in content or p in perhaps for p in upward)
        beneath = any(p.startswith(dest + "/") for p in [*content, *perhaps])
        here = dest in content or dest in perhaps
        cut_off = self.cut_off(job)
        if job["state"] == "done":
            if any(p in content for p in upward) or any(p.startswith(dest + "/") for p in content):
                self.blame("untrue", "job %d is done where a file or a directory was in the way: %s" % (job["job"], dest))
            digest = job["digest"]["value"]
            if row_overwrite(row) == "never" and dest in content:
                # another attempt takes what it finds with its own content for what the one before had named
                if content[dest][0] == digest and (cut_off or row["attempts"] > 1):
                    self.note("taken as stored")
                else:
                    self.blame("corrupted", "job %d replaced %s of job %d, and was never to" % (job["job"], dest, content[dest][1]))
            content[dest] = (digest, job["job"])
            perhaps.pop(dest, None)
            return
        if name == "DestinationExists" and (row_overwrite(row) != "never" or not (here or cut_off)):
            self.blame("untrue", "job %d: %s did not exist" % (job["job"], dest))
        if name == "IsDirectory" and not beneath and not self.emptied(dest):
            self.blame("untrue", "job %d: %s was no directory" % (job["job"], dest))
        if name == "NotDirectory" and not file_above:
            self.blame("untrue", "job %d: nothing was in the way to %s" % (job["job"], dest))
        if cut_off and name not in ("DestinationExists", "IsDirectory", "NotDirectory"):
            perhaps.setdefault(dest, []).append(job["job"])

    def emptied(self, dest):
        """A directory that a job which was cut off has made."""
        return any(text(s["dest"]).startswith(dest + "/") for s in self.rows_cut_off)

    def check_file(self, path, there, expected, perhaps):
        by = [n for n in perhaps if there and self.source(self.jobs[n]).has_version(there)]
        if expected and there is None:
            self.blame("lost", "%s is not there, job %d was done" % (path, expected[1]))
        elif there is not None and (expected is None or expected[0] != there):
            if by:
                self.note("named before its job was cut off")
            elif expected:
                self.blame("corrupted", "%s is %s, job %d had sent %s" % (path, there, expected[1], expected[0]))
            else:
                self.blame("left", "%s is there, and no job for it was done" % path)

    def walk(self, content, perhaps):
        """Files under the root; what is neither a destination nor on the way to one is blamed."""
        files = []
        ways = {p for dest in [*content, *perhaps] for p in self.above(dest)[:-1]}
        # a directory that a job made which was cut off, and then didn't come so far
        unsure = {p for r in self.rows_cut_off for p in self.above(text(r["dest"]))[:-1]}
        for base, dirs, names in os.walk(self.root):
            inside = os.path.relpath(base, self.root)
            if inside == ".":
                dirs[:] = [d for d in dirs if d not in (".xfer", TOP)]
            elif inside not in ways:
                if inside in unsure and not names:
                    self.note("directory of a job that was cut off")
                else:
                    self.blame("left", "directory %s" % inside)
            files += [os.path.normpath(os.path.join(inside, n)) for n in names]
        for base, dirs, names in os.walk(self.root + "/.xfer"):
            inside = os.path.relpath(base, self.root + "/.xfer")
            for name in names + dirs:
                if (inside, name) not in ((".", "lock"), (".", "partial"), (".", "beside")):
                    self.blame("left", ".xfer/%s" % os.path.normpath(os.path.join(inside, name)))
        return files

    def reasons(self):
        counts = {}
        for job in self.jobs.values():
            name = job["error"]["data"]["name"] if job["error"] else job["state"]
            counts[name] = counts.get(name, 0) + 1
        return counts

    def all(self, rows, integrity):
        self.rows_cut_off = [r for r in rows.values() if r["id"] in self.jobs and self.cut_off(self.jobs[r["id"]])
                            and not self.is_tree(self.jobs[r["id"]])]
        self.check_rows(rows, integrity)
        self.check_ends(rows)
        self.check_files(rows)


def row_overwrite(row):
    value = text(row["overwrite"])
    return {0: "replace", 1: "never"}.get(value, value)
