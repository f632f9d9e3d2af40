"""`art://` shows artifacts whose data lies at a URL just like those on a disk."""

import pickle
from pathlib import Path

import fsspec
import pytest
from upath import UPath

from bucket_server import Proxy, environment, new_bucket, serving
from nemotron.kit import context, start
from nemotron.kit.artifacts.base import Artifact
from nemotron.kit.artifacts.data_blends import DataBlendsArtifact
from nemotron.kit.errors import NotFoundError, OutsideRootError, RefusedError, UnavailableError
from nemotron.kit.integrations.fsspec import ArtifactFileSystem, FolderError
from nemotron.kit.registry.records import Draft

FILES = {"part.txt": b"hello\nworld\n", "train/000.bin": b"0123456789", "train/deep/x.txt": b"x"}


@pytest.fixture(scope="module")
def server():
    with serving() as address:
        yield address


@pytest.fixture(params=["memory", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A URL where `FILES` lie; a store that refers to them as `data`."""
    proxy = None
    if request.param == "memory":
        place = f"memory://{tmp_path.name}/data"
    else:
        proxy = Proxy(request.getfixturevalue("server"))
        for name, value in environment(proxy.url).items():
            monkeypatch.setenv(name, value)
        place = f"s3://{new_bucket(request.getfixturevalue('server'))}/data"
    start.init(root=tmp_path / "store")
    artifact = Artifact(path=place)
    for name, data in FILES.items():
        artifact.path.fs.pipe_file(f"{artifact.path.path}/{name}", data)
    artifact.save("data")
    yield place
    if proxy is not None:
        proxy.close()


def test_read(place: str) -> None:
    fs = fsspec.filesystem("art")
    assert fs.cat_file("art://data/part.txt") == FILES["part.txt"]
    assert fs.cat_file("data:v1/train/000.bin", 2, -3) == b"23456"
    assert fs.cat_ranges(["data/train/000.bin"] * 2, [0, 5], [2, 7]) == [b"01", b"56"]
    with fsspec.open("art://data:v1/train/000.bin") as file:
        file.seek(4)
        assert file.read(3) == b"456"
    with fsspec.open("art://data/part.txt", "rt") as file:
        assert file.read() == "hello\nworld\n"
    assert UPath("art://data:v1/train/deep/x.txt").read_bytes() == b"x"
    assert "art://data:v1" in context.used()


def test_look(place: str, tmp_path: Path) -> None:
    fs = fsspec.filesystem("art")
    assert fs.ls("data", detail=False) == ["data/metadata.json", "data/part.txt", "data/train"]
    assert fs.find("data:v1/train") == ["data:v1/train/000.bin", "data:v1/train/deep/x.txt"]
    assert fs.glob("data/**/*.txt") == ["data/part.txt", "data/train/deep/x.txt"]
    info = fs.info("data/train/000.bin")
    assert (info["size"], info["type"], info["uri"]) == (10, "file", "art://data:v1/train/000.bin")
    assert fs.modified("data/train/000.bin").year >= 2024
    assert fs.isdir("data/train")
    assert not fs.exists("data/gone")
    with pytest.raises(NotFoundError, match=rf"No gone in art://data:v1: looked at {place}/gone"):
        fs.info("data/gone")
    with pytest.raises(FolderError):
        fs.open("data/train")
    with pytest.raises(FolderError):
        fs.cat_file("data")
    with pytest.raises(OutsideRootError):
        fs.cat_file("data:v1/../other")
    fs.get("data/train", str(tmp_path / "copy"), recursive=True)
    assert (tmp_path / "copy/deep/x.txt").read_bytes() == b"x"


def test_a_file_by_itself_and_a_blend_with_its_folder(place: str) -> None:
    fs = ArtifactFileSystem(skip_instance_cache=True)
    registry = context.require_registry()
    registry.publish(Draft(name="one", source=f"{place}/part.txt"))
    assert fs.ls("one", detail=False) == ["one/part.txt"]
    assert fs.cat_file("one/part.txt") == FILES["part.txt"]
    assert not fs.exists("one/train")
    blend = UPath(f"{place}/blend.json")
    blend.fs.pipe_file(blend.path, b'["1", "train/000"]')
    DataBlendsArtifact(path=blend).save("blend")
    assert "blend/train" in fs.ls("blend", detail=False)
    assert fs.cat_file("blend/train/000.bin") == FILES["train/000.bin"]
    assert fs.cat_file("blend/blend.json") == b'["1", "train/000"]'


def test_what_refuses_is_no_absence(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError("403 Forbidden")

    monkeypatch.setattr(type(Artifact.from_uri("art://data").path.fs), "info", refuse)
    monkeypatch.setattr(Artifact.from_uri("art://data").path.fs, "info", refuse)
    with pytest.raises(RefusedError, match=f"{place}/part.txt"):
        ArtifactFileSystem(skip_instance_cache=True).exists("data/part.txt")


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (PermissionError("403 Forbidden"), RefusedError),
        (FileNotFoundError("gone"), NotFoundError),
        (ConnectionResetError("reset by peer"), UnavailableError),
        (TimeoutError("timed out"), UnavailableError),
    ],
)
def test_what_fails_while_an_open_file_is_read(
    place: str, monkeypatch: pytest.MonkeyPatch, raised: Exception, expected: type[Exception]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise raised

    with fsspec.open("art://data:v1/train/000.bin") as file:
        monkeypatch.setattr(Artifact.from_uri("art://data").path.fs, "cat_file", fail)
        with pytest.raises(expected, match=f"Cannot read {place}/train/000.bin"):
            file.read()


def test_a_server_that_fails_while_an_open_file_is_read(
    server: tuple[str, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = Proxy(server)
    for name, value in environment(proxy.url).items():
        monkeypatch.setenv(name, value)
    start.init(root=tmp_path / "store")
    artifact = Artifact(path=f"s3://{new_bucket(server)}/data")
    artifact.path.fs.pipe_file(f"{artifact.path.path}/a.bin", b"0123456789")
    artifact.save("data")
    for status, expected in (("403", RefusedError), ("404", NotFoundError), ("400", UnavailableError)):
        proxy.fault = lambda *_: None
        with fsspec.open("art://data:v1/a.bin") as file:
            proxy.fault = lambda *_, status=status: status
            with pytest.raises(expected, match="Cannot read s3://"):
                file.read()
    proxy.close()


def test_an_open_file_is_read_in_blocks_and_can_be_sent_to_another_process(place: str) -> None:
    artifact = Artifact.from_uri("art://data")
    data = bytes(range(256)) * 20_000
    artifact.path.fs.pipe_file(f"{artifact.path.path}/long.bin", data)
    with fsspec.filesystem("art").open("art://data:v1/long.bin") as file:
        assert (file.size, file.read(3), file.tell()) == (len(data), data[:3], 3)
        file.seek(-5, 2)
        assert file.read() == data[-5:]
        file.seek(0)
        assert file.read() == data
        file.seek(7)
        assert pickle.loads(pickle.dumps(file)).read() == data[7:]


def test_a_file_that_became_shorter_is_no_end_of_file(place: str) -> None:
    artifact = Artifact.from_uri("art://data")
    with fsspec.filesystem("art").open("art://data:v1/train/000.bin") as file:
        artifact.path.fs.pipe_file(f"{artifact.path.path}/train/000.bin", b"0123")
        with pytest.raises(UnavailableError, match=r"Cannot read .*000\.bin"):
            file.read()
