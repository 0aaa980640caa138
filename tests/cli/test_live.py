"""The live view: frames as pure functions, then what a real terminal gets of them.

`Screen` is a terminal that knows what the view may use; any other control sequence is an error, so the view can't hide
the cursor, change the screen or pass on what others wrote.
"""

from __future__ import annotations

import os
import random
import re
import select
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO

import pytest
from rich.cells import cell_len

from sagactl.cli.render.frames import Look, frame, painted
from sagactl.cli.render.live import FRAME_S, HINTS, View, back, possible
from sagactl.cli.render.marks import SAGAS, STEPS, lasted
from sagactl.core import events as e
from sagactl.core.judge import judge
from sagactl.core.parts import Ending, How
from sagactl.core.saga import Saga, evolve, replay
from sagactl.core.states import SagaState, StepState
from sagactl.model import Command, ManualUndo, NothingToUndo, OnFailure, Output
from tests import world
from tests.core.test_decide import TRUE, Drive, chain, retrying
from tests.faults.test_terminal import FORBIDDEN, HOSTILE
from tests.harness import ROOT, SAGACTL, environment, saga, states
from tests.harness import Saga as Built
from tests.world import step

WAIT_S = 30


def ends(drive: Drive, name: str, status: int | None = 0, **changes: Any) -> Drive:
    """The live attempt of a step ends now, by itself unless `changes` says how."""
    live = drive.saga.steps[name].live
    assert live is not None
    ending = Ending(how=How.EXITED, started_s=live.started_s, ended_s=drive.now_s, exit_status=status)
    drive.push(judge(drive.saga, live, replace(ending, **changes), at_s=drive.now_s, draw=0.5))
    drive.record()
    return drive


def shown(drive: Drive, width: int = 78, height: int = 24, **look: Any) -> list[str]:
    """The frame of a saga as text; no two tests need the spinner to stand elsewhere than at its first turn."""
    return plain(frame([drive.saga], Look(now_s=drive.now_s, width=width, height=height, **look)))


def plain(lines: Sequence[Any]) -> list[str]:
    return [line.plain for line in lines]


def order(**changes: Any) -> Drive:
    """The saga that the design draws: reserve is done, charge runs for the second time."""
    drive = Drive.of(step("reserve", outputs={"reservation_id": Output()}),
                     step("charge", needs=("reserve",), action=retrying(3), **changes),
                     step("ship", needs=("charge",)), step("notify", needs=("ship",)))
    ends(drive.at(0.4), "reserve", outputs={"reservation_id": "R-881"})
    return drive


def retried() -> Drive:
    drive = order()
    ends(drive.at(5.4), "charge", 28)
    return drive.at(6.4).at(16)


# Frames.


def test_the_tree_is_that_of_the_design() -> None:
    assert shown(retried(), hint=HINTS[0]) == [
        "simulated-1  running  16s                                  Ctrl-C stops safely",
        "  ✓ reserve  0.4s  reservation_id=R-881",
        "  ⠼ charge   9s    attempt 2/4  (last: exit 28 after 5.0s)",
        "  · ship",
        "  · notify",
    ]


def test_the_spinner_turns_four_times_a_second() -> None:
    drive = retried()
    turns = []
    for _ in range(5):
        turns.append(shown(drive)[2][2])
        drive.now_s += 0.25
    assert "".join(turns) == "⠼⠴⠦⠧⠇"


def test_what_runs_side_by_side_is_shown_side_by_side() -> None:
    drive = Drive.of(step("a"), step("b", outputs={"url": Output()}), step("c", needs=("a", "b")))
    ends(drive.at(2), "b", outputs={"url": "https://example.org/a/very/long/way"})
    assert shown(drive) == [
        "simulated-1  running  2s",
        "  ⠇ a  2s",
        "  ✓ b  2.0s  url=https://example.org/a...",
        "  · c",
    ]


def test_a_retry_is_counted_down_and_an_interruption_ends_that() -> None:
    drive = order()
    ends(drive.at(5.4), "charge", 28)
    said = []
    for at_s in (5.4, 6.3, 6.4):
        drive.now_s = at_s
        said.append(shown(drive)[2])
    assert said == [
        "  ↻ charge         retry 2/4 in 1s  (last: exit 28 after 5.0s)",
        "  ↻ charge         retry 2/4 in 1s  (last: exit 28 after 5.0s)",
        "  ↻ charge         retry 2/4 now  (last: exit 28 after 5.0s)",
    ]
    assert shown(drive, last=True)[:3:2] == ["simulated-1  interrupted  6s", "  ✗ charge   5.0s  failed: exit 28"]


def test_a_check_is_shown_as_checking() -> None:
    drive = order(check=Command(run=TRUE))
    ends(drive.at(5), "charge", None, how=How.TIMED_OUT)
    assert shown(drive.at(7))[2] == "  ⠇ charge   2s    checking"
    ends(drive, "charge", 0)
    ends(drive.at(8), "ship", 1)
    ends(drive.at(9), "charge", None, how=How.TIMED_OUT)
    assert shown(drive.at(12))[2] == "  ⠇ charge   3s    checking the undo"


def test_an_attempt_taken_over_keeps_its_start() -> None:
    drive = order().at(40)
    drive.push(e.HolderChanged(at_s=40, holder=world.ACTOR))
    assert shown(drive)[2] == "  ⠋ charge   39s   attempt 1/4"


def test_the_way_back_is_shown_in_the_same_tree() -> None:
    drive = Drive.of(*chain("a", "b"), step("n", needs=("b",), undo=NothingToUndo()), step("c", needs=("n",)),
                     step("d", needs=("c",)))
    for name in ("a", "b", "n"):
        ends(drive, name)
    ends(drive.at(2), "c", 4)
    assert shown(drive) == [
        "simulated-1  compensating  2s",
        "  ✓ a  0.0s  to undo",
        "  ⠇ b  0s    undoing",
        "  ✓ n  0.0s  nothing to undo",
        "  ✗ c  2.0s  failed: exit 4",
        "  · d        not started",
    ]
    ends(ends(drive.at(3), "b").at(5), "a", 1)
    assert shown(drive) == shown(drive, last=True, hint="not shown") == [
        "simulated-1  escalated  5s",
        "  ✗ a  2.0s  undo failed, escalated: exit 1",
        "  ↩ b  1.0s  undone",
        "  ✓ n  0.0s  nothing to undo",
        "  ✗ c  2.0s  failed: exit 4",
        "  · d        not started",
    ]


