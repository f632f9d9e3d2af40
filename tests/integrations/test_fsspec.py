"""`art://` through fsspec and through the tools that read by it."""

import inspect
import os
import pickle
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import fsspec
import pytest
from fsspec.spec import AbstractFileSystem

from nemotron.kit import context, start
from nemotron.kit.errors import (
    CorruptError,
    DriftError,
    InvalidReferenceError,
    NotFoundError,
    NotInitializedError,
    OutsideRootError,
    RefusedError,
    WithdrawnError,
)
from nemotron.kit.integrations.fsspec import ArtifactFileSystem, FolderError, ReadOnlyError
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry

FILES = {"part.txt": b"hello\nworld\n", "train/000.bin": b"0123456789", "train/deep/x.txt": b"x"}


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    start.init(root=tmp_path / "store")
    return context.require_registry()


@pytest.fixture(params=["reference", "snapshot"])
def data(request: pytest.FixtureRequest, registry: Registry, tmp_path: Path) -> Registry:
    """The artifact `data`, by reference and by snapshot in turn."""
    folder = write(tmp_path / "data", FILES)
    registry.publish(Draft(name="data", source=folder, snapshot=request.param == "snapshot"))
    return registry


@pytest.fixture
def fs() -> ArtifactFileSystem:
    found = fsspec.filesystem("art")
    assert type(found) is ArtifactFileSystem
    return found


READ_ONLY = r"^ArtifactFileSystem is read-only$"


# -- reading -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["data:v1", "data:1", "data:latest", "data", "data:stable"])
def test_a_file_is_read_by_every_spelling_of_its_version(data: Registry, name: str):
    data.alias("data", "stable", 1)
    with fsspec.open(f"art://{name}/part.txt") as file:
        assert file.read() == b"hello\nworld\n"
    with fsspec.open(f"art://{name}/part.txt", "rt") as file:
        assert file.readlines() == ["hello\n", "world\n"]


def test_blocks_are_read_where_they_lie(data: Registry, fs: ArtifactFileSystem):
    with fs.open("data:v1/train/000.bin") as file:
        assert file.size == 10
        file.seek(4)
        assert file.read(3) == b"456"
        assert file.tell() == 7
        buffer = bytearray(2)
        assert file.readinto(buffer) == 2
        assert bytes(buffer) == b"78"
    assert fs.read_block("data:v1/train/000.bin", 2, 3) == b"234"
    assert fs.head("data:v1/train/000.bin", 2) == b"01"
    assert fs.tail("data:v1/train/000.bin", 2) == b"89"


@pytest.mark.parametrize("first", [None, 0, 3, 9, 10, 99, -1, -4, -99])
@pytest.mark.parametrize("last", [None, 0, 3, 9, 10, 99, -1, -4, -99])
def test_a_range_means_what_it_does_for_bytes(data: Registry, fs: ArtifactFileSystem, first, last):
    assert fs.cat_file("data:v1/train/000.bin", first, last) == b"0123456789"[first:last]


def test_several_files_and_ranges_at_once(data: Registry, fs: ArtifactFileSystem):
    path = "data:v1/train/000.bin"
    assert fs.cat_ranges([path, path], [0, 5], [2, 7]) == [b"01", b"56"]
    assert fs.cat(["data:v1/train/000.bin", "data:v1/train/deep/x.txt"]) == {
        "data:v1/train/000.bin": b"0123456789",
        "data:v1/train/deep/x.txt": b"x",
    }


def test_files_and_folders_are_fetched(data: Registry, fs: ArtifactFileSystem, tmp_path: Path):
    fs.get_file("data:v1/part.txt", str(tmp_path / "one.txt"))
    assert (tmp_path / "one.txt").read_bytes() == FILES["part.txt"]
    fs.get("art://data:v1/train", str(tmp_path / "copy"), recursive=True)
    assert (tmp_path / "copy/000.bin").read_bytes() == FILES["train/000.bin"]
    assert (tmp_path / "copy/deep/x.txt").read_bytes() == FILES["train/deep/x.txt"]


def test_a_compressed_file_is_unpacked_as_fsspec_does(registry: Registry, tmp_path: Path):
    import gzip

    write(tmp_path / "data", {"x.txt.gz": gzip.compress(b"packed")})
    registry.publish(Draft(name="packed", source=tmp_path / "data"))
    with fsspec.open("art://packed/x.txt.gz", compression="infer") as file:
        assert file.read() == b"packed"


