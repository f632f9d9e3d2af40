"""What a crash, another tool or a bad disk leaves in a root costs what it hit, and nothing else."""

import logging
import os
import shutil

import pytest

from nemotron.kit.errors import CorruptError, FormatTooNewError, KitError, OutsideRootError
from nemotron.kit.registry import digest_cache
from nemotron.kit.registry.records import Draft

LINES = 400  # files that make a listing too large for its manifest


@pytest.fixture
def three(publish):
    for step in (1, 2, 3):
        publish(metadata={"step": step})
    publish("other")


@pytest.fixture
def many(tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(LINES):
        (folder / f"shard-{number:05}.bin").write_bytes(b"x")
    return folder


# -- the hint ----------------------------------------------------------------------------------------------

HINTS = {
    "missing": None,
    "empty": b"",
    "stale": b"v1",
    "with a newline": b"v3\n",
    "lying high": b"v100",
    "lying far": b"v999999999999999999",
    "too long": b"v" + b"9" * 40,
    "negative": b"v-1",
    "zero": b"v0",
    "nonsense": b"production",
    "a path": b"../../x",
    "binary": b"\xff\x00\xfe",
}


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize("hint", HINTS.values(), ids=HINTS)
def test_whatever_the_hint_says(opened, publish, root, hint):
    path = root / "m/latest"
    path.unlink() if hint is None else path.write_bytes(hint)
    assert opened().resolve("m").version == 3
    assert opened().get("m").versions == (1, 2, 3)
    assert [record.version for record in opened().versions("m")] == [1, 2, 3]
    assert [entry.name for entry in opened().list()] == ["m", "other"]
    assert publish(via=opened(), metadata={"step": 4}).record.version == 4
    assert path.read_bytes() == b"v4"
    assert opened().resolve("m").version == 4


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize("kind", ["link to a version", "dangling link", "folder"])
def test_a_hint_that_is_no_file(opened, publish, root, kind):
    path = root / "m/latest"
    path.unlink()
    path.mkdir() if kind == "folder" else path.symlink_to("v1" if kind == "link to a version" else "v9")
    assert opened().resolve("m").version == 3
    assert publish(via=opened(), metadata={"step": 4}).record.version == 4
    assert opened().resolve("m").version == 4
    assert sorted(name for name in os.listdir(root / "m/v1")) == ["manifest.json", "metadata.json"]


def test_a_stale_hint_far_behind_heals_itself(opened, publish, root):
    for step in range(1, 41):
        publish(metadata={"step": step})
        if step in (1, 2, 3, 5, 8, 13, 21, 34, 40):
            for stale in (1, step // 2 or 1, step):
                (root / "m/latest").write_text(f"v{stale}")
                assert opened().resolve("m").version == step


# -- the commit --------------------------------------------------------------------------------------------

TORN = {
    "empty": b"",
    "cut": b'{\n  "format_version": 1,\n  "name": "m",',
    "zeros": b"\x00" * 4096,
    "of another name": b'{"name": "n", "version": 4}',
    "of another number": b'{"name": "m", "version": 5}',
    "a list": b"[]",
    "hostile entry": b'{"name": "m", "version": 4, "content": {"mode": "reference", "evidence": "stat",'
    b' "scope": "folder", "entry": "../../x", "files": 0, "size": 0}}',
}


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize("torn", TORN.values(), ids=TORN)
def test_a_torn_manifest_is_a_taken_number_without_a_version(opened, publish, root, torn, caplog):
    (root / "m/v4").mkdir()
    (root / "m/v4/manifest.json").write_bytes(torn)
    assert opened().resolve("m").version == 3
    assert "v4/manifest.json is damaged" in caplog.text
    with pytest.raises(CorruptError, match=r"m/v4/manifest\.json is damaged"):
        opened().resolve("m:v4")
    assert opened().resolve("m:v2").version == 2
    assert [record.version for record in opened().versions("m")] == [1, 2, 3]
    assert opened().get("m").versions == (1, 2, 3)
    assert [entry.name for entry in opened().list()] == ["m", "other"]
    assert publish(via=opened(), metadata={"step": 5}).record.version == 5
    assert (root / "m/v4/manifest.json").read_bytes() == torn
    assert opened().resolve("m").version == 5
    assert [record.version for record in opened().versions("m")] == [1, 2, 3, 5]
    if torn == torn.rstrip(b"}\n"):  # what is damaged inside is seen by whoever reads it, and by doctor
        assert opened().get("m").versions == (1, 2, 3, 5)


@pytest.mark.usefixtures("three")
def test_a_torn_reading_is_not_remembered(opened, root):
    # It may still be being written (where there are no hard links).
    path = root / "m/v3/manifest.json"
    whole = path.read_bytes()
    path.write_bytes(whole[:100])
    reader = opened()
    with pytest.raises(CorruptError):
        reader.resolve("m:v3")
    assert reader.resolve("m").version == 2
    path.write_bytes(whole)
    assert reader.resolve("m:v3").version == 3
    assert reader.resolve("m").version == 3


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.usefixtures("three")
def test_an_old_manifest_damaged_hides_no_other(opened, publish, root, number):
    (root / f"m/v{number}/manifest.json").write_bytes(b"damaged")
    left = [n for n in (1, 2, 3) if n != number]
    assert [record.version for record in opened().versions("m")] == left
    assert opened().resolve("m").version == left[-1]
    assert [entry.name for entry in opened().list()] == ["m", "other"]
    assert publish(via=opened(), metadata={"step": 4}).record.version == 4


def test_the_only_version_torn(opened, publish, root):
    publish()
    (root / "m/v1/manifest.json").write_bytes(b"")
    with pytest.raises(KitError, match="withdrawn or damaged"):
        opened().resolve("m")
    assert publish(via=opened()).record.version == 2


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize("leftover", ["empty folder", "temporary file", "companion without manifest"])
def test_an_empty_version_left_by_a_crash_is_nothing(opened, publish, root, leftover):
    (root / "m/v4").mkdir()
    if leftover == "temporary file":
        (root / "m/v4/.tmp-0011223344556677").write_bytes(b"half a manif")
    if leftover == "companion without manifest":
        (root / "m/v4/metadata.json").write_bytes(b"{}")
    assert opened().resolve("m").version == 3
    assert opened().get("m").versions == (1, 2, 3)
    assert publish(via=opened(), metadata={"step": 4}).record.version == 4


@pytest.mark.usefixtures("three")
def test_a_version_of_a_newer_kit_stops_its_name_and_no_other(opened, root, caplog):
    (root / "m/v4").mkdir()
    (root / "m/v4/manifest.json").write_text('{"format_version": 2, "name": "m", "version": 4}')
    for ref in ("m", "m:v4"):
        with pytest.raises(FormatTooNewError, match="upgrade"):
            opened().resolve(ref)
    assert opened().resolve("m:v3").version == 3
    assert opened().resolve("other").version == 1
    with caplog.at_level(logging.WARNING):
        assert [entry.name for entry in opened().list()] == ["other"]
    assert "m is left out of the list" in caplog.text


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize("damage", [b"", b"{", b"\x00" * 10, b"[]"], ids=repr)
def test_a_damaged_format_file_stops_publishing_and_no_reading(opened, publish, root, damage):
    path = root / ".kit/format.json"
    path.write_bytes(damage)
    assert opened().resolve("m").version == 3
    assert [entry.name for entry in opened().list()] == ["m", "other"]
    with pytest.raises(CorruptError, match=r"format\.json is damaged.*delete it"):
        publish(via=opened(), metadata={"step": 4})
    path.unlink()
    assert publish(via=opened(), metadata={"step": 4}).record.version == 4


def test_a_format_file_that_is_still_being_written_is_waited_for(opened, publish, root, monkeypatch):
    from nemotron.kit.registry import founding

    path = root / ".kit/format.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")  # another process has made it, without hard links, and is about to fill it
    waited = []

    def sleep(seconds):
        waited.append(seconds)
        path.write_text('{"format_version": 1, "older_generations": false}')

    monkeypatch.setattr(founding.time, "sleep", sleep)
    assert publish(via=opened()).record.version == 1
    assert len(waited) == 1


# -- strangers in the root ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("three")
def test_strange_files_and_folders_in_a_root(opened, publish, root, tmp_path):
    for name in ("My Data", "new\nline", "ä", "v1", "-x", ".hidden", "empty", "x" * 200, "%2e%2e"):
        (root / name / "v1").mkdir(parents=True)
        if name != "empty":
            (root / name / "v1/manifest.json").write_text('{"name": "x", "version": 1}')
    (root / "file.txt").write_text("x")
    (root / os.fsdecode(b"\xff")).mkdir()
    assert [entry.name for entry in opened().list()] == ["m", "other"]
    with pytest.raises(KitError, match="it holds 2 other artifacts"):
        opened().resolve("zzz")
    assert publish("file2", via=opened()).record.version == 1
    with pytest.raises(KitError, match="nothing of yours"):
        publish("file.txt", via=opened())
    assert (root / "file.txt").read_text() == "x"


@pytest.mark.usefixtures("three")
def test_a_name_that_is_a_link_is_refused_and_hides_no_other(opened, publish, root, tmp_path):
    shutil.copytree(root / "m", tmp_path / "elsewhere")
    before = sorted(tmp_path.joinpath("elsewhere").rglob("*"))
    (root / "link").symlink_to(tmp_path / "elsewhere")
    (root / "self").symlink_to("m")
    (root / "dangling").symlink_to(tmp_path / "nowhere")
    assert [entry.name for entry in opened().list()] == ["m", "other"]
    for name in ("link", "self"):
        for call in (opened().resolve, lambda name: publish(name, via=opened())):
            with pytest.raises(OutsideRootError, match="link"):
                call(name)
    with pytest.raises(KitError):
        publish("dangling", via=opened())
    assert sorted(tmp_path.joinpath("elsewhere").rglob("*")) == before
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.usefixtures("three")
def test_a_manifest_or_version_that_is_a_link_is_refused(opened, publish, root, tmp_path):
    (tmp_path / "secret.json").write_text('{"name": "m", "version": 4, "path": "/etc"}')
    (root / "m/v4").mkdir()
    (root / "m/v4/manifest.json").symlink_to(tmp_path / "secret.json")
    with pytest.raises(OutsideRootError, match="link"):
        opened().resolve("m:v4")
    (root / "other/v1/tombstone.json").symlink_to(tmp_path / "secret.json")
    with pytest.raises(KitError):
        opened().resolve("other:v1")
    (root / "n").mkdir()
    (root / "n/v1").symlink_to(tmp_path)
    with pytest.raises(OutsideRootError):
        publish("n", via=opened())
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.endswith(".json")) == ["secret.json"]


