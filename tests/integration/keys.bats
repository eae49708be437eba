# SPDX-License-Identifier: MIT
#
# A key makes a submission repeatable: one job a user and key, whatever has become of it, over restarts, and for as many clients as ask at once.

load xferd
load life

setup_file() { share_xferd; }
teardown_file() { unshare_xferd; }

setup() {
    begin_test
    echo contents >"$T/f"
    echo others >"$T/g"
    K=$BATS_TEST_NUMBER-$RANDOM
}

teardown() {
    ctl resume
    end_test
}

# existing ARGUMENT...: what send with these says of number and existence, as JSON
existing() { ctl --json send "$@" | jq -c '[.job, .existing]'; }

@test "the first is a job of its own, the second is that job, also when it has ended" {
    ctl pause
    JOB=$(ctl send --no-wait --key "$K" "$T/f")
    [ "$(existing --no-wait --key "$K" "$T/f")" = "[$JOB,true]" ]
    [ "$(job_field "$JOB" '[.existing, .key]' | jq -c .)" = "[false,\"$K\"]" ]
    ctl resume
    ctl wait "$JOB"
    cmp "$T/f" "$ROOT/f"
    rm "$ROOT/f"
    [ "$(existing --key "$K" "$T/f")" = "[$JOB,true]" ]
    # it was not sent again
    only_files
}

@test "a send that waits for a job that was there before says so when it has ended" {
    local first again
    ctl pause
    JOB=$(ctl send --no-wait --key "$K" "$T/f")
    "$XFERCTL" -s "$S" --json send --key "$K" "$T/f" >"$T/again" 2>"$T/again.notes" 3>&- &
    again=$!
    "$XFERCTL" -s "$S" --json send --key "$K-new" "$T/g" >"$T/first" 2>"$T/first.notes" 3>&- &
    first=$!
    # what is said once the end is waited for
    within 10 grep -q paused "$T/again.notes"
    within 10 grep -q paused "$T/first.notes"
    ctl resume
    wait "$again"
    wait "$first"
    [ "$(jq -c '[.job, .existing, .state]' "$T/again")" = "[$JOB,true,\"done\"]" ]
    [ "$(jq -c '[.existing, .state]' "$T/first")" = '[false,"done"]' ]
    # nobody else is told so
    [ "$(ctl --json wait "$JOB" | jq .existing)" = false ]
}

@test "a job that has failed or was cancelled is told as what it is, and is not run again but by retry" {
    fails 5 NoSuchFile send --key "$K" "$T/none"
    JOB=$(jq .job <<<"$FAILURE")
    echo now >"$T/none"
    fails 5 NoSuchFile send --key "$K" "$T/none"
    [ "$(jq -c '[.job, .existing, .attempts]' <<<"$FAILURE")" = "[$JOB,true,1]" ]
    only_files
    ctl pause
    JOB=$(ctl send --no-wait --key "$K-2" "$T/f")
    ctl cancel "$JOB"
    fails 10 Cancelled send --key "$K-2" "$T/f"
    [ "$(jq -c '[.job, .existing]' <<<"$FAILURE")" = "[$JOB,true]" ]
    ctl retry "$JOB"
    ctl resume
    [ "$(existing --key "$K-2" "$T/f")" = "[$JOB,true]" ]
    cmp "$T/f" "$ROOT/f"
}

@test "anything else under the same key is a conflict, and has no effect" {
    ctl pause
    JOB=$(ctl send --no-wait --key "$K" --retries 7 --sync=file "$T/f" --to a)
    local ask other
    ask="{\"source\":\"$T/f\",\"dest\":\"a\",\"key\":\"$K\",\"retries\":7,\"sync\":\"file\"}"
    for other in ".source=\"$T/g\"" '.dest="b"' '.overwrite="never"' '.sync="none"' '.priority=1' '.retries=6'; do
        fails 2 KeyConflict call transfer.submit "$(jq -c "$other" <<<"$ask")"
        [ "$(error_field .job)" -eq "$JOB" ]
        [ "$(error_field .retryable)" = false ]
    done
    # the same in other words is no other request, nor is a number of retries or a sync that is left out
    for other in 'del(.retries)' '.dest="./a"' '.overwrite="replace"' 'del(.sync)' '.priority=0' '.wait=false'; do
        [ "$(call transfer.submit "$(jq -c "$other" <<<"$ask")" | jq -c '[.job, .existing]')" = "[$JOB,true]" ]
    done
    [ "$(call system.stats | jq .jobs.queued)" -eq 1 ]
    ctl cancel "$JOB"
    # also when it has ended
    fails 2 KeyConflict send --key "$K" "$T/g" --to a
    # what is left to the receiver is not the same as what is asked for
    ctl send --no-wait --key "$K-sync" "$T/f" --to b
    fails 2 KeyConflict send --key "$K-sync" --sync=file "$T/f" --to b
    [ "$(ctl send --no-wait "$T/g")" -gt "$JOB" ]
}

