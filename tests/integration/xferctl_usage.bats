# SPDX-License-Identifier: MIT
#
# What xferctl does where there is no daemon: its command line, the places where it looks, its help.

setup() {
    home=$(mktemp -d)
    export XDG_RUNTIME_DIR=$home/runtime
    mkdir -m 0700 "$XDG_RUNTIME_DIR"
    unset XFER_SOCKET
    none=$home/none.sock
}

teardown() {
    rm -rf "$home"
}

# usage TEXT ARGUMENT...: exit 2, and a message on stderr with that text, before any socket is looked for.
usage() {
    local text=$1
    shift
    run "$XFERCTL" -s "$none" "$@"
    echo "$output"
    [ "$status" -eq 2 ]
    [[ $output == "xferctl: "*"$text"* ]]
    [[ $output != *"$none"* ]]
}

# stale_socket PATH: a stale socket there.
stale_socket() {
    socat -u UNIX-LISTEN:"$1" - </dev/null >/dev/null 2>&1 &
    local pid=$!
    until [ -S "$1" ]; do
        kill -0 $pid
        sleep 0.01
    done
    kill -KILL $pid
    wait $pid || true
    [ -S "$1" ]
}

as_nobody() {
    setpriv --reuid=65534 --regid=65534 --clear-groups -- "$@"
}

@test "no command is a usage error" {
    usage 'no command'
}

@test "an unknown command is a usage error" {
    usage "unknown command 'fly'" fly
}

@test "an unknown option is a usage error" {
    usage "unknown option '--fast'" send --fast a
    usage "unknown option '-x'" -x status
    usage "unknown option '--fast'" stats --fast
    usage "unknown option '--to'" list --to x
    usage "unknown option '--key'" wait --key k 1
    usage "unknown option '--retries'" retry --retries 1 1
}

@test "an option that lacks its value is a usage error" {
    usage "needs a value" send a --to
    usage "needs a value" status -s
    usage "needs a value" send a --key
    usage "needs a value" send a --retries
}

@test "an option that takes no value refuses one" {
    usage "takes no value" send --no-wait=yes a
}

@test "a command without the arguments that it needs is a usage error" {
    for command in send wait cancel retry call; do
        usage 'usage: xferctl' $command
    done
    usage 'send: no source given' send
    usage 'wait: no job given' wait
    usage 'cancel: no job given' cancel
    usage 'retry: no job given' retry
    usage 'call: no method given' call
}

@test "a command with arguments that it does not take is a usage error" {
    usage 'unexpected argument' list a
    usage 'unexpected argument' status 1 2
    usage 'unexpected argument' pause 1
    usage 'unexpected argument' resume all
    usage 'unexpected argument' drain 5min
    usage 'unexpected argument' call a '{}' b
}

@test "jobs are positive numbers" {
    for job in 0 1x x 1.5 +1 ' 1' '' 9007199254740993 99999999999999999999; do
        usage 'positive' wait "$job"
        usage 'positive' cancel "$job"
        usage 'positive' retry "$job"
        usage 'positive' status "$job"
        usage 'positive' watch "$job"
    done
    usage 'positive' wait -- -1
}

@test "durations are checked" {
    for duration in x 1y -1 '' 1e999 nan; do
        usage '--timeout' status --timeout "$duration"
    done
    for duration in 10 10s 500ms 5min 1h 2d 0.5; do
        run "$XFERCTL" -s "$none" status --timeout "$duration"
        [ "$status" -eq 3 ]
    done
}

@test "too long a duration is told as that" {
    for duration in 9000d 99999999999999d 99999999999999999999999; do
        usage 'longer than ten years' status --timeout "$duration"
    done
}

@test "the values of send's options are checked" {
    usage "--overwrite is replace, never, changed or newer, not 'older'" send --overwrite=older a
    usage '--overwrite' send --overwrite=REPLACE a
    usage '--sync' send --sync=all a
    usage '--priority' send --priority=101 a
    usage '--priority' send --priority -101 a
    usage '--priority' send --priority=1.5 a
    usage '--to' send --to= a
    for retries in -1 1000001 1.5 '' x 3x ' 3'; do
        usage '--retries' send --retries="$retries" a
    done
}

@test "--preserve is a list of what there is to preserve" {
    for list in colour mode,colour mode, ,mode '' none,mode +none all,none 'mode, times' MODE; do
        usage '--preserve' send --preserve="$list" a
    done
    for list in none all mode times,owner +xattr +acl,+links sparse,sparse all,mode; do
        run "$XFERCTL" -s "$none" send --preserve="$list" a
        echo "$output"
        [ "$status" -eq 3 ]
    done
}

