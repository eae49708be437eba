# SPDX-License-Identifier: MIT
#
# The man pages: their form, and that xfer-protocol(7) tells all that there is on the socket. conffile.bats looks at the keys of xferd.conf(5).

load xferd

pages() { echo "$top_srcdir"/ctl/*.1 "$top_srcdir"/daemon/*.[58] "$top_builddir"/proto/xfer-protocol.7; }
protocol=$top_builddir/proto/xfer-protocol.7

setup_file() { share_xferd; }
teardown_file() { unshare_xferd; }
setup() { begin_test; }
teardown() { end_test; check_shared; }

@test "man has nothing to say about the man pages" {
    command -v man >/dev/null || skip 'man is not installed'
    local page
    for page in $(pages); do
        run env MANWIDTH=80 bash -c 'man -l --warnings -Tutf8 "$1" 2>&1 >/dev/null' man "$page"
        echo "$page: $output"
        [ "$status" -eq 0 ] && [ -z "$output" ]
    done
}

@test "mandoc has nothing to say about the man pages" {
    command -v mandoc >/dev/null || skip 'mandoc is not installed'
    run mandoc -T lint -W warning $(pages)
    echo "$output"
    [ "$status" -eq 0 ]
    [ -z "$output" ]
}

@test "pages that refer to each other are there" {
    local page name section
    for page in $(pages); do
        while read -r name section; do
            case $name in
            xfer*) ls "$top_srcdir"/*/"$name.$section" "$top_builddir"/*/"$name.$section" 2>/dev/null | grep -q . ;;
            esac || { echo "$page: $name($section)"; return 1; }
        done < <(sed -n 's/^\.Xr \([^ ]*\) \([0-9]\).*/\1 \2/p' "$page")
    done
}

@test "every section of PROTOCOL.md about the socket is in xfer-protocol(7), and no mark of Markdown is left" {
    sed -n '/^# The control socket/,$ s/^##* //p' "$top_srcdir/proto/PROTOCOL.md" | sed 1d |
        sed 's/^Errors$/Error objects/' >"$T/wanted"
    sed -n -E 's/^\.S[hs] "?([^"]*)"?$/\1/p' "$protocol" >"$T/there"
    while read -r title; do
        grep -qixF "$title" "$T/there" || { echo "missing: $title"; return 1; }
    done <"$T/wanted"
    run grep -nE '`|\*\*[^p]|^\||^#|\]\(' "$protocol"
    echo "$output"
    [ "$status" -eq 1 ]
}

# items: the options that the page has an entry for; those of commands stand in their headings
items() { sed -n 's/^\.It //p' "$1" | sed 's/ , -/ , Fl -/; s/Fl -/Fl --/g; s/Fl \([A-Za-z]\)/Fl -\1/g' | grep -oE 'Fl --?[a-z-]+' | sed 's/Fl //' | LC_ALL=C sort -u; }

@test "xferctl(1) has every command and every option, and no others" {
    local command page=$top_srcdir/ctl/xferctl.1 commands
    commands=$("$XFERCTL" help | sed -n 's/^  \([a-z]*\) .*/\1/p')
    [ "$(wc -w <<<"$commands")" -ge 15 ]
    diff <(LC_ALL=C sort <<<"$commands") \
        <(awk '/^\.Sh / { on = $2 == "COMMANDS" } /^\.Bl/ { deep++ } /^\.El/ { deep-- } on && deep == 1 && /^\.It Cm/ { print $3 }' "$page" | LC_ALL=C sort)
    for command in '' $commands; do
        # shellcheck disable=SC2086
        "$XFERCTL" help $command | sed 's/^\(.\{30\}\).*/\1/' | grep -oE '(^| )--?[a-z][a-z-]*' | tr -d ' '
    done | LC_ALL=C sort -u >"$T/wanted"
    [ "$(wc -l <"$T/wanted")" -ge 30 ]
    diff "$T/wanted" <(items "$page")
}

@test "xferd(8) has every option, and no others" {
    { "$XFERD" --help | sed -n 's/^  \(--*[a-z-]*\) .*/\1/p'; echo -h; } | LC_ALL=C sort -u >"$T/wanted"
    sed -n '/^The options are:/,/^\.Sh /p' "$top_srcdir/daemon/xferd.8" >"$T/part"
    diff "$T/wanted" <(items "$T/part")
}

