"""Nothing that others wrote acts on a terminal: no control character, C1, bidi, OSC or surrogate is printed raw.

`FORBIDDEN` is written out here, from Unicode's blocks, and is not asked of the code under test.
"""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from sagactl.cli.render.text import json_text, safe
from tests.conftest import Torture
from tests.harness import SAGACTL, TIMEOUT_S, environment

FORBIDDEN = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\uf8ff\ufeff"
    "\ufff9-\ufffb\U000e0000-\U000e007f]",
)
"""C0 but newline, DEL, C1, what is not seen, bidi, line ends of Unicode, surrogates, private use, tags."""

PIECES = ("\x1b]0;x\x07", "\x1b[31m", "\x9b2J", "\x9d0;x\x9c", "\x1bP", "\u202e", "\u2066", "\u2028", "\r", "\x7f", "\udc9b",
          "\n", "é", "😀", "\\x1b", "[red]", "\U000e0041")
HOSTILE = "\x1b]0;x\x07\x1b[31m\x9b2J\u202e\u2066\u2028\x7f\r\ufeff\U000e0041"
LOCALES: Mapping[str, Mapping[str, str]] = {
    "utf-8": {"PYTHONUTF8": "1"},
    "ascii": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"},
    "latin-1": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "latin-1"},
}


def texts(rng: random.Random) -> Iterator[str]:
    """Random bytes as a file name or an argument has them, random code points, and escape sequences in pieces."""
    while True:
        yield rng.randbytes(rng.randint(1, 60)).decode("utf-8", "surrogateescape")
        yield "".join(chr(rng.randrange(0x110000)) for _ in range(rng.randint(1, 30)))
        yield "".join(rng.choices(PIECES, k=rng.randint(1, 12)))


@pytest.mark.torture
def test_no_text_is_shown_that_a_terminal_would_obey(torture: Torture) -> None:
    tried = torture.of(short=10_000, a_round=200_000)
    made = texts(random.Random(torture.seed))
    wrong = 0
    for _ in range(tried):
        text = next(made)
        shown, lines, told = safe(text), safe(text, lines=True), json_text([text])
        wrong += any(FORBIDDEN.search(each) for each in (shown, lines, told)) or "\n" in shown + told
        wrong += safe(shown) != shown or safe(lines, lines=True) != lines
        (back,) = json.loads(told)  # which makes one character of the two halves of a pair
        wrong += back.encode("utf-16", "surrogatepass") != text.encode("utf-16", "surrogatepass")
    torture.report("random texts made safe for a terminal", tried, {"wrong": wrong})


def test_every_character_there_is_is_made_safe_and_letters_stay_as_they_are() -> None:
    every = "".join(map(chr, range(0x110000)))
    assert not FORBIDDEN.search(safe(every))
    assert not FORBIDDEN.search(json_text(every))
    assert safe("Grüße, κόσμε, 世界, 😀 [red]\\x1b") == "Grüße, κόσμε, 世界, 😀 [red]\\x1b"


def test_the_edge_itself_lets_nothing_through_that_a_command_forgot(tmp_path: Path) -> None:
    code = "import sys; from sagactl.cli import output; output.result(sys.argv[1]); output.say(sys.argv[1])"
    done = subprocess.run((SAGACTL[0], "-c", code, HOSTILE), env=environment(tmp_path), capture_output=True, check=True)
    for stream in (done.stdout, done.stderr):
        assert not FORBIDDEN.search(stream.decode())
        assert stream.startswith(b"\\x1b]0;x")


def quoted(text: str) -> str:
    """A text in YAML, every character written with a backslash."""
    return '"' + "".join(f"\\U{ord(char):08x}" for char in text) + '"'


class Hostile:
    """A folder of a hostile name in which every command is run; all that is printed is held against FORBIDDEN."""

    def __init__(self, folder: Path, encoding: str) -> None:
        self.folder = folder / (HOSTILE + os.fsdecode(b"\xff"))
        self.folder.mkdir()
        self.encoding = encoding
        self.env = {**environment(folder), **LOCALES[encoding], "LOGNAME": HOSTILE, "USER": HOSTILE, HOSTILE: "x"}

    def file(self, name: str, text: str) -> str:
        (self.folder / name).write_text(text, encoding="utf-8", newline="")
        return name

    def prints(self, code: int, *args: str, **variables: str) -> str:
        """Run a command; what it printed."""
        done = subprocess.run((*SAGACTL, *args), cwd=self.folder, env={**self.env, **variables}, timeout=TIMEOUT_S,
                              stdin=subprocess.DEVNULL, capture_output=True, check=False)
        said = (done.stdout + done.stderr).decode(self.encoding)
        assert done.returncode == code, said
        assert not FORBIDDEN.search(said), ascii(said)
        assert "Traceback" not in said
        assert "a bug in sagactl" not in said
        return said