@test "--checksum goes with --overwrite=changed" {
    usage '--checksum goes with --overwrite=changed' send --checksum a
    for mode in replace never newer; do
        usage '--checksum goes with --overwrite=changed' send --checksum --overwrite=$mode a
    done
    run "$XFERCTL" -s "$none" send --checksum --overwrite=changed a
    [ "$status" -eq 3 ]
}

@test "of rsync's rules what is not known is refused" {
    local pattern
    usage 'has no pattern' send --exclude= a
    usage "'[' without ']'" send --include='[a' a
    usage 'is a pattern, not a rule' send --exclude '!' a
    usage 'is a pattern, not a rule' send --include '- *.o' a
    usage 'is a pattern, not a rule' send --exclude '+ *.o' a
    usage '' send --exclude="$(printf '%070000d' 0)" a
    local -a many=()
    for ((i = 0; i < 1001; i++)); do many+=(--exclude "$i"); done
    usage '' send "${many[@]}" a
    for pattern in '*.o' '/build/' '**/tmp/**' '?[a-c]' '[!a]' a/b/ "it's"; do
        run "$XFERCTL" -s "$none" send --exclude "$pattern" --include "$pattern" a
        echo "$output"
        [ "$status" -eq 3 ]
    done
}

@test "options of trees that take no value refuse one" {
    for option in checksum one-file-system dry-run; do usage "option '--$option' takes no value" send --$option=yes a; done
}

@test "errors and plan are about one job" {
    for command in errors plan; do
        usage "$command: no job given" $command
        usage 'unexpected argument' $command 1 2
        usage 'positive' $command x
    done
}

@test "a key has 1 to 255 bytes of UTF-8" {
    usage '--key' send --key= a
    usage '--key' send --key="$(printf '%0256d' 0)" a
    usage '--key' send --key=$'\xff' a
    for key in k "$(printf '%0255d' 0)" $'n\xc3\xa4chtlich 7'; do
        run "$XFERCTL" -s "$none" send --key "$key" a
        echo "$output"
        [ "$status" -eq 3 ]
    done
}

@test "a key is for one source" {
    usage '--key is for one source' send --key k a b
}

@test "the values of list's options are checked" {
    usage '--state' list --state=late
    usage '--limit' list --limit=-1
    usage '--limit' list --limit=1000000
    usage '--since' list --since=yesterday
    usage '--user' list --user=
}

@test "the values of top's options are checked" {
    for value in 0 10ms 2d soon -1; do usage --interval top --interval "$value"; done
    for value in 0 -1 1.5 many 1000000001 99999999999999999999; do usage '--iterations is a number' top -n "$value"; done
}

@test "--color is auto, always or never" {
    usage '--color' --color=sometimes status
    for when in auto always never; do
        run "$XFERCTL" --color=$when version
        [ "$status" -eq 0 ]
    done
}

@test "an empty source is a usage error" {
    usage 'empty' send ''
}

@test "a source without a name is a usage error" {
    usage 'no name' send /
}

@test "a destination that leads out of the root is a usage error" {
    for dest in /etc/x ../x a/../../x a/.. .xfer/x a/.xfer-1/x; do
        usage '' send a --to "$dest"
    done
}

@test "a destination with too long a name is a usage error" {
    usage '' send a --to "$(printf '%0256d' 0)"
}

@test "several sources need a destination that ends in a slash" {
    usage "must end in '/'" send a b --to c
    run "$XFERCTL" -s "$none" send a b --to c/
    [ "$status" -eq 3 ]
}

@test "two sources with one name are a usage error" {
    usage 'would both become' send a dir/a
    usage 'would both become' send a a
    usage 'would both become' send a dir/a/ --to x/
}

@test "names that begin with a dash may follow --" {
    usage 'unknown option' send -a
    run "$XFERCTL" -s "$none" send -- -a --to
    echo "$output"
    [ "$status" -eq 3 ]
}

@test "options may stand before and after the command" {
    run "$XFERCTL" status -s "$none"
    [ "$status" -eq 3 ]
    [[ $output == *"$none"* ]]
    run "$XFERCTL" --socket="$none" status
    [ "$status" -eq 3 ]
    run "$XFERCTL" -qs"$none" status
    [ "$status" -eq 3 ]
    [[ $output == *"$none"* ]]
}

@test "a usage error with --json is an object on stdout" {
    run "$XFERCTL" --json wait x 2>/dev/null
    [ "$status" -eq 2 ]
    [ "$(jq -r '.error.data.name, .exit_code' <<<"$output")" = $'Usage\n2' ]
}

@test "no daemon at a given socket: exit 3, the socket is named" {
    run "$XFERCTL" -s "$none" status
    [ "$status" -eq 3 ]
    [[ $output == *"$none"* ]]
    XFER_SOCKET=$none run "$XFERCTL" send a
    [ "$status" -eq 3 ]
    [[ $output == *"$none"* ]]
}

