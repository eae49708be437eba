# SPDX-License-Identifier: MIT
#
# Ranks that are started by an MPI launcher itself, without a supervisor; and a supervisor that finds the environment of another MPI job.

load xferd
load life

setup() {
    make_place
    own_runtime
    MPIEXEC=${MPIEXEC-mpiexec}
    command -v "$MPIEXEC" >/dev/null || skip 'no launcher'
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    KEYS=(-o link.chunk=16K -o control.socket="$S" -o queue.database="$D/queue.db" -o store.root="$ROOT")
    # The launcher's own files stay here too.
    export TMPDIR=$D/run
    ONE_HOST=()
    if "$MPIEXEC" --version 2>&1 | grep -q 'Open MPI\|OpenRTE'; then
        ONE_HOST=(--bind-to none --host localhost:4 --mca btl self,vader --mca btl_vader_backing_directory "$D/run" --mca btl_vader_single_copy_mechanism none)
    fi
}

teardown() { remove_place; }

# launch COMMAND...: in the background, as if it were the daemon.
launch() {
    "$@" >>"$LOG" 2>&1 </dev/null 3>&- &
    XFERD_PID=$!
    within 30 ready_or_gone
    not gone "$XFERD_PID"
}

nothing_of_the_launcher() { none_of_ours && [ -z "$(ls -A "$D/run")" ] && [ ! -e "$S" ]; }

@test "two ranks under a launcher serve, and stop when rank 0 is told" {
    launch "$MPIEXEC" "${ONE_HOST[@]}" -n 2 "$XFERD" "${KEYS[@]}"
    within 5 grep -q "xferd: ready: socket $S, peer $(hostname), receiving root $ROOT" "$LOG"
    [ "$(call system.stats | jq .generation)" = 0 ]
    still_serves
    kill -TERM "$(rank_pid 0)"
    local status=0
    wait "$XFERD_PID" || status=$?
    XFERD_PID=
    [ "$status" -eq 0 ]
    within 5 nothing_of_the_launcher
    only_files
}

@test "SIGUSR1 to the launcher stops them in order, in the middle of a transfer too" {
    "$MPIEXEC" --version 2>&1 | grep -q 'Open MPI\|OpenRTE' || skip 'not Open MPI'
    launch "$MPIEXEC" "${ONE_HOST[@]}" -n 2 "$XFERD" "${KEYS[@]}"
    begin_moving --timeout 1
    kill -USR1 "$XFERD_PID"
    local status=0
    wait "$XFERD_PID" || status=$?
    XFERD_PID=
    cat "$LOG"
    [ "$status" -eq 0 ]
    within 5 nothing_of_the_launcher
    only_files_but_of 1
    launch "$MPIEXEC" "${ONE_HOST[@]}" -n 2 "$XFERD" "${KEYS[@]}"
    goes_on 1
    give_up 1
}

@test "a rank that dies ends them all, and the next start serves" {
    for rank in 0 1; do
        launch "$MPIEXEC" "${ONE_HOST[@]}" -n 2 "$XFERD" "${KEYS[@]}"
        kill -KILL "$(rank_pid $rank)"
        local status=0
        wait "$XFERD_PID" || status=$?
        [ "$status" -ne 0 ]
        within 10 none_of_ours
    done
    launch "$MPIEXEC" "${ONE_HOST[@]}" -n 2 "$XFERD" "${KEYS[@]}"
    still_serves
    only_files
}

# refused_size N: the launcher ends with an error and says why, in time.
refused_size() {
    run timeout -k 5 60 "$MPIEXEC" "${ONE_HOST[@]}" -n "$1" "$XFERD" "${KEYS[@]}" 3>&- </dev/null
    echo "$output"
    [ "$status" -ne 0 ]
    [ "$status" -ne 124 ]
    [[ $output == *"started as $1 rank"*"needs exactly two"* ]]
    [ ! -e "$S" ]
    [ ! -e "$ROOT" ]
    none_of_ours
}

