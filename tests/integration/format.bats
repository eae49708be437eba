# SPDX-License-Identifier: MIT

@test "clang-format finds nothing to change" {
    command -v clang-format >/dev/null || skip 'clang-format is not installed'
    # What .clang-format means differs from version to version.
    local version
    version=$(clang-format --version | sed -n 's/.*version \([0-9]*\)\..*/\1/p')
    [ "$version" = 14 ] || skip "clang-format 14 is the measure, here is $version"

    cd "$top_srcdir"
    local files
    files=$(git ls-files -- '*.[ch]' 2>/dev/null || true)
    [ -n "$files" ] || files=$(find proto daemon ctl tests -name '*.[ch]' | sort)
    [ -n "$files" ]
    run xargs clang-format --style=file --dry-run -Werror --ferror-limit=1 <<<"$files"
    echo "$output"
    [ "$status" -eq 0 ]
}