@test "no daemon with --json is an object on stdout" {
    run "$XFERCTL" -s "$none" --json list
    [ "$status" -eq 3 ]
    [ "$(jq -r '.error.data.name, .exit_code' <<<"$output")" = $'NoDaemon\n3' ]
}

@test "a stale socket is no daemon" {
    stale_socket "$home/stale.sock"
    for command in status list 'send a' 'wait 1' 'cancel 1' 'retry 1' pause resume drain 'watch' 'ping' 'stats' 'call system.ping'; do
        run "$XFERCTL" -s "$home/stale.sock" $command
        echo "$output"
        [ "$status" -eq 3 ]
        [[ $output == *"$home/stale.sock"* ]]
    done
}

@test "where there is no daemon, nothing is said of the jobs" {
    for command in 'wait 1' 'cancel 1 2' 'retry 1 2' 'watch 1' 'send a' 'send --key k a' drain; do
        run "$XFERCTL" -s "$none" $command
        echo "$output"
        [ "$status" -eq 3 ]
        [ "$output" = "xferctl: no daemon at $none: No such file or directory" ]
    done
}

@test "a path that is no socket is told as what it is" {
    touch "$home/file"
    chmod 0777 "$home/file"
    run "$XFERCTL" -s "$home" status
    echo "$output"
    [ "$status" -eq 3 ]
    [ "$output" = "xferctl: $home: is a directory, not a socket" ]
    run "$XFERCTL" -s "$home/file" status
    echo "$output"
    [ "$status" -eq 3 ]
    [ "$output" = "xferctl: $home/file: is no socket" ]
}

@test "a socket that was named is the only one that is spoken of" {
    stale_socket "$home/stale.sock"
    run "$XFERCTL" -s "$home/stale.sock" status
    [ "$output" = "xferctl: $home/stale.sock: no daemon listens there" ]
}

@test "when nobody listens at the socket that was found, the others there are are named" {
    [ "$(id -u)" -eq 0 ] || skip 'not root'
    local uid=64996 as
    as="setpriv --reuid=$uid --regid=$uid --clear-groups --"
    $as test -x "$XFERCTL" || skip 'another user cannot reach the program'
    chmod 0755 "$home"
    mkdir "$XDG_RUNTIME_DIR/xfer"
    mkdir -m 0700 /tmp/xfer-$uid || skip 'a private daemon is here'
    stale_socket "$XDG_RUNTIME_DIR/xfer/control.sock"
    stale_socket /tmp/xfer-$uid/control.sock
    chown -R $uid:$uid "$XDG_RUNTIME_DIR" /tmp/xfer-$uid
    run $as "$XFERCTL" status
    rm -r /tmp/xfer-$uid
    echo "$output"
    [ "$status" -eq 3 ]
    [[ $output == *"$XDG_RUNTIME_DIR/xfer/control.sock: no daemon listens there; there is also /tmp/xfer-$uid/control.sock"* ]]
    [[ $output == *'-s PATH or XFER_SOCKET'* ]]
}

@test "who may not connect is told which group may" {
    [ "$(id -u)" -eq 0 ] || skip 'not root'
    as_nobody test -x "$XFERCTL" || skip 'nobody cannot reach the program'
    local group
    group=$(id -gn)
    chmod 0755 "$home"
    stale_socket "$home/stale.sock"
    chmod 0660 "$home/stale.sock"
    run as_nobody "$XFERCTL" -s "$home/stale.sock" status
    echo "$output"
    [ "$status" -eq 4 ]
    [[ $output == *"Permission denied; members of group $group may connect" ]]
    chmod 0600 "$home/stale.sock"
    run as_nobody "$XFERCTL" -s "$home/stale.sock" status
    [ "$status" -eq 4 ]
    [[ $output != *'members of'* ]]
}

@test "ping with --timeout ends with 124 when none comes" {
    run "$XFERCTL" -s "$none" ping --timeout 0.2
    [ "$status" -eq 124 ]
}

@test "a path that is too long for a socket is a usage error" {
    run "$XFERCTL" -s "/tmp/$(printf '%0200d' 0)" status
    [ "$status" -eq 2 ]
}

@test "-s goes before XFER_SOCKET" {
    XFER_SOCKET=/other run "$XFERCTL" -s "$none" socket
    [ "$status" -eq 0 ]
    [ "$output" = "$none" ]
    XFER_SOCKET=/other run "$XFERCTL" socket
    [ "$output" = /other ]
}

@test "root looks at the service's socket alone" {
    [ "$(id -u)" -eq 0 ] || skip 'not root'
    [ ! -e /run/xfer/control.sock ] || skip 'a service is here'
    run "$XFERCTL" socket
    [ "$status" -eq 3 ]
    [[ $output == *"/run/xfer/control.sock"* ]]
    [[ $output != *"$XDG_RUNTIME_DIR"* ]]
}

