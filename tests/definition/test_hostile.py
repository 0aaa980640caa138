"""Files made to cost: within every limit of the reader, and yet each is judged in a second and little memory."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.conftest import Torture

HEAD = "saga: s\nsteps:\n"
MEMORY_BYTES = 160 * 1024 * 1024
"""Of address space, with Python itself and all files one after the other; 256 MiB are promised for one."""
CPU_S = 2
"""Twice what a busy machine took at most; a quadratic rule takes minutes."""


def steps(count: int, fields: str) -> str:
    """Steps with these fields, in which `@` is the step's own number."""
    return "".join(f"- {{id: s{i}, undo: none, {fields.replace('@', str(i))}}}\n" for i in range(count))


def listed(name: str, count: int) -> str:
    return ", ".join(f"{name}{i}" for i in range(count))


VALUE = "saga: s\nparams: {p: {type: string}}\nenv: {V: '${params.p}'}\nsteps:\n"
ENV = ", ".join(f"V{i}: '${{steps.s0.outputs.o}}'" for i in range(256))
NO_ENV = ", ".join(f"V{i}: x" for i in range(256))
FILES = {
    "steps that need all before": HEAD + "".join(steps(1, f"action: x, needs: [{listed('s', i)}]").replace("s0,", f"s{i},", 1) for i in range(300)),
    "a web of circles": HEAD + "".join(steps(1, f"action: x, needs: [{listed('s', 150)}]").replace("s0,", f"s{i},", 1) for i in range(150)),
    "too many steps": f"saga: s\nsteps: [{'{}, ' * 45_000}]",
    "needs with slips": HEAD + steps(900, f"action: x, needs: [{listed('step', 40)}]"),
    "references with slips": HEAD + steps(1000, "action: [x, '${steps.step_numbre_@.outputs.o}']").replace("id: s", "id: step_number_"),
    "variables of all steps": f"saga: s\nenv: {{{ENV}}}\nsteps:\n" + steps(1, f"action: x, outputs: [o], env: {{{NO_ENV}}}")
    + "".join(f"- {{id: s{i}, undo: x, action: x, check: x}}\n" for i in range(1, 1000)),
    "variables that a check does not give": f"saga: s\nenv: {{{ENV}}}\nsteps:\n"
    + steps(1, f"action: x, outputs: [o], check: test x, env: {{{NO_ENV}}}") + "".join(f"- {{id: s{i}, undo: x, action: x}}\n" for i in range(1, 1000)),
    "texts that a comment cuts": HEAD + "".join(
        f"- id: s{i}\n  undo: none\n  action:\n" + f"  - x {'#x ' * 20}\n" * 15 for i in range(1000)),
    "unknown fields": HEAD + steps(1, "action: x, " + ", ".join(f"un_known{i}: 1" for i in range(24_000))),
    "unknown fields of steps": HEAD + steps(1000, "action: x, " + ", ".join(f"un{j}@: 1" for j in range(20))),
    "interpreters": HEAD + steps(48, f"action: [{'awk, -e, ' * 490}'a=${{saga.id}}']"),
    "wrappers": HEAD + steps(48, f"action: [{'env, -i, ' * 490}'a=${{saga.id}}']"),
    "words for a shell": HEAD + steps(48, f"action: [{'sh, $HOME, ' * 490}x]"),
    "secrets with slips": "saga: s\nsecrets: {" + ", ".join(f"SECRET_{i}: {{env: A}}" for i in range(256)) + "}\nsteps:\n"
    + steps(900, f"action: x, secrets: [{listed('SECERT_', 40)}]"),
    "pivots": HEAD + steps(1000, "action: x, pivot: true, needs: []"),
    "values of another kind": HEAD + steps(1000, "action: [[], [], {}], timeout: [], needs: 7"),
    "a duration of digits": HEAD + steps(300, f"action: x, timeout: {'1' * 39}x"),
    "keys that stand twice": "{" + "a: 1, " * 24_000 + "}",
    "variables in a script": VALUE + steps(48, "action: 'echo " + "$V " * 6500 + "'"),
    "variables in code": VALUE + steps(48, "action: 'sh -c \"" + "$V " * 6500 + "\"'"),
    "code of shells": VALUE + steps(48, "action: '" + 'sh -c "$V" x;' * 1300 + "'"),
    "shells on an argv": VALUE + steps(48, f"action: [{'sh, $V, ' * 490}x]"),
    "pipes": HEAD + steps(1, f"outputs: [o], action: '{'(a|b) ' * 10_000}'"),
    "placeholders": HEAD + "".join(steps(1, f"action: '{'{{.a}} ' * 9_000}'") for _ in range(16)),
    "templates": HEAD + "".join(steps(1, f"action: '{'-t {{.a}} ' * 6_500}'") for _ in range(16)),
    "braces": HEAD + steps(1, f"action: [x, '{'${{x}} ' * 9_000}']"),
}
PROGRAM = """
import json, resource, sys, time
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]), int(sys.argv[1])))
from sagactl.definition.loading import check
told = {}
for name, text in [("warm", "a: b"), *json.load(sys.stdin).items()]:
    start_s = time.process_time()
    told[name] = len(check(text.encode(), "f")), time.process_time() - start_s
json.dump(told, sys.stdout)
"""


@pytest.mark.torture
def test_a_file_made_to_cost_is_judged_in_time_and_in_little_memory(torture: Torture) -> None:
    names = torture.some(list(FILES), short=4)
    assert all(len(FILES[name].encode()) <= 1024 * 1024 for name in names)
    command = [sys.executable, "-c", PROGRAM, str(MEMORY_BYTES)]
    files = json.dumps({name: FILES[name] for name in names})
    done = subprocess.run(command, input=files, capture_output=True, text=True, check=True)
    judged: dict[str, tuple[int, float]] = json.loads(done.stdout)
    wrong = [name for name, (problems, took_s) in judged.items() if problems > 1000 or took_s > CPU_S]
    assert wrong == []
    torture.report("files made to cost", len(names), {"undetected": len(wrong)})
