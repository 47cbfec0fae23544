#!/usr/bin/env bash
# Compare two builds of mapfold: benches/ab.sh [--pairs N] OLD NEW [WORK]...   (default: W1 W2 U1)
#
# Makes the inputs of the works and runs benches/ab.py. A WORK is one of the works of benches/peers.sh.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

export PYTHONDONTWRITEBYTECODE=1
inputs=$(python3 "$here/ab.py" --inputs "$@")
# shellcheck disable=SC2086 # one word an input
"$here/data.sh" $inputs
python3 "$here/ab.py" "$@"
