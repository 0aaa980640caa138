"""Durations as the language writes them: `500ms`, `10s`, `5m`, `1h30m`. A bare number is no duration."""

from __future__ import annotations

import re

_DURATION = re.compile(r"(?=.)(?:(\d{1,4})h)?(?:(\d{1,6})m)?(?:(\d{1,7})s)?(?:(\d{1,9})ms)?", re.ASCII)
_UNITS_S = (3600.0, 60.0, 1.0, 0.001)


def seconds(text: str) -> float:
    """The seconds of a duration: whole hours, minutes, seconds, milliseconds, in this order, each at most once.

    Raises:
        ValueError: `text` is no duration.
    """
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError(f"`{text}` is no duration: write a number with a unit, as `500ms`, `10s`, `5m`, `1h30m`")
    return sum(int(count) * unit_s for count, unit_s in zip(found.groups(), _UNITS_S, strict=True) if count)
