#!/usr/bin/env bash
# Time mapfold's schedulers on inputs that are hard to share out: benches/skew.sh --help
#
# Sets up what benches/skew.py needs (a build, the inputs) and runs it. The inputs are made once, 2 GB in
# benches/data/skew, or below $MAPFOLD_BENCH_DATA; with --quick they are small and go away.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/.."

export PYTHONDONTWRITEBYTECODE=1
profile=release mebibytes=512
for arg in "$@"; do
    case $arg in
        -h | --help) exec python3 benches/skew.py --help ;;
        --quick) profile=dev mebibytes=4 ;;
    esac
done

scratch=
trap 'rm -rf ${scratch:+"$scratch"}' EXIT

target=${CARGO_TARGET_DIR:-target}/${profile/dev/debug}
cargo build --quiet --locked --profile "$profile" --bin mapfold --example gen_skew
if [[ $profile == dev ]]; then
    scratch=$(mktemp -d "${TMPDIR:-/var/tmp}/mapfold-bench.XXXXXX")
    data=$scratch
else
    data=${MAPFOLD_BENCH_DATA:-$here/data}
    mkdir -p "$data"
fi
# Renamed when complete, so an interrupted run leaves nothing that looks finished.
if [[ ! -e $data/skew ]]; then
    printf 'making %s\n' "$data/skew" >&2
    rm -rf "$data/skew.part"
    "$target/examples/gen_skew" "$data/skew.part" "$mebibytes"
    mv "$data/skew.part" "$data/skew"
fi
export MAPFOLD=${MAPFOLD:-$target/mapfold} MAPFOLD_SKEW_DATA=$data/skew
python3 benches/skew.py "$@"
