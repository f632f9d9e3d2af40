"""Importing costs nothing: what is heavy, or not in the base install, is loaded when it is used."""

import subprocess
import sys
from pathlib import Path

import pytest

from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry

# What no door may load; pydantic is not here because the artifact values are made of it.
HEAVY = {
    *("wandb", "omegaconf", "fsspec", "pyarrow", "numpy", "torch", "rich", "typer", "click", "upath", "yaml"),
    *("tokenizers", "safetensors", "zstandard", "obstore", "sqlite3", "asyncio", "http", "xml"),
}

# Beyond these the front door loads nothing at all: they are itself.
FRONT_DOOR = {"nemotron", "nemotron.kit"}

# All that a process loads of us that asks for nothing but the path of an artifact: loading takes most of its
# time. What the road does not need is loaded where it is used.
ROAD_TO_A_PATH = {
    *("nemotron", "nemotron.kit", "nemotron.kit.context", "nemotron.kit.errors", "nemotron.kit.names"),
    *("nemotron.kit.redaction", "nemotron.kit.workers"),
    *("nemotron.kit.documents", "nemotron.kit.registry", "nemotron.kit.store"),
    *(f"nemotron.kit.documents.{name}" for name in ("codec", "digest", "manifest", "tags")),
    *(f"nemotron.kit.registry.{name}" for name in ("aliases", "catalog", "layout", "numbered_log", "older")),
    *(f"nemotron.kit.registry.{name}" for name in ("registry", "remaps", "resolved", "stamps", "versions")),
    *(f"nemotron.kit.store.{name}" for name in ("blocks", "connect", "files", "folders", "local")),
    *(f"nemotron.kit.store.{name}" for name in ("protocol", "system_errors", "unsynced")),
}
# Where the listing of the files is in the manifest, as it is of a few hundred files.
ROAD_WITH_A_LISTING = ROAD_TO_A_PATH | {
    f"nemotron.kit.documents.{name}"
    for name in ("columns", "entry", "known_keys", "positions", "tree", "tree_rows", "tree_text")
}
# Of Python's own what costs more than it looks, and is not loaded by what we can't do without.
NOT_ON_THE_ROAD = {
    *("argparse", "concurrent.futures.thread", "ctypes", "datetime", "decimal", "difflib", "email"),
    *("getpass", "hashlib", "hmac", "importlib.metadata", "queue", "random", "secrets", "shutil", "socket"),
    *("subprocess", "tempfile", "uuid", "zipfile"),
}

DOORS = (
    *("artifact", "trackers", "wandb_kit", "train_script", "recipe_loader", "megatron_stub", "start"),
    *("artifacts", "context", "registry.registry", "tracking.composite", "lineage.graph", "errors", "names"),
)


def loaded_by(code: str) -> set[str]:
    """The modules that a fresh interpreter loads for the code, beyond those of its own start."""
    script = f"import sys\nbefore = set(sys.modules)\n{code}\nprint(*(set(sys.modules) - before), sep='\\n')"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return set(result.stdout.split())


def heavy(modules: set[str]) -> set[str]:
    return {module.partition(".")[0] for module in modules} & HEAVY


@pytest.mark.parametrize(
    "code",
    [
        "import nemotron.kit",
        "from nemotron import kit; dir(kit)",
        "import nemotron.kit as kit; kit.__all__; hasattr(kit, '__wrapped__')",
        "import importlib, nemotron.kit; importlib.reload(nemotron.kit)",
    ],
)
def test_the_front_door_loads_nothing_but_itself(code: str) -> None:
    assert loaded_by(f"import importlib\nbefore = set(sys.modules)\n{code}") == FRONT_DOOR


@pytest.mark.parametrize("door", DOORS)
def test_a_door_loads_nothing_heavy(door: str) -> None:
    assert heavy(loaded_by(f"import nemotron.kit.{door}")) == set()


def test_starting_a_local_store_loads_nothing_heavy_and_no_pydantic() -> None:
    modules = loaded_by(
        "import os; from nemotron import kit; kit.init(root='store');"
        "registry = kit.context.current_registry(); registry.list(); kit.shutdown()"
    )
    assert heavy(modules) == set()
    assert "pydantic" not in modules


@pytest.mark.parametrize("files", [1, 400])
def test_the_road_from_a_name_to_a_path_loads_what_it_needs(
    files: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    for number in range(files):
        (data / f"{number}.txt").write_text("x")
    Registry.open(tmp_path / "store").publish(Draft(name="x", source=data))
    monkeypatch.setenv("NEMO_ARTIFACT_ROOT", str(tmp_path / "store"))

    modules = loaded_by(
        "from nemotron.kit.context import require_registry; store = require_registry()\n"
        f"assert str(store.location(store.resolve('x'))) == {str(data)!r}"
    )

    assert {name for name in modules if name.startswith("nemo")} == (
        ROAD_WITH_A_LISTING if files == 1 else ROAD_TO_A_PATH
    )
    assert modules & NOT_ON_THE_ROAD == set()
    assert {name.partition(".")[0] for name in modules} <= {"nemotron", *sys.stdlib_module_names}


def test_loading_a_reference_loads_nothing_that_reads_or_lays_out_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data.txt").write_text("x")
    Registry.open(tmp_path / "store").publish(Draft(name="x", source=tmp_path / "data.txt"))
    monkeypatch.setenv("NEMO_ARTIFACT_ROOT", str(tmp_path / "store"))

    modules = loaded_by("from nemotron.kit import Artifact; Artifact.from_uri('art://x')")

    assert "nemotron.kit.registry.verify" in modules, "this load has looked whether the file is as it was"
    readers = ("checkouts", "content", "laying_out", "parallel", "reading", "verify_at_url")
    assert modules & {"blake3", "subprocess", *(f"nemotron.kit.registry.{name}" for name in readers)} == set()
    assert heavy(modules) == set()


def test_the_siblings_load_nothing_heavy() -> None:
    assert heavy(loaded_by("import nemo_runspec")) == set()


def test_this_check_can_fail() -> None:
    assert heavy(loaded_by("import fsspec, xml.sax")) >= {"fsspec", "xml"}
    assert loaded_by("from nemotron.kit import Artifact") > FRONT_DOOR
