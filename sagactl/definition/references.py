"""Where values may stand and which exist: every `${…}` of a definition is checked before anything runs.

Values reach commands as data: as one whole word of an argv, or in the environment, never in the text of a program.
What a word does with its value is for lint.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import CycleError
from typing import Self

from sagactl.definition.code_places import FIXED
from sagactl.definition.diagnostics import LINE_SHOWN_MAX, Problem, Source, Span, closest, did_you_mean, shown
from sagactl.definition.graph import before, id_of, needs_of, places
from sagactl.definition.rules import on_failure
from sagactl.definition.sites import Commands, Site
from sagactl.definition.tree import Node
from sagactl.model import OnFailure, Phase
from sagactl.template import Reference, TemplateError, references

BAD_PER_STRING_MAX = 20
_IN_SCRIPT = re.compile(r"\$\{(?:params|steps|saga|env)\.[^}\s]{0,200}\}?")
_OF_A_NAME = re.compile(
    r"\$\{(?:params\.(?P<param>[\w-]{1,63})|steps\.(?P<step>[\w-]{1,63})\.outputs\.(?P<output>[\w-]{1,63}))\??\}",
)
_NEEDS_A_STEP = re.compile(r"\$\{steps\.[^}?]*\}")
_STEPS = ("steps", "step", "tasks", "jobs", "needs", "outputs")
_PARAMS = ("param", "params", "parameters", "inputs", "input", "vars", "var", "workflow", "github", "args")
_FORMS = "write ${params.X}, ${steps.S.outputs.O}, ${saga.id} or ${env.X}, or $${ for a literal ${"

_VARIABLES = "the name of a variable is of letters, digits and `_`, and no digit is its first"
_NAMES = "a name is of lower-case letters, digits and `_`: write the one that the step declares"


def problems_of_references(source: Source, root: Node, all_commands: Sequence[Commands]) -> Iterator[Problem]:
    """Everything that is wrong with any reference, and references in scripts."""
    known = _Known.of(root)
    for place, (step, commands) in enumerate(zip(known.steps, all_commands, strict=True)):
        for site in commands:
            checker = _Checker(source, known, place, own=site.phase is not Phase.ACTION)
            yield from checker.site(site)
        known.of_step.clear()
        undo = step.get("undo")
        if undo and (manual := undo.get("manual")):
            yield from _Checker(source, known, place, own=True).text(
                manual, "the text of a manual undo",
                hint=lambda _: "leave it out: a manual undo has no `env` that could read it")
    yield from _overridden(source, root, known)


def _overridden(source: Source, root: Node, known: _Known) -> Iterator[Problem]:
    """What is wrong with `env` and `cwd` that every command has its own of. Nobody needs their values, so whether there
    will be one doesn't matter.
    """
    checker = _Checker(source, replace(known, earlier=None), 0, own=True)
    for holder in (root, *known.steps):
        checker.variables = holder.under("env")
        for name, value in checker.variables.items():
            if id(value) not in known.read:
                yield from checker.variable(name, value)
        if (cwd := holder.get("cwd")) and id(cwd) not in known.read:
            yield from checker.folder(cwd)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What references can name. `earlier` is None where steps need each other in a circle."""

    params: Mapping[str, Node] | None
    """None where what stands there could not be read as parameters."""
    steps: Sequence[Node]
    place_of: Mapping[str, int]
    earlier: Sequence[int] | None
    skippable: frozenset[int]
    repeated: frozenset[str]
    """Ids of several steps, which is an error already: which of them a reference means, nobody knows."""
    read: dict[int, list[tuple[Reference | str, Span]]]
    """What was found in each text that was looked at and has any."""
    settled: set[int]
    of_step: set[int]
    """Values that many commands inherit: those that are the same for every step, and those of the present step. One
    look is enough, and the action's comes first, which sees least.
    """

    @classmethod
    def of(cls, root: Node) -> Self:
        steps = root.under_items("steps")
        place_of = places(steps)
        try:
            earlier = before(needs_of(steps, place_of))
        except CycleError:
            earlier = None
        skippable = frozenset(i for i, step in enumerate(steps) if on_failure(root, step) is OnFailure.CONTINUE)
        repeated = frozenset(id_of(step) for i, step in enumerate(steps) if place_of.get(id_of(step), i) != i)
        params = None if root.is_unclear("params", dict) else root.under("params")
        return cls(params=params, steps=steps, place_of=place_of, earlier=earlier, skippable=skippable,
                   repeated=repeated, read={}, settled=set(), of_step=set())

    def has(self, text: str) -> bool:
        """Does a text that is no reference name what is there? Then that has a name which is an error already."""
        found = _OF_A_NAME.fullmatch(text)
        if found is None or found["param"]:
            return found is not None and (self.params is None or found["param"] in self.params)
        return found["step"] in self.place_of and found["output"] in output_names(
            self.steps[self.place_of[found["step"]]])


