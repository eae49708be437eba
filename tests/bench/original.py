#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The original design, from its description: what xfer is measured against.

  mpiexec -n 2 /usr/bin/python3 tests/bench/original.py SOURCE TARGET

Rank 0 reads SOURCE and sends what it is called and how large it is, a pickled dict, with tag 1; its content, pickled pieces of 1 MiB, with
tag 2; and an empty message with tag 2. Rank 1 writes TARGET. For one file both ranks are started and end again.
Prints the seconds from when both ranks are there to when both are done. Needs mpi4py.
"""
import os
import sys

from mpi4py import MPI

METADATA = 1
DATA = 2
CHUNK = 1 << 20


def send(comm, source):
    comm.send({"name": os.path.basename(source), "size": os.path.getsize(source)}, dest=1, tag=METADATA)
    with open(source, "rb") as f:
        while True:
            chunk = f.read(CHUNK)
            if not chunk:
                break
            comm.send(chunk, dest=1, tag=DATA)
    comm.send(b"", dest=1, tag=DATA)


def receive(comm, target):
    metadata = comm.recv(source=0, tag=METADATA)
    size = 0
    with open(target, "wb") as f:
        while True:
            chunk = comm.recv(source=0, tag=DATA)
            if not chunk:
                break
            f.write(chunk)
            size += len(chunk)
    if size != metadata["size"]:
        raise SystemExit("%s: %d bytes came of %d" % (metadata["name"], size, metadata["size"]))


def main():
    comm = MPI.COMM_WORLD
    # A target of before goes now, outside the clock: until both ranks have started its pages would have been given back, and new ones are dear.
    if comm.Get_rank() == 1 and os.path.exists(sys.argv[2]):
        os.unlink(sys.argv[2])
    comm.Barrier()
    start = MPI.Wtime()
    if comm.Get_rank() == 0:
        send(comm, sys.argv[1])
    else:
        receive(comm, sys.argv[2])
    comm.Barrier()
    if comm.Get_rank() == 0:
        print("%.6f" % (MPI.Wtime() - start))


main()
