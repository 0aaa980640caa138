"""What people write for a duration, and how it is written here: `10 minutes`, `1.5h`, `2d`, `1:30`."""

from __future__ import annotations

import re

from sagactl.definition.durations import seconds
from sagactl.definition.tree import Node

_UNITS_MS = {
    **dict.fromkeys(("ms", "msec", "msecs", "millisecond", "milliseconds"), 1),
    **dict.fromkeys(("", "s", "sec", "secs", "second", "seconds"), 1000),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60_000),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3_600_000),
    **dict.fromkeys(("d", "day", "days"), 86_400_000),
}
LONGEST = "9999h"
_NUMBER = r"\d{1,9}(?:\.\d{1,3})?"


def duration_help(node: Node, title: str) -> str:
    """What to write for a value that is no duration; empty where nobody can guess."""
    if len(node.items) == 1:
        return f"write it without brackets: {node.items[0].text[:40]}"
    text = node.text.strip()[:40].lower()
    if re.fullmatch(r"\d{1,9}", text, re.ASCII) and int(text):
        return f"write `{text}s` for seconds, `{text}m` for minutes"
    if text.startswith("-"):
        return "a duration is not negative"
    if found := re.fullmatch(r"(\d{1,3}):(\d\d)", text, re.ASCII):
        return f"write `{int(found[1])}m{int(found[2])}s`, or `{int(found[1])}h{int(found[2])}m`"
    parts = re.findall(rf"({_NUMBER})\s*([a-z]*)", text, re.ASCII)
    rest = re.sub(rf"{_NUMBER}\s*[a-z]*[\s,]*", "", text, flags=re.ASCII)
    if parts and not rest and all(unit in _UNITS_MS for _, unit in parts):
        return _rewritten(round(sum(float(number) * _UNITS_MS[unit] for number, unit in parts)), title)
    return "no time means for ever: write a long one, as `24h`" if text in _FOR_EVER else ""


_FOR_EVER = ("forever", "never", "none", "infinite", "infinity", "inf", ".inf", "unlimited", "no", "off", "max")


def _at_least(title: str) -> str:
    return "no time means for ever: write a long one, as `24h`" if "over zero" in title else "write `0s`"


def _rewritten(milliseconds: int, title: str) -> str:
    """What to write for a time."""
    if not milliseconds:
        return _at_least(title)
    text = ""
    for unit_ms, unit in ((3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms")):
        count, milliseconds = divmod(milliseconds, unit_ms)
        text += f"{count}{unit}" if count else ""
    try:
        seconds(text)
    except ValueError:
        return f"no duration is longer than `{LONGEST}`"
    return f"write `{text}`"
