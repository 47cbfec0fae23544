#!/usr/bin/env bash
# Ask ten sources, one of them slow, for an answer in time: benches/fanout.sh --help
#
# Builds mapfold and runs benches/fanout.py. Its sources are made once, 0.6 GB in benches/data/fanout, or below
# $MAPFOLD_BENCH_DATA; with --quick they are small and go away.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/.."

export PYTHONDONTWRITEBYTECODE=1
profile=release mebibytes=64
for arg in "$@"; do
    case $arg in
        -h | --help) exec python3 benches/fanout.py --help ;;
        --quick) profile=dev mebibytes=1 ;;
    esac
done

scratch=
trap 'rm -rf ${scratch:+"$scratch"}' EXIT

target=${CARGO_TARGET_DIR:-target}/${profile/dev/debug}
cargo build --quiet --locked --profile "$profile" --bin mapfold
if [[ $profile == dev ]]; then
    scratch=$(mktemp -d "${TMPDIR:-/var/tmp}/mapfold-bench.XXXXXX")
    data=$scratch
else
    data=${MAPFOLD_BENCH_DATA:-$here/data}
    mkdir -p "$data"
fi
export MAPFOLD=${MAPFOLD:-$target/mapfold} MAPFOLD_FANOUT_DATA=$data/fanout MAPFOLD_FANOUT_MEBIBYTES=$mebibytes
python3 benches/fanout.py "$@"
