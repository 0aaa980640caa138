"""Where a value would become code or an option although it is a word of its own; and other warnings.

A net above what holds by construction: it knows the usual interpreters by name and reads their options roughly.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from sagactl.definition.diagnostics import Problem, Source
from sagactl.definition.graph import before, id_of, needs_of, places
from sagactl.definition.param_rules import type_of
from sagactl.definition.references import output_names
from sagactl.definition.sites import Site, sites
from sagactl.definition.tree import Node
from sagactl.model import Phase
from sagactl.template import Reference, TemplateError, parse, references

_CODE_LETTERS = {
    **dict.fromkeys(("sh", "bash", "dash", "zsh", "ksh", "su", "python"), "c"),
    "perl": "eE", "ruby": "e", "node": "epr", "php": "r",
}  # fmt: skip
"""The options of each interpreter whose argument is code."""
_CODE_OPTIONS = ("--eval", "--command", "--print", "--run")
WORDS_MAX = 1000
"""That of schema.json; a longer argv is an error already, and would take long here."""
_SHELLS = ("sh", "bash", "dash", "zsh", "ksh")
_AWKS = ("awk", "gawk", "mawk", "nawk")
_AWK_WITH_VALUE = ("-v", "-F", "--assign", "--field-separator")
_SSH_WITH_VALUE = tuple(f"-{letter}" for letter in "BbcDEeFIiJLlmOoPpQRSWw")
_PIPE = re.compile(
    r"'[^']*'|\"(?:\\.|[^\"\\])*\"|\\.|(?<![^\s;])#[^\n]*|\|\||>\|"
    r"|^[ \t]*\(?[^\s()|'\"]+(?:[ \t]*\|[ \t]*[^\s()|'\"]+)+[ \t]*\)"
    r"|(?P<pipe>\|)",
    re.DOTALL | re.MULTILINE,
)
"""Quotes, comments, `||`, `>|` and patterns of `case` are passed over."""


def problems_of_lint(source: Source, root: Node) -> Iterator[Problem]:
    """References in what interpreters run as code (errors), and all warnings."""
    steps = root.under_items("steps")
    for step in steps:
        for site in sites(root, step):
            words = [item.text for item in site.run.items]
            yield from _code(source, site, words)
            yield from _options(root, site, words)
            yield from _pipelines(source, step, site)
    yield from _missing_undos(steps)


def code_places(words: Sequence[str]) -> set[int]:
    """The places of an argv that some program on it runs as code."""
    found: set[int] = set()
    for place, name in enumerate(map(_program, words)):
        rest = range(place + 1, len(words))
        if name in _CODE_LETTERS:
            found |= _code_of_interpreter(name, words, rest)
        elif name in _AWKS:
            found |= _code_of_awk(words, rest)
        elif name == "eval":
            found |= set([at for at in rest if not words[at].startswith("-")][:1])
        elif name == "ssh":
            found |= _code_of_ssh(words, rest)
    return found


def _program(word: str) -> str:
    """The name of a program without folder and version."""
    name = word.rpartition("/")[2].rstrip("0123456789.")
    return "node" if name == "nodejs" else name


def _code_of_interpreter(name: str, words: Sequence[str], rest: range) -> set[int]:
    found: set[int] = set()
    option_before = False
    for at in rest:
        word = words[at]
        if word.startswith("--") and word != "--":
            takes_code = word.split("=", 1)[0] in _CODE_OPTIONS
            found |= {at} if takes_code and "=" in word else _first_plain(words, at) if takes_code else set()
            option_before = "=" not in word
        elif word[:1] in ("-", "+") and len(word) > 1:
            if cluster := re.match(rf"-[A-Za-z]*?[{_CODE_LETTERS[name]}]", word):
                attached = cluster.end() < len(word) and name not in _SHELLS
                skipped = word.count("o") if name in _SHELLS else 0
                found |= {at} if attached else _first_plain(words, at, skipped)
            option_before = not (name in _SHELLS and re.fullmatch(r"[-+][aefhkmnuvx]+", word))
            if name == "python" and word == "-m":
                break  # A module: what follows is its own.
        elif _program(word) in _CODE_LETTERS or (not option_before and name != "su"):
            break  # Another interpreter, or a script: what follows is its own.
        else:
            option_before = False
    return found


def _first_plain(words: Sequence[str], option: int, skipped: int = 0) -> set[int]:
    """The argument of an option, with any options between (`sh -c -- CODE`), after `skipped` arguments of others."""
    found = set()
    for at in range(option + 1, len(words)):
        found.add(at)
        if words[at][:1] not in ("-", "+"):
            if not skipped:
                break
            skipped -= 1
    return found


def _code_of_awk(words: Sequence[str], rest: range) -> set[int]:
    """The first argument that is no option, unless the program comes from a file."""
    skip = False
    for at in rest:
        if skip:
            skip = False
        elif words[at].startswith(("-f", "--file")):
            return set()
        elif words[at] in _AWK_WITH_VALUE:
            skip = True
        elif not words[at].startswith("-"):
            return {at}
    return set()


def _code_of_ssh(words: Sequence[str], rest: range) -> set[int]:
    """All after the host: ssh joins it to one text for the shell over there."""
    skip = False
    for at in rest:
        if skip:
            skip = False
        elif words[at] in _SSH_WITH_VALUE:
            skip = True
        elif not words[at].startswith("-"):
            return set(range(at + 1, len(words)))
    return set()


def _code(source: Source, site: Site, words: Sequence[str]) -> Iterator[Problem]:
    if len(words) > WORDS_MAX or not any("${" in word for word in words):
        return
    for at in sorted(code_places(words)):
        span_of = source.finder(site.run.items[at].span, words[at])
        for found in _references(words[at]):
            yield Problem(code="SG408", span=span_of(found.text, found.offset), message=f"{found} would be run as code",
                          help="hand it over as data: in `env`, in `stdin`, or as an argument after the code")


def _references(text: str) -> tuple[Reference, ...]:
    try:
        return references(text)
    except TemplateError:
        return ()


def _options(root: Node, site: Site, words: Sequence[str]) -> Iterator[Problem]:
    """Arguments that are wholly one string of anyone's choice: with `-` first, it would be read as an option."""
    options_end = words.index("--") if "--" in words else len(words)
    for at, word in enumerate(words[:options_end]):
        if at == 0 or not word.startswith("${") or not _references(word):
            continue
        match parse(word):
            case [Reference(env="") as found] if _is_free(root, found):
                yield Problem(code="SG502", span=site.run.items[at].span,
                              message=f"a value of {found} that begins with `-` would be read as an option",
                              help=f"write `--option={found}`, put `--` before it, or give the parameter a `pattern`")


