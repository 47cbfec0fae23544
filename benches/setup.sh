# shellcheck shell=bash
# Start of the scripts that time mapfold, which source this file: setup.sh NAME ARGUMENT...
#
# Goes to the root of the repository, and lets benches/NAME.py answer --help. Then $profile is the profile to build with
# (release or, with --quick, dev), $target is the directory of that build, and $MAPFOLD is the binary. With --quick
# $scratch is a directory that is removed at the end.
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
