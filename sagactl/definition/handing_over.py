"""How to hand a value to a script so that it stays data: the help for a reference in a script.

A script is shown rewritten only where it is certain that the value is data in it. Where another program would run it
as code, or where that can't be told, there are words instead.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sagactl.definition.code_places import (
    FIXED,
    code_places,
    is_program,
    program,
    program_places,
    reads_code_from_stdin,
)
from sagactl.definition.diagnostics import LINE_SHOWN_MAX
from sagactl.definition.faults import quoted
from sagactl.definition.script_words import UNKNOWN, Placed, Quoting, Script, read
from sagactl.model import Phase

_WORDS_MAX = 200
_USES_MAX = 100
_TEXT_MAX = 20_000
_KEYWORDS = ("if", "then", "else", "elif", "do", "while", "until", "!", "{", "time")
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=")
_ANYWHERE = ("eval", "xargs", "parallel", "trap", "alias", "source", ".", "at", "batch", "crontab", "bc", "dc", "ed",
             "ex")
"""What may run as code what other commands of the script print or hold."""
_HERE = ("[[", "let", "declare", "typeset", "unset", "read", "getopts", "mapfile", "readarray", "make", "gmake", "jq",
         "yq", "mongo", "mongosh", "gdb", "vi", "vim", "tmux", "screen", "m4", "tclsh", "bc", "hash")
"""What reads its arguments in a way of its own."""
_STDIN = ("-", "/dev/stdin", "-f-", "--file=-")
_NAMES = ("export", "readonly", "local")
_CODE_OPTION = re.compile(r"-\w*[ceEv]|--?(eval|command|exec\w*|print|run|ex)", re.ASCII)
_TAKEN = ("HOME", "USER", "LOGNAME", "SHELL", "PWD", "OLDPWD", "LANG", "TERM", "TMPDIR", "OPTIND", "OPTARG", "PPID",
          "PS4", "DISPLAY", "EDITOR", "PAGER", "CDPATH", "TZ", "RANDOM", "UID", "EUID", "BASHOPTS", "SHELLOPTS",
          "SECONDS")
"""Variables that mean something to the shell or to many programs."""
_PLAIN_YAML = re.compile(r"(?![^\w./])(?!.*(: | #|:$|[^ -~]))(?!(true|false|null|yes|no)$)(?=.*\S$).*[^\d.]", re.ASCII)
_BY_ARGUMENT: Final[Mapping[str, str]] = {
    **dict.fromkeys(("python", "pypy"), "{program} -c '… sys.argv[1] …' {value}"),
    "perl": "perl -e '… $ARGV[0] …' -- {value}", "ruby": "ruby -e '… ARGV[0] …' -- {value}",
    "node": "node -e '… process.argv[1] …' -- {value}", "php": "php -r '… $argv[1] …' -- {value}",
    **dict.fromkeys(("sh", "bash", "dash", "ash", "zsh", "ksh", "mksh"), "{program} -c '… \"$1\" …' {program} {value}"),
    **dict.fromkeys(("awk", "gawk", "mawk"), "{program} '… ENVIRON[\"{name}\"] …'"),
}
_REMOTE = ("ssh", "mosh")
_HARMLESS = "let a `pattern` in `params` allow only what is harmless"
_SENT_BY_SSH = "what ssh sends is code over there, arguments too: send the value on stdin;\n" \
    f"or, in a script, {_HARMLESS}"
_END_QUOTES = "nothing is replaced within single quotes: end the single quotes before it, begin them again\n" \
    'behind it, and between the two write "$NAME", a variable, which stays data:'
_BY_VARIABLE = "hand it over as a variable, which stays data:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variables:
    """Which variables a script can be given. `held`: the texts of those that it has already, by name."""

    script: str
    held: Mapping[str, str]

    def name(self, reference: str) -> str:
        """The variable for a reference; empty where each would be in somebody's way."""
        if reference == "${saga.id}":
            return "SAGA_ID"
        parts = re.findall(r"[A-Za-z_][A-Za-z0-9_]*", reference)[1:] or ["value"]
        last = parts[-1] if reference.startswith("${env.") else parts[-1].upper()
        longer = f"PARAM_{last}" if reference.startswith("${params.") else f"{parts[0]}_{last}".upper()
        return next((name for name in (last, longer) if self.is_free(name, reference)), "")

    def is_free(self, name: str, reference: str) -> bool:
        if self.held.get(name) == reference:
            return True
        if name in self.held or FIXED.fullmatch(name) or name.startswith(("SAGA_", "SAGACTL_", "BASH")):
            return False
        return reference == f"${{env.{name}}}" or (
            name not in _TAKEN and not re.search(rf"(?<![\w.]){name}(?!\w)", self.script))


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One reference of a script. `piece` is what to write in its place, if that is certain; else `told` may say why."""

    reference: str
    offset: int
    name: str
    piece: str = ""
    told: str = ""

    def env(self, held: Mapping[str, str]) -> tuple[str, ...]:
        """The pair that `env` needs for it."""
        own = self.name in held or self.name in ("", "SAGA_ID")
        return () if own else (f'{self.name}: "{self.reference}"',)


def uses(text: str, found: Sequence[tuple[str, int]], held: Mapping[str, str]) -> tuple[Use, ...]:
    """Each of the references of a script, in order."""
    if len(found) > _USES_MAX or len(text) > _TEXT_MAX:
        return tuple(Use(reference=reference, offset=offset, name="") for reference, offset in found)
    script = read(text)
    variables = Variables(script=text, held=held)
    names: dict[str, str] = {reference: variables.name(reference) for reference, _ in found}
    taken: dict[str, str] = {}
    for reference, name in names.items():
        names[reference] = name if taken.setdefault(name, reference) == reference else ""
    if script is None or _runs_values(script):
        return tuple(_unsure(script, reference, offset, names[reference]) for reference, offset in found)
    return tuple(_use(text, reference, offset, names[reference], script) for reference, offset in found)


def whole(text: str, found: Sequence[Use], held: Mapping[str, str], phase: Phase) -> str:
    """`env` and the command as they should be; empty where that can't be shown in two short lines."""
    if "\n" in text.strip() or not found or not all(each.piece for each in found):
        return ""
    for each in reversed(found):
        text = text[: each.offset] + each.piece + text[each.offset + len(each.reference) :]
    text = text.strip()
    pairs = ", ".join(dict.fromkeys(pair for each in found for pair in each.env(held)))
    if max(len(text), len(pairs)) > LINE_SHOWN_MAX or not text.isprintable():
        return ""
    env = f"\nenv: {{{pairs}}}" if pairs else ""
    return f"{_BY_VARIABLE}{env}\n{phase}: {text if _PLAIN_YAML.fullmatch(text) else quoted(text)}"