@test "one rank is refused" { refused_size 1; }
@test "three ranks are refused" { refused_size 3; }

@test "a wrong configuration is told under a launcher too" {
    run timeout -k 5 60 "$MPIEXEC" "${ONE_HOST[@]}" -n 2 "$XFERD" "${KEYS[@]}" -o store.rot=1 3>&- </dev/null
    echo "$output"
    [ "$status" -ne 0 ]
    [ "$status" -ne 124 ]
    [[ $output == *"unknown key store.rot"* ]]
}

@test "a root that cannot be used ends both ranks with a message" {
    echo >"$ROOT"
    run timeout -k 5 60 "$MPIEXEC" "${ONE_HOST[@]}" -n 2 "$XFERD" "${KEYS[@]}" 3>&- </dev/null
    echo "$output"
    [ "$status" -ne 0 ]
    [ "$status" -ne 124 ]
    [[ $output == *"$ROOT"* ]]
    none_of_ours
}

@test "a socket that is served already ends both ranks with a message" {
    start_xferd
    run timeout -k 5 60 "$MPIEXEC" "${ONE_HOST[@]}" -n 2 "$XFERD" "${KEYS[@]}" -o store.root="$D/second" -o queue.database="$D/second.db" 3>&- </dev/null
    echo "$output"
    [ "$status" -ne 0 ]
    [ "$status" -ne 124 ]
    [[ $output == *"already served by pid $XFERD_PID"* ]]
    still_serves
}

@test "a queue that is in use already ends both ranks with a message" {
    start_xferd
    run timeout -k 5 60 "$MPIEXEC" "${ONE_HOST[@]}" -n 2 "$XFERD" "${KEYS[@]}" -o store.root="$D/second" -o control.socket="$D/second.sock" 3>&- </dev/null
    echo "$output"
    [ "$status" -ne 0 ]
    [ "$status" -ne 124 ]
    [[ $output == *"$D/queue.db is in use by process $(rank_pid 0)"* ]]
    still_serves
}

@test "a supervisor is not misled by what a resource manager left in the environment" {
    export SLURM_JOB_ID=7 SLURM_NODELIST=nowhere SLURM_JOB_NODELIST=nowhere SLURM_TASKS_PER_NODE=1 PBS_NODEFILE=/nonexistent PBS_JOBID=1 LSB_HOSTS=nowhere
    export OMPI_MCA_btl=tcp OMPI_MCA_plm=rsh OMPI_MCA_orte_default_hostfile=/nonexistent OMPI_UNIVERSE_SIZE=1 PMIX_SERVER_URI=nonsense PRTE_LAUNCHED=1
    start_xferd
    still_serves
    stop_xferd
}

@test "inside of another MPI job a lone xferd is told what is wrong" {
    # shellcheck disable=SC2016
    run timeout -k 5 60 "$MPIEXEC" "${ONE_HOST[@]}" -n 1 sh -c '"$@"' sh "$XFERD" "${KEYS[@]}" 3>&- </dev/null
    echo "$output"
    [ "$status" -ne 0 ]
    [ "$status" -ne 124 ]
    [[ $output == *"needs exactly two"* ]]
}

@test "the variables of an MPI job that is over are named, and it ends" {
    for variables in 'PMIX_RANK=0' 'OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=2' 'PMI_RANK=0 PMI_SIZE=1'; do
        # shellcheck disable=SC2086
        run env $variables timeout -k 5 60 "$XFERD" "${KEYS[@]}" 3>&- </dev/null
        echo "$output"
        [ "$status" -ne 0 ]
        [ "$status" -ne 124 ]
        [[ $output == *xferd* ]]
        none_of_ours
    done
}

@test "one of several Slurm tasks without a rank is refused" {
    SLURM_NTASKS=2 run timeout -k 5 60 "$XFERD" "${KEYS[@]}" 3>&-
    echo "$output"
    [ "$status" -eq 2 ]
    [[ $output == *"--mpi=pmix"* ]]
    [ ! -e "$S" ]
}
