"""The tree of a YAML file: plain values that know where they stand.

Reading a part that is of another kind than expected gives nothing rather than an error: what is of the wrong kind has
been reported by the schema, and the rules look at all the rest. Knows nothing about sagas.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from sagactl.definition.diagnostics import Span

Scalar: TypeAlias = str | int | float | bool | None


@dataclass(slots=True, kw_only=True, eq=False)
class Node:
    """One value. `span` is where it stands, `key` where its key does; `text` is a scalar as its author typed it.

    Not frozen: a file has thousands, frozen ones take twice as long to make, and mappings are mended in place anyway.
    """

    value: Scalar | dict[str, Node] | tuple[Node, ...]
    span: Span
    key: Span | None = None
    text: str = ""
    broken: bool = False
    """Something of it could not be read, which has been reported: what is missing in it may be there."""

    @property
    def fields(self) -> Mapping[str, Node]:
        """The values of a mapping by key; none for anything else."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> tuple[Node, ...]:
        """The values of a list; none for anything else."""
        return self.value if isinstance(self.value, tuple) else ()

    @property
    def string(self) -> str:
        """The string; empty for anything else."""
        return self.value if isinstance(self.value, str) else ""

    @property
    def head(self) -> Span:
        """Where a person looks for the whole of this value: its key, or the first key within it, or itself."""
        first = next(iter(self.fields.values()), None)
        return self.key or (first and first.key) or self.span

    def get(self, name: str) -> Node | None:
        return self.value.get(name) if isinstance(self.value, dict) else None

    def under(self, name: str) -> Mapping[str, Node]:
        """The fields of the field `name`; none where there is no such mapping."""
        found = self.get(name)
        return found.fields if found else {}

    def under_items(self, name: str) -> tuple[Node, ...]:
        """The items of the field `name`; none where there is no such list."""
        found = self.get(name)
        return found.items if found else ()

    def is_unclear(self, name: str, *kinds: type) -> bool:
        """Is the field there, and of none of these kinds or not read as a whole? That has been reported, and what is
        missing in it may be meant by it.
        """
        found = self.get(name)
        return found is not None and (found.broken or not isinstance(found.value, kinds))

    def rename(self, name: str, other: str) -> None:
        """Have a field under another name, in its place."""
        if isinstance(self.value, dict):
            fields = {other if each == name else each: node for each, node in self.value.items()}
            self.value.clear()
            self.value.update(fields)

    def at(self, path: Iterable[str | int]) -> Node:
        """The node at a path of keys and places. Raises LookupError."""
        node = self
        for part in path:
            node = node.fields[part] if isinstance(part, str) else node.items[part]
        return node

    def plain(self) -> Any:
        """The value as JSON has it. Recurses as deep as the file does (32)."""
        if isinstance(self.value, dict):
            return {name: node.plain() for name, node in self.value.items()}
        if isinstance(self.value, tuple):
            return [node.plain() for node in self.value]
        return self.value