def in_place(use: Use, held: Mapping[str, str]) -> str:
    """What to write for one reference, or what keeps it from being data there."""
    own = "".join(f"\nenv: {{{pair}}}" for pair in use.env(held))
    if use.told:
        return use.told + (own if f"${use.name}" in use.told or "ENVIRON" in use.told else "")
    return f"{_BY_VARIABLE}{own}\n" + (f"write in its place: {use.piece}" if use.piece else _doubt(use))


def safe_form(words: Sequence[str], at: int, value: str, name: str = "NAME") -> str:
    """How to hand a value to the program on an argv that would run the word at `at` as code."""
    names = [(program(word), word.rpartition("/")[2]) for word in words[:at]]
    if any(each in _REMOTE for each, _ in names):
        return _SENT_BY_SSH
    each, written = next(((each, word) for each, word in reversed(names) if is_program(each)), ("", ""))
    if each not in _BY_ARGUMENT:
        return f"hand it over as data, in `env` or in `stdin`;\nor, in a script, {_HARMLESS}"
    form = _BY_ARGUMENT[each].replace("{program}", written).replace("{name}", name).replace("{value}", value)
    where = "in `env`" if "ENVIRON" in form else "as an argument behind the code"
    return f"hand it over {where}, as {form}"


def _unsure(script: Script | None, reference: str, offset: int, name: str) -> Use:
    placed = script.placed.get(offset) if script else None
    told = as_code(script, placed, name) if script and placed and name else ""
    return Use(reference=reference, offset=offset, name=name, told=told)


