"""The README's generated parts: fields, state diagrams and exit codes. `python -m tests.generated` writes them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sagactl.cli.commands import COMMANDS
from sagactl.cli.main import COMMON, built
from sagactl.cli.options import FORMS
from sagactl.cli.schema import every_field, takes, words_for
from sagactl.core.codec import NAMES
from sagactl.core.states import SagaState, StepState
from sagactl.core.tables import SAGA_TABLE, STEP_TABLE, History
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


def fields() -> str:
    """The table of all fields of the language. What a command takes as a mapping stands once, as `steps.undo.X`, and
    only by name where a step has a field of that name too, as does what `defaults` takes.
    """
    rows = ["| field | is | default | |", "|---|---|---|---|"]
    known = {path: (rule, required) for path, rule, required in every_field()}
    for path, (rule, required) in known.items():
        above, _, name = path.rpartition(".")
        again = above in ("defaults", "steps.undo") and f"steps.{name}" in known
        if again or path.startswith(("steps.action.", "steps.check.")) or ".env." in path:
            continue
        default = f"`{json.dumps(rule['default'])}`" if "default" in rule else "required" if required else ""
        more = [each for each in takes(rule) if f"steps.{each}" in known] if above == "steps" or path == "defaults" else []
        said = rule["description"] + (f" Takes {', '.join(f'`{each}`' for each in more)} of its own." if more else "")
        cells = (f"`{path}`", words_for(rule), default, said)
        rows.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(rows)


def commands() -> str:
    """The table of commands with what is theirs alone."""
    rows = [("command", "does", "options of its own"), ("---", "---", "---")]
    for name in (name for name, row in COMMANDS.items() if not row.hidden):
        own = [each for each in built(name).params if each.name not in COMMON]
        words = [each.metavar for each in own if each.param_type_name == "argument"]
        options = [f"`{option(each)}`" for each in own if each.param_type_name == "option"]
        forms = [form for form in COMMANDS[name].forms if form not in FORMS]
        options += [f"`-o {'|'.join(forms)}`"] * bool(forms)
        rows.append((f"`{' '.join(['sagactl', name, *words])}`", COMMANDS[name].summary, ", ".join(options)))
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows)


def option(each: Any) -> str:
    """An option as it is typed: its longest name, and what it takes."""
    takes = "" if each.is_flag else each.metavar or "|".join(getattr(each.type, "choices", ())) or "N"
    return f"{max(each.opts, key=len)} {takes}".rstrip()


def drawn() -> dict[str, str]:
    """What is generated, by the name that marks its place in the README."""
    return {
        "commands": commands(),
        "fields": fields(),
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
