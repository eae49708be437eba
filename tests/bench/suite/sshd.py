# SPDX-License-Identifier: MIT
"""A private ssh server on this machine: keys, configuration and all in a directory of its own, reachable from here alone and by one key."""
import os
import pwd
import shutil
import socket
import subprocess
import time

HOST = "xfer-bench"
SEPARATION = "/run/sshd"  # where root's server locks its helper up


def program():
    return shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin:/sbin")


def lacks():
    """Why there can be none: a text, or nothing."""
    if not program():
        return "sshd is not installed"
    return None if shutil.which("ssh-keygen") else "ssh-keygen is not installed"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    def __init__(self, place):
        self.place = place
        self.config = place + "/config"
        self.popen = None
        self.made_separation = False
        os.mkdir(place, 0o700)

    def write(self, name, *lines):
        with open("%s/%s" % (self.place, name), "w", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o600)) as f:
            f.write("\n".join(lines) + "\n")

    def read(self, name):
        with open("%s/%s" % (self.place, name), encoding="utf-8") as f:
            return f.read().strip()

    def start(self):
        """Why it can't: a text, or nothing."""
        try:
            for key in ("host", "user"):
                subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", "%s/%s" % (self.place, key)],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
        except (OSError, subprocess.CalledProcessError) as e:
            return "ssh-keygen: %s" % e
        self.write("authorized_keys", self.read("user.pub"))
        # Who has no password may be locked out without PAM, and PAM may not know sshd.
        for pam in ("no", "yes"):
            self.serve(pam)
            if self.answers():
                return None
            why = (self.read("log").splitlines() or ["no word of it"])[-1]
            self.stop()
        return "sshd does not let us in: " + why

    def serve(self, pam):
        port = free_port()
        # Elsewhere than at home nobody's .bashrc is run, and measured.
        self.write("sshd_config", "Port %d" % port, "ListenAddress 127.0.0.1", "HostKey %s/host" % self.place, "PidFile none",
                   "AuthorizedKeysFile %s/authorized_keys" % self.place, "StrictModes no", "PasswordAuthentication no",
                   "KbdInteractiveAuthentication no", "PermitRootLogin prohibit-password", "UsePAM " + pam, "MaxStartups 100",
                   "AllowTcpForwarding no", "X11Forwarding no", "Subsystem sftp internal-sftp", "SetEnv HOME=" + self.place)
        self.write("known_hosts", "[127.0.0.1]:%d %s" % (port, self.read("host.pub")))
        self.write("config", "Host " + HOST, "HostName 127.0.0.1", "Port %d" % port, "User " + pwd.getpwuid(os.geteuid()).pw_name,
                   "IdentityFile %s/user" % self.place, "IdentitiesOnly yes", "IdentityAgent none",
                   "UserKnownHostsFile %s/known_hosts" % self.place,
                   "GlobalKnownHostsFile /dev/null", "StrictHostKeyChecking yes", "BatchMode yes", "LogLevel ERROR")
        if os.geteuid() == 0 and not os.path.isdir(SEPARATION):
            os.mkdir(SEPARATION, 0o755)
            self.made_separation = True
        with open(self.place + "/log", "wb") as log:
            self.popen = subprocess.Popen([program(), "-D", "-e", "-f", self.place + "/sshd_config"], stdin=subprocess.DEVNULL,
                                          stdout=log, stderr=log, start_new_session=True)

    def answers(self):
        end = time.monotonic() + 10
        while time.monotonic() < end and self.popen.poll() is None:
            ran = subprocess.run(["ssh", "-F", self.config, HOST, "true"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.PIPE, check=False)
            if ran.returncode == 0:
                return True
            if b"refused" not in ran.stderr:
                return False
            time.sleep(0.05)
        return False

    def stop(self):
        if self.popen:
            self.popen.terminate()
            self.popen.wait()
        self.popen = None
        if self.made_separation:
            try:
                os.rmdir(SEPARATION)
            except OSError:
                pass
        self.made_separation = False