class _Checker:
    """Checks the texts of one command. `own`: it may use the outputs of its own step, as it runs after the action."""

    def __init__(self, source: Source, known: _Known, place: int, *, own: bool) -> None:
        self.source = source
        self.known = known
        self.place = place
        self.own = own
        self.variables: Mapping[str, Node] = {}

    def site(self, site: Site) -> Iterator[Problem]:
        self.variables = site.env
        if site.run.string:
            yield from self.script(site)
        for number, word in enumerate(site.run.items):
            yield from self.text(word, "an argument") if number else self.constant(word, "the program of a command")
        for name, value in site.env.items():
            if id(value) in self.known.settled or id(value) in self.known.of_step:
                continue
            (self.known.of_step if _NEEDS_A_STEP.search(value.string) else self.known.settled).add(id(value))
            yield from self.variable(name, value)
        if site.cwd:
            yield from self.folder(site.cwd)
        if stdin := site.settings.get("stdin"):
            yield from self.text(stdin, "`stdin`")

    def folder(self, cwd: Node) -> Iterator[Problem]:
        yield from self.text(cwd, "`cwd`", hint=lambda found: (
            f'make it a parameter: write ${{params.folder}}, and start with -p folder="${found.env}"'))

    def variable(self, name: str, value: Node) -> Iterator[Problem]:
        if FIXED.fullmatch(name):
            yield from self.constant(value, f"`{name}`, which decides what code runs,", "SG409")
        else:
            yield from self.text(value, "an env value", env=True)

    def text(
        self, node: Node, what: str, *, env: bool = False, hint: Callable[[Reference], str] | None = None,
    ) -> Iterator[Problem]:
        """References that may stand here but are wrong. `env`: `${env.X}` may too; else `hint` gives its help."""
        for found, span in self.found(node):
            if isinstance(found, Reference) and found.env and not env:
                yield Problem(code="SG406", span=span, message=f"{what} takes no `${{env.…}}`",
                              help=(hint or self.of_environment)(found))
            elif isinstance(found, Reference) or not self.known.has(found):
                yield from self.value(found, span)

    def value(self, found: Reference | str, span: Span) -> Iterator[Problem]:
        """A reference that is wrong wherever it stands."""
        if not isinstance(found, Reference):
            yield Problem(code="SG401", span=span, message=f"{shown(found)} is no reference",
                          help=_meant(found, self.known))
        elif found.param and self.known.params is not None and found.param not in self.known.params:
            message = f"there is no parameter {shown(found.param)}"
            hint = did_you_mean(found.param, self.known.params, "parameters") if self.known.params else \
                f"declare it at the top: `params: {{{found.param}: {{type: string}}}}`"
            yield Problem(code="SG402", span=span, message=message, help=hint)
        elif found.step:
            yield from self.output(found, span)

    def of_environment(self, found: Reference) -> str:
        if found.env in self.variables:
            return f'it is of the environment of sagactl; what `env:` says reaches a script as "${found.env}"'
        return f"only env values do: write `env: {{{found.env}: '{found}'}}`"

    def constant(self, node: Node, what: str, code: str = "SG406") -> Iterator[Problem]:
        """References where none may stand."""
        for _, span in self.found(node):
            yield Problem(code=code, span=span, message=f"{what} takes no reference", help="write a constant")

    def output(self, found: Reference, span: Span) -> Iterator[Problem]:
        """A reference to an output that does not exist, or may not when it is needed."""
        other = self.known.place_of.get(found.step)
        if other is None:
            yield Problem(code="SG403", span=span, message=f"there is no step {shown(found.step)}",
                          help=did_you_mean(found.step, self.known.place_of, "steps"))
            return
        outputs = output_names(self.known.steps[other])
        unclear = self.known.steps[other].is_unclear("outputs", dict, tuple)
        if found.output not in outputs and (unclear or found.step in self.known.repeated):
            return
        if found.output not in outputs:
            hint = did_you_mean(found.output, outputs, f"outputs of `{found.step}`")
            yield Problem(code="SG404", span=span, help=hint,
                          message=f"the step `{found.step}` has no output {shown(found.output)}")
            return
        needing = "" if other == self.place or other in self.known.skippable else "let this step need it, or "
        doubt = "" if found.optional or self.known.earlier is None else self.doubt(other, found.step)
        if doubt:
            yield Problem(code="SG405", span=span, message=f"{found} may have no value here: {doubt}",
                          help=f"{needing}write `{found.text[:-1]}?}}` for an empty text then")

    def doubt(self, other: int, name: str) -> str:
        """Why the step at `other` is not certain to have committed before this command; empty when it is."""
        if other == self.place:
            return "" if self.own else f"it is what `{name}` itself gives"
        if self.known.earlier is None or not self.known.earlier[self.place] >> other & 1:
            return f"this step does not need `{name}`"
        return f"`{name}` may be skipped (`on_failure: continue`)" if other in self.known.skippable else ""

    def found(self, node: Node) -> Iterable[tuple[Reference | str, Span]]:
        """The references of a text, and each `${…}` that is none as it is written, with their places."""
        if "${" not in node.string:
            return ()
        if id(node) not in self.known.read:
            self.known.read[id(node)] = list(self.read(node))
        return self.known.read[id(node)]

    def read(self, node: Node) -> Iterator[tuple[Reference | str, Span]]:
        text, span_of = node.string, self.source.finder(node.span, node.string)
        good: Sequence[Reference] = ()
        for _ in range(BAD_PER_STRING_MAX):
            try:
                good = references(text)
                break
            except TemplateError as error:
                end = text.find("}", error.offset)
                end += text.startswith("${{", error.offset) and text.startswith("}", end + 1)
                bad = text[error.offset : end + 1 if end >= 0 else None]
                yield bad, span_of(bad, error.offset)
                text = text[: error.offset] + "  " + text[error.offset + 2 :]
        span_of = self.source.finder(node.span, node.string)
        for reference in good:
            yield reference, span_of(reference.text, reference.offset)

    def script(self, site: Site) -> Iterator[Problem]:
        """In a script nothing is replaced: the shell would see the reference as it stands."""
        text = site.run.string
        all_found = [(found[0], found.start()) for found in _IN_SCRIPT.finditer(text)]
        if not all_found:
            return
        from sagactl.definition.handing_over import in_place, uses, whole  # Right files need it not.

        held = {name: value.text for name, value in site.env.items()}
        span_of = self.source.finder(site.run.span, text)
        all_uses = uses(text, all_found, held)
        wrong = {each: self.wrong(each, site.run.span) for each in dict.fromkeys(use.reference for use in all_uses)}
        action = "" if any(wrong.values()) else whole(text, all_uses, held, site.phase)
        for use in all_uses:
            told = wrong[use.reference]
            hint = f"hand it over as a variable, in `env`; but it is wrong there too:\n{told}" if told else \
                action or in_place(use, held)
            yield Problem(code="SG407", span=span_of(use.reference, use.offset), help=hint,
                          message=f"{shown(use.reference)} in a shell script: values never become part of a program")

    def wrong(self, text: str, span: Span) -> str:
        """What is wrong with a reference in a script beside its place; empty when nothing is."""
        try:
            found: Reference | str = references(text)[0]
        except TemplateError:
            found = text
        told = next(self.value(found, span), None)
        return f"{told.message};\n{told.help}" if told else ""


