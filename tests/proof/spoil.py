# SPDX-License-Identifier: MIT
"""Tries the judge: what was good is spoilt in one way after the other, and each must be noticed."""
import copy
import os

from proof.judge import Judge
from proof.trees import TOP


class Spoiler:
    def __init__(self, judge, rows, integrity):
        self.judge = judge
        self.rows = rows
        self.integrity = integrity
        self.undo = None

    def missed(self):
        """The ways that were not noticed. Nothing stays spoilt."""
        found = []
        for kind, spoil in (("lost", self.file_gone), ("corrupted", self.file_changed), ("left", self.file_more), ("left", self.partial_left),
                            ("left", self.directory_more), ("lost", self.row_gone), ("duplicated", self.key_twice),
                            ("duplicated", self.job_more), ("lost", self.not_ended), ("corrupted", self.never_sent),
                            ("untrue", self.no_reason), ("untrue", self.wrong_order), ("corrupted", self.damaged)):
            again = Judge(self.judge.journal, self.judge.sources, self.judge.root)
            again.jobs = copy.deepcopy(self.judge.jobs)
            rows = copy.deepcopy(self.rows)
            self.undo = None
            try:
                applies = spoil(again, rows)
                if applies:
                    again.all(rows, "damaged" if applies == "damaged" else self.integrity)
            finally:
                if self.undo:
                    self.undo()
            if applies and not again.wrong[kind]:
                found.append(spoil.__name__)
        return found

    # ---- each returns whether there was something to spoil ----

    def stored(self):
        for base, dirs, names in os.walk(self.judge.root):
            if base == self.judge.root:
                dirs[:] = [d for d in dirs if d not in (".xfer", TOP)]
            for name in sorted(names):
                path = os.path.join(base, name)
                if os.path.getsize(path) > 0:
                    return path
        return None

    def file_gone(self, *_):
        path = self.stored()
        if path:
            os.rename(path, self.judge.root + "/.xfer/lock.away")
            self.undo = lambda: os.rename(self.judge.root + "/.xfer/lock.away", path)
        return path

    def file_changed(self, *_):
        path = self.stored()
        if path:
            with open(path, "r+b") as f:
                old = f.read(1)
                f.seek(0)
                f.write(bytes([old[0] ^ 1]))

            def undo():
                with open(path, "r+b") as f:
                    f.write(old)
            self.undo = undo
        return path

    def more(self, path):
        with open(path, "wb"):
            pass
        self.undo = lambda: os.unlink(path)
        return True

    def file_more(self, *_):
        return self.more(self.judge.root + "/stray")

    def partial_left(self, *_):
        return self.more(self.judge.root + "/.xfer/partial/00-1-0")

    def directory_more(self, *_):
        os.mkdir(self.judge.root + "/strays")
        self.undo = lambda: os.rmdir(self.judge.root + "/strays")
        return True

    @staticmethod
    def some(again, state):
        return next((n for n, j in again.jobs.items() if j["state"] == state and not again.is_tree(j)), None)

    def row_gone(self, again, rows):
        number = self.some(again, "done")
        return number and rows.pop(number)

    def twin(self, rows, row):
        number = max(rows) + 1
        rows[number] = dict(row, id=number)
        return True

    def key_twice(self, _, rows):
        row = next((r for r in rows.values() if r["key"] is not None), None)
        return row and self.twin(rows, row)

    def job_more(self, _, rows):
        return rows and self.twin(rows, dict(next(iter(rows.values())), key=None, source=b"/nobody/asked"))

    def not_ended(self, again, _):
        number = self.some(again, "done")
        if number:
            again.jobs[number]["state"] = "queued"
        return number

    def never_sent(self, again, _):
        number = self.some(again, "done")
        if number:
            again.jobs[number]["digest"]["value"] = "0" * 32
        return number

    def no_reason(self, again, _):
        number = self.some(again, "failed")
        if number:
            again.jobs[number]["error"]["data"]["name"] = "IOError"
        return number

    def wrong_order(self, again, rows):
        by_dest = {}
        for number in sorted(rows):
            if again.jobs.get(number, {}).get("state") == "done":
                by_dest.setdefault(rows[number]["dest"], []).append(number)
        pair = next((numbers for numbers in by_dest.values() if len(numbers) > 1), None)
        if pair:
            a, b = rows[pair[0]], rows[pair[-1]]
            a["position"], b["position"] = b["position"], a["position"]
        return pair

    @staticmethod
    def damaged(*_):
        return "damaged"
