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

# Sets $python to one that has the packages of the peers. With --quick nothing is installed, and inputs go to $scratch.
# shellcheck disable=SC2034 # the scripts that source this file use it
prepare_python() {
    local venv=benches/.venv packages='chdb duckdb polars'
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
}
