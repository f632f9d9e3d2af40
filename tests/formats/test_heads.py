"""NumPy arrays, tar shards (the golden one is webdataset's), Energon's `.nv-meta`."""

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from formats.counting import GOLDEN, CountingFiles
from nemotron.kit.errors import CorruptError, RefusedError, UnavailableError
from nemotron.kit.formats import energon, npy, tar
from nemotron.kit.formats.reading import LOCAL

SHARD = GOLDEN / "webdataset" / "shard_000000.tar"


@pytest.mark.parametrize(
    "array", [np.zeros((2, 3), np.float16), np.array(5), np.zeros((0, 4)), np.array(["ab", "c"])]
)
def test_an_array(tmp_path: Path, array: Any) -> None:
    np.save(tmp_path / "a.npy", array)
    found = npy.read(tmp_path / "a.npy")
    assert (found.shape, found.items, found.dtype) == (array.shape, array.size, array.dtype.str)


def test_objects_are_never_loaded(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}, 1], dtype=object), allow_pickle=True)
    assert npy.read(tmp_path / "a.npy").dtype == "|O"


def write_head(path: Path, head: bytes, version: int = 1) -> Path:
    length = len(head).to_bytes(2 if version == 1 else 4, "little")
    path.write_bytes(npy.MAGIC + bytes([version, 0]) + length + head)
    return path


@pytest.mark.parametrize(
    "head",
    [
        b"{'descr': '<f4', 'shape': (float('nan'),)}",
        b"{'descr': '<f4', 'shape': (-1,)}",
        b"{'descr': '<f4', 'shape': (1e9,)}",
        b"{'descr': '<f4', 'shape': (10**99,)}",
        b"{'descr': '<f4', 'shape': (5,)}",
        b"{'descr': '<f4', 'shape': [5]}",
        b"(" * 9000,
        b"{'a':" * 1900,
        b"__import__('os')",
        b"\xff\xfe",
        b"{{}: 1}",
        b"",
    ],
)
def test_a_hostile_array(tmp_path: Path, head: bytes) -> None:
    with pytest.raises(CorruptError, match=r"h\.npy is damaged"):
        npy.read(write_head(tmp_path / "h.npy", head))


def test_an_array_head_that_is_too_long(tmp_path: Path) -> None:
    with pytest.raises(CorruptError, match="a head of 50,000 bytes"):
        npy.read(write_head(tmp_path / "h.npy", b" " * 50_000, version=2))


def test_a_web_dataset() -> None:
    assert tar.read(SHARD) == tar.TarShard(samples=4, files=7, data_bytes=3 * (5 + 8) + 1)


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_and_bulk(tmp_path: Path, form: int) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", format=form) as file:
        file.addfile(tarfile.TarInfo("folder"), io.BytesIO())
        for name in ("f" * 90 + "/" + "n" * 90 + ".a", "f" * 90 + "/" + "n" * 90 + ".b", "x.a"):
            info = tarfile.TarInfo(name)
            info.size = 1 << 20
            file.addfile(info, io.BytesIO(b"\0" * info.size))
    files = CountingFiles()
    assert tar.read(path, files) == tar.TarShard(3, 4, 3 << 20)
    assert files.read < 20_000


def test_damaged_tars(tmp_path: Path) -> None:
    whole = SHARD.read_bytes()
    path = tmp_path / "d.tar"
    for content in (b"", whole[:700], b"\xff" * 2048, bytes([whole[0] ^ 1]) + whole[1:], b"x" * 511):
        path.write_bytes(content)
        with pytest.raises(CorruptError, match=r"d\.tar is damaged"):
            tar.read(path)


@pytest.mark.parametrize("kind", [b"L", b"x"])
def test_a_name_without_end(tmp_path: Path, kind: bytes) -> None:
    info = tarfile.TarInfo("x")
    info.size, info.type = 1 << 30, kind
    path = tmp_path / "d.tar"
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT))
    with path.open("r+b") as file:
        file.truncate(2 << 30)  # a hole: it costs nothing
    with pytest.raises(CorruptError, match="a name of 1,073,741,824 bytes"):
        tar.read(path)


def meta(folder: Path, **files: str) -> Path:
    (folder / ".nv-meta").mkdir(exist_ok=True)
    for name, text in files.items():
        (
            folder / ".nv-meta" / {"info": ".info.json", "old": ".info.yaml"}.get(name, f"{name}.yaml")
        ).write_text(text)
    return folder


SPLIT = "exclude: []\nsplit_parts:\n  train:\n  - shard_{000..001}.tar\n  val: [shard_002.tar]\n  test: []\n"
YAML = "energon_version: 5.0\nshard_counts:\n  shard_000.tar: 10\n  shard_001.tar: 20\n  shard_002.tar: 3\n"


@pytest.mark.parametrize(
    "info",
    [
        {"old": YAML},
        {"info": json.dumps({"shard_counts": {f"shard_00{i}.tar": n for i, n in enumerate((10, 20, 3))}})},
    ],
)
def test_energon(tmp_path: Path, info: dict[str, str]) -> None:
    found = energon.read(meta(tmp_path, split=SPLIT, **info))
    assert found == energon.EnergonDataset(3, 33, {"train": 30, "val": 3, "test": 0})


def test_energon_without_counts_is_unknown(tmp_path: Path) -> None:
    assert energon.read(meta(tmp_path, split=SPLIT)) is None


def test_energon_with_excluded_samples_has_no_splits(tmp_path: Path) -> None:
    found = energon.read(
        meta(tmp_path, old=YAML, split=SPLIT.replace("[]\nsplit", "[shard_000.tar/7]\nsplit"))
    )
    assert found is not None
    assert (found.samples, found.by_split) == (33, {})


@pytest.mark.parametrize(
    "text",
    [
        "a: &x [1]\nb: *x\n",
        "[" * 100_000,
        "- " * 100_000,
        "? {a: b}\n: c\n",
        "shard_counts: [1]",
        "shard_counts: {a: -1}",
        "shard_counts: {a: .nan}",
        "shard_counts: {a: [1]}",
        "%%%",
        "\x00",
        "",
        "shard_counts: {a: " + "9" * 5000 + "}",
    ],
)
def test_hostile_yaml(tmp_path: Path, text: str) -> None:
    with pytest.raises(CorruptError, match=r"\.info\.yaml is damaged"):
        energon.read(meta(tmp_path, old=text))


def test_a_pipe_or_device_is_refused_at_once(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "a.npy")
    with pytest.raises(RefusedError, match="not a plain file"):
        LOCAL.open(str(tmp_path / "a.npy"))
    with pytest.raises(RefusedError, match="not a plain file"):
        LOCAL.open("/dev/zero")
    (tmp_path / "b.npy").touch()
    with LOCAL.open(str(tmp_path / "b.npy")) as file:
        assert os.get_blocking(file.fileno())  # who asked not to wait for a pipe may wait for a file


def test_what_can_not_be_made_ready_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    def refuse(descriptor: int, blocking: bool) -> None:
        refused.append(descriptor)
        raise OSError(5, "Input/output error")

    refused: list[int] = []
    monkeypatch.setattr(os, "set_blocking", refuse)
    (tmp_path / "a.npy").touch()
    with pytest.raises(UnavailableError, match="Input/output error"):
        LOCAL.open(str(tmp_path / "a.npy"))
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(refused[0])