@test "keys are told apart byte by byte, up to 255 of them" {
    local long key jobs=()
    long=$(printf '%0255d' 0)
    for key in "$K-a" "$K-A" "$K-a " " $K-a" "$K-ä" "$long" "${long%0}"; do
        jobs+=("$(ctl send --no-wait --key "$key" "$T/f" --to "d${#jobs[@]}")")
    done
    [ "$(printf '%s\n' "${jobs[@]}" | sort -u | wc -l)" -eq 7 ]
    [ "$(existing --key "$long" "$T/f" --to d5)" = "[${jobs[5]},true]" ]
    fails 2 InvalidParams call transfer.submit "{\"source\":\"$T/f\",\"key\":\"${long}0\"}"
    fails 2 Usage send --key '' "$T/f"
    fails 2 Usage send --key "$K" "$T/f" "$T/g"
    ctl wait "${jobs[@]}"
}

@test "while the queue drains a used key still tells its job, and a new one is refused" {
    JOB=$(ctl send --key "$K" --json "$T/f" | jq .job)
    ctl drain
    [ "$(existing --key "$K" "$T/f")" = "[$JOB,true]" ]
    fails 2 KeyConflict send --key "$K" "$T/g"
    fails 1 Draining send --key "$K-new" "$T/f"
    ctl resume
    [ "$(existing --key "$K-new" "$T/f" | jq -c '.[1]')" = false ]
}

@test "eight clients at once, many times: each key is one job, and all are told the same" {
    py <<'PY'
keys, clients = 40, 8
told = [None] * clients
barrier = threading.Barrier(clients)


def ask(n):
    with Client() as c:
        got = []
        for k in range(keys):
            barrier.wait(SECONDS)
            got.append(c.call("transfer.submit", source=D + "/t/f", sync="none", key=f"at-once-{k}", dest=f"k/{k}", wait=n % 2 == 0))
        told[n] = got


threads = [threading.Thread(target=ask, args=(n,)) for n in range(clients)]
for t in threads:
    t.start()
for t in threads:
    t.join()
jobs = set()
for k in range(keys):
    numbers = {told[n][k]["job"] for n in range(clients)}
    assert len(numbers) == 1, numbers
    equal(sorted(told[n][k]["existing"] for n in range(clients)), [False] + [True] * (clients - 1), f"key {k}")
    jobs |= numbers
equal(len(jobs), keys)
with Client() as c:
    for job in jobs:
        equal(c.call("transfer.wait", job=job)["attempts"], 1)
PY
    [ "$(find "$ROOT/k" -type f | wc -l)" -eq 40 ]
}

@test "eight clients at once with one key and two requests: one kind wins, the other is a conflict" {
    py <<'PY'
clients = 8
for k in range(20):
    barrier = threading.Barrier(clients)
    answers = [None] * clients

    def ask(n):
        with Client() as c:
            barrier.wait(SECONDS)
            try:
                answers[n] = c.call("transfer.submit", source=D + "/t/f", dest=f"two/{n % 2}", key=f"two-{k}", sync="none")["job"]
            except Refused as refused:
                equal(refused.name, "KeyConflict")
                answers[n] = -refused.error["data"]["job"]

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(clients)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    equal(len({abs(a) for a in answers}), 1, answers)
    won = [n % 2 for n in range(clients) if answers[n] > 0]
    assert len(won) == 4 and len(set(won)) == 1, answers
PY
}

@test "the same key many times in one batch is one job" {
    py <<'PY'
with Client() as c:
    params = {"source": D + "/t/f", "key": "batch"}
    replies = c.ask([{"jsonrpc": "2.0", "id": i, "method": "transfer.submit", "params": params} for i in range(200)])
    equal(len(replies), 200)
    equal(len({r["result"]["job"] for r in replies}), 1)
    equal(sum(not r["result"]["existing"] for r in replies), 1)
PY
}

@test "over restarts of the ranks and of everything, for jobs that wait, have ended, and were pruned" {
    local shared=("$D" "$S" "$ROOT" "$LOG" "$XFERD_PID" "$T") waits
    make_place
    cp "$T"/* "$D/"
    T=$D
    start_xferd
    JOB=$(ctl --json send --key ended "$T/f" | jq .job)
    ctl pause
    waits=$(ctl send --no-wait --key waits "$T/g")
    kill -KILL "$(rank_pid 0)"
    within 20 ctl ping
    [ "$(existing --no-wait --key ended "$T/f")" = "[$JOB,true]" ]
    [ "$(existing --no-wait --key waits "$T/g")" = "[$waits,true]" ]
    end_everything
    start_xferd -o queue.history=1
    [ "$(existing --no-wait --key ended "$T/f")" = "[$JOB,true]" ]
    [ "$(existing --no-wait --key waits "$T/g")" = "[$waits,true]" ]
    fails 2 KeyConflict send --key waits "$T/f"
    ctl resume
    ctl wait "$waits"
    forgotten() { fails 5 JobForgotten status "$JOB"; }
    within 20 forgotten
    # its key is free again
    [ "$(existing --key ended "$T/g" | jq -c '.[1]')" = false ]
    remove_place
    D=${shared[0]} S=${shared[1]} ROOT=${shared[2]} LOG=${shared[3]} XFERD_PID=${shared[4]} T=${shared[5]}
}
