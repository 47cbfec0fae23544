#!/usr/bin/env bash
# Time mapfold beside other tools that answer the same questions: benches/peers.sh --help
#
# Sets up what benches/peers.py needs (the inputs, a release build, the Python packages of the peers) and runs it.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cd "$here/.."

venv=benches/.venv
if [[ ! -e $venv/ready ]]; then
    python3 -m venv --clear "$venv"
    "$venv/bin/pip" install --quiet chdb duckdb
    touch "$venv/ready"
fi
for arg in "$@"; do
    if [[ $arg == -h || $arg == --help ]]; then exec "$venv/bin/python" benches/peers.py --help; fi
done
export PYTHONDONTWRITEBYTECODE=1
export MAPFOLD=${MAPFOLD:-${CARGO_TARGET_DIR:-target}/release/mapfold}
cargo build --release --quiet
benches/data.sh
exec "$venv/bin/python" benches/peers.py "$@"
