# SPDX-License-Identifier: MIT
"""Clients, each a thread with a connection and a stream of random numbers of its own: they submit, cancel, retry, ask, wait and go away.
None of them knows of faults; what they are told, they write into the journal."""
import json
import random
import subprocess
import threading
import time

from proof.client import Client, Gone, Hangs, Refused
from proof.journal import ENDED

# An answer that takes longer, with all that a restart may take, counts as none.
ANSWER_SECONDS = 120
UNIQUE_MAX = 4000


class Mix:
    """Requests: by their kind of source, and destinations of which many are met several times."""

    def __init__(self, sources):
        self.sources = sources
        self.lock = threading.Lock()
        self.uniques = 0
        self.keys = 0

    def count(self, name):
        with self.lock:
            setattr(self, name, getattr(self, name) + 1)
            return getattr(self, name)

    def request(self, rng):
        kind = rng.choices(["small", "middle", "large", "huge"], [60, 15, 17, 8])[0]
        source = rng.choice(self.sources.pools[kind].sources)
        params = {"source": source.path, "dest": self.destination(rng, kind), "sync": rng.choice(["file", "batch", "none"])}
        if params["dest"].startswith("never/") or rng.random() < 0.03:
            params["overwrite"] = "never"
        if rng.random() < 0.3:
            params["priority"] = rng.randint(-100, 100)
        if rng.random() < 0.3:
            params["retries"] = rng.choice([0, 1, 6])
        if rng.random() < 0.35:
            params["key"] = "key-%d" % self.count("keys")
        return params

    def destination(self, rng, kind):
        if kind == "huge":
            return "huge/%d" % rng.randrange(2)
        if kind == "large":
            return "large/%d" % rng.randrange(4)
        if kind == "middle":
            return rng.choice(["middle/%d" % rng.randrange(6)] * 6 + ["nested/a", "nested/a/b"])
        where = rng.randrange(14)
        if where < 3:
            return "small/%d" % rng.randrange(12)
        if where == 3:
            return rng.choice(["nested/a", "nested/a/b", "nested/a/b/c", "nested/x/y", "nested/x"])
        if where == 4:
            return "never/%d" % rng.randrange(40)
        if where == 5:
            return "into/%d/" % rng.randrange(3)
        if where == 6:
            return "dé pth/\\ %d/'q'/n" % rng.randrange(5)
        n = self.count("uniques")
        return "unique/%d/%d" % (n % 20, n) if n <= UNIQUE_MAX else "small/%d" % (n % 12)


