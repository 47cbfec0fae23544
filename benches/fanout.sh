#!/usr/bin/env bash
# Ask ten sources, of which one is slow, for an answer in time: benches/fanout.sh --help
#
# Builds mapfold and runs benches/fanout.py. The sources are made once, 0.6 GB in benches/data/fanout, or below
# $MAPFOLD_BENCH_DATA. With --quick they are small and are removed at the end.
set -euo pipefail

# shellcheck source=benches/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh" fanout "$@"

cargo build --quiet --locked --profile "$profile" --bin mapfold
mebibytes=64
if [[ $profile == dev ]]; then mebibytes=1; fi
data=${scratch:-${MAPFOLD_BENCH_DATA:-benches/data}}
export MAPFOLD_FANOUT_DATA=$data/fanout MAPFOLD_FANOUT_MEBIBYTES=$mebibytes
python3 benches/fanout.py "$@"
