"""Every example in sagas/, on its good path and on a failing one, as its opening comment says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.harness import ROOT, Saga

EXAMPLES = sorted((ROOT / "sagas").glob("*.yaml"))


def run(folder: Path, example: str, *args: str) -> Saga:
    return Saga(folder, "").args("run", str(ROOT / "sagas" / example), "--id", "t", *args).chatty()


def ledger(folder: Path) -> str:
    """What stands in the shop: stock and money."""
    command = (sys.executable, ROOT / "sagas/order/shop.py", "ledger")
    env = {**os.environ, "XDG_STATE_HOME": str(folder / "state")}
    said = subprocess.run(command, capture_output=True, text=True, check=True, env=env).stdout
    return "\n".join(line for line in said.splitlines() if line.startswith(("stock", "money")))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_valid_opens_with_a_comment_and_is_tested_here(example: Path, tmp_path: Path) -> None:
    Saga(tmp_path, "").args("validate", "--strict", str(example)).stdout(f"{example}: valid\n").exits(0)
    assert example.read_text().splitlines()[1].startswith("#")
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