def test_an_open_file_survives_pickling(data: Registry, fs: ArtifactFileSystem):
    opened = fsspec.open("art://data:v1/train/000.bin")
    with pickle.loads(pickle.dumps(opened)) as file:
        file.seek(3)
        assert pickle.loads(pickle.dumps(file)).read(2) == b"34"


# -- looking -----------------------------------------------------------------------------------------------


def test_the_top_shows_the_names(data: Registry, fs: ArtifactFileSystem):
    assert fs.ls("art://", detail=False) == ["data"]
    [entry] = fs.ls("")
    assert (entry["name"], entry["type"], entry["uri"]) == ("data", "directory", "art://data:v1")
    assert entry == fs.info("data")
    assert fs.info("") == {"name": "", "size": 0, "type": "directory"}
    assert fs.isdir("art://")


@pytest.mark.parametrize("name", ["data", "data:v1", "data:latest"])
def test_listing_keeps_the_spelling_that_was_asked_for(data: Registry, fs: ArtifactFileSystem, name: str):
    shown = [path for path in fs.ls(f"art://{name}/", detail=False) if "metadata.json" not in path]
    assert shown == [f"{name}/part.txt", f"{name}/train"]
    assert fs.ls(f"{name}/train/deep", detail=False) == [f"{name}/train/deep/x.txt"]
    assert fs.ls(f"{name}/part.txt", detail=False) == [f"{name}/part.txt"]


def test_details_say_what_and_which_version(data: Registry, fs: ArtifactFileSystem):
    info = fs.info("art://data/train/000.bin")
    assert (info["name"], info["size"], info["type"]) == ("data/train/000.bin", 10, "file")
    assert info["uri"] == "art://data:v1/train/000.bin"
    assert info["islink"] is False
    assert fs.info("data/train")["type"] == "directory"
    assert fs.size("data/train/000.bin") == 10
    for entry in fs.ls("data", detail=True):
        assert entry == fs.info(entry["name"])


def test_exists_isfile_isdir(data: Registry, fs: ArtifactFileSystem):
    for path, is_file, is_dir in [
        ("data", False, True),
        ("data:v1/train", False, True),
        ("data/part.txt", True, False),
    ]:
        assert (fs.exists(path), fs.lexists(path), fs.isfile(path), fs.isdir(path)) == (
            *(True, True),
            *(is_file, is_dir),
        )
    for path in (
        "other",
        "data:v2",
        "data:alias",
        "data/no.txt",
        "data:v1/part.txt/x",
        "data:v1/../x",
        "../x",
    ):
        assert (fs.exists(path), fs.lexists(path), fs.isfile(path), fs.isdir(path)) == (False,) * 4


def test_walk_find_and_glob(data: Registry, fs: ArtifactFileSystem):
    assert fs.glob("art://data:v1/train/*.bin") == ["data:v1/train/000.bin"]
    assert fs.glob("art://data/**/*.txt") == ["data/part.txt", "data/train/deep/x.txt"]
    assert fs.glob("art://*") == ["data"]
    assert fs.find("data:v1/train") == ["data:v1/train/000.bin", "data:v1/train/deep/x.txt"]
    assert [(path, dirs, files) for path, dirs, files in fs.walk("data:v1/train")] == [
        ("data:v1/train", ["deep"], ["000.bin"]),
        ("data:v1/train/deep", [], ["x.txt"]),
    ]
    assert fs.du("data:v1/train") == 11
    opened = fsspec.open_files("art://data:v1/train/**/*")
    assert [file.path for file in opened] == ["data:v1/train/000.bin", "data:v1/train/deep/x.txt"]


def test_modified_is_when_the_file_was_written(data: Registry, fs: ArtifactFileSystem):
    when = fs.modified("data/part.txt")
    assert when.tzinfo is UTC
    assert abs((datetime.now(UTC) - when).total_seconds()) < 3600
    assert fs.modified("data").isoformat()[:19] == data.resolve("data").created_at[:19]


def test_looking_at_an_artifact_lays_out_no_snapshot(
    registry: Registry, fs: ArtifactFileSystem, tmp_path: Path
):
    registry.publish(Draft(name="data", source=write(tmp_path / "data", FILES), snapshot=True))
    assert fs.exists("data:v1")
    assert fs.ls("", detail=False) == ["data"]
    assert not Path(registry.root, ".kit/checkouts").exists()


