#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Sends files and checks what has come of them, with nothing but sh, socat, jq and xxhsum:
#
#     send.sh FILE...
#
# All requests go over one connection at once, each with an id of its own: its place among the arguments. The answers come in
# the order in which the jobs end. Names go in base64, which holds for any name; a client that knows its names to be UTF-8 may
# say "source" in place of "source_b64".
#
# Exit status: 0 when all files are stored and their digests are those of the files here, else 1.
set -eu

if [ $# -eq 0 ]; then
    echo "usage: ${0##*/} FILE..." >&2
    exit 2
fi
socket=${XFER_SOCKET:-$(xferctl socket)}

requests() {
    id=0
    for file; do
        id=$((id + 1))
        path=$(realpath -s -- "$file" && echo .) # the dot keeps line ends at the end of a name
        printf '{"jsonrpc":"2.0","id":%d,"method":"transfer.submit","params":{"source_b64":"%s","wait":true}}\n' \
            "$id" "$(printf %s "${path%??}" | base64 -w 0)"
    done
}

# The end of our input is no end of the jobs: the daemon answers what it owes, then closes. It may take a day.
answers=$(requests "$@" | socat -t 86400 - "UNIX-CONNECT:$socket" |
    jq -r '[.id, .result.job // "-", .result.state // "refused", .result.digest.value // "-",
            (.result // .).error.message // ""] | join(" ")')

status=0
seen=0
while read -r id job state digest message; do
    [ -n "$id" ] || continue
    seen=$((seen + 1))
    eval "file=\${$id}"
    if [ "$state" != "done" ]; then
        echo "$file: $state: $message" >&2
        status=1
    elif [ "$digest" != "$(xxhsum -H2 <"$file" | cut -d ' ' -f 1)" ]; then
        echo "$file: is not what was sent: it has changed since" >&2
        status=1
    else
        echo "$job $digest $file"
    fi
done <<END
$answers
END

if [ "$seen" -ne $# ]; then
    echo "${0##*/}: the connection broke; $(($# - seen)) files without an answer" >&2
    exit 1
fi
exit "$status"
