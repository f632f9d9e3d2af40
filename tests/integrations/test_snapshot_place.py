"""One file of a snapshot, by `art://`: nothing is laid out, no other file is fetched, and bytes are believed
no sooner than those of a checkout.
"""

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import fsspec
import pyarrow.csv
import pytest

from bucket_server import Proxy, new_bucket
from bucket_server.fixtures import proxy, server
from nemotron.kit.documents import tree_text
from nemotron.kit.errors import CorruptError, OutsideRootError, PathNotFoundError, RefusedError
from nemotron.kit.integrations import snapshot_place
from nemotron.kit.integrations.artifact_places import _OnDisk
from nemotron.kit.integrations.copying import chunks, copy_out
from nemotron.kit.integrations.fsspec import ArtifactFileSystem
from nemotron.kit.registry import blobs, cores, layout, look_ups
from nemotron.kit.registry.look_ups import LookUps
from nemotron.kit.registry.records import Draft, Record
from nemotron.kit.registry.registry import Registry

pytest.importorskip("obstore")
pytest.importorskip("moto.server")

__all__ = ["proxy", "server"]

LARGE = (9 << 20) + 1
FILES = 50


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Files, folders, an empty one, links of all sorts, and names that sort oddly beside each other."""
    folder = tmp_path / "data"
    for name in ("a.txt", "a/b/c.txt", "a/b.txt", "a-b/x", "a0", "ä/ö.txt", "run.sh"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
        os.utime(path, ns=(10**18, 10**18 + len(name)))
    (folder / "run.sh").chmod(0o755)
    (folder / "empty/below").mkdir(parents=True)
    for name, target in {
        "to-file": "a.txt",
        "to-folder": "a",
        "to-empty": "empty/below",
        "a/up": "../a0",
        "a/self": "..",
        "to-link": "to-folder/b/c.txt",
        "nowhere": "no/such",
        "in-a-circle": "in-a-circle",
        "out": "../elsewhere",
        "out-and-in": f"../{folder.name}/a.txt",
        "absolute": "/etc/hostname",
    }.items():
        (folder / name).symlink_to(target)
    return folder


@pytest.fixture
def local(data: Path, tmp_path: Path) -> Registry:
    registry = Registry.open(tmp_path / "store")
    registry.publish(Draft(name="m", source=data, snapshot=True))
    return registry


def blob_of(registry: Registry, path: str) -> Path:
    tree = registry.tree(registry.resolve("m"))
    assert tree is not None
    digest = next(entry.digest for entry in tree.entries if entry.path == path)
    found = registry.store.local_path(layout.blob(digest or ""))
    assert found is not None
    return found


def damage(path: Path) -> None:
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"?")


def told(call: Callable[[], object]) -> object:
    try:
        return call()
    except (PathNotFoundError, OutsideRootError) as error:
        return type(error)


def test_it_shows_what_its_checkout_does(local: Registry, data: Path) -> None:
    fs = ArtifactFileSystem.over(local)
    folder = local.folder(local.resolve("m"))
    paths = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    paths |= {"no", "a.txt/x", "to-folder/b", "to-folder/self/a0", "a/self/a/up", "nowhere/x", "a/b/c"}
    for path in sorted(paths - {"metadata.json"}):
        here = snapshot_place.InSnapshot(local, local.resolve("m"), path)
        there = _OnDisk(local, local.resolve("m"), path)
        mine, its = told(lambda here=here: here.details("m")), told(lambda there=there: there.details("m"))
        if isinstance(mine, dict) and isinstance(its, dict) and mine["type"] != "file":
            mine["mtime"] = its["mtime"]  # the listing has none of folders
        assert mine == its, path
        if not isinstance(its, dict):
            continue
        if its["type"] != "link":
            names = [info["name"] for info in there.children(f"m:v1/{path}")]
            assert fs.ls(f"m:v1/{path}", detail=False) == names, path
        if its["type"] == "file":
            assert fs.cat_file(f"m:v1/{path}") == (folder / path).read_bytes(), path
    assert sorted(fs.ls("m:v1", detail=False)) == sorted(f"m:v1/{name}" for name in os.listdir(folder))
    assert fs.cat_file("m:v1/metadata.json") == (folder / "metadata.json").read_bytes()
    for path in ("out", "absolute"):
        assert not fs.exists(f"m:v1/{path}")
        with pytest.raises(OutsideRootError, match=rf"art://m:v1/{path} is a link that leaves"):
            fs.open(f"m:v1/{path}")
    for path in ("nowhere", "in-a-circle"):
        with pytest.raises(RefusedError, match="leads to no file"):
            fs.open(f"m:v1/{path}")


def test_reading_lays_out_nothing(local: Registry, tmp_path: Path) -> None:
    fs = ArtifactFileSystem.over(local)
    for name in fs.find("m:v1"):
        if fs.isfile(name):
            fs.cat_file(name, 1, 2)
    assert b"".join(chunks(local, "m:v1/a.txt")) == b"a.txt"
    copy_out(local, "m:v1/to-link", str(tmp_path / "c.txt"))
    copy_out(local, "m:v1/a-b", str(tmp_path / "a-b"))
    assert not Path(local.root, ".kit/checkouts").exists()


def test_a_damaged_blob_gives_no_byte(local: Registry) -> None:
    fs = ArtifactFileSystem.over(local)
    assert fs.cat_file("m:v1/a0", 0, 1) == b"a"
    for path in ("a.txt", "a0"):  # one that was read before it was damaged, too
        damage(blob_of(local, path))
        for read in (
            lambda path=path: fs.open(f"m:v1/{path}"),
            lambda path=path: fs.cat_file(f"m:v1/{path}", 0, 1),
            lambda path=path: fs.cat_file(f"m:v1/{path}"),
            lambda path=path: next(chunks(local, f"m:v1/{path}")),
        ):
            with pytest.raises(CorruptError, match=r"verify m:v1 --repair-from PLACE"):
                read()
    blob_of(local, "run.sh").unlink()
    with pytest.raises(CorruptError, match=r"run\.sh is missing from the store"):
        fs.open("m:v1/run.sh")
    assert fs.cat_file("m:v1/a/b.txt") == b"a/b.txt", "the others are read as ever"


def test_a_large_file_that_is_damaged_never_comes_whole(tmp_path: Path) -> None:
    (tmp_path / "large.bin").write_bytes(bytes(LARGE))
    registry = Registry.open(tmp_path / "store")
    registry.publish(Draft(name="m", source=tmp_path / "large.bin", snapshot=True))
    damage(blob_of(registry, "large.bin"))
    came: list[int] = []
    with pytest.raises(CorruptError, match="damaged"):
        came.extend(len(piece) for piece in chunks(registry, "m"))
    assert 0 < sum(came) < LARGE


def test_a_large_file_is_read_through_with_the_cores_of_the_job(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "large.bin").write_bytes(bytes(LARGE))
    registry = Registry.open(tmp_path / "store")
    registry.publish(Draft(name="m", source=tmp_path / "large.bin", snapshot=True))
    threads: list[int] = []
    monkeypatch.setattr(cores, "usable", lambda: 3)
    monkeypatch.setattr(
        blobs, "blake3", lambda max_threads, real=blobs.blake3: threads.append(max_threads) or real()
    )
    assert ArtifactFileSystem.over(registry).cat_file("m:v1/large.bin", 0, 1) == b"\0"
    assert threads == [3]


def test_what_the_trash_holds_is_read_from_there(local: Registry) -> None:
    blob = blob_of(local, "a.txt")
    key = blob.relative_to(local.root).as_posix()
    assert local.store.move(key, layout.set_aside("20200101T000000Z", key))
    fs = ArtifactFileSystem.over(local)
    assert (fs.cat_file("m:v1/a.txt", 1, 3), fs.cat_file("m:v1/a.txt")) == (b".t", b"a.txt")


# -- in a bucket -------------------------------------------------------------------------------------------


@pytest.fixture
def bucket(server: tuple[str, int], proxy: Proxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return f"s3://{new_bucket(server)}/team"


def publish(root: str, folder: Path, files: int = FILES) -> Record:
    folder.mkdir()
    for number in range(files):
        (folder / f"{number:03}.csv").write_text(f"id\n{number}\n")
    (folder / "large.bin").write_bytes(os.urandom(LARGE))
    return Registry.open(root).publish(Draft(name="m", source=folder, snapshot=True)).record


def asked(proxy: Proxy, what: str) -> Counter[str]:
    return Counter(f"{method} {path}" for method, path in proxy.seen if f"/.kit/{what}/" in path)


def by_pyarrow(path: str) -> list[int]:
    with fsspec.open(path) as file:
        found: list[int] = pyarrow.csv.read_csv(file)["id"].to_pylist()
        return found


@pytest.mark.parametrize("files", [FILES, 400])
def test_one_file_costs_the_listing_and_that_file(
    bucket: str, proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: int
) -> None:
    record = publish(bucket, tmp_path / "data", files)
    monkeypatch.setenv("NEMO_ARTIFACT_ROOT", bucket)
    trees = 0 if files == FILES else 1  # a small listing lies in the manifest
    for read in (
        lambda: by_pyarrow("art://m:v1/007.csv") == [7],
        lambda: b"".join(chunks(Registry.open(bucket), "m:v1/007.csv")) == b"id\n7\n",
        lambda: copy_out(Registry.open(bucket), "m:v1/007.csv", str(tmp_path / "one.csv")).files == 1,
    ):
        monkeypatch.setattr(snapshot_place, "_LOOK_UPS", LookUps())
        proxy.seen.clear()
        assert read()
        assert sum(asked(proxy, "trees").values()) <= trees
        assert (len(asked(proxy, "blobs")), set(asked(proxy, "blobs").values())) == (1, {1})
        assert not (tmp_path / "cache/nemotron-kit/checkouts").exists()
    assert record.manifest.content is not None
    assert (record.manifest.content.tree is not None) == bool(trees)


def test_a_range_of_a_large_file_is_what_is_fetched(bucket: str, proxy: Proxy, tmp_path: Path) -> None:
    publish(bucket, tmp_path / "data", 0)
    data = (tmp_path / "data/large.bin").read_bytes()
    fs = ArtifactFileSystem.over(Registry.open(bucket))
    proxy.seen.clear()
    with fs.open("m:v1/large.bin") as file:
        file.seek(-8, os.SEEK_END)
        assert file.read(8) == data[-8:]
        file.seek(5 << 20)
        assert file.read(1000) == data[5 << 20 :][:1000]
    assert fs.cat_file("m:v1/large.bin", -5, -1) == data[-5:-1]
    requests = asked(proxy, "blobs")
    assert sum(requests.values()) <= 8
    assert {key.partition(" ")[0] for key in requests} == {"HEAD", "GET"}
    proxy.seen.clear()
    assert fs.cat_file("m:v1/large.bin") == data
    assert copy_out(Registry.open(bucket), "m:v1", str(tmp_path / "out")).files == 1
    assert (tmp_path / "out/large.bin").read_bytes() == data


def test_a_bucket_that_is_damaged_is_found_out(bucket: str, tmp_path: Path) -> None:
    publish(bucket, tmp_path / "data", 1)
    registry = Registry.open(bucket)
    fs = ArtifactFileSystem.over(registry)
    tree = registry.tree(registry.resolve("m"))
    assert tree is not None
    for entry in tree.entries:
        registry.store.replace(layout.blob(entry.digest or ""), b"?" * entry.size)
    with pytest.raises(CorruptError, match=r"000\.csv is damaged"):
        fs.cat_file("m:v1/000.csv", 0, 1)
    with fs.open("m:v1/large.bin") as file, pytest.raises(CorruptError, match=r"large\.bin is damaged"):
        file.readlines()
    with pytest.raises(CorruptError, match=r"large\.bin is damaged"):
        copy_out(registry, "m:v1/large.bin", str(tmp_path / "copy.bin"))
    assert not (tmp_path / "copy.bin").exists()
    for entry in tree.entries:
        registry.store.replace(layout.blob(entry.digest or ""), b"short")
    with pytest.raises(CorruptError, match=r"large\.bin is damaged"):
        fs.open("m:v1/large.bin")


def test_a_checkout_that_stands_is_read(bucket: str, proxy: Proxy, tmp_path: Path) -> None:
    record = publish(bucket, tmp_path / "data")
    registry = Registry.open(bucket)
    folder = registry.folder(record)
    proxy.seen.clear()
    fs = ArtifactFileSystem.over(registry)
    assert fs.cat_file("m:v1/003.csv") == b"id\n3\n"
    assert fs.cat_file("m:v1/large.bin", 0, 9) == (tmp_path / "data/large.bin").read_bytes()[:9]
    assert not asked(proxy, "blobs")
    (folder / "003.csv").chmod(0o644)
    (folder / "003.csv").write_text("id\n9\n")  # changed since: then the store's is read
    assert fs.cat_file("m:v1/003.csv") == b"id\n3\n"
    assert sum(asked(proxy, "blobs").values()) == 1


def test_a_checkout_that_lies_about_its_time_is_not_copied(bucket: str, tmp_path: Path) -> None:
    registry = Registry.open(bucket)
    folder = registry.folder(publish(bucket, tmp_path / "data", 1))
    for name in ("000.csv", "large.bin"):
        file = folder / name
        before = file.stat().st_mtime_ns
        damage(file)
        os.utime(file, ns=(before, before))
        with pytest.raises(CorruptError, match=rf"{name} is not what was published.*Remove it"):
            copy_out(registry, f"m:v1/{name}", str(tmp_path / name))
        assert not (tmp_path / name).exists()
        file.unlink()
        copy_out(registry, f"m:v1/{name}", str(tmp_path / name))
        assert (tmp_path / name).read_bytes() == (tmp_path / "data" / name).read_bytes()


# -- listings ----------------------------------------------------------------------------------------------


def test_the_first_look_into_a_large_listing_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(400):
        (folder / f'{number} "ä".txt').write_text(str(number))
    registry = Registry.open(tmp_path / "store")
    record = registry.publish(Draft(name="m", source=folder, snapshot=True)).record
    monkeypatch.setattr(look_ups, "LARGE_SIZE", 0)
    looks, parsed = LookUps(), []
    real = tree_text.parsed
    monkeypatch.setattr(tree_text, "parsed", lambda *args, **more: parsed.append(1) or real(*args, **more))
    for expected in (0, 1, 1):
        seen = looks.at(registry.store, record, '7 "ä".txt')
        assert seen is not None
        assert seen.entry is not None
        assert (seen.kind, seen.entry.size, len(parsed)) == ("file", 1, expected)
    assert looks.at(registry.store, record, "7") is None
    other = LookUps()
    assert other.at(registry.store, record, "7") is None, "what is not found so is looked for in all of it"
    assert len(parsed) == 2
    assert record.manifest.content is not None
    tree = registry.store.local_path(layout.tree(record.manifest.content.tree or ""))
    assert tree is not None
    damage(tree)
    for path in ('7 "ä".txt', "7"):
        with pytest.raises(CorruptError):
            LookUps().at(registry.store, record, path)
