# SPDX-License-Identifier: MIT
"""What was measured, as Markdown, as JSON, and as plots. Medians and their ratios; nothing is judged here."""
import math
import os
import statistics
import subprocess

from suite import common

def digits(value):
    """Three that count."""
    return "%.*f" % (max(0, min(6, 2 - math.floor(math.log10(abs(value))))) if value else 0, value)


def shown(value, unit):
    return "%s %s" % (digits(value), unit)


class Row:
    def __init__(self, key, what, unit, values, to, more):
        self.key = key
        self.what = what
        self.unit = unit
        self.values = values
        self.to = to  # keys of the rows that its ratio is told to
        self.more = more
        self.median = statistics.median(values)

    def percentile(self, p):
        return common.percentile(self.values, p)


class Table:
    """tail: the rows tell the 99th percentile, too, or the largest where they are few"""

    def __init__(self, title, tail=False):
        self.title = title
        self.tail = tail
        self.rows = {}

    def add(self, key, what, unit, values, *to, **more):
        """to: rows that may come later or be missing; more: numbers that only the JSON document has"""
        self.rows[key] = Row(key, what, unit, list(values), to, more)

    def ratios(self, row):
        """By the key of the other row. Of what is 0 there is no ratio."""
        return {key: row.median / self.rows[key].median for key in row.to if key in self.rows and self.rows[key].median}

    def value(self, row):
        text = shown(row.median, row.unit)
        if len(row.values) == 1:
            return text
        if self.tail:
            return "%s, p99 %s" % (text, shown(row.percentile(0.99), row.unit)) if len(row.values) >= 100 else \
                "%s, most %s" % (text, shown(max(row.values), row.unit))
        return "%s (%s – %s)" % (text, digits(min(row.values)), digits(max(row.values)))

    def markdown(self):
        lines = ["| what | median | ratio |", "|---|---|---|"]
        for row in self.rows.values():
            ratios = ", ".join("%.2f of %s" % (value, self.rows[key].what) for key, value in self.ratios(row).items())
            lines.append("| %s | %s | %s |" % tuple(t.replace("|", "\\|") for t in (row.what, self.value(row), ratios)))
        return "\n".join(lines)

    def json(self):
        """values: in the order in which they were measured; not of what was asked very often"""
        return {"title": self.title,
                "rows": [dict(key=r.key, what=r.what, unit=r.unit, n=len(r.values), median=r.median, min=min(r.values), max=max(r.values),
                              p99=r.percentile(0.99), values=r.values if len(r.values) <= 100 else [], ratios=self.ratios(r), **r.more)
                         for r in self.rows.values()]}


def markdown(parts):
    """parts: name -> tables"""
    lines = []
    for name, tables in parts.items():
        lines += ["## %s" % name, ""]
        for table in tables:
            lines += [table.title + ":", "", table.markdown(), ""]
    return "\n".join(lines)


# ---- the machine ----

def first_line(path, start):
    with open(path, encoding="utf-8", errors="replace") as f:
        return next((line.partition(":")[2].strip() for line in f if line.startswith(start)), None)


def file_system(path):
    """Of the mount that the path lies in: the longest that leads to it."""
    path = os.path.realpath(path)
    best = ("", "unknown")
    with open("/proc/self/mounts", encoding="utf-8", errors="replace") as f:
        for line in f:
            _, where, kind = line.split()[:3]
            if (path == where or path.startswith(where.rstrip("/") + "/")) and len(where) >= len(best[0]):
                best = (where, kind)
    return best[1]


def machine(place):
    uname = os.uname()
    return {"cpu": first_line("/proc/cpuinfo", "model name") or uname.machine,
            "cores": len(os.sched_getaffinity(0)),
            "memory_mib": int(first_line("/proc/meminfo", "MemTotal").split()[0]) // 1024,
            "kernel": "%s %s" % (uname.sysname, uname.release),
            "file_system": file_system(place)}


def told(*words, **options):
    """The first line of what it says, None if it fails."""
    try:
        ran = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False, **options)
    except OSError:
        return None
    lines = ran.stdout.decode("utf-8", "replace").splitlines()
    return lines[0] if ran.returncode == 0 and lines else None


def commit(top):
    # a tarball may have been unpacked inside another project
    if not os.path.exists(top + "/.git"):
        return None
    return told("git", "-C", top, "describe", "--always", "--dirty", "--abbrev=12")


def head(document):
    m = document["machine"]
    missing = document["peers"]["missing"]
    return "\n".join((
        "# xfer: what was measured", "",
        "| | |", "|---|---|",
        "| machine | %s, %d cores, %d MiB, %s |" % (m["cpu"], m["cores"], m["memory_mib"], m["kernel"]),
        "| file system | %s |" % m["file_system"],
        "| xferd | %s%s |" % (document["version"] or "unknown", ", commit " + document["commit"] if document["commit"] else ""),
        "| command | `%s` |" % " ".join(document["command"]).replace("|", "\\|"),
        "| when | %s |" % document["when"],
        "| beside | %s |" % ", ".join(document["peers"]["found"]),
        "| missing | %s |" % ("; ".join("%s: %s" % item for item in missing.items()) or "nothing"), "",
        "Each number is a median, with the least and the largest behind it. What is compared ran in turns, in the same minutes; every",
        "copy was compared with its source before it counted. The ratios are what tells: of times and memory less is better, of rates",
        "(a second) more. Seconds are those of this machine at that time. The original design is helped by MALLOC_MMAP_THRESHOLD_ and",
        "MALLOC_TRIM_THRESHOLD_: without these it may take many times as long.", ""))


# ---- plots ----

PLOT = """set terminal %(terminal)s size 800,500
set output '%(output)s'
set title '%(title)s'
set xlabel '%(x)s'
set ylabel 'MiB a second'
set logscale x 2
set yrange [0:*]
set key below
set grid
%(data)s
plot %(curves)s
"""


def plot(directory, name, title, x, curves):
    """curves: name -> points (x, y). The file, or None where there is no gnuplot that can."""
    os.makedirs(directory, exist_ok=True)
    data = "\n".join("$d%d << END\n%s\nEND" % (n, "\n".join("%g %g" % p for p in points)) for n, points in enumerate(curves.values()))
    drawn = ", ".join("$d%d using 1:2 with linespoints title '%s'" % (n, title) for n, title in enumerate(curves))
    for terminal, ending in (("svg", "svg"), ("pngcairo", "png"), ("png", "png")):
        output = "%s/%s.%s" % (directory, name, ending)
        script = PLOT % {"terminal": terminal, "output": output.replace("'", "''"), "title": title, "x": x, "data": data, "curves": drawn}
        try:
            ran = subprocess.run(["gnuplot"], input=script.encode(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        except OSError:
            return None
        if ran.returncode == 0 and os.path.getsize(output):
            return output
        common.remove(output)
    return None
