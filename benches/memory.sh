#!/usr/bin/env bash
# Time mapfold and other tools within budgets of memory from 24 MB to 4 GB: benches/memory.sh --help
#
# Makes what benches/memory.py needs (the input, a build, the Python packages of the peers) and runs it. With --quick
# nothing is installed, and the input is small and is removed at the end.
set -euo pipefail

# shellcheck source=benches/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh" memory "$@"
prepare_python

cargo build --quiet --locked --profile "$profile" --bin mapfold
small=()
if [[ $profile == dev ]]; then small=(--small); fi
benches/data.sh "${small[@]}" lines.txt
"$python" benches/memory.py "$@"
