# SPDX-License-Identifier: MIT
#
# What README.md shows works as it stands there: the commands, the line with socat, the Python program. They are taken out of the file;
# only the names of files that a reader would replace are replaced.

load xferd

README=$top_srcdir/README.md

setup() {
    make_place
    mkdir "$D/bin"
    ln -s "$XFERD" "$D/bin/xferd"
    ln -s "$XFERCTL" "$D/bin/xferctl"
    make_file "$D/a.bin" 1234567
    export PATH=$D/bin:$PATH
}

teardown() { remove_place; }

# block HEADING: the code below that heading, up to the next one
block() { awk -v h="$1" '/^```/ {fenced = !fenced} /^#/ {on = ($0 == h)} on && !fenced && /^    / {print substr($0, 5)}' "$README"; }

python_program() { awk '/^```python$/ {on = 1; next} /^```$/ {on = 0} on' "$README"; }

with_real_file() { sed "s|/data/a.bin|$D/a.bin|g"; }

@test "the line with socat sends a file" {
    command -v socat >/dev/null || skip 'socat is not installed'
    start_xferd
    export XFER_SOCKET=$S
    block '### From a script' | with_real_file >"$D/line"
    grep -q socat "$D/line"
    run bash -e "$D/line"
    echo "$output"
    [ "$status" -eq 0 ]
    [ "$(jq -r '.id, .result.state, .result.dest_path' <<<"$output")" = "1
done
$ROOT/a.bin" ]
    cmp "$D/a.bin" "$ROOT/a.bin"
}

@test "the Python program sends a file and prints its digest" {
    command -v python3 >/dev/null || skip 'python3 is not installed'
    start_xferd
    export XFER_SOCKET=$S
    python_program | with_real_file >"$D/program.py"
    [ "$(wc -l <"$D/program.py")" -ge 5 ]
    run python3 "$D/program.py"
    echo "$output"
    [ "$status" -eq 0 ]
    [ "$output" = "done $(xxhsum -H2 "$D/a.bin" | cut -d' ' -f1) $ROOT/from-python/a.bin" ]
    cmp "$D/a.bin" "$ROOT/from-python/a.bin"
}

@test "the short request of the interface works with socat alone" {
    command -v socat >/dev/null || skip 'socat is not installed'
    start_xferd
    run raw '{"jsonrpc":"2.0","id":1,"method":"transfer.submit","params":{"source":"'"$D/a.bin"'"}}'
    echo "$output"
    [ "$(jq .result.job <<<"$output")" = 1 ]
    ctl wait 1
    cmp "$D/a.bin" "$ROOT/a.bin"
}

# As a user of no importance, for whom xferctl looks at the private places.
@test "the commands of 'Use it' do what is said there" {
    local as=
    export HOME=$D
    if [ "$(id -u)" -eq 0 ]; then
        command -v setpriv >/dev/null || skip 'setpriv is not installed'
        as="setpriv --reuid=65534 --regid=65534 --clear-groups --"
        chown -R 65534:65534 "$D"
        $as test -x "$XFERD" && $as test -x "$XFERCTL" || skip 'nobody cannot reach the programs'
    fi
    block '## Use it' >"$D/commands"
    grep -q '^xferd .*&$' "$D/commands"
    cd "$D"
    for name in b.bin big.img dump.gz; do
        make_file "$name" 54321
        chmod 0644 "$name"
    done

    mkdir -p project/src
    make_file project/src/a.c 1234
    make_file project/src/a.o 1234
    [ -z "$as" ] || chown -R 65534:65534 project

    eval "exec_xferd() { $(sed -n 's/^xferd \(.*\) &$/exec $as "$XFERD" \1/p' "$D/commands"); }"
    exec_xferd >>"$LOG" 2>&1 </dev/null 3>&- &
    XFERD_PID=$!
    ready() { grep -q 'ready: socket' "$LOG" || gone "$XFERD_PID"; }
    within 30 ready
    grep -q "receiving root $D/incoming" "$LOG"

    # watch and top go on until they are ended; the number of a job is that of the one before; cancel has nothing to cancel by then, nor retry to retry
    sed -n '/^xferctl/p' "$D/commands" | with_real_file |
        sed -e 's/ *#.*//' -e 's/xferctl watch/xferctl --timeout 0.3 watch || [ $? -eq 124 ]/' -e 's/\<7\>/"$JOB"/g' \
            -e 's/xferctl top$/xferctl top -n 1/' -e 's/^\(xferctl send --no-wait .*\)/JOB=$(\1)/' -e 's/xferctl \(cancel\|retry\) "$JOB"/& || [ $? -eq 1 ]/g' >"$D/script"
    cat "$D/script"
    grep -q 'JOB=' "$D/script"
    run $as env PATH="$D/bin:$PATH" bash -e "$D/script"
    echo "$output"
    [ "$status" -eq 0 ]
    [[ $output == *stored* ]]
    [ "$(grep -c '  done  ' <<<"$output")" -ge 4 ]
    cmp a.bin incoming/a.bin
    cmp a.bin incoming/results/a.bin
    cmp b.bin incoming/results/b.bin
    cmp big.img incoming/big.img
    cmp dump.gz incoming/dump.gz
    cmp project/src/a.o incoming/backup/project/src/a.o
    [ "$($as "$XFERCTL" socket)" = "$XDG_RUNTIME_DIR/xfer/control.sock" ]
}

@test "every file and directory that README.md names is there" {
    cd "$top_srcdir"
    for link in $(grep -o '](\([^)#]*\))' README.md CONTRIBUTING.md | sed 's/.*](\(.*\))/\1/' | grep -v ://); do
        [ -e "$link" ] || { echo "$link is not there"; return 1; }
    done
    for directory in $(sed -n 's/^| `\([a-z/]*\/\)` .*/\1/p' README.md); do
        [ -d "$directory" ] || { echo "$directory is not there"; return 1; }
    done
}
