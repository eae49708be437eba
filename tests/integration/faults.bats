# SPDX-License-Identifier: MIT
#
# System calls of the receiving rank fail while files come: what is told is true, nothing half is under a name, and a retry does it.

load faults

setup() { need_shim; }

@test "files can't be opened" { faults receiving open; }
@test "what comes can't be written" { faults receiving write; }
@test "a sync fails" { faults receiving fsync; }
@test "a file can't be given its name" { faults receiving rename link; }
@test "room can't be reserved" { faults receiving fallocate; }
@test "mode and time can't be set" { faults receiving fchmod futimens; }
@test "directories can't be made" { faults receiving mkdir; }
@test "what is not needed any more can't be removed" { faults receiving unlink; }
