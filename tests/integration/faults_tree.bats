# SPDX-License-Identifier: MIT
#
# System calls of either rank fail in the middle of a tree: what is told is true of each single entry, the rest arrives, and a retry does it all.

load faults

setup() { need_shim; }

@test "the files of a tree can't be opened where they come to" { faults --few tree open; }
@test "the files of a tree can't be written or synced" { faults --few tree write fsync; }
@test "the files of a tree can't be given their names" { faults --few tree rename link; }
@test "room, modes and times of a tree" { faults --few tree fallocate ftruncate fchmod futimens; }
@test "directories of a tree can't be made, looked at, or freed of what is not needed" { faults --few tree mkdir stat unlink; }
@test "files and directories of a tree can't be read where they come from" { faults --few tree-source; }
