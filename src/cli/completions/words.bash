
# Behind --set and --type stand PATH=VALUE and COL=TYPE, of which bash makes three words.
_mapfold_assigned() {
    local at=$COMP_CWORD word=$2
    [[ "${COMP_WORDS[at]}" != = ]] || { word=''; ((++at)); }
    case "${COMP_WORDS[at - 1]} ${COMP_WORDS[at - 3]}" in
        "--set "*) mapfile -t COMPREPLY < <(compgen -W "@FIELDS@" -S = -- "$word"); compopt -o nospace ;;
        "= --set") case "${COMP_WORDS[at - 2]}" in
@VALUES@
        esac ;;
        "= --type") mapfile -t COMPREPLY < <(compgen -W "@TYPES@" -- "$word") ;;
        *) return 1 ;;
    esac
}

# Words that are no flags: a JOB is a built-in's name or a file, an INPUT is a file.
_mapfold_words() {
    local word
    COMPREPLY=()
    if ((COMP_CWORD < 2)); then
        _mapfold "$@"
        return
    fi
    ! _mapfold_assigned "$@" || return 0
    # With nothing typed, flags are offered wherever it isn't the value of a flag that is wanted.
    _mapfold "$1" "" "$3"
    case "$2,${COMP_WORDS[1]}, ${COMPREPLY[*]} " in
        -?*) _mapfold "$@"; return ;;
        *,@COMMANDS@,*" --help "*) COMPREPLY=() ;;
        *,agg,*" --help "*) COMPREPLY=(); return ;; # AGGS are nobody's to know, an INPUT is a file
        *) _mapfold "$@"; return ;;
    esac
    for word in "${COMP_WORDS[@]:2:COMP_CWORD-2}"; do
        case "$word" in
            @JOBS_OR@ | */* | *.json | -) return ;; # JOB is there; where nothing is offered bash completes files
        esac
    done
    mapfile -t COMPREPLY < <(compgen -W "@JOBS@" -- "$2"; compgen -f -- "$2")
    compopt -o filenames
}

if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
    complete -F _mapfold_words -o bashdefault -o default mapfold
fi
