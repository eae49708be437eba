# SPDX-License-Identifier: MIT
#
# Files of every size: at the edges of a chunk, of what is read at once, of 32 bits; and memory that doesn't know how large they are.

load xferd

setup_file() { share_xferd; }
teardown_file() { unshare_xferd; }
setup() { begin_test; }
teardown() { end_test; }

KIB=1024
MIB=$((1024 * KIB))
GIB=$((1024 * MIB))

chunk() { call system.stats | jq .link.chunk; }

# sends BYTES...: a file of each size arrives as it was, and its digest is what xxhsum says. All go at once.
sends() {
    local size sources=()
    for size; do
        make_file "$T/$size" "$size"
        sources+=("$T/$size")
    done
    ctl --json send --sync=none "${sources[@]}" >"$T/jobs"
    for size; do
        cmp "$T/$size" "$ROOT/$size"
        [ "$(stat -c %s "$ROOT/$size")" -eq "$size" ]
        [ "$(jq -r "select(.dest == \"$size\") | .digest.value, .bytes_done, .bytes_total" "$T/jobs")" = \
            "$(printf '%s\n' "$(xxhsum -q -H2 "$T/$size" | cut -d ' ' -f 1)" "$size" "$size")" ]
    done
    only_files "$@"
}

# sparse PATH BYTES: much faster made and read than written; with something in it at both ends and on both sides of each border of 2 GiB
sparse() {
    local at
    truncate -s "$2" "$1"
    for at in 0 $((2 * GIB - 3)) $((4 * GIB - 3)) $(($2 - 6)); do
        [ $((at + 6)) -gt "$2" ] || printf 'at%04d' $((at % 9999)) | dd of="$1" bs=6 seek="$at" oflag=seek_bytes conv=notrunc status=none
    done
}

# sends_sparse BYTES: such a file; the room that it took is given back at once
sends_sparse() {
    [ "$(df --output=avail -B 1 "$D" | tail -n 1)" -gt $(($1 + 2 * GIB)) ] || skip "needs $(($1 / GIB + 2)) GiB of disk"
    sparse "$T/large" "$1"
    ctl --json send --sync=none "$T/large" >"$T/job"
    cmp "$T/large" "$ROOT/large"
    only_files large
    rm "$ROOT/large"
    [ "$(jq .bytes_done "$T/job")" -eq "$1" ]
}

# most_memory: of both ranks, in KiB, what they have ever had
most_memory() {
    local rank
    for rank in 0 1; do
        awk '$1 == "VmHWM:" {print $2}' /proc/"$(rank_pid $rank)"/status
    done
}

@test "an empty file" {
    sends 0
    still_serves
}

@test "files of a few bytes" {
    sends 1 2 3 16 17
}

@test "files of a chunk, and of one byte less and more" {
    local chunk
    chunk=$(chunk)
    sends $((chunk - 1)) "$chunk" $((chunk + 1))
}

@test "files of several chunks, and of one byte less and more" {
    local chunk
    chunk=$(chunk)
    sends $((3 * chunk - 1)) $((3 * chunk)) $((3 * chunk + 1)) $((17 * chunk - 1)) $((17 * chunk)) $((17 * chunk + 1))
}

@test "files of 64 KiB, below and above which they are read in different ways" {
    sends $((64 * KIB - 1)) $((64 * KIB)) $((64 * KIB + 1))
}

@test "files of 256 KiB, below and above which room is reserved for them, and of 1 MiB, below and above which they may take all lanes" {
    sends $((256 * KIB - 1)) $((256 * KIB)) $((256 * KIB + 1)) $((MIB - 1)) $MIB $((MIB + 1))
}

@test "files as large as a page, and of one byte less and more" {
    sends 4095 4096 4097
}

@test "a file that is replaced by a shorter one is not longer than that" {
    make_file "$T/long" $((3 * MIB))
    make_file "$T/short" 1000
    ctl send "$T/long" --to f
    ctl send "$T/short" --to f
    cmp "$T/short" "$ROOT/f"
    : >"$T/empty"
    ctl send "$T/empty" --to f
    cmp "$T/empty" "$ROOT/f"
    only_files f
}

@test "many files of all sizes in one command" {
    local i sizes=()
    for i in {1..40}; do
        sizes+=($((i * i * i * 13 + i)))
    done
    sends "${sizes[@]}"
    still_serves
}

@test "a file beyond 2 GiB" {
    sends_sparse $((2 * GIB + 1))
    still_serves
}

@test "a file beyond 4 GiB, and no more memory for it than for small ones" {
    local small large rank
    make_file "$T/f" $((40 * MIB))
    ctl send --sync=none "$T/f"
    rm "$ROOT/f"
    mapfile -t small < <(most_memory)
    sends_sparse $((4 * GIB + 5))
    mapfile -t large < <(most_memory)
    echo "KiB of the ranks after 40 MiB: ${small[*]}, after 4 GiB: ${large[*]}"
    for rank in 0 1; do
        [ $((large[rank] - small[rank])) -lt $((16 * KIB)) ]
    done
    still_serves
}

@test "the least and the most chunk size" {
    local chunk
    for chunk in 4096 $((16 * MIB)); do
        (
            make_place
            trap remove_place EXIT
            T=$D/t
            mkdir "$T"
            start_xferd -o link.lanes=1 -o link.chunk=$chunk
            [ "$(chunk)" -eq $chunk ]
            sends 0 1 $((chunk - 1)) $chunk $((chunk + 1)) 9999999
            still_serves
        )
    done
}
