#!/usr/bin/env bash
# Hard inputs at their full size: benches/hard.sh [line | files | hole]...   (default: all three)
#
# The tests have smaller inputs of each kind (tests/it/hard_files.rs). This script makes lines of 1 GiB, 100,000 files
# and a hole of 10 GiB in a directory of its own. The directory takes 4 GB of $TMPDIR (or /var/tmp) and is removed at
# the end. The script times mapfold on the inputs, with files in the page cache, and fails where an answer is wrong or a
# bound is broken. MAPFOLD names a binary to use.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [[ -z ${MAPFOLD:-} ]]; then
    cargo build --quiet --release --manifest-path "$here/../Cargo.toml"
    MAPFOLD=${CARGO_TARGET_DIR:-$here/../target}/release/mapfold
fi
MAPFOLD=$(realpath "$MAPFOLD")
TMPDIR=$(mktemp -d "${TMPDIR:-/var/tmp}/mapfold-hard.XXXXXX")
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
cd "$TMPDIR"

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# Runs mapfold with these arguments. Sets seconds, and mebibytes to its peak resident memory. The result is in the file
# out.
run() {
    "$MAPFOLD" run "$@" --report report.json >out 2>err || fail "mapfold run $*: $(cat err)"
    seconds=$(sed -n 's/^ *"wall_seconds": \([0-9.]*\),$/\1/p' report.json)
    mebibytes=$(($(sed -n 's/^ *"peak_rss_bytes": \([0-9]*\),$/\1/p' report.json) >> 20))
}

# Runs mapfold with these arguments, which must fail. Sets seconds.
refused() {
    local before=$EPOCHREALTIME
    if "$MAPFOLD" run "$@" >out 2>err; then fail "mapfold run $*: went well"; fi
    seconds=$(awk -v a="$before" -v b="$EPOCHREALTIME" 'BEGIN { print b - a }')
}

# `text BYTES` prints lines of words, a few of which are frequent.
text() {
    awk -v bytes="$1" 'BEGIN {
        srand(1)
        for (written = 0; written < bytes; written += length(line) + 1) {
            line = ""
            for (n = 3 + int(rand() * 12); n > 0; n--) line = line sprintf("%c%x ", 97 + int(rand() * 26), exp(rand() * 12))
            print line
        }
    }'
}

# Lines of 1 GiB are counted in the memory that mapfold asks for. A line that isn't a key is in that memory once.
line() {
    local gib=$((1 << 30)) name
    truncate -s "$gib" nul
    head -c "$gib" /dev/zero | tr '\0' a >word
    text $((16 << 20)) | tr '\n' ' ' >some
    for _ in $(seq 80); do cat some; done | head -c "$gib" >words || true
    rm some
    refused wordcount words
    grep -q 'words: the record at byte 0 is longer than 256 MiB' err || fail "$(cat err)"
    for name in nul words; do
        run wordcount "$name" --set read.max_record=2G --memory 1G --threads 1
        printf 'wordcount of a line of 1 GiB, %s: %s s, %s MiB\n' "$name" "$seconds" "$mebibytes"
        ((mebibytes < 1024 + 64)) || fail "$name takes more than it needs"
    done
    refused uniq word --set read.max_record=2G --memory 1G --threads 1
    local needs
    needs=$(sed -n 's/^hint: --memory \([0-9]*\)M, .*/\1/p' err)
    run uniq word --set read.max_record=2G --memory "${needs}M" --threads 1
    printf 'uniq of it: %s s, %s MiB of the %s MiB that it asks for\n' "$seconds" "$mebibytes" "$needs"
    ((mebibytes < needs + 64)) || fail "a row takes more than it needs"
    (($(stat -c %s out) == gib + 3)) || fail "the row is not what it should be"
    rm nul word words out
}

median() { sort -n | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }

# Compares 100,000 files with one file of their size, in turn. The time is the process's wall time, since files are
# looked at before the engine runs.
files() {
    local size kind before repeats
    text $((64 << 20)) >base
    for size in 10000 1000; do
        mkdir many
        mapfile -t repeats < <(for _ in $(seq $((100000 * size / (64 << 20) + 2))); do echo base; done)
        awk -v size="$size" '
            function next_file() { if (name) close(name); name = sprintf("many/%06d", files++); held = 0 }
            BEGIN { next_file() }
            files > 100000 { exit }
            { print > name; held += length($0) + 1; if (held >= size) next_file() }
        ' "${repeats[@]}"
        rm -f "$(printf 'many/%06d' 100000)"
        find many -type f -print0 | LC_ALL=C sort -z | xargs -0 cat -- >one
        "$MAPFOLD" run wordcount many >many.out
        "$MAPFOLD" run wordcount one | cmp - many.out
        for _ in 1 2 3 4 5; do
            for kind in one many; do
                before=$EPOCHREALTIME
                "$MAPFOLD" run wordcount "$kind" >out
                awk -v a="$before" -v b="$EPOCHREALTIME" 'BEGIN { print b - a }' >>"$kind.times"
            done
        done
        printf '100,000 files of %s bytes: %s s; one file of their size: %s s: %s of its speed\n' "$size" \
            "$(median <many.times)" "$(median <one.times)" \
            "$(awk -v m="$(median <many.times)" -v o="$(median <one.times)" 'BEGIN { printf "%.2f", o / m }')"
        rm -r many one ./*.times
    done
    rm base many.out out
}

# A hole is a record without an end. mapfold notices this without reading the hole.
hole() {
    printf 'a\n' >hole
    truncate -s 10G hole
    printf '\nb\n' >>hole
    for size in 1M 20G; do
        refused wordcount hole --split-size "$size"
        grep -q 'hole: the record at byte 2 is longer than 256 MiB' err || fail "$(cat err)"
        printf 'a hole of 10 GiB, splits of %s: %s s\n' "$size" "$seconds"
        awk -v s="$seconds" 'BEGIN { exit s > 5 }' || fail 'a hole is read to its end'
    done
    rm hole
}

if (($# == 0)); then set -- line files hole; fi
for what in "$@"; do
    case $what in
        line | files | hole) "$what" ;;
        *) fail "no $what: line, files or hole" ;;
    esac
done
