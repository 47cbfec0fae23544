#!/usr/bin/env bash
# Measure the combiner where it should pay and where it can't: benches/combiner.sh --help
#
# Makes what benches/combiner.py needs (a build, the inputs) and runs it. With --quick the inputs are small and are
# removed at the end.
set -euo pipefail

# shellcheck source=benches/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh" combiner "$@"

cargo build --quiet --locked --profile "$profile" --bin mapfold
if [[ $profile == dev ]]; then
    export MAPFOLD_BENCH_DATA=$scratch
    cp README.md "$scratch/linux.txt"
    seq 5000 | sed 's/.$//' >"$scratch/lines.txt"
    seq 5000 >"$scratch/distinct.txt"
else
    benches/data.sh linux.txt lines.txt distinct.txt
fi
python3 benches/combiner.py "$@"
