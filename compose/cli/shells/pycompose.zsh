#compdef pycompose
# zsh completion for pycompose: put it into a directory of $fpath as _pycompose
#
#   pycompose completion zsh > ~/.zfunc/_pycompose

_pycompose() {
    local line directive=:nothing
    local -a found open

    for line in "${(@f)$(${(Q)words[1]} __complete "${(@Q)words[2,CURRENT]}" 2>/dev/null)}"; do
        case $line in
            :*) directive=$line ;;
            *[=:]$'\t'*) open+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}") ;;
            ?*) found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}") ;;
        esac
    done

    (( $#open )) && _describe -t values pycompose open -S ''
    (( $#found )) && _describe -t values pycompose found
    case $directive in
        :files) _files ;;
        :directories) _files -/ ;;
    esac
}

if [ "$funcstack[1]" = "_pycompose" ]; then
    _pycompose "$@"
else
    compdef _pycompose pycompose
fi
