"""`art://` with files of any name: what a listing names can be asked for, opened, walked and found."""

import os
import tempfile
from pathlib import Path

import fsspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nemotron.kit.errors import ArtifactNotFoundError, NotFoundError, OutsideRootError, RefusedError
from nemotron.kit.integrations.artifact_places import find
from nemotron.kit.integrations.fsspec import ArtifactFileSystem
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.testing import strategies

ODD = [
    "new\nline",
    "esc\x1b[31m",
    "a%2fb",
    "%2e%2e",
    "%00",
    "100%",
    "a b",
    "#h",
    "q?x",
    "q?x=1",
    "a:b",
    "ü",
    "v1",
    "",
]


def content(name: str, where: str) -> bytes:
    return f"{where} {name!a}".encode()


def fits(name: str) -> bool:
    return len(os.fsencode(name)) <= 255 and not name.startswith((".metadata.json.", "metadata.json"))


def publish(root: Path, name: str) -> tuple[ArtifactFileSystem, dict[str, bytes]]:
    """A reference `seen` and a snapshot `kept` with the name at the top, of a folder, and in that."""
    files = {f"{name}.x": content(name, "top"), f"sub/{name}/{name}": content(name, "deep")}
    for path, data in files.items():
        file = os.path.join(root, "data", path)
        os.makedirs(os.path.dirname(file), exist_ok=True)
        Path(file).write_bytes(data)
    registry = Registry.open(root / "store")
    registry.publish(Draft(name="seen", source=root / "data"))
    registry.publish(Draft(name="kept", source=root / "data", snapshot=True))
    return ArtifactFileSystem.over(registry), files


@given(name=strategies.file_names().filter(fits) | st.sampled_from(ODD).filter(bool))
@example(name="new\nline")
@example(name="%2e%2e")
@example(name="q?x=1")
def test_whatever_a_file_is_called(name: str) -> None:
    with tempfile.TemporaryDirectory() as root:
        fs, files = publish(Path(root), name)
        for top in ("seen", "seen:v1", "kept", "kept:latest"):
            expected = {f"{top}/{path}": data for path, data in files.items()}
            found = [path for path in fs.find(f"art://{top}") if path != f"{top}/metadata.json"]
            assert sorted(found) == sorted(expected)
            walked = {f"{at}/{file}" for at, _, files_of in fs.walk(top) for file in files_of}
            assert walked - {f"{top}/metadata.json"} == expected.keys()
            sizes = {path: fs.info(path)["size"] for path in found}
            assert sizes == {path: len(data) for path, data in expected.items()}
            assert fs.du(f"{top}/sub", total=False) == {
                path: size for path, size in sizes.items() if path.startswith(f"{top}/sub/")
            }
            assert [info["name"] for info in fs.ls(f"{top}/sub/{name}")] == [f"{top}/sub/{name}/{name}"]
            assert fs.isdir(f"{top}/sub/{name}")
            for path, data in expected.items():
                assert fs.ls(path, detail=False) == [path]
                assert fs.isfile(path)
                assert fs.info(path)["name"] == path
                assert fs.cat_file(f"art://{path}", start=1) == data[1:]
                with fs.open(path) as file:
                    assert file.read() == data
                if not set("*?[") & set(name):
                    assert fs.glob(path) == [path]
            assert not fs.exists(f"{top}/sub/{name}/{name}/{name}")
            assert not fs.exists(f"{top}/{name}.y")


def test_names_are_not_taken_for_paths(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    fs, _ = publish(tmp_path, "a\nb")
    (tmp_path / "data/out\n").symlink_to(tmp_path / "secret")
    fs.registry.publish(Draft(name="seen", source=tmp_path / "data"))
    for path in (
        "%2e%2e/secret",
        "a\nb/../../secret",
        "a\nb/%2e%2e/%2e%2e/secret",
        "x\x00",
        "out\n",
        "gone\n",
    ):
        for ask in (fs.info, fs.open, fs.ls, fs.cat_file):
            with pytest.raises(OutsideRootError):
                ask(f"seen:v2/{path}")
        assert not fs.exists(f"seen:v2/{path}")


def test_an_artifact_comes_before_a_file_that_is_called_like_it(tmp_path: Path) -> None:
    fs, _ = publish(tmp_path, "a:v1")
    fs.registry.publish(Draft(name="seen/sub/a", source=tmp_path / "data", snapshot=True))
    assert find(fs.registry, "seen/sub/a:v1").record.name == "seen-sub-a"
    assert find(fs.registry, "seen/a:v1.x").inside == "a:v1.x"
    with pytest.raises(NotFoundError, match="Artifact not found: seen/a"):
        fs.info("seen/a:v2")


def test_in_a_bucket_it_must_be_listed(tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    top = f"/{tmp_path.name}"
    for path in ("data/a\nb/%2e%2e", "secret"):
        memory.pipe_file(f"{top}/{path}", path.encode())
    registry = Registry.open(tmp_path / "store")
    registry.publish(Draft(name="far", source=f"memory:/{top}/data"))
    fs = ArtifactFileSystem.over(registry)
    assert fs.find("far") == ["far/a\nb/%2e%2e"]
    assert fs.cat_file("far:v1/a\nb/%2e%2e") == b"data/a\nb/%2e%2e"
    with pytest.raises(OutsideRootError):
        fs.cat_file("far:v1/%2e%2e/secret")


@pytest.mark.parametrize("snapshot", [False, True])
@pytest.mark.parametrize("name", ["new\nline", "a%2fb", "%2e%2e"])
def test_a_file_that_no_reference_can_name_is_not_published_alone(
    tmp_path: Path, name: str, snapshot: bool
) -> None:
    (tmp_path / name).write_bytes(b"x")
    registry = Registry.open(tmp_path / "store")
    with pytest.raises(RefusedError, match="Rename it, or publish the folder") as error:
        registry.publish(Draft(name="alone", source=tmp_path / name, snapshot=snapshot))
    assert repr(name) in str(error.value)
    with pytest.raises(ArtifactNotFoundError):  # nor is anything there that can't be read
        registry.resolve("alone")


def test_a_url_that_no_reference_can_name_is_published_without_evidence(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"memory://{tmp_path.name}/a%2fb"
    fsspec.filesystem("memory").pipe_file(f"/{tmp_path.name}/a%2fb", b"x")
    registry = Registry.open(tmp_path / "store")
    record = registry.publish(Draft(name="far", source=url, at_url={})).record
    assert registry.resolve("far").path == record.path == url
    assert "no reference can name the file" in caplog.text