def test_an_undo_is_tried_again() -> None:
    drive = Drive.of(step("a", undo=retrying(1)), step("b", needs=("a",)))
    ends(ends(drive, "a").at(1), "b", 1)
    ends(drive.at(3), "a", 9)
    assert shown(drive)[1] == "  ↻ a        undo retry 2/2 in 1s  (last: exit 9 after 2.0s)"
    assert shown(drive, last=True)[1] == "  ! a        not undone yet"
    assert shown(drive.at(5))[1] == "  ⠋ a  0s    undoing  attempt 2/2  (last: exit 9 after 2.0s)"


def test_what_waits_for_a_person_says_so() -> None:
    paused = ends(Drive.of(step("a", on_failure=OnFailure.PAUSE)).at(1), "a", 4)
    assert shown(paused) == ["simulated-1  paused  1s", "  ✗ a  1.0s  failed, paused: exit 4"]
    doubtful = ends(Drive.of(step("a")).at(1), "a", None, how=How.LOST)
    assert shown(doubtful)[1] == "  ? a  1.0s  in doubt, escalated: lost with its supervisor"
    by_hand = Drive.of(step("a", undo=ManualUndo(text="call the bank")), step("b", needs=("a",)))
    ends(ends(by_hand, "a"), "b", 1)
    assert shown(by_hand)[1] == "  ✗ a  0.0s  undo manual, escalated: call the bank"


def test_an_attempt_that_we_leave_is_told_as_left() -> None:
    assert shown(retried(), last=True)[2] == "  ! charge         the action has no outcome yet"


def long(done: int) -> Drive:
    """Fifty steps one after another, so many of them done."""
    drive = Drive.of(*chain(*(f"s{i}" for i in range(50))))
    for i in range(done):
        ends(drive.at(i + 1), f"s{i}")
    return drive


def test_what_is_over_is_folded_first_then_what_is_to_come() -> None:
    assert shown(long(12), height=10) == [
        "simulated-1  running  12s", "  ✓ 12 done", "  ⠇ s12  0s", *(f"  · s{i}" for i in range(13, 19)), "  · 31 more",
    ]
    assert shown(long(45), height=10) == [
        "simulated-1  running  45s", "  ✓ 42 done", *(f"  ✓ s{i}  1.0s" for i in range(42, 45)), "  ⠋ s45  0s",
        *(f"  · s{i}" for i in range(46, 50)),
    ]
    assert shown(long(12), height=3) == ["simulated-1  running  12s", "  ✓ 12 done", "  ⠇ s12  0s"]
    assert shown(long(12), height=2) == ["simulated-1  running  12s", "  ⠇ s12  0s"]
    assert shown(long(12), height=1) == ["simulated-1  running  12s"]


def test_on_the_way_back_what_is_undone_next_is_shown_before_what_never_started() -> None:
    drive = ends(long(12).at(13), "s12", 1)
    ends(drive, "s11")
    assert shown(drive, height=6) == [
        "simulated-1  compensating  13s", "  ✓ s9   1.0s  to undo", "  ⠹ s10  0s    undoing", "  ↩ s11  0.0s  undone",
        "  ✗ s12  1.0s  failed: exit 1", "  ✓ 9 more to undo  · 37 more not started",
    ]
    assert shown(ends(drive, "s10"), height=5) == [
        "simulated-1  compensating  13s", "  ↩ 2 undone", "  ⠹ s9   0s    undoing", "  ✗ s12  1.0s  failed: exit 1",
        "  ✓ 9 more to undo  · 37 more not started",
    ]


def test_where_not_even_what_is_at_work_has_room_what_failed_comes_first() -> None:
    drive = Drive.of(*(step(f"p{i}") for i in range(10)))
    ends(drive.at(1), "p8", 1)
    assert shown(drive, height=5) == [
        "simulated-1  running  1s", "  ⠼ p0  1s", "  ⠼ p1  1s", "  ✗ p8  1.0s  failed: exit 1", "  ⠼ 7 more at work",
    ]


def test_what_is_at_work_leaves_a_line_for_each_count_of_the_others() -> None:
    drive = Drive.of(*(step(f"p{i}") for i in range(42)), step("z", needs=("p41",)))
    for i in range(20):
        ends(drive, f"p{i}")
    assert shown(drive, height=20) == [
        "simulated-1  running  0s", "  ✓ 20 done", *(f"  ⠋ p{i}  0s" for i in range(20, 36)), "  · z", "  ⠋ 6 more at work",
    ]
    assert shown(drive, height=5)[1:] == ["  ✓ 20 done", "  ⠋ p20  0s", "  · z", "  ⠋ 21 more at work"]
    assert shown(drive, height=4)[1:] == ["  ⠋ p20  0s", "  ⠋ p21  0s", "  ⠋ 20 more at work"]


def test_what_failed_hides_neither_what_is_at_work_nor_what_is_done() -> None:
    drive = Drive.of(*(step(f"p{i}") for i in range(20)))
    for i in range(19):
        ends(drive, f"p{i}", 0 if i < 4 else 1)
    assert shown(drive, height=6) == [
        "simulated-1  running  0s", "  ✓ 4 done", *(f"  ✗ p{i}   0.0s  failed: exit 1" for i in (4, 5)), "  ⠋ p19  0s",
        "  ✗ 13 more failed",
    ]
    drive = Drive.of(*(step(f"p{i}") for i in range(29)), step("z", needs=("p28",)))
    for i in range(24):
        ends(drive, f"p{i}", 0 if i < 3 else 1)
    lines = shown(drive, height=24)
    assert len(lines) == 24
    assert [lines[1], *lines[-3:]] == ["  ✓ 3 done", "  · z", "  ✗ 3 more failed", "  ⠋ 4 more at work"]


