"""What the README says is what the code does."""

from __future__ import annotations

import re

from sagactl.cli.commands import COMMANDS
from sagactl.cli.driving import WORST_FIRST
from sagactl.cli.main import built
from sagactl.definition.loading import load
from tests.generated import README, drawn, with_generated


def test_the_generated_parts_of_the_readme_are_those_of_the_code() -> None:
    text = README.read_text()
    assert all(part in text for part in drawn().values())
    assert with_generated(text) == text


def test_the_readme_names_every_command_and_every_option() -> None:
    text = README.read_text()
    named = set(re.findall(r"`sagactl (\w+)", text)), set(re.findall(r"--[a-z][a-z-]+", text)) | set(re.findall(r"`(-\w)", text))
    for name, row in COMMANDS.items():
        assert row.hidden or name in named[0]
        for each in built(name).params if not row.hidden else ():
            assert each.param_type_name == "argument" or named[1] & {*each.opts}, (name, each.opts)


def test_the_readme_has_exactly_two_set_up_commands_of_one_line_each() -> None:
    found = re.findall(r"^## ([^\n]+)\n(?:(?!^## ).)*?```sh\n(.*?)```", README.read_text(), re.DOTALL | re.MULTILINE)
    assert [(title, command.count("\n")) for title, command in found] == [("Quick start", 1), ("Tests", 1)]


def test_the_readme_says_which_exit_code_is_the_worst() -> None:
    assert f"in this order: {', '.join(map(str, WORST_FIRST))}, 0." in " ".join(README.read_text().split())


def test_every_definition_in_the_readme_is_valid_without_a_warning() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", README.read_text(), re.DOTALL)
    assert blocks
    assert [load(block.encode(), "README.md").warnings for block in blocks] == [()] * len(blocks)
