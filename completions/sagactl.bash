# Completions of sagactl for bash (4 and later), written by `sagactl completions bash`: not to be edited.
#
# Commands, options and their fixed values stand here. Ids, steps and parameters are asked of `sagactl complete`, which
# only looks, and are quoted before they are offered. Nothing that it says is ever evaluated, split or expanded.

# Sets `names`: the options of command $1.
_sagactl_options() {
    case $1 in
        '') names=(--db -o --output --json -q --quiet -v --verbose --color --progress --no-input -h --help \
            --version) ;;
        run) names=(-p --param --param-file --params-file --id --each -j --jobs --id-from --db -o --output \
            --json -q --quiet -v --verbose --color --progress --no-input -h --help --version) ;;
        resume) names=(--all -j --jobs --db -o --output --json -q --quiet -v --verbose --color --progress \
            --no-input -h --help --version) ;;
        compensate) names=(--reason -y --yes --dry-run --db -o --output --json -q --quiet -v --verbose --color \
            --progress --no-input -h --help --version) ;;
        list) names=(--state --name --since --limit --exit-code --db -o --output --json -q --quiet -v --verbose \
            --color --progress --no-input -h --help --version) ;;
        inspect) names=(--definition --db -o --output --json -q --quiet -v --verbose --color --progress \
            --no-input -h --help --version) ;;
        logs) names=(--phase --attempt -f --follow --db -o --output --json -q --quiet -v --verbose --color \
            --progress --no-input -h --help --version) ;;
        events) names=(--after -f --follow --db -o --output --json -q --quiet -v --verbose --color --progress \
            --no-input -h --help --version) ;;
        wait) names=(--timeout --db -o --output --json -q --quiet -v --verbose --color --progress --no-input -h \
            --help --version) ;;
        validate) names=(--strict --ignore --db -o --output --json -q --quiet -v --verbose --color --progress \
            --no-input -h --help --version) ;;
        plan) names=(-p --param --param-file --params-file --db -o --output --json -q --quiet -v --verbose \
            --color --progress --no-input -h --help --version) ;;
        resolve) names=(--step --as --reason --db -o --output --json -q --quiet -v --verbose --color --progress \
            --no-input -h --help --version) ;;
        abandon) names=(--reason --db -o --output --json -q --quiet -v --verbose --color --progress --no-input \
            -h --help --version) ;;
        init) names=(--db -o --output --json -q --quiet -v --verbose --color --progress --no-input -h --help \
            --version) ;;
        schema) names=(--of --db -o --output --json -q --quiet -v --verbose --color --progress --no-input -h \
            --help --version) ;;
        explain) names=(--db -o --output --json -q --quiet -v --verbose --color --progress --no-input -h --help \
            --version) ;;
        doctor) names=(--db -o --output --json -q --quiet -v --verbose --color --progress --no-input -h --help \
            --version) ;;
        prune) names=(--older-than --state --dry-run -y --yes --db -o --output --json -q --quiet -v --verbose \
            --color --progress --no-input -h --help --version) ;;
        completions) names=(--db -o --output --json -q --quiet -v --verbose --color --progress --no-input -h \
            --help --version) ;;
    esac
}