def test_a_narrow_terminal_cuts_and_never_wraps() -> None:
    assert shown(retried(), width=20, hint=HINTS[0]) == [
        "simulat…  running  …", "  ✓ reserve  0.4s  …", "  ⠼ charge   9s    …", "  · ship", "  · notify",
    ]


def test_where_the_encoding_is_not_utf_8_there_is_only_ascii() -> None:
    drive = order()
    ends(drive.at(1), "charge", 1, message="no ☂")
    assert shown(drive, plain=True) == [
        "simulated-1  running  1s",
        "  + reserve  0.4s  reservation_id=R-881",
        "  ~ charge         retry 2/4 in 1s  (last: exit 1: no \\u2602 after 0.6s)",
        "  . ship",
        "  . notify",
    ]
    assert shown(retried(), plain=True)[2].startswith("  | charge")


NASTY = (HOSTILE, "[red]not markup[/red] [link=x]", "世界" * 30, "e\u0301" * 40, "\ud800", "a\tb\nc\rd", "x" * 100_000)


@pytest.mark.parametrize("text", NASTY, ids=ascii)
def test_what_others_wrote_is_neither_obeyed_nor_taken_for_markup(text: str) -> None:
    drive = order()
    drive.saga = replace(drive.saga, started=replace(drive.saga.started, id=text))
    ends(drive.at(1), "charge", 1, message=text)
    step_view = replace(drive.saga.steps["reserve"], outputs={"o": text, text: "o"})
    drive.saga = replace(drive.saga, steps={**drive.saga.steps, "reserve": step_view})
    for width in (1, 2, 7, 20, 79, 300):
        for lines in (frame([drive.saga], Look(now_s=1, width=width, height=9, total=total)) for total in (1, 2)):
            for line in lines:
                assert line.cell_len <= width
                assert cell_len(line.plain) == line.cell_len
                assert not FORBIDDEN.search(line.plain + painted(line, colour=False))


def test_markup_of_others_is_shown_as_it_is() -> None:
    drive = ends(Drive.of(step("a", outputs={"o": Output()})), "a", outputs={"o": "[red]no[/red] :smile:"})
    assert shown(drive)[1] == "  ✓ a  0.0s  o=[red]no[/red] :smile:"


def test_several_sagas_have_a_line_each_and_are_counted() -> None:
    one, two, three = retried(), ends(Drive.of(step("a")).at(3), "a", None, how=How.LOST), ends(long(49), "s49")
    sagas = [replace(drive.saga, started=replace(drive.saga.started, id=f"n{i}")) for i, drive in enumerate(
        (one, two, three))]
    look = Look(now_s=60, width=78, height=24, total=5, hint="stop")
    assert plain(frame(sagas, look)) == [
        "5 sagas  1 running, 1 completed, 1 escalated, 2 waiting                   stop",
        "  ⠋ n0  1m00s  running  1/4 done  charge",
        "  ✗ n1  3s     escalated: a: in doubt: lost with its supervisor",
        "  ✓ n2  49s    completed",
    ]
    many = [replace(each, started=replace(each.started, id=f"{i}{each.id}")) for i in range(12) for each in sagas]
    assert plain(frame(many, replace(look, total=36, height=15, last=True)))[0] == (
        "36 sagas  12 completed, 12 escalated, 12 interrupted")
    folded = plain(frame(many, replace(look, total=36, height=15)))
    assert sum("escalated:" in line for line in folded) == 10
    assert folded[0].startswith("36 sagas  12 running, 12 completed, 12 escalated  ")
    assert (folded[1], *folded[-2:]) == ("  ✓ 12 completed", "  ✗ 2 more escalated", "  ⠋ 11 more running")


def test_whatever_a_saga_is_its_frame_fits_and_what_matters_has_a_line() -> None:
    """Every state that sagas of a simulated world are ever in, in several sizes."""
    states_seen = set()
    for seed in range(60):
        ran = world.simulate(random.Random(seed))
        now = replay(ran.journal[:1])
        for event in ran.journal[1:]:
            now = evolve(now, event)
            states_seen |= {now.state, *(view.state for view in now.steps.values())}
            look = Look(now_s=event.at_s + 1, width=40, height=seed % 7, plain=seed % 2 > 0, last=seed % 3 > 1)
            lines = frame([now], look)
            assert len(lines) <= look.height
            assert all(line.cell_len <= look.width for line in lines)
            assert not look.plain or all(line.plain.isascii() for line in lines)
            matters = [name for name, view in now.steps.items() if view.live is not None]
            assert all(any(f" {name} " in line.plain for line in lines) for name in matters[:look.height - 1 - urgent(now)])
    assert states_seen >= {*SagaState, *StepState}


def urgent(now: Saga) -> int:
    return sum(view.state in (StepState.FAILED, StepState.IN_DOUBT, StepState.COMPENSATION_FAILED)
               for view in now.steps.values())


def test_colour_is_never_alone_and_can_be_had_without() -> None:
    lines = frame([retried().saga], Look(now_s=16, width=78, height=9, hint=HINTS[0]))
    assert painted(lines[1], colour=True).startswith("\x1b[32m  ✓ \x1b[0mreserve")
    assert "\x1b" not in "".join(painted(line, colour=False) for line in lines)
    for marks in ({*STEPS.values()}, {*SAGAS.values()}):
        assert len({(mark.symbol, mark.word) for mark in marks}) == len(marks)
        assert len({(mark.plain, mark.word) for mark in marks}) == len(marks)


@pytest.mark.parametrize(("seconds", "text"), [
    (-5, "0s"), (9.99, "9s"), (60, "1m00s"), (3599, "59m59s"), (3600, "1h00m"), (86399, "23h59m"), (90000, "1d01h"),
])
def test_times_are_short(seconds: float, text: str) -> None:
    assert lasted(seconds) == text