def _is_free(root: Node, found: Reference) -> bool:
    """Is the value a string without `enum` and `pattern`?"""
    if found.step:
        return True
    rule = root.under("params").get(found.param)
    return rule is not None and type_of(rule) == "string" and not rule.get("enum") and not rule.get("pattern")


def _pipelines(source: Source, step: Node, site: Site) -> Iterator[Problem]:
    text = site.run.string
    counts = "retry_on" in site.settings or (site.phase is Phase.ACTION and output_names(step))
    if not counts or "|" not in text or "pipefail" in text:
        return
    pipe = next((found for found in _PIPE.finditer(text) if found["pipe"]), None)
    if pipe:
        span = source.finder(site.run.span, text)("|", pipe.start())
        what = "`retry_on`" if "retry_on" in site.settings else "`outputs`"
        yield Problem(code="SG503", span=span, message=f"a pipeline in a command with {what}: sh reports only the exit "
                                                       f"code of its last command",
                      help="write to a file in between, or run `bash` with `pipefail`")


def _missing_undos(steps: Sequence[Node]) -> Iterator[Problem]:
    """Steps that can't be undone by anyone's word. What comes after a pivot never is, so it needs no undo."""
    try:
        earlier = before(needs_of(steps, places(steps)))
    except ValueError:  # A circle.
        return
    pivots = [place for place, step in enumerate(steps) if (node := step.get("pivot")) and node.value is True]
    for place, step in enumerate(steps):
        if step.fields and "undo" not in step.fields and not any(earlier[place] >> pivot & 1 for pivot in pivots):
            yield Problem(code="SG501", span=step.head, message=f"`{id_of(step)}` has no `undo`",
                          help="write `undo: none` where there is nothing to undo; else a saga that has to undo it "
                               "escalates")
