# SPDX-License-Identifier: MIT
#
# What bash and zsh complete for xferctl and xferd, as somebody sees it who types a line and presses TAB (tests/integration/complete.py).
# Commands, options and settings are compared with what the programs tell of themselves, so that none is forgotten.

load xferd

setup_file() {
    share_xferd
    make_file "$D/file" 1000
    DONE=$(ctl send "$D/file" --to f && ctl --json list | jq 'select(.state == "done").job')
    DONE=${DONE##*$'\n'}
    ctl -q send "$D/none" || true
    FAILED=$(ctl --json list --state failed | jq .job)
    ctl pause
    QUEUED=$(ctl send --no-wait "$D/file" --to 'a "job":77 "state":"failed"')
    CANCELLED=$(ctl send --no-wait "$D/file")
    ctl cancel "$CANCELLED"
    export DONE FAILED QUEUED CANCELLED
}

teardown_file() {
    ctl resume
    unshare_xferd
}

setup() {
    needs_terminals
    mkdir "$D/bin" "$D/t"
    ln -s "$XFERCTL" "$D/bin/xferctl"
    ln -s "$XFERD" "$D/bin/xferd"
    cd "$D/t"
}

teardown() {
    cd /
    rm -rf "$D/bin" "$D/t"
}

# complete SHELL LINE...: the candidates, a line for each
complete() {
    local shell=$1
    shift
    command -v "$shell" >/dev/null || skip "$shell is not installed"
    printf '%s\n' "$@" | PATH=$D/bin:$PATH python3 "$top_srcdir/tests/integration/complete.py" "$shell" "$top_srcdir/completion"
}

# offers SHELL LINE CANDIDATE...: these and no others
offers() {
    local shell=$1 line=$2 found
    shift 2
    found=$(complete "$shell" "$line")
    [ "$found" = "$*" ] || {
        echo "$shell, $line: $found"
        return 1
    }
}

sorted() { tr ' ' '\n' | sed '/^$/d' | LC_ALL=C sort -u | paste -sd' '; }

# options COMMAND: as its help tells them, with a blank before each
options() { "$XFERCTL" help "$@" | sed 's/^\(.\{30\}\).*/\1/' | grep -oE '(^| )--?[a-z][a-z-]*' | sorted; }

commands() { "$XFERCTL" help | sed -n 's/^  \([a-z]*\) .*/\1/p' | sorted; }

every_command() {
    complete "$1" 'xferctl ' 'xferctl help ' >found
    [ "$(wc -w < <(commands))" -ge 15 ]
    diff found <(commands; commands)
}

every_option() {
    local command lines=()
    for command in $(commands); do lines+=("xferctl $command -"); done
    complete "$1" 'xferctl -' "${lines[@]}" >found
    { options; for command in $(commands); do options "$command"; done; } >told
    grep -qw -- --overwrite told
    diff found told
}

# Whatever has a choice of values must offer some, and all that are offered are taken.
every_value() {
    local command option value lines=() n=0
    for command in $(commands); do
        for option in $("$XFERCTL" help "$command" | sed -nE 's/^ .* (--[a-z-]+) (MODE|WHEN|STATE|LIST) .*/\1/p'); do
            lines+=("xferctl $command $option " "xferctl $command $option=")
        done
    done
    complete "$1" "${lines[@]}" >found
    for ((n = 0; n < ${#lines[@]}; n += 2)); do
        read -ra values < <(sed -n $((n + 1))p found)
        [ "${#values[@]}" -ge 2 ] || { echo "nothing for ${lines[n]}"; return 1; }
        [ "$(sed -n $((n + 1))p found)" = "$(sed -n $((n + 2))p found)" ]
        for value in "${values[@]}"; do
            read -r _ command option <<<"${lines[n]}"
            case $command in
            cancel | retry | wait) run "$XFERCTL" -s "$D/none" "$command" "$option=$value" 1 ;;
            call) run "$XFERCTL" -s "$D/none" "$command" "$option=$value" system.ping ;;
            send) run "$XFERCTL" -s "$D/none" "$command" "$option=$value" "$D/file" ;;
            watch | status | list | stats | ping | top | pause | resume | drain) run "$XFERCTL" -s "$D/none" "$command" "$option=$value" ;;
            *) continue ;;
            esac
            [ "$status" -eq 3 ] || { echo "$option=$value of $command: $output"; return 1; }
        done
    done
}