def test_a_terminal_that_has_become_narrower_has_broken_long_lines() -> None:
    drawn = [("", 40), ("", 10), ("", 0)]
    assert back(drawn, os.terminal_size((80, 24)), clear=False) == "\r\x1b[2A"
    assert back(drawn, os.terminal_size((20, 24)), clear=False) == "\r\x1b[3A"
    assert back(drawn[1:2], os.terminal_size((80, 24)), clear=False) == "\r"
    assert back(drawn[1:], os.terminal_size((80, 24)), clear=True) == "\r\x1b[K\x1b[1A\x1b[K"
    assert back(drawn[1:], os.terminal_size((80, 1)), clear=True) == "\r\x1b[K\x1b[1A\x1b[K"
    assert back(drawn[:1], os.terminal_size((20, 1)), clear=True) == "\r\x1b[K\x1b[1A\x1b[K\n"
    assert back([], os.terminal_size((80, 24)), clear=True) == ""


# A terminal.


class Screen:
    """What a terminal shows and has shown. What it does not know is an error.

    It is as wide and as high as it gets, until `resize` makes it a terminal as tmux is one: rows that have become too
    long are broken, those that were broken are joined, and what has no room is above the first row, where the cursor
    does not get. `broken`: for each row whether it goes on in the next one.
    `kept` is what tmux keeps: who clears the screen as a whole, from its first cell on, moves it above.
    """

    TOKEN = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|([\r\n])|([^\x00-\x1f\x7f-\x9f]+)|(.)", re.DOTALL)

    def __init__(self) -> None:
        self.rows, self.broken, self.x, self.y, self.wraps, self.coloured = [""], [False], 0, 0, True, False
        self.columns = self.lines = sys.maxsize
        self.rest, self.kept = b"", ""

    def feed(self, data: bytes) -> None:
        data = self.rest + data
        half = re.search(rb"(\x1b(\[[0-9;?]*)?|[\xc0-\xff][\x80-\xbf]{0,2})$", data)  # the rest of it comes
        if half and not valid(half[0]):
            data, self.rest = data[:half.start()], half[0]
        else:
            self.rest = b""
        for number, letter, moved, printed, unknown in self.TOKEN.findall(data.decode()):
            assert not unknown, ascii(unknown)
            if letter:
                self.control(number, letter)
            elif moved == "\r":
                self.x = 0
            elif moved:
                self.down()
            else:
                self.put(printed)

    def put(self, text: str) -> None:
        while text:
            if self.x >= self.columns and self.wraps:
                self.broken[self.y] = True
                self.down()
                self.x = 0
            self.x = min(self.x, self.columns - 1)
            piece, text = text[:self.columns - self.x], text[self.columns - self.x:]
            row = self.rows[self.y].ljust(self.x)
            self.rows[self.y] = row[:self.x] + piece + row[self.x + len(piece):]
            self.x += len(piece)

    def down(self) -> None:
        self.y += 1
        if self.y == len(self.rows):
            self.rows.append("")
            self.broken.append(False)

    def control(self, number: str, letter: str) -> None:
        match letter:
            case "A":
                assert int(number) <= self.y or self.lines < sys.maxsize
                self.y = max(self.y - int(number), len(self.rows) - self.lines, 0)
            case "K":
                assert self.x < self.columns  # some clear the last cell then
                self.rows[self.y] = self.rows[self.y][:self.x]
                self.broken[self.y] &= self.x > 0
            case "J":
                self.kept += self.text if (self.x, self.y) == (0, 0) else ""
                self.rows[self.y:] = [self.rows[self.y][:self.x]]
                self.broken[self.y:] = [False]
            case "m":
                self.coloured = True
            case "h" | "l":
                assert number == "?7"
                self.wraps = letter == "h"
            case _:
                raise AssertionError(number + letter)

    def resize(self, columns: int, lines: int = sys.maxsize) -> None:
        """The cursor is in the last row, behind its text, and stays there."""
        self.columns, self.lines, whole = columns, lines, [""]
        for row, broken in zip(self.rows, self.broken, strict=True):
            whole[-1] += row
            whole += [] if broken else [""]
        pieces = [[line[i:i + columns] for i in range(0, max(1, len(line)), columns)] for line in whole[:-1]]
        self.rows = [piece for line in pieces for piece in line]
        self.broken = [not last for line in pieces for last in [False] * (len(line) - 1) + [True]]
        self.x, self.y = len(self.rows[-1]), len(self.rows) - 1

    @property
    def text(self) -> str:
        return "\n".join(row.rstrip() for row in self.rows)


