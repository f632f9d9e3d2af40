"""`save`: the file beside the data, the version in the store, and both when something is off."""

import io
import json
import logging
import os
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from nemotron.kit import context, start
from nemotron.kit.artifacts import (
    Artifact,
    DataBlendsArtifact,
    InputDatasetInfo,
    ModelArtifact,
    PretrainBlendsArtifact,
    PretrainDataArtifact,
)
from nemotron.kit.errors import (
    ArtifactNotFoundError,
    CorruptError,
    DiskFullError,
    InvalidMetadataError,
    InvalidNameError,
    MisuseError,
    PathNotFoundError,
    RefusedError,
)
from nemotron.kit.registry.registry import Registry
from nemotron.kit.registry.scan import is_reserved
from nemotron.kit.tracking.noop import NoOpTracker
from nemotron.kit.tracking.protocol import LineageTracker, StoreTracker

Folder = Callable[..., Path]


def document(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / "metadata.json").read_text())
    return loaded


# -- page one ----------------------------------------------------------------------------------------------


def test_page_one_before_init(tmp_path: Path) -> None:
    PretrainBlendsArtifact(path=Path(tmp_path / "output/data"), total_tokens=25_000_000_000).save(
        name="my-artifact"
    )
    said = document(tmp_path / "output/data")
    assert list(said)[:7] == ["path", "type", "metadata", "created_at", "producer", "tracking", "name"]
    assert said["path"] == str(tmp_path / "output/data")
    assert (said["type"], said["name"]) == ("PretrainBlendsArtifact", "my-artifact")
    assert (said["producer"], said["tracking"]) == ("local", None)
    assert said["total_tokens"] == said["metadata"]["total_tokens"] == 25_000_000_000
    assert os.listdir(tmp_path / "output/data") == ["metadata.json"]


def test_page_one_after_init(store: Registry, tmp_path: Path) -> None:
    artifact = PretrainBlendsArtifact(path=Path("output/data"), total_tokens=25_000_000_000)
    assert artifact.save(name="my-artifact") is artifact
    assert artifact.uri == "art://my-artifact:v1"
    record = store.resolve("art://my-artifact")
    assert record.path == str(tmp_path / "output/data")
    assert record.metadata["total_tokens"] == 25_000_000_000
    said = document(tmp_path / "output/data")
    assert said["tracking"]["artifact_id"] == "my-artifact:v1"
    assert PretrainBlendsArtifact.from_uri("art://my-artifact") == artifact.model_copy(
        update={"path": tmp_path / "output/data"}
    )


# -- the file ----------------------------------------------------------------------------------------------


def test_the_file_is_indented_and_whole(folder: Folder) -> None:
    path = folder("m")
    ModelArtifact(path=path, step=1, final_loss=float("nan")).save()
    text = (path / "metadata.json").read_text()
    assert text.startswith('{\n  "path"')
    assert '"final_loss": NaN' in text
    mode = stat.S_IMODE((path / "metadata.json").stat().st_mode)
    umask = os.umask(0)
    os.umask(umask)
    assert mode == 0o666 & ~umask


