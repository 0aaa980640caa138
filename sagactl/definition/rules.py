"""What a schema can't say: rules between the fields of a definition. Each rule is a generator of problems.

They hold on whatever the tree is; what is of the wrong kind has been reported by shape.py and is passed over here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from graphlib import CycleError

from sagactl.definition.diagnostics import Note, Problem, Source, did_you_mean, shown
from sagactl.definition.graph import before, id_of, named, needs_of, places, problems_of_needs
from sagactl.definition.param_rules import problems_of_params
from sagactl.definition.sites import OF_THE_ACTION, Commands
from sagactl.definition.tree import Node
from sagactl.model import OnFailure

_NOTHING = ("none", "no", "yes", "null", "nil", "nothing", "n/a", "na", "skip", "-", "noop", "no-op", "nop", "off",
            "on")
_MANUAL = ("manual", "manuel", "manually", "human", "person", "operator")


def problems_of_rules(_: Source, root: Node, __: Sequence[Commands]) -> Iterator[Problem]:
    """All problems between fields, references excepted (references.py)."""
    steps = root.under_items("steps")
    place_of = places(steps)
    yield from _repeated_ids(steps)
    yield from problems_of_needs(steps, place_of)
    yield from _pivots(steps, needs_of(steps, place_of))
    yield from problems_of_params(root)
    for place, step in enumerate(steps):
        yield from _undo_of_what_goes_on(root, step, named(step, place))
        yield from _secrets(root, step)
        yield from _said_twice(step)
        yield from _words_that_are_no_commands(step)
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


def _repeated_ids(steps: Sequence[Node]) -> Iterator[Problem]:
    place_of = places(steps)
    for place, step in enumerate(steps):
        node = step.get("id")
        if node and node.string and place_of[node.string] != place:
            first = Note(span=steps[place_of[node.string]].fields["id"].span, message="first here")
            yield Problem(code="SG301", span=node.span, message=f"{shown(node.string)} is the id of two steps",
                          help="ids are unique: rename one of the two", notes=(first,))


def _pivots(steps: Sequence[Node], needs: Sequence[tuple[int, ...]]) -> Iterator[Problem]:
    """A pivot comes before or after every other step: else one of them could fail beside it, with no way back."""
    pivots = [place for place, step in enumerate(steps) if (node := step.get("pivot")) and node.value is True]
    try:
        earlier = before(needs) if pivots else []
    except CycleError:
        return
    for pivot in pivots:
        beside = [
            other for other in range(len(steps))
            if other != pivot and not earlier[pivot] >> other & 1 and not earlier[other] >> pivot & 1
        ]
        if beside:
            names = ", ".join(named(steps[other], other) for other in beside[:3])
            more = f" and {len(beside) - 3} more" if len(beside) > 3 else ""
            message = f"the pivot {named(steps[pivot], pivot)} is not ordered against {names}{more}"
            notes = tuple(Note(span=steps[other].head, message="may run beside it") for other in beside[:3])
            yield Problem(code="SG305", span=steps[pivot].fields["pivot"].head, message=message, notes=notes,
                          help="let each other step need it, or let it need them")


def _undo_of_what_goes_on(root: Node, step: Node, name: str) -> Iterator[Problem]:
    undo = step.get("undo")
    if on_failure(root, step) is OnFailure.CONTINUE and (undo is None or undo.value != "none"):
        said = step.get("on_failure") or undo or step
        notes = (Note(span=undo.head, message="this is its undo"),) if undo and undo is not said else ()
        yield Problem(code="SG304", span=said.span if said is not step else step.head,
                      message=f"{name} has `on_failure: continue`, which requires `undo: none`",
                      help="a step whose failure does not matter leaves nothing to undo: write `undo: none`, or "
                           "another `on_failure`", notes=notes)


def _secrets(root: Node, step: Node) -> Iterator[Problem]:
    declared = root.under("secrets")
    for item in () if root.is_unclear("secrets", dict) else step.under_items("secrets"):
        if item.string and item.string not in declared:
            name = item.string if len(item.string) <= 80 else "NAME"
            declaring = f"declare it at the top: `secrets: {{{name}: {{env: {name}}}}}`"
            yield Problem(code="SG306", span=item.span, message=f"no secret {shown(item.string)} is declared",
                          help=did_you_mean(item.string, declared) or declaring)


def _said_twice(step: Node) -> Iterator[Problem]:
    """A setting of the step that its action says too would have no effect."""
    for name, node in step.under("action").items():
        if name in OF_THE_ACTION and name in step.fields:
            other = Note(span=step.fields[name].head, message="this is the action's too")
            yield Problem(code="SG208", span=node.head, message=f"`{name}` is said by the step and by its action",
                          help="the step's is its action's: keep one of the two", notes=(other,))


def _words_that_are_no_commands(step: Node) -> Iterator[Problem]:
    """`undo: none` has a meaning; `undo: None`, `undo: [none]` or `action: none` would be a program of that name."""
    for name in ("action", "check"):
        node = step.get(name)
        if node and _lone_word(node) == "none":
            yield Problem(code="SG208", span=node.span, message=f"`{name}: none` would run a program called `none`",
                          help="leave the field out" if name == "check" else "`true` is the command that does nothing")
    undo = step.get("undo")
    if undo is None or undo.value == "none":
        return
    word = _lone_word(undo)
    if word.lower() in (*_NOTHING, *_MANUAL):
        hint = "write `undo: none`" if word.lower() in _NOTHING else "write `undo: {manual: WHAT A PERSON HAS TO DO}`"
        yield Problem(code="SG204", span=undo.span, message=f"this undo would run a program called {shown(word)}",
                      help=hint)


def _lone_word(command: Node) -> str:
    """The only word of a command; empty where it has several."""
    run = command.get("run") or command
    text = run.items[0].text if len(run.items) == 1 else run.string
    return text.strip() if len(text.split()) == 1 else ""


def _variable_and_secret(root: Node, step: Node) -> Iterator[Problem]:
    """A secret reaches a command under its name: a variable of that name would have no effect."""
    secrets = {item.string: item for item in step.under_items("secrets")}
    commands = [step, *(step.get(name) for name in ("action", "undo", "check"))]
    for holder in (root, *commands):
        for name, node in (holder.under("env") if holder else {}).items():
            if name in secrets:
                yield Problem(code="SG208", span=node.head, message=f"`{name}` is a secret of `{id_of(step)}` too",
                              help="give one of the two another name",
                              notes=(Note(span=secrets[name].span, message="the secret"),))