def valid(data: bytes) -> bool:
    """Whether these are whole characters, and no beginning of a sequence."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return not data.startswith(b"\x1b")


class Terminal:
    """A pseudo-terminal; `until` reads what was written to it, `text` is what it shows."""

    def __init__(self, columns: int = 80, lines: int = 24) -> None:
        self.ours, self.theirs = os.openpty()
        self.size(columns, lines)
        self.screen = Screen()
        self.raw = b""
        self.processes: list[subprocess.Popen[bytes]] = []

    def size(self, columns: int, lines: int) -> None:
        termios.tcsetwinsize(self.ours, (lines, columns))

    def stream(self, encoding: str = "utf-8") -> TextIO:
        return open(os.dup(self.theirs), "w", encoding=encoding)  # noqa: PTH123 - a descriptor

    def read(self) -> bool:
        """Take what there is; False where nobody can write any more."""
        try:
            ready, *_ = select.select([self.ours], [], [], WAIT_S)
            assert ready, f"nothing for {WAIT_S}s below\n{self.text}"
            data = os.read(self.ours, 65536)
        except OSError:
            return False
        self.raw += data
        self.screen.feed(data)
        return bool(data)

    def until(self, there: Callable[[str], object]) -> str:
        """Read until it shows that; what it then shows."""
        ends_s = time.monotonic() + WAIT_S
        while not there(self.text):
            assert time.monotonic() < ends_s, self.text
            assert self.read(), self.text
        return self.text

    def to_the_end(self) -> str:
        """Read until all others have closed it; what it then shows."""
        self.close_theirs()
        while self.read():
            pass
        return self.text

    @property
    def text(self) -> str:
        return self.screen.text

    def close_theirs(self) -> None:
        if self.theirs >= 0:
            os.close(self.theirs)
            self.theirs = -1

    def close(self) -> None:
        self.close_theirs()
        if self.ours >= 0:
            os.close(self.ours)
            self.ours = -1

    def end(self) -> None:
        """Whatever the test has left."""
        self.close()
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    """A terminal, and no locale of whoever runs the tests."""
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        monkeypatch.delenv(name, raising=False)
    made = Terminal()
    yield made
    made.end()


def tell(view: View, *drives: Drive) -> None:
    for drive in drives:
        view.publish(drive.saga, 0, drive.events[-1])


def test_the_tree_stays_and_what_is_said_stands_above_it(terminal: Terminal) -> None:
    drive = order()
    with terminal.stream() as stream:
        with View(1, colour=True, stream=stream, now_s=lambda: drive.now_s) as view:
            view.above("before anything is drawn\n")
            tell(view, drive)
            terminal.until(lambda text: "Ctrl-C stops safely" in text)
            view.above("a warning\n")
            view.above("of two lines\n")
            terminal.until(lambda text: "two lines\nsimulated-1  running" in text and text.endswith("notify"))
            view.stopping(1)
            terminal.until(lambda text: "Ctrl-C again ends what runs" in text)
            view.above("said at the end\n")
        stream.write("the last word\n")
    assert terminal.to_the_end().splitlines() == [
        "before anything is drawn", "a warning", "of two lines", "said at the end",
        "simulated-1  interrupted  0s",
        "  ✓ reserve  0.4s  reservation_id=R-881",
        "  ! charge         the action has no outcome yet",
        "  · ship",
        "  · notify",
        "the last word",
    ]
    assert terminal.screen.wraps
    assert terminal.screen.coloured


def test_tmux_keeps_no_frame_when_something_is_said_above_a_view_in_the_first_line(terminal: Terminal) -> None:
    drive = order()
    with terminal.stream() as stream, View(1, colour=False, stream=stream, now_s=lambda: drive.now_s) as view:
        tell(view, drive)
        terminal.until(lambda text: text.startswith("simulated-1  running"))
        view.above("a warning that is longer than the first line of the view, whose end must not stay behind\nand\n")
        terminal.until(lambda text: text.startswith("a warning"))
    terminal.to_the_end()
    assert terminal.screen.kept == ""
    assert re.match(r"a warning .* behind\nand\nsimulated-1  interrupted  0s\n  ✓ reserve ", terminal.text)


def test_the_view_ends_as_well_after_an_exception(terminal: Terminal) -> None:
    def interrupted() -> None:
        with terminal.stream() as stream, View(1, colour=False, stream=stream, now_s=lambda: 1.0) as view:
            tell(view, order())
            terminal.until(lambda text: text.endswith("notify"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert terminal.to_the_end().splitlines()[0] == "simulated-1  interrupted  1s"
    assert terminal.text.endswith("notify\n")
    assert terminal.screen.wraps
    assert not terminal.screen.coloured


def test_where_nothing_happened_nothing_is_drawn(terminal: Terminal) -> None:
    with terminal.stream() as stream, View(1, colour=True, stream=stream) as view:
        view.above("refused\n")
    terminal.to_the_end()
    assert terminal.raw == b"refused\r\n"


def test_a_frame_that_is_as_the_one_before_is_not_written_again(terminal: Terminal) -> None:
    drive = order()
    ends(drive.at(1), "charge", 1)
    asked = threading.Semaphore(0)

    def now_s() -> float:
        asked.release()
        return 1.0

    with terminal.stream() as stream, View(1, colour=False, stream=stream, now_s=now_s) as view:
        tell(view, drive)
        for _ in range(4):
            asked.acquire(timeout=WAIT_S)
    terminal.to_the_end()
    assert terminal.raw.count(b"simulated-1") == 2  # the first and the last


def test_the_tree_follows_the_size_of_the_terminal(terminal: Terminal) -> None:
    drive = long(12)
    with terminal.stream() as stream, View(1, colour=False, stream=stream, now_s=lambda: 12.0) as view:
        tell(view, drive)
        terminal.until(lambda text: "· 18 more" in text)
        terminal.size(80, 7)
        terminal.until(lambda text: "· 35 more" in text)
        assert terminal.text.count("\n") == 5
        terminal.size(20, 16)
        terminal.screen.resize(20)
        terminal.until(lambda text: text.count("\n") == 14)
        assert "Ctrl-C" not in terminal.text
        terminal.size(100, 60)
        terminal.until(lambda text: text.endswith("s49"))
        terminal.size(0, 0)  # some do not know theirs; then it is taken for one of 80 by 24
        terminal.screen.resize(80)
        terminal.until(lambda text: "· 18 more" in text)
    assert terminal.to_the_end().count("simulated-1") == 1


def test_what_is_said_at_a_new_size_stays_and_no_frame_does(terminal: Terminal) -> None:
    drive = retried()
    with terminal.stream() as stream, View(1, colour=False, stream=stream, now_s=lambda: drive.now_s) as view:
        view.above("before\n")
        tell(view, drive)
        terminal.until(lambda text: text.endswith("notify"))
        for columns in (30, 60, 20, 90):
            terminal.screen.resize(columns)  # a terminal breaks and joins first, and tells then
            terminal.size(columns, 24)
            view.above(f"{'x' * columns}\nsaid at {columns}\n")
            wanted = re.compile(rf"said at {columns}\nsim.*notify$", re.DOTALL)
            terminal.until(wanted.search)
        terminal.screen.resize(100)
    assert terminal.to_the_end().splitlines() == [
        "before", *(line for columns in (30, 60, 20, 90) for line in ("x" * columns, f"said at {columns}")),
        "simulated-1  interrupted  16s",
        "  ✓ reserve  0.4s  reservation_id=R-881",
        "  ! charge         the action has no outcome yet",
        "  · ship",
        "  · notify",
    ]


def test_a_frame_for_more_columns_than_there_are_by_now_is_broken_and_costs_no_line_above_it(terminal: Terminal) -> None:
    drive = retried()
    terminal.screen.resize(20)  # and we still believe that there are 80
    with terminal.stream() as stream, View(1, colour=False, stream=stream, now_s=lambda: drive.now_s) as view:
        view.above("1\n2\n3\n4\n5\n")
        tell(view, drive)
        terminal.until(lambda text: text.endswith("notify"))
        terminal.size(20, 24)
        terminal.until(lambda text: "simulat…" in text and text.endswith("notify"))
    assert terminal.to_the_end().startswith("1\n2\n3\n4\n5\nsimulat…  interrup…\n  ✓ reserve")


def test_what_is_said_does_not_go_on_in_a_row_that_the_terminal_has_pushed_above_its_first(terminal: Terminal) -> None:
    drive = retried()
    with terminal.stream() as stream, View(1, colour=False, stream=stream, now_s=lambda: drive.now_s) as view:
        tell(view, drive)
        terminal.until(lambda text: text.endswith("notify"))
        terminal.screen.resize(20, 4)  # the first row goes on from the one above it
        assert terminal.screen.broken[-5]
        terminal.size(20, 4)
        view.above("said\n")
        terminal.until(lambda text: "said\nsim" in text)
        terminal.screen.resize(100)
    assert "\nsaid\nsimul" in terminal.to_the_end()


def test_nothing_is_drawn_until_a_new_size_stands(terminal: Terminal) -> None:
    drawn_s: list[float] = []
    drive = retried()

    def now_s() -> float:
        drawn_s.append(time.monotonic())
        if len(drawn_s) == 1:
            terminal.size(20, 24)
        return drive.now_s

    terminal.screen.resize(20)
    with terminal.stream() as stream, View(1, colour=False, stream=stream, now_s=now_s) as view:
        tell(view, drive)
        terminal.until(lambda text: text.startswith("simulat…"))
    terminal.to_the_end()
    assert drawn_s[1] - drawn_s[0] >= 2 * FRAME_S


def test_a_terminal_whose_size_never_stands_holds_up_no_end(terminal: Terminal) -> None:
    over = threading.Event()

    def drag() -> None:
        while not over.is_set():
            for columns in range(40, 120):
                terminal.size(columns, 24)

    dragging = threading.Thread(target=drag)
    terminal.screen.resize(120, 24)  # who is told another size than there is goes up further than there are rows
    with terminal.stream() as stream:
        view = View(1, colour=False, stream=stream, now_s=lambda: 1.0)
        with view:
            tell(view, retried())
            dragging.start()
            view.above("said\n")
        over.set()
        dragging.join()
    terminal.to_the_end()
    assert b"said\r\n" in terminal.raw


def test_what_terminals_disagree_about_is_cut_and_not_broken(terminal: Terminal) -> None:
    drive = order()
    ends(drive.at(1), "charge", 1, message="no ☂")
    with terminal.stream() as stream, View(1, colour=False, stream=stream, now_s=lambda: drive.now_s) as view:
        tell(view, drive)
    terminal.to_the_end()
    cut = re.findall(r"\x1b\[\?7l([^\x1b]*)\x1b\[\?7h", terminal.raw.decode())
    assert cut
    assert all("no ☂" in line for line in cut)
    assert "☂" not in re.sub(r"\x1b\[\?7l.*?\x1b\[\?7h", "", terminal.raw.decode())


def test_an_encoding_without_our_symbols_gets_ascii(terminal: Terminal) -> None:
    with terminal.stream("latin-1") as stream, View(1, colour=False, stream=stream) as view:
        tell(view, order())
    assert "  + reserve" in terminal.to_the_end()
    assert terminal.raw.isascii()


@pytest.mark.parametrize(("variables", "ascii_only"), [
    ({"LC_ALL": "C"}, True), ({"LC_ALL": "POSIX", "LANG": "C.UTF-8"}, True), ({"LANG": "C"}, True), ({"LANG": "POSIX"}, True),
    ({"LC_CTYPE": "C", "LANG": "C"}, True), ({"LC_ALL": "C.UTF-8", "LANG": "C"}, False), ({"LANG": "C.UTF-8"}, False),
    ({"LC_CTYPE": "C.UTF-8", "LANG": "C.UTF-8"}, False), ({}, False),
])
def test_where_the_locale_is_c_there_is_only_ascii_though_python_writes_utf_8(
    tmp_path: Path, terminal: Terminal, variables: dict[str, str], *, ascii_only: bool,
) -> None:
    process = drawn(saga(tmp_path, QUICK), terminal, "run", "saga.yaml", "--id", "t", PYTHONUTF8="", **variables)
    assert f"\n  {'+' if ascii_only else '✓'} a  " in terminal.to_the_end()
    assert process.wait(WAIT_S) == 0
    assert terminal.raw.isascii() is ascii_only


def test_a_terminal_that_is_gone_stops_nothing(terminal: Terminal) -> None:
    drive = order()
    with terminal.stream() as stream, View(1, colour=False, stream=stream) as view:
        tell(view, drive)
        terminal.until(lambda text: "running" in text)
        terminal.close()
        ends(drive.at(1), "charge")
        tell(view, drive)
        view.above("nobody reads this\n")


def test_a_terminal_that_stands_still_keeps_nobody_waiting(terminal: Terminal) -> None:
    drive = order()
    with terminal.stream() as stream:
        with View(1, colour=False, stream=stream) as view:
            tell(view, drive)
            view.above("x" * 1_000_000 + "\n")
            tell(view, ends(drive.at(1), "charge"))
            view.above("said\n")
            reader = threading.Thread(target=terminal.until, args=(lambda text: "interrupted" in text,))
            reader.start()
        reader.join()
    assert "said\nsimulated-1" in terminal.to_the_end()


def test_where_there_is_no_room_for_a_thread_there_are_the_lines_said(terminal: Terminal) -> None:
    before = threading.stack_size(1 << 46)
    try:
        with terminal.stream() as stream, View(1, colour=False, stream=stream) as view:
            tell(view, order())
            view.above("said\n")
    finally:
        threading.stack_size(before)
    terminal.to_the_end()
    assert terminal.raw == b"said\r\n"


def test_a_bug_in_drawing_is_told_in_a_line(terminal: Terminal) -> None:
    drive = order()
    drive.saga = replace(drive.saga, by_id={})
    with terminal.stream() as stream, View(1, colour=False, stream=stream) as view:
        tell(view, drive)
    assert terminal.to_the_end() == "sagactl: a bug in sagactl: can't draw: KeyError: 'reserve'\n"


def test_after_a_pause_of_the_job_the_view_starts_below_what_the_shell_said(terminal: Terminal) -> None:
    with terminal.stream() as stream, View(1, colour=False, stream=stream, now_s=lambda: 1.0) as view:
        tell(view, order())
        terminal.until(lambda text: text.endswith("notify"))
        os.write(terminal.theirs, b"\n[1]+ Stopped\n$ fg\n")
        os.kill(os.getpid(), signal.SIGCONT)
        terminal.until(lambda text: "$ fg\nsimulated-1  running" in text)
    assert terminal.to_the_end().index("notify") < terminal.text.index("Stopped")


IN_FRONT = """
import fcntl, os, sys, termios
from sagactl.cli.render.live import possible
fcntl.ioctl(2, termios.TIOCSCTTY, 0)
front = possible(sys.stderr)
child = os.fork()
if not child:
    os.setpgid(0, 0)
    os._exit(10 + possible(sys.stderr))
