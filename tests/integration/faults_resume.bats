# SPDX-License-Identifier: MIT
#
# System calls of the receiving rank fail while it goes on with a partial file.

load faults

setup() { need_shim; }

@test "a partial file can't be opened" { faults resuming open; }
@test "a partial file can't be read" { faults resuming read; }
@test "a partial file can't be written" { faults resuming write; }
@test "a partial file can't be cut, or given room" { faults resuming ftruncate fallocate; }
@test "a partial file can't be synced" { faults resuming fsync; }
@test "a partial file can't be given its name" { faults resuming rename mkdir fchmod futimens; }
