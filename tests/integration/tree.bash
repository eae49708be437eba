# SPDX-License-Identifier: MIT
#
# For the bats files about trees: load it after xferd. $T is the test's own place (begin_test), the judge is ../trees/same-tree.

need_judge() {
    command -v python3 >/dev/null || skip 'python3 is not installed'
    command -v rsync >/dev/null || skip 'rsync is not installed'
}

# make_tree NAME [KIND]...: $T/NAME, of a seed that is its name; as whoever $XFERD_AS says
make_tree() {
    local name=$1
    shift
    $XFERD_AS "$top_srcdir/tests/trees/make-tree" "$name" "$T/$name" "$@" >"$T/made" 2>"$T/left-out"
}

# same [OPTION]... SOURCE DEST: DEST beneath the root is a true copy
same() {
    # shellcheck disable=SC2145
    "$top_srcdir/tests/trees/same-tree" "${@:1:$#-1}" "$ROOT/${@: -1}" >"$D/judged" || {
        cut -c 1-200 "$D/judged" | head -n 20
        return 1
    }
}

# sent ARGUMENT...: send, as xferctl ends. Sets SENT to the job, JOB to its number, PLAN to what comes behind it in a dry run.
sent() {
    local status=0
    PLAN=$(ctl --json -q send "$@") || status=$?
    SENT=$(head -n 1 <<<"$PLAN")
    PLAN=$(tail -n +2 <<<"$PLAN")
    JOB=$(jq .job <<<"$SENT")
    [ $status -eq 0 ] || jq -c . <<<"$SENT" | cut -c 1-1500
    return $status
}

# told JQ-EXPRESSION: of the job of sent()
told() { jq -r "$1" <<<"$SENT"; }

# Nothing of any file has left: what was there is counted as if it had been sent.
sent_nothing() {
    told '[.bytes_done, .bytes_resumed, .bytes_total] | join(" ")'
    [ "$(told '.bytes_done == .bytes_total and .bytes_resumed == .bytes_total and .files_done == 0')" = true ]
}

# counts TOTAL DONE SKIPPED FAILED
counts() {
    local found
    found=$(told '[.files_total, .files_done, .files_skipped, .files_failed] | join(" ")')
    echo "files: $found, wanted: $*"
    [ "$found" = "$*" ]
}

# broken ARGUMENT...: a send that leaves something out: exit 1, Incomplete
broken() {
    local status=0
    sent "$@" || status=$?
    [ $status -eq 1 ] && [ "$(told .state)" = failed ] && [ "$(told .error.data.name)" = Incomplete ]
}

# errors JOB: "NAME PATH" of each, in the order of paths
errors() { call transfer.errors "{\"job\":$1}" | jq -r '.errors[] | select(.kind == "error") | .name + " " + (.path // .path_b64)' | LC_ALL=C sort; }

# no_leftovers: no temporary at all, and of the job of sent() not even when it began, which is kept of one that failed
no_leftovers() { [ -z "$(find "$ROOT/.xfer" -type f ! -name lock \( ! -name '*-tree' -o -name "*-$JOB-tree" \))" ]; }

# all that is beneath the root, with all that a rewrite would change
snapshot() { find "$ROOT" -path "$ROOT/.xfer" -prune -o -printf '%P %y %i %s %m %U %l %T@ %C@\n' | LC_ALL=C sort; }