def test_a_crash_while_writing_leaves_the_old_file(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder("m")
    ModelArtifact(path=path, step=1).save()

    def fail(source: str, target: str) -> None:
        assert is_reserved(os.path.basename(source))
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(DiskFullError, match="There is no store to keep the record instead"):
        ModelArtifact(path=path, step=2).save()
    assert document(path)["step"] == 1
    assert sorted(os.listdir(path)) == ["metadata.json", "part.txt"], "no temporary file is left"


def test_a_file_shaped_artifact_is_recorded_beside_it(store: Registry, folder: Folder) -> None:
    path = folder("d", "blend.json", "a.bin")
    artifact = DataBlendsArtifact(path=path / "blend.json", train_tokens=5).save(name="blends")
    assert document(path)["path"] == str(path / "blend.json")
    record = store.resolve("art://blends")
    assert record.path == str(path / "blend.json")
    tree = store.tree(record)
    assert tree is not None
    assert [entry.path for entry in tree.entries] == ["a.bin", "blend.json"]
    assert DataBlendsArtifact.from_uri(artifact.art_path).path == path / "blend.json"


def test_a_file_shaped_artifact_is_no_folder(store: Registry, folder: Folder) -> None:
    with pytest.raises(MisuseError, match="The path of a DataBlendsArtifact is a file"):
        DataBlendsArtifact(path=folder("d", "blend.json")).save(name="blends")
    assert store.list() == []


def test_single_files_are_artifacts_too(store: Registry, folder: Folder) -> None:
    path = folder("d", "a.txt", "b.txt")
    Artifact(path=path / "a.txt").save(name="a")
    assert Artifact.from_uri("art://a").path == path / "a.txt"
    assert document(path)["path"] == str(path / "a.txt")
    Artifact(path=path / "b.txt").save(name="b")
    assert document(path)["path"] == str(path / "a.txt"), "the record of another file stays"
    assert Artifact.from_uri("art://b").path == path / "b.txt"
    tree = store.tree(store.resolve("art://b"))
    assert tree is not None
    assert [entry.path for entry in tree.entries] == ["b.txt"]


def test_without_a_store_one_folder_takes_one_single_file(folder: Folder) -> None:
    path = folder("d", "a.txt", "b.txt")
    Artifact(path=path / "a.txt").save()
    with pytest.raises(MisuseError, match=r"a\.txt, another file of the folder"):
        Artifact(path=path / "b.txt").save()


@pytest.mark.parametrize(("snapshot", "what"), [(True, "Copying"), (False, "Reading")])
def test_a_person_sees_how_far_it_is(
    store: Registry, folder: Folder, monkeypatch: pytest.MonkeyPatch, snapshot: bool, what: str
) -> None:
    told: list[tuple[int, int]] = []
    shown: list[str] = []

    @contextmanager
    def showing(what: str) -> Iterator[Callable[[int, int], object]]:
        shown.append(what)
        yield lambda done, total: told.append((done, total))
        shown.append("over")

    path = folder("d", "a.txt")
    size = (path / "a.txt").stat().st_size
    monkeypatch.setattr(context, "_showing", showing)
    Artifact(path=path).save(name="a", snapshot=snapshot, evidence="full")
    assert (shown, told[-1]) == ([what, "over"], (size, size))


@pytest.mark.parametrize("terminal", [True, False])
def test_it_is_shown_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch, terminal: bool) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    showing = context.showing()
    assert showing is not None
    with showing("Copying") as progress:
        assert (progress is not None) is terminal


class Written:
    """What programs put in the place of standard error: it has what `print` needs."""

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        pass


@pytest.mark.parametrize("is_closed", [True, False])
def test_whatever_stands_for_standard_error_keeps_nobody_from_saving(
    store: Registry, folder: Folder, monkeypatch: pytest.MonkeyPatch, is_closed: bool
) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed if is_closed else Written())
    Artifact(path=folder("d", "a.txt")).save(name="a")
    assert store.resolve("a").version == 1


