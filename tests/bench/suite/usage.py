# SPDX-License-Identifier: MIT
"""What processes have used, from /proc."""
import glob

from proof import daemon as daemons


def lines(path):
    return daemons.read(path).decode("utf-8", "replace").splitlines()


def cpu_ns(pids):
    """Of all their threads."""
    total = 0
    for pid in pids:
        for task in glob.glob("/proc/%d/task/*/schedstat" % pid):
            told = daemons.read(task).split()
            total += int(told[0]) if told else 0
    return total


def switches(pids):
    """How often one of their threads was put on a core: each waking up is one."""
    total = 0
    for pid in pids:
        for task in glob.glob("/proc/%d/task/*/status" % pid):
            total += sum(int(line.split()[1]) for line in lines(task) if "voluntary_ctxt_switches:" in line)
    return total


def memory(pid, name):
    """Bytes. name: VmRSS, VmHWM"""
    for line in lines("/proc/%d/status" % pid):
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise SystemExit("there is no %s of %d" % (name, pid))


def forget_peak(pid):
    """VmHWM begins anew at what is resident now."""
    with open("/proc/%d/clear_refs" % pid, "w") as f:
        f.write("5")
