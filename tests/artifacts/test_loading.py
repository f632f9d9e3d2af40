"""`load` and `from_uri`: the right kind, from wherever it lies now."""

import errno
import io
import json
import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemotron.kit import context, start
from nemotron.kit.artifacts import (
    Artifact,
    DataBlendsArtifact,
    ModelArtifact,
    PretrainBlendsArtifact,
    SplitJsonlDataArtifact,
    drift,
)
from nemotron.kit.documents.digest import SAMPLED_WHOLE_MAX
from nemotron.kit.documents.manifest import Evidence
from nemotron.kit.errors import (
    ArtifactNotFoundError,
    CorruptError,
    DriftError,
    InvalidReferenceError,
    KitError,
    MisuseError,
    NotInitializedError,
    PathNotFoundError,
    RefusedError,
    UnavailableError,
)
from nemotron.kit.integrations.pins import in_store
from nemotron.kit.registry import verify
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.tracking.composite import CompositeTracker
from nemotron.kit.tracking.file import FileTracker, ManifestTracker

Folder = Callable[..., Path]


class EvalArtifact(Artifact):
    """A user's own kind."""

    accuracy: float


class BetterEvalArtifact(EvalArtifact):
    """Derived from it."""

    margin: float = 0.0


# -- from a folder -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("spelt", ["m", "m/metadata.json", "m/part.txt", "file://{here}/m", "art://{here}/m"])
@pytest.mark.parametrize("kind", [str, Path])
def test_load_takes_folders_and_files(folder: Folder, spelt: str, kind: Callable[[str], Any]) -> None:
    saved = ModelArtifact(path=folder("m"), step=3).save()
    where = kind(spelt.format(here=Path.cwd())) if kind is str else spelt.format(here=Path.cwd())
    loaded = Artifact.load(Path(where) if "://" not in spelt and kind is Path else where)
    assert type(loaded) is ModelArtifact
    assert loaded == saved


def test_a_file_of_a_folder_loads_as_the_folder_and_by_reference_as_itself(
    store: Registry, folder: Folder
) -> None:
    path = folder("d", "a.txt", "b.txt")
    whole = Artifact(path=path).save(name="whole")
    file = Artifact(path=path / "b.txt").save(name="one")
    assert Artifact.load(path / "b.txt").path == Artifact.load(path / "a.txt").path == whole.path
    assert Artifact.load(path / "b.txt").uri == "art://whole:v1"
    assert Artifact.from_uri("art://one").path == file.path == path / "b.txt"
    with pytest.raises(PathNotFoundError):
        Artifact.load(path / "gone.txt")
    (path / "deep").mkdir()
    (path / "deep/c.txt").write_text("c")
    with pytest.raises(PathNotFoundError):
        Artifact.load(path / "deep/c.txt")


def test_load_takes_the_file_that_the_artifact_is(folder: Folder) -> None:
    path = folder("d", "blend.json")
    DataBlendsArtifact(path=path / "blend.json", train_tokens=3).save()
    for place in (path, path / "blend.json", path / "metadata.json"):
        assert DataBlendsArtifact.load(place).path == path / "blend.json"
    (path / "blend.json").unlink()
    assert DataBlendsArtifact.load(path / "blend.json").train_tokens == 3, "named by its record"


def test_every_art_path_loads(folder: Folder, tmp_path: Path) -> None:
    unnamed = Artifact(path=folder("a")).save()
    assert Artifact.from_uri(unnamed.art_path) == unnamed
    named = Artifact(path=folder("b"), name="some/name").save()
    assert named.art_path == "art://some/name"
    assert Artifact.from_uri(named.art_path) == named
    start.init(root=tmp_path / "store")
    named.save()
    assert named.art_path == "art://some-name:v1"
    assert Artifact.from_uri(named.art_path) == named
    assert Artifact.from_uri("art://some/name") == named
    split = SplitJsonlDataArtifact(path=folder("c", "manifest.json") / "manifest.json").save()
    assert SplitJsonlDataArtifact.from_uri(split.art_path).path == split.path


