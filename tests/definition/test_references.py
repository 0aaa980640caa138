"""Values reach commands as data, never as code: one row for each place and each way of getting it wrong."""

from __future__ import annotations

import json

import pytest

from tests.definition.building import codes, diagnostics, one, two

OK: list[str] = []
PLACES = {
    "an argument": (one("action: [x, 'a=${params.p}']"), OK),
    "an argument with the id": (one("action: [x, '${saga.id}']"), OK),
    "an env value": (one("action: [x], env: {A: '${params.p} ${env.HOME}'}"), OK),
    "cwd and stdin": (one("action: [x], cwd: '${params.p}', stdin: '${params.p}'"), OK),
    "a literal": (one("action: [x, '$${params.q} $${x']"), OK),
    "a literal in the program": (one("action: ['$${x}']"), OK),
    "the program": (one("action: ['${params.p}']"), ["SG406"]),
    "the program of a mapping": (one("action: {run: ['a${params.p}']}"), ["SG406"]),
    "env in an argument": (one("action: [x, 'a${env.HOME}']"), ["SG406"]),
    "env in cwd": (one("action: [x], cwd: '${env.HOME}'"), ["SG406"]),
    "env in stdin": (one("action: [x], stdin: '${env.HOME}'"), ["SG406"]),
    "no reference": (one("action: [x, 'a${x}']"), ["SG401"]),
    "two that are none": (one("action: [x, 'a${x} ${param.p}']"), ["SG401", "SG401"]),
    "one that is not closed": (one("action: [x, 'a${params.p']"), ["SG401"]),
    "an unknown parameter": (one("action: [x, 'a${params.q}']"), ["SG402"]),
    "an unknown step": (one("action: [x, 'a${steps.b.outputs.o}']"), ["SG403"]),
    "an unknown output": (one("action: [x, 'a${steps.a.outputs.o}']"), ["SG404"]),
    "a script": (one("action: 'echo ${params.p}'"), ["SG407"]),
    "a script in a mapping": (one("action: {run: 'echo ${steps.a.outputs.o}'}"), ["SG407"]),
    "a check as a script": (one("action: [x], check: 'test ${saga.id} = ${env.A}'"), ["SG407", "SG407"]),
    "a script with the shell's own": (one("action: 'echo ${HOME} ${x:-y} $${a}'"), OK),
    "a constant PATH": (one("action: [x], env: {PATH: /bin}"), OK),
}  # fmt: skip
FIXED = ("PATH", "IFS", "ENV", "BASH_ENV", "LD_PRELOAD", "DYLD_X", "PYTHONPATH", "NODE_OPTIONS", "PERL5OPT", "GIT_SSH",
         "GIT_SSH_COMMAND")
OUTPUT_A = "${steps.a.outputs.o}"
OUTPUT_B = "${steps.b.outputs.o}"
CERTAINTY = {
    "of a step above": (two("undo: none", f"undo: none, env: {{A: '{OUTPUT_A}'}}"), OK),
    "of a step below": (two(f"undo: none, env: {{A: '{OUTPUT_B}'}}", "undo: none"), ["SG405"]),
    "of a step beside": (two("undo: none", f"undo: none, needs: [], env: {{A: '{OUTPUT_A}'}}"), ["SG405"]),
    "of a step beside, optional": (two("undo: none", "undo: none, needs: [], env: {A: '${steps.a.outputs.o?}'}"), OK),
    "of a step that may be skipped": (
        two("undo: none, on_failure: continue", f"undo: none, env: {{A: '{OUTPUT_A}'}}"), ["SG405"]),
    "of one that may be skipped, optional": (
        two("undo: none, on_failure: continue", "undo: none, env: {A: '${steps.a.outputs.o?}'}"), OK),
    "of itself, in the action": (two(f"undo: none, stdin: '{OUTPUT_A}'", "undo: none"), ["SG405"]),
    "of itself, in env of all three": (two(f"undo: none, env: {{A: '{OUTPUT_A}'}}", "undo: none"), ["SG405"]),
    "of itself, in the undo": (two(f"undo: [x, 'a{OUTPUT_A}']", "undo: none"), OK),
    "of itself, in the check": (two(f"undo: none, check: [x, 'a{OUTPUT_A}']", "undo: none"), OK),
    "of itself, in the runbook": (two(f"undo: {{manual: '{OUTPUT_A}'}}", "undo: none"), OK),
    "of a step below, in the runbook": (two(f"undo: {{manual: '{OUTPUT_B}'}}", "undo: none"), ["SG405"]),
    "of env of the saga": (two("undo: none", "undo: none") + f"env: {{A: '{OUTPUT_A}'}}", ["SG405"]),
    "through a step that may be skipped": (
        two("undo: none", "undo: none, on_failure: continue")
        + f"- {{id: c, undo: none, needs: [b], action: [x], stdin: '{OUTPUT_A}'}}", OK),
}  # fmt: skip