jobs_that_fit() {
    local ended failed
    ended=$(sorted <<<"$DONE $FAILED $CANCELLED $QUEUED")
    failed=$(sorted <<<"$FAILED $CANCELLED $QUEUED")
    complete "$1" "xferctl -s $S wait " "xferctl wait --socket=$S " "xferctl --socket $S cancel " "xferctl -s $S --json watch $QUEUED " \
        "xferctl -s $S status " "xferctl -s $S errors " "xferctl -s $S retry " "xferctl -s $S status 1 " "xferctl -s $S list " >found
    printf '%s\n' "$QUEUED" "$QUEUED" "$QUEUED" "$QUEUED" "$ended" "$ended" "$failed" '' '' >wanted
    diff found wanted
    XFER_SOCKET=$S offers "$1" 'xferctl wait ' "$QUEUED"
}

lists_word_by_word() {
    complete "$1" 'xferctl send --preserve mode,sp' 'xferctl send --preserve=+owner,+a' >found
    printf '%s\n' 'mode,sparse' '+owner,+acl' | diff <(sed 's/^sparse$/mode,sparse/; s/^+acl$/+owner,+acl/' found) -
}

nothing_without_a_daemon() {
    complete "$1" "xferctl -s $D/none wait " "xferctl -s $D/none retry " "xferctl -s $D/none call " "xferctl wait " >found
    [ "$(wc -l <found)" -eq 4 ]
    [ -z "$(tr -d '\n' <found)" ]
}

nothing_from_one_that_is_silent() {
    local rank0 status=0
    rank0=$(rank_pid 0)
    kill -STOP "$rank0"
    offers "$1" "xferctl -s $S wait " || status=$?
    kill -CONT "$rank0"
    return $status
}

files_for_send() {
    : >plain.txt
    mkdir plain.d
    complete "$1" 'xferctl send pl' 'xferctl send --to x --json pl' 'xferctl -s pl' 'xferctl stats --textfile pl' 'xferctl send -- -' 'xferctl ping pl' >found
    printf '%s\n' 'plain.d plain.txt' 'plain.d plain.txt' 'plain.d plain.txt' 'plain.d plain.txt' '' '' | diff <(tr -d / <found) -
}

methods_for_call() {
    offers "$1" "xferctl -s $S call " $(ctl call system.list_methods | jq -r '.methods[].name' | sorted)
    offers "$1" "xferctl -s $S call system.ping "
}

xferd_too() {
    complete "$1" 'xferd -' 'xferd -o ' 'xferd -c /et' 'xferd -o store.root=/et' >found
    "$XFERD" --help | sed -n 's/^  \(--*[a-z-]*\) .*/\1/p' | sorted >wanted
    "$XFERD" --help | sed -n 's/^  \([a-z_]*\.[a-z_]*\) .*/\1/p' | sorted >>wanted
    printf '%s\n' etc etc >>wanted
    diff <(tr -d /= <found) wanted
}

# ---- bash ----

@test "bash completes every command" {
    every_command bash
}

@test "bash completes every option of every command" {
    every_option bash
}

@test "bash completes values, and xferctl takes them" {
    every_value bash
}

@test "bash completes a list word by word" {
    lists_word_by_word bash
}

@test "bash completes jobs, those that fit" {
    jobs_that_fit bash
}

@test "bash completes no job where no daemon is, and is silent" {
    nothing_without_a_daemon bash
}

@test "bash does not wait for a daemon that does not answer" {
    nothing_from_one_that_is_silent bash
}

@test "bash completes files for send" {
    files_for_send bash
}

@test "bash completes methods for call" {
    methods_for_call bash
}

@test "bash completes options and settings of xferd" {
    xferd_too bash
}

# ---- zsh ----

@test "zsh completes every command" {
    every_command zsh
}

@test "zsh completes every option of every command" {
    every_option zsh
}

@test "zsh completes values, and xferctl takes them" {
    every_value zsh
}

@test "zsh completes a list word by word" {
    lists_word_by_word zsh
}

@test "zsh completes jobs, those that fit" {
    jobs_that_fit zsh
}

@test "zsh completes no job where no daemon is, and is silent" {
    nothing_without_a_daemon zsh
}

@test "zsh does not wait for a daemon that does not answer" {
    nothing_from_one_that_is_silent zsh
}

@test "zsh completes files for send" {
    files_for_send zsh
}

@test "zsh completes methods for call" {
    methods_for_call zsh
}

@test "zsh completes options and settings of xferd" {
    xferd_too zsh
}