def test_nothing_is_cached(data: Registry, fs: ArtifactFileSystem, tmp_path: Path):
    assert fs.cat_file("data/part.txt") == FILES["part.txt"]
    assert fs.exists("other") is False
    other = Registry.open(data.root)  # as another process would
    other.publish(Draft(name="data", source=write(tmp_path / "next", {"part.txt": b"new"})))
    other.publish(Draft(name="other", source=tmp_path / "next"))
    assert fs.cat_file("data/part.txt") == b"new"
    assert fs.cat_file("data:v1/part.txt") == FILES["part.txt"]
    assert fs.ls("", detail=False) == ["data", "other"]
    assert fs.ukey("data:latest/part.txt") != fs.ukey("data:v1/part.txt")


def test_a_semantic_name_is_found_with_and_without_a_version(
    registry: Registry, fs: ArtifactFileSystem, tmp_path
):
    registry.publish(Draft(name="nano3/pretrain/data", source=write(tmp_path / "data", FILES)))
    assert fs.cat_file("art://nano3/pretrain/data:v1/train/000.bin") == b"0123456789"
    assert fs.cat_file("art://nano3/pretrain/data/train/000.bin") == b"0123456789"
    assert fs.cat_file("art://nano3-pretrain-data/train/000.bin") == b"0123456789"
    assert fs.ls("", detail=False) == ["nano3-pretrain-data"]
    assert fs.glob("art://nano3/pretrain/data/*.txt") == ["nano3/pretrain/data/part.txt"]


@pytest.mark.parametrize("snapshot", [False, True])
def test_an_artifact_that_is_one_file_shows_that_file_alone(registry, fs, tmp_path: Path, snapshot: bool):
    write(tmp_path / "data", FILES)
    registry.publish(Draft(name="one", source=tmp_path / "data/part.txt", snapshot=snapshot))
    assert fs.ls("one", detail=False) == ["one/part.txt"]
    assert fs.cat_file("one/part.txt") == FILES["part.txt"]
    assert not fs.exists("one/train/000.bin")
    with pytest.raises(NotFoundError):
        fs.cat_file("one/train/000.bin")
    with pytest.raises(FolderError, match=r"its file is art://one/part\.txt"):
        fs.cat_file("one")


# -- what is not there, or not allowed ---------------------------------------------------------------------


def test_what_is_not_there_is_a_file_not_found(data: Registry, fs: ArtifactFileSystem):
    for path in ("other/x", "data:v9/part.txt", "data:v1/no.txt", "data/no/such"):
        with pytest.raises(FileNotFoundError):
            fs.cat_file(path)
        with pytest.raises(FileNotFoundError):
            fs.info(path)
        with pytest.raises(FileNotFoundError):
            fs.ls(path)


def test_a_withdrawn_version_says_why(data: Registry, fs: ArtifactFileSystem):
    data.withdraw("data:v1", "it holds the test set")
    with pytest.raises(WithdrawnError, match="it holds the test set"):
        fs.cat_file("data:v1/part.txt")
    assert not fs.exists("data:v1")
    assert fs.ls("", detail=False) == []


def test_a_folder_is_no_file(data: Registry, fs: ArtifactFileSystem):
    for path in ("", "data", "data:v1/train"):
        with pytest.raises(IsADirectoryError, match="it is a folder"):
            fs.open(path)


def test_damage_is_not_absence(data: Registry, fs: ArtifactFileSystem):
    Path(data.root, "data/v1/manifest.json").write_bytes(b"{")
    start.init(root=data.root)
    with pytest.raises(CorruptError):
        fs.exists("data:v1")


def test_no_store_is_not_absence(fs: ArtifactFileSystem):
    for ask in (fs.exists, fs.isfile, fs.isdir, fs.info, fs.ls):
        with pytest.raises(NotInitializedError, match="NEMO_ARTIFACT_ROOT"):
            ask("art://data")


@pytest.mark.parametrize(
    "path",
    ["data:v1/../../secret", "data:v1/..", "data:v1/%2e%2e/secret", "data:v1/\x00", "data:v1/a\nb"],
)
def test_a_path_that_leaves_is_refused(data: Registry, fs: ArtifactFileSystem, path: str):
    for ask in (fs.open, fs.info, fs.ls, fs.cat_file):
        with pytest.raises(OutsideRootError):
            ask(path)


@pytest.mark.parametrize(
    "path", ["art:///etc/passwd", "/etc/passwd", "../x", ".kit/format.json", "data:v1:v2"]
)
def test_what_is_no_reference_is_refused(data: Registry, fs: ArtifactFileSystem, path: str):
    for ask in (fs.open, fs.info, fs.ls):
        with pytest.raises(InvalidReferenceError):
            ask(path)


