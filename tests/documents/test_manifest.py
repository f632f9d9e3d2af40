"""The commit's own document, and the small logs."""

import dataclasses
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemotron.kit.documents import codec
from nemotron.kit.documents.alias import AliasMove, Tombstone
from nemotron.kit.documents.manifest import Content, Manifest
from nemotron.kit.documents.tree import Entry, Tree
from nemotron.kit.errors import CorruptError, FormatTooNewError, KitError
from nemotron.kit.testing import strategies

pytestmark = pytest.mark.usefixtures("no_io")

LEAST = {"name": "a", "version": 1}
CONTENT = {"mode": "reference", "evidence": "stat", "scope": "folder", "files": 0, "size": 0}


def read(document, where="x"):
    return Manifest.from_bytes(json.dumps(document).encode(), where)


def same(a, b):
    """Equal, with NaN equal to NaN."""
    return repr(a) == repr(b)


@given(strategies.manifests())
def test_manifests_read_back(manifest):
    again = Manifest.from_bytes(manifest.to_bytes(), "x")
    assert same(again, manifest)
    assert again.to_bytes() == manifest.to_bytes()


@given(strategies.alias_moves())
def test_moves_read_back(move):
    assert AliasMove.from_bytes(move.to_bytes(), "x") == move


@given(strategies.tombstones())
def test_tombstones_read_back(stone):
    assert Tombstone.from_bytes(stone.to_bytes(), "x") == stone


def test_unknown_fields_are_kept_as_they_are():
    document = {**LEAST, "reviewed_by": {"who": ["ä", None, 1.5]}, "x": math.nan}
    manifest = read(document)
    assert same(manifest.extra, {"reviewed_by": {"who": ["ä", None, 1.5]}, "x": math.nan})
    again = codec.decode(manifest.to_bytes(), "x")
    assert again["reviewed_by"] == document["reviewed_by"]


def test_manifests_without_a_format_version_are_read():
    manifest = read(
        {
            "name": "nano3-data",
            "version": 7,
            "type": "model",
            "path": "/lustre/x",
            "created_at": "2025-01-01T00:00:00",
            "producer": 4711,
            "metadata": {"iteration": 100, "absolute_path": "/lustre/x"},
            "inputs": ["hf://a/b"],
            "used_artifacts": ["base:v2"],
        }
    )
    assert (manifest.uri, manifest.format_version, manifest.producer) == ("art://nano3-data:v7", 0, "4711")
    assert manifest.content is None
    assert manifest.input_uris == ["art://base:v2", "hf://a/b"]
    assert manifest.semantic_name == "nano3-data"
    assert read({"name": "a", "version": "v3", "metadata": None, "inputs": None}).version == 3


def test_the_fields_of_earlier_readers_are_where_they_look():
    manifest = Manifest(name="a", version=1, path="/d", metadata={"x": 1}, used_artifacts=("b:v1",))
    document = json.loads(manifest.to_bytes())
    assert {
        key: document[key] for key in ("name", "version", "type", "path", "metadata", "used_artifacts")
    } == {
        "name": "a",
        "version": 1,
        "type": "artifact",
        "path": "/d",
        "metadata": {"x": 1},
        "used_artifacts": ["b:v1"],
    }


@pytest.mark.parametrize(
    ("make", "document"),
    [
        (Manifest.from_bytes, {**LEAST, "format_version": 2}),
        (AliasMove.from_bytes, {"sequence": 1, "version": 1, "format_version": 2}),
        (Tombstone.from_bytes, {"reason": "x", "format_version": 2}),
    ],
)
def test_newer_documents_are_refused_with_a_way_out(make, document):
    with pytest.raises(FormatTooNewError, match=r"^here has .* format 2; .*upgrade"):
        make(json.dumps(document).encode(), "here")


WRONG = {
    "no name": {"version": 1},
    "name is a path": {**LEAST, "name": "../x"},
    "name is a list": {**LEAST, "name": ["a"]},
    "name is a version": {**LEAST, "name": "v1"},
    "no version": {"name": "a"},
    "negative version": {**LEAST, "version": -1},
    "fraction": {**LEAST, "version": 1.5},
    "version true": {**LEAST, "version": True},
    "huge version": {**LEAST, "version": 10**30},
    "format is text": {**LEAST, "format_version": "1"},
    "format is null": {**LEAST, "format_version": None},
    "type is null": {**LEAST, "type": None},
    "path is a list": {**LEAST, "path": []},
    "metadata is a list": {**LEAST, "metadata": [1]},
    "inputs is text": {**LEAST, "inputs": "hf://x"},
    "inputs of numbers": {**LEAST, "inputs": [1]},
    "used is an object": {**LEAST, "used_artifacts": {"a": 1}},
    "content is a list": {**LEAST, "content": []},
    "content is text": {**LEAST, "content": "snapshot"},
    "content empty": {**LEAST, "content": {}},
}
WRONG_CONTENT = {
    "mode": "copy",
    "evidence": "none",
    "scope": "disk",
    "files": -1,
    "size": 1.5,
    "digest": "blake3:../../x",
    "tree": "../../x",
    "entry": "../x",
    "origin": 7,
    "listing": {},
}


