# SPDX-License-Identifier: MIT
#
# Names are bytes: whatever Linux takes as a name goes to the socket, over the link, to disk and back to the user.

load xferd

setup_file() { share_xferd; }
teardown_file() { unshare_xferd; }
setup() { begin_test; }
teardown() { end_test; }

# keeps NAME...: files of these names, sent together, arrive under them, by what is there and by the job objects
keeps() {
    local name
    for name; do
        printf 'in %s' "$name" >"$T/$name"
    done
    ctl --json send --sync=none --to there/ -- "${@/#/$T/}" >"$D/jobs"
    diff -r "$T" "$ROOT/there"
    [ "$(find "$ROOT/there" -type f -printf x | wc -c)" -eq $# ]
    diff <(told source) <(in_base64 "${@/#/$T/}")
    diff <(told dest) <(in_base64 "${@/#/there/}")
    diff <(told dest_path) <(in_base64 "${@/#/$ROOT/there/}")
    rm -r "$T" "$ROOT/there"
    mkdir "$T"
}

in_base64() { for name; do printf '%s' "$name" | base64 -w 0; echo; done; }

# told MEMBER: of all jobs, in base64, from whichever of the two forms is there
told() {
    jq -r --arg m "$1" 'if has($m) == has($m + "_b64") then "not exactly one" else .[$m + "_b64"] // (.[$m] | @base64) end' "$D/jobs"
}

# shown NAME: the escaped form in which it is printed where that isn't a terminal
shown() {
    local name=${1//\\/\\\\}
    name=${name//$'\n'/\\n}
    printf '%s' "${name//$'\r'/\\r}"
}

NAMES=('a b' ' ' '  ends with a blank ' $'tab\there' "it's" 'say "so"' '*' '?' '[a]' '$HOME' '`id`' ';' '&' '|' '<' '#' '~' '!' '%s%n' '-' '--' '-n' '--to'
    $'line\nend' $'\n' $'\r' $'cr\rlf\n' '\' 'a\nb' '\\' $'\e[31mred' $'\a\b\f\v' $'\x7f' $'\x01' '...' '..a' '.hidden' '.xfe' 'x.xfer' 'C:\x'
    'ä' 'a'$'\xcc\x88' '日本' '🎉' $'\xe2\x80\xae' $'\xc2\x85' $'\xff' $'\xfe\xff' $'caf\xe9' $'\xc0\xaf' $'\xed\xa0\x80' $'\xf4\x90\x80\x80' $'cut\xe2\x82' $'\xef\xbf\xbd')

@test "any name arrives as it is, in JSON as text or as base64" {
    keeps "${NAMES[@]}"
    still_serves
}

@test "names that are UTF-8 come as text, all others as base64" {
    : >"$T/ä"
    : >"$T/"$'\xe4'
    [ "$(ctl --json send "$T/ä" | jq -r '.dest, has("dest_b64"), has("source_b64"), has("dest_path_b64")' | xargs)" = 'ä false false false' ]
    [ "$(ctl --json send "$T/"$'\xe4' | jq -r '.dest_b64, has("dest"), has("source"), has("dest_path")' | xargs)" = '5A== false false false' ]
}

@test "every byte but '/' and NUL can be a name" {
    local i sources=()
    for i in {1..255}; do
        [ $i -ne 46 ] && [ $i -ne 47 ] || continue
        printf -v name "\\x$(printf %02x $i)"
        printf '%s' $i >"$T/$name"
        sources+=("$T/$name")
    done
    [ ${#sources[@]} -eq 253 ]
    ctl send --sync=none --to bytes/ "${sources[@]}" >/dev/null
    diff -r "$T" "$ROOT/bytes"
    still_serves
}

@test "names of 255 bytes" {
    keeps "$(printf '%0255d' 0)" "$(printf 'ä%.0s' {1..127})x" "$(printf '\xff%.0s' {1..255})" "$(printf '\n%.0s.' {1..127}):"
}

@test "directories with names of 255 bytes" {
    local long
    long=$(printf '%0255d' 0)
    echo long >"$T/f"
    ctl send "$T/f" --to "$long/$long/$long"
    cmp "$T/f" "$ROOT/$long/$long/$long"
    still_serves
}

@test "a name of 256 bytes is refused as a destination" {
    : >"$T/f"
    run ctl send "$T/f" --to "$(printf '%0256d' 0)"
    [ "$status" -eq 2 ]
    run ctl call transfer.submit "{\"source\":\"$T/f\",\"dest\":\"$(printf '%0256d' 0)\"}"
    [ "$status" -eq 1 ]
    [[ $output == *'at most 255'* ]]
    only_files
    still_serves
}

# deep DIRECTORY BYTES: a path of so many bytes, DIRECTORY included
deep() {
    local path=$1 part
    part=$(printf '%0199d' 0)
    while [ $(($2 - ${#path})) -gt 250 ]; do
        path+=/$part
    done
    printf '%s/%s' "$path" "$(printf "%0$(($2 - ${#path} - 1))d" 0)"
}

@test "a source with the longest path that Linux takes" {
    local path
    path=$(deep "$T" 4095)
    [ ${#path} -eq 4095 ]
    mkdir -p "${path%/*}"
    echo deep >"$path"
    ctl send "$path" --to f
    cmp "$path" "$ROOT/f"
    only_files f
    still_serves
}

@test "a source with a path that is too long is a usage error" {
    run ctl send "$(deep "$T" 4095)x"
    echo "$output"
    [ "$status" -eq 2 ]
    [[ $output == *'at most 4095'* ]]
    still_serves
}

@test "a destination that is as long as a path may be, beneath a root that makes it longer" {
    local path
    path=$(deep d 4095)
    [ ${#path} -eq 4095 ]
    echo deep >"$T/f"
    ctl --json send "$T/f" --to "$path" >"$T/job"
    [ "$(jq -r .dest "$T/job")" = "$path" ]
    [ "$(jq -r .dest_path "$T/job")" = "$ROOT/$path" ]
    (
        cd "$ROOT"
        while [[ $path == */* ]]; do
            cd "./${path%%/*}"
            path=${path#*/}
        done
        cmp "$T/f" "$path"
    )
    ctl send "$T/f" --to "$(deep d 4095)"
    ctl list >/dev/null
    still_serves
}

@test "a destination of more bytes than a path may have is refused" {
    local path
    path=$(deep d 4095)x
    : >"$T/f"
    run ctl send "$T/f" --to "$path"
    [ "$status" -eq 2 ]
    run ctl call transfer.submit "{\"source\":\"$T/f\",\"dest\":\"$path\"}"
    echo "$output"
    [ "$status" -eq 2 ]
    # the name of the source is what makes this one too long
    run ctl send "$T/f" --to "$(deep d 4094)/"
    [ "$status" -eq 2 ]
    only_files
    still_serves
}

@test "two thousand directories one in the other" {
    local path
    path=$(printf 'd/%.0s' {1..2000})
    echo deep >"$T/f"
    ctl send "$T/f" --to "$path"
    cmp "$T/f" "$ROOT/${path}f"
    still_serves
}

@test "names are printed as xxhsum prints them: a backslash before the line, line ends and backslashes escaped" {
    local name
    for name in plain 'a b' 'back\slash' $'line\nend' $'cr\rx' $'all\\\n\r'; do
        : >"$T/$name"
        ctl send "$T/$name" >"$D/line"
        [ "$(wc -l <"$D/line")" -eq 1 ]
        local mark=
        [ "$(shown "$name")" = "$name" ] || mark='\'
        [ "$(cat "$D/line")" = "$mark$(sed 's/^\\//' "$D/line" | cut -d ' ' -f 1)  done  0  xxh128:99aa06d3014798d86001c324468d497f  $(shown "$T/$name") -> $(hostname):$(shown "$ROOT/$name")" ]
    done
}

@test "names on stderr bring no control characters and no line ends" {
    run ctl send "$T/"$'no\e[31m\nsuch\x9b\xc2\x9b'
    printf '%q\n' "$output"
    [ "$status" -eq 5 ]
    # one line for the job on stdout, as it is; the message on stderr
    ctl send "$T/"$'no\e[31m\nsuch\x9b\xc2\x9b' 2>"$D/err" >/dev/null || true
    [ "$(wc -l <"$D/err")" -eq 1 ]
    [ "$(LC_ALL=C tr -d '\n\040-\176' <"$D/err" | wc -c)" -eq 0 ]
    grep -qF 'no\x1b[31m\nsuch\x9b\xc2\x9b' "$D/err"
}

@test "an error tells a path that is not UTF-8 in base64" {
    run ctl --json send "$T/"$'gone\xff'
    [ "$status" -eq 5 ]
    [ "$(jq -r '.error.data | .path_b64, has("path")' <<<"$output" | xargs)" = "$(printf '%s/gone\xff' "$T" | base64 -w 0) false" ]
    [ "$(jq -r '.error.data.name, .error.data.side, .exit_code' <<<"$output" | xargs)" = 'NoSuchFile sender 5' ]
}

@test "the socket takes any name in base64" {
    printf x >"$T/"$'\xff\n'
    run raw "{\"id\":1,\"method\":\"transfer.submit\",\"params\":{\"source_b64\":\"$(printf '%s/\xff\n' "$T" | base64 -w 0)\",\"dest_b64\":\"$(printf 'd\xfe/' | base64)\",\"wait\":true}}"
    [ "$(jq -r .result.state <<<"$output")" = done ]
    cmp "$T/"$'\xff\n' "$ROOT/"$'d\xfe/\xff\n'
    still_serves
}

@test "list, status and wait tell the same name" {
    local name=$'\\ \xff\n🎉' job
    : >"$T/$name"
    job=$(ctl send --no-wait "$T/$name")
    ctl --json wait "$job" >"$D/jobs"
    ctl --json status "$job" >>"$D/jobs"
    ctl --json list | jq -c "select(.job == $job)" >>"$D/jobs"
    diff <(told dest) <(in_base64 "$name" "$name" "$name")
    ctl list >/dev/null
    ctl status "$job" >/dev/null
}

@test "a name that begins with .xfer is refused unless another is given" {
    local name
    for name in .xfer .xferx .xfer-1-0.0; do
        : >"$T/$name"
        run ctl send "$T/$name"
        echo "$output"
        [ "$status" -eq 2 ]
        run call transfer.submit "{\"source\":\"$T/$name\"}"
        [ "$status" -eq 2 ]
        ctl send "$T/$name" --to "to$name"
        [ -e "$ROOT/to$name" ]
    done
    only_files to.xfer to.xferx to.xfer-1-0.0
    still_serves
}
