"""Each command of each step with all that it inherits, still as nodes: the one place that knows what overrides what.

env, cwd: command over step over saga. Settings: command over step (its action only) over `defaults`. Whether the
values are right is for others to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from sagactl.definition.tree import Node
from sagactl.model import Phase

TUNING = (
    "timeout", "max_retries", "retry_delay", "retry_backoff", "retry_max_delay", "retry_jitter", "retry_on",
    "kill_after",
)  # fmt: skip
OF_THE_ACTION = (*TUNING, "stdin")
"""Fields of a step that are its action's."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Site:
    """One command. `run` is a list or a string; `settings` holds TUNING and `stdin` where someone says them."""

    phase: Phase
    run: Node
    settings: Mapping[str, Node]
    env: Mapping[str, Node]
    cwd: Node | None


Commands: TypeAlias = tuple[Site, ...]
"""Those of one step, action first. A manual undo and `none` are no commands."""


def sites(root: Node) -> list[Commands]:
    """The commands of each step."""
    defaults = {name: value for name, value in root.under("defaults").items() if name in TUNING}
    steps = root.under_items("steps")
    return [tuple(site for phase in Phase if (site := _site(root, defaults, step, phase))) for step in steps]


def retries(site: Site) -> bool:
    """Is a command tried again? Undo and check are, unless somebody says otherwise."""
    said = site.settings.get("max_retries")
    return site.phase is not Phase.ACTION if said is None else said.value != 0


def is_repeatable(step: Node) -> bool:
    """Does the step itself (no default) call its action safe to repeat, by giving it retries?"""
    said = step.get("max_retries") or step.under("action").get("max_retries")
    return said is not None and bool(said.value)


def _site(root: Node, defaults: Mapping[str, Node], step: Node, phase: Phase) -> Site | None:
    node = step.get(phase)
    if node is None or (phase is Phase.UNDO and (node.value == "none" or node.get("manual"))):
        return None
    own = node.fields
    of_step = {name: step.fields[name] for name in OF_THE_ACTION if phase is Phase.ACTION and name in step.fields}
    of_command = {name: own[name] for name in OF_THE_ACTION if name in own}
    return Site(
        phase=phase,
        run=own.get("run") or node,
        settings={**defaults, **of_step, **of_command},
        env={**root.under("env"), **step.under("env"), **node.under("env")},
        cwd=node.get("cwd") or step.get("cwd") or root.get("cwd"),
    )