def test_links_within_are_followed_and_links_that_leave_are_not(registry, fs, tmp_path: Path):
    write(tmp_path, {"secret/key.txt": b"secret"})
    folder = write(tmp_path / "data", FILES)
    (folder / "inner.txt").symlink_to("part.txt")
    (folder / "again").symlink_to("train")
    (folder / "out.txt").symlink_to(tmp_path / "secret/key.txt")
    (folder / "outdir").symlink_to("../secret")
    (folder / "nowhere").symlink_to("no-such-file")
    registry.publish(Draft(name="data", source=folder))
    assert fs.cat_file("data/inner.txt") == FILES["part.txt"]
    assert fs.info("data/inner.txt")["islink"] is True
    assert fs.ls("data/again", detail=False) == ["data/again/000.bin", "data/again/deep"]
    kinds = {info["name"]: info["type"] for info in fs.ls("data")}
    assert kinds["data/again"] == "directory"
    for name in ("out.txt", "outdir", "nowhere"):
        assert kinds[f"data/{name}"] == "link"
        assert not fs.isfile(f"data/{name}")
        assert not fs.isdir(f"data/{name}")
    for path in ("data/out.txt", "data/outdir", "data/outdir/key.txt"):
        for ask in (fs.open, fs.info, fs.ls):
            with pytest.raises(OutsideRootError, match="leaves the artifact"):
                ask(path)
        assert not fs.exists(path)


def test_folders_that_link_to_each_other_are_walked_once(registry, fs, tmp_path: Path):
    folder = write(tmp_path / "data", {"a/x.txt": b"", "b/y.txt": b""})
    (folder / "a/self").symlink_to("..")
    (folder / "a/b").symlink_to("../b")
    (folder / "b/a").symlink_to("../a")
    registry.publish(Draft(name="data", source=folder))
    assert [path for path in fs.find("data") if fs.isfile(path)] == [
        "data/a/b/y.txt",
        "data/a/x.txt",
        "data/b/a/x.txt",
        "data/b/y.txt",
    ]


def test_what_is_neither_file_nor_folder_is_not_opened(registry, fs, tmp_path: Path):
    folder = write(tmp_path / "data", FILES)
    registry.publish(Draft(name="data", source=folder))
    os.mkfifo(folder / "pipe")
    assert fs.info("data/pipe")["type"] == "other"
    with pytest.raises(RefusedError, match="neither a file nor a folder"):
        fs.open("data/pipe")


def test_a_snapshot_outlives_its_source(registry, fs, tmp_path: Path):
    folder = write(tmp_path / "data", FILES)
    registry.publish(Draft(name="data", source=folder, snapshot=True))
    (folder / "part.txt").write_bytes(b"changed")
    assert fs.cat_file("data/part.txt") == FILES["part.txt"]


def test_a_store_in_memory_is_read_too(fs: ArtifactFileSystem, tmp_path: Path):
    with start.using(root="memory://test-fsspec") as registry:
        assert registry is not None
        registry.publish(Draft(name="data", source=write(tmp_path / "data", FILES), snapshot=True))
        assert fs.find("data:v1/train") == ["data:v1/train/000.bin", "data:v1/train/deep/x.txt"]
        assert fs.cat_file("data:v1/part.txt") == FILES["part.txt"]


# -- never written -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["w", "wb", "wt", "a", "ab", "x", "xb", "r+", "r+b", "rb+", "w+b", "wx"])
def test_every_writing_mode_is_refused(data: Registry, fs: ArtifactFileSystem, mode: str):
    for path in ("data:v1/part.txt", "data:v1/new.txt"):
        with pytest.raises(ValueError, match=READ_ONLY):
            fs.open(path, mode)
        with pytest.raises(ValueError, match=READ_ONLY):
            fsspec.open(f"art://{path}", mode).open()
    assert fs.cat_file("data:v1/part.txt") == FILES["part.txt"]


READING = {
    *(
        "cat",
        "cat_file",
        "cat_ranges",
        "checksum",
        "clear_instance_cache",
        "created",
        "current",
        "disk_usage",
    ),
    *("download", "du", "end_transaction", "exists", "expand_path", "find", "from_dict", "from_json", "get"),
    *("get_file", "get_mapper", "glob", "head", "info", "invalidate_cache", "isdir", "isfile", "lexists"),
    *("listdir", "ls", "modified", "open", "read_block", "read_bytes", "read_text", "sign", "size", "sizes"),
    *("start_transaction", "stat", "tail", "to_dict", "to_json", "tree", "ukey", "unstrip_protocol", "walk"),
}


