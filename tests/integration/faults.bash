# SPDX-License-Identifier: MIT
#
# For the bats files in which system calls of the ranks are made to fail, each in turn, with each error that matters: ../faults says what must hold.

need_shim() {
    SHIM=$top_builddir/tests/integration/faults.so
    [ -e "$SHIM" ] || skip 'the shim was not built'
    command -v python3 >/dev/null || skip 'python3 is not installed'
}

# faults WHAT KIND...
faults() {
    local few=
    [ -z "${SANITIZER-}" ] || few=--few
    # shellcheck disable=SC2086
    run env XFERD="$XFERD" XFERCTL="$XFERCTL" "$top_srcdir/tests/faults" --shim "$SHIM" $few "$@"
    echo "$output"
    [ "$status" -eq 0 ]
}
