"""The benchmarks themselves: each subject runs, what failed has no figure, targets are judged as they are written."""

from __future__ import annotations

import itertools
import json
import random
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.bench import looking, ours
from tests.bench.__main__ import SUBJECTS, Made, main
from tests.bench.measuring import FailedError, Measure, Outcome, Setting, Subject, command, compete
from tests.bench.targets import TARGETS, Target
from tests.conftest import Torture

SHORT = ("version", "back", "list")


def told(path: Path) -> Any:
    return json.loads(path.read_text())


@pytest.mark.torture
def test_each_subject_runs_a_tiny_round(tmp_path: Path, torture: Torture) -> None:
    names = list(SUBJECTS) if torture.long else list(SHORT)
    code = main([*names, "--quick", "--json", str(tmp_path / "json"), "--folder", str(tmp_path)])
    found = told(tmp_path / "json")
    assert list(found["subjects"]) == names
    for name, outcome in found["subjects"].items():
        assert set(outcome) == {"what", "unit", "figures", "absent"}
        assert all(len(figures) == 1 for figures in outcome["figures"].values())
        assert any(who.startswith(ours.NAME) for who in (*outcome["figures"], *outcome["absent"])), name
        assert not [why for why in outcome["absent"].values() if why.startswith("failed")], outcome["absent"]
    assert looking.name(looking.SIZES_QUICK[-1]) in found["subjects"]["list"]["figures"]
    assert (tmp_path / f"{looking.SIZES_QUICK[0]}.db").exists()
    assert code == 0


def a_subject(row: Measure) -> dict[str, Made]:
    """The subjects of a run: one, of three contestants that differ in nothing."""
    rows = dict.fromkeys(("floor", "sagactl", "peer"), row)
    return {"some": lambda _: Subject(what="something", unit="ms", rows=rows)}


def test_all_figures_are_written_and_compared_with_those_of_an_earlier_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    assert main(["--rounds", "2", "--json", str(before)], a_subject(lambda _: 8.0)) == 0
    assert "earlier" not in capsys.readouterr().out
    main(["--rounds", "3", "--against", str(before), "--json", str(after)], a_subject(lambda _: 2.0))
    assert "| some | sagactl | 8 | 2 | 0.25 | 1 |" in capsys.readouterr().out.splitlines()
    found = told(after)
    assert set(found) == {"schema", "machine", "peers", "rounds", "seed", "quick", "subjects", "targets"}
    assert set(found["machine"]) == {"CPU", "cores", "kernel", "Python", "load", "file system"}
    assert (found["rounds"], found["quick"], len(found["targets"])) == (3, False, len(TARGETS))
    assert found["subjects"]["some"]["figures"] == {who: [2.0] * 3 for who in ("floor", "sagactl", "peer")}


def test_the_seed_gives_the_order_and_the_folder_is_where_it_happens(tmp_path: Path) -> None:
    def orders(seed: int) -> list[float]:
        count = itertools.count()

        def row(folder: Path) -> float:
            assert folder.parent.parent == tmp_path
            return next(count)

        words = ["--rounds", "9", "--folder", str(tmp_path), "--json", str(tmp_path / "json")]
        main([*words, "--seed", str(seed)], a_subject(row))
        found: list[float] = told(tmp_path / "json")["subjects"]["some"]["figures"]["sagactl"]
        return found

    assert orders(1) == orders(1) != orders(2)


def test_what_failed_makes_the_run_fail_and_the_other_subjects_are_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str],
) -> None:
    def fails(_: object) -> Any:
        raise FailedError("it did not")

    subjects: dict[str, Made] = {"unmade": fails, **a_subject(fails), "good": a_subject(lambda _: 5.0)["some"]}
    assert main(["--rounds", "1"], subjects) == 1
    out = capsys.readouterr().out
    assert out.count("failed: it did not") == 4
    assert "| sagactl | 5 | 5 to 5 | 1 |  |" in out


