"""Where values may stand and which exist: every `${…}` of a definition is checked before anything runs.

Values reach commands as data: as one whole word of an argv, or in the environment, never in the text of a program.
What a word does with its value is for lint.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError
from typing import Self

from sagactl.definition.diagnostics import LINE_SHOWN_MAX, Problem, Source, Span, did_you_mean, shown
from sagactl.definition.graph import before, needs_of, places
from sagactl.definition.rules import on_failure
from sagactl.definition.sites import Site, sites
from sagactl.definition.tree import Node
from sagactl.model import OnFailure, Phase
from sagactl.template import Reference, TemplateError, references

BAD_PER_STRING_MAX = 20
_FIXED = re.compile(r"PATH|IFS|ENV|BASH_ENV|LD_.*|DYLD_.*|PYTHON.*|NODE_OPTIONS|PERL5OPT|GIT_SSH.*", re.DOTALL)
"""Variables that decide what code a program runs."""
_IN_SCRIPT = re.compile(r"\$\{(?:params|steps|saga|env)\.[^}\s]{0,200}\}?")
_FORMS = "write ${params.X}, ${steps.S.outputs.O}, ${saga.id} or ${env.X}, or $${ for a literal ${"


def problems_of_references(source: Source, root: Node) -> Iterator[Problem]:
    """Everything that is wrong with any reference, and references in scripts."""
    known = _Known.of(root)
    for place, step in enumerate(known.steps):
        for site in sites(root, step):
            checker = _Checker(source, known, place, own=site.phase is not Phase.ACTION)
            yield from checker.site(site)
        undo = step.get("undo")
        if undo and (manual := undo.get("manual")):
            yield from _Checker(source, known, place, own=True).text(manual, "the text of a manual undo")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What references can name. `earlier` is None where steps need each other in a circle."""

    params: Mapping[str, Node]
    steps: Sequence[Node]
    place_of: Mapping[str, int]
    earlier: Sequence[int] | None
    skippable: frozenset[int]

    @classmethod
    def of(cls, root: Node) -> Self:
        steps = root.under_items("steps")
        place_of = places(steps)
        try:
            earlier = before(needs_of(steps, place_of))
        except CycleError:
            earlier = None
        skippable = frozenset(i for i, step in enumerate(steps) if on_failure(root, step) is OnFailure.CONTINUE)
        return cls(params=root.under("params"), steps=steps, place_of=place_of, earlier=earlier, skippable=skippable)


