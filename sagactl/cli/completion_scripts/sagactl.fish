# Completions of sagactl for fish, written by `sagactl completions fish`: not to be edited.
#
# Commands, options and their fixed values stand here. Ids, steps and parameters are asked of `sagactl complete`, which
# only looks; fish quotes them. Nothing that it says is ever evaluated, split or expanded.

# Whether the line is at one of these commands; with none given whether it is before any.
function __sagactl_at
    set -l skip
    for word in (commandline -opc)[2..]
        if test -n "$skip"
            set skip
            continue
        end
        switch $word
            case @VALUED@
                set skip yes
            case '-*'
            case '*'
                contains -- $word $argv
                return
        end
    end
    test (count $argv) = 0
end

function __sagactl_ask
    set -l words (commandline -opc)[2..]
    set -l current (string unescape -- (commandline -ct); or commandline -ct)
    command sagactl -o human --color never --progress none complete -- $words "$current" 2>/dev/null </dev/null
end

function __sagactl_in_pair
    string match -q -- '*=*' (commandline -ct | string replace -r -- '^--[^=]*=' '')
end

complete -c sagactl -f
@ROWS@
