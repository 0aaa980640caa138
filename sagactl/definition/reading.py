"""YAML bytes in, a tree of values with their places out: strict, bounded, one pass.

The limits are held on PyYAML's event stream, which both its parsers make without recursion: `yaml.compose` recurses,
and with the C parser deep nesting ends the process. So there is no composer but the one here, whose recursion the
stream bounds. Never called: constructors, resolvers, tags. Knows nothing about sagas.

Scalars: those of the YAML 1.2 core schema that can be read in one way only. `null`, `~`, nothing, `true` and `false`
(each also capitalised or in capitals), and numbers as JSON writes them. All else is the string that was typed, which
includes `NO`, `0755`, `0x1F`, `0o17`, `1:30`, `2026-01-02`, `+49`, `.5`, `.inf`, `.nan`, and numbers too large.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import Any

import yaml

from sagactl.definition.diagnostics import DefinitionError, Note, Problem, Source, Span, shown
from sagactl.definition.tree import Node, Scalar

FILE_BYTES_MAX = 1024 * 1024
DEPTH_MAX = 32
NODES_MAX = 50_000
SCALAR_BYTES_MAX = 64 * 1024
"""The limits of language.md: far above what a person writes, far below what hurts."""

SHOWN_MAX = 80
PROBLEMS_MAX = 200
"""A hostile file has 50,000 problems; nobody reads more."""
NUMBER_CHARACTERS_MAX = 300
"""A longer number stays a string: floats end at 308 digits, and int() takes quadratic time."""

LOADER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_CONTROL_ASCII = "[^\t\n\r -~]"
_CONTROL = "[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
"""Compiled where it is needed, which takes 4 ms. The line ends of YAML 1.1 that 1.2 dropped (NEL, LS, PS), surrogates,
and a byte order mark in mid-file are among them.
"""
_DEEPER = {yaml.SequenceStartEvent: 1, yaml.MappingStartEvent: 1, yaml.SequenceEndEvent: -1, yaml.MappingEndEvent: -1}
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?P<real>(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)")
_WORDS: dict[str, Scalar] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip


def read(
    data: bytes, file: str, *, loader: type[Any] = LOADER,
    begins: str = "a definition begins with `saga: NAME` and `steps:`",
) -> tuple[Source, Node, tuple[Problem, ...]]:
    """The text, its tree, and what is wrong with it that did not keep it from being read.

    `file` and `begins`, what there should be in an empty one, are for messages only. `loader` is one of PyYAML's; only
    its parser is used.

    Raises:
        DefinitionError: what follows can't be read.
    """
    source = _decode(data, file.replace("\n", "\\n"))  # a name must not look like a line of ours
    reader = _Reader(source, loader, begins)
    try:
        root = reader.document()
    except _Unreadable as error:
        raise DefinitionError(source.diagnose([*reader.problems, error.problem])) from None
    return source, root, tuple(reader.problems)


def resolve(text: str) -> Scalar:
    """The value of a scalar that was typed without quotes; the rule is in this module's docstring."""
    if text in _WORDS:
        return _WORDS[text]
    found = _NUMBER.fullmatch(text) if len(text) <= NUMBER_CHARACTERS_MAX else None
    if found is None:
        return text
    if not found["real"]:
        return int(text)
    return number if math.isfinite(number := float(text)) else text


class _Unreadable(Exception):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


def _unreadable(code: str, span: Span, message: str, hint: str = "") -> _Unreadable:
    return _Unreadable(Problem(code=code, span=span, message=message, help=hint))


def _index(mark: Any, other: Any) -> int:
    """The offset of the first of two marks that is there."""
    found = mark or other
    return int(found.index) if found else 0


