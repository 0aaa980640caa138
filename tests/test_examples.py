"""Every example in sagas/, on its good path and on a failing one, as its opening comment says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness import ROOT, Saga

EXAMPLES = sorted((ROOT / "sagas").glob("*.yaml"))


def run(folder: Path, example: str, *args: str) -> Saga:
    return Saga(folder, "").args("run", str(ROOT / "sagas" / example), "--id", "t", *args).chatty()


def ends(folder: Path, example: str, code: int, files: dict[str, str], *args: str, **variables: str) -> Saga:
    """Run an example that keeps its files in the parameter `folder`, and hold it to what it leaves there."""
    there = folder / "files"
    there.mkdir(exist_ok=True)
    built = run(folder, example, "-p", f"folder={there}", *args).env(**variables)
    built.exits(code)
    assert {path.name: path.read_text() for path in there.iterdir()} == files
    return built


def phases(built: Saga, name: str) -> list[str]:
    """The phases of all attempts of a step, in order."""
    step = next(step for step in built.inspect()["steps"] if step["id"] == name)
    return [attempt["phase"] for attempt in step["attempts"]]


def ledger(folder: Path) -> str:
    """What stands in the shop: stock and money."""
    command = (sys.executable, ROOT / "sagas/order/shop.py", "ledger")
    env = {**os.environ, "XDG_STATE_HOME": str(folder / "state")}
    said = subprocess.run(command, capture_output=True, text=True, check=True, env=env).stdout
    return "\n".join(line for line in said.splitlines() if line.startswith(("stock", "money")))


def test_every_example_is_valid_without_a_warning(tmp_path: Path) -> None:
    assert len(EXAMPLES) >= 10
    valid = "".join(f"{example}: valid\n" for example in EXAMPLES)
    Saga(tmp_path, "").args("validate", "--strict", *map(str, EXAMPLES)).stdout(valid).exits(0)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_says_what_it_shows_how_to_run_it_and_is_tested_here(example: Path) -> None:
    modeline, blank, *lines = example.read_text().splitlines()
    assert modeline == "# yaml-language-server: $schema=../sagactl/definition/schema.json"
    assert (blank, lines[0][:2]) == ("#", "# ")
    assert sum(f"sagactl run sagas/{example.name}" in line for line in lines) >= 2
    assert f'"{example.name}"' in Path(__file__).read_text()


def test_an_order_completes_and_shows_in_the_ledger(tmp_path: Path) -> None:
    run(tmp_path, "order.yaml").exits(0)
    assert "99999 on the shelf" in ledger(tmp_path)
    assert "money    49.00 EUR" in ledger(tmp_path)


@pytest.mark.parametrize("refused", ["carrier=pigeon", "quantity=30"])
def test_an_order_that_is_refused_leaves_stock_and_money_as_before(tmp_path: Path, refused: str) -> None:
    before = ledger(tmp_path)
    run(tmp_path, "order.yaml", "-p", refused).exits(10)
    assert ledger(tmp_path) == before


def test_an_order_whose_mail_fails_is_an_order_all_the_same(tmp_path: Path) -> None:
    built = run(tmp_path, "order.yaml", "-p", "email=nobody")
    built.exits(0)
    assert built.inspect()["steps"][3]["state"] == "skipped"


def test_an_order_is_taken_back_when_it_is_compensated(tmp_path: Path) -> None:
    before = ledger(tmp_path)
    built = run(tmp_path, "order.yaml")
    built.exits(0)
    built.again("compensate", "t", "--yes").chatty().exits(0)
    assert ledger(tmp_path) == before


@pytest.mark.parametrize(("mood", "code"), [("good", 0), ("bad", 10)])
def test_hello(tmp_path: Path, mood: str, code: int) -> None:
    run(tmp_path, "hello.yaml", "-p", f"mood={mood}").exits(code)


@pytest.mark.parametrize(("budget", "code"), [("600", 0), ("500", 10)])
def test_parallel_steps_are_joined_and_their_outputs_added(tmp_path: Path, budget: str, code: int) -> None:
    built = run(tmp_path, "parallel.yaml", "-p", f"budget={budget}")
    built.exits(code)
    assert built.inspect()["state"] == ("completed" if code == 0 else "compensated")


def test_provision_makes_a_folder_and_takes_it_back(tmp_path: Path) -> None:
    target = tmp_path / "app"
    run(tmp_path, "provision.yaml", "-p", f"target={target}").exits(0)
    assert "port = 9090" in (target / "app.conf").read_text()
    Saga(tmp_path, "").args("compensate", "t", "--yes").chatty().exits(0)
    assert not target.exists()


def test_provision_that_fails_restores_what_was(tmp_path: Path) -> None:
    target = tmp_path / "app"
    target.mkdir()
    (target / "app.conf").write_text("port = 1\n")
    run(tmp_path, "provision.yaml", "-p", f"target={target}", "-p", "port=80").exits(10)
    assert {path.name: path.read_text() for path in target.iterdir()} == {"app.conf": "port = 1\n"}


@pytest.mark.parametrize(("args", "code", "attempts"), [((), 0, 3), (("busy=99",), 10, 5), (("busy=0", "answer=refused"), 10, 1)])
def test_retry_calls_again_while_it_is_worth_it(tmp_path: Path, args: tuple[str, ...], code: int, attempts: int) -> None:
    files = {"t.seat": "12A\npaid\n"} if code == 0 else {}
    built = ends(tmp_path, "retry.yaml", code, files, *(part for each in args for part in ("-p", each)))
    assert len(phases(built, "pay")) == attempts


@pytest.mark.parametrize(("takes", "code", "files"), [("0", 0, {"t.data": "half\n"}), ("60", 10, {})])
def test_timeout_ends_what_takes_too_long_and_undoes_it(tmp_path: Path, takes: str, code: int, files: dict[str, str]) -> None:
    ends(tmp_path, "timeout.yaml", code, files, "-p", f"takes={takes}")


@pytest.mark.parametrize(("limit", "code", "files"), [("150", 0, {"t.invoice": "5 hours, 150 EUR\n"}), ("149", 10, {})])
def test_outputs_reach_later_steps_and_undos(tmp_path: Path, limit: str, code: int, files: dict[str, str]) -> None:
    built = ends(tmp_path, "outputs.yaml", code, files, "-p", f"limit={limit}")
    if code:
        built.again("logs", "t", "invoice", "--phase", "undo").stdout(
            re.compile(".*the invoice of 150 EUR is void\n")).exits(0)


@pytest.mark.parametrize(("token", "code"), [("open-sesame", 0), ("sesame", 10)])
def test_secrets_are_recorded_nowhere(tmp_path: Path, token: str, code: int) -> None:
    files = {"t.session": "no token here \nlogged in\n"} if code == 0 else {}
    ends(tmp_path, "secrets.yaml", code, files, TOKEN=token)
    shown = Saga(tmp_path, "").args("logs", "t").chatty().exits(0)
    assert bool(re.search(r"the token \*+ is too short", shown.stdout)) == (code == 10)
    assert token not in shown.stdout
    kept = [path for path in (tmp_path / "state").rglob("*") if path.is_file()]
    assert [path for path in kept if token.encode() in path.read_bytes()] == []


def test_secrets_that_are_missing_stop_a_saga_before_its_start(tmp_path: Path) -> None:
    ends(tmp_path, "secrets.yaml", 3, {})


@pytest.mark.parametrize(("killed", "code", "attempts"), [("after", 0, 1), ("before", 10, 2)])
def test_check_tells_what_a_killed_command_did(tmp_path: Path, killed: str, code: int, attempts: int) -> None:
    built = ends(tmp_path, "check.yaml", code, {"t.book": "# book\nentry\n"} if code == 0 else {}, "-p", f"killed={killed}")
    made = phases(built, "enter")
    assert made.count("action") == attempts
    assert made.count("check") == attempts
    if code == 0:
        built.again("compensate", "t", "--yes").chatty().exits(0)
    assert list((tmp_path / "files").iterdir()) == []


@pytest.mark.parametrize(("fails", "code", "files"), [
    ("nothing", 0, {"t.draft": "all new\n", "t.published": "all new\nannounced\n"}), ("publish", 10, {}),
    ("announce", 11, {"t.draft": "all new\n", "t.published": "all new\n"}),
])  # fmt: skip
def test_pivot_has_no_way_back_after_it(tmp_path: Path, fails: str, code: int, files: dict[str, str]) -> None:
    ends(tmp_path, "pivot.yaml", code, files, "-p", f"fails={fails}")
    if code == 11:
        (tmp_path / "files" / "t.mended").touch()
        Saga(tmp_path, "").args("resume", "t").chatty().exits(0)
        assert (tmp_path / "files" / "t.published").read_text() == "all new\nannounced\n"


def test_manual_leaves_a_runbook_and_ends_when_a_person_has_done_it(tmp_path: Path) -> None:
    letter = {"t.letter": "Dear The Tax Office\n", "t.letter.posted": "Dear The Tax Office\n"}
    (tmp_path / "good").mkdir()
    ends(tmp_path / "good", "manual.yaml", 0, letter)
    built = ends(tmp_path, "manual.yaml", 11, {"t.letter.posted": "Dear The Tax Office\n"}, "-p", "funds=none")
    assert "Ask the post office for the letter to The Tax Office back, with receipt R-t." in str(built.inspect())
    built.again("resolve", "t", "--step", "post", "--as", "undone", "--reason", "got it back").chatty().exits(0)
    built.again("resume", "t").chatty().exits(10)


@pytest.mark.parametrize(("looks", "code", "files"), [("2", 0, {"t.order": "ordered\narrived\n"}), ("99", 10, {})])
def test_deadline_turns_a_saga_back_when_it_has_passed(tmp_path: Path, looks: str, code: int, files: dict[str, str]) -> None:
    built = ends(tmp_path, "deadline.yaml", code, files, "-p", f"looks={looks}")
    assert ("deadline" in built.inspect()["why"]) == (code == 10)


@pytest.mark.parametrize(("disk", "code", "names"), [("3", 0, ["1", "2", "3"]), ("2", 10, None)])
def test_cleanup_removes_what_a_failed_script_left(tmp_path: Path, disk: str, code: int, names: list[str] | None) -> None:
    run(tmp_path, "cleanup.yaml", "-p", f"folder={tmp_path}", "-p", f"disk={disk}").exits(code)
    left = tmp_path / "t.files"
    assert (sorted(path.name for path in left.iterdir()) if left.exists() else None) == names