def test_a_url_is_saved_and_loaded_where_it_is(tmp_path: Path) -> None:
    saved = ModelArtifact(path="memory://bucket/model", step=3).save()
    assert (saved.path / "metadata.json").is_file()
    assert not (tmp_path / "memory:").exists()
    assert ModelArtifact.load("memory://bucket/model") == saved
    assert ModelArtifact.from_uri(saved.art_path) == saved
    start.init(root=tmp_path / "store")
    assert saved.save(name="m").uri == "art://m:v1"
    loaded = Artifact.from_uri("art://m")
    assert (str(loaded.path), loaded) == ("memory://bucket/model", saved)


@pytest.mark.parametrize("move", [shutil.move, shutil.copytree])
def test_a_moved_folder_is_followed(folder: Folder, tmp_path: Path, move: Callable[..., Any]) -> None:
    path = folder("old", "blend.json", "a.bin")
    PretrainBlendsArtifact(
        path=path,
        blend_path=str(path / "blend.json"),
        metadata={"note": f"{path}2"},
        source_datasets=["hf://a/b"],
    ).save()
    new = tmp_path / "other/new"
    new.parent.mkdir()
    move(path, new)
    loaded = PretrainBlendsArtifact.load(new)
    assert loaded.path == new
    assert loaded.blend_path == loaded.metadata["blend_path"] == str(new / "blend.json")
    assert loaded.metadata["note"] == f"{path}2", "another folder whose name only begins alike"
    assert loaded.source_datasets == ["hf://a/b"]


def test_a_moved_file_keeps_its_shape(folder: Folder, tmp_path: Path) -> None:
    path = folder("old", "my_blend.json")
    DataBlendsArtifact(path=path / "my_blend.json").save()
    Artifact(path=folder("single") / "part.txt").save()
    shutil.move("old", "new")
    shutil.move("single", "moved")
    assert Artifact.load("new").path == tmp_path / "new/my_blend.json"
    assert Artifact.load("moved").path == tmp_path / "moved/part.txt"


def test_a_folder_behind_a_link_was_not_moved(folder: Folder, tmp_path: Path) -> None:
    ModelArtifact(path=folder("m"), step=1).save()
    (tmp_path / "link").symlink_to(tmp_path / "m")
    assert Artifact.load("link").path == tmp_path / "m"


def test_the_record_in_a_store_is_not_where_the_data_lies(store: Registry, folder: Folder) -> None:
    ModelArtifact(path=folder("m"), step=1).save(name="m")
    loaded = Artifact.load(Path(store.root) / "m/v1")
    assert (loaded.path, loaded.uri) == (Path.cwd() / "m", "art://m:v1")


def test_files_of_earlier_tools_load(folder: Folder) -> None:
    path = folder("m")
    stored = {"path": str(path), "type": "ModelArtifact", "metadata": {"step": 3}, "novelty": {"a": 1}}
    (path / "metadata.json").write_text(json.dumps(stored))
    loaded = ModelArtifact.load(path)
    assert (loaded.step, loaded.metadata) == (3, {"step": 3, "novelty": {"a": 1}})


def test_nothing_there(tmp_path: Path, folder: Folder) -> None:
    with pytest.raises(
        FileNotFoundError, match=f"Artifact metadata not found: {tmp_path}/nope/metadata.json"
    ):
        Artifact.load("nope")
    with pytest.raises(PathNotFoundError, match=r"Artifact metadata not found: .*/m/metadata\.json"):
        Artifact.load(folder("m"))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"mine": 1}', '{"path": "/x", "type": "ModelArtifact"}'])
