# SPDX-License-Identifier: MIT
"""What was asked for and what was answered, in memory and line by line in a file: the judge believes nothing else of the daemon's past."""
import json
import threading
import time

ENDED = ("done", "failed", "cancelled")


class Submission:
    """One request, perhaps made several times under its key."""

    def __init__(self, params):
        self.params = params
        self.asked_at = time.time()
        self.accepted = []  # (job, existing) of each answer
        self.unanswered = 0  # it may have arrived


class Journal:
    def __init__(self, path):
        self.file = open(path, "w", encoding="utf-8")
        self.lock = threading.Lock()
        self.submissions = []
        self.by_job = {}  # id: Submission
        self.ends = {}  # id: [(time, state, digest, error name)] as it was told, each once
        self.cancels = {}  # id: [time]
        self.retries = {}  # id: [time]
        self.faults = []  # (time, kind, text)
        self.full = []  # [since, until]
        self.wrong = []  # what was seen at once to be wrong

    def write(self, kind, **more):
        with self.lock:
            self.file.write(json.dumps(dict(more, at=round(time.time(), 4), what=kind)) + "\n")
            self.file.flush()

    def blame(self, text):
        self.write("WRONG", text=text)
        with self.lock:
            self.wrong.append(text)

    def submit(self, params):
        submission = Submission(params)
        with self.lock:
            self.submissions.append(submission)
        return submission

    def accepted(self, submission, job, existing=None):
        """An answer to a submission: what can be judged at once is. existing None: it does not tell."""
        number = job["job"]
        self.write("accepted", job=number, existing=existing, params=submission.params)
        with self.lock:
            other = self.by_job.get(number)
            submission.accepted.append((number, existing))
            self.by_job.setdefault(number, submission)
        if other and other is not submission:
            self.blame("job %d was given to two requests: %s and %s" % (number, other.params, submission.params))
        if len({n for n, _ in submission.accepted}) > 1:
            self.blame("one key, several jobs: %s %s" % (submission.accepted, submission.params))
        if existing and "key" not in submission.params:
            self.blame("job %d is said to have existed, but there was no key: %s" % (number, submission.params))
        self.seen(job)

    def unanswered(self, submission, why):
        with self.lock:
            submission.unanswered += 1
        self.write("unanswered", why=str(why), params=submission.params)

    def seen(self, job):
        """A job object or an event: ends are kept."""
        if job["state"] not in ENDED:
            return
        digest = (job.get("digest") or {}).get("value")
        error = ((job.get("error") or {}).get("data") or {}).get("name")
        with self.lock:
            ends = self.ends.setdefault(job["job"], [])
            if ends and ends[-1][1] == job["state"]:
                if digest and ends[-1][2] is None:
                    ends[-1] = (ends[-1][0], job["state"], digest, error)
                if not digest or ends[-1][2] == digest:
                    return
            ends.append((time.time(), job["state"], digest, error))
        self.write("end", job=job["job"], state=job["state"], digest=digest, error=error)

    def asked(self, what, job):
        """Before a cancel or a retry is sent."""
        with self.lock:
            getattr(self, what).setdefault(job, []).append(time.time())
        self.write(what, job=job)

    def fault(self, kind, text=""):
        with self.lock:
            self.faults.append((time.time(), kind, text))
        self.write("fault", fault=kind, text=text)

    def was_full(self, start, end):
        with self.lock:
            return any(a <= end and (b is None or b >= start) for a, b in self.full)

    def counted(self):
        counts = {}
        for _, kind, _ in self.faults:
            counts[kind] = counts.get(kind, 0) + 1
        return counts
