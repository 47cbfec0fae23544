
# A JOB: a built-in's name, or a file.
(( $+functions[_mapfold_jobs] )) ||
_mapfold_jobs() {
    local -a jobs=(
@JOBS@
    )
    _alternative 'jobs:built-in job:(($jobs))' 'specs:spec:_files'
}

