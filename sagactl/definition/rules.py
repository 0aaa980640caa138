"""What a schema can't say: rules between the fields of a definition. Each rule is a generator of problems.

They hold on whatever the tree is; what is of the wrong kind has been reported by shape.py and is passed over here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from graphlib import CycleError

from sagactl.definition.diagnostics import Problem, Source, did_you_mean, shown
from sagactl.definition.graph import before, id_of, needs_of, places, problems_of_needs
from sagactl.definition.param_rules import problems_of_params
from sagactl.definition.sites import OF_THE_ACTION
from sagactl.definition.tree import Node
from sagactl.model import OnFailure


def problems_of_rules(source: Source, root: Node) -> Iterator[Problem]:
    """All problems between fields, references excepted (references.py)."""
    steps = root.under_items("steps")
    place_of = places(steps)
    yield from _repeated_ids(source, steps)
    yield from problems_of_needs(steps, place_of)
    yield from _pivots(steps, needs_of(steps, place_of))
    yield from problems_of_params(root)
    for step in steps:
        yield from _undo_of_what_goes_on(root, step)
        yield from _secrets(root, step)
        yield from _said_twice(step)
        yield from _none_that_is_no_word(step)
        yield from _variable_and_secret(root, step)
    for secret in root.under("secrets").values():
        file = secret.get("file")
        if file and "${" in file.string:
            yield Problem(code="SG406", span=file.span, message="the file of a secret takes no reference",
                          help="write the path out")


def on_failure(root: Node, step: Node) -> OnFailure:
    """What holds for a step: its own word, else that of `defaults`, else `compensate`."""
    node = step.get("on_failure") or root.under("defaults").get("on_failure")
    known = node is not None and node.value in tuple(OnFailure)
    return OnFailure(node.string) if node and known else OnFailure.COMPENSATE


def _repeated_ids(source: Source, steps: Sequence[Node]) -> Iterator[Problem]:
    place_of = places(steps)
    for place, step in enumerate(steps):
        node = step.get("id")
        if node and node.string and place_of[node.string] != place:
            line, column = source.place(steps[place_of[node.string]].fields["id"].span)
            message = f"{shown(node.string)} is the id of two steps: first at {line}:{column}, again here"
            yield Problem(code="SG301", span=node.span, message=message, help="ids are unique: rename one of the two")


def _pivots(steps: Sequence[Node], needs: Sequence[tuple[int, ...]]) -> Iterator[Problem]:
    """A pivot comes before or after every other step: else one of them could fail beside it, with no way back."""
    pivots = [place for place, step in enumerate(steps) if (node := step.get("pivot")) and node.value is True]
    try:
        earlier = before(needs) if pivots else []
    except CycleError:
        return
    for pivot in pivots:
        beside = [
            f"`{id_of(step)}`" for other, step in enumerate(steps)
            if other != pivot and not earlier[pivot] >> other & 1 and not earlier[other] >> pivot & 1
        ]
        if beside:
            more = f" and {len(beside) - 3} more" if len(beside) > 3 else ""
            message = f"the pivot `{id_of(steps[pivot])}` is not ordered against {', '.join(beside[:3])}{more}"
            yield Problem(code="SG305", span=steps[pivot].fields["pivot"].head, message=message,
                          help="let each other step need it, or let it need them")


def _undo_of_what_goes_on(root: Node, step: Node) -> Iterator[Problem]:
    undo = step.get("undo")
    if on_failure(root, step) is OnFailure.CONTINUE and (undo is None or undo.value != "none"):
        said = step.get("on_failure") or undo or step
        yield Problem(code="SG304", span=said.span if said is not step else step.head,
                      message=f"`{id_of(step)}` has `on_failure: continue`, which requires `undo: none`",
                      help="a step whose failure does not matter leaves nothing to undo: write `undo: none`, or "
                           "another `on_failure`")


def _secrets(root: Node, step: Node) -> Iterator[Problem]:
    declared = root.under("secrets")
    for item in step.under_items("secrets"):
        if item.string and item.string not in declared:
            hint = did_you_mean(item.string, declared) or "declare it under the `secrets` of the saga"
            yield Problem(code="SG306", span=item.span, message=f"no secret {shown(item.string)} is declared",
                          help=hint)


def _said_twice(step: Node) -> Iterator[Problem]:
    """A setting of the step that its action says too would have no effect."""
    for name, node in step.under("action").items():
        if name in OF_THE_ACTION and name in step.fields:
            yield Problem(code="SG208", span=node.head, message=f"`{name}` is said by the step and by its action",
                          help="the step's is its action's: keep one of the two")


def _none_that_is_no_word(step: Node) -> Iterator[Problem]:
    """`undo: none` has a meaning; elsewhere `none` would be a program of that name."""
    for name in ("action", "check"):
        node = step.get(name)
        if node and node.value == "none":
            yield Problem(code="SG208", span=node.span, message=f"`{name}: none` would run a program called `none`",
                          help="leave the field out" if name == "check" else "`true` is the command that does nothing")


def _variable_and_secret(root: Node, step: Node) -> Iterator[Problem]:
    """A secret reaches a command under its name: a variable of that name would have no effect."""
    secrets = {item.string for item in step.under_items("secrets")}
    commands = [step, *(step.get(name) for name in ("action", "undo", "check"))]
    for holder in (root, *commands):
        for name, node in (holder.under("env") if holder else {}).items():
            if name in secrets:
                yield Problem(code="SG208", span=node.head, message=f"`{name}` is a secret of `{id_of(step)}` too",
                              help="give one of the two another name")