def _use(text: str, reference: str, offset: int, name: str, script: Script) -> Use:
    placed = script.placed.get(offset)
    unsure = _unsure(script, reference, offset, name)
    if not name or not placed or unsure.told or not _is_data(script, placed) or placed.quoting is Quoting.HERE_QUOTED:
        return unsure
    if placed.quoting is Quoting.SINGLE:
        return Use(reference=reference, offset=offset, name=name, told=_END_QUOTES.replace("NAME", name))
    after = text[offset + len(reference) :][:1]
    plain = f"${{{name}}}" if re.match(r"\w", after) else f"${name}"
    piece = f'"${name}"' if placed.quoting is Quoting.BARE else plain
    return Use(reference=reference, offset=offset, name=name, piece=piece)


def _doubt(use: Use) -> str:
    called = f"${use.name}" if use.name else "under a name that nothing else has"
    return f"and in the script {called}, in double quotes, where the shell itself reads it:\n" \
        "never in a text that is run as code"


def _bare(words: Sequence[str]) -> int:
    """How many words stand before the program: keywords and assignments."""
    own = (at for at, word in enumerate(words) if word not in _KEYWORDS and not _ASSIGNMENT.match(word))
    return next(own, len(words))


def as_code(script: Script, placed: Placed, name: str) -> str:
    """What to say where the word of a reference or variable is code of a program; empty where it is not known to be.
    `name` is the variable that has the value.
    """
    words = script.commands[placed.command] if placed.command < len(script.commands) else ()
    if placed.word < 0 and not reads_code_from_stdin(words):
        return ""
    running = [each for each in map(program, words[: placed.word if placed.word > 0 else None]) if is_program(each)]
    if placed.word >= (before := _bare(words)) and placed.word - before in _programs(words[before:]):
        return "the value would decide which program runs: write a constant"
    if placed.word >= 0 and placed.word not in code_places(words[:_WORDS_MAX]) and "eval" not in running:
        return ""
    what = f"`{running[-1]}` would run the value as code" if running else "the value would be run as code"
    if placed.word < 0 or "eval" in running:
        return f"{what}, however it is quoted: {_HARMLESS}"
    return f"{what}:\n" + safe_form(words, placed.word, f'"${name}"', name)


def _is_data(script: Script, placed: Placed) -> bool:
    words = script.commands[placed.command]
    before = _bare(words)
    if any(program(each) in _HERE for each in words):
        return False
    if placed.word < 0:
        return placed.quoting is not Quoting.HERE or not any(map(is_program, map(program, words)))
    word = words[placed.word]
    if placed.word < before:
        return _is_assigned(word)
    if placed.word - before in _programs(words[before:]) or len(words) > _WORDS_MAX:
        return False
    if _CODE_OPTION.fullmatch(words[placed.word - 1]):
        return False
    return words[before] not in _NAMES or _is_assigned(word)


def _is_assigned(word: str) -> bool:
    """Is the word `NAME=VALUE`, with a name that does not decide what code runs?"""
    found = _ASSIGNMENT.match(word)
    return found is not None and not FIXED.fullmatch(found[1])


def _programs(words: Sequence[str]) -> set[int]:
    return {0, *program_places(words[:_WORDS_MAX])}


def _runs_values(script: Script) -> bool:
    """May a command run as code what another one prints, or what a variable holds?"""
    for words in script.commands:
        before = _bare(words)
        own = words[before:][:_WORDS_MAX]
        places = {*code_places(own), *_programs(own)} if own else set()
        if any(UNKNOWN in own[at] for at in places) or reads_code_from_stdin(own):
            return True
        if any(word in _STDIN for word in own) and any(map(is_program, map(program, own))):
            return True
        if any(program(word) in _ANYWHERE or word in _ANYWHERE for word in own):
            return True
    return False