SAGA = f"""saga: test
description: {quoted(HOSTILE)}
params:
  text: {{type: string, default: {quoted(HOSTILE)}, description: {quoted(HOSTILE)}}}
steps:
  - id: a
    description: {quoted(HOSTILE)}
    action: 'printf %s "$TEXT" > "$SAGA_OUTPUT_DIR/o"; touch "$SAGA_OUTPUT_DIR/$TEXT"'
    env: {{TEXT: "${{params.text}}"}}
    outputs: [o]
    undo: {{manual: {quoted("by hand " + HOSTILE)} }}
  - id: b
    needs: [a]
    action: [cat, "${{steps.a.outputs.o}}", "--", {quoted("/" + HOSTILE)}]
    outputs: {{p: {{from: stdout, pointer: {quoted("/" + HOSTILE)} }} }}
    undo: none
    max_retries: 1
    retry_delay: 1ms
  - id: c
    needs: [a]
    action: [{quoted(HOSTILE)}]
    cwd: {quoted("/" + HOSTILE)}
    on_failure: continue
    undo: none
  - id: d
    needs: [a]
    action: echo '{{}}'
    outputs: {{p: {{from: stdout, pointer: {quoted("/" + HOSTILE)} }} }}
    undo: none
    on_failure: continue
"""


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_whatever_a_saga_says_is_shown_safely(tmp_path: Path, encoding: str) -> None:
    hostile = Hostile(tmp_path, encoding)
    file = hostile.file(HOSTILE + ".yaml", SAGA)
    said = hostile.prints(11, "run", file, "--id", "t")
    assert "\\x1b]0;x\\x07" in said
    assert hostile.prints(0, "inspect", "t").count("2J") > 7
    hostile.prints(0, "inspect", "t", "--json")
    hostile.prints(0, "events", "t")
    hostile.prints(0, "list")
    hostile.env.pop(HOSTILE)  # resume names the variables that are missing now
    hostile.file(HOSTILE + ".yaml", SAGA + "# changed")
    assert "are missing now" in hostile.prints(11, "resume", "t")
    hostile.prints(11, "compensate", "t", "--yes", "--reason", HOSTILE)
    hostile.prints(0, "resolve", "t", "--step", "a", "--as", "kept", "--reason", HOSTILE)
    hostile.prints(0, "abandon", "t", "--reason", HOSTILE)
    hostile.prints(13, "resume", "t")
    assert "by \\x1b" in hostile.prints(0, "inspect", "t")


DEFINITIONS = {
    "unknown fields": f"saga: s\n{quoted(HOSTILE)}: 1\nsteps: [{{id: a, action: x, \u202eodnu: 1, undo: none}}]\n",
    "source lines": "saga: s \u202e\u2066\ud800\U000e0041\x85\nsteps: 1\n", "a control character": "saga: s # \x1b[31m\n",
    "no YAML": "saga: [\u202e\U000e0041\n- }\u2066\n", "a tag": "saga: !\u202ex \u2066\n", "an anchor": "saga: &\u202e x\n",
    "a name": f"saga: {quoted(HOSTILE)}\nparams: {{{quoted(HOSTILE)}: {{type: {quoted(HOSTILE)} }} }}\nsteps: []\n",
    "references": f"saga: s\nsteps: [{{id: a, undo: none, action: [x, {quoted('${params.' + HOSTILE + '}')} ]}}]\n",
    "ids": f"saga: s\nsteps: [{{id: {quoted(HOSTILE)}, action: x, undo: none, needs: [{quoted(HOSTILE)}]}}]\n",
}


def test_whatever_is_wrong_with_a_definition_is_shown_safely(tmp_path: Path) -> None:
    hostile = Hostile(tmp_path, "utf-8")
    files = []
    for place, text in enumerate(DEFINITIONS.values()):
        name = f"{place}{HOSTILE}.yaml"
        (hostile.folder / name).write_bytes(text.encode("utf-8", "surrogatepass"))
        files.append(name)
    assert hostile.prints(3, "validate", *files).count("error[SG") >= len(files)
    hostile.prints(3, "run", files[0])
    good = hostile.file(HOSTILE, "saga: s\nparams: {p: {enum: [a]}}\nsteps: [{id: a, action: x, undo: none}]\n")
    hostile.prints(0, "validate", good)
    hostile.prints(3, "run", good, "-p", f"p={HOSTILE}")
    hostile.prints(3, "run", good, "-p", f"{HOSTILE}=1", "-p", HOSTILE)


ARGUMENTS = {
    "a command": (2, [HOSTILE]), "an option": (2, [f"--{HOSTILE}"]), "a bidi option": (2, ["--\u202ex"]),
    "an option of a command": (2, ["list", "--st\u202e"]),
    "a value": (2, ["list", "--state", HOSTILE]),
    "a choice": (2, ["resolve", "t", "--step", "a", "--reason", "x", "--as", HOSTILE]),
    "too many": (2, ["inspect", "t", HOSTILE]), "a value for a flag": (2, ["list", f"--json={HOSTILE}"]),
    "an id": (2, ["run", "f", "--id", HOSTILE]), "a file": (4, ["validate", HOSTILE]),
    "a database": (4, ["inspect", "t", "--db", f"{HOSTILE}/x.db"]), "surrogates": (2, [os.fsdecode(b"--\xff\xc2\x9b")]),
}


def test_whatever_is_typed_is_shown_safely(tmp_path: Path) -> None:
    hostile = Hostile(tmp_path, "latin-1")
    for code, args in ARGUMENTS.values():
        hostile.prints(code, *args)
    good = hostile.file("s.yaml", "saga: s\nsteps: [{id: a, action: 'true', undo: none}]\n")
    hostile.prints(2, "run", good, SAGACTL_GRACE=HOSTILE)
    hostile.prints(0, "run", good, "--id", "u")
    hostile.prints(4, "resume", HOSTILE)
    hostile.prints(4, "resolve", "u", "--step", HOSTILE, "--as", "kept", "--reason", "x")
