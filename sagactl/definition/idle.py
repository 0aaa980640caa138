"""Warnings about settings that are right as they stand and change nothing, since nobody takes them or time is up first.

Each of these sagas can be run; its author probably meant something else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sagactl.definition.diagnostics import Note, Problem, Source, shown
from sagactl.definition.durations import seconds
from sagactl.definition.sites import TUNING, Commands, Site, retries
from sagactl.definition.tree import Node
from sagactl.model import Phase, RetryPolicy


def problems_of_idle(_: Source, root: Node, all_commands: Sequence[Commands]) -> Iterator[Problem]:
    """All of them."""
    for step, commands in zip(root.under_items("steps"), all_commands, strict=True):
        yield from _undo_of_nothing(step)
        for site in commands:
            yield from _retries_without_retries(step, site)
            yield from _longer_than_deadline(root, site)
    if all_commands:
        yield from _defaults(root.under("defaults"), [site for commands in all_commands for site in commands])
    for rule in root.under("params").values():
        yield from _of_items(rule)


def _undo_of_nothing(step: Node) -> Iterator[Problem]:
    node, undo = step.get("undo_if_failed"), step.get("undo")
    if node and node.value is True and undo and undo.value == "none":
        yield Problem(code="SG514", span=node.head, help="leave it out, or write what undoes what was done half",
                      message="`undo_if_failed` changes nothing: there is nothing to undo",
                      notes=(Note(span=undo.span, message="this says so"),))


def _retries_without_retries(step: Node, site: Site) -> Iterator[Problem]:
    """Settings of retries by the step or the command itself; those of `defaults` are for whoever has retries."""
    own = (step.get(site.phase) or step).fields
    for name in TUNING:
        node = own.get(name) or (step.get(name) if site.phase is Phase.ACTION else None)
        if node is None or not name.startswith("retry_"):
            continue
        if _is_of_a_check(site, name):
            yield Problem(code="SG514", span=node.span, message="the `retry_on` of a check changes nothing",
                          help="leave it out: 0 and 1 are the answers of a check, and after all else it is asked again")
        elif not retries(site):
            yield Problem(code="SG505", span=node.span, message=f"`{name}` has no effect: there are no retries",
                          help="write `max_retries: 3` beside it, or leave it out")


def _is_of_a_check(site: Site, name: str) -> bool:
    return site.phase is Phase.CHECK and name == "retry_on"


def _longer_than_deadline(root: Node, site: Site) -> Iterator[Problem]:
    """The deadline is for all that goes forward: a longer time within that is never reached."""
    deadline = root.get("timeout")
    if deadline is None or site.phase is Phase.UNDO or _seconds(deadline) <= 0:
        return
    note = Note(span=deadline.span, message="the deadline of the saga")
    hint = "shorten it, or give the saga more time"
    timeout, delay = site.settings.get("timeout"), site.settings.get("retry_delay")
    if timeout and _seconds(timeout) > _seconds(deadline):
        yield Problem(code="SG504", span=timeout.span, notes=(note,), help=hint,
                      message=f"{shown(timeout.text)} is longer than the whole saga may take")
    most = site.settings.get("retry_max_delay")
    most_s = _seconds(most) if most else RetryPolicy().max_delay_s
    if delay and retries(site) and min(_seconds(delay), most_s) > _seconds(deadline):
        yield Problem(code="SG504", span=delay.span, notes=(note,), help=hint,
                      message=f"a retry after {shown(delay.text)} comes when the time of the saga is over")


def _seconds(node: Node) -> float:
    try:
        return seconds(node.string)
    except ValueError:
        return 0.0


def _defaults(defaults: Mapping[str, Node], commands: Sequence[Site]) -> Iterator[Problem]:
    for name, node in defaults.items():
        if name in TUNING and not any(_takes(site, name, node) for site in commands):
            of_retries = name.startswith("retry_")
            what = "no command that has retries takes it" if of_retries else "each command says its own"
            hint = "leave it out; or write `max_retries: 3` beside it" if of_retries else "leave it out"
            yield Problem(code="SG514", span=node.head, message=f"`{name}` changes nothing: {what}", help=hint)


def _takes(site: Site, name: str, node: Node) -> bool:
    """Does a command take a setting of `defaults`, and to some effect?"""
    if site.settings.get(name) is not node or _is_of_a_check(site, name):
        return False
    return retries(site) or not name.startswith("retry_")


def _of_items(rule: Node) -> Iterator[Problem]:
    """An item has no default, as it is there or is not; and nobody is shown what is said about it."""
    items = rule.get("items")
    if items is None:
        return
    for name in ("default", "description"):
        if node := items.get(name):
            yield Problem(code="SG514", span=node.head, message=f"the `{name}` of an item changes nothing",
                          help=f"the parameter itself may have a `{name}`: write it there, or leave it out")
    yield from _of_items(items)