@pytest.mark.parametrize("place", [".kit", ".kit/blobs", ".kit/staging", ".kit/trees", ".kit/journal"])
def test_the_kits_own_folders_are_no_links(opened, publish, root, tmp_path, many, place):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (root / place).parent.mkdir(parents=True, exist_ok=True)
    (root / place).symlink_to(elsewhere)
    (many / "large.bin").write_bytes(bytes(2 << 20))
    with pytest.raises(OutsideRootError, match="link"):
        publish(source=many, snapshot=True, via=opened())
    assert list(elsewhere.rglob("*")) == []


def test_a_checkout_folder_that_is_a_link_writes_nothing_elsewhere(opened, publish, root, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    publish(snapshot=True)
    (root / ".kit/checkouts").symlink_to(elsewhere)
    registry = opened()
    with pytest.raises(OutsideRootError, match="link"):
        registry.folder(registry.resolve("m"))
    assert list(elsewhere.rglob("*")) == []


# -- trees and blobs ---------------------------------------------------------------------------------------


def test_large_listings_lie_beside_the_manifest(opened, publish, root, many):
    record = publish(source=many).record
    trees = [path for path in (root / ".kit/trees").rglob("*") if path.is_file()]
    assert len(trees) == 1
    assert record.manifest.content.listing is None
    assert record.manifest.content.tree.endswith(trees[0].name)
    assert len((root / "m/v1/manifest.json").read_bytes()) < 2000
    assert opened().tree(opened().resolve("m")).files == LINES
    publish(source=many, metadata={"x": 1})
    assert len([path for path in (root / ".kit/trees").rglob("*") if path.is_file()]) == 1


@pytest.mark.parametrize("damage", ["missing", "cut", "flipped", "another tree", "empty"])
def test_a_damaged_listing_is_named_and_poisons_nothing_else(opened, publish, root, many, damage, caplog):
    publish(source=many)
    publish("other")
    tree = next(path for path in (root / ".kit/trees").rglob("*") if path.is_file())
    whole = tree.read_bytes()
    if damage == "missing":
        tree.unlink()
    elif damage == "another tree":
        (many / "one-more").write_bytes(b"x")
        publish("another", source=many)
        (many / "one-more").unlink()
        new = next(path for path in (root / ".kit/trees").rglob("*") if path.is_file() and path != tree)
        tree.write_bytes(new.read_bytes())
    else:
        middle = len(whole) // 2
        flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
        tree.write_bytes({"cut": whole[:middle], "flipped": flipped, "empty": b""}[damage])
    registry = opened()
    record = registry.resolve("m")  # resolving looks at no listing
    with pytest.raises(CorruptError, match=r"\.kit/trees/"):
        registry.tree(record)
    assert {"m", "other"} <= {entry.name for entry in registry.list()}
    assert publish("other", via=opened(), metadata={"x": 1}).record.version == 2
    # The next version can be made; what can't be compared with is not the same.
    assert publish(source=many, via=opened(), metadata={"x": 1}).record.version == 2
    assert "can't be compared with" in caplog.text


@pytest.mark.parametrize("damage", ["missing", "cut", "flipped", "empty"])
def test_a_damaged_blob_is_named_and_poisons_nothing_else(opened, publish, data, root, damage):
    (data / "part.txt").write_text("unique to m")
    publish(snapshot=True)
    (data / "part.txt").write_text("hello again")
    publish("other", snapshot=True)
    blob = next(
        p for p in (root / ".kit/blobs").rglob("*") if p.is_file() and p.read_bytes() == b"unique to m"
    )
    if damage == "missing":
        blob.unlink()
    else:
        blob.chmod(0o644)
        blob.write_bytes({"cut": b"unique", "flipped": b"uniqua to m", "empty": b""}[damage])
    registry = opened()
    record = registry.resolve("m")
    with pytest.raises(CorruptError, match=r"part\.txt.*\.kit/blobs/"):
        registry.folder(record)
    assert not (root / ".kit/checkouts/m").exists() or os.listdir(root / ".kit/checkouts/m") == []
    assert (registry.folder(registry.resolve("other")) / "part.txt").read_text() == "hello again"
    (data / "part.txt").write_text("something new")
    assert publish(snapshot=True, via=opened()).record.version == 2
    assert (opened().folder(opened().resolve("m:v2")) / "part.txt").read_text() == "something new"


def test_a_hostile_listing_lays_out_nothing(opened, publish, root, tmp_path, data):
    publish(snapshot=True)
    manifest = root / "m/v1/manifest.json"
    text = manifest.read_text()
    for hostile in ("../escaped.txt", "/tmp/escaped.txt", "sub/../../escaped.txt"):
        manifest.write_text(text.replace('"part.txt"', f'"{hostile}"'))
        with pytest.raises(CorruptError):
            opened().resolve("m:v1")
    assert not list(tmp_path.rglob("escaped.txt"))
    assert not os.path.exists("/tmp/escaped.txt")


@pytest.mark.parametrize("digests_known", [False, True])
def test_lost_blobs_are_written_again(opened, publish, data, root, monkeypatch, digests_known):
    # A power loss may leave an empty file under a good name: who publishes the content again heals it.
    if digests_known:  # as if the files had been written long ago
        monkeypatch.setattr(digest_cache, "SETTLED_NS", -(10**12))
    publish("m", snapshot=True)
    for blob in (root / ".kit/blobs").rglob("*"):
        if blob.is_file():
            blob.chmod(0o644)
            blob.write_bytes(b"")
    again = opened().publish(Draft(name="n", source=data, snapshot=True)).record
    assert (opened().folder(again) / "part.txt").read_text() == "hello"
    assert (opened().folder(opened().resolve("m")) / "part.txt").read_text() == "hello"