def mutating() -> list[str]:
    """All public methods of the base but those that are known to read: a new one must be looked at."""
    methods = inspect.getmembers(AbstractFileSystem, inspect.isroutine)
    return [name for name, _ in methods if not name.startswith("_") and name not in READING]


@pytest.mark.parametrize("method", [*mutating(), "_rm", "mv_file"])
def test_every_method_that_writes_is_refused(data: Registry, fs: ArtifactFileSystem, method: str, tmp_path):
    before = sorted(str(path) for path in tmp_path.rglob("*"))
    for arguments in (("data:v1/part.txt",), ("data:v1/part.txt", "data:v1/new.txt"), ("data:v2/x", b"x")):
        with pytest.raises(ReadOnlyError, match=READ_ONLY) as caught:
            getattr(fs, method)(*arguments)
        assert isinstance(caught.value, ValueError)
        assert isinstance(caught.value, RefusedError)
    assert sorted(str(path) for path in tmp_path.rglob("*")) == before


# -- lineage -----------------------------------------------------------------------------------------------


def test_opening_counts_as_use_and_looking_does_not(data: Registry, fs: ArtifactFileSystem):
    fs.ls("data")
    fs.info("data/part.txt")
    fs.glob("data/**")
    assert context.used() == ()
    with fs.open("data:latest/part.txt"):
        assert context.used() == ("art://data:v1",)
    fs.cat_file("data/part.txt")
    assert context.used() == ("art://data:v1",)


def test_what_was_opened_becomes_an_input_of_what_is_saved(data: Registry, tmp_path: Path):
    with start.run("train"), fsspec.open("art://data/part.txt") as file:
        write(tmp_path / "out", {"model.txt": file.read()})
        tracker = context.current_tracker()
        artifact = type(
            "Made", (), {"path": tmp_path / "out", "type": "M", "metadata": {}, "created_at": None}
        )
        assert tracker is not None
        record = tracker.log_artifact(artifact, "model", list(context.used()))
    assert record["used_artifacts"] == ["data:v1"]
    assert [node.uri for node in start.lineage_of("model")] == ["art://model:v1", "art://data:v1"]


def test_another_store_is_read_by_its_root_and_is_no_input_here(registry: Registry, tmp_path: Path):
    other = Registry.open(tmp_path / "other")
    other.publish(Draft(name="data", source=write(tmp_path / "data", FILES)))
    with fsspec.open("art://data/part.txt", root=str(tmp_path / "other")) as file:
        assert file.read() == FILES["part.txt"]
    assert context.used() == ()
    fs = fsspec.filesystem("art", root=str(tmp_path / "other"))
    assert pickle.loads(pickle.dumps(fs)).ls("", detail=False) == ["data"]
    assert fsspec.filesystem("art").ls("") == []


# -- the parser that older callers use ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uri", "parsed"),
    [
        ("art://model:v2/a/b.txt", ("model", 2, "a/b.txt")),
        ("art://model:2", ("model", 2, "")),
        ("model:latest/x", ("model", None, "x")),
        ("art://model", ("model", None, "")),
        ("art://model/a/b.txt", ("model", None, "a/b.txt")),
        ("art://nano3/sft/data:v1/x", ("nano3/sft/data", 1, "x")),
    ],
)
def test_parse_uri(fs: ArtifactFileSystem, uri: str, parsed: tuple[str, int | None, str]):
    assert fs._parse_uri(uri) == parsed
    assert ArtifactFileSystem._parse_uri(uri) == parsed


def test_parse_uri_asks_the_store_where_it_can_mean_several(registry: Registry, tmp_path: Path):
    registry.publish(Draft(name="a/b", source=write(tmp_path / "data", FILES)))
    registry.alias("a/b", "best", 1)
    assert ArtifactFileSystem._parse_uri("art://a/b/train/000.bin") == ("a/b", None, "train/000.bin")
    assert ArtifactFileSystem._parse_uri("art://a/b:best/x") == ("a/b", 1, "x")
    assert ArtifactFileSystem._parse_uri("art://a/b/no/such") == ("a/b", None, "no/such")
    # A file in `a` is that file, though `a/train` begins as the name of an artifact could.
    registry.publish(Draft(name="a", source=write(tmp_path / "other", FILES)))
    assert ArtifactFileSystem._parse_uri("art://a/train/000.bin") == ("a", None, "train/000.bin")


# -- everybody else's tools --------------------------------------------------------------------------------


