# SPDX-License-Identifier: MIT
"""One large file on one machine, in the page cache, to where no file is."""
from suite import ask
from suite.bench import Copies, busy
from suite.common import human

BESIDE = ("cp", "rsync", "original", "original_own", "dcp", "floor_own")


def add_all(bench, copies, sender):
    peers = bench.peers
    for name, key, text, call in (("cp", "cp", "cp --reflink=never", peers.cp), ("rsync", "rsync", "rsync -W", peers.rsync_whole),
                                  ("original", "original", "original design", peers.original), ("dcp", "dcp", "dcp, 2 ranks", peers.dcp)):
        if peers.has(name):
            copies.way(key, text, call, removes=key == "original")
    if peers.has("floor"):
        copies.way("floor", "floor", peers.floor, same=False)
    copies.way("ctl", "xferctl send --sync=none", lambda source, target: sender.ctl(source, target, "--sync=none"))
    copies.way("socket", "transfer.submit and wait, sync none", lambda source, target: sender.request(source, target, sync="none"))


def tell(table, copies, found):
    for key, text, *_ in copies.ways:
        to = BESIDE if key in ("ctl", "socket") else ()
        if key == "floor":
            table.add("floor_own", "write into preallocated pages alone", "s", found["floor_own"])
            continue
        table.add(key, text, "s", found[key], *to)
        if key + "_own" in found:
            table.add(key + "_own", text + " without its start", "s", found[key + "_own"])


def measure(bench):
    with bench.daemon() as daemon:
        sender = ask.Sender(daemon, bench.xferctl)
        sizes = sorted({bench.fitting(size) for size in bench.sizes.large})
        for size in sizes:
            copies = Copies(bench.source(size), daemon.root + "/target")
            add_all(bench, copies, sender)
            bench.say("large", human(size))
            tell(bench.table("large", "One file of %s" % human(size)), copies, copies.measure(bench.rounds(bench.sizes.large_rounds, size)))
            if size == sizes[0]:
                bench.say("large", human(size) + " while another process computes")
                with busy():
                    found = copies.measure(bench.rounds(bench.sizes.large_rounds, size), warm=False)
                tell(bench.table("large", "One file of %s while another process computes" % human(size)), copies, found)
        sender.close()


def measure_durable(bench):
    with bench.daemon() as daemon:
        sender = ask.Sender(daemon, bench.xferctl)
        size = bench.fitting(bench.sizes.durable)
        copies = Copies(bench.source(size), daemon.root + "/target")
        if bench.peers.has("dd"):
            copies.way("dd", "dd bs=1M conv=fsync", bench.peers.dd_fsync)
        copies.way("ctl", "xferctl send --sync=file", lambda source, target: sender.ctl(source, target, "--sync=file"))
        copies.way("socket", "transfer.submit and wait, sync file", lambda source, target: sender.request(source, target, sync="file"))
        bench.say("durable", human(size))
        found = copies.measure(bench.rounds(bench.sizes.durable_rounds))
        table = bench.table("durable", "One file of %s that is on disk when it is told" % human(size))
        for key, text, *_ in copies.ways:
            table.add(key, text, "s", found[key], *(() if key == "dd" else ("dd",)))
        sender.close()
