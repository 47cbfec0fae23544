
# A JOB: a built-in's name, or a file.
(( $+functions[_mapfold_jobs] )) ||
_mapfold_jobs() {
    local -a jobs=(
@JOBS@
    )
    _alternative 'jobs:built-in job:(($jobs))' 'specs:spec:_files'
}

# PATH=VALUE of a spec.
(( $+functions[_mapfold_set] )) ||
_mapfold_set() {
    local -a fields=(@FIELDS@)
    compset -P 1 '*=' || { compadd -S = -a fields; return }
    case ${${IPREFIX%=}##*=} in
@VALUES@
    esac
}

# COL=TYPE.
(( $+functions[_mapfold_types] )) ||
_mapfold_types() {
    compset -P 1 '*=' && compadd @TYPES@
}