@pytest.mark.parametrize("name", PLACES | CERTAINTY)
def test_a_reference_is_accepted_only_where_it_is_data_and_has_a_value(name: str) -> None:
    text, expected = (PLACES | CERTAINTY)[name]
    assert codes(text) == expected


@pytest.mark.parametrize("name", FIXED)
def test_a_variable_that_decides_what_code_runs_takes_no_reference(name: str) -> None:
    assert codes(one(f"action: [x], env: {{{name}: '${{env.X}}'}}")) == ["SG409"]


CODE = [
    "sh, -c, REF", "/bin/bash, -euc, 'echo REF'", "env, A=b, sh, -c, REF", "sudo, -u, me, dash, -ec, REF",
    "sh, -o, pipefail, -c, REF", "bash, -eo, pipefail, -c, REF", "bash, -euco, pipefail, REF", "sh, -c, --, REF",
    "python3.11, -c, REF", "python, -W, error, -c, REF", "perl, -ne, REF", "perl, '-eREF'", "ruby, -e, REF",
    "node, -e, REF", "node, '--eval=REF'", "node, --eval, REF", "php, -r, REF", "su, me, -c, REF", "su, -c, REF",
    "awk, REF, file", "awk, '-F:', -v, a=b, REF", "awk, '-F', ':', REF", "x, eval, REF", "ssh, host, REF",
    "ssh, -p, 22, host, ls, REF", "xargs, sh, -c, 'echo a', bash, -c, REF",
]  # fmt: skip
DATA = [
    "sh, -c, 'echo \"$1\"', sh, a=REF", "python, script.py, -c, a=REF", "python3, -m, mod, -c, a=REF", "bash, -x, s.sh, -c, a=REF", "sh, script.sh, a=REF", "awk, -v, a=REF, x",
    "awk, -f, prog.awk, a=REF", "ssh, a=REF, ls", "tool, -c, a=REF", "bash, -e, script, a=REF", "perl, -ne, x, a=REF",
]  # fmt: skip


def argv(words: str) -> str:
    return json.dumps([word.strip("'").replace("REF", "${params.p}") for word in words.split(", ")])


@pytest.mark.parametrize("words", CODE)
def test_no_reference_stands_in_what_an_interpreter_runs(words: str) -> None:
    assert "SG408" in codes(one(f"action: {argv(words)}"))
    assert "SG408" in codes(one(f"action: [x], check: {argv(words)}"))


@pytest.mark.parametrize("words", DATA)
def test_a_reference_beside_the_code_is_data(words: str) -> None:
    assert codes(one(f"action: {argv(words)}")) == []


@pytest.mark.parametrize(("fields", "expected"), [
    ("action: [x, '${params.p}']", ["SG502"]), ("action: [x, '--a=${params.p}']", []),
    ("action: [x, '${params.n}']", []), ("action: [x, '${saga.id}']", []), ("action: [x, --, '${params.p}']", []),
    ("action: [x], outputs: [o], check: [x, '${steps.a.outputs.o}']", ["SG502"]),
    ("action: a | b, outputs: [o]", ["SG503"]), ("action: a | b, retry_on: [1], max_retries: 1", ["SG503"]),
    ("action: a | b", []), ("action: 'a || b', outputs: [o]", []), ("action: \"a '|' b\", outputs: [o]", []),
    ('action: "a # |\\ncase $x in\\n a|b) c;;\\nesac", outputs: [o]', []),
    ("action: 'a >| b', outputs: [o]", []), ("action: {run: 'a | b'}, outputs: [o]", ["SG503"]),
])  # fmt: skip
def test_what_may_be_a_mistake_is_a_warning(fields: str, expected: list[str]) -> None:
    assert codes(one(fields)) == expected


def test_a_parameter_with_a_pattern_or_an_enum_is_no_option() -> None:
    for rule in ("{type: string, pattern: '[a-z]+'}", "{enum: [a, b]}"):
        text = one("action: [x, '${params.p}']").replace("p: {type: string}", f"p: {rule}")
        assert codes(text) == []


def test_a_reference_in_a_script_shows_the_step_rewritten_with_env() -> None:
    (found,) = diagnostics(one("action: 'curl -d \"${params.p}\" https://x'"))
    assert 'env: {P: "${params.p}"}' in found.help
    assert 'action: curl -d "$P" https://x' in found.help


def test_an_unknown_name_is_answered_with_the_one_that_is_close() -> None:
    text = two("undo: none", "undo: none, env: {A: '${steps.a.outputs.oo}'}")
    assert diagnostics(text)[0].help == "did you mean `o`?"
