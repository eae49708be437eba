# SPDX-License-Identifier: MIT
#
# Cancelling: before the job runs, in the middle, too late, again, together. Whatever is cancelled leaves nothing behind.

load xferd

setup_file() {
    share_xferd
    make_file "$D/f" 3000000
    ctl send "$D/f" >/dev/null
    rm "$ROOT/f"
    DESCRIPTORS=$(descriptors)
    export DESCRIPTORS
}
teardown_file() { unshare_xferd; }

setup() {
    begin_test
    make_file "$T/large" 16777216
    echo small >"$T/small"
}
teardown() { end_test; }

# cancelled JOB: its state, its error and the exit code of whoever waits for it say so
cancelled() { fails 10 Cancelled wait "$1" && [ "$(job_field "$1" .state)" = cancelled ]; }

# cancel_stalled [JOB]...: begin_stalled's job and these, which end only when the other rank goes on. It does when all have been asked for.
cancel_stalled() {
    py "$RANK1" "$JOB" "$@" <<'END'
rank1, jobs = int(sys.argv[1]), [int(job) for job in sys.argv[2:]]
with Client() as c:
    try:
        c.say(*({"id": job, "method": "transfer.cancel", "params": {"job": job}} for job in jobs), {"id": "taken", "method": "system.hello"})
        replies = [c.reply()]
        while replies[-1]["id"] != "taken":
            replies.append(c.reply())
    finally:
        os.kill(rank1, signal.SIGCONT)
    replies += [c.reply() for _ in range(len(jobs) + 1 - len(replies))]
    for reply in replies:
        equal(reply["result"].get("state", "cancelled"), "cancelled", reply)
END
}

@test "a job that waits for another one is cancelled at once" {
    local second
    begin_stalled "$T/large" --to same
    second=$(ctl send --no-wait "$T/small" --to same)
    job_is "$second" queued
    # rank 1 stands still: it isn't needed for this
    ctl cancel "$second"
    cancelled "$second"
    [ "$(job_field "$second" .attempts)" -eq 0 ]
    kill -CONT "$RANK1"
    ctl wait "$JOB"
    cmp "$T/large" "$ROOT/same"
    only_files same
    still_serves
}

@test "those that wait behind a cancelled one run" {
    local second third
    begin_stalled "$T/large" --to same
    second=$(ctl send --no-wait "$T/large" --to same)
    third=$(ctl send --no-wait "$T/small" --to same)
    ctl cancel "$second"
    job_is "$third" queued
    kill -CONT "$RANK1"
    ctl wait "$JOB" "$third"
    cmp "$T/small" "$ROOT/same"
    cancelled "$second"
    only_files same
}

@test "a job that is being sent is cancelled and leaves nothing" {
    begin_stalled "$T/large" --to a/b/large
    cancel_stalled
    cancelled "$JOB"
    only_files
    still_serves
}

@test "a job of which a part was stored is cancelled and leaves nothing" {
    truncate -s 800M "$T/f"
    begin_halfway "$T/f" --to a/b/f
    cancel_stalled
    cancelled "$JOB"
    only_files
    still_serves
}

@test "cancelled in the middle, what was there stays" {
    truncate -s 800M "$T/f"
    echo old >"$ROOT/f"
    begin_halfway "$T/f"
    cancel_stalled
    cancelled "$JOB"
    [ "$(cat "$ROOT/f")" = old ]
    only_files f
    still_serves
}

@test "a cancelled job lets the next one with its destination run" {
    local second
    begin_stalled "$T/large" --to same
    second=$(ctl send --no-wait "$T/small" --to same)
    cancel_stalled
    ctl wait "$second"
    cancelled "$JOB"
    cmp "$T/small" "$ROOT/same"
    only_files same
}

@test "a large transfer at full speed stops long before its end" {
    local job
    truncate -s 1T "$T/huge"
    make_room() { [ "$(df --output=avail -B 1 "$ROOT" | tail -n 1)" -gt 1100000000000 ]; }
    make_room || truncate -s 3G "$T/huge"
    [ "$(df --output=avail -B 1 "$ROOT" | tail -n 1)" -gt 4000000000 ] || skip 'needs 4 GB of disk'
    job=$(ctl send --no-wait --sync=none "$T/huge")
    within 10 job_moves "$job"
    ctl cancel "$job"
    cancelled "$job"
    [ "$(job_field "$job" '.bytes_done < .bytes_total')" = true ]
    only_files
    still_serves
}

@test "who waits for a cancelled job is told and exits with 10" {
    local sender status=0 job
    begin_stalled "$T/large" --to same
    ctl send "$T/small" --to same >"$D/out" 2>"$D/err" 3>&- &
    sender=$!
    second_there() { job=$(ctl --json list --state queued | jq .job) && [ -n "$job" ]; }
    within 10 second_there
    ctl cancel "$job"
    wait $sender || status=$?
    [ $status -eq 10 ]
    grep -q "^$job  cancelled " "$D/out"
    kill -CONT "$RANK1"
    ctl wait "$JOB"
    only_files same
}

