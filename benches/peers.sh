#!/usr/bin/env bash
# Time mapfold beside other tools that answer the same questions: benches/peers.sh --help
#
# Makes what benches/peers.py needs (the inputs, a release build, the Python packages of the peers) and runs it. With
# --quick nothing is installed, and the inputs are small and are removed at the end.
set -euo pipefail

# shellcheck source=benches/setup.sh
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh" peers "$@"
prepare_python

cargo build --quiet --locked --profile "$profile" --bin mapfold
inputs=$("$python" benches/peers.py --inputs "$@")
small=()
if [[ $profile == dev ]]; then small=(--small); fi
# shellcheck disable=SC2086 # one word an input
benches/data.sh "${small[@]}" $inputs
"$python" benches/peers.py "$@"