# words: what stands in the font of code, one word a line
words() { sed 's/\\-/-/g; s/\\%//g' "$protocol" | grep -oE '\\fB[^\\]*\\fR' | sed 's/\\fB//; s/\\fR//' | grep -oE '[A-Za-z0-9_.]+' | sort -u; }

# all_there LIST: each line of the list is one of words()
all_there() {
    words >"$T/words"
    run comm -23 <(sort -u "$1") "$T/words"
    echo "$output"
    [ -s "$1" ] && [ -z "$output" ]
}

@test "xfer-protocol(7) has every method and every parameter that the daemon tells of" {
    local method
    call system.list_methods | jq -r '.methods[].name' >"$T/list"
    for method in $(cat "$T/list"); do
        call system.describe "{\"method\":\"$method\"}" | jq -r '.params[].name'
    done >"$T/params"
    cat "$T/params" >>"$T/list"
    all_there "$T/list"
}

@test "xfer-protocol(7) has every error, with its number and its exit code" {
    sed -n -E '/^The names, their numbers/,$ s/^\| `([A-Za-z]+)` \| (-[0-9]+) \| ([0-9]+) \|.*/\1 \2 \3/p' "$top_srcdir/proto/PROTOCOL.md" \
        >"$T/table"
    [ "$(wc -l <"$T/table")" -ge 30 ]
    while read -r name code exit_code; do
        grep -A 1 -F "\\fB\\%$name\\fR\"" "$protocol" | sed 's/\\//g' | grep -q "^code $code, exit $exit_code," ||
            { echo "$name"; return 1; }
    done <"$T/table"
}

@test "xfer-protocol(7) has every member of what the daemon sends" {
    make_file "$T/f" 100
    ctl send "$T/f"
    { call system.hello; call system.stats; call transfer.list; } | jq -r '[paths | map(select(type == "string")) | last] | unique[]' >"$T/list"
    all_there "$T/list"
}

# ---- its examples --------------------------------------------------------------------------------

# example N: the N-th block of code below EXAMPLES, with a real file and the socket under test
example() {
    awk -v n="$1" '/^\.Sh / { on = $2 == "EXAMPLES" } !on { next } /^\.Bd/ { block++; next } /^\.Ed/ { if (block == n) exit; next }
        block == n' "$protocol" |
        sed -e 's/\\e/\\/g' -e 's/\\-/-/g' -e "s|/data/a.bin|$T/a.bin|; s|/home/me/private.dat|$T/a.bin|; s|/run/xfer/control.sock|$S|"
}

with_xferctl() {
    mkdir "$T/bin"
    ln -s "$XFERCTL" "$T/bin/xferctl"
    export PATH=$T/bin:$PATH XFER_SOCKET=$S
    make_file "$T/a.bin" 300000
}

@test "the example for a shell works" {
    command -v socat >/dev/null || skip 'socat is not installed'
    with_xferctl
    example 1 >"$T/script"
    cat "$T/script"
    run sh -eu "$T/script"
    echo "$output"
    [ "$(jq -r .result.state <<<"$output")" = "done" ]
    cmp "$T/a.bin" "$ROOT/a.bin"
}

@test "the example that follows a job works" {
    command -v python3 >/dev/null || skip 'python3 is not installed'
    with_xferctl
    example 2 >"$T/script"
    cat "$T/script"
    run python3 "$T/script"
    echo "$output"
    [ "$status" -eq 0 ]
    [ "${lines[-1]}" = 'done 300000' ]
    cmp "$T/a.bin" "$ROOT/a.bin"
}

@test "the example that passes a descriptor works" {
    command -v python3 >/dev/null || skip 'python3 is not installed'
    call system.hello | jq -e '.features | index("submit.source_fd")' || skip 'this daemon takes no descriptors'
    with_xferctl
    example 3 >"$T/script"
    cat "$T/script"
    run python3 "$T/script"
    echo "$output"
    [ "$status" -eq 0 ]
    [[ $output == *"'state': 'done'"* ]]
    cmp "$T/a.bin" "$ROOT/a.bin"
}