@pytest.mark.parametrize(("words", "said"), [
    (["version", "verison"], "no subject verison"),
    (["--rounds", "0"], "--rounds is at least 1"),
    (["--json", "nowhere/json"], "nowhere is not a folder"),
    (["--folder", "nowhere"], "nowhere is not a folder"),
    (["--against", "nowhere"], "nowhere was not written by --json"),
    (["--against", "other.json"], "other.json was not written by --json"),
])
def test_what_makes_no_sense_is_said_before_anything_runs(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("other.json").write_text('{"subjects": {"version": 3}}')
    with pytest.raises(SystemExit) as ended:
        main(words)
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (2, "")
    assert said in err


def competing(tmp_path: Path, rounds: int, **rows: Any) -> Outcome:
    setting = Setting(scratch=tmp_path, kept=tmp_path, quick=True, c_floor="")
    return compete(Subject(what="", unit="ms", rows=rows), setting, rounds, random.Random(3))


def test_of_what_is_counted_a_few_rounds_are_enough(tmp_path: Path) -> None:
    setting = Setting(scratch=tmp_path, kept=tmp_path, quick=True, c_floor="")
    subject = Subject(what="", unit="calls", counted=True, rows={"a": lambda _: 1.0})
    found = [compete(subject, setting, rounds, random.Random(3)).figures["a"] for rounds in (2, 15)]
    assert [len(each) for each in found] == [2, 3]


def test_each_round_runs_each_once_in_an_order_of_its_own_and_in_a_fresh_folder(tmp_path: Path) -> None:
    ran: list[str] = []

    def row(name: str, folder: Path) -> float:
        assert not list(folder.iterdir())
        (folder / name).touch()
        ran.append(name)
        return len(ran)

    outcome = competing(tmp_path, 20, **{name: partial(row, name) for name in "abc"}, d="not installed")
    orders = ["".join(ran[i : i + 3]) for i in range(0, 60, 3)]
    assert {"".join(sorted(order)) for order in orders} == {"abc"}
    assert len(set(orders)) == 6
    assert [len(figures) for figures in outcome.figures.values()] == [20, 20, 20]
    assert outcome.absent == {"d": "not installed"}
    assert not list(tmp_path.iterdir())


def test_what_fails_once_has_no_figure_and_the_others_have_theirs(tmp_path: Path) -> None:
    def fails_later(folder: Path) -> float:
        times.append(1)
        return command(folder, "sh", "-c", f"test {len(times)} -lt 2 || {{ echo broken >&2; exit 3; }}").seconds

    times: list[int] = []
    outcome = competing(tmp_path, 3, good=lambda _: 1.0, bad=fails_later)
    assert outcome.figures == {"good": [1.0, 1.0, 1.0]}
    assert outcome.absent["bad"].startswith("failed: ")
    assert outcome.absent["bad"].endswith("exits 3, not 0: broken")
    assert len(times) == 2


def test_a_run_is_held_to_the_number_of_its_sagas_and_steps(tmp_path: Path) -> None:
    ours.define(tmp_path, 1)
    ours.run(tmp_path, 1)
    for sagas, steps in ((2, 1), (1, 2)):
        with pytest.raises(FailedError):
            ours.look(tmp_path, sagas=sagas, steps=steps)


@pytest.mark.parametrize(("aim", "reached", "met"), [
    ({"times": 2, "against": "other"}, 2.0, True),
    ({"times": 1.9, "against": "other"}, 2.0, False),
    ({"times": 0.5, "against": "other", "rate": True}, 0.5, True),
    ({"times": 0.6, "against": "other", "rate": True}, 0.5, False),
    ({"times": 8}, 8.0, True),
    ({"times": 8, "below": True}, 8.0, False),
    ({"times": 7}, 8.0, False),
    ({"times": 7, "against": "absent"}, None, None),
])
def test_a_target_is_a_ratio_of_medians_or_a_figure_that_stands_for_itself(
    aim: dict[str, Any], reached: float | None, met: bool | None,  # noqa: FBT001 - a row of the table
) -> None:
    target = Target(what="", subject="s", **aim)
    outcome = Outcome(what="", unit="ms", figures={"other": [4.0, 3.0, 99.0], ours.NAME: [8.0, 1.0, 9.0]})
    assert target.reached({"s": outcome}) == reached
    assert reached is None or target.met(reached) is met
    assert target.reached({}) is None


def test_every_target_is_of_a_subject_that_there_is() -> None:
    assert {each.subject for each in TARGETS} <= set(SUBJECTS)
