"""Who may import whom: the layers of the plan, no cycle anywhere, and the front door for outsiders only."""

import os
import shutil
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

from architecture.source_rules import SRC

PROJECT_FILE = SRC.parent / "pyproject.toml"
KIT = "nemotron.kit"

Imports = dict[str, set[str]]


@pytest.fixture(scope="module")
def imports() -> Imports:
    """Module → what it imports, also inside functions and under TYPE_CHECKING."""
    graph = grimp.build_graph("nemotron", "nemo_runspec", cache_dir=None)
    return {module: set(graph.find_modules_directly_imported_by(module)) for module in graph.modules}


def importers_of(module: str, imports: Imports) -> list[str]:
    return sorted(name for name, imported in imports.items() if module in imported)


def cycle(imports: Imports) -> list[str]:
    """The first cycle, its first module named again at its end; empty if there is none."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return [str(module) for module in error.args[1]]
    return []


def lint_imports(src: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter with the project's own contracts over a copy of its source."""
    return subprocess.run(
        [
            *(sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()"),
            *("--no-cache", "--no-logo", str(PROJECT_FILE)),
        ],
        env={**os.environ, "PYTHONPATH": str(src), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_layers_hold() -> None:
    result = lint_imports(SRC)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "0 broken" in result.stdout


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SRC, tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__")))


def append(file: Path, text: str) -> None:
    file.write_text(file.read_text(encoding="utf-8") + text, encoding="utf-8")


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("names.py", "\ndef f():\n    from nemotron.kit.registry import registry\n", "names"),
        ("names.py", "\nif TYPE_CHECKING:\n    from nemotron.kit import context\n", "names"),
        ("documents/codec.py", "\nimport nemotron.kit.store.local\n", "documents"),
        ("names.py", "\nimport nemo_runspec\n", "nemo_runspec"),
    ],
    ids=["inside a function", "for types only", "a sibling", "the package above"],
)
def test_an_import_that_goes_up_is_noticed(copy: Path, file: str, text: str, said: str) -> None:
    append(copy / "nemotron/kit" / file, text)
    result = lint_imports(copy)
    assert result.returncode == 1, result.stdout + result.stderr
    assert "0 broken" not in result.stdout  # who comes in by a package above breaks each contract on its way
    assert said in result.stdout


def test_a_room_that_is_not_on_the_plan_is_noticed(copy: Path) -> None:
    (copy / "nemotron/kit/utils.py").write_text("")
    result = lint_imports(copy)
    assert result.returncode == 1
    assert "nemotron.kit.utils" in result.stdout


def test_nothing_inside_uses_the_front_door(imports: Imports) -> None:
    inside = [module for module in importers_of(KIT, imports) if module.startswith(KIT)]
    assert inside == []
    assert importers_of(KIT, {**imports, f"{KIT}.names": {KIT}}) == [f"{KIT}.names"]


def test_there_is_no_cycle(imports: Imports) -> None:
    assert cycle(imports) == []


def test_a_cycle_is_noticed(imports: Imports) -> None:
    assert f"{KIT}.names" in imports[f"{KIT}.registry.registry"]
    knot = cycle({**imports, f"{KIT}.names": {f"{KIT}.registry.registry"}})
    assert {f"{KIT}.names", f"{KIT}.registry.registry"} <= set(knot)


def test_the_graph_sees_imports_in_functions_and_for_types(copy: Path) -> None:
    append(copy / "nemotron/kit/names.py", "\ndef f():\n    import nemotron.kit.store.local\n")
    append(copy / "nemotron/kit/names.py", "\nif TYPE_CHECKING:\n    import nemotron.kit.registry.registry\n")
    code = (
        "import grimp; g = grimp.build_graph('nemotron', cache_dir=None);"
        "print(*g.find_modules_directly_imported_by('nemotron.kit.names'))"
    )
    seen = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert {f"{KIT}.store.local", f"{KIT}.registry.registry"} <= set(seen)


def test_the_rooms_that_all_else_stands_on_are_there() -> None:
    """A layer in parentheses may be missing: a later version brings it. These may not."""
    rooms = {path.stem for path in (SRC / "nemotron/kit").iterdir()}
    assert {"errors", "names", "documents", "store", "registry", "lineage", "tracking", "artifacts"} <= rooms
    assert {
        "context",
        "start",
        "artifact",
        "trackers",
        "wandb_kit",
        "train_script",
        "cli",
        "testing",
    } <= rooms
