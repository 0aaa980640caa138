"""A shell script read roughly: how the references in it are quoted, and of which word of which command they are part.

Only for scripts that are written plainly. At anything else (`$(…)` with quotes in it, backquotes, `${x:-y}`) it gives
up: better no answer than a wrong one, since what is told of a quote decides whether a value stays data.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

UNKNOWN = "\0"
"""Stands in a word for what only the shell knows: the value of a variable, or what a command prints."""
REFERENCE: Final = re.compile(r"\$\{(?:params|steps|saga|env)\.[^}\s]{0,200}\}?")
_SHARED = (rf"(?P<reference>{REFERENCE.pattern})|(?P<escaped>\\(?:.|\n))"
           r"|(?P<variable>\$\{\w+\}|\$\w+|\$[@*#?!$-]|\$\([^()'\"\\`#$<]*\))")
_BARE: Final = re.compile(
    _SHARED + r"|(?P<comment>(?<![^\s;|&()])#[^\n]*)|(?P<single>'[^']*')|(?P<double>\")"
    r"|<<(?P<here>-?)(?!<)[ \t]*(?P<mark>['\"]?)(?P<end>[\w.-]+)(?P=mark)(?![\w'\"\\$])"
    r"|(?P<redirect>\d*(?:<<<|>>|>\||[<>]&|&>>?|<>|<(?!<)|>)(?!\())|(?P<blank>[ \t\r]+)|(?P<line>\n)"
    r"|(?P<stop>[;&|)]|\((?!\())|(?P<text>[^\s;&|()<>'\"\\`$#]+|#)",
)
_DOUBLE: Final = re.compile(_SHARED + r'|(?P<over>")|(?P<text>[^"\\`$]+|\$(?=["\s/.,;:%]))')
_VARIABLE: Final = re.compile(r"\$\w+|\$\{\w+\}")
_NOT_PLAIN: Final = re.compile(rf"[`\\]|\$(?!\w|\{{\w+\}}|[\s/.,;:%]|{REFERENCE.pattern[2:]})")


class Quoting(StrEnum):
    BARE = "outside of quotes"
    DOUBLE = "within double quotes"
    SINGLE = "within single quotes"
    HERE = "in a here-document"
    HERE_QUOTED = "in a quoted here-document"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Where a reference stands. `word` is that of its command; -1 for a file or text that the command is given."""

    quoting: Quoting
    command: int
    word: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """The commands of a script as words without quotes. By their offset, its references, and the variables that the
    shell replaces, as they are written.
    """

    commands: tuple[tuple[str, ...], ...]
    placed: dict[int, Placed]
    variables: dict[int, tuple[str, Placed]]


def read(text: str) -> Script | None:
    """The script, or None where it is not plain enough."""
    reader = _Reader(text)
    if not reader.read():
        return None
    return Script(commands=tuple(map(tuple, reader.commands)), placed=reader.placed, variables=reader.variables)


class _Reader:
    """Walks through a script once. `word` is the word being read, None between two."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.commands: list[list[str]] = [[]]
        self.placed: dict[int, Placed] = {}
        self.variables: dict[int, tuple[str, Placed]] = {}
        self.word: str | None = None
        self.target = False
        self.here: list[tuple[str, str, str, int]] = []

    def read(self) -> bool:
        """Did it come to the end?"""
        while found := _BARE.match(self.text, self.at):
            self.at = found.end()
            match found.lastgroup:
                case "double":
                    if not self.double():
                        return False
                case "end":
                    self.end_word()
                    self.here.append((found["here"], found["mark"], found["end"], len(self.commands) - 1))
                case "line":
                    self.end_command()
                    if not all(map(self.document, self.here)):
                        return False
                    self.here.clear()
                case "stop":
                    self.end_command()
                case _:
                    self.piece(found, Quoting.BARE)
        self.end_command()
        return self.at == len(self.text) and not self.here

    def piece(self, found: re.Match[str], quoting: Quoting) -> None:
        match found.lastgroup:
            case "reference":
                self.placed[found.start()] = self.place(quoting)
                self.add(found[0])
            case "single":
                for each in REFERENCE.finditer(found[0]):
                    self.placed[found.start() + each.start()] = self.place(Quoting.SINGLE)
                self.add(found[0][1:-1])
            case "variable":
                self.variables[found.start()] = (found[0], self.place(quoting))
                self.add(UNKNOWN)
            case "escaped":
                if found[0] != "\\\n":
                    self.add(found[0][1:])
            case "text":
                self.add(found[0])
            case "redirect":
                self.end_word()
                self.target = True
            case "blank":
                self.end_word()

    def double(self) -> bool:
        self.add("")
        while found := _DOUBLE.match(self.text, self.at):
            self.at = found.end()
            if found["over"]:
                return True
            self.piece(found, Quoting.DOUBLE)
        return False

    def document(self, here: tuple[str, str, str, int]) -> bool:
        """A here-document, from the line on at which it begins."""
        tabs, quotes, end, command = here
        over = re.compile(rf"^{chr(9) + '*' if tabs else ''}{re.escape(end)}$", re.MULTILINE).search(self.text, self.at)
        if over is None:
            return False
        body = self.text[self.at : over.start()]
        if not quotes and _NOT_PLAIN.search(body):
            return False
        place = Placed(quoting=Quoting.HERE_QUOTED if quotes else Quoting.HERE, command=command, word=-1)
        for each in REFERENCE.finditer(body):
            self.placed[self.at + each.start()] = place
        for each in _VARIABLE.finditer(body) if not quotes else ():
            self.variables[self.at + each.start()] = (each[0], place)
        self.at = over.end()
        return True

    def place(self, quoting: Quoting) -> Placed:
        """Where the word that is being read stands."""
        word = -1 if self.target else len(self.commands[-1])
        return Placed(quoting=quoting, command=len(self.commands) - 1, word=word)

    def add(self, text: str) -> None:
        self.word = (self.word or "") + text

    def end_word(self) -> None:
        if self.word is not None:
            if not self.target:
                self.commands[-1].append(self.word)
            self.word, self.target = None, False

    def end_command(self) -> None:
        self.end_word()
        self.target = False
        if self.commands[-1]:
            self.commands.append([])