class Load:
    """All the clients."""

    def __init__(self, daemon, xferctl, journal, sources, seed, clients, trees=None):
        self.daemon = daemon
        self.xferctl = xferctl
        self.journal = journal
        self.mix = Mix(sources)
        self.over = threading.Event()
        self.known = []  # numbers of accepted jobs
        self.draining = False  # whether a submission may be refused for that
        self.unfinished_max = 60
        self.unfinished = 0  # as last counted
        self.threads = [threading.Thread(target=self.guard, args=(self.client, random.Random("%s/%d" % (seed, i))), daemon=True)
                        for i in range(clients)]
        self.threads.append(threading.Thread(target=self.guard, args=(self.commands, random.Random("%s/ctl" % seed)), daemon=True))
        self.threads.append(threading.Thread(target=self.guard, args=(self.pauses, random.Random("%s/pauses" % seed)), daemon=True))
        if trees:
            self.threads.append(threading.Thread(target=self.guard, args=(lambda rng: trees.client(self.over, rng), random.Random("%s/trees" % seed)),
                                                 daemon=True))

    def start(self):
        for t in self.threads:
            t.start()

    def finish(self):
        """True: all clients came to their end."""
        self.over.set()
        end = time.monotonic() + 2 * ANSWER_SECONDS
        for t in self.threads:
            t.join(max(0, end - time.monotonic()))
        return not any(t.is_alive() for t in self.threads)

    def guard(self, run, rng):
        try:
            run(rng)
        except Hangs:
            self.journal.blame("no answer within %d s" % ANSWER_SECONDS)
        except Exception as e:  # pylint: disable=broad-except
            self.journal.blame("a client ended with %s: %s" % (type(e).__name__, e))

    # ---- one client ----

    def client(self, rng):
        acts = [self.submit, self.submit_and_wait, self.submit_and_go, self.submit_again, self.cancel, self.retry, self.look, self.quarrel]
        connection = Client(self.daemon.socket_path, ANSWER_SECONDS)
        while not self.over.is_set():
            try:
                if self.unfinished > self.unfinished_max:
                    self.count(connection)
                    time.sleep(0.05)
                    continue
                rng.choices(acts, [40, 6, 4, 10, 9, 5, 10, 1])[0](connection, rng)
            except Gone:
                time.sleep(0.02)
            time.sleep(rng.choice([0, 0.01, 0.05, 0.2]))
            if rng.random() < 0.02:
                connection.close()
        connection.close()

    def count(self, connection):
        jobs = connection.call("system.stats")["jobs"]
        self.unfinished = jobs["queued"] + jobs["running"]

    def took(self, submission, job, existing=None):
        self.journal.accepted(submission, job, existing)
        self.known.append(job["job"])
        self.unfinished += 1

    def send(self, connection, submission, **more):
        """Submit; an answer or none is written down. With a key it is asked until there is one."""
        while True:
            try:
                job = connection.call("transfer.submit", **submission.params, **more)
            except Gone as gone:
                if gone.asked:
                    self.journal.unanswered(submission, gone)
                if "key" not in submission.params:
                    return None
                time.sleep(0.01)
                continue
            except Refused as refused:
                if refused.name != "Draining" or not self.draining:
                    self.journal.blame("submit: %s %s" % (refused, submission.params))
                return None
            self.took(submission, job, job["existing"])
            return job

    def submit(self, connection, rng):
        for _ in range(rng.choice([1, 1, 1, 5])):
            self.send(connection, self.journal.submit(self.mix.request(rng)))

    def submit_and_wait(self, connection, rng):
        job = self.send(connection, self.journal.submit(self.mix.request(rng)), wait=True)
        if job and job["state"] not in ENDED:
            self.journal.blame("submit with wait was answered for job %d, which is %s" % (job["job"], job["state"]))

    def submit_and_go(self, _, rng):
        """The connection ends before the answer: nobody knows whether the request arrived."""
        submission = self.journal.submit(self.mix.request(rng))
        with Client(self.daemon.socket_path) as other:
            other.say("transfer.submit", dict(submission.params, wait=rng.random() < 0.5))
            self.journal.unanswered(submission, "the client went away")
            time.sleep(rng.choice([0, 0, 0.002]))
        if "key" in submission.params and rng.random() < 0.7:
            with Client(self.daemon.socket_path, ANSWER_SECONDS) as other:
                self.send(other, submission)

    def submit_again(self, connection, rng):
        """The same under the same key, at once or much later."""
        with self.journal.lock:
            keyed = [s for s in self.journal.submissions[-400:] if "key" in s.params]
        if keyed:
            self.send(connection, rng.choice(keyed))

    def quarrel(self, connection, rng):
        """Another request under a key that is taken."""
        with self.journal.lock:
            keyed = [s for s in self.journal.submissions[-400:] if "key" in s.params and s.accepted]
        if not keyed:
            return
        submission = rng.choice(keyed)
        try:
            job = connection.call("transfer.submit", **dict(submission.params, dest="not/this"))
            self.journal.blame("another request under %s was accepted as job %d" % (submission.params["key"], job["job"]))
        except Refused as refused:
            if refused.name != "KeyConflict" and not (refused.name == "Draining" and self.draining):
                self.journal.blame("another request under %s: %s" % (submission.params["key"], refused))

    def some_job(self, rng):
        known = self.known
        newest = rng.choice([5, 60, len(known)])
        return rng.choice(known[-newest:]) if known else None

    def cancel(self, connection, rng):
        number = self.some_job(rng)
        if number:
            self.journal.asked("cancels", number)
            self.journal.seen(connection.call("transfer.cancel", job=number))

    def retry(self, connection, rng):
        number = self.some_job(rng)
        if not number:
            return
        self.journal.asked("retries", number)
        try:
            self.journal.seen(connection.call("transfer.retry", job=number))
        except Refused as refused:
            if refused.name != "InvalidParams" and not (refused.name == "Draining" and self.draining):
                self.journal.blame("retry of job %d: %s" % (number, refused))

    def look(self, connection, rng):
        number = self.some_job(rng)
        try:
            if number and rng.random() < 0.6:
                self.journal.seen(connection.call("transfer.status", job=number))
            elif number and rng.random() < 0.3:
                self.journal.seen(connection.call("transfer.wait", job=number, timeout=rng.choice([0, 1, 5])))
            else:
                for job in connection.call("transfer.list", limit=rng.choice([1, 20, 200]))["jobs"]:
                    self.journal.seen(job)
        except Refused as refused:
            if refused.name != "Timeout":
                self.journal.blame("job %d was accepted: %s" % (number, refused))
        self.count(connection)

    # ---- xferctl, and whoever pauses the queue ----

    def commands(self, rng):
        """A waiting xferctl ends with the true result, whatever dies meanwhile."""
        while not self.over.is_set():
            params = self.mix.request(rng)
            if "retries" in params:
                del params["retries"]
            params.setdefault("key", "key-%d" % self.mix.count("keys"))
            submission = self.journal.submit(params)
            words = [self.xferctl, "-s", self.daemon.socket_path, "--json", "--timeout", "%ds" % (2 * ANSWER_SECONDS), "send", params["source"],
                     "--to", params["dest"], "--key", params["key"], "--sync=" + params["sync"],
                     "--overwrite=" + params.get("overwrite", "replace")]
            if "priority" in params:
                words.append("--priority=%d" % params["priority"])
            began = time.monotonic()
            ran = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
            try:
                job = json.loads(ran.stdout.decode().splitlines()[-1])
            except (ValueError, IndexError):
                job = {}
            if ran.returncode == 3 and time.monotonic() - began < 0.25:
                self.journal.write("xferctl found no daemon")  # when it began, which it tells at once
                continue
            if job.get("error") and job["error"]["data"]["name"] == "Draining" and self.draining:
                continue
            if "job" not in job or job.get("state") not in ENDED or job["exit_code"] != ran.returncode:
                self.journal.unanswered(submission, "xferctl")
                self.journal.blame("xferctl send ended with %d after %.2f s: %s %s" % (
                    ran.returncode, time.monotonic() - began, ran.stdout.decode(), ran.stderr.decode()))
                continue
            self.took(submission, job)
            self.over.wait(rng.choice([0, 0.1, 0.5]))

    def pauses(self, rng):
        with Client(self.daemon.socket_path, ANSWER_SECONDS) as connection:
            while not self.over.wait(rng.uniform(3, 12)):
                if rng.random() < 0.2:
                    self.drain(connection, rng)
                    continue
                try:
                    queue = connection.call("queue.pause")
                    if not queue["paused"]:
                        self.journal.blame("queue.pause was answered by %s" % queue)
                    self.journal.write("pause")
                except Gone:
                    continue
                self.over.wait(rng.uniform(0.1, 2))
                while True:
                    try:
                        # a pause that was answered outlives everything
                        if not connection.call("system.stats")["queue"]["paused"]:
                            self.journal.blame("the queue was paused and is not any more")
                        connection.call("queue.resume")
                        self.journal.write("resume")
                        break
                    except Gone:
                        time.sleep(0.02)

    def drain(self, connection, rng):
        """It ends with the queue.resume, or with a restart of the daemon."""
        self.draining = True
        self.journal.write("drain")
        with Client(self.daemon.socket_path, ANSWER_SECONDS) as other:
            try:
                other.say("queue.drain", {})
                self.over.wait(rng.uniform(0.1, 1.5))
                # on the same connection: surely not before it
                other.call("queue.resume")
            except Gone:
                connection.call_again("queue.resume", time.monotonic() + ANSWER_SECONDS)
        self.journal.write("resume")
        self.over.wait(1)  # until the answers of before have been read
        self.draining = False
