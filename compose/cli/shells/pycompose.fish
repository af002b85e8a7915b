# fish completion for pycompose
#
#   pycompose completion fish > ~/.config/fish/completions/pycompose.fish

function __pycompose_complete
    set -l words (commandline -opc)
    set -l typed (commandline -ct)
    for line in ($words[1] __complete $words[2..] "$typed" 2>/dev/null)
        switch $line
            case ':files'
                __fish_complete_path "$typed"
            case ':directories'
                __fish_complete_directories "$typed" ''
            case ':*'
            case '*'
                echo $line
        end
    end
end

complete -c pycompose -f -a '(__pycompose_complete)'
