# SPDX-License-Identifier: MIT
#
# System calls on the queue's database fail: a submission is refused and nowhere, or accepted and there, also after a SIGKILL; no end is told before it
# is recorded.

load faults

setup() { need_shim; }

@test "a submission can't be written" { faults database write; }
@test "a submission can't be synced" { faults database fsync; }
@test "the database can't be opened, read, cut or removed" { faults database open read ftruncate unlink; }
@test "the log can't be written back" { faults checkpoint; }
@test "the end of a job can't be recorded" { faults recording; }