def test_a_file_that_holds_no_artifact(folder: Folder, text: str) -> None:
    path = folder("m")
    (path / "metadata.json").write_text(text)
    with pytest.raises(CorruptError, match=r"m/metadata\.json"):
        Artifact.load(path)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=4)
    | st.sampled_from(["/", "\0", "s3://"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
PARTS = {
    "path": JSON | st.just("/data"),
    "type": JSON | st.sampled_from(["ModelArtifact", "DataBlendsArtifact", "artifact", "Artifact"]),
    "metadata": JSON | st.dictionaries(st.sampled_from(["step", "note"]), JSON),
    "created_at": JSON,
    "producer": JSON,
    "tracking": JSON | st.fixed_dictionaries({}, optional={"artifact_id": JSON, "used_artifacts": JSON}),
    "name": JSON,
    "step": JSON,
    "novelty": JSON,
}


@given(st.fixed_dictionaries({}, optional=PARTS))
def test_any_file_loads_or_is_an_error_of_the_kit(document: dict[str, Any]) -> None:
    Path("m").mkdir(exist_ok=True)
    Path("m/metadata.json").write_text(json.dumps(document))
    problem = None
    try:
        loaded = Artifact.load("m")
    except KitError as error:
        problem = str(error)
    assert "m/metadata.json" in problem if problem else loaded.to_document()


# -- the right kind ----------------------------------------------------------------------------------------


def test_called_on_artifact_it_gives_the_right_kind(folder: Folder) -> None:
    BetterEvalArtifact(path=folder("e"), accuracy=0.5, margin=0.1).save()
    assert type(Artifact.load("e")) is BetterEvalArtifact
    assert type(EvalArtifact.load("e")) is BetterEvalArtifact
    with pytest.raises(MisuseError, match="is a BetterEvalArtifact, not a ModelArtifact"):
        ModelArtifact.load("e")


def test_a_derived_class_reads_what_its_base_wrote(folder: Folder) -> None:
    EvalArtifact(path=folder("e"), accuracy=0.5).save()
    assert BetterEvalArtifact.load("e").margin == 0.0


@pytest.mark.parametrize(("type_name", "fits"), [("SomebodyElsesArtifact", False), ("model", True)])
def test_types_that_nobody_knows(folder: Folder, type_name: str, fits: bool) -> None:
    Artifact(path=folder("m"), type=type_name, metadata={"step": 3}).save()
    loaded = Artifact.load("m")
    assert (type(loaded), loaded.type) == (Artifact, type_name)
    if fits:
        assert ModelArtifact.load("m").step == 3
    else:
        with pytest.raises(MisuseError, match=f"is a {type_name}, not a ModelArtifact"):
            ModelArtifact.load("m")


def test_a_kind_is_found_before_anybody_imported_it(folder: Folder) -> None:
    ModelArtifact(path=folder("m"), step=1).save()
    code = (
        "import sys\n"
        "from nemotron.kit.artifacts.base import Artifact\n"
        "assert 'nemotron.kit.artifacts.model' not in sys.modules\n"
        "print(type(Artifact.load('m')).__name__)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "ModelArtifact\n"


def test_a_checkpoint_of_a_hook_loads(store: Registry, folder: Folder) -> None:
    ManifestTracker(store.root).log_model_checkpoint("ckpt", folder("iter_0000500"), 500)
    loaded = Artifact.from_uri("art://ckpt")
    assert (type(loaded), loaded.type, loaded.metadata["iteration"]) == (Artifact, "model", 500)
    assert ModelArtifact.from_uri("art://ckpt").step == 500


# -- from a store ------------------------------------------------------------------------------------------


def test_from_uri(store: Registry, folder: Folder) -> None:
    saved = ModelArtifact(path=folder("m"), step=3, final_loss=float("inf")).save(name="nano3/model")
    store.alias("nano3/model", "best", 1)
    for spelt in ("nano3-model:v1", "nano3-model:1", "nano3/model", "nano3-model:latest", "nano3-model:best"):
        loaded = Artifact.from_uri(f"art://{spelt}")
        assert loaded == saved
        assert (loaded.uri, loaded._name, loaded._version) == ("art://nano3-model:v1", "nano3-model", 1)
        assert loaded.name == "nano3/model"
    assert context.used() == ("art://nano3-model:v1",)


@pytest.mark.parametrize("uri", ["data", "s3://b/x", "art://", "art://a b", "art://../x", "art://v3", "", 3])
def test_not_a_uri(store: Registry, uri: Any) -> None:
    with pytest.raises(ValueError, match=r"^Invalid art:// URI: ") as caught:
        Artifact.from_uri(uri)
    assert isinstance(caught.value, InvalidReferenceError)


def test_a_path_inside_is_no_artifact(store: Registry, folder: Folder) -> None:
    Artifact(path=folder("m")).save(name="m")
    with pytest.raises(MisuseError, match=r"names part\.txt inside art://m:v1"):
        Artifact.from_uri("art://m:v1/part.txt")


def test_without_a_store() -> None:
    with pytest.raises(NotInitializedError, match=r"kit\.init\(root=…\) first, or set NEMO_ARTIFACT_ROOT"):
        Artifact.from_uri("art://m")


def test_the_environment_names_a_store(
    tmp_path: Path, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEMO_ARTIFACT_ROOT", str(tmp_path / "store"))
    assert Artifact(path=folder("m")).save(name="m").uri == "art://m:v1"
    assert Artifact.from_uri("art://m").uri == "art://m:v1"


def test_what_a_version_lacks_is_said(store: Registry, folder: Folder) -> None:
    store.publish(Draft(name="m", source=folder("m"), type="ModelArtifact"))
    with pytest.raises(CorruptError, match="art://m:v1 does not hold a ModelArtifact: step: Field required"):
        Artifact.from_uri("art://m")


def test_loading_what_was_published_knows_its_version(tmp_path: Path, folder: Folder) -> None:
    with start.using(root=tmp_path / "store"):
        Artifact(path=folder("m")).save(name="m")
    assert Artifact.load("m").uri == "art://m:v1", "with no store to ask, the file is believed"
    with start.using(root=tmp_path / "other"):
        assert Artifact.load("m").uri is None, "this store has no such version"
        assert context.used() == ()
        ModelArtifact(path=folder("x"), step=1).save(name="m")
        assert Artifact.load("m").uri is None, "there it is something else"
    with start.using(root=tmp_path / "store"):
        assert Artifact.load("m").uri == "art://m:v1"
        assert context.used() == ("art://m:v1",)


@pytest.mark.parametrize("entry", ["", "/part.txt"])
def test_a_snapshot_in_a_bucket_is_loaded_from_here(tmp_path: Path, folder: Folder, entry: str) -> None:
    start.init(root=f"memory://{tmp_path}/store", on_drift="error")
    Artifact(path=Path(f"{folder('m')}{entry}")).save(name="m", snapshot=True)
    shutil.rmtree(tmp_path / "m")
    found = Path(Artifact.from_uri("art://m").path)
    assert (found if entry else found / "part.txt").read_text() == "content of part.txt"
    pinned = Path(in_store(context.require_registry(), "m")["path"])
    assert pinned == found


# -- drift -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["from_uri", "load"])
def test_drift_is_said_once(
    store: Registry, folder: Folder, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    path = folder("m", "a.txt", "b.txt")
    Artifact(path=path).save(name="m")
    (path / "a.txt").write_text("longer than it was, surely")
    (path / "b.txt").unlink()
    (path / "new.txt").write_text("x")
    for _ in range(3):
        loaded = Artifact.from_uri("art://m:v1") if how == "from_uri" else Artifact.load(path)
        assert loaded.uri == "art://m:v1"
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "a.txt changed, b.txt missing, new.txt extra" in caplog.text
    assert str(path) in caplog.text


def test_many_files_are_counted(store: Registry, folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    path = folder("m", *(f"{n}.txt" for n in range(8)))
    Artifact(path=path).save(name="m")
    shutil.rmtree(path)
    Artifact.from_uri("art://m")
    assert "4.txt missing and 3 more" in caplog.text


def test_touched_is_not_changed(tmp_path: Path, folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    start.init(root=tmp_path / "store")
    path = folder("m", "part.txt", "none.txt")
    (path / "none.txt").write_bytes(b"")
    Artifact(path=path).save(name="m")
    os.utime(path / "none.txt", (1, 1))
    Artifact.from_uri("art://m")
    assert caplog.text == "", "no bytes are the same bytes"
    drift._looked_at.clear()  # as another process
    os.utime(path / "part.txt", (1, 1))
    Artifact.from_uri("art://m")
    assert caplog.text.rstrip().endswith("same size, content not verified: part.txt touched")


@pytest.mark.parametrize(
    ("evidence", "size", "way"),
    [
        (
            "stat",
            5,
            "No digests are known of it: publish the data again as a new version, with evidence=",
        ),
        ("sampled", SAMPLED_WHOLE_MAX, None),
        ("sampled", SAMPLED_WHOLE_MAX + 1, "No more than samples are known of it, which"),
        ("full", 5, None),
    ],
)
def test_touched_is_not_used_uncompared_where_drift_is_an_error(
    tmp_path: Path,
    folder: Folder,
    caplog: pytest.LogCaptureFixture,
    evidence: Evidence,
    size: int,
    way: str | None,
) -> None:
    start.init(root=tmp_path / "store", evidence=evidence, on_drift="error")
    path = folder("m", "part.txt", "other.txt")
    (path / "part.txt").write_bytes(bytes(size))
    Artifact(path=path).save(name="m")
    os.utime(path / "part.txt", (1, 1))
    if way is None:
        assert Artifact.from_uri("art://m").uri == "art://m:v1"
    else:
        said = r"art://m:v1: 1 file was written since \(another time, the same size\), .*: part.txt\. "
        for _ in range(2):
            with pytest.raises(DriftError, match=rf"{said}{way}.*\. With on_drift='warn' it can be used"):
                Artifact.from_uri("art://m")
        assert context.used() == ()
    assert caplog.records == []


def test_what_is_too_much_to_compare_at_a_load_is_verified_once(
    tmp_path: Path, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "LOAD_BYTES_MAX", 3)
    start.init(root=tmp_path / "store", evidence="full", on_drift="error")
    path = folder("m")
    Artifact(path=path).save(name="m")
    os.utime(path / "part.txt", (1, 1))
    command = r"part\.txt\. `nemotron kit verify m:v1 --evidence full` compares the digests"
    with pytest.raises(DriftError, match=command):
        Artifact.from_uri("art://m")
    context.require_registry().verify("m", "full")
    assert Artifact.from_uri("art://m").uri == "art://m:v1"


@pytest.mark.parametrize("entry", ["", "/part.txt"])
def test_data_that_is_gone_may_have_been_moved(
    store: Registry, folder: Folder, caplog: pytest.LogCaptureFixture, entry: str
) -> None:
    path = Path(f"{folder('m')}{entry}")
    Artifact(path=path).save(name="m")
    path.rename(path.parent / "elsewhere")
    Artifact.from_uri("art://m")
    advice = "put it back, or where it was moved, say so with `nemotron kit remap`"
    assert f"{path} is gone: {advice}" in caplog.text
    assert "publish it again" not in caplog.text


def test_drift_can_be_an_error_or_nothing(
    tmp_path: Path, folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    path = folder("m")
    start.init(root=tmp_path / "store", on_drift="ignore")
    Artifact(path=path).save(name="m")
    (path / "part.txt").write_text("changed in length")
    Artifact.from_uri("art://m")
    assert caplog.records == []
    start.init(root=tmp_path / "store", on_drift="error")
    for _ in range(2):
        with pytest.raises(DriftError, match=r"part\.txt changed"):
            Artifact.from_uri("art://m")
    assert context.used() == ("art://m:v1",), "what failed was not used"


@pytest.mark.parametrize(
    ("number", "expected"), [(errno.EACCES, RefusedError), (errno.ENOTCONN, UnavailableError)]
)
@pytest.mark.parametrize("reaction", ["warn", "error", "ignore"])
def test_what_can_not_be_checked_is_not_used_where_drift_is_an_error(
    tmp_path: Path,
    folder: Folder,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    reaction: context.Reaction,
    number: int,
    expected: type[Exception],
) -> None:
    path = folder("m")
    start.init(root=tmp_path / "store", on_drift=reaction)
    Artifact(path=path).save(name="m")
    real = os.stat

    def refuse(at: Any, **how: Any) -> os.stat_result:
        if str(at).startswith(str(path)):
            raise OSError(number, os.strerror(number), at)
        return real(at, **how)

    said = f"Cannot tell whether art://m:v1 is still .* {path}: {os.strerror(number)}"
    with monkeypatch.context() as patched:
        patched.setattr(os, "stat", refuse)
        for _ in range(2):
            if reaction == "error":
                with pytest.raises(expected, match=rf"{said}.* with 'warn' it is"):
                    Artifact.from_uri("art://m")
            else:
                assert Artifact.from_uri("art://m").uri == "art://m:v1"
    assert len(re.findall(said, caplog.text)) == (reaction == "warn")
    assert context.used() == (() if reaction == "error" else ("art://m:v1",))


def test_a_snapshot_does_not_drift(store: Registry, folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    path = folder("m")
    Artifact(path=path).save(name="m", snapshot=True)
    shutil.rmtree(path)
    assert (Artifact.from_uri("art://m").path / "part.txt").read_text() == "content of part.txt"
    assert caplog.records == []


# -- from a tracker ----------------------------------------------------------------------------------------


class Downloads:
    """A tracker whose artifacts are folders of what W&B would download."""

    def __init__(self, folder: Path, says: str | None = None) -> None:
        self.folder = folder
        self.says = says
        self.asked: list[str] = []

    def is_active(self) -> bool:
        return True

    def use_artifact(self, ref: str, artifact_type: str) -> Path:
        self.asked.append(ref)
        if self.says:
            context.record_use(f"art://{self.says}")
        return self.folder

    def log_artifact(self, artifact: Any, name: str, used_refs: list[str]) -> dict[str, Any]:
        return {}

    def get_run_id(self) -> str | None:
        return None


def test_tracked_goes_before_path(store: Registry, folder: Folder) -> None:
    ModelArtifact(path=folder("m"), step=3).save(name="m")
    loaded = Artifact.load(path="nowhere", tracked_artifact="m:latest")
    assert (type(loaded), loaded.uri) == (ModelArtifact, "art://m:v1")
    assert Artifact.load(tracked_artifact="art://m:v1") == loaded
    with pytest.raises(ArtifactNotFoundError):
        Artifact.load(tracked_artifact="nope")


def test_no_tracker() -> None:
    with pytest.raises(ValueError, match="Cannot load tracked artifact: no active tracker"):
        Artifact.load(tracked_artifact="m:v1")


def test_a_tracker_over_a_store_of_its_own(tmp_path: Path, folder: Folder) -> None:
    context.set_tracker(ManifestTracker(tmp_path / "store"))
    ModelArtifact(path=folder("m"), step=3).save(name="m")
    assert Artifact.from_uri("art://m").uri == "art://m:v1"


def test_a_download_speaks_of_the_data_that_is_elsewhere(folder: Folder) -> None:
    data = folder("m")
    ModelArtifact(path=data, step=3).save()
    download = folder("downloads/m-v2", "other")
    shutil.copy(data / "metadata.json", download)
    context.set_tracker(Downloads(download))
    loaded = Artifact.load(tracked_artifact="team/project/m:v2")
    assert (type(loaded), loaded.path) == (ModelArtifact, data)
    assert loaded.uri == "art://team/project/m:v2"
    assert loaded.tracking is not None
    assert loaded.tracking.artifact_id == "team/project/m:v2"
    assert context.used() == ("art://team/project/m:v2",)
    shutil.rmtree(data)
    assert Artifact.load(tracked_artifact="team/project/m:v2").path == download


def test_the_version_is_what_the_tracker_said(folder: Folder) -> None:
    context.set_tracker(Downloads(folder("m"), says="team/project/m:v7"))
    loaded = Artifact.from_uri("art://team/project/m:latest")
    assert (loaded.path, loaded.uri) == (Path.cwd() / "m", "art://team/project/m:v7")
    assert context.used() == ("art://team/project/m:v7",)


def test_a_version_that_nobody_said(folder: Folder) -> None:
    context.set_tracker(Downloads(folder("m")))
    assert Artifact.load(tracked_artifact="m:latest").uri is None
    assert context.used() == ("art://m:latest",)


def test_a_wandb_reference_asks_the_store_first(tmp_path: Path, folder: Folder) -> None:
    store = Registry.open(tmp_path / "store")
    other = Downloads(folder("download"))
    context.set_registry(store)
    context.set_tracker(CompositeTracker([FileTracker(store), other]))
    Artifact(path=folder("mine")).save(name="team/project/mine")
    assert Artifact.from_uri("art://team/project/mine:v1").path == tmp_path / "mine"
    assert other.asked == []
    assert Artifact.from_uri("art://team/project/theirs:v0").path == tmp_path / "download"
    assert Artifact.load(tracked_artifact="team/project/theirs:v0").uri == "art://team/project/theirs:v0"
    assert other.asked == ["team/project/theirs:v0"] * 2
    with pytest.raises(ArtifactNotFoundError):
        Artifact.from_uri("art://theirs:v0")


def test_what_is_not_inside_an_artifact_of_the_store_is_asked_of_wandb(
    tmp_path: Path, folder: Folder
) -> None:
    store = Registry.open(tmp_path / "store")
    other = Downloads(folder("download"))
    context.set_registry(store)
    context.set_tracker(CompositeTracker([FileTracker(store), other]))
    mine = folder("mine")
    (mine / "inside").mkdir()
    (mine / "inside/file").touch()
    Artifact(path=mine).save(name="team")
    assert Artifact.from_uri("art://team/project/theirs").path == tmp_path / "download"
    assert other.asked == ["team/project/theirs"]
    with pytest.raises(MisuseError, match="names inside/file inside"):
        Artifact.from_uri("art://team/inside/file")
    context.set_tracker(FileTracker(store))
    with pytest.raises(PathNotFoundError, match="No project/theirs in art://team:v1"):
        Artifact.from_uri("art://team/project/theirs")
    assert len(other.asked) == 1


# -- from a pipe -------------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    return lambda text: monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def entries(*artifacts: Artifact) -> str:
    return json.dumps({f"a{n}": json.loads(artifact.to_json()) for n, artifact in enumerate(artifacts)})


def test_one_from_standard_input(folder: Folder, stdin: Callable[[str], None]) -> None:
    saved = ModelArtifact(path=folder("m"), step=3).save()
    for text in (saved.to_json(), entries(saved), f"a library said this\n{entries(saved)}\n"):
        stdin(text)
        assert Artifact.load() == saved
        assert ModelArtifact.load() == saved, "the same input serves several loads"
        with pytest.raises(MisuseError, match="is a ModelArtifact, not a DataBlendsArtifact"):
            DataBlendsArtifact.load()


def test_several_from_standard_input(folder: Folder, stdin: Callable[[str], None]) -> None:
    model = ModelArtifact(path=folder("m"), step=3).save()
    blends = DataBlendsArtifact(path=folder("d", "blend.json") / "blend.json").save()
    stdin(entries(model, blends))
    assert ModelArtifact.load() == model
    assert DataBlendsArtifact.load() == blends
    with pytest.raises(
        ValueError, match=r"several artifacts that fit Artifact: a0 \(ModelArtifact\), a1 \(Data"
    ):
        Artifact.load()
    with pytest.raises(ValueError, match="no artifact that fits PretrainBlendsArtifact"):
        PretrainBlendsArtifact.load()


@pytest.mark.parametrize(
    "text", ["{", "3", "[]", "{}", '{"a": 1}', '{"path": 3}', '{"a": {"type": "x"}}', "hello"]
)
def test_standard_input_that_is_something_else(stdin: Callable[[str], None], text: str) -> None:
    stdin(text)
    with pytest.raises(ValueError, match=r"^Invalid stdin data"):
        Artifact.load()


@pytest.mark.parametrize("stream", [Terminal(), None, io.StringIO(""), io.StringIO("\n")])
def test_no_standard_input(monkeypatch: pytest.MonkeyPatch, stream: Any) -> None:
    monkeypatch.setattr(sys, "stdin", stream)
    with pytest.raises(ValueError, match=r"^No input provided"):
        Artifact.load()


STEP = """
import sys
from pathlib import Path
from nemotron import kit
from nemotron.kit.artifact import *
"""
FIRST = """
Path("d").mkdir()
Path("d/blend.json").write_text("{}")
blends = DataBlendsArtifact(path=Path("d/blend.json"), train_tokens=9).save(name="blends")
model = ModelArtifact(path=Path("a model [x]"), step=1).save(name="model")
print_step_complete({"blends": blends}, model=model)
"""
SECOND = """
blends, model = DataBlendsArtifact.load(), ModelArtifact.load()
new = ModelArtifact(path=model.path.with_name("new"), step=model.step + 1)
new.metadata["from"] = blends.path
print_step_complete(new=new.save(name="model"))
"""
THIRD = """
print(Artifact.load().metadata, Artifact.load().tracking)
"""


def test_real_pipes(tmp_path: Path) -> None:
    for name, code in (("first", FIRST), ("second", SECOND), ("third", THIRD)):
        Path(f"{name}.py").write_text(STEP + code)
    python = f'"{sys.executable}"'
    elsewhere = f'(cd / && {python} "{tmp_path}/second.py" 2> /dev/null)'
    command = f"{python} first.py 2> panels | {elsewhere} | {python} third.py"
    environment = {**os.environ, "NEMO_ARTIFACT_ROOT": str(tmp_path / "store")}
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, env=environment, check=True)
    assert done.stderr == ""
    assert f"'from': '{tmp_path}/d/blend.json'" in done.stdout
    assert "'step': 2" in done.stdout
    assert "used_artifacts=['blends:v1', 'model:v1']" in done.stdout
    panels = Path("panels").read_text()
    assert "blends (blends)" in panels
    assert "a model [x]" in panels


def test_loading_says_nothing_when_all_is_well(
    store: Registry, folder: Folder, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG, "nemotron"):
        Artifact(path=folder("m")).save(name="m")
        Artifact.from_uri("art://m")
        Artifact.load("m")
    assert caplog.records == []
    assert capsys.readouterr() == ("", "")


def test_a_class_that_is_not_imported_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "data").mkdir()
    start.init(root=tmp_path / "store")
    context.require_registry().publish(Draft(name="mine", source=tmp_path / "data", type="CorpusOfMine"))
    loaded = Artifact.from_uri("art://mine")
    assert (type(loaded), loaded.type) == (Artifact, "CorpusOfMine")
    assert "is a CorpusOfMine, which is not defined in this process" in caplog.text


def test_the_record_of_another_file_in_the_folder_is_not_taken(tmp_path: Path) -> None:
    for name in ("a.pt", "b.pt"):
        (tmp_path / name).write_text(name)
    ModelArtifact(path=tmp_path / "a.pt", step=1).save()
    assert ModelArtifact.load(tmp_path / "a.pt").step == 1
    with pytest.raises(FileNotFoundError, match="Artifact metadata not found"):
        ModelArtifact.load(tmp_path / "b.pt")
