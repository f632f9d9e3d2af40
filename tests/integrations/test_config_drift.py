"""A reference that a config names is used, so its files are compared with what was published."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import pytest
from omegaconf import OmegaConf

from nemo_runspec.artifacts import setup_artifact_tracking
from nemotron.kit import context, start
from nemotron.kit.artifacts import Artifact
from nemotron.kit.errors import DriftError, KitError
from nemotron.kit.integrations.omegaconf import clear_artifact_cache, register_resolvers
from nemotron.kit.integrations.omegaconf_errors import resolution_error
from nemotron.kit.integrations.pins import in_store
from nemotron.kit.recipe_loader import extract_recipe_config
from nemotron.kit.registry.registry import Registry
from nemotron.kit.train_script import omegaconf_to_dataclass


@dataclass
class Train:
    data: Path


@dataclass
class Named:
    data: str


def in_place() -> None:
    register_resolvers()
    try:
        _ = OmegaConf.create({"data": "${art:data:v1,path}"}).data
    except Exception as error:
        raise resolution_error(error, "data", "the config") from None


USES: dict[str, Callable[[], Any]] = {
    "register_resolvers": lambda: register_resolvers({"data": "data:v1"}),
    "setup_artifact_tracking": lambda: setup_artifact_tracking({"run": {"data": "data:latest"}}),
    "in place": in_place,
    "a path": lambda: omegaconf_to_dataclass({"data": "art://data:v1"}, Train),
    "text": lambda: omegaconf_to_dataclass({"data": "art://data:v1"}, Named),
    "an interpolation in a dataclass": lambda: (
        register_resolvers(),
        omegaconf_to_dataclass({"data": "${art:data:v1,path}"}, Train),
    ),
    "a recipe": lambda: extract_recipe_config({"recipe": {"data": "art://data"}}, default_target="lib.nano"),
}


pytestmark = pytest.mark.usefixtures("forgotten")


@pytest.fixture
def drifted(tmp_path: Path) -> Callable[[context.Reaction], Path]:
    def drifted(reaction: context.Reaction) -> Path:
        start.init(root=tmp_path / "store", on_drift=reaction)
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "part.txt").write_text("one")
        Artifact(path=tmp_path / "data").save("data")
        (tmp_path / "data" / "part.txt").write_text("longer than it was")
        return tmp_path / "data"

    return drifted


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The versions whose files were looked at, in order."""
    seen: list[str] = []
    check = Registry.check
    monkeypatch.setattr(
        Registry, "check", lambda self, record: seen.append(record.uri) or check(self, record)
    )
    return seen


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_drift_is_a_warning_once(
    drifted: Any, checks: list[str], caplog: pytest.LogCaptureFixture, use: Callable[[], Any]
) -> None:
    drifted("warn")
    for _ in range(2):
        use()
        clear_artifact_cache()
    Artifact.from_uri("art://data:v1")
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(said) == 1
    assert "art://data:v1 is no longer what was published: part.txt changed" in said[0]
    assert checks == ["art://data:v1"]
    assert context.used() == ("art://data:v1",)


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_drift_is_an_error_where_it_is_to_be_one(drifted: Any, use: Callable[[], Any]) -> None:
    drifted("error")
    for _ in range(2):
        with pytest.raises(DriftError, match=r"part\.txt changed") as caught:
            use()
        assert any("data" in note for note in caught.value.__notes__), "which key it was"
        clear_artifact_cache()
    assert context.used() == (), "what failed was not used"


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_drift_is_not_looked_for_where_nobody_cares(
    drifted: Any, checks: list[str], use: Callable[[], Any]
) -> None:
    drifted("ignore")
    use()
    assert checks == []


def test_what_is_whole_is_looked_at_once_however_often_a_config_names_it(
    drifted: Any, checks: list[str]
) -> None:
    (drifted("error") / "part.txt").write_text("two")
    Artifact(path=context.require_registry().resolve("data").path).save("data")
    register_resolvers({f"data_{n}": "data:v2" for n in range(3)})
    config = OmegaConf.create([f"${{art:data:v{n},path}}" for n in ("2", "2/", "2/part.txt")])
    assert [Path(place).name for place in config] == ["data", "data", "part.txt"]
    assert checks == ["art://data:v2"]


def test_a_look_at_a_name_looks_at_no_data(drifted: Any, checks: list[str]) -> None:
    folder, registry = drifted("error"), context.require_registry()
    assert registry.resolve("data").path == in_store(registry, "data")["path"] == str(folder)
    assert checks == []


def test_an_object_at_a_url_is_asked_for_as_by_a_load(
    tmp_path: Path, checks: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    start.init(root=tmp_path / "store")
    memory = fsspec.filesystem("memory")
    memory.pipe(f"{tmp_path}/web/a.jsonl", b"[1]")
    Artifact(path=f"memory:/{tmp_path}/web").save("data")
    memory.pipe(f"{tmp_path}/web/a.jsonl", b"[1, 2]")
    register_resolvers({"data": "data:v1"})
    assert "art://data:v1 is no longer what was published: a.jsonl changed" in caplog.text
    assert checks == ["art://data:v1"]


def test_a_store_that_a_config_names_is_used_as_the_script_said(drifted: Any, tmp_path: Path) -> None:
    drifted("warn")
    start.init(root=tmp_path / "other", on_drift="error", evidence="full", on_mismatch="warn")
    with pytest.raises(DriftError, match=r"part\.txt changed"):
        setup_artifact_tracking(
            {"artifacts": {"manifest": {"root": str(tmp_path / "store")}}, "run": {"data": "data:v1"}}
        )
    assert context.settings() == context.Settings("full", "error", "warn")


# -- on many ranks -----------------------------------------------------------------------------------------


def as_ranks(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, use: Callable[[], Any]
) -> list[KitError | None]:
    """What each of two ranks on each of two nodes gets, one after the other."""
    job = {"SLURM_JOB_ID": "7", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2"}
    found: list[KitError | None] = []
    for rank in range(4):
        here = {
            **job,
            "RANK": str(rank),
            "LOCAL_RANK": str(rank % 2),
            "TMPDIR": str(tmp_path / f"n{rank // 2}"),
        }
        for name, text in here.items():
            monkeypatch.setenv(name, text)
        clear_artifact_cache()
        try:
            use()
            found.append(None)
        except KitError as error:
            found.append(error)
    return found


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_one_rank_looks_and_its_error_is_everybodys(
    drifted: Any, checks: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, use: Callable[[], Any]
) -> None:
    drifted("error")
    found = as_ranks(monkeypatch, tmp_path, use)
    assert [type(error) for error in found] == [DriftError] * 4
    assert len({str(error) for error in found}) == 1
    assert "found by rank 0 on" in "".join(found[3].__notes__)
    assert checks == ["art://data:v1"]


def test_one_rank_warns(
    drifted: Any,
    checks: list[str],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    drifted("warn")
    use = USES["register_resolvers"]
    assert as_ranks(monkeypatch, tmp_path, use) == [None] * 4
    assert (caplog.text.count("no longer what was published"), checks) == (1, ["art://data:v1"])
    start.init(root=tmp_path / "store", on_drift="error")
    found = as_ranks(monkeypatch, tmp_path, use)
    assert [type(error) for error in found] == [DriftError] * 4, "an answer that nobody minded is not taken"
