"""The README's generated parts: the state diagrams and the exit codes. `python -m tests.generated` writes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sagactl.core.codec import NAMES
from sagactl.core.states import SAGA_TABLE, STEP_TABLE, History, SagaState, StepState
from sagactl.errors import EXIT_CODES

README = Path(__file__).parents[1] / "README.md"
_NAME = {kind: name for name, kind in NAMES.items()}


def mermaid(table: Mapping[Any, Mapping[Any, Any]], first: str) -> str:
    """One arrow for each pair of states, labelled with the events that lead there; rows that stay are left out."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for state, row in table.items():
        for kind, to in row.items():
            targets = before(state) if isinstance(to, History) else [to]
            for target in targets:
                if target != state:
                    arrows.setdefault((state, target), []).append(_NAME[kind])
    lines = [f"    {a} --> {b}: {', '.join(sorted(names))}" for (a, b), names in arrows.items()]
    return "\n".join(["```mermaid", "stateDiagram-v2", f"    [*] --> {first}", *lines, "```"])


def before(state: StepState) -> list[StepState]:
    """The states that lead to `state`: where its history state can lead back to."""
    return [each for each, row in STEP_TABLE.items() if state in row.values() and each is not state]


def exit_codes() -> str:
    """The table of exit codes."""
    rows = [f"| {code} | {name} | {meaning} |" for code, (name, meaning) in EXIT_CODES.items()]
    return "\n".join(["| code | name | when |", "|---|---|---|", *rows])


def drawn() -> dict[str, str]:
    """What is generated, by the name that marks its place in the README."""
    return {
        "exit codes": exit_codes(),
        "saga diagram": mermaid(SAGA_TABLE, SagaState.RUNNING),
        "step diagram": mermaid(STEP_TABLE, StepState.PENDING),
    }


def with_generated(text: str) -> str:
    """The README's text with its generated parts as the code has them."""
    for name, diagram in drawn().items():
        place = re.compile(rf"(<!-- {name} -->\n)(?:.*?\n)??(<!-- end -->)", re.DOTALL)
        text = place.sub(lambda found, diagram=diagram: found[1] + diagram + "\n" + found[2], text)  # type: ignore[misc]
    return text


if __name__ == "__main__":
    README.write_text(with_generated(README.read_text()))