class _Checker:
    """Checks the texts of one command. `own`: it may use the outputs of its own step, as it runs after the action."""

    def __init__(self, source: Source, known: _Known, place: int, *, own: bool) -> None:
        self.source = source
        self.known = known
        self.place = place
        self.own = own

    def site(self, site: Site) -> Iterator[Problem]:
        if site.run.string:
            yield from self.script(site)
        for number, word in enumerate(site.run.items):
            yield from self.text(word, "an argument") if number else self.constant(word, "the program of a command")
        for name, value in site.env.items():
            if _FIXED.fullmatch(name):
                yield from self.constant(value, f"`{name}`, which decides what code runs,", "SG409")
            else:
                yield from self.text(value, "an env value", env=True)
        if site.cwd:
            yield from self.text(site.cwd, "`cwd`")
        if stdin := site.settings.get("stdin"):
            yield from self.text(stdin, "`stdin`")

    def text(self, node: Node, what: str, *, env: bool = False) -> Iterator[Problem]:
        """References that may stand here but are wrong. `env`: `${env.X}` may stand here too."""
        for found, span in self.found(node):
            if not isinstance(found, Reference):
                yield Problem(code="SG401", span=span, message=f"{shown(found)} is no reference", help=_FORMS)
            elif found.env and not env:
                yield Problem(code="SG406", span=span, message=f"{what} takes no `${{env.…}}`",
                              help=f"only env values do: write `env: {{{found.env}: '{found}'}}`")
            elif found.param and found.param not in self.known.params:
                message = f"there is no parameter {shown(found.param)}"
                yield Problem(code="SG402", span=span, message=message,
                              help=did_you_mean(found.param, self.known.params))
            elif found.step:
                yield from self.output(found, span)

    def constant(self, node: Node, what: str, code: str = "SG406") -> Iterator[Problem]:
        """References where none may stand."""
        for _, span in self.found(node):
            yield Problem(code=code, span=span, message=f"{what} takes no reference", help="write a constant")

    def output(self, found: Reference, span: Span) -> Iterator[Problem]:
        """A reference to an output that does not exist, or may not when it is needed."""
        other = self.known.place_of.get(found.step)
        if other is None:
            yield Problem(code="SG403", span=span, message=f"there is no step {shown(found.step)}",
                          help=did_you_mean(found.step, self.known.place_of))
            return
        outputs = output_names(self.known.steps[other])
        if found.output not in outputs:
            yield Problem(code="SG404", span=span, help=did_you_mean(found.output, outputs),
                          message=f"the step `{found.step}` has no output {shown(found.output)}")
            return
        doubt = "" if found.optional or self.known.earlier is None else self.doubt(other, found.step)
        if doubt:
            yield Problem(code="SG405", span=span, message=f"{found} may have no value here: {doubt}",
                          help=f"let this step need it, or write `{found.text[:-1]}?}}` for an empty string then")

    def doubt(self, other: int, name: str) -> str:
        """Why the step at `other` is not certain to have committed before this command; empty when it is."""
        if other == self.place:
            return "" if self.own else f"it is what `{name}` itself gives"
        if self.known.earlier is None or not self.known.earlier[self.place] >> other & 1:
            return f"this step does not need `{name}`"
        return f"`{name}` may be skipped (`on_failure: continue`)" if other in self.known.skippable else ""

    def found(self, node: Node) -> Iterator[tuple[Reference | str, Span]]:
        """The references of a text, and each `${…}` that is none as it is written, with their places."""
        text, span_of = node.string, self.source.finder(node.span, node.string)
        good: Sequence[Reference] = ()
        for _ in range(BAD_PER_STRING_MAX if "${" in text else 0):
            try:
                good = references(text)
                break
            except TemplateError as error:
                end = text.find("}", error.offset)
                bad = text[error.offset : end + 1 if end >= 0 else None]
                yield bad, span_of(bad, error.offset)
                text = text[: error.offset] + "  " + text[error.offset + 2 :]
        span_of = self.source.finder(node.span, node.string)
        for reference in good:
            yield reference, span_of(reference.text, reference.offset)

    def script(self, site: Site) -> Iterator[Problem]:
        """In a script nothing is replaced: the shell would see the reference as it stands."""
        text = site.run.string
        span_of = self.source.finder(site.run.span, text)
        for found in _IN_SCRIPT.finditer(text):
            line = text[text.rfind("\n", 0, found.start()) + 1 :].split("\n", 1)[0]
            yield Problem(code="SG407", span=span_of(found[0], found.start()),
                          message=f"{shown(found[0])} in a shell script: values never become part of a program",
                          help=_rewritten(found[0], line.strip(), site.phase))


def output_names(step: Node) -> tuple[str, ...]:
    """The outputs that a step declares, in order."""
    node = step.get("outputs")
    return (*node.fields, *(item.string for item in node.items)) if node else ()


def _rewritten(reference: str, line: str, phase: Phase) -> str:
    """The step as it should be: the value in `env`, its variable in the script."""
    if reference.startswith("${saga."):
        name, env = "SAGA_ID", ""
    else:
        name = (re.findall(r"[A-Za-z_][A-Za-z0-9_]*", reference) or ["VALUE"])[-1].upper()
        name = f"PARAM_{name}" if _FIXED.fullmatch(name) or name.startswith(("SAGA_", "SAGACTL_")) else name
        env = f'\nenv: {{{name}: "{reference.removesuffix("}")}}}"}}'
    inner = line.replace(f'"{reference}"', f'"${name}"').replace(reference, f'"${name}"')
    inner = inner if len(inner) <= LINE_SHOWN_MAX else f'… "${name}" …'
    return f"hand it over as a variable, which stays data:{env}\n{phase}: {inner}"