print(front, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) - 10)
"""


def test_only_a_terminal_that_can_draw_and_whose_foreground_we_are_in_gets_the_view(terminal: Terminal) -> None:
    for term, wanted in (("dumb", "False 0"), ("", "False 0"), ("xterm", "True 0")):
        env = {**os.environ, "TERM": term, "PYTHONPATH": str(ROOT)}
        done = subprocess.run([sys.executable, "-c", IN_FRONT], stderr=terminal.theirs, stdout=subprocess.PIPE, text=True,
                              env=env, start_new_session=True, check=False)
        assert done.stdout.strip() == wanted
    with Path(os.devnull).open("w") as file:
        assert not possible(file)


# The command.

SLOW = """
steps:
  - {id: a, action: 'echo ok', undo: 'echo undone >> log'}
  - {id: b, needs: [a], action: 'echo > ready; read word < go; echo "no $word" >&2; exit 28', undo: none}
  - {id: c, needs: [b], action: 'true', undo: none}
"""

OWN = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


def drawn(built: Built, terminal: Terminal, *args: str, **variables: str) -> subprocess.Popen[bytes]:
    """A command with the terminal as its own: a Ctrl-C typed there is a signal to it."""
    variables = {"TERM": "xterm", "PYTHONUTF8": "1", **variables}
    left_out = ("NO_COLOR", "FORCE_COLOR")
    env = {name: value for name, value in environment(built.folder).items() if name not in left_out}
    process = subprocess.Popen(
        (sys.executable, "-c", OWN, *SAGACTL, *args), cwd=built.folder, env={**env, **variables}, start_new_session=True,
        stdin=terminal.theirs, stdout=terminal.theirs, stderr=terminal.theirs,
    )
    terminal.close_theirs()
    terminal.processes.append(process)
    return process


def slow(folder: Path) -> Built:
    built = saga(folder, SLOW)
    built.fifo("ready")
    built.fifo("go")
    return built


def test_a_run_leaves_its_tree_and_the_one_sentence_last(tmp_path: Path, terminal: Terminal) -> None:
    built = slow(tmp_path)
    process = drawn(built, terminal, "run", "saga.yaml", "--id", "t")
    (tmp_path / "ready").read_text()
    terminal.until(lambda text: re.search(r"^t  running  \ds +Ctrl-C stops safely\n  ✓ a  .*\n  [⠋-⠿] b ", text, re.MULTILINE))
    (tmp_path / "go").write_text("money\n")
    text = terminal.to_the_end()
    assert process.wait(WAIT_S) == 10
    assert terminal.screen.wraps
    assert terminal.screen.coloured
    lines = [re.sub(r"\d+\.\ds|\d+s", "1s", line) for line in text.splitlines()]
    assert lines[1:7] == [
        "    | no money",
        "t  compensated  1s",
        "  ↩ a  1s  undone",
        "  ✗ b  1s  failed: exit 28",
        "  · c        not started",
        lines[6],
    ]
    assert lines[6].startswith("t compensated: ")


@pytest.mark.parametrize(("number", "code"), [(0, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_after_a_signal_the_view_ends_cleanly(tmp_path: Path, terminal: Terminal, number: int, code: int) -> None:
    built = slow(tmp_path)
    process = drawn(built, terminal, "run", "saga.yaml", "--id", "t", "--color", "never")
    (tmp_path / "ready").read_text()
    terminal.until(lambda text: " b " in text)
    if number:
        process.send_signal(number)
    else:
        os.write(terminal.ours, b"\x03")
    terminal.until(lambda text: "stopping: " in text and "Ctrl-C again ends what runs" in text)
    (tmp_path / "go").write_text("money\n")
    text = terminal.to_the_end()
    assert process.wait(WAIT_S) == code
    assert re.search(r"^t  interrupted .*\n  ✓ a .*\n  ✗ b .*failed: exit 28\n  · c\nt is interrupted and can go on:\n", text,
                     re.MULTILINE)
    assert text.count("t  interrupted") == 1
    assert "running" not in text
    assert terminal.screen.wraps
    assert not terminal.screen.coloured


def test_a_terminal_that_hangs_up_stops_no_command(tmp_path: Path, terminal: Terminal) -> None:
    built = slow(tmp_path)
    process = drawn(built, terminal, "run", "saga.yaml", "--id", "t")
    (tmp_path / "ready").read_text()
    terminal.until(lambda text: " b " in text)
    terminal.close()
    (tmp_path / "go").write_text("money\n")
    assert process.wait(WAIT_S) in (129, 10)  # the hang-up may come after the end
    assert states(built.inspect())["b"] == "failed"


def test_the_sagas_of_each_have_a_line_while_they_run_and_are_counted_then(tmp_path: Path, terminal: Terminal) -> None:
    built = saga(tmp_path, EACH).file("lines", "".join(f'{{"kind": "{kind}"}}\n' for kind in ("good", "bad", "wait", "last")))
    built.fifo("ready"), built.fifo("go")
    process = drawn(built, terminal, "run", "saga.yaml", "--each", "lines", "--id-from", "kind", "--jobs", "1")
    (tmp_path / "ready").read_text()
    header = "4 sagas  1 running, 1 completed, 1 compensated, 1 waiting"
    text = terminal.until(lambda text: re.search(rf"^{header} .*\n  . wait .* 0/1 done  a$", text, re.MULTILINE))
    assert "\n  ✓ good" not in text
    assert re.search(r"^good completed\n(.*\n)*bad compensated: a: exit 1.*\nbad compensated\n4 sagas", text, re.MULTILINE)
    (tmp_path / "go").write_text("go\n")
    text = terminal.to_the_end()
    assert process.wait(WAIT_S) == 10
    assert text.endswith("last completed\n4 sagas  3 completed, 1 compensated\n4 of 4 lines: 1 compensated, 3 completed\n")
    assert text.count("sagas  ") == 1


EACH = """
params: {kind: {type: string}}
steps:
  - id: a
    env: {KIND: "${params.kind}"}
    action: 'if [ "$KIND" = wait ]; then echo > ready; read go < go; fi; [ "$KIND" != bad ]'
    undo: none
