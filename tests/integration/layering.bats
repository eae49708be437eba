# SPDX-License-Identifier: MIT
#
# The one-way layering, shown from the #include lines: proto <- daemon, proto <- ctl; inside the daemon
# control -> send -> link and receive -> link.

# includes WHAT PATH...: prints each include under the paths that matches WHAT, an extended regular expression for what stands
# between the quotes or brackets, from its beginning on.
includes() {
    local what=$1 path
    shift
    cd "$top_srcdir"
    for path; do
        [ -n "$(find "$path" -name '*.[ch]' -print -quit)" ] || {
            echo "$path: no sources there"
            return
        }
    done
    find "$@" -name '*.[ch]' -exec grep -HnE "^[[:space:]]*#[[:space:]]*include[[:space:]]*[<\"]($what)" {} +
}

# never WHAT PATH...: fails and tells the lines when there is such an include.
never() {
    run includes "$@"
    echo "$output"
    [ -z "$output" ]
}

@test "headers of the project are included by their path from the top" {
    run includes '' proto daemon ctl
    [ -n "$output" ]
    run grep -vE 'include[[:space:]]*(<|"(proto|daemon|ctl)/)' <<<"$output"
    echo "$output"
    [ -z "$output" ]
}

@test "no include climbs with .." {
    never '[^">]*\.\./' proto daemon ctl
}

@test "proto includes nothing of the daemon or of ctl" {
    never 'daemon/|ctl/' proto
}

@test "ctl includes nothing of the daemon" {
    never 'daemon/' ctl
}

@test "the daemon includes nothing of ctl" {
    never 'ctl/' daemon
}

@test "send includes nothing of receive or control" {
    never 'daemon/(receive|control)/' daemon/send
}

@test "receive includes nothing of send or control" {
    never 'daemon/(send|control)/' daemon/receive
}

@test "link includes nothing of control, send or receive" {
    never 'daemon/(control|send|receive)/' daemon/link
}

@test "work includes nothing of control, send, receive or link" {
    never 'daemon/(control|send|receive|link)/' daemon/work
}

@test "mpi.h is included under daemon/link alone" {
    run includes 'mpi\.h' proto daemon ctl
    run grep -v '^daemon/link/' <<<"$output"
    echo "$output"
    [ -z "$output" ]
}

@test "cJSON.h is included in proto/control_*.c alone" {
    run includes '(cjson/)?cJSON\.h' proto daemon ctl
    run grep -vE '^proto/control_[a-z0-9_]+\.c:' <<<"$output"
    echo "$output"
    [ -z "$output" ]
}

@test "sqlite3.h is included in daemon/control/queue_db*.[ch] alone, and those are no header of others" {
    run includes 'sqlite3' proto daemon ctl
    run grep -vE '^daemon/control/queue_db_[a-z]+\.[ch]:|^daemon/control/queue_db\.c:' <<<"$output"
    echo "$output"
    [ -z "$output" ]
    run includes 'queue_db_impl' proto daemon ctl
    run grep -v '^daemon/control/queue_db[a-z_]*\.[ch]:' <<<"$output"
    echo "$output"
    [ -z "$output" ]
}

@test "ev.h is included neither in proto nor in ctl" {
    never 'ev\.h|libev/' proto ctl
}

# libev.so carries functions with the names of libevent's; an Open MPI that binds to them dies in MPI_Init.

needed() {
    readelf -d "$XFERD" | sed -n 's/.*(NEEDED).*\[\(.*\)\]$/\1/p'
}

@test "xferd needs no libev.so, or libevent before it" {
    [ -x "$XFERD" ]
    run needed
    echo "$output"
    grep -q '^libmpi\.so' <<<"$output" || skip 'this MPI is not Open MPI'
    local first
    first=$(grep -m1 -E '^lib(ev|event_core[^ ]*)\.so' <<<"$output" || true)
    [ "${first#libev.so}" = "$first" ]
}

@test "xferd itself exports no function of libevent" {
    run readelf --wide --dyn-syms "$XFERD"
    [ "$status" -eq 0 ]
    run awk '$7 != "UND" && $8 ~ /^(event_|evtimer_|evsignal_|evbuffer_)/ { print $8 }' <<<"$output"
    echo "$output"
    [ -z "$output" ]
}
