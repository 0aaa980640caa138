"""What there is to say about each code: explanations.yaml. Read by `sagactl explain` and by nothing else."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why it is a problem, and two definitions. `makes` prints the wrong one where `wrong` is empty."""

    why: str
    right: str
    wrong: str = ""
    makes: str = ""


def explanation(code: str) -> Explanation:
    """What there is to say about one of CODES."""
    return explanations()[code]


def explanations() -> dict[str, Explanation]:
    """All of them by their codes."""
    import yaml

    from sagactl.definition.reading import LOADER

    text = files("sagactl.definition").joinpath("explanations.yaml").read_text("utf-8")
    plain: dict[str, Any] = yaml.load(text, LOADER)  # noqa: S506 - one of the safe ones
    return {code: Explanation(**fields) for code, fields in plain.items()}
