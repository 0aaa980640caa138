"""SG515: a value that a shell puts into a text which is then run as code; and what is none of it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from sagactl.definition.loading import check

CODE = {
    "a shell": 'sh -c "./pay $V"', "a shell, in braces": 'bash -euc "./pay ${V}"', "all of it": 'sh -c "$V"',
    "bare": "sh -c $V", "eval": 'eval "x $V"', "eval, words": 'eval x "$V"', "ssh": 'ssh web "rm $V"',
    "ssh, a word": 'ssh web rm "$V"', "su": 'su me -c "rm $V"', "python": 'python3 -c "f(\'$V\')"',
    "awk": 'awk "{print $V}" x', "psql": 'psql -c "select \'$V\'"', "xargs": 'ls | xargs sh -c "rm $V"',
    "the program": '"$V" now', "the program of sudo": 'sudo "$V" now', "behind others": './a && sh -c "rm $V" || ./b',
    "a here-document": "bash <<END\nrm $V\nEND", "a here-document, in braces": "ssh web <<END\nrm ${V}x\nEND",
}
DATA = {
    "an argument": './pay "$V"', "bare": "./pay $V", "an argument behind the code": "sh -c './pay \"$1\"' sh \"$V\"",
    "within single quotes": "sh -c './pay \"$V\"'", "escaped": 'sh -c "./pay \\"\\$V\\""', "another": 'sh -c "./pay $W"',
    "an assignment": 'X="$V" ./pay', "a file": 'sh -c ./pay > "$V"', "a text for grep": 'grep -e "$V" x',
    "a here-document for cat": "cat <<END\n$V\nEND", "a quoted here-document": "bash <<'END'\nrm $V\nEND",
    "the end of options": 'curl -d "$V" https://x', "find": 'find . -name "$V" -exec rm {} +',
    "a variable of awk": "awk -v a=\"$V\" '{print a}' x", "a longer name": 'sh -c "./pay $VALUE"',
}
HARMLESS = ("{type: integer}", "{type: number}", "{type: boolean}", "{enum: [a, b]}", "{type: string, pattern: '[a-z]+'}")
FREE = ("{type: string}", "{type: string, maxLength: 9}", "{type: array}", "{type: object}")


def codes(script: str | list[str], rule: str = "{type: string}", **fields: object) -> list[str]:
    """The codes of what is said of a step with this action, to which the parameter `v` comes as $V."""
    step = {"id": "a", "action": script, "env": {"V": "a ${params.v}", "W": "w"}, "undo": "none", **fields}
    text = f"saga: s\nparams: {{v: {rule}}}\nsteps: [{json.dumps(step)}]"
    return [each.code for each in check(text.encode(), "f.yaml")]


@pytest.mark.parametrize("script", CODE.values(), ids=CODE)
def test_a_value_that_becomes_code_is_warned_of(script: str) -> None:
    assert codes(script) == ["SG515"]
    assert "${" in script or codes(["bash", "-euc", script]) == ["SG515"]  # an argv takes `${V}` for a reference
    assert codes("true", check=script) == ["SG515"]


@pytest.mark.parametrize("script", DATA.values(), ids=DATA)
def test_a_value_that_stays_data_is_not(script: str) -> None:
    assert codes(script) == []
    assert codes(["bash", "-euc", script]) == []


@pytest.mark.parametrize("rule", HARMLESS)
def test_nor_is_one_whose_rule_allows_no_code(rule: str) -> None:
    assert codes(CODE["a shell"], rule) == []


@pytest.mark.parametrize("rule", FREE)
def test_what_anyone_may_choose_is_warned_of(rule: str) -> None:
    assert codes(CODE["a shell"], rule) == ["SG515"]


def test_a_value_really_becomes_code_there_and_not_in_what_is_proposed(tmp_path: Path) -> None:
    def run(script: str) -> str:
        env = {"PATH": "/usr/bin:/bin", "V": "x; echo PWNED"}
        return subprocess.run(["/bin/sh", "-euc", script], env=env, cwd=tmp_path, capture_output=True, text=True, check=True).stdout

    assert run('sh -c "echo $V"') == "x\nPWNED\n"
    assert run("sh -c 'echo \"$1\"' sh \"$V\"") == "x; echo PWNED\n"
