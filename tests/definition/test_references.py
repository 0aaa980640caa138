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
    "of itself, in the undo": (two(f"undo: [x, 'a{OUTPUT_A}']", "undo: none"), ["SG511"]),
    "of itself, in the undo of what is safe to repeat": (
        two(f"undo: [x, 'a{OUTPUT_A}'], max_retries: 1", "undo: none"), OK),
    "of itself, in the undo of what is tried once by its own word": (
        two(f"undo: [x, 'a{OUTPUT_A}'], max_retries: 0", "undo: none"), ["SG511"]),
    "of itself, in the undo, optional": (two("undo: [x, 'a${steps.a.outputs.o?}']", "undo: none"), OK),
    "of itself, in the undo after a check": (two(f"undo: [x, 'a{OUTPUT_A}'], check: [x]", "undo: none"), OK),
    "of itself, in the undo after a check that gives none": (
        two(f"undo: [x, 'a{OUTPUT_A}'], check: [test, -e, x]", "undo: none"), ["SG516"]),
    "of a step above whose check gives none": (
        two("undo: none, check: test -e x", f"undo: none, env: {{A: '{OUTPUT_A}'}}"), ["SG516"]),
    "of one whose check gives none, optional": (
        two("undo: none, check: test -e x", "undo: none, env: {A: '${steps.a.outputs.o?}'}"), OK),
    "of one whose check gives none, in what may be skipped": (
        two("undo: none, check: test -e x", f"undo: none, on_failure: continue, env: {{A: '{OUTPUT_A}'}}"), OK),
    "of one whose check gives none, in a check": (
        two("undo: none, check: test -e x", f"undo: none, check: [x, 'a{OUTPUT_A}']"), OK),
    "of one whose check gives it": (
        two("undo: none, check: grep x y > $SAGA_OUTPUT_DIR/o", f"undo: none, env: {{A: '{OUTPUT_A}'}}"), OK),
    "of one whose check is by a program that may give it": (
        two("undo: none, check: ./has x", f"undo: none, env: {{A: '{OUTPUT_A}'}}"), OK),
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
    "env, -S, REF", "env, '-SREF'", "env, -iS, REF", "env, '--split-string=bash REF'", "env, -u, A, -S, REF",
    "bash, -lc, REF", "python3, -Ic, REF", "busybox, sh, -c, REF", "toybox, ash, -c, REF", "zsh, -o, x, -c, REF",
    "perl, -lane, REF", "perl, -pi.bak, -e, REF", "node, -pe, REF", "php, -B, REF", "su, -, me, -c, REF",
    "su, me, '--command=REF'", "runuser, -u, me, -c, REF", "script, -qc, REF", "flock, lock, -c, REF",
    "sudo, -u, me, bash, -c, REF", "nice, -n, 5, sh, -c, REF", "timeout, 5, sh, -c, REF", "nohup, sh, -c, REF",
    "ssh, '-o', 'ProxyCommand=REF', host", "ssh, '-oProxyCommand=REF', host", "ssh, -t, host, --, REF",
    "docker, exec, c, sh, -c, REF", "kubectl, exec, pod, --, bash, -c, REF", "find, ., -exec, sh, -c, REF, ;",
    "sed, REF, file", "sed, -i, -e, REF, file", "sed, '--expression=REF', file", "gawk, -e, REF", "mawk, '-F,', REF",
    "psql, -d, db, -c, REF", "psql, '--command=REF'", "mysql, -e, REF", "sqlite3, db, REF", "watch, -n, 5, REF",
    "lua, -e, REF", "Rscript, -e, REF", "pwsh, -c, REF", "fish, -c, REF",
    "sudo, REF", "sudo, -u, me, REF", "timeout, -k, 5, 10, REF", "nice, REF", "env, A=b, REF", "xargs, -n, 1, REF",
    "nohup, REF", "stdbuf, -oL, REF", "chroot, /x, REF", "sudo, env, nice, -n, 5, REF", "env, 'LD_PRELOAD=REF', x",
    "sudo, 'PATH=REF', x", "busybox, REF", "time, -f, x, REF",
    ", ".join(["sh"] * 9) + ", 'a=REF'",
]  # fmt: skip
DATA = [
    "sh, -c, 'echo \"$1\"', sh, a=REF", "python, script.py, -c, a=REF", "python3, -m, mod, -c, a=REF", "bash, -x, s.sh, -c, a=REF", "sh, script.sh, a=REF", "awk, -v, a=REF, x",
    "awk, -f, prog.awk, a=REF", "ssh, a=REF, ls", "tool, -c, a=REF", "bash, -e, script, a=REF", "perl, -ne, x, a=REF",
    "sudo, -u, me, ./x, a=REF", "timeout, 5, ./x, a=REF", "env, A=REF, ./x", "env, -u, A, B=REF, ./x, a=REF",
    "xargs, -n, 1, ./x, a=REF", "nice, -n, 5, ./x, a=REF", "sed, -n, p, a=REF", "sed, -f, s.sed, a=REF",
    "psql, -v, a=REF, -f, x.sql", "sqlite3, a=REF", "git, commit, -m, a=REF", "curl, -d, a=REF", "grep, -e, a=REF",
    "docker, exec, c, ./x, a=REF", "bash, -c, x, bash, a=REF", "node, x.js, -e, a=REF", "make, A=REF",
    "tool, env, time, a=REF",
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


STDIN_CODE = ["sh", "bash, -s", "bash, -s, --, x", "python3, -", "python3", "perl", "node, -", "psql, db", "ssh, host",
              "ssh, -p, 22, host", "sudo, bash", "sqlite3, db", "mysql, -u, me, db"]
STDIN_DATA = ["cat", "sh, script.sh", "python3, script.py", "python3, -m, mod", "bash, -c, cat", "ssh, host, cat", "jq, .a",
              "su, me", "psql, -f, x.sql"]


@pytest.mark.parametrize("words", STDIN_CODE)
def test_no_reference_stands_in_what_an_interpreter_reads_from_stdin(words: str) -> None:
    assert "SG408" in codes(one(f"action: {argv(words)}, stdin: 'echo ${{params.p}}'"))


@pytest.mark.parametrize("words", STDIN_DATA)
def test_a_reference_on_the_stdin_of_anything_else_is_data(words: str) -> None:
    assert codes(one(f"action: {argv(words)}, stdin: '${{params.p}}'")) == []


@pytest.mark.parametrize(("words", "expected"), [
    ("x, $HOME", ["SG512"]), ("x, '--key=$SAGA_ID'", ["SG512"]), ("x, '|', y", ["SG512"]), ("x, '>', y", ["SG512"]),
    ("x, '&&', y", ["SG512"]), ("sh, -c, 'echo $HOME'", []), ("awk, '{print $NF}'", []), ("jq, '$x.a'", []),
    ("x, a$b", []), ("x, cost $5", []), ("x, $$HOME", []), ("x, a|b", []), ("x, '--format={{.Name}}'", []),
    ("x, --template, '{{.url}}', y", []), ("x, -f, '{{.name}}', y", []), ("x, -o, '{{.name}}'", []),
    ("x, -v, '{{.name}}'", ["SG513"]), ("x, --template, y, '{{.name}}'", ["SG513"]),
    ("x, --format=json, '{{.name}}'", ["SG513"]), ("x, -f, '{{item}}'", ["SG513"]),
    ("x, '{{item}}'", ["SG513"]), ("x, '{{ inputs.parameters.a }}'", ["SG513"]), ("x, '{{.TAG}}'", ["SG513"]),
])  # fmt: skip
def test_what_only_a_shell_or_another_tool_would_replace_is_a_warning(words: str, expected: list[str]) -> None:
    assert codes(one(f"action: {argv(words)}")) == expected


def test_a_placeholder_in_a_script_is_a_warning() -> None:
    assert codes(one("action: 'make TAG=${{ inputs.tag }}'")) == ["SG513"]
    assert codes(one("action: 'docker inspect -f {{.Id}} x'")) == []


@pytest.mark.parametrize(("script", "expected"), [
    ("docker inspect -f '{{.name}}' x", []), ('docker inspect -f "a {{.name}} {{.id}}" x', []),
    ("docker inspect -f={{.name}} x", []), ("docker inspect -f{{.name}} x", []),
    ("docker inspect x '{{.name}}'", ["SG513"]), ("rm -f x; echo {{.name}}", ["SG513"]),
    ("rm -f 'x'; echo '{{.name}}'", ["SG513"]), ("docker-f {{.name}}", ["SG513"]),
])  # fmt: skip
def test_what_a_program_replaces_in_its_own_option_is_none(script: str, expected: list[str]) -> None:
    text = f"saga: s\nsteps:\n- id: a\n  undo: none\n  action: |\n    {script}\n"
    assert codes(text) == expected


@pytest.mark.parametrize(("words", "expected"), [
    ("bash, -c, './pay \"$1\"', bash, '${params.p}'", []), ("sudo, sh, -eu, -c, x, sh, -x, '${params.p}'", []),
    ("python3, -c, 'import sys', '${params.p}'", []), ("bash, -c, x, bash, '${steps.b.outputs.o}'", ["SG403"]),
    ("bash, pay.sh, '${params.p}'", ["SG502"]), ("x, '${params.p}', sh, -c, y", ["SG502"]),
    ("perl, -e, x, '${params.p}'", ["SG502"]), ("timeout, '${params.p}', 5, bash, -c, x, bash, '${params.p}'", ["SG502"]),
])  # fmt: skip
def test_behind_the_code_of_a_shell_or_python_nothing_is_read_as_an_option(words: str, expected: list[str]) -> None:
    assert codes(one(f"action: {argv(words)}")) == expected
