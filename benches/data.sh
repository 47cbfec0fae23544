#!/usr/bin/env bash
# Make the inputs of the benchmarks: benches/data.sh [linux.txt | lines.txt | distinct.txt]...   (default: all three)
#
# They go to benches/data, or to $MAPFOLD_BENCH_DATA. What is there already is left alone. Each is made under
# another name and renamed when complete, so an interrupted run leaves nothing that looks finished.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
data=${MAPFOLD_BENCH_DATA:-$here/data}
mkdir -p "$data"
data=$(cd "$data" && pwd)

scratch=
trap 'rm -rf "$data"/*.part ${scratch:+"$scratch"}' EXIT

# W1, W2: real text with many distinct words. Every regular file of Linux 6.1 as Debian ships it, in byte order of
# its path, so that the same package gives the same bytes. The tree itself is 80,000 small files: one file of it
# all measures counting and not opening.
linux() {
    local tarball=/usr/src/linux-source-6.1.tar.xz
    if [[ ! -e $tarball ]]; then
        if ! command -v apt-get >/dev/null; then
            printf 'error: no %s: it is in the Debian package linux-source-6.1\n' "$tarball" >&2
            return 1
        fi
        apt-get install -y --no-install-recommends linux-source-6.1 >&2
    fi
    scratch=$(mktemp -d /var/tmp/mapfold-bench.XXXXXX)
    tar -xJf "$tarball" -C "$scratch"
    (cd "$scratch" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 cat --)
    rm -rf "$scratch"
    scratch=
}

# U1: 40 M lines of 24 characters and a newline, drawn evenly from 40 M texts: 40 M × (1 − 1/e) = 25.3 M distinct.
# Few repeats and far apart: the worst case for a combiner that isn't every line being new.
lines() { generate 40000000 1; }

# Every key distinct: combining gains nothing at all.
distinct() { generate 20000000 1 --distinct; }

generate() { cargo run --release --quiet --manifest-path "$here/../Cargo.toml" --example gen_lines -- "$@"; }

make() { # NAME COMMAND
    local path=$data/$1
    if [[ ! -e $path ]]; then
        printf 'making %s\n' "$path" >&2
        "$2" >"$path.part"
        mv "$path.part" "$path"
    fi
}

if (($# == 0)); then set -- linux.txt lines.txt distinct.txt; fi
for name in "$@"; do
    case $name in
        linux.txt) make "$name" linux ;;
        lines.txt) make "$name" lines ;;
        distinct.txt) make "$name" distinct ;;
        *) printf 'error: no input named %s\n' "$name" >&2 && exit 2 ;;
    esac
done
