"""What other tools call a thing, and what to write here. For people who come from GitHub Actions, Dagu, Task or Argo.

A word is looked up without `-`, `_` and capitals: `continue-on-error` is `continueOnError`. A row gives the field that
it stands for, so that this field is not missing, or nothing; and what to tell its author.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, TypeAlias

Row: TypeAlias = tuple[str, str]


def _rows(field: str, words: str, hint: str = "") -> dict[str, Row]:
    """One row for each of `words`, with the hint or "here this is `field`"."""
    return dict.fromkeys(words.split(), (field, hint or f"here this is `{field}`"))


_NO_FIELD: Final[dict[str, Row]] = {
    **_rows("", "if when condition conditions unless precondition preconditions onlyif platforms os",
            "there are no conditions: let the script itself decide, as `if …; then …; fi`"),
    **_rows("", "matrix strategy for foreach loop loops withitems withparam withsequence parallel repeat repeatpolicy "
                "items", "there are no loops: write one step for each; those with `needs: []` run at the same time"),
    **_rows("", "image container containers docker runson executor runner volumes resources "
                "nodeselector services", "a command runs on this machine, as you: call `docker run` or `ssh` in it"),
    **_rows("", "user sudo runas privileged become", "a command runs as you: write `sudo -n` in front of it"),
    **_rows("", "stdout stderr log logs silent verbose interactive",
            "what a command prints is captured by itself: leave it out"),
    **_rows("", "finally always onexit exithandler handleron handlers hooks hook lifecycle post pre before onerror "
                "onsuccess aftersuccess defer",
            "there are no hooks: what takes an action back is its `undo`, what has to follow is a step of its own"),
    **_rows("", "include includes import imports extends", "a definition is one file: write everything into it"),
    **_rows("", "concurrency concurrencypolicy maxactiveruns maxactivesteps parallelism semaphore synchronization "
                "mutex", "there is no such limit: steps run one after another unless `needs` says otherwise"),
}
"""What has no counterpart, at any place."""

_TUNING: Final[dict[str, Row]] = {
    **_rows("max_retries", "retries retry retrycount maxretry numretries retrylimit limit tries maxtries repeats",
            "write `max_retries: 3`, and `retry_delay: 5s` beside it"),
    **_rows("max_retries", "retrypolicy retrystrategy",
            "there is no such mapping: write `max_retries: 3` and `retry_delay: 5s` beside each other"),
    **_rows("max_retries", "attempts maxattempts",
            "write `max_retries`, which is one less: the first attempt is no retry"),
    **_rows("retry_delay", "delay interval retryinterval intervalsec retryintervalsec retrywait wait sleep"),
    **_rows("retry_backoff", "backoff backofffactor backoffrate factor multiplier exponentialbase"),
    **_rows("retry_max_delay", "maxdelay maxinterval maxbackoff maxintervalsec"),
    **_rows("retry_jitter", "jitter"),
    **_rows("retry_on", "exitcodes exitcode retryonexitcodes"),
    **_rows("timeout", "deadline timelimit maxduration starttoclosetimeout"),
    **_rows("kill_after", "gracetime graceperiod killtimeout terminationgraceperiodseconds maxcleanuptimesec "
                          "killgrace"),
    **_rows("", "signalonstop killsignal stopsignal", "a command gets TERM, and KILL `kill_after` later: leave it out"),
}
_SURROUNDINGS: Final[dict[str, Row]] = {
    **_rows("cwd", "workingdirectory workingdir workdir dir chdir directory folder path"),
    **_rows("env", "environment envs variables environ"),
    **_rows("stdin", "input"),
}
_UNDO = "compensate compensation compensationaction compensatingaction rollback revert undoaction onrollback cleanup " \
        "reverse down teardown unwind"
_TELLING: Final = _rows("description", "desc descr title label summary comment displayname help")

FOREIGN: Final[Mapping[str, Mapping[str, Row]]] = MappingProxyType({
    "file": {
        **_NO_FIELD, **_TELLING,
        **{word: row for word, row in _SURROUNDINGS.items() if row[0] in ("cwd", "env")},
        **_rows("", "retries retry retrypolicy retrystrategy maxattempts attempts limit",
                "what holds for all steps stands under `defaults`: write `defaults: {max_retries: 3}`"),
        **_rows("timeout", "deadline timelimit maxduration"),
        **_rows("saga", "name id workflow pipeline dag job"),
        **_rows("steps", "jobs tasks stages templates spec actions stepslist flow activities cmds commands",
                "a saga has one list: `steps`, each `- id: NAME` with its `action`"),
        **_rows("params", "parameters inputs args arguments parameter",
                "values that are given at the start are `params`, each with its `type`"),
        **_rows("", "vars", "constants of all commands stand under `env`; values that are given at the start are "
                            "`params`"),
        **_rows("", "on triggers trigger schedule cron suspend", "a saga starts when somebody types `sagactl run`: "
                                                                 "put that into cron or a timer"),
        **_rows("", "apiversion kind metadata labels", "this is no object of a cluster: leave it out"),
        **_rows("", "schema", "editors read it from a comment: `# yaml-language-server: $schema=…`"),
        **_rows("", "entrypoint main default", "the steps run in the order of the file: leave it out"),
        **_rows("", "dotenv envfile", "no such file is read: put the values into `env`, or name them under `secrets`"),
        **_rows("", _UNDO, "each step has an `undo` of its own: write it there"),
        **_rows("", "continueonerror continueon failfast", "write `on_failure: continue` at the step"),
        **_rows("", "histretentiondays", "finished sagas stay until somebody deletes them: leave it out"),
    },
    "step": {
        **_NO_FIELD, **_TUNING, **_SURROUNDINGS, **_TELLING,
        **_rows("id", "name step key task", "a step is known by its `id`"),
        **_rows("action", "run runs command cmd cmds commands script exec execute do invoke forward entrypoint",
                "the command of a step is its `action`"),
        **_rows("action", "uses template templateref call calls workflow subworkflow",
                "there are no ready-made actions: write the command itself as `action`"),
        **_rows("undo", _UNDO, "what takes an action back is its `undo`"),
        **_rows("undo", "manual", "what only a person can undo is an `undo` too: write `undo: {manual: TEXT}`"),
        **_rows("needs", "depends dependson dependency dependencies deps requires after dependon waitfor upstream"),
        **_rows("check", "verify probe status test assert isdone"),
        **_rows("outputs", "output results exports produces"),
        **_rows("secrets", "secret"),
        **_rows("on_failure", "continueonerror continueon continueonfail continueonfailure ignoreerror ignoreerrors "
                              "ignorefailure allowfailure failok", "write `on_failure: continue` and `undo: none`"),
        **_rows("", "shell", "a text is run by /bin/sh; for another write `action: [bash, -euo, pipefail, -c, …]`"),
        **_rows("", "args argv", "all words of a command stand in one list: `action: [./program, --now]`"),
        **_rows("", "with arguments argument parameters params vars inputs",
                "values reach a command by reference: write `${params.NAME}` as an argument, or in `env`"),
        **_rows("", "generates sources method", "there is no such test: let a `check` say whether it was done"),
    },
    "command": {
        **_NO_FIELD, **_TUNING, **_SURROUNDINGS,
        **_rows("run", "command cmd cmds commands script exec argv args action shell sh undo check"),
        **_rows("run", "manual", "only an undo can be left to a person: write `undo: {manual: TEXT}`, and here a "
                                 "command"),
    },
    "defaults": {**_TUNING},
    "rule": {
        **_TELLING,
        **_rows("", "required optional", "a parameter is required where it has no `default`: leave it out"),
        **_rows("enum", "values choices options allowed oneof in"),
        **_rows("minimum", "min ge gte"), **_rows("maximum", "max le lte"),
        **_rows("minLength", "minlen"), **_rows("maxLength", "maxlen"),
        **_rows("pattern", "regex regexp match matches"),
        **_rows("default", "value"),
    },
    "output": {
        **_rows("pointer", "jsonpath jq query path expression json key field"),
        **_rows("", "value valuefrom parameter", "the action writes it: to `$SAGA_OUTPUT_DIR/NAME`, or as JSON to its "
                                                 "stdout with `{from: stdout, pointer: /NAME}`"),
        **_rows("", "type description", "an output is a text, and known by its name: leave it out"),
        **_rows("empty", "optional allowempty nullable"),
        **_rows("from", "source"),
    },
    "secret": {
        **_rows("env", "variable var name fromenv"),
        **_rows("file", "path fromfile"),
        **_rows("", "value default", "a secret never stands in a definition: name the variable or the file it is "
                                     "read from"),
    },
})

VALUES: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType({
    "type": {
        **dict.fromkeys(("int", "int64", "whole"), "integer"),
        **dict.fromkeys(("str", "text", "path", "date"), "string"),
        **dict.fromkeys(("bool", "flag"), "boolean"), **dict.fromkeys(("list", "sequence", "tuple"), "array"),
        **dict.fromkeys(("float", "double", "decimal"), "number"),
        **dict.fromkeys(("dict", "map", "mapping"), "object"),
        "choice": "string",
    },
    "on_failure": {
        **dict.fromkeys(("ignore", "skip", "proceed", "warn", "true"), "continue"),
        **dict.fromkeys(("abort", "fail", "stop", "exit", "rollback", "undo", "revert", "cancel", "terminate"),
                        "compensate"),
        **dict.fromkeys(("wait", "manual", "ask", "suspend", "escalate"), "pause"),
    },
    "on_interrupt": {
        **dict.fromkeys(("rerun", "again", "repeat", "resume", "continue"), "retry"),
        **dict.fromkeys(("compensate", "rollback", "revert"), "undo"),
        **dict.fromkeys(("pause", "manual", "ask", "fail"), "escalate"),
    },
    "retry_jitter": {**dict.fromkeys(("true", "yes", "on", "random", "equal"), "full"),
                     **dict.fromkeys(("false", "no", "off"), "none")},
    "from": {"output": "stdout", "json": "stdout", "dir": "file", "path": "file"},
})  # fmt: skip
"""Values of other tools by the field, and which is meant here."""


def folded(word: str) -> str:
    """A word as it is looked up."""
    return word.lower().replace("-", "").replace("_", "").lstrip("$")


def same_but_for_spelling(word: str, known: Iterable[str]) -> str:
    """The known name that is the same word in another way of writing: `undoIfFailed`. Empty where none is."""
    return next((name for name in known if folded(name) == folded(word)), "")