@pytest.mark.parametrize("document", WRONG.values(), ids=WRONG)
def test_wrong_fields_are_corrupt_and_named(document):
    with pytest.raises(CorruptError, match=r"^root/a/v1/manifest.json is damaged"):
        read(document, "root/a/v1/manifest.json")


@pytest.mark.parametrize("key", WRONG_CONTENT)
def test_wrong_content_is_corrupt_and_named(key):
    assert read({**LEAST, "content": CONTENT}).content is not None
    with pytest.raises(CorruptError, match=r"^here is damaged"):
        read({**LEAST, "content": {**CONTENT, key: WRONG_CONTENT[key]}}, "here")


@pytest.mark.parametrize("entry", ["/abs", "a/../../x", "..", "%2e%2e/x", "a\nb", "a\x00"])
def test_an_entry_that_leaves_the_folder_is_refused(entry):
    with pytest.raises(CorruptError, match="entry"):
        read({**LEAST, "content": {**CONTENT, "entry": entry}})


def test_a_listing_that_leaves_the_folder_is_refused():
    with pytest.raises(CorruptError):
        read({**LEAST, "content": {**CONTENT, "listing": [[0, "../../etc/cron.d/x", 1, 1, None]]}})


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"sequence": "1", "version": 1},
        {"sequence": 1},
        {"sequence": 1, "version": None},
        {"sequence": True, "version": 1},
        {"sequence": 0, "version": 1},
        {"sequence": 1, "version": -3},
        {"sequence": 1, "version": 1, "format_version": "1"},
    ],
)
def test_wrong_moves_are_corrupt(document):
    with pytest.raises(CorruptError, match=r"^here is damaged"):
        AliasMove.from_bytes(json.dumps(document).encode(), "here")


def test_wrong_tombstones_are_corrupt():
    for document in ({}, {"reason": None}, {"reason": 3}):
        with pytest.raises(CorruptError, match=r"^here is damaged"):
            Tombstone.from_bytes(json.dumps(document).encode(), "here")


def damage(data, random):
    """Cut, flipped, or with a piece of it elsewhere."""
    data = bytearray(data)
    match random.randrange(4):
        case 0:
            del data[random.randrange(len(data)) :]
        case 1:
            data[random.randrange(len(data))] ^= 1 << random.randrange(8)
        case 2:
            at = random.randrange(len(data))
            data[at : at + random.randrange(1, 9)] = random.randbytes(random.randrange(4))
        case _:
            start, to = random.randrange(len(data)), random.randrange(len(data))
            data[to:to] = data[start : start + 40]
    return bytes(data)


WHOLE = [
    (Manifest, strategies.manifests()),
    (AliasMove, strategies.alias_moves()),
    (Tombstone, strategies.tombstones()),
]


@pytest.mark.parametrize(("kind", "values"), WHOLE, ids=lambda value: getattr(value, "__name__", ""))
@given(data=st.data(), random=st.randoms(use_true_random=False))
def test_random_damage_is_corrupt_or_another_valid_value(kind, values, data, random):
    value = data.draw(values)
    damaged = damage(value.to_bytes(), random)
    try:
        read = kind.from_bytes(damaged, "here")
    except CorruptError as error:
        assert str(error).startswith("here ")  # noqa: PT017  (either way is right)
        return
    again = kind.from_bytes(read.to_bytes(), "here")
    assert same(again, read)


@given(st.dictionaries(st.sampled_from([*LEAST, "content", "metadata", "inputs"]), strategies.json_values()))
def test_any_object_is_a_manifest_or_corrupt(document):
    try:
        manifest = Manifest.from_bytes(codec.encode(document), "here")
    except KitError as error:
        assert isinstance(error, CorruptError)  # noqa: PT017
        return
    assert manifest.uri.startswith("art://")


def test_a_torn_manifest_is_never_whole():
    # On file systems without hard links a reader may see any prefix: no prefix may pass for the document.
    data = Manifest(
        name="a", version=1, content=Content(mode="reference", listing=Tree.of([Entry("x", 1, 1)]))
    ).to_bytes()
    for length in range(len(data) - 2):
        with pytest.raises(CorruptError):
            Manifest.from_bytes(data[:length], "x")
    assert Manifest.from_bytes(data[:-1], "x") == Manifest.from_bytes(data, "x")


def test_a_torn_move_or_tombstone_is_never_whole():
    for value in (AliasMove(sequence=1, version=2, why="x"), Tombstone(reason="x")):
        data = value.to_bytes()
        for length in range(len(data) - 2):
            with pytest.raises(CorruptError):
                type(value).from_bytes(data[:length], "x")


def test_unknown_fields_of_the_content_are_kept_as_they_are():
    content = {"mode": "reference", "evidence": "stat", "scope": "folder", "files": 0, "size": 0}
    document = {
        "name": "m",
        "version": 1,
        "format_version": 1,
        "content": {**content, "shards": [1, {"a": None}]},
    }
    manifest = Manifest.from_bytes(json.dumps(document).encode(), "here")
    assert manifest.content is not None
    assert manifest.content.extra == {"shards": [1, {"a": None}]}
    again = json.loads(manifest.to_bytes())["content"]
    assert again["shards"] == [1, {"a": None}]
    # What it knows can't be said twice.
    sly = dataclasses.replace(manifest.content, extra={"mode": "snapshot"})
    assert sly.to_document()["mode"] == "reference"
