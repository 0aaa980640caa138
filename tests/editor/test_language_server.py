"""A real YAML language server on what `sagactl init` writes: it completes a field and marks a typo, without the network.

The server is installed from the npm registry once, into the user's cache. Where npm, node or the registry is missing,
or slow, the tests are skipped and say so.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness import Saga

PACKAGE, VERSION = "yaml-language-server", "1.19.2"
INSTALL_TIMEOUT_S = 20
ANSWER_TIMEOUT_S = 30
SETTINGS = {"yaml": {"validate": True, "completion": True, "hover": True, "schemaStore": {"enable": False}}}


@pytest.fixture(scope="module")
def command() -> list[str]:
    """The command line of the server."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("node and npm are not installed")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sagactl-tests"
    folder = cache / f"{PACKAGE}-{VERSION}"
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        install(npm, cache, folder)
    return [node, str(folder / "node_modules" / PACKAGE / "bin" / PACKAGE), "--stdio"]


def install(npm: str, cache: Path, folder: Path) -> None:
    """Into a folder of its own first: one that is there is whole."""
    with tempfile.TemporaryDirectory(dir=cache, ignore_cleanup_errors=True) as fresh:
        options = ("--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=0", "--prefix", fresh)
        try:
            subprocess.run((npm, "install", *options, f"{PACKAGE}@{VERSION}"), check=True, capture_output=True,
                           timeout=INSTALL_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            pytest.skip(f"the npm registry did not give {PACKAGE} within {INSTALL_TIMEOUT_S} s")
        except subprocess.CalledProcessError as error:
            told = [line for line in error.stderr.decode().splitlines() if line.startswith("npm error")]
            pytest.skip(f"npm could not install {PACKAGE}: {' '.join(told)[:200]}")
        with contextlib.suppress(OSError):  # another run was quicker
            Path(fresh).rename(folder)


class Editor:
    """As much of an editor as the tests need: JSON-RPC over the server's stdin and stdout."""

    def __init__(self, command: list[str], folder: Path) -> None:
        self.folder = folder
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.received = b""
        self.asked = 0
        self.ask("initialize", {"processId": None, "rootUri": folder.as_uri(), "capabilities": {
            "workspace": {"configuration": True}, "textDocument": {"completion": {}, "hover": {}, "publishDiagnostics": {}},
        }})  # fmt: skip
        self.tell("initialized", {})
        self.tell("workspace/didChangeConfiguration", {"settings": SETTINGS})

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()

    def open(self, name: str, text: str) -> str:
        uri = (self.folder / name).as_uri()
        document = {"uri": uri, "languageId": "yaml", "version": 1, "text": text}
        self.tell("textDocument/didOpen", {"textDocument": document})
        return uri

    def change(self, uri: str, text: str) -> None:
        document = {"uri": uri, "version": 2}
        self.tell("textDocument/didChange", {"textDocument": document, "contentChanges": [{"text": text}]})

    def marks(self, uri: str, *, some: bool = True) -> list[dict[str, Any]]:
        """What the server marks in an open document, as soon as it is something, or nothing. It says so more than
        once: the first time it may not have read the schema yet.
        """
        while True:
            message = self.read()
            if message.get("method") == "textDocument/publishDiagnostics" and message["params"]["uri"] == uri:
                found: list[dict[str, Any]] = message["params"]["diagnostics"]
                if bool(found) == some:
                    return found

    def at(self, what: str, uri: str, text: str, place: int) -> Any:
        """What the server says of the place with that offset."""
        line = text.count("\n", 0, place)
        position = {"line": line, "character": place - (text.rfind("\n", 0, place) + 1)}
        return self.ask(f"textDocument/{what}", {"textDocument": {"uri": uri}, "position": position})

    def ask(self, method: str, params: Any) -> Any:
        self.asked += 1
        self.write({"id": self.asked, "method": method, "params": params})
        while True:
            message = self.read()
            if message.get("id") == self.asked and "method" not in message:
                return message["result"]

    def tell(self, method: str, params: Any) -> None:
        self.write({"method": method, "params": params})

    def write(self, message: dict[str, Any]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self.process.stdin
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.process.stdin.flush()

    def read(self) -> dict[str, Any]:
        """The next message of the server; its own requests are answered on the way."""
        while True:
            head, blank, rest = self.received.partition(b"\r\n\r\n")
            size = int(head.lower().partition(b"content-length:")[2].split()[0]) if blank else 0
            if blank and len(rest) >= size:
                break
            self.receive()
        self.received = rest[size:]
        message: dict[str, Any] = json.loads(rest[:size])
        if "id" in message and "method" in message:
            items = message["params"].get("items", []) if message["method"] == "workspace/configuration" else None
            answer = None if items is None else [SETTINGS.get(item.get("section")) for item in items]
            self.write({"id": message["id"], "result": answer})
        return message

    def receive(self) -> None:
        assert self.process.stdout
        ready, _, _ = select.select([self.process.stdout], [], [], ANSWER_TIMEOUT_S)
        assert ready, f"the language server said nothing for {ANSWER_TIMEOUT_S} s"
        data = os.read(self.process.stdout.fileno(), 1 << 16)
        assert data, "the language server has ended"
        self.received += data


@pytest.fixture(scope="module")
def editor(command: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Editor]:
    """An editor in a folder where `sagactl init` was typed."""
    folder = tmp_path_factory.mktemp("editor")
    Saga(folder, "").args("init").chatty().exits(0)
    opened = Editor(command, folder)
    yield opened
    opened.close()


def starter(editor: Editor) -> str:
    return (editor.folder / "saga.yaml").read_text()


def test_what_init_writes_has_no_mark_in_it_once_a_mistake_is_mended(editor: Editor) -> None:
    uri = editor.open("saga.yaml", starter(editor) + "    pivot: perhaps\n")
    editor.marks(uri)
    editor.change(uri, starter(editor))
    editor.marks(uri, some=False)


def test_a_typo_is_marked_where_it_stands(editor: Editor) -> None:
    text = starter(editor).replace("    undo: none", "    udno: none")
    marks = editor.marks(editor.open("typo.yaml", text))
    lines = text.splitlines()
    assert [lines[mark["range"]["start"]["line"]][: mark["range"]["end"]["character"]].strip() for mark in marks] == ["udno"]
    assert "udno" in marks[0]["message"]


def test_a_value_that_is_none_of_those_known_is_marked(editor: Editor) -> None:
    text = starter(editor) + "    on_failure: contineu\n"
    marks = editor.marks(editor.open("value.yaml", text))
    assert len(marks) == 1
    assert "continue" in marks[0]["message"]


def test_a_field_is_completed_and_explained(editor: Editor) -> None:
    text = starter(editor).replace("    undo: none", "    und")
    uri = editor.open("completion.yaml", text)
    found = editor.at("completion", uri, text, text.index("    und ") + len("    und"))
    assert {"undo", "undo_if_failed"} <= {item["label"] for item in found["items"]}
    hover = editor.at("hover", uri, text, text.index("undo_if_failed") + 2)
    assert "Also undo this step when its own action failed" in json.dumps(hover)
