# SPDX-License-Identifier: MIT
"""A private xferd in a directory of its own, for programs that end it in all ways: what it consists of, how its parts are signalled.

Nothing but processes of this daemon is ever signalled: a process counts as ours when this directory's name is in its command line, and is
held by a pidfd while that is looked at.
"""
import os
import resource
import signal
import subprocess
import tempfile
import time

from proof import client

DROPPED = ("NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "STATE_DIRECTORY", "XFER_SOCKET", "NO_COLOR")
LAUNCHERS = ("mpiexec", "mpirun", "orterun", "prterun", "hydra")


def sanitized():
    return bool(os.environ.get("SANITIZER"))


def find_programs(args, names=("xferd", "xferctl")):
    """--xferd and --xferctl, or what the environment says, or what was built right here."""
    top = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    for name in names:
        path = getattr(args, name, None) or os.environ.get(name.upper()) or top + "/build/" + name
        if not os.access(path, os.X_OK):
            raise SystemExit("%s is not there: --%s PATH" % (path, name))
        setattr(args, name, os.path.abspath(path))


def read(path):
    try:
        with open(path, "rb") as f:
            return f.read()
    except OSError:
        return b""


class Process:
    """role: supervisor, launcher, rank0 or rank1."""

    def __init__(self, pid, role):
        self.pid = pid
        self.role = role

    def __repr__(self):
        return "%s (%d)" % (self.role, self.pid)


class Daemon:
    def __init__(self, xferd, options=(), base=None, environment=None):
        self.xferd = xferd
        self.options = list(options)
        self.place = tempfile.mkdtemp(prefix="xt-", dir=base)
        os.chmod(self.place, 0o755)
        self.socket_path = self.place + "/control.sock"
        self.root = self.place + "/incoming"
        self.database = self.place + "/queue.db"
        self.log_path = self.place + "/log"
        self.popen = None
        self.shared = set()  # its directories in /dev/shm, of all starts
        self.launchers = set()  # pids
        env = {k: v for k, v in os.environ.items() if k not in DROPPED}
        for name in ("run", "state", "config"):
            os.mkdir("%s/%s" % (self.place, name), 0o700)
        env.update(XDG_RUNTIME_DIR=self.place + "/run", XDG_STATE_HOME=self.place + "/state",
                   XDG_CONFIG_HOME=self.place + "/config", LC_ALL="C.UTF-8")
        # root's daemons, too, keep to this place
        if os.geteuid() == 0:
            env["RUNTIME_DIRECTORY"] = self.place + "/run/xfer"
        else:
            env.pop("RUNTIME_DIRECTORY", None)
        env.update(environment or {})
        self.environment = env

    def client(self, seconds=60):
        return client.Client(self.socket_path, seconds)

    # ---- start and end ----

    def start(self, *more):
        """Does not wait until it is ready."""
        arguments = [self.xferd]
        for option in ["control.socket=" + self.socket_path, "queue.database=" + self.database, "store.root=" + self.root,
                       *self.options, *more]:
            arguments += ["-o", option]
        with open(self.log_path, "ab") as log:
            self.popen = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                          env=self.environment, cwd="/", start_new_session=True)

    def wait_ready(self, seconds=60):
        """Both ranks answer."""
        end = time.monotonic() + seconds
        while True:
            try:
                with self.client(10) as c:
                    return c.call("system.ping")
            except (client.Gone, client.Refused):
                if not self.lives():
                    raise SystemExit("xferd ended at start with %s:\n%s" % (self.popen.returncode, self.log_end())) from None
                if time.monotonic() > end:
                    raise SystemExit("xferd was not ready within %d s:\n%s" % (seconds, self.log_end())) from None
                time.sleep(0.02)

    def lives(self):
        return self.popen is not None and self.popen.poll() is None

    def stop(self, seconds=30):
        """In order; its exit status, None when it did not end."""
        self.popen.send_signal(signal.SIGTERM)
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def end_all(self):
        """However it is."""
        for _ in range(200):
            found = self.processes()
            if not found and not self.lives():
                return
            for p in found:
                self.signal(p, signal.SIGKILL)
            if self.lives():
                self.popen.kill()
                self.popen.wait()
            time.sleep(0.05)

    def log_end(self, lines=30):
        return b"\n".join(read(self.log_path).splitlines()[-lines:]).decode("utf-8", "replace")

    # ---- processes ----

    def role(self, pid):
        """None: not a part of this daemon."""
        words = read("/proc/%d/cmdline" % pid).split(b"\0")
        if not words or not any((self.place + "/").encode() in w for w in words):
            return None
        if self.popen and pid == self.popen.pid:
            return "supervisor"
        program = os.path.basename(words[0]).decode("utf-8", "replace")
        if program.startswith(LAUNCHERS):
            return "launcher"
        if not any(w.startswith(b"--handoff=") for w in words):
            return "launcher" if read("/proc/%d/comm" % pid).decode().startswith(LAUNCHERS) else None
        for variable in read("/proc/%d/environ" % pid).split(b"\0"):
            name, _, value = variable.partition(b"=")
            if name in (b"OMPI_COMM_WORLD_RANK", b"PMIX_RANK", b"PMI_RANK"):
                return "rank" + value.decode()
        return "rank0"

    def processes(self, with_supervisor=False):
        found = []
        for name in os.listdir("/proc"):
            if name.isdigit() and int(name) != os.getpid():
                role = self.role(int(name))
                if role and (with_supervisor or role != "supervisor"):
                    found.append(Process(int(name), role))
        self.launchers.update(p.pid for p in found if p.role == "launcher")
        return found

    def signal(self, process, signum):
        """True: it was there and got it."""
        try:
            fd = os.pidfd_open(process.pid)
        except OSError:
            return False
        try:
            if self.role(process.pid) != process.role:
                return False
            signal.pidfd_send_signal(fd, signum)
            return True
        except OSError:
            return False
        finally:
            os.close(fd)

    def signal_role(self, role, signum):
        """Processes of that role that got it."""
        return [p for p in self.processes(with_supervisor=role == "supervisor") if p.role == role and self.signal(p, signum)]

    # ---- what it leaves ----

    def note_shared(self):
        """Remember its directories in memory: after a SIGKILL nothing else tells their names."""
        base = self.place + "/run/xfer"
        try:
            for name in os.listdir(base):
                try:
                    self.shared.add("/dev/shm/" + os.readlink("%s/%s/shared" % (base, name)))
                except OSError:
                    pass
        except OSError:
            pass

    def left_over(self):
        """Paths outside of the place that must be gone when it has ended."""
        found = [path for path in self.shared if os.path.lexists(path)]
        for base in ("/tmp", "/dev/shm"):
            for top in os.listdir(base):
                if top.startswith("ompi."):
                    try:
                        inside = os.listdir("%s/%s" % (base, top))
                    except OSError:
                        continue
                    found += ["%s/%s/%s" % (base, top, i) for i in inside if i in {"pid.%d" % p for p in self.launchers}]
                elif top.startswith("vader_segment") or top.startswith("sm_segment"):
                    if any(".%x" % p in top or ".%d" % p in top for p in self.launchers):
                        found.append("%s/%s" % (base, top))
        base = self.place + "/run/xfer"
        if os.path.isdir(base):
            found += ["%s/%s" % (base, name) for name in os.listdir(base) if name.startswith("xferd-")]
        return found

    def sanitizer_reports(self):
        return [line.decode("utf-8", "replace") for line in read(self.log_path).splitlines()
                if b"Sanitizer" in line or b"runtime error:" in line]

    @staticmethod
    def memory(pid):
        """Bytes resident now."""
        return int(read("/proc/%d/statm" % pid).split()[1]) * resource.getpagesize()