"""


def test_several_sagas_have_a_line_each(tmp_path: Path, terminal: Terminal) -> None:
    built = slow(tmp_path)
    for name in ("x", "y"):
        process = built.start("run", "saga.yaml", "--id", name)
        (tmp_path / "ready").read_text()
        process.kill()
        process.communicate()
    resumed = drawn(built, terminal, "resume", "--all")
    terminal.until(lambda text: re.search(r"2 sagas  2 running .*\n  . y .* 1/3 done  b\n  . x .* 1/3 done  b", text))
    for _ in range(2):
        (tmp_path / "go").write_text("money\n")
    text = terminal.to_the_end()
    assert resumed.wait(WAIT_S) == 10
    assert re.search(r"^2 sagas  2 compensated\n  ↩ y .* compensated: b: exit 28\n  ↩ x ", text, re.MULTILINE)


QUICK = "steps: [{id: a, action: 'true', undo: none}]"


@pytest.mark.parametrize(("args", "variables", "live"), [
    ((), {}, True), (("--progress", "live"), {}, True), (("--progress", "plain"), {}, False),
    (("--progress", "none"), {}, False), (("-q",), {}, False), ((), {"TERM": "dumb"}, False), (("--json",), {}, False),
    (("--json", "--progress", "live"), {}, False),
    ((), {"SAGACTL_PROGRESS": "plain"}, False), ((), {"CI": "true"}, False), ((), {"CI": ""}, True),
    (("--progress", "live"), {"CI": "true"}, True),
])
def test_the_view_is_drawn_where_it_is_wanted(
    tmp_path: Path, terminal: Terminal, args: Sequence[str], variables: dict[str, str], *, live: bool,
) -> None:
    process = drawn(saga(tmp_path, QUICK), terminal, "run", "saga.yaml", "--id", "t", *args, **variables)
    text = terminal.to_the_end()
    assert process.wait(WAIT_S) == 0
    assert ("\n  ✓ a  " in text) is live
    assert (b"\x1b" in terminal.raw) is live


@pytest.mark.parametrize(("args", "live"), [
    ((), True), (("--progress", "live"), True), (("--progress", "plain"), False), (("--progress", "none"), False),
    (("-q",), False), (("--json", "--progress", "live"), False),
])
def test_the_view_of_each_is_drawn_where_it_is_wanted(
    tmp_path: Path, terminal: Terminal, args: Sequence[str], *, live: bool,
) -> None:
    built = saga(tmp_path, QUICK).file("lines", "{}\n{}\n")
    process = drawn(built, terminal, "run", "saga.yaml", "--each", "lines", *args)
    text = terminal.to_the_end()
    assert process.wait(WAIT_S) == 0
    assert ("2 sagas  2 completed\n" in text) is live
    assert (b"\x1b" in terminal.raw) is live


@pytest.mark.parametrize(("args", "variables"), [(("--color", "never"), {}), ((), {"NO_COLOR": "1"})])
def test_there_is_no_colour_where_none_is_wanted(
    tmp_path: Path, terminal: Terminal, args: Sequence[str], variables: dict[str, str],
) -> None:
    process = drawn(saga(tmp_path, QUICK), terminal, "run", "saga.yaml", "--id", "t", *args, **variables)
    assert "\n  ✓ a  " in terminal.to_the_end()
    assert process.wait(WAIT_S) == 0
    assert not terminal.screen.coloured


def test_a_run_in_a_pipe_does_not_import_rich(tmp_path: Path) -> None:
    built = saga(tmp_path, QUICK)
    code = "import sys, atexit; atexit.register(lambda: print('rich' in sys.modules)); import sagactl.__main__ as m; m.main()"
    done = subprocess.run((sys.executable, "-c", code, "run", "saga.yaml"), cwd=tmp_path, env=environment(tmp_path),
                          capture_output=True, text=True, check=True)
    assert done.stdout.endswith("False\n"), built