@test "without a daemon all places that were tried are named" {
    [ ! -e /run/xfer/control.sock ] || skip 'a service is here'
    local uid=$(id -u) as=
    if [ "$uid" -eq 0 ]; then
        uid=65534
        as=as_nobody
        as_nobody test -x "$XFERCTL" || skip 'nobody cannot reach the program'
    fi
    [ ! -e "/tmp/xfer-$uid" ] && [ ! -e "/run/user/$uid/xfer" ] || skip 'a private daemon is here'
    run $as "$XFERCTL" status
    echo "$output"
    [ "$status" -eq 3 ]
    for place in "$XDG_RUNTIME_DIR/xfer" "/run/user/$uid/xfer" "/tmp/xfer-$uid" /run/xfer; do
        [[ $output == *"$place/control.sock"* ]]
    done
}

@test "a private socket of one's own is found" {
    local as=
    mkdir -m 0700 "$XDG_RUNTIME_DIR/xfer"
    stale_socket "$XDG_RUNTIME_DIR/xfer/control.sock"
    if [ "$(id -u)" -eq 0 ]; then
        as=as_nobody
        as_nobody test -x "$XFERCTL" || skip 'nobody cannot reach the program'
        chmod 0755 "$home"
        chown -R 65534:65534 "$XDG_RUNTIME_DIR"
    fi
    run $as "$XFERCTL" socket
    echo "$output"
    [ "$status" -eq 0 ]
    [ "$output" = "$XDG_RUNTIME_DIR/xfer/control.sock" ]
}

@test "a private socket of somebody else is not used" {
    [ "$(id -u)" -eq 0 ] || skip 'not root'
    [ ! -e /run/xfer/control.sock ] || skip 'a service is here'
    as_nobody test -x "$XFERCTL" || skip 'nobody cannot reach the program'
    mkdir -m 0755 "$XDG_RUNTIME_DIR/xfer"
    stale_socket "$XDG_RUNTIME_DIR/xfer/control.sock"
    chmod 0755 "$home" "$XDG_RUNTIME_DIR"
    chown -R 1:1 "$XDG_RUNTIME_DIR"
    run as_nobody "$XFERCTL" socket
    echo "$output"
    [ "$status" -eq 3 ]
    [[ $output == *'belongs to another user'* ]]
}

@test "help names every command, on stdout" {
    for way in help --help -h; do
        run "$XFERCTL" $way
        [ "$status" -eq 0 ]
        for command in send status list errors plan wait watch cancel retry pause resume drain ping stats call socket version help; do
            grep -q "^  $command" <<<"$output"
        done
    done
}

@test "every command tells its own help" {
    for command in send status list errors plan wait watch cancel retry pause resume drain ping stats call socket version help; do
        run "$XFERCTL" help $command
        [ "$status" -eq 0 ]
        [[ $output == "usage: xferctl $command"* ]]
        local help=$output
        run "$XFERCTL" $command --help
        [ "$status" -eq 0 ]
        [ "$output" = "$help" ]
    done
    run "$XFERCTL" help fly
    [ "$status" -eq 2 ]
}

@test "every option in help is in the man page" {
    run "$XFERCTL" help
    local options=$output command option
    for command in send list stats top; do
        options+=$("$XFERCTL" help $command)
    done
    for option in $(grep -o -- '--[a-z-]*' <<<"$options" | sort -u); do
        grep -qE -- "Fl (. , )?-${option#--}( |$)" "$top_srcdir/ctl/xferctl.1" || {
            echo "$option is not in xferctl.1"
            return 1
        }
    done
}

@test "version is the same by command and by option" {
    run "$XFERCTL" version
    [ "$status" -eq 0 ]
    [[ $output =~ ^xferctl\ [0-9]+\.[0-9]+ ]]
    local version=$output
    run "$XFERCTL" --version
    [ "$output" = "$version" ]
    run "$XFERCTL" --json version
    [ "xferctl $(jq -r .version <<<"$output")" = "$version" ]
}

@test "output that cannot be written is an error" {
    for command in help version; do
        run bash -c '"$XFERCTL" '$command' >/dev/full'
        echo "$output"
        [ "$status" -eq 1 ]
        [[ $output == *'standard output: No space left'* ]]
    done
}

@test "a closed standard output is an error" {
    run bash -c '"$XFERCTL" version >&-'
    echo "$output"
    [ "$status" -eq 1 ]
    [[ $output == *'standard output'* ]]
}

@test "messages to a pipe have no colour, --color=always or not" {
    run "$XFERCTL" -s "$none" --color=always status
    [[ $output != *$'\e'* ]]
}

@test "the man page is without warnings" {
    command -v groff >/dev/null || skip 'groff is not installed'
    run groff -ww -mdoc -Tutf8 -z "$top_srcdir/ctl/xferctl.1"
    echo "$output"
    [ -z "$output" ]
}