@test "a job that is done stays done" {
    local job
    job=$(ctl --json send "$T/small" | jq .job)
    run ctl cancel "$job"
    echo "$output"
    [ "$status" -eq 1 ]
    [[ $output == *'done'* ]]
    job_is "$job" done
    cmp "$T/small" "$ROOT/small"
    [ "$(call transfer.cancel "{\"job\":$job}" | jq -r .state)" = done ]
    only_files small
    still_serves
}

@test "a job that has failed stays failed" {
    local job
    fails 5 NoSuchFile send "$T/none"
    job=$(jq .job <<<"$FAILURE")
    run ctl cancel "$job"
    [ "$status" -eq 1 ]
    job_is "$job" failed
    fails 5 NoSuchFile wait "$job"
}

@test "a cancelled job is cancelled again without harm" {
    local second
    begin_stalled "$T/large" --to same
    second=$(ctl send --no-wait "$T/small" --to same)
    ctl cancel "$second"
    ctl cancel "$second"
    cancel_stalled
    ctl cancel "$JOB" "$second"
    cancelled "$JOB"
    only_files
    still_serves
}

@test "several cancel one job at the same time" {
    local pids=() pid i
    begin_stalled "$T/large"
    for i in {1..8}; do
        ctl cancel "$JOB" 3>&- &
        pids+=($!)
    done
    all_there() { [ "$(ctl --json stats | jq .clients)" -eq 9 ]; }
    within 10 all_there
    cancel_stalled "$JOB" "$JOB"
    for pid in "${pids[@]}"; do
        wait "$pid"
    done
    cancelled "$JOB"
    only_files
    still_serves
}

@test "a job that never was: exit 5" {
    fails 5 NoSuchJob cancel 9007199254740991
    fails 5 NoSuchJob cancel 999999
    still_serves
}

@test "a job that never was does not keep others from being cancelled" {
    local second status=0
    begin_stalled "$T/large" --to same
    second=$(ctl send --no-wait "$T/small" --to same)
    ctl cancel 999999 "$second" 2>"$D/err" || status=$?
    [ $status -eq 5 ]
    cancelled "$second"
    kill -CONT "$RANK1"
    ctl wait "$JOB"
    only_files same
}

@test "many jobs at once, waiting and running, with destinations in one another" {
    local i jobs=()
    begin_stalled "$T/large" --to a/0
    for i in {1..40}; do
        jobs+=("$(ctl send --no-wait "$T/large" --to "a/$((i % 7))/$((i % 3))")")
    done
    cancel_stalled "${jobs[@]}"
    for i in "$JOB" "${jobs[@]}"; do
        job_is "$i" cancelled
    done
    only_files
    still_serves
}

@test "directories that were made for several cancelled files go, whichever ends first" {
    local second third
    truncate -s 512M "$T/huge" # more than rank 1 can take in the moment in which it is awake
    begin_stalled "$T/huge" --to new/dir/f
    second=$(ctl send --no-wait "$T/huge" --to new/dir/sub/f)
    third=$(ctl send --no-wait "$T/huge" --to new/other/f)
    within 10 job_moves "$second"
    kill -CONT "$RANK1"
    kill -STOP "$RANK1"
    cancel_stalled "$second" "$third"
    rm "$T/huge"
    only_files
    still_serves
}

@test "cancelled just after it was submitted, at any moment of its life" {
    local i job state
    for i in {1..40}; do
        job=$(ctl send --no-wait --sync=none "$T/large" --to "d/$i")
        ctl cancel "$job" >/dev/null 2>&1 || true
        state=$(job_field "$job" .state)
        case $state in
        cancelled) [ ! -e "$ROOT/d/$i" ] ;;
        done) cmp "$T/large" "$ROOT/d/$i" ;;
        *) false ;;
        esac
        rm -rf "$ROOT/d"
    done
    only_files
    still_serves
}

@test "submit and cancel in one breath" {
    local last
    last=$(ctl send --no-wait "$T/small")
    ctl wait "$last"
    raw "{\"id\":1,\"method\":\"transfer.submit\",\"params\":{\"source\":\"$T/large\"}}" \
        "{\"id\":2,\"method\":\"transfer.cancel\",\"params\":{\"job\":$((last + 1))}}" >"$D/answers"
    cat "$D/answers"
    [ "$(jq -r 'select(.id == 1).result.job' "$D/answers")" -eq $((last + 1)) ]
    within 10 ended $((last + 1))
    only_files small || only_files small large
    still_serves
}

ended() { [[ $(job_field "$1" .state) =~ ^(done|cancelled)$ ]]; }

@test "no descriptor is left open by any of these" {
    descriptors_as_before() { [ "$(descriptors)" -le "$DESCRIPTORS" ]; }
    echo "$(descriptors) now, $DESCRIPTORS at first"
    within 5 descriptors_as_before
}
