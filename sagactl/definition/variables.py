"""Where a value becomes code by way of a variable: `sh -c "rm $NAME"` in a script, whose shell puts the value of NAME
into the code before the second shell reads it.

Only scripts that are written plainly are looked at, and only values that anyone may choose: a parameter without `enum`
and `pattern` that is no number, and what a step gave.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sagactl.definition.code_places import SHELLS, code_places, is_program, program
from sagactl.definition.diagnostics import Note, Problem, Source
from sagactl.definition.lint import WORDS_MAX
from sagactl.definition.param_rules import type_of
from sagactl.definition.sites import Commands, Site
from sagactl.definition.tree import Node
from sagactl.template import Reference, TemplateError, references

_TEXT_MAX = 20_000
_USES_MAX = 50
_WORD_MAX = 200
"""A hostile script has thousands of uses, each behind thousands of words."""
_HARMLESS = ("integer", "number", "boolean")


def problems_of_variables(source: Source, root: Node, all_commands: Sequence[Commands]) -> Iterator[Problem]:
    """All such places."""
    for commands in all_commands:
        for site in commands:
            scripts = [(text, node) for text, node in _scripts(site) if "$" in text and len(text) <= _TEXT_MAX]
            held = _held(root, site) if scripts else {}
            for text, node in scripts if held else ():
                yield from _problems(source, text, node, held)


def _scripts(site: Site) -> Iterator[tuple[str, Node]]:
    """What a shell reads of a command: a script, or on an argv the code of a shell."""
    if site.run.string:
        yield site.run.string, site.run
    words = [item.text for item in site.run.items][:WORDS_MAX]
    codes = code_places(words) if any("$" in word for word in words) else set()
    running = ""
    for at, name in enumerate(map(program, words) if codes else ()):
        if at in codes and running in SHELLS:
            yield words[at], site.run.items[at]
        running = name if is_program(name) else running


def _held(root: Node, site: Site) -> dict[str, tuple[Reference, Node]]:
    """The variables of a command that hold a value of anyone's choice."""
    found = {}
    for name, node in site.env.items():
        try:
            free = [each for each in references(node.string) if _is_free(root, each)] if "${" in node.string else []
        except TemplateError:
            continue
        if free:
            found[name] = free[0], node
    return found


def _is_free(root: Node, found: Reference) -> bool:
    if found.step:
        return True
    rule = root.under("params").get(found.param)
    return rule is not None and type_of(rule) not in _HARMLESS and not rule.get("enum") and not rule.get("pattern")


def _problems(
    source: Source, text: str, node: Node, held: Mapping[str, tuple[Reference, Node]],
) -> Iterator[Problem]:
    from sagactl.definition.handing_over import as_code
    from sagactl.definition.script_words import read

    script = read(text)
    if script is None:
        return
    span_of = source.finder(node.span, text)
    uses = ((offset, written, placed, written.strip("${}")) for offset, (written, placed) in script.variables.items())
    looked_at = sorted((use for use in uses if use[3] in held and use[2].word < _WORD_MAX), key=lambda use: use[0])
    for offset, written, placed, name in looked_at[:_USES_MAX]:
        if told := as_code(script, placed, name):
            reference, value = held[name]
            yield Problem(code="SG515", span=span_of(written, offset), help=told,
                          message=f"{written} holds {reference}, which becomes part of what is run here",
                          notes=(Note(span=value.span, message="its value"),))