def _decode(data: bytes, file: str) -> Source:
    """The text without its byte order mark."""
    def refuse(code: str, text: str, at: int, message: str, hint: str = "") -> DefinitionError:
        problem = Problem(code=code, span=Span(start=at, end=at + 1), message=message, help=hint)
        return DefinitionError(Source(file=file, text=text).diagnose([problem]))

    if len(data) > FILE_BYTES_MAX:
        raise refuse("SG101", "", 0, "the file has more than 1 MiB, which is the limit",
                     "keep large values in files of their own, which the commands read")
    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8").removeprefix("\ufeff")
        message = f"byte {error.start + 1:,} is not UTF-8"
        raise refuse("SG102", before, len(before), message, "save the file as UTF-8") from None
    if found := re.search(_CONTROL_ASCII if text.isascii() else _CONTROL, text):
        at = found.start()
        message = f"control character U+{ord(text[at]):04X}"
        raise refuse("SG103", text, at, message, "in a string in double quotes it can be written with a backslash")
    return Source(file=file, text=text)


class _Reader:
    """Makes the tree of one text. `problems` are those that reading could go on from."""

    def __init__(self, source: Source, loader: type[Any], begins: str) -> None:
        self.source, self.begins = source, begins
        self.problems: list[Problem] = []
        self.events = self._events(loader)

    def document(self) -> Node:
        """The one document of the stream."""
        root: Node | None = None
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    raise _unreadable("SG111", _span(event), "a second document begins here",
                                      "one file holds one document: keep each in a file of its own")
                self._refuse_directives(event)
                root = self._node(next(self.events))
        if root is None or (root.value is None and not root.broken):
            told = f"the file holds nothing but {shown(root.text)}" if root and root.text else "the file is empty"
            raise _unreadable("SG113", root.span if root else Span(start=0, end=0), told, self.begins)
        return root

    def _events(self, loader: type[Any]) -> Iterator[Any]:
        """The events of the parser, within the limits."""
        depth = nodes = 0
        try:
            for event in yaml.parse(self.source.text, Loader=loader):
                nodes += isinstance(event, yaml.NodeEvent)
                if nodes > NODES_MAX:
                    raise _unreadable("SG106", _span(event), f"more than {NODES_MAX:,} values in one file",
                                      "keep what is not part of the saga in a file of its own")
                depth += _DEEPER.get(type(event), 0)
                if depth > DEPTH_MAX:
                    raise _unreadable("SG105", _span(event), f"nested more than {DEPTH_MAX} deep",
                                      "no definition needs that: look for brackets that are never closed")
                yield event
        except yaml.MarkedYAMLError as error:
            from sagactl.definition.syntax import explained

            at = _index(error.problem_mark, error.context_mark)
            said = f"{error.context} {error.problem}"
            raise _Unreadable(explained(self.source.text, said, at, _index(error.context_mark, error.problem_mark))) \
                from None
        except (yaml.YAMLError, ValueError, OverflowError):
            from sagactl.definition.faults import Fault, unknown

            raise _Unreadable(unknown(Fault(text=self.source.text, at=0, start=0))) from None

    def _node(self, event: Any, key: Span | None = None) -> Node:
        span = _span(event)
        if event.anchor is not None or event.tag is not None:
            self._refuse_properties(event, span)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, span, key)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(span, key)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(span, key)
        return Node(value=None, span=span, key=key, broken=True)

    def _scalar(self, event: Any, span: Span, key: Span | None) -> Node:
        text = event.value
        if len(text) > SCALAR_BYTES_MAX // 4 and len(text.encode("utf-8", "surrogatepass")) > SCALAR_BYTES_MAX:
            raise _unreadable("SG107", span, f"a text of more than {SCALAR_BYTES_MAX // 1024} KiB",
                              "keep it in a file of its own and name that file")
        if ("\0" in text or not text.isascii()) and (found := re.search("[\0\ud800-\udfff]", text)):
            self._problem("SG103", span, f"the string holds U+{ord(found[0]):04X}, which no command can be given")
        return Node(value=resolve(text) if event.implicit[0] else text, span=span, key=key, text=text)

    def _sequence(self, span: Span, key: Span | None) -> Node:
        items = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            items.append(self._node(event))
        return Node(value=tuple(items), span=Span(start=span.start, end=_span(event).end), key=key)

    def _mapping(self, span: Span, key: Span | None) -> Node:
        fields: dict[str, Node] = {}
        known = len(self.problems)
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            name = self._node(event)
            node = self._node(next(self.events), name.span)
            if name.text and event.implicit[0] and node.span.start <= name.span.end + 1:
                name, node = self._parted(name, node)
            if not isinstance(event, yaml.ScalarEvent):
                if not isinstance(event, yaml.AliasEvent):
                    self._problem("SG112", name.span, "a key is a string, not a list or a mapping",
                                  "if a value in braces is meant, put it in quotes")
            elif event.implicit[0] and name.text == "<<":
                self._problem("SG112", name.span, "merge keys (`<<`) are not accepted", "write the fields out")
            elif not isinstance(name.value, str):
                self._problem("SG112", name.span, f"a key is a string, and {shown(name.text)} is none",
                              f'write it in quotes: "{name.text}"' if name.text else "")
            elif name.text in fields:
                first = Note(span=fields[name.text].key or span, message="first here")
                self._problem("SG108", name.span, f"{shown(name.text)} stands twice in one mapping",
                              "remove one of the two", first)
            else:
                fields[name.text] = node
        broken = any(each.code == "SG112" for each in self.problems[known:])
        return Node(value=fields, span=Span(start=span.start, end=_span(event).end), key=key, broken=broken)

    def _parted(self, name: Node, node: Node) -> tuple[Node, Node]:
        """The key and the value that are meant by `{id:a}`, which to YAML is a key `id:a` without a value."""
        found = re.fullmatch(r"""([A-Za-z_][\w-]*):((["']?)([^\s:/"'][^"']*)\3)""", name.text)
        if node.span.start < node.span.end:  # PyYAML's own parser takes `{a:[b]}`, libyaml's does not
            written = self.source.text[node.span.start : node.span.end][:SHOWN_MAX]
            self._problem("SG104", Span(start=name.span.end, end=name.span.end + 1),
                          "a space is missing after the colon", f"write `{name.text}: {written}`")
            return name, node
        if found is None or self.source.text.startswith(":", name.span.end):
            return name, node
        colon = name.span.start + found.end(1)
        self._problem("SG104", Span(start=colon, end=colon + 1), "a space is missing after the colon",
                      f"write `{found[1]}: {found[2][:SHOWN_MAX]}`")
        value, span = found[4] if found[3] else resolve(found[4]), Span(start=colon + 1, end=name.span.end)
        key = Span(start=name.span.start, end=colon)
        return Node(value=found[1], span=key, text=found[1]), Node(value=value, span=span, key=key, text=found[4])

    def _refuse_properties(self, event: Any, span: Span) -> None:
        if isinstance(event, yaml.AliasEvent):
            self._problem("SG109", span, f"aliases (`*{event.anchor}`) are not accepted",
                          "write the value out; a string that begins with `*` needs quotes")
        elif event.anchor is not None:
            self._problem("SG109", span, f"anchors (`&{event.anchor}`) are not accepted",
                          "leave it out; a string that begins with `&` needs quotes")
        if getattr(event, "tag", None) is not None:
            written = re.match(r"(?:&\S*\s+)?(\S{1,100})", self.source.text[span.start : span.start + 400])
            self._problem("SG110", span, f"tags ({shown(written[1] if written else '!')}) are not accepted",
                          "leave it out; a string that begins with `!` needs quotes")

    def _refuse_directives(self, event: Any) -> None:
        if event.tags or event.version not in (None, (1, 2)):
            self._problem("SG114", _span(event), "directives are not accepted; the file is read as YAML 1.2",
                          "remove the lines that begin with `%`")

    def _problem(self, code: str, span: Span, message: str, hint: str = "", *notes: Note) -> None:
        if len(self.problems) < PROBLEMS_MAX:
            self.problems.append(Problem(code=code, span=span, message=message, help=hint, notes=notes))


def _span(event: Any) -> Span:
    return Span(start=event.start_mark.index, end=event.end_mark.index)
