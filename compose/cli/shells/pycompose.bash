# bash completion for pycompose
#
#   pycompose completion bash > /etc/bash_completion.d/pycompose

_pycompose() {
    local rest=${COMP_LINE:0:COMP_POINT} trimmed word line prefix directive=:nothing i
    local -a words=() found=()

    # bash breaks words at = and : too; here only blanks part them.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        trimmed=${rest#"${rest%%[![:space:]]*}"}
        word=${COMP_WORDS[i]}
        ((i == COMP_CWORD)) && word=$trimmed
        if ((i == 0)) || [[ $trimmed != "$rest" || -z $rest ]]; then
            words+=("$word")
        else
            words[${#words[@]}-1]+=$word
        fi
        rest=${trimmed#"$word"}
    done
    word=${words[${#words[@]}-1]}

    while IFS= read -r line; do
        case $line in
            :*) directive=$line ;;
            *) found+=("${line%%$'\t'*}") ;;
        esac
    done < <("${words[0]/#\~/$HOME}" __complete "${words[@]:1}" 2>/dev/null)

    # What stands before the last = or : is no part of the word that bash replaces.
    prefix=${word%"${word##*[=:]}"}
    [[ $COMP_WORDBREAKS == *[=:]* ]] || prefix=
    COMPREPLY=("${found[@]#"$prefix"}")
    if [[ ${#found[@]} -eq 1 && ${found[0]} == *[=:] ]]; then
        compopt -o nospace
    fi
    case $directive in
        :files)
            ((${#found[@]})) || compopt -o filenames
            while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -f -- "${word#"$prefix"}")
            ;;
        :directories)
            compopt -o filenames
            while IFS= read -r line; do COMPREPLY+=("$line"); done < <(compgen -d -- "${word#"$prefix"}")
            ;;
    esac
}

complete -F _pycompose pycompose
