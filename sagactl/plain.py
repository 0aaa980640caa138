"""Frozen dataclasses to and from plain JSON values: one rule for the journal, the definition and `--json`.

The shape follows the annotations: StrEnum as its value, tuple as list, Mapping as object, a union of dataclasses as
an object with a `kind`. A field at its default is left out, so rows stay small and a new field with a default reads
old rows. Knows nothing about sagas.
"""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import Any, TypeVar

T = TypeVar("T")
type_hints = cache(typing.get_type_hints)


def first_line(text: str) -> str:
    """A text in a line: its first one, and a sign that there are more."""
    first, *rest = text.strip().splitlines() or [""]
    return first + (" …" if rest else "")


class Value:
    """What the dataclasses of the model and the core have in common: equal are those of one class with equal fields.

    `dataclass` would compile these methods for each of them, at every start: half of what a class costs.
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return _held(self) == _held(other) if type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        return hash(_held(self))

    def __repr__(self) -> str:
        kind: Any = type(self)
        return f"{kind.__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name, _ in _fields(kind))})"


def _held(value: Any) -> tuple[Any, ...]:
    kind: Any = type(value)
    return tuple([getattr(value, name) for name, _ in _fields(kind)])


def dumps(value: Any) -> str:
    """One canonical text for one value: sorted keys, no spaces, UTF-8 kept, no NaN.

    Raises:
        ValueError: the value holds NaN or an infinity.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def to_plain(value: Any) -> Any:
    """`value` as what `json.dumps` takes. Dataclasses lose the fields that stand at their defaults."""
    if value is None or type(value) in (str, float, int, bool):
        return value
    if isinstance(value, Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        plain = {name: to_plain(v) for name, default in _fields(type(value)) if (v := getattr(value, name)) != default}
        if kind := getattr(type(value), "KIND", None):
            plain["kind"] = kind
        return plain
    if isinstance(value, Mapping):
        return {k: to_plain(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return [to_plain(v) for v in value]
    return value


def from_plain(cls: type[T], plain: Any) -> T:
    """The inverse of `to_plain` for a dataclass `cls`.

    Raises:
        ValueError, TypeError, KeyError: `plain` was not written by `to_plain` of this class.
    """
    hints: dict[str, Any] = type_hints(cls)  # type: ignore[arg-type]
    return cls(**{k: _read(hints[k], v) for k, v in plain.items() if k != "kind"})


@cache
def _fields(cls: type) -> tuple[tuple[str, Any], ...]:
    """Name and default of each field; a field without one gets an object that nothing equals."""
    def default(field: dataclasses.Field[Any]) -> Any:
        if field.default_factory is not dataclasses.MISSING:
            return field.default_factory()
        return object() if field.default is dataclasses.MISSING else field.default

    return tuple((field.name, default(field)) for field in dataclasses.fields(cls))


def _read(hint: Any, plain: Any) -> Any:
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        return _read_union(typing.get_args(hint), plain)
    if origin is tuple:
        return tuple(_read(typing.get_args(hint)[0], item) for item in plain)
    if origin is Mapping:
        return {k: _read(typing.get_args(hint)[1], v) for k, v in plain.items()}
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return from_plain(hint, plain)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(plain)
    return plain


def _read_union(options: tuple[Any, ...], plain: Any) -> Any:
    if plain is None:
        return None
    kind = plain.get("kind") if isinstance(plain, dict) else None
    for option in options:
        if kind is not None and getattr(option, "KIND", None) == kind:
            return _read(option, plain)
    rest = [option for option in options if option is not type(None) and not hasattr(option, "KIND")]
    return _read(rest[0], plain)
