#!/usr/bin/env bash
# Measure the errors of the approximate aggregates, beside Apache DataSketches: benches/sketches.sh --help
#
# Makes what benches/sketches.py needs (a build, the Python package of the peer) and runs it. With --quick nothing is
# installed, and there are few values.
set -euo pipefail

# shellcheck source=benches/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh" sketches "$@"

python=python3
if [[ $profile == release ]]; then
    venv=${MAPFOLD_BENCH_DATA:-benches/data}/sketches-venv packages=datasketches
    python=$venv/bin/python
    if [[ $(cat "$venv/ready" 2>/dev/null) != "$packages" ]]; then
        python3 -m venv --clear "$venv"
        "$venv/bin/pip" install --quiet "$packages"
        printf '%s\n' "$packages" >"$venv/ready"
    fi
fi
cargo build --quiet --locked --profile "$profile" --bin mapfold
"$python" benches/sketches.py "$@"
