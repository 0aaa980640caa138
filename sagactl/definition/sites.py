"""Each command of each step with all that it inherits, still as nodes: the one place that knows what overrides what.

env, cwd: command over step over saga. Settings: command over step (its action only) over `defaults`. Whether the
values are right is for others to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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


def sites(root: Node, step: Node) -> tuple[Site, ...]:
    """The commands of a step, action first. A manual undo and `none` are no commands."""
    return tuple(site for phase in Phase if (site := _site(root, step, phase)))


def _site(root: Node, step: Node, phase: Phase) -> Site | None:
    node = step.get(phase)
    if node is None or (phase is Phase.UNDO and (node.value == "none" or node.get("manual"))):
        return None
    own = node.fields
    defaults = {name: value for name, value in root.under("defaults").items() if name in TUNING}
    of_step = {name: step.fields[name] for name in OF_THE_ACTION if phase is Phase.ACTION and name in step.fields}
    of_command = {name: own[name] for name in OF_THE_ACTION if name in own}
    return Site(
        phase=phase,
        run=own.get("run") or node,
        settings={**defaults, **of_step, **of_command},
        env={**root.under("env"), **step.under("env"), **node.under("env")},
        cwd=node.get("cwd") or step.get("cwd") or root.get("cwd"),
    )