def test_a_file_does_not_take_the_record_of_the_folder_it_is_in(
    tmp_path: Path, folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    path = folder("ckpt", "model.bin", "notes.txt")
    ModelArtifact(path=path, step=7).save(name="model")
    with pytest.raises(
        MisuseError, match=r"the record of the folder itself \(model\), which notes\.txt is only"
    ):
        Artifact(path=path / "notes.txt").save(name="notes")
    moved = path.rename(tmp_path / "moved")
    start.init(root=tmp_path / "store")
    with caplog.at_level(logging.WARNING):
        notes = Artifact(path=moved / "notes.txt").save(name="notes")
    assert notes.uri == "art://notes:v1"
    assert Artifact.from_uri("art://notes").path == moved / "notes.txt"
    assert "art://notes:v1 is recorded in the store only" in caplog.text
    model = Artifact.load(moved)
    assert (type(model), model.path, model.name) == (ModelArtifact, moved, "model")
    # An artifact that is a file with the folder around it writes there, as ever.
    (moved / "blend.json").write_text("{}")
    blends = DataBlendsArtifact(path=moved / "blend.json").save(name="blends")
    assert document(moved)["name"] == "blends"
    assert blends.uri == "art://blends:v1"


@pytest.mark.parametrize("flag", ["snapshot", "follow_links", "all_ranks"])
@pytest.mark.parametrize("value", ["yes", "no", "", 1, 0])
def test_what_is_no_flag_is_refused_before_anything_is_written(
    store: Registry, folder: Folder, flag: str, value: object
) -> None:
    path = folder("d", "a.txt")
    with pytest.raises(MisuseError, match=rf"Not a flag: {flag}={value!r}; expected True"):
        Artifact(path=path).save(name="a", **{flag: value})
    assert (store.list(), os.listdir(path)) == ([], ["a.txt"])


@pytest.mark.parametrize("content", ['{"mine": 1}', "no json", "[1]", ""])
def test_a_users_own_metadata_is_never_overwritten(
    tmp_path: Path, folder: Folder, caplog: pytest.LogCaptureFixture, content: str
) -> None:
    path = folder("m")
    (path / "metadata.json").write_text(content)
    with pytest.raises((MisuseError, CorruptError), match=r"There is no store to keep the record instead"):
        ModelArtifact(path=path, step=1).save()
    start.init(root=tmp_path / "store")
    with caplog.at_level(logging.WARNING):
        model = ModelArtifact(path=path, step=1).save(name="m")
    assert (path / "metadata.json").read_text() == content
    assert model.uri == "art://m:v1"
    assert ModelArtifact.from_uri("art://m").step == 1
    assert [record.message for record in caplog.records if "recorded in the store only" in record.message]


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Makes a folder refuse new files, which mode bits alone do not do to root."""
    real = os.open

    def protect(folder: Path) -> None:
        def open_(path: Any, flags: int, mode: int = 0o777, **options: Any) -> int:
            if flags & os.O_CREAT and str(path).startswith(f"{folder}/"):
                raise PermissionError(13, "Permission denied", str(path))
            return real(path, flags, mode, **options)

        monkeypatch.setattr(os, "open", open_)

    return protect


def test_a_read_only_folder_is_no_failure_with_a_store(
    store: Registry, folder: Folder, read_only: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    path = folder("m")
    read_only(path)
    with caplog.at_level(logging.WARNING):
        model = ModelArtifact(path=path, step=1).save(name="m")
    assert model.uri == "art://m:v1"
    assert os.listdir(path) == ["part.txt"]
    assert ModelArtifact.from_uri("art://m").step == 1
    assert caplog.records == [], "nothing to worry about"


def test_a_read_only_folder_is_an_error_without_a_store(
    folder: Folder, read_only: Callable[[Path], None]
) -> None:
    path = folder("m")
    read_only(path)
    with pytest.raises(RefusedError, match=r"Check the owner and mode.*kit\.init") as caught:
        ModelArtifact(path=path, step=1).save()
    assert isinstance(caught.value, PermissionError)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "file/below", tmp_path / "pipe"):
        with pytest.raises(RefusedError, match=r"Cannot make the folder .* is no folder; check the path"):
            ModelArtifact(path=path, step=1).save()


def test_nothing_is_written_of_metadata_without_a_json_form(store: Registry, folder: Folder) -> None:
    path = folder("m")
    with pytest.raises(InvalidMetadataError, match="builtins"):
        Artifact(path=path, metadata={"x": object()}).save(name="m")
    assert os.listdir(path) == ["part.txt"]
    assert store.list() == []


# -- versions ----------------------------------------------------------------------------------------------


def test_the_same_is_the_same_version_and_the_file_stays(store: Registry, folder: Folder) -> None:
    path = folder("m")
    first = ModelArtifact(path=path, step=1).save(name="m")
    before = (path / "metadata.json").stat()
    again = ModelArtifact(path=path, step=1).save(name="m")
    assert again.uri == "art://m:v1"
    assert again == first
    after = (path / "metadata.json").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_what_changed_is_a_new_version(store: Registry, folder: Folder) -> None:
    path = folder("m")
    model = ModelArtifact(path=path, step=1).save(name="m")
    model.step = 2
    assert model.save().uri == "art://m:v2", "it keeps the name"
    (path / "part.txt").write_text("other content")
    assert model.save().uri == "art://m:v3"
    assert document(path)["tracking"]["artifact_id"] == "m:v3"


def test_time_is_no_part_of_what_it_is(store: Registry, folder: Folder) -> None:
    path = folder("d")
    PretrainDataArtifact(path=path, elapsed_sec=1.0).save(name="d")
    again = PretrainDataArtifact(path=path, elapsed_sec=2.0).save(name="d")
    assert again.uri == "art://d:v1"
    assert document(path)["elapsed_sec"] == 2.0


def test_a_snapshot_keeps_the_bytes(store: Registry, folder: Folder) -> None:
    path = folder("m", "a.txt")
    artifact = Artifact(path=path, note=str(path / "a.txt")).save(name="m", snapshot=True)  # type: ignore[call-arg]
    assert artifact.path == path
    (path / "a.txt").write_text("changed")
    loaded = Artifact.from_uri("art://m:v1")
    assert (loaded.path / "a.txt").read_text() == "content of a.txt"
    assert loaded.metadata["note"] == str(loaded.path / "a.txt")


def test_what_was_loaded_from_a_snapshot_is_saved_as_one(store: Registry, folder: Folder) -> None:
    Artifact(path=folder("m")).save(name="m", snapshot=True)
    loaded = Artifact.from_uri("art://m")
    held = (loaded.path / "metadata.json").read_text()
    assert loaded.save().uri == "art://m:v1"
    assert loaded.save(name="copy").uri == "art://copy:v1"
    assert store.resolve("art://copy").is_snapshot
    assert (loaded.path / "metadata.json").read_text() == held, "the store's copy is everybody's"


def test_names_keep_their_slashes(store: Registry, folder: Folder) -> None:
    artifact = Artifact(path=folder("m")).save(name="nano3/pretrain/data?sample=10")
    assert artifact.uri == "art://nano3-pretrain-data-sample-10:v1"
    assert artifact.name == "nano3/pretrain/data?sample=10"
    assert store.resolve(artifact.uri).manifest.semantic_name == "nano3/pretrain/data?sample=10"
    assert Artifact.from_uri("art://nano3/pretrain/data?sample=10").uri == artifact.uri


def test_without_a_name_it_is_published_under_its_type(store: Registry, folder: Folder) -> None:
    assert ModelArtifact(path=folder("m"), step=1).save().uri == "art://ModelArtifact:v1"


def test_a_name_that_is_none_writes_nothing(store: Registry, folder: Folder) -> None:
    with pytest.raises(InvalidNameError):
        Artifact(path=folder("m")).save(name="../m")
    assert os.listdir("m") == ["part.txt"]


def test_aliases_and_evidence(store: Registry, folder: Folder) -> None:
    artifact = Artifact(path=folder("m")).save(name="m", aliases=["best", "prod"], evidence="full")
    assert store.aliases("m") == {"best": 1, "prod": 1}
    content = store.resolve("art://m").manifest.content
    assert content is not None
    assert content.evidence == "full"
    assert Artifact.from_uri("art://m:best").uri == artifact.uri


@pytest.mark.parametrize("alias", ["latest", "v3", "a/b"])
def test_an_alias_that_is_none_publishes_nothing(store: Registry, folder: Folder, alias: str) -> None:
    with pytest.raises(MisuseError):
        Artifact(path=folder("m")).save(name="m", aliases=[alias])
    assert store.list() == []


def test_links_are_followed_when_asked(store: Registry, folder: Folder) -> None:
    outside = folder("cache", "blob")
    path = folder("m")
    (path / "link.txt").symlink_to(outside / "blob")
    Artifact(path=path).save(name="m", snapshot=True, follow_links=True)
    assert (Artifact.from_uri("art://m").path / "link.txt").read_text() == "content of blob"


def test_data_that_is_not_there(store: Registry, tmp_path: Path) -> None:
    with pytest.raises(PathNotFoundError, match=r"blend\.json"):
        DataBlendsArtifact(path=tmp_path / "d/blend.json").save(name="d")
    assert store.list() == []


def test_publishing_by_reference_costs_four_syncs(
    store: Registry, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    Artifact(path=folder("first")).save(name="m")
    path = folder("m")
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    Artifact(path=path).save(name="m")
    assert len(synced) <= 4
    assert len([name for name in synced if name.startswith(str(path))]) == 1
    synced.clear()
    Artifact(path=path).save(name="m")
    assert synced == []


# -- without a store ---------------------------------------------------------------------------------------


def test_an_inactive_tracker_is_none(folder: Folder) -> None:
    context.set_tracker(NoOpTracker())
    assert Artifact(path=folder("m")).save(name="m").uri is None
    assert document(Path("m"))["producer"] == "local"


@pytest.mark.parametrize(
    ("evidence", "is_said"), [("stat", True), ("sampled", True), ("full", False), (None, False)]
)
def test_that_a_snapshot_has_all_evidence_is_said_where_less_was_asked_for(
    store: Registry, folder: Folder, caplog: pytest.LogCaptureFixture, evidence: Any, is_said: bool
) -> None:
    Artifact(path=folder("m")).save(name="m", snapshot=True, evidence=evidence)
    assert (f"save() passes over evidence={evidence!r}: a snapshot" in caplog.text) == is_said
    content = store.resolve("m").manifest.content
    assert content is not None
    assert content.evidence == "full"


def test_options_that_need_a_store_are_not_passed_over_in_silence(
    folder: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    Artifact(path=folder("m")).save(snapshot=True, aliases="best", inputs=["hf://a/b"])
    assert "save() passes over snapshot=, aliases=, inputs=, because there is no store" in caplog.text


def test_saving_something_else_without_a_store_is_no_version_any_more(tmp_path: Path, folder: Folder) -> None:
    with start.using(root=tmp_path / "store"):
        model = ModelArtifact(path=folder("m"), step=1).save(name="m")
    assert model.save().uri == "art://m:v1", "it is what was published"
    model.step = 2
    assert model.save().uri is None
    assert document(tmp_path / "m")["tracking"] is None


# -- inputs ------------------------------------------------------------------------------------------------


def test_what_was_loaded_becomes_an_input(store: Registry, folder: Folder) -> None:
    Artifact(path=folder("a")).save(name="a")
    Artifact(path=folder("b")).save(name="b")
    Artifact.from_uri("art://a:latest")
    Artifact.load(Path("b"))
    model = ModelArtifact(path=folder("m"), step=1).save(name="m")
    assert model.tracking is not None
    assert model.tracking.used_artifacts == ["a:v1", "b:v1"]
    assert store.resolve("art://m").inputs == ["art://a:v1", "art://b:v1"]
    assert document(Path("m"))["tracking"]["used_artifacts"] == ["a:v1", "b:v1"]


def test_a_change_of_what_was_loaded_comes_from_it(store: Registry, folder: Folder) -> None:
    Artifact(path=folder("a")).save(name="a")
    loaded = Artifact.from_uri("art://a")
    assert loaded.save().uri == "art://a:v1", "nothing changed"
    loaded.metadata["note"] = "x"
    assert loaded.save().uri == "art://a:v2"
    assert store.resolve("art://a").inputs == ["art://a:v1"]


def test_inputs_replace_what_was_loaded(store: Registry, folder: Folder) -> None:
    for name in ("a", "b", "c"):
        Artifact(path=folder(name)).save(name=name)
    store.alias("b", "best", 1)
    Artifact.from_uri("art://a")
    unpublished = Artifact(path=folder("u"))
    inputs = [
        Artifact.from_uri("art://c"),
        "art://b:best",
        "b:1",
        unpublished,
        f"art://{unpublished.path}",
        "hf://org/corpus",
        "s3://bucket/x",
        folder("raw"),
        "./raw2",
        "file:///x",
        InputDatasetInfo("hf://org/more"),
        InputDatasetInfo("/more"),
    ]
    artifact = Artifact(path=folder("m")).save(name="m", inputs=inputs)
    assert artifact.tracking is not None
    assert artifact.tracking.used_artifacts == ["c:v1", "b:v1"]
    here = Path.cwd()
    assert store.resolve("art://m").manifest.inputs == (
        f"file://{here}/u",
        "hf://org/corpus",
        "s3://bucket/x",
        f"file://{here}/raw",
        f"file://{here}/raw2",
        "file:///x",
        "hf://org/more",
        "file:///more",
    )
    assert Artifact(path=folder("n")).save(name="n", inputs=()).tracking.used_artifacts == []  # type: ignore[union-attr]


def test_a_text_that_may_be_both_is_refused(store: Registry, folder: Folder) -> None:
    Artifact(path=folder("b")).save(name="b")
    folder("files")
    with pytest.raises(MisuseError, match=r"write art://b or \./b"):
        Artifact(path=folder("m")).save(name="m", inputs=["b"])
    assert Artifact(path=folder("m")).save(name="m", inputs=["files"]).uri
    assert store.resolve("art://m").inputs == [f"file://{Path.cwd()}/files"]


def test_latest_is_pinned(store: Registry, folder: Folder) -> None:
    Artifact(path=folder("a")).save(name="a")
    Artifact(path=folder("m")).save(name="m", inputs="art://a:latest")
    Artifact(path=folder("a2")).save(name="a")
    assert store.resolve("art://m").inputs == ["art://a:v1"]


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ("art://nope:v1", ArtifactNotFoundError),
        ("nope", MisuseError),
        ("no such", MisuseError),
        (3, MisuseError),
    ],
)
def test_an_input_that_is_none(store: Registry, folder: Folder, given: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        Artifact(path=folder("m")).save(name="m", inputs=[given])
    assert os.listdir("m") == ["part.txt"]
    assert [entry.name for entry in store.list()] == []


def test_a_reference_of_wandb_is_kept(store: Registry, folder: Folder) -> None:
    Artifact(path=folder("m")).save(name="m", inputs=["art://team/project/data:v0"])
    assert store.resolve("art://m").inputs == ["art://team/project/data:v0"]


def test_sources_and_tokenizer_are_inputs(store: Registry, folder: Folder) -> None:
    PretrainDataArtifact(
        path=folder("d"), source_datasets=["hf://a/b"], tokenizer_uri="https://huggingface.co/gpt2"
    ).save(name="d", inputs=["s3://b/c"])
    assert store.resolve("art://d").inputs == ["hf://a/b", "https://huggingface.co/gpt2", "s3://b/c"]


def test_used_artifacts_said_by_hand_count(store: Registry, folder: Folder) -> None:
    Artifact(path=folder("a")).save(name="a")
    artifact = Artifact(path=folder("m"))
    artifact._used_artifacts.append("a:v1")
    assert artifact.save(name="m").tracking.used_artifacts == ["a:v1"]  # type: ignore[union-attr]


def test_runs_scope_what_was_loaded(store: Registry, folder: Folder) -> None:
    Artifact(path=folder("a")).save(name="a")
    with start.run("first"):
        Artifact.from_uri("art://a")
        one = Artifact(path=folder("m")).save(name="m")
    two = Artifact(path=folder("n")).save(name="n")
    assert one.tracking is not None
    assert two.tracking is not None
    assert (one.tracking.used_artifacts, two.tracking.used_artifacts) == (["a:v1"], [])
    assert one.producer == one.tracking.run_id
    assert one.producer != "local"


# -- ranks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rank", ["1", "7"])
def test_other_ranks_save_nothing(
    store: Registry,
    folder: Folder,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    rank: str,
) -> None:
    monkeypatch.setenv("RANK", rank)
    for _ in range(2):
        artifact = Artifact(path=folder("m")).save(name="m")
    assert artifact.uri is None
    assert artifact.art_path == "art://m", "where rank 0 puts it"
    assert store.list() == []
    assert os.listdir("m") == ["part.txt"]
    assert [record.levelname for record in caplog.records] == ["WARNING"], "said once"
    assert artifact.save(all_ranks=True).uri == "art://m:v1"


@pytest.mark.parametrize("rank", ["0", "", " "])
def test_rank_zero_saves(store: Registry, folder: Folder, monkeypatch: pytest.MonkeyPatch, rank: str) -> None:
    monkeypatch.setenv("RANK", rank)
    assert Artifact(path=folder("m")).save(name="m").uri == "art://m:v1"


def test_a_loaded_artifact_is_no_version_after_a_save_that_did_nothing(
    store: Registry, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    Artifact(path=folder("m")).save(name="m")
    loaded = Artifact.from_uri("art://m")
    monkeypatch.setenv("RANK", "3")
    assert loaded.save(name="other").uri is None


# -- other people's trackers -------------------------------------------------------------------------------


class FourMethods:
    """A tracker of somebody else's."""

    def __init__(self, record: dict[str, Any] | None = None) -> None:
        self.record = record or {}
        self.logged: list[tuple[Any, ...]] = []
        self.seen: dict[str, Any] = {}

    def is_active(self) -> bool:
        return True

    def use_artifact(self, ref: str, artifact_type: str) -> Path:
        return Path(ref.partition(":")[0])

    def log_artifact(self, artifact: Any, name: str, used_refs: list[str]) -> dict[str, Any]:
        self.logged.append((name, used_refs))
        self.seen = json.loads(Path(artifact.get_wandb_files()[0][0]).read_text())
        return {"artifact_type": artifact.type, **self.record}

    def get_run_id(self) -> str | None:
        return "run-7"


def test_a_tracker_with_four_methods(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    tracker = FourMethods({"artifact_id": "nano3-m:v4", "url": "https://x"})
    assert isinstance(tracker, LineageTracker)
    assert not isinstance(tracker, StoreTracker)
    context.set_tracker(tracker)
    Artifact(path=folder("a")).save(name="a")
    Artifact.load(tracked_artifact="a:v2")
    model = ModelArtifact(path=folder("m"), step=1).save(name="nano3/m", snapshot=True)
    assert tracker.logged == [("a", []), ("nano3-m", ["a:v2"])]
    assert tracker.seen["step"] == 1, "the file is there when the tracker is asked"
    assert (model.uri, model.producer) == ("art://nano3-m:v4", "run-7")
    assert model.tracking is not None
    assert (model.tracking.url, model.tracking.used_artifacts) == ("https://x", [])
    assert document(Path("m"))["tracking"]["artifact_id"] == "nano3-m:v4"
    assert "passes over snapshot=, because FourMethods is no store" in caplog.text


@pytest.mark.parametrize("identity", [None, "", "nonsense", "a b:v1", "m:best"])
def test_a_tracker_that_gives_no_version(folder: Folder, identity: str | None) -> None:
    context.set_tracker(FourMethods({"artifact_id": identity, "used_artifacts": None}))
    artifact = Artifact(path=folder("m")).save(name="m")
    assert artifact.uri is None
    assert artifact.tracking is not None
    assert artifact.tracking.artifact_id == identity


def test_wandb_alone_has_names_with_three_parts(folder: Folder) -> None:
    context.set_tracker(FourMethods({"artifact_id": "team/project/m:v0"}))
    assert Artifact(path=folder("m")).save(name="m").uri == "art://team/project/m:v0"


def test_a_file_that_is_missing_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    start.init(root=tmp_path / "store")
    with pytest.raises(PathNotFoundError, match=r"Cannot publish b: no blend\.json in .*/d\. Write it first"):
        DataBlendsArtifact(path=tmp_path / "d/blend.json").save("b")
    assert not (tmp_path / "d").exists()


def test_a_path_that_was_not_there_is_told_of_if_nothing_else_is_said(
    store: Registry, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    Artifact(path=tmp_path / "typo/x").save(name="m")
    assert "typo/x was not there and is made: m has no data and says nothing" in caplog.text
    caplog.clear()
    Artifact(path=tmp_path / "typo/x").save(name="m")  # now it is there
    Artifact(path=tmp_path / "numbers", metadata={"accuracy": 0.9}).save(name="n")  # metadata alone is fine
    assert caplog.text == ""
    assert (tmp_path / "numbers/metadata.json").exists()
    ModelArtifact(path=tmp_path / "nothere", step=3).save(name="model")  # what is said of a model is no model
    assert "nothere was not there and is made: model has no data. If there should be some" in caplog.text
