
# PATH=VALUE of a spec.
function __mapfold_set
    printf '%s\n' @FIELDS@
end

# COL=TYPE.
function __mapfold_types
    set -l column (commandline -ct | string replace -r '^--type=' '' | string match -r '^[^=]*=')
    and printf '%s\n' $column{@TYPES@}
end

