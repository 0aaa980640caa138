"""Which step comes before which: `needs` as the author wrote them, made explicit and minimal.

Steps are numbers here, their places in the file. Knows nothing about what steps do.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter

from sagactl.definition.diagnostics import Note, Problem, did_you_mean, shown
from sagactl.definition.tree import Node

NAMES_SHOWN_MAX = 6
CIRCLES_MAX = 10
"""Nobody reads more, and to look for one takes 30 ms in a hostile file."""


def places(steps: Sequence[Node]) -> dict[str, int]:
    """The place of each step by its id; the first where two have the same."""
    found: dict[str, int] = {}
    for place, step in enumerate(steps):
        if name := id_of(step):
            found.setdefault(name, place)
    return found


def id_of(step: Node) -> str:
    """The id of a step; empty where it has none."""
    node = step.get("id")
    return node.string if node else ""


def named(step: Node, place: int) -> str:
    """How a message calls a step."""
    return shown(id_of(step)) if id_of(step) else f"step {place + 1}"


def needs_of(steps: Sequence[Node], place_of: Mapping[str, int]) -> list[tuple[int, ...]]:
    """What each step needs, in order of the file; ids that no step has are left out.

    A step without `needs` needs every step above it. That is written as those steps above that no other step above
    needs: all others come before these. So a file of n steps gives no more than n such entries. The same holds beside
    what could not be read of `needs`, which has been reported: nothing else is said for want of it.
    """
    found: list[tuple[int, ...]] = []
    last: dict[int, None] = {}
    needed: set[int] = set()
    for place, step in enumerate(steps):
        given = step.get("needs")
        named = {place_of[item.string] for item in step.under_items("needs") if item.string in place_of}
        if given is None or len(named) < len(given.items) or step.is_unclear("needs", tuple):
            named |= last.keys()
        needs = tuple(sorted(named))
        found.append(needs)
        needed.update(needs)
        for need in needs:
            last.pop(need, None)
        if place not in needed:
            last[place] = None
    return found


def before(needs: Sequence[tuple[int, ...]]) -> list[int]:
    """For each step the set of all steps that come before it, as bits.

    Raises:
        CycleError: steps need each other in a circle.
    """
    sets = [0] * len(needs)
    for place in TopologicalSorter(dict(enumerate(needs))).static_order():
        for need in needs[place]:
            sets[place] |= sets[need] | 1 << need
    return sets


def problems_of_needs(steps: Sequence[Node], place_of: Mapping[str, int]) -> Iterator[Problem]:
    """Needs of steps that do not exist, and circles."""
    for step in steps:
        given = step.get("needs")
        for item in given.items if given else ():
            if item.string and item.string not in place_of:
                others = [name for name in place_of if name != id_of(step)]
                yield Problem(code="SG302", span=item.span, message=f"no step has the id {shown(item.string)}",
                              help=did_you_mean(item.string, others, "other steps"))
    for circle in _circles(steps, place_of):
        yield _circle(steps, circle)


def _circles(steps: Sequence[Node], place_of: Mapping[str, int]) -> Iterator[list[int]]:
    """Circles: each step needs the next, and the first stands again at the end. Of each, the last need that somebody
    wrote is left out, and the rest is looked at again. What is left after CIRCLES_MAX is not told.

    A step that says nothing needs all above it: a knot for each place, which needs that step and the knot above.
    """
    count = len(steps)
    left: dict[int, set[int]] = {}
    for place, step in enumerate(steps):
        above = {count + place - 1} if place else set()
        given = step.get("needs")
        left[place] = {place_of[item.string] for item in given.items if item.string in place_of} if given else above
        left[count + place] = {place, *above}
    for _ in range(CIRCLES_MAX):
        try:
            TopologicalSorter(left).prepare()
        except CycleError as error:
            circle = [place for place in reversed(error.args[1][1:]) if place < count]
            first = circle.index(min(circle))
            circle = [*circle[first:], *circle[: first + 1]]
            yield circle
            pairs = [pair for pair in itertools.pairwise(circle) if pair[1] in left[pair[0]]]
            left[pairs[-1][0]].discard(pairs[-1][1])
        else:
            return


def _circle(steps: Sequence[Node], circle: Sequence[int]) -> Problem:
    """The problem of one circle, at the first need of it that somebody wrote; the others are further places."""
    names = [f"`{id_of(steps[place]) or place + 1}`" for place in circle]
    chain = names if len(names) <= NAMES_SHOWN_MAX else [*names[: NAMES_SHOWN_MAX - 1], "…", names[-1]]
    pairs = list(itertools.pairwise(circle))
    written = [item for pair in pairs if (item := _need(steps, *pair))]
    silent = next((place for place, _ in pairs if not steps[place].get("needs")), None)
    hint = "leave it out" if len(pairs) == 1 else "leave one of these needs out"
    message = f"{names[0]} needs itself" if len(pairs) == 1 else f"{' needs '.join(chain)}: none of them can start"
    if silent is not None:
        hint = f"{names[circle.index(silent)]} has no `needs`, so it needs every step above it: say what it needs"
    notes = tuple(Note(span=item.span, message="and this") for item in written[1:NAMES_SHOWN_MAX])
    return Problem(code="SG303", span=written[0].span if written else steps[circle[0]].head, help=hint, notes=notes,
                   message=message)


def _need(steps: Sequence[Node], place: int, needed: int) -> Node | None:
    """Where the step at `place` says that it needs another; None where it does not say so."""
    return next((item for item in steps[place].under_items("needs") if item.string == id_of(steps[needed])), None)
