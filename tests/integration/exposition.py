# SPDX-License-Identifier: MIT
"""Reads the text format of Prometheus (0.0.4), strictly: what is not exactly of its form is an error.

As a program it reads standard input and prints each sample as NAME{LABELS} VALUE, the labels sorted.
"""
import re
import sys

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = r'[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"'
HELP = re.compile(rf"# HELP ({NAME}) ((?:[^\\\n]|\\[\\n])+)\Z")
TYPE = re.compile(rf"# TYPE ({NAME}) (counter|gauge)\Z")
SAMPLE = re.compile(rf"({NAME})(?:\{{({LABEL}(?:,{LABEL})*)\}})? (-?[0-9]+(?:\.[0-9]+)?)\Z")
UNITS = ("_seconds", "_bytes", "_ratio")


def parse(text):
    """{"name": (type, {labels as text: value})}"""
    assert text.endswith("\n"), "the last line does not end"
    assert "\r" not in text and "\t" not in text
    families, current, helped = {}, None, None
    for line in text[:-1].split("\n"):
        if match := HELP.match(line):
            assert helped is None and (not current or families[current][1]), f"a family without samples before {line!r}"
            helped, current = match[1], None
            assert helped not in families, f"{helped} comes twice"
        elif match := TYPE.match(line):
            assert match[1] == helped, f"no HELP before {line!r}"
            current, helped = match[1], None
            families[current] = (match[2], {})
            assert (match[2] == "counter") == current.endswith("_total"), f"{current} is a {match[2]}"
        else:
            match = SAMPLE.match(line)
            assert match, f"no sample: {line!r}"
            assert match[1] == current, f"{match[1]} outside of its family"
            labels = ",".join(sorted(re.findall(LABEL, match[2] or "")))
            series = families[current][1]
            assert labels not in series, f"{line!r} comes twice"
            series[labels] = float(match[3])
            assert series[labels] >= 0, line
    assert helped is None and (not current or families[current][1]), "a family without samples"
    for name in families:
        assert not re.search(r"_(ms|milli\w*|minutes|hours|kb|kib|mib|megabytes)(_|\Z)", name), f"{name} is in no base unit"
    return families


if __name__ == "__main__":
    for name, (_, series) in parse(sys.stdin.buffer.read().decode()).items():
        for labels, value in series.items():
            print(name + (f"{{{labels}}}" if labels else ""), f"{value:.6f}".rstrip("0").rstrip("."))