@pytest.fixture
def parquet(registry: Registry, tmp_path: Path) -> Registry:
    import pyarrow
    import pyarrow.parquet

    for i in range(2):
        (tmp_path / "sft/train").mkdir(parents=True, exist_ok=True)
        table = pyarrow.table({"id": list(range(i * 10, i * 10 + 10))})
        pyarrow.parquet.write_table(table, tmp_path / f"sft/train/00{i}.parquet", row_group_size=4)
    registry.publish(Draft(name="sft-data", source=tmp_path / "sft"))
    return registry


def test_pyarrow_reads_tables_and_datasets(parquet: Registry, fs: ArtifactFileSystem):
    import pyarrow.dataset
    import pyarrow.parquet

    one = pyarrow.parquet.read_table("sft-data:v1/train/000.parquet", filesystem=fs)
    assert one["id"].to_pylist() == list(range(10))
    with fsspec.open("art://sft-data:v1/train/001.parquet") as file:
        assert pyarrow.parquet.ParquetFile(file).read_row_group(1)["id"].to_pylist() == [14, 15, 16, 17]
    both = pyarrow.dataset.dataset("sft-data:v1/train", filesystem=fs, format="parquet")
    assert both.count_rows() == 20
    assert sorted(both.to_table(filter=pyarrow.dataset.field("id") > 17)["id"].to_pylist()) == [18, 19]
    assert context.used() == ("art://sft-data:v1",)


def test_universal_pathlib_makes_paths_of_it(data: Registry):
    from upath import UPath

    path = UPath("art://data:v1") / "train"
    assert type(path).__name__ == "ArtifactUPath", "found by its entry point"
    assert (str(path), path.name) == ("art://data:v1/train", "train")
    assert (path / "000.bin").read_bytes() == b"0123456789"
    assert sorted(child.name for child in path.iterdir()) == ["000.bin", "deep"]
    assert [str(found) for found in path.rglob("*.txt")] == ["art://data:v1/train/deep/x.txt"]
    assert path.is_dir()
    assert not (path / "no").exists()
    assert pickle.loads(pickle.dumps(path)) == path
    with pytest.raises(ValueError, match="read-only"):
        (path / "new.txt").write_text("x")
    with pytest.raises(ValueError, match="read-only"):
        (path / "000.bin").unlink()


def run_python(code: str, **environment: str) -> str:
    env = {key: value for key, value in os.environ.items() if not key.startswith("NEMO_")} | environment
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_fresh_process_needs_the_variable_and_fsspec_alone(data: Registry):
    code = (
        "import fsspec, sys; assert 'nemotron' not in sys.modules\n"
        "with fsspec.open('art://data:v1/part.txt', 'rt') as file: print(file.read(), end='')\n"
        "print(fsspec.filesystem('art').ls('data:v1/train', detail=False))"
    )
    said = run_python(code, NEMO_ARTIFACT_ROOT=data.root)
    assert said == "hello\nworld\n['data:v1/train/000.bin', 'data:v1/train/deep']\n"


@pytest.mark.parametrize("first", ["import fsspec; import nemotron.kit as kit", "import nemotron.kit as kit"])
def test_a_fresh_process_after_init(data: Registry, first: str):
    code = f"{first}; kit.init(root={data.root!r})\nimport fsspec; print(fsspec.open('art://data/part.txt').open().read())"
    assert run_python(code) == f"{FILES['part.txt']!r}\n"


def test_dask_workers_can_be_told_the_root(data: Registry):
    pickled = pickle.dumps(fsspec.open("art://data:v1/part.txt", root=data.root))
    code = f"import pickle\nwith pickle.loads({pickled!r}) as file: print(file.read())"
    assert run_python(code) == f"{FILES['part.txt']!r}\n"


@pytest.mark.parametrize("reaction", ["warn", "error"])
def test_opening_a_file_of_changed_data_is_noticed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, reaction: str
) -> None:
    data = write(tmp_path / "data", FILES)
    start.init(root=tmp_path / "store", on_drift=reaction)  # type: ignore[arg-type]
    context.require_registry().publish(Draft(name="drifting", source=data))
    (data / "part.txt").write_text("something else")
    if reaction == "error":
        with pytest.raises(DriftError, match=r"part.txt changed"):
            fsspec.open("art://drifting:v1/part.txt").open()
    else:
        with fsspec.open("art://drifting:v1/part.txt") as file:
            assert file.read() == b"something else"
        assert "part.txt changed" in caplog.text
