#!/usr/bin/env bash
# Time mapfold's schedulers on inputs whose work is hard to share out: benches/skew.sh --help
#
# Makes what benches/skew.py needs (a build, the inputs) and runs it. The inputs are made once, 2 GB in
# benches/data/skew, or below $MAPFOLD_BENCH_DATA. With --quick they are small and are removed at the end.
set -euo pipefail

# shellcheck source=benches/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh" skew "$@"

cargo build --quiet --locked --profile "$profile" --bin mapfold --example gen_skew
mebibytes=512
if [[ $profile == dev ]]; then mebibytes=4; fi
data=${scratch:-${MAPFOLD_BENCH_DATA:-benches/data}}
mkdir -p "$data"
# The directory is renamed when complete, so an interrupted run leaves nothing that looks finished.
if [[ ! -e $data/skew ]]; then
    printf 'making %s\n' "$data/skew" >&2
    rm -rf "$data/skew.part"
    "$target/examples/gen_skew" "$data/skew.part" "$mebibytes"
    mv "$data/skew.part" "$data/skew"
fi
export MAPFOLD_SKEW_DATA=$data/skew
python3 benches/skew.py "$@"
