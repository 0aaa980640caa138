"""Warnings about what a definition says without effect, or leaves unsaid: what nothing uses, what can never happen.

Each of these sagas can be run; its author probably meant something else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from sagactl.definition.code_places import program
from sagactl.definition.diagnostics import Note, Problem, Source, shown
from sagactl.definition.graph import before, id_of, named, needs_of, places
from sagactl.definition.references import output_names
from sagactl.definition.rules import on_failure
from sagactl.definition.sites import Commands, Site, is_repeatable, retries
from sagactl.definition.tree import Node
from sagactl.model import OnFailure, Phase

_USE = re.compile(r"\$\{(?:params\.(?P<param>\w{1,63})|steps\.(?P<step>[\w-]{1,63})\.outputs\.(?P<output>\w{1,63}))")
_SURE = re.compile(r"\$\{steps\.(?P<step>[\w-]{1,63})\.outputs\.(?P<output>\w{1,63})\}")
_READERS = frozenset((
    "true", ":", "test", "[", "[[", "grep", "cmp", "diff", "stat", "ls", "find", "pgrep", "curl", "git", "docker",
    "kubectl", "psql", "sqlite3",
))
"""A check by these programs gives no output, unless it says where to."""
_KEPT = ";\nfine if `run --each --id-from` makes `${saga.id}` of it: `validate --ignore SG506`"


def problems_of_effects(source: Source, root: Node, all_commands: Sequence[Commands]) -> Iterator[Problem]:
    """All warnings that concern more than the text of one command."""
    order = _Order.of(root)
    for place, (step, commands) in enumerate(zip(order.steps, all_commands, strict=True)):
        for site in commands:
            yield from _undo_in_doubt(source, step, site, named(step, place))
        if order.known:
            yield from _undos(root, step, named(step, place), pivot=order.pivot_before(place))
            yield from _once_past_the_pivot(root, step, place, order, commands)
    yield from _after_a_check(source, root, order, all_commands)
    yield from _unused(root, order)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Order:
    """The steps and what comes before each; nothing is `known` of that where they need each other in a circle."""

    steps: Sequence[Node]
    earlier: Sequence[int]
    pivots: Sequence[int]
    known: bool

    @classmethod
    def of(cls, root: Node) -> _Order:
        """A pivot with `on_failure: continue` may be skipped, and then there is a way back: it counts for nothing."""
        steps = root.under_items("steps")
        pivots = [place for place, step in enumerate(steps) if (node := step.get("pivot")) and node.value is True
                  and on_failure(root, step) is not OnFailure.CONTINUE]
        try:
            earlier, known = before(needs_of(steps, places(steps))), True
        except ValueError:  # A circle.
            earlier, known = [], False
        return cls(steps=steps, earlier=earlier, pivots=pivots, known=known)

    def pivot_before(self, place: int) -> Node | None:
        """A pivot that has committed before this step starts."""
        return next((self.steps[pivot] for pivot in self.pivots if self.earlier[place] >> pivot & 1), None)

    def is_last(self, place: int) -> bool:
        """No step comes after this one."""
        return not any(earlier >> place & 1 for earlier in self.earlier)


def _undos(root: Node, step: Node, name: str, *, pivot: Node | None) -> Iterator[Problem]:
    """Steps that can't be undone by anyone's word. What comes after a pivot never is, so it needs no undo; one with
    `on_failure: continue` has to say `undo: none`, and has been told.
    """
    undo = step.get("undo")
    if undo is None and on_failure(root, step) is OnFailure.CONTINUE:
        return
    if pivot is None and undo is None and step.fields:
        yield Problem(code="SG501", span=step.head, message=f"{name} has no `undo`",
                      help="write `undo: none` where there is nothing to undo; else a saga that has to undo it "
                           "escalates")
    elif pivot is not None and undo is not None and undo.value != "none":
        note = Note(span=pivot.fields["pivot"].head, message="the pivot")
        yield Problem(code="SG509", span=undo.head, message=f"{name} comes after the pivot, so its undo never runs",
                      help="leave it out; or move the step before the pivot", notes=(note,))


def _once_past_the_pivot(
    root: Node, step: Node, place: int, order: _Order, commands: Commands,
) -> Iterator[Problem]:
    """There is no way back: a failure here has only retries between it and a person."""
    pivot = order.pivot_before(place)
    if pivot is None or on_failure(root, step) is not OnFailure.COMPENSATE:
        return
    if any(site.phase is Phase.ACTION and not retries(site) for site in commands):
        note = Note(span=pivot.fields["pivot"].head, message="the pivot")
        yield Problem(code="SG510", span=step.head, notes=(note,),
                      message=f"{named(step, place)} comes after the pivot and is tried only once",
                      help="there is no way back when it fails, only a person: give it `max_retries`")


def _undo_in_doubt(source: Source, step: Node, site: Site, name: str) -> Iterator[Problem]:
    """An action in doubt may have taken effect and written nothing; a `check` can tell, and then it has outputs. One
    that is repeatable gets another attempt, which writes them.
    """
    if site.phase is not Phase.UNDO or step.get("check") or is_repeatable(step):
        return
    undo = step.under("undo")
    texts = (*site.run.items, *(undo[name] for name in ("cwd", "stdin") if name in undo),
             *(undo["env"].fields.values() if "env" in undo else ()))
    for node in texts:
        for found in _SURE.finditer(node.string if "${steps." in node.string else ""):
            if found["step"] != id_of(step) or found["output"] not in output_names(step):
                continue
            span = source.finder(node.span, node.string)(found[0], found.start())
            message = f"when {name} is in doubt it may have no `{found['output']}`, and its undo is not run"
            yield Problem(code="SG511", span=span, message=message,
                          help=f"write `{found[0][:-1]}?}}` and let the undo cope with an empty text,\n"
                               f"or give the step a `check` that writes the output;\n"
                               f"or `max_retries`, where its action is safe to repeat")


def _after_a_check(
    source: Source, root: Node, order: _Order, all_commands: Sequence[Commands],
) -> Iterator[Problem]:
    """Outputs that commands need, of steps whose check can find the effect and gives no output. An action that is lost
    without harm (`on_failure: continue`) may need them.
    """
    missed = {(id_of(step), output): mended for step, commands in zip(order.steps, all_commands, strict=True)
              for site in commands if site.phase is Phase.CHECK for output, mended in _not_given_by(step, site)}
    seen: set[Node] = set()
    for step, commands in zip(order.steps, all_commands, strict=True) if missed else ():
        for site in commands:
            if site.phase is Phase.CHECK or on_failure(root, step) is OnFailure.CONTINUE:
                continue
            texts = (*site.run.items, site.cwd, site.settings.get("stdin"), *site.env.values())
            own = [node for node in texts if node and node not in seen]
            seen.update(own)  # all commands share what the saga says
            for node in own:
                for found in _SURE.finditer(node.string if "${steps." in node.string else ""):
                    if (found["step"], found["output"]) in missed:
                        yield Problem(
                            code="SG516", span=source.finder(node.span, node.string)(found[0], found.start()),
                            message=f"when its `check` finds the effect, {shown(found['step'])} may have no "
                                    f"`{found['output']}`, and this is not run",
                            help=f"{missed[found['step'], found['output']]}; or write `{found[0][:-1]}?}}`\n"
                                 f"and let the command cope with an empty text")


def _not_given_by(step: Node, check: Site) -> Iterator[tuple[str, str]]:
    """The outputs of a step that its check surely does not give, those printed by the action or all; what mends it."""
    words = [item.text for item in check.run.items] or check.run.string.split()
    reads = program(words[0] if words else "") in _READERS and not any("SAGA_OUTPUT_DIR" in word for word in words)
    outputs = step.under("outputs")
    for name in output_names(step):
        if name in outputs and "pointer" in outputs[name].fields:
            yield name, "let the action write it into a file before it takes effect"
        elif reads:
            yield name, f"let the check write it into $SAGA_OUTPUT_DIR/{name}"


def _unused(root: Node, order: _Order) -> Iterator[Problem]:
    """Parameters, outputs and secrets that are declared and that no command gets."""
    texts = list(_texts(root))
    params, outputs = _uses(texts)
    kept = _KEPT if any("${saga.id" in text for text in texts) else ""
    for name, rule in root.under("params").items():
        if name not in params:
            yield Problem(code="SG506", span=rule.head, message=f"nothing uses the parameter {shown(name)}",
                          help=f"write `${{params.{name}}}` where it is needed, or leave it out{kept}")
    unclear = any(step.is_unclear("secrets", tuple) for step in order.steps)
    named_secrets = {item.string for step in order.steps for item in step.under_items("secrets")}
    for name, secret in {} if unclear else root.under("secrets").items():
        if name not in named_secrets:
            yield Problem(code="SG508", span=secret.head, message=f"no step gets the secret {shown(name)}",
                          help=f"write `secrets: [{name}]` at the step that needs it, or leave it out")
    for place, step in enumerate(order.steps):
        node = step.get("outputs")
        if node is None or step.get("check") or (order.known and order.is_last(place)):
            continue  # A check may read them; those of the last steps are what the saga gives.
        for output in (*node.fields.values(), *node.items):
            name = output.string or next((key for key, each in node.fields.items() if each is output), "")
            if (id_of(step), name) not in outputs:
                written = f"${{steps.{id_of(step)}.outputs.{name}}}"
                yield Problem(code="SG507", span=output.head, message=f"nothing uses the output {shown(name)}",
                              help=f"write `{written}` where it is needed, or leave it out")


def _texts(root: Node) -> Iterator[str]:
    """Each text that may hold references."""
    left = [root]
    while left:
        value = left.pop().value
        if isinstance(value, dict):
            left += value.values()
        elif isinstance(value, tuple):
            left += value
        elif isinstance(value, str) and "${" in value:
            yield value


def _uses(texts: Iterable[str]) -> tuple[set[str], set[tuple[str, str]]]:
    """The parameters and the outputs (step, name) that any text refers to."""
    found = [each for text in texts for each in _USE.finditer(text)]
    return {each["param"] or "" for each in found}, {(each["step"] or "", each["output"] or "") for each in found}
