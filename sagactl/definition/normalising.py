"""The tree to the model: every default filled in, everything inherited written out. Only for a tree without errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from sagactl.definition.durations import seconds
from sagactl.definition.graph import id_of, needs_of, places
from sagactl.definition.param_rules import type_of
from sagactl.definition.rules import on_failure
from sagactl.definition.sites import Commands, Site, is_repeatable, sites
from sagactl.definition.tree import Node
from sagactl.model import (
    Argv,
    Command,
    Definition,
    Jitter,
    ManualUndo,
    NothingToUndo,
    OnInterrupt,
    Output,
    Phase,
    RetryPolicy,
    Run,
    Script,
    SecretSource,
    Step,
)

BUILT_IN: Final[Mapping[Phase, tuple[float, int]]] = {
    Phase.ACTION: (300.0, 0),
    Phase.UNDO: (300.0, 3),
    Phase.CHECK: (60.0, 2),
}
"""Seconds of the timeout and number of retries of a command about which nobody says anything."""


def normalise(root: Node) -> Definition:
    """The definition of a tree in which no rule is broken."""
    steps = root.under_items("steps")
    needs = needs_of(steps, places(steps))
    timeout = root.get("timeout")
    return Definition(
        saga=_string(root, "saga"),
        description=_string(root, "description"),
        params={name: _param(rule) for name, rule in root.under("params").items()},
        secrets={
            name: SecretSource(env=_string(node, "env"), file=_string(node, "file"))
            for name, node in root.under("secrets").items()
        },
        timeout_s=seconds(timeout.string) if timeout else None,
        steps=tuple(
            _step(root, step, commands, tuple(id_of(steps[need]) for need in needed))
            for step, commands, needed in zip(steps, sites(root), needs, strict=True)
        ),
    )


def _param(rule: Node) -> Mapping[str, Any]:
    """The rule with its type written out, at every depth."""
    plain: dict[str, Any] = {"type": type_of(rule), **rule.plain()}
    if items := rule.get("items"):
        plain["items"] = _param(items)
    return plain


def _step(root: Node, step: Node, found: Commands, needs: tuple[str, ...]) -> Step:
    commands = {site.phase: _command(site) for site in found}
    return Step(
        id=id_of(step),
        description=_string(step, "description"),
        action=commands[Phase.ACTION],
        undo=commands.get(Phase.UNDO) or _undo_without_command(step),
        check=commands.get(Phase.CHECK),
        needs=needs,
        outputs=_outputs(step.get("outputs")),
        secrets=tuple(item.string for item in step.under_items("secrets")),
        undo_if_failed=_flag(step, "undo_if_failed"),
        on_failure=on_failure(root, step),
        on_interrupt=_on_interrupt(step),
        pivot=_flag(step, "pivot"),
    )


def _undo_without_command(step: Node) -> ManualUndo | NothingToUndo | None:
    undo = step.get("undo")
    if undo is None:
        return None
    return ManualUndo(text=_string(undo, "manual")) if undo.fields else NothingToUndo()


def _on_interrupt(step: Node) -> OnInterrupt:
    """The step's own word; else `retry` where the step itself (no default) calls its action safe to repeat."""
    if node := step.get("on_interrupt"):
        return OnInterrupt(node.string)
    return OnInterrupt.RETRY if is_repeatable(step) else OnInterrupt.ESCALATE


def _command(site: Site) -> Command:
    timeout_s, max_retries = BUILT_IN[site.phase]
    told = _Settings(site.settings)
    policy, bare = RetryPolicy(), Command(run=Script(text=""))
    return Command(
        run=_run(site.run),
        timeout_s=told.get("timeout", seconds, timeout_s),
        kill_after_s=told.get("kill_after", seconds, bare.kill_after_s),
        retry=RetryPolicy(
            max_retries=told.get("max_retries", int, max_retries),
            delay_s=told.get("retry_delay", seconds, policy.delay_s),
            backoff=told.get("retry_backoff", float, policy.backoff),
            max_delay_s=told.get("retry_max_delay", seconds, policy.max_delay_s),
            jitter=told.get("retry_jitter", Jitter, policy.jitter),
            exit_codes=told.get("retry_on", tuple, policy.exit_codes),
        ),
        env={name: node.text for name, node in site.env.items()},
        cwd=site.cwd.string if site.cwd else bare.cwd,
        stdin=told.get("stdin", str, bare.stdin),
    )


class _Settings:
    def __init__(self, nodes: Mapping[str, Node]) -> None:
        self.nodes = nodes

    def get(self, name: str, make: Callable[[Any], Any], default: Any) -> Any:
        """What someone said, made a value of the model; else the default."""
        return make(self.nodes[name].plain()) if name in self.nodes else default


def _run(node: Node) -> Run:
    """Words are taken as they were typed: `1.10` stays `1.10`."""
    return Argv(words=tuple(item.text for item in node.items)) if node.items else Script(text=node.string)


def _outputs(node: Node | None) -> Mapping[str, Output]:
    if node is None:
        return {}
    if node.items:
        return {item.string: Output() for item in node.items}
    return {name: _output(output) for name, output in node.fields.items()}


def _output(node: Node) -> Output:
    from_stdout = _string(node, "from") == "stdout"
    return Output(pointer=_string(node, "pointer") if from_stdout else None, empty_allowed=_flag(node, "empty"))


def _string(node: Node, name: str) -> str:
    found = node.get(name)
    return found.string if found else ""


def _flag(node: Node, name: str) -> bool:
    found = node.get(name)
    return found is not None and found.value is True
