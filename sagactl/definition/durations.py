"""Durations as the language writes them: `500ms`, `10s`, `5m`, `1h30m`. A bare number is no duration.

An age, of sagas that are long gone, may also have weeks and days; the language knows none.
"""

from __future__ import annotations

import re

_DURATION = re.compile(r"(?=.)(?:(\d{1,4})h)?(?:(\d{1,6})m)?(?:(\d{1,7})s)?(?:(\d{1,9})ms)?", re.ASCII)
_UNITS_S = (3600.0, 60.0, 1.0, 0.001)
_DAYS = re.compile(r"(?:(\d{1,4})w)?(?:(\d{1,5})d)?", re.ASCII)
DAY_S = 86400.0


def seconds(text: str) -> float:
    """The seconds of a duration: whole hours, minutes, seconds, milliseconds, in this order, each at most once.

    Raises:
        ValueError: `text` is no duration.
    """
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError(f"`{text}` is no duration: write a number with a unit, as `500ms`, `10s`, `5m`, `1h30m`")
    return sum(int(count) * unit_s for count, unit_s in zip(found.groups(), _UNITS_S, strict=True) if count)


def age_s(text: str) -> float:
    """The seconds of an age: whole weeks, days, hours, minutes, seconds, as `2w`, `30d`, `1d12h`, `90m`.

    Raises:
        ValueError: `text` is none.
    """
    begin = _DAYS.match(text)
    assert begin is not None  # it may be empty
    weeks, days = begin.groups("0")
    rest = text[begin.end():]
    try:
        return (int(weeks) * 7 + int(days)) * DAY_S + (seconds(rest) if rest or not begin[0] else 0.0)
    except ValueError:
        raise ValueError(f"`{text}` is no age: write a number with a unit, as `12h`, `30d`, `2w`") from None
