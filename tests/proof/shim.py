# SPDX-License-Identifier: MIT
"""The table of rules that integration/faults.c reads in every process it was preloaded into: the same layout, kept in a file that all map."""
import errno
import mmap
import os
import signal
import struct

RULES = 4
RULE = struct.Struct("=IiIIIIII16s208s")
COUNT_AT, FIRED_AT = 20, 24


class Shim:
    def __init__(self, library, table):
        self.library = library
        self.path = table
        with open(table, "w+b") as f:
            f.truncate(RULES * RULE.size)
            self.map = mmap.mmap(f.fileno(), RULES * RULE.size)

    def environment(self):
        """For the daemon. A sanitizer wants to be first among the libraries; this one uses nothing of it."""
        env = {"LD_PRELOAD": self.library, "XFER_FAULTS": self.path}
        if os.environ.get("SANITIZER"):
            env["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
        return env

    def arm(self, index, kind, error, nth, path, on=False, after=None):
        """Rule index: the nth call (from 1) of that kind about a path with that text in it fails with that error, with on also all that
        follow. after: counts only once that other rule has fired. An error such as SIGKILL: that signal right before the call."""
        self.disarm(index)
        number = -getattr(signal, error) if error.startswith("SIG") else getattr(errno, error)
        RULE.pack_into(self.map, index * RULE.size, 0, number, nth, on, 0 if after is None else after + 1, 0, 0, 0,
                       kind.encode(), path.encode())
        struct.pack_into("=I", self.map, index * RULE.size, 1)

    def disarm(self, index=None):
        for i in range(RULES) if index is None else [index]:
            struct.pack_into("=I", self.map, i * RULE.size, 0)

    def count(self, index):
        return struct.unpack_from("=I", self.map, index * RULE.size + COUNT_AT)[0]

    def fired(self, index):
        return struct.unpack_from("=I", self.map, index * RULE.size + FIRED_AT)[0]
