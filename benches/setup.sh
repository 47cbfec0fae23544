# shellcheck shell=bash
# What the scripts that time mapfold begin with, sourced by them: setup.sh NAME ARGUMENT...
#
# Goes to the root of the repository, and answers --help by benches/NAME.py. Then $profile is what to build with, release or, with
# --quick, dev; $target where that is built, and $MAPFOLD the binary. With --quick $scratch is a directory that goes away at the end.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

export PYTHONDONTWRITEBYTECODE=1
name=$1 profile=release scratch=
shift
for arg in "$@"; do
    case $arg in
        -h | --help) exec python3 "benches/$name.py" --help ;;
        --quick) profile=dev ;;
    esac
done

trap 'rm -rf ${scratch:+"$scratch"}' EXIT
if [[ $profile == dev ]]; then
    scratch=$(mktemp -d "${TMPDIR:-/var/tmp}/mapfold-bench.XXXXXX")
fi

target=${CARGO_TARGET_DIR:-target}/${profile/dev/debug}
export MAPFOLD=${MAPFOLD:-$target/mapfold}
