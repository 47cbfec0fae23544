#!/usr/bin/env bash
# Put the combiner on trial, where it should pay and where it can't: benches/combiner.sh --help
#
# Sets up what benches/combiner.py needs (a build, the inputs) and runs it. With --quick the inputs are small and go away.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/.."

export PYTHONDONTWRITEBYTECODE=1
profile=release
for arg in "$@"; do
    case $arg in
        -h | --help) exec python3 benches/combiner.py --help ;;
        --quick) profile=dev ;;
    esac
done

scratch=
trap 'rm -rf ${scratch:+"$scratch"}' EXIT

target=${CARGO_TARGET_DIR:-target}/${profile/dev/debug}
cargo build --quiet --locked --profile "$profile" --bin mapfold
if [[ $profile == dev ]]; then
    scratch=$(mktemp -d "${TMPDIR:-/var/tmp}/mapfold-bench.XXXXXX")
    export MAPFOLD_BENCH_DATA=$scratch
    cp README.md "$scratch/linux.txt"
    seq 5000 | sed 's/.$//' >"$scratch/lines.txt"
    seq 5000 >"$scratch/distinct.txt"
else
    benches/data.sh linux.txt lines.txt distinct.txt
fi
export MAPFOLD=${MAPFOLD:-$target/mapfold}
python3 benches/combiner.py "$@"
