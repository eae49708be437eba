# SPDX-License-Identifier: MIT
"""What xfer is measured beside: whatever of it is found here. Nothing is installed.

Each takes a source and a target that is not there, and makes it. What tells its own time returns seconds, the others nothing.
"""
import os
import shutil
import subprocess

from suite import common, sshd

PYTHON = "/usr/bin/python3"
ORIGINAL = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "original.py")


class Peers:
    def __init__(self, floor, place):
        self.place = place
        self.floor_program = floor
        self.mpiexec = shutil.which(os.environ.get("MPIEXEC") or "mpiexec")
        self.ssh = None
        self.missing = {}  # name -> why
        self.found = []
        self.environment = dict(os.environ, OMPI_MCA_rmaps_base_oversubscribe="1")
        # A favour to the original design: without it malloc gives each of its pieces back to the system, and where page faults are dear, as on
        # virtual machines, that alone takes up to ten times as long as all else that it does.
        self.environment.update(MALLOC_MMAP_THRESHOLD_="100000000", MALLOC_TRIM_THRESHOLD_="1000000000")
        if os.geteuid() == 0:
            self.environment.update(OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
        for name, why in (("cp", self.lacks("cp")), ("dd", self.lacks("dd")), ("rsync", self.lacks("rsync")), ("tar", self.lacks("tar")),
                          ("dcp", self.lacks("dcp") or self.lacks_mpiexec()), ("floor", self.lacks_floor()),
                          ("original", self.lacks_original()),
                          ("scp", self.lacks("scp") or self.lacks("ssh") or sshd.lacks()),
                          ("rsync-ssh", self.lacks("rsync") or self.lacks("ssh") or sshd.lacks())):
            self.note(name, why)

    def note(self, name, why):
        if why:
            self.missing[name] = why
            if name in self.found:
                self.found.remove(name)
        else:
            self.found.append(name)

    def has(self, name):
        return name in self.found

    # ---- why one is missing: a text, or nothing ----

    @staticmethod
    def lacks(program):
        return None if shutil.which(program) else "%s is not installed" % program

    def lacks_mpiexec(self):
        return None if self.mpiexec else "mpiexec is not installed"

    def lacks_floor(self):
        return None if os.access(self.floor_program, os.X_OK) else "%s is not built (make bench-programs)" % self.floor_program

    def lacks_original(self):
        if self.lacks_mpiexec():
            return self.lacks_mpiexec()
        try:
            ran = subprocess.run([PYTHON, "-c", "import mpi4py"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                 check=False)
        except OSError:
            return "%s is not there" % PYTHON
        return "%s has no mpi4py" % PYTHON if ran.returncode else None

    # ---- on this machine ----

    @staticmethod
    def cp(source, target):
        common.run("cp", "--reflink=never", source, target)

    @staticmethod
    def dd_fsync(source, target):
        common.run("dd", "bs=1M", "conv=fsync", "if=" + source, "of=" + target)

    @staticmethod
    def rsync_whole(source, target):
        common.run("rsync", "-W", source, target)

    def mpi(self, *words):
        ran = subprocess.run([self.mpiexec, "-n", "2", *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             env=self.environment, check=False)
        if ran.returncode:
            raise SystemExit("%s ended with %d:\n%s" % (" ".join(words), ran.returncode, ran.stderr.decode("utf-8", "replace")[-2000:]))
        return ran.stdout

    def dcp(self, source, target):
        self.mpi("dcp", source, target)

    def original(self, source, target):
        """Its own seconds: without its start. It removes a target of before."""
        return float(self.mpi(PYTHON, ORIGINAL, source, target).split()[-1])

    def floor(self, source, target):
        return float(common.run(self.floor_program, target, str(os.path.getsize(source))))

    # ---- over ssh, to this machine ----

    def connect(self):
        """Starts the server when it is first wanted; where it can't the peers that need it are missing."""
        if self.ssh or not (self.has("scp") or self.has("rsync-ssh")):
            return
        server = sshd.Server(self.place + "/ssh")
        why = server.start()
        if why is None:
            self.ssh = server
            return
        server.stop()
        for name in ("scp", "rsync-ssh"):
            self.note(name, why)

    def scp(self, source, target):
        common.run("scp", "-q", "-F", self.ssh.config, source, "%s:%s" % (sshd.HOST, target))

    def rsync_ssh(self, source, target):
        common.run("rsync", "-e", "ssh -F '%s'" % self.ssh.config, source, "%s:%s" % (sshd.HOST, target))

    def close(self):
        if self.ssh:
            self.ssh.stop()
        self.ssh = None
