# SPDX-License-Identifier: MIT
#
# The short run of ../torture: nothing accepted is lost while everything dies. A long one is for hand: tests/torture --seconds N --seed S.

@test "nothing accepted is lost, nothing stored is wrong, nothing is left over" {
    command -v python3 >/dev/null || skip 'python3 is not installed'
    local seconds=40
    [ -z "${SANITIZER-}" ] || seconds=20
    run env XFERD="$XFERD" XFERCTL="$XFERCTL" "$top_srcdir/tests/torture" --seconds "$seconds" --seed 1 \
        --shim "$top_builddir/tests/integration/faults.so"
    echo "$output"
    [ "$status" -ne 77 ] || skip 'xxhsum is not installed'
    [ "$status" -eq 0 ]
}
