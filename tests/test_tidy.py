"""The shape of the code: floors, the purity of the core, sizes, the top level."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "sagactl"
MODULES = sorted(PACKAGE.rglob("*.py"))
FLOORS = (
    {"sagactl", "digest", "errors", "plain", "template", "model"},
    {"core"},
    {"ports"},
    {"definition", "journal", "execution", "clock", "signals"},
    {"engine"},
    {"cli"},
    {"__main__"},
)
MODULE_LINES_MAX = 320
FUNCTION_LINES_MAX = 50
TOP_LEVEL = {"pyproject.toml", "sagactl", "sagas", "tests", "completions", "README.md", "CHANGELOG.md", "LICENSE"}
IMPURE = {"time", "random", "os", "pathlib", "asyncio", "anyio", "sqlite3", "subprocess", "threading", "socket"}


def room(module: str) -> str:
    """The room of a module of ours: the first name below the package."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else parts[0]


def floor(module: str) -> int:
    return next(i for i, rooms in enumerate(FLOORS) if room(module) in rooms)


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_imports_only_from_floors_below_or_its_own_room(path: Path) -> None:
    ours = name_of(path)
    for module in imports(path):
        if module.startswith("sagactl.") and room(module) != room(ours):
            assert floor(module) < floor(ours) or floor(module) == floor(ours) == 0, f"{ours} imports {module}"


def test_the_core_imports_nothing_that_has_a_clock_or_touches_the_world() -> None:
    for path in (PACKAGE / "core").glob("*.py"):
        assert not {module.split(".")[0] for module in imports(path)} & IMPURE, path
        assert not [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.AsyncFunctionDef)]


def test_the_core_can_be_imported_without_any_library() -> None:
    code = "import sys; import sagactl.core.decide, sagactl.core.operate, sagactl.core.codec; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert not loaded & {"typer", "rich", "yaml", "jsonschema", "anyio", "asyncio", "sqlite3"}


@pytest.mark.parametrize("args", [["--version"], ["--help"], ["list"]])
def test_a_look_imports_nothing_that_only_a_run_needs(args: list[str], tmp_path: Path) -> None:
    code = f"""
import sys
from sagactl.__main__ import main
sys.argv = ["sagactl", *{args!r}]
try:
    main()
except SystemExit:
    print(*sys.modules)
"""
    env = {"XDG_STATE_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert not loaded & {"anyio", "asyncio", "jsonschema", "yaml", "rich"}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_and_functions_keep_their_size(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= MODULE_LINES_MAX
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.end_lineno is not None:
            assert node.end_lineno - node.lineno < FUNCTION_LINES_MAX, node.name


def test_the_top_level_is_what_the_house_has() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if tracked.returncode:
        pytest.skip("not a git checkout")
    top = {line.split("/")[0] for line in tracked.stdout.splitlines()}
    assert {name for name in top if not name.startswith(".")} <= TOP_LEVEL
