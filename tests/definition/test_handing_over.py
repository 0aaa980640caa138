"""What SG407 proposes for a script with references: whatever the value is, it stays data where the text is run."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from sagactl.definition.loading import check

VALUE = "1;echo PWNED $(echo PWNED) \"'  x"
SCRIPTS = {
    "bare": ("printf '%s\\n' ${params.v}", '"$V"'),
    "double": ('printf "%s\\n" "${params.v}"', "$V"),
    "double, among others": ('echo "app:${params.v}, twice ${params.v}"', "$V"),
    "double, a letter behind": ('echo "${params.v}_old"', "${V}"),
    "bare, letters around": ("echo a${params.v}b", '"$V"'),
    "bare, two side by side": ("echo ${params.v}${params.w}", '"$V"'),
    "both": ('echo ${params.v} "${params.w}"', '"$V"'),
    "between single quotes": ("echo 'a b'${params.v}'c d'", '"$V"'),
    "double within single": ("echo '\"'${params.v}'\"'", '"$V"'),
    "single within double": ("echo \"it's '${params.v}'\"", "$V"),
    "escaped quotes": ('echo \\"${params.v}\\"', '"$V"'),
    "escaped within double": ('echo "\\"${params.v}\\""', "$V"),
    "an assignment": ('X=${params.v}; echo "$X"', '"$V"'),
    "a file": ("echo a > /dev/null ${params.v} 2>&1", '"$V"'),
    "after a comment": ("# it's \"odd\nprintf '%s\\n' ${params.v}", '"$V"'),
    "a here-document": ("cat <<END\nit's ${params.v} \"quoted\"\nEND\necho done", "$V"),
    "a here-document, a letter behind": ("cat <<-END\n\t${params.v}x\n\tEND", "${V}"),
    "a condition": ('if [ "${params.v}" = x ]; then echo yes; else echo "${params.v}"; fi', "$V"),
    "a case": ("case ${params.v} in x) echo yes;; *) echo ${params.v};; esac", '"$V"'),
    "a command within": ('echo "$(date) ${params.v}"', "$V"),
    "an argument behind the code": ("sh -c 'echo \"$1\"' sh ${params.v}", '"$V"'),
    "no plain YAML": ('echo "a: ${params.v} # b"', "$V"),
    "quotes at the beginning": ('"echo" "x" ${params.v}', '"$V"'),
}
CODE = {
    "bash -c": ('bash -c "echo ${params.v}"', "bash -c '… \"$1\" …' bash \"$V\""),
    "sh -c, single": ("sh -c 'echo ${params.v}'", "sh -c '… \"$1\" …' sh \"$V\""),
    "xargs": ('ls | xargs -n1 sh -c "echo ${params.v}"', "sh -c '… \"$1\" …' sh \"$V\""),
    "find": ('find . -exec sh -c "echo ${params.v}" \\;', "sh -c '… \"$1\" …' sh \"$V\""),
    "python": ("python3 -c \"print('${params.v}')\"", "sys.argv[1]"),
    "perl": ('perl -e "print ${params.v}"', "$ARGV[0]"),
    "node": ('sudo node -e "f(${params.v})"', "process.argv[1]"),
    "awk": ("awk '{print \"${params.v}\"}' file", 'ENVIRON["V"]'),
    "ssh": ('ssh -p 22 web "rm ${params.v}"', "send the value on stdin"),
    "ssh, a word": ("ssh web rm ${params.v}", "send the value on stdin"),
    "su": ('su - app -c "x ${params.v}"', "`pattern`"),
    "psql": ("psql -c \"select '${params.v}'\"", "`pattern`"),
    "eval": ('eval "x ${params.v}"', "`pattern`"),
    "eval, a word": ("eval echo ${params.v}", "`pattern`"),
    "a here-document for psql": ("psql <<END\nselect '${params.v}';\nEND", "`pattern`"),
    "a here-document for ssh": ("ssh web <<END\nrm ${params.v}\nEND", "`pattern`"),
}
DOUBT = {
    "single quotes": "echo 'single ${params.v}'",
    "a quoted here-document": "cat <<'END'\n${params.v}\nEND",
    "the program": "${params.v} now",
    "the program of sudo": "sudo -u me ${params.v}",
    "the program behind a file": "> out ${params.v}",
    "into a shell": 'echo "rm ${params.v}" | sh',
    "into xargs": 'echo "${params.v}" | xargs -I{} sh -c "rm {}"',
    "a variable that is run": "X=${params.v}; $X",
    "a variable that is code": 'X="rm ${params.v}"; sh -c "$X"',
    "a trap": 'trap "rm ${params.v}" EXIT',
    "commands within": 'echo "$(echo "${params.v}")"',
    "backquotes": "echo `echo ${params.v}`",
    "a default": "echo ${X:-${params.v}}",
    "arithmetic": "echo $((${params.v} + 1))",
    "make": "make TAG=${params.v}",
    "an exported PATH": "export PATH=${params.v}; ls",
    "into psql, which is told to read": 'echo "drop ${params.v}" | psql -f -',
    "a here-document for psql, which is told to read": "psql -f - <<END\n${params.v}\nEND",
    "escaped": 'echo "\\${params.v}"',
    "PATH": "PATH=${params.v} ls",
    "no end of the quotes": 'echo "${params.v}',
    "an unknown program with code": 'other -c "x ${params.v}"',
    "a function with eval": 'run() { eval "$1"; }; run "x ${params.v}"',
}


def helps(script: str, **fields: object) -> list[str]:
    """What SG407 says about each reference of a script."""
    step = {"id": "a", "action": script, "undo": "none", **fields}
    rules = {name: {"type": "string"} for name in "vw"}
    text = json.dumps({"saga": "s", "params": rules, "steps": [step]})
    return [each.help for each in check(text.encode(), "f.yaml") if each.code == "SG407"]


def proposed(script: str) -> tuple[str, set[str]]:
    """The script with all that is proposed done, and the names of the variables that it needs."""
    told = helps(script)
    parts = [yaml.safe_load(each.partition("\n")[2]) for each in told]
    names = {name for part in parts for name in part["env"]}
    if "action" in parts[0]:
        return parts[0]["action"], names
    for found in told:
        at = script.index("${params.")
        script = script[:at] + found.partition("write in its place: ")[2] + script[script.index("}", at) + 1 :]
    return script, names


@pytest.mark.parametrize(("script", "piece"), SCRIPTS.values(), ids=SCRIPTS)
def test_a_value_stays_data_in_what_is_proposed(script: str, piece: str, tmp_path: Path) -> None:
    text, names = proposed(script)
    assert piece in text
    assert "${params" not in text
    environment = {"PATH": "/usr/bin:/bin", **dict.fromkeys(names, VALUE)}
    done = subprocess.run(["/bin/sh", "-euc", text], env=environment, cwd=tmp_path, capture_output=True, text=True,
                          timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    assert "PWNED" not in done.stdout.replace(VALUE, "")
    assert VALUE in done.stdout or "/dev/null" in text


@pytest.mark.parametrize(("script", "told"), CODE.values(), ids=CODE)
def test_no_value_is_put_into_the_code_of_another_program(script: str, told: str) -> None:
    (found,) = helps(script)
    assert "would run the value as code" in found
    assert told in found
    assert "\naction:" not in found
    assert "in its place" not in found


@pytest.mark.parametrize("script", DOUBT.values(), ids=DOUBT)
def test_nothing_is_rewritten_in_doubt(script: str) -> None:
    (found,) = helps(script)
    assert "\naction:" not in found
    assert "in its place" not in found


@pytest.mark.parametrize("reference", ["${steps.a.url}", "${params.v[0]}", "${params.v:-x}", "${params.nobody}",
                                       "${steps.nobody.outputs.o}", "${params.v"])
def test_a_reference_that_is_wrong_itself_is_never_repeated(reference: str) -> None:
    for found in helps(f"echo {reference}"):
        assert "env: {" not in found
        assert "action:" not in found


def test_one_line_of_many_is_not_presented_as_the_action() -> None:
    (found,) = helps("echo one\necho ${params.v}\n")
    assert "action:" not in found
    assert found.endswith('write in its place: "$V"')


@pytest.mark.parametrize(("script", "fields", "name"), [
    ("echo ${params.v}", {"env": {"V": "other"}}, "PARAM_V"),
    ("V=1; echo ${params.v} $V", {}, "PARAM_V"),
    ("echo ${saga.id}", {}, "SAGA_ID"),
])
def test_no_variable_is_taken_that_somebody_has(script: str, fields: dict[str, object], name: str) -> None:
    (found,) = helps(script, **fields)
    assert f'"${name}"' in found


def test_a_variable_that_holds_the_value_already_is_used() -> None:
    (found,) = helps("echo ${params.v}", env={"V": "${params.v}"})
    assert found.endswith('which stays data:\naction: echo "$V"')


def test_a_script_of_nothing_but_references_is_answered_in_time() -> None:
    assert helps("echo " + "${params.v} " * 5000)
    assert helps("echo\n" * 5000 + "echo ${params.v}")
