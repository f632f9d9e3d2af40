"""`nemotron.kit`: what it exports is what its submodules have, found when it is first used."""

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

from nemotron import kit

CONTRACT = {
    *("Artifact", "DataBlendsArtifact", "EnergonWebDatasetArtifact", "Input", "ModelArtifact"),
    *("PretrainBlendsArtifact", "PretrainDataArtifact", "SFTDataArtifact", "SplitJsonlDataArtifact"),
    *("TrackingInfo", "apply_scale", "print_step_complete", "init", "is_initialized", "LineageTracker"),
    *("WandbTracker", "FileTracker", "ManifestTracker", "NoOpTracker", "set_lineage_tracker"),
    *("get_lineage_tracker", "to_wandb_uri", "tokenizer_to_uri", "WandbConfig"),
    *("init_wandb_if_configured", "add_run_tags", "using", "shutdown", "run", "lineage_of"),
    *("composition", "recall", "impact"),
}


def test_exports_are_the_contract() -> None:
    assert set(kit.__all__) == CONTRACT
    assert kit.__all__ == sorted(kit.__all__)


def test_the_three_lists_of_names_agree() -> None:
    """What is exported, what is looked up, and what type checkers see."""
    looked_up = {(module, name) for module, names in kit._SOURCES.items() for name in names.split()}
    typed = {
        (node.module.rpartition(".")[2], alias.name)
        for node in ast.walk(ast.parse(inspect.getsource(kit)))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("nemotron.kit.")
        for alias in node.names
        if alias.asname == alias.name
    }
    assert looked_up == typed
    assert sorted(name for _, name in looked_up) == kit.__all__


@pytest.mark.parametrize("name", sorted(CONTRACT))
def test_a_name_is_its_submodules_own(name: str) -> None:
    module = next(module for module, names in kit._SOURCES.items() if name in names.split())
    own = getattr(importlib.import_module(f"nemotron.kit.{module}"), name)
    assert getattr(kit, name) is own
    assert vars(kit)[name] is own, "it is kept"


def test_no_export_hides_a_submodule() -> None:
    submodules = {module.name for module in pkgutil.iter_modules(kit.__path__)}
    assert submodules & set(kit.__all__) == set()


@pytest.mark.parametrize("name", ["wandb_kit", "artifact", "trackers", "start", "context", "errors"])
def test_a_submodule_is_an_attribute(name: str) -> None:
    code = f"from nemotron import kit; assert kit.{name}.__name__ == 'nemotron.kit.{name}'"
    subprocess.run([sys.executable, "-c", code], check=True)
    code = f"from nemotron.kit import {name}; assert {name}.__name__ == 'nemotron.kit.{name}'"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_everything_is_listed() -> None:
    assert set(kit.__all__) <= set(dir(kit))
    assert {"wandb_kit", "errors", "__version__", "__doc__"} <= set(dir(kit))
    assert not {"TYPE_CHECKING", "_name"} & set(dir(kit))


def test_the_star_imports_all() -> None:
    namespace: dict[str, object] = {}
    exec("from nemotron.kit import *", namespace)
    assert set(namespace) - {"__builtins__"} == set(kit.__all__)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("Artefact", "Artifact"),
        ("ModelArtefact", "ModelArtifact"),
        ("inti", "init"),
        ("wandbkit", "wandb_kit"),
    ],
)
def test_a_misspelt_name_is_answered_with_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(
        AttributeError, match=f"has no attribute '{name}'. Did you mean '{nearest}'"
    ) as caught:
        getattr(kit, name)
    assert caught.value.name == name


def test_a_misspelt_import_is_answered_with_the_nearest() -> None:
    with pytest.raises(ImportError, match=r"cannot import name 'Artefact' .*Did you mean 'Artifact'"):
        from nemotron.kit import Artefact  # type: ignore[attr-defined]  # noqa: F401
    # What is a submodule, and near a public name, is imported all the same.
    code = "from nemotron.kit import artifacts, store, names, tracking, registry; print(artifacts.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "nemotron.kit.artifacts\n"


def test_a_name_like_nothing_is_answered_plainly() -> None:
    with pytest.raises(AttributeError, match=r"module 'nemotron\.kit' has no attribute 'zzzzzz'$"):
        kit.zzzzzz  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'zzzzzz'"):
        from nemotron.kit import zzzzzz  # type: ignore[attr-defined]  # noqa: F401
    assert not hasattr(kit, "__wrapped__")


def test_the_version_is_the_distributions() -> None:
    from importlib.metadata import version

    assert kit.__version__ == version("nemotron-kit")


def test_many_threads_see_one_object() -> None:
    code = """
import sys, threading
sys.setswitchinterval(1e-6)
from nemotron import kit
seen, barrier = [], threading.Barrier(16)
def look():
    barrier.wait()
    seen.append((kit.Artifact, kit.init, kit.FileTracker))
threads = [threading.Thread(target=look) for _ in range(16)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert len(seen) == 16 and len(set(seen)) == 1, seen
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_reloading_looks_names_up_anew() -> None:
    code = """
import importlib
from nemotron import kit
before = kit.apply_scale
importlib.reload(kit.artifact)
importlib.reload(kit)
assert kit.apply_scale is kit.artifact.apply_scale
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_page_one_works_before_any_init_and_after(tmp_path: Path) -> None:
    from nemotron.kit import PretrainBlendsArtifact

    PretrainBlendsArtifact(path=Path("output/data"), total_tokens=25_000_000_000).save(name="my-artifact")
    assert (tmp_path / "output/data/metadata.json").is_file()

    kit.init(root="store")
    PretrainBlendsArtifact(path=Path("output/more"), total_tokens=25_000_000_000).save(name="my-artifact")
    found = kit.Artifact.from_uri("art://my-artifact")
    assert isinstance(found, PretrainBlendsArtifact)
    assert found.total_tokens == 25_000_000_000
    assert found.uri == "art://my-artifact:v1"
