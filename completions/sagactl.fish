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
            case --db -o --output --color --progress
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
complete -c sagactl -n __sagactl_at -a run -d 'Run a saga, or take back what happened'
complete -c sagactl -n __sagactl_at -a resume -d 'Go on with what was interrupted'
complete -c sagactl -n __sagactl_at -a compensate -d 'Take sagas back'
complete -c sagactl -n __sagactl_at -a list -d 'List sagas'
complete -c sagactl -n __sagactl_at -a inspect -d 'Show all that happened in a saga'
complete -c sagactl -n __sagactl_at -a logs -d 'Print what a saga\'s commands printed'
complete -c sagactl -n __sagactl_at -a events -d 'Print the journal as JSON lines'
complete -c sagactl -n __sagactl_at -a wait -d 'Wait until sagas have ended'
complete -c sagactl -n __sagactl_at -a validate -d 'Find mistakes in definitions'
complete -c sagactl -n __sagactl_at -a plan -d 'Show what would run and what would be undone'
complete -c sagactl -n __sagactl_at -a resolve -d 'Record a person\'s word on a step'
complete -c sagactl -n __sagactl_at -a abandon -d 'Leave a saga as it is'
complete -c sagactl -n __sagactl_at -a init -d 'Write a first definition to start from'
complete -c sagactl -n __sagactl_at -a schema -d 'Print the JSON Schema, or explain a field'
complete -c sagactl -n __sagactl_at -a explain -d 'Explain a diagnostic or an exit code'
complete -c sagactl -n __sagactl_at -a doctor -d 'Check the database, its evidence and its locks'
complete -c sagactl -n __sagactl_at -a prune -d 'Delete sagas that have ended'
complete -c sagactl -n __sagactl_at -a completions -d 'Print the completions for a shell'
complete -c sagactl -l db -r -F -d 'The database'
complete -c sagactl -n 'not __sagactl_at validate' -s o -l output -x -a 'human json jsonl' -d 'human, json or jsonl'
complete -c sagactl -l json -d 'Short for -o json'
complete -c sagactl -s q -l quiet -d 'Print ids only'
complete -c sagactl -s v -l verbose -d 'Say more: settings, commands as they run'
complete -c sagactl -l color -x -a 'always auto never' -d 'auto, always or never'
complete -c sagactl -l progress -x -a 'auto live none plain' -d 'auto, live, plain or none'
complete -c sagactl -l no-input -d 'Ask for nothing, as $SAGACTL_NO_INPUT=1'
complete -c sagactl -s h -l help -d 'Show this and exit'
complete -c sagactl -l version -d 'Show the version and exit'
complete -c sagactl -n '__sagactl_at run validate plan init' -F
complete -c sagactl -n '__sagactl_at run plan' -s p -l param -x -k -a '(__sagactl_ask)' -d 'A parameter; may be given several times'
complete -c sagactl -n '__sagactl_at run plan; and not __sagactl_in_pair' -l param-file -x -k -a '(__sagactl_ask)' -d 'A parameter whose value is the content of a file, as it is; - for stdin'
complete -c sagactl -n '__sagactl_at run plan; and __sagactl_in_pair' -l param-file -r -F -d 'A parameter whose value is the content of a file, as it is; - for stdin'
complete -c sagactl -n '__sagactl_at run plan' -l params-file -r -F -d 'Parameters as YAML or JSON; - for stdin'
complete -c sagactl -n '__sagactl_at run' -l id -x -d 'An id of your own, which makes this command safe to repeat: the same id goes on with or reports its saga'
complete -c sagactl -n '__sagactl_at run' -l each -r -F -d 'A saga for each line of a file, a JSON object of parameters which win over -p; - for stdin'
complete -c sagactl -n '__sagactl_at run resume' -s j -l jobs -x -d 'Sagas at once'
complete -c sagactl -n '__sagactl_at run' -l id-from -x -k -a '(__sagactl_ask)' -d 'With --each: the id is this parameter\'s value, which makes the command safe to repeat'
complete -c sagactl -n '__sagactl_at resume compensate inspect logs events wait resolve abandon schema explain' -k -a '(__sagactl_ask)'
complete -c sagactl -n '__sagactl_at resume' -l all -d 'Every interrupted saga that no live process holds'
complete -c sagactl -n '__sagactl_at compensate' -l reason -x -d 'Why'
complete -c sagactl -n '__sagactl_at compensate prune' -s y -l yes -d 'Do not ask; needed where nobody can be asked'
complete -c sagactl -n '__sagactl_at compensate' -l dry-run -d 'Only show what would be undone'
complete -c sagactl -n '__sagactl_at list' -l state -x -a '(__fish_append , abandoned compensated compensating completed escalated interrupted paused running)' -d 'Only these states; interrupted is one too'
complete -c sagactl -n '__sagactl_at list' -l name -x -d 'Only sagas of definitions of this name, which may have * ? [..]'
complete -c sagactl -n '__sagactl_at list' -l since -x -d 'Only those that changed since: 2h, 3d, 2026-11-20, 2026-11-20T18:00Z'
complete -c sagactl -n '__sagactl_at list' -l limit -x -d 'At most so many'
complete -c sagactl -n '__sagactl_at list' -l exit-code -d 'Exit 11 if one of those asked for is escalated'
complete -c sagactl -n '__sagactl_at inspect' -l definition -d 'Print the definition that it runs, as JSON, which is YAML too, and nothing else'
complete -c sagactl -n '__sagactl_at logs' -l phase -x -a 'action check undo' -d 'Only these commands'
complete -c sagactl -n '__sagactl_at logs' -l attempt -x -d 'Only attempts of this number'
complete -c sagactl -n '__sagactl_at logs' -s f -l follow -d 'Go on with what is printed from now on, until the saga is final, escalated or paused'
complete -c sagactl -n '__sagactl_at events' -l after -x -d 'Only events after this number'
complete -c sagactl -n '__sagactl_at events' -s f -l follow -d 'Go on with what is recorded from now on, until the saga is final, escalated or paused'
complete -c sagactl -n '__sagactl_at wait' -l timeout -x -d 'Give up after this time: 90s, 10m'
complete -c sagactl -n '__sagactl_at validate' -l strict -d 'Warnings are errors'
complete -c sagactl -n '__sagactl_at validate' -l ignore -x -k -a '(__sagactl_ask)' -d 'Warnings that are not wanted, as SG501,SG502; may be given several times'
complete -c sagactl -n '__sagactl_at validate' -s o -l output -x -a 'concise github human json jsonl' -d 'human, json, jsonl, concise or github'
complete -c sagactl -n '__sagactl_at resolve' -l step -x -k -a '(__sagactl_ask)' -d 'Which step'
complete -c sagactl -n '__sagactl_at resolve' -l as -x -k -a '(__sagactl_ask)' -d 'undone: by hand; landed: the action took effect; not-landed: it did not; kept: its effect stays, and all else is taken back'
complete -c sagactl -n '__sagactl_at resolve abandon' -l reason -x -d 'Why'
complete -c sagactl -n '__sagactl_at schema' -l of -x -k -a '(__sagactl_ask)' -d 'Instead, of what a command prints with -o json, or with -o jsonl: run, compensate --dry-run, exit_error'
complete -c sagactl -n '__sagactl_at prune' -l older-than -x -d 'Only those that ended longer ago: 12h, 30d, 2w'
complete -c sagactl -n '__sagactl_at prune' -l state -x -a '(__fish_append , abandoned compensated completed)' -d 'Only these: completed, compensated, abandoned'
complete -c sagactl -n '__sagactl_at prune' -l dry-run -d 'Only say what would be deleted'
complete -c sagactl -n '__sagactl_at completions' -a 'bash fish zsh'
