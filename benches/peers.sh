#!/usr/bin/env bash
# Time mapfold beside other tools that answer the same questions: benches/peers.sh --help
#
# Makes what benches/peers.py needs (the inputs, a release build, the Python packages of the peers) and runs it. With
# --quick nothing is installed, and the inputs are small and are removed at the end.
set -euo pipefail

# shellcheck source=benches/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh" peers "$@"

venv=benches/.venv packages='chdb duckdb polars'
python=$venv/bin/python
if [[ $profile == dev ]]; then
    if [[ ! -e $venv/ready ]]; then python=python3; fi
    export MAPFOLD_BENCH_DATA=$scratch
elif [[ $(cat "$venv/ready" 2>/dev/null) != "$packages" ]]; then
    python3 -m venv --clear "$venv"
    # shellcheck disable=SC2086 # one word a package
    "$venv/bin/pip" install --quiet $packages
    printf '%s\n' "$packages" >"$venv/ready"
fi
cargo build --quiet --locked --profile "$profile" --bin mapfold
inputs=$("$python" benches/peers.py --inputs "$@")
small=()
if [[ $profile == dev ]]; then small=(--small); fi
# shellcheck disable=SC2086 # one word an input
benches/data.sh "${small[@]}" $inputs
"$python" benches/peers.py "$@"
