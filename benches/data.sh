#!/usr/bin/env bash
# Make the inputs of the benchmarks: benches/data.sh [--small] [NAME]...   (default: all but lines-10g.txt, 11 GB)
#
# The inputs go to benches/data, or to $MAPFOLD_BENCH_DATA. Existing inputs are left alone. Each input is made under
# another name and renamed when complete, so an interrupted run leaves nothing that looks finished. With --small the
# inputs have a thousandth of their rows, are made by an unoptimised build, and need no package.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
data=${MAPFOLD_BENCH_DATA:-$here/data}
mkdir -p "$data"
data=$(cd "$data" && pwd)

all=(linux.txt lines.txt distinct.txt measurements.txt groups.csv groups-quoted.csv groups.csv.gz groups.csv.zst
    groups.jsonl access.log)
large=(lines-10g.txt)
profile=release thousands=1000
if [[ ${1:-} == --small ]]; then
    profile=dev thousands=1
    shift
fi

scratch=
trap 'rm -rf "$data"/*.part ${scratch:+"$scratch"}' EXIT

# W1, W2: real text with many distinct words. It holds every regular file of Linux 6.1 as Debian ships it, in byte order
# of the paths, so that the same package gives the same bytes. The tree itself is 80,000 small files. One file of all of
# them measures counting and not opening.
linux() {
    if [[ $profile == dev ]]; then
        cat -- "$here/../README.md"
        return
    fi
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
# Repeats are few and far apart. This is the worst case for a combiner, apart from lines that are all distinct.
lines() { generate gen_lines 40 1; }

# G10: ten times that, 10 GB with 400 M × (1 − 1/e) = 253 M distinct lines. It is made only if it is named.
lines_10g() { generate gen_lines 400 1; }

# Every key is distinct, so combining gains nothing at all.
distinct() { generate gen_lines 20 1 --distinct; }

# A1: a tenth of the One Billion Row Challenge. It has few keys, so reading is all of the work.
measurements() { generate gen_measurements 100 1; }

# A2: the table of db-benchmark's group-by task. It has 20 M rows of 9 columns, and a query needs some of the columns.
# The same table also comes with quotes around every field, compressed, and as JSON lines.
groups() { generate gen_groups 20 1; }
groups_quoted() { generate gen_groups 20 1 --quoted; }
groups_jsonl() { generate gen_groups 20 1 --json; }
groups_gz() { pack gzip -6; }
groups_zst() { pack zstd -3; }

# R1: an access log in the combined format.
log() { generate gen_log 5 1; }

generate() { # EXAMPLE MILLIONS SEED [FLAG]...
    cargo run --profile "$profile" --quiet --manifest-path "$here/../Cargo.toml" --example "$1" -- \
        $(($2 * thousands * 1000)) "${@:3}"
}

pack() { # COMMAND...
    make groups.csv groups
    if ! command -v "$1" >/dev/null; then
        printf 'error: no %s: it is in the Debian package of that name\n' "$1" >&2
        return 1
    fi
    "$@" -c <"$data/groups.csv"
}

make() { # NAME COMMAND
    local path=$data/$1
    if [[ ! -e $path ]]; then
        printf 'making %s\n' "$path" >&2
        "$2" >"$path.part"
        mv "$path.part" "$path"
    fi
}

if (($# == 0)); then set -- "${all[@]}"; fi
for name in "$@"; do
    case $name in
        linux.txt) make "$name" linux ;;
        lines.txt) make "$name" lines ;;
        lines-10g.txt) make "$name" lines_10g ;;
        distinct.txt) make "$name" distinct ;;
        measurements.txt) make "$name" measurements ;;
        groups.csv) make "$name" groups ;;
        groups-quoted.csv) make "$name" groups_quoted ;;
        groups.jsonl) make "$name" groups_jsonl ;;
        access.log) make "$name" log ;;
        groups.csv.gz) make "$name" groups_gz ;;
        groups.csv.zst) make "$name" groups_zst ;;
        *) printf 'error: no input named %s; there are %s\n' "$name" "${all[*]} ${large[*]}" >&2 && exit 2 ;;
    esac
done