# Sets `place`: what there is for option $2 of command $1, for its arguments where $2 is empty.
_sagactl_place() {
    place=()
    case $1:$2 in
        :) place=(words run resume compensate list inspect logs events wait validate plan resolve abandon init \
            schema explain doctor prune completions) ;;
        run: | run:--params-file | run:--each | validate: | plan: | plan:--params-file | init:) place=(files) ;;
        run:-p | run:--param | run:--id-from | resume: | compensate: | inspect: | logs: | events: | wait: | \
            validate:--ignore | plan:-p | plan:--param | resolve: | resolve:--step | resolve:--as | abandon: | \
            schema: | schema:--of | explain:) place=(ask) ;;
        run:--param-file | plan:--param-file) place=(pairs) ;;
        run:--id | run:-j | run:--jobs | resume:-j | resume:--jobs | compensate:--reason | list:--name | \
            list:--since | list:--limit | logs:--attempt | events:--after | wait:--timeout | resolve:--reason | \
            abandon:--reason | prune:--older-than) place=(user) ;;
        list:--state) place=(list abandoned compensated compensating completed escalated interrupted paused \
            running) ;;
        logs:--phase) place=(words action check undo) ;;
        validate:-o | validate:--output) place=(words concise github human json jsonl) ;;
        prune:--state) place=(list abandoned compensated completed) ;;
        completions:) place=(words bash fish zsh) ;;
        *:--db) place=(files) ;;
        *:-o | *:--output) place=(words human json jsonl) ;;
        *:--color) place=(words always auto never) ;;
        *:--progress) place=(words auto live none plain) ;;
    esac
}

# Sets `words` to the words up to the cursor, joined again where bash parted them at = : or @, and `piece` to what of
# the last one readline would replace.
_sagactl_words() {
    local rest=${COMP_LINE:0:COMP_POINT} word i joined
    words=()
    for ((i = 0; i <= COMP_CWORD; i++)); do
        piece=${rest#"${rest%%[![:space:]]*}"}
        [[ $i != 0 && $piece == "$rest" && -n $piece ]] && joined=1 || joined=
        word=${COMP_WORDS[i]}
        rest=${piece#"$word"}
        ((i == COMP_CWORD)) && word=$piece
        if [[ $joined ]]; then
            words[${#words[@]} - 1]+=$word
        else
            words+=("$word")
        fi
    done
    [[ $joined && ${COMP_WORDS[COMP_CWORD - 1]} == @ ]] && piece=@$piece
    [[ $piece == [=:]* ]] && piece=
    return 0
}

# Offers a word that goes on from the last one, quoted. Within quotes only words that need none.
_sagactl_offer() {
    local quoted
    printf -v quoted %q "$1"
    [[ $current == *[\'\"]* && $quoted != "$1" ]] && return
    quoted=$start$quoted
    [[ $quoted == "$kept"* ]] && COMPREPLY+=("${quoted#"$kept"}")
}

_sagactl_static() {
    local word
    for word; do
        [[ $word == "$text"* ]] && _sagactl_offer "$word"
    done
}

_sagactl_ask() {
    local word
    while IFS= read -r word; do
        _sagactl_offer "$word"
    done < <(command sagactl -o human --color never --progress none complete --quoted -- "${words[@]:1}" \
        2>/dev/null </dev/null)
    compopt -o nosort 2>/dev/null
    [[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace 2>/dev/null
}

_sagactl() {
    local words piece names place word command= option= start=
    COMPREPLY=()
    _sagactl_words
    local current=${words[${#words[@]} - 1]}
    local kept=${current%"$piece"} text=$current
    for word in "${words[@]:1:${#words[@]} - 2}"; do
        if [[ $option ]]; then
            option=
        elif [[ $word == -?* ]]; then
            _sagactl_place "$command" "$word"
            [[ ${place[0]-} ]] && option=$word
        elif [[ ! $command ]]; then
            command=$word
        fi
    done
    if [[ ! $option && $current == --*=* ]]; then
        option=${current%%=*} start=${current%%=*}= text=${current#*=}
    fi
    if [[ ! $option && $current == -* ]]; then
        _sagactl_options "$command"
        _sagactl_static "${names[@]}"
        return
    fi
    _sagactl_place "$command" "$option"
    case ${place[0]-} in
        words) _sagactl_static "${place[@]:1}" ;;
        list)
            start+=${text%"${text##*,}"} text=${text##*,}
            _sagactl_static "${place[@]:1}"
            ;;
        ask) _sagactl_ask ;;
        pairs) if [[ $text == *=* ]]; then compopt -o default 2>/dev/null; else _sagactl_ask; fi ;;
        files) compopt -o default 2>/dev/null ;;
    esac
    return 0
}

complete -F _sagactl sagactl
