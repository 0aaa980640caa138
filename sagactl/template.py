"""The `${…}` of a definition: what is written, what it refers to, and one pass of filling it in.

A template is a string of the definition; its references are data. The result of filling is never looked at again, so a
value that contains `${` stays as it is. Knows nothing about where values come from.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from sagactl.plain import Value

VALUE_BYTES_MAX = 128 * 1024
"""A longer value can't be one argument of a process: Linux's MAX_ARG_STRLEN is 128 KiB with its NUL."""

_REFERENCE = re.compile(
    r"(?:params\.(?P<param>[a-z][a-z0-9_]{0,62})"
    r"|steps\.(?P<step>[a-z][a-z0-9_-]{0,62})\.outputs\.(?P<output>[a-z][a-z0-9_]{0,62})"
    r"|(?P<saga>saga)\.id"
    r"|env\.(?P<env>[A-Za-z_][A-Za-z0-9_]*))(?P<optional>\??)",
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Reference(Value):
    """One `${…}`. Exactly one of param, step with output, env, or none of them for the saga's id."""

    text: str
    offset: int
    param: str = ""
    step: str = ""
    output: str = ""
    env: str = ""
    optional: bool = False

    def __str__(self) -> str:
        return self.text


Part: TypeAlias = str | Reference
Lookup: TypeAlias = Callable[[Reference], str | None]


class TemplateError(ValueError):
    """`text` at `offset` (characters from 0) is no reference that sagactl knows."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


class MissingValueError(ValueError):
    """A reference has no value, or one that no process can be given."""


@lru_cache(maxsize=4096)
def parse(text: str) -> tuple[Part, ...]:
    """Literal text and references of a template, in order.

    Raises:
        TemplateError: a `${` that opens no known reference. `$${` is a literal `${`.
    """
    parts: list[Part] = []
    rest = 0
    while (at := text.find("${", rest)) >= 0:
        if at > rest and text[at - 1] == "$":
            parts.append(text[rest : at - 1] + "${")
            rest = at + 2
            continue
        end = text.find("}", at)
        found = _REFERENCE.fullmatch(text, at + 2, end) if end > 0 else None
        if found is None:
            shown = text[at : end + 1] if end > 0 else text[at:]
            message = f"`{shown}` is no reference: write ${{params.X}}, ${{steps.S.outputs.O}}, ${{saga.id}} or " \
                      f"${{env.X}}, or $${{ for a literal ${{"
            raise TemplateError(message, at)
        parts += [text[rest:at], _reference(found, text[at : end + 1], at)]
        rest = end + 1
    return (*(part for part in parts if part != ""), text[rest:]) if text[rest:] else tuple(p for p in parts if p != "")


def references(text: str) -> tuple[Reference, ...]:
    """The references of a template, in order. Raises as `parse`."""
    return tuple(part for part in parse(text) if isinstance(part, Reference))


def fill(text: str, lookup: Lookup) -> str:
    """The template with each reference replaced by its value.

    Raises:
        MissingValueError: a reference without `?` has no value, or a value holds NUL or is over VALUE_BYTES_MAX.
        TemplateError: as `parse`.
    """
    return "".join(part if isinstance(part, str) else _value(part, lookup) for part in parse(text))


def show(text: str, lookup: Lookup) -> str:
    """As `fill`, for a person: a reference without a value is shown as it is written."""
    def known(part: Reference) -> str:
        value = lookup(part)
        return part.text if value is None else value

    return "".join(part if isinstance(part, str) else known(part) for part in parse(text))


def _reference(found: re.Match[str], text: str, offset: int) -> Reference:
    return Reference(
        text=text, offset=offset, param=found["param"] or "", step=found["step"] or "", output=found["output"] or "",
        env=found["env"] or "", optional=bool(found["optional"]),
    )


def _value(reference: Reference, lookup: Lookup) -> str:
    value = lookup(reference)
    if value is None:
        if reference.optional:
            return ""
        raise MissingValueError(f"{reference} has no value")
    if "\0" in value:
        raise MissingValueError(f"the value of {reference} contains a NUL byte, which no process can be given")
    if len(value.encode("utf-8", "surrogateescape")) >= VALUE_BYTES_MAX:
        raise MissingValueError(f"the value of {reference} is over {VALUE_BYTES_MAX // 1024} KiB")
    return value