def _meant(text: str, known: _Known) -> str:
    """What somebody who wrote this may have had in mind: `${{ inputs.X }}`, `${X}`, `${steps.S.O}`."""
    if known.has(text):
        return "choose another name for it, here and where it is declared"
    *above, last = re.split(r"[.:\s\[\]'\"]+", text[:LINE_SHOWN_MAX].strip("${}[]'\" ?"))
    if above[:1] == ["secrets"]:
        return f"a secret is a variable of the steps that name it: write `secrets: [{last}]`"
    if above[:1] == ["env"] and len(above) == 1:
        is_name = re.fullmatch(r"[A-Za-z_]\w*", last, re.ASCII)
        return f"write ${{env.{last}}}, in an `env` value" if is_name else _VARIABLES
    if len(above) in (1, 2, 3) and above[0] in _STEPS and above[1:2] and above[1] in known.place_of:
        outputs = output_names(known.steps[known.place_of[above[1]]])
        named = closest(last, outputs) or (last if re.fullmatch(r"[a-z][a-z0-9_]*", last) else "")
        written = f"${{steps.{above[1]}.outputs.{named}}}"
        return f"write {written}" if named and written != text else _NAMES
    if len(above) == 1 and above[0] in known.place_of and last in output_names(known.steps[known.place_of[above[0]]]):
        return f"write ${{steps.{above[0]}.outputs.{last}}}"
    if last.lower() in (known.params or ()) and (not above or above[0] in _PARAMS):
        return f"write ${{params.{last.lower()}}}"
    return _FORMS


def output_names(step: Node) -> tuple[str, ...]:
    """The outputs that a step declares, in order."""
    node = step.get("outputs")
    return (*node.fields, *(item.string for item in node.items)) if node else ()
