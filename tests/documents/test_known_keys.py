"""A key that was worked out before is that of the very same listing, and of no other."""

import blake3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemotron.kit.documents import known_keys, tree_text
from nemotron.kit.documents.digest import digest_of, sample_of
from nemotron.kit.documents.known_keys import KnownKeys
from nemotron.kit.documents.tree import Entry, Tree, is_packed
from nemotron.kit.testing import strategies

pytestmark = pytest.mark.usefixtures("no_io")

SAMPLE = sample_of(1, b"x", b"x", b"x")
# Each field that is stored, changed.
CHANGES = {
    "path": lambda entry: entry._replace(path=f"{entry.path}x"),
    "size": lambda entry: entry._replace(size=entry.size + 1),
    "time": lambda entry: entry._replace(mtime_ns=entry.mtime_ns + 1),
    "kind": lambda entry: entry._replace(kind="exec" if entry.kind == "file" else "file"),
    "digest": lambda entry: entry._replace(digest=digest_of(f"{entry.digest}".encode()), sample=None),
    "sample": lambda entry: entry._replace(digest=None, sample=SAMPLE, target=None, kind="file"),
    "target": lambda entry: entry._replace(kind="link", target=f"{entry.target}x", digest=None, sample=None),
    "etag": lambda entry: entry._replace(etag=f"{entry.etag}x"),
    "object version": lambda entry: entry._replace(object_version=f"{entry.object_version}x"),
}


def stored(tree: Tree) -> str:
    """The key, worked out."""
    return digest_of(tree.lines())


@given(strategies.trees(), st.sampled_from(sorted(CHANGES)), st.data())
def test_the_key_is_that_of_the_listing(tree, change, data):
    entries = list(tree.entries)
    if entries:
        at = data.draw(st.integers(0, len(entries) - 1))
        entries[at] = CHANGES[change](entries[at])
    for one in (tree, Tree.of(entries), Tree.of(tree.entries)):
        key, packed = one.packed()
        assert key == one.key == Tree.of(one.entries).key == stored(one)
        assert is_packed(packed, key)
        assert not is_packed(packed, digest_of(b"another"))
        assert not is_packed(packed[:-1], key)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (["ab", "c"], ["a", "bc"]),
        (["a"], ["a", "b"]),
        (["a\udcff"], ["aÿ"]),
    ],
)
def test_paths_are_not_mixed_up(one, other):
    trees = [Tree.of(Entry(path) for path in paths) for paths in (one, other)]
    assert known_keys.of_columns(trees[0].columns) != known_keys.of_columns(trees[1].columns)
    assert [tree.key for tree in trees] == [stored(tree) for tree in trees]


def test_links_are_not_mixed_up():
    """A stored target may be any text, one with a zero byte too, and may be missing."""
    links = [("x\x001 y", None), ("x", "y")]
    trees = [
        Tree(Entry(path, kind="link", target=to) for path, to in zip("ab", both, strict=True))
        for both in links
    ]
    assert [tree.key for tree in trees] == [stored(tree) for tree in trees]


def test_bytes_that_only_look_like_columns_are_no_listing(monkeypatch):
    hashed = []

    class Hasher:
        def __init__(self, data=b"", real=blake3.blake3):
            self.hasher = real()
            self.update(data)

        def update(self, data):
            hashed.append(bytes(data))
            self.hasher.update(data)
            return self

        def digest(self):
            return self.hasher.digest()

    tree = Tree.of([Entry("a.bin", 1, 7)])
    assert tree.key == stored(tree)
    with monkeypatch.context() as patch:
        patch.setattr(blake3, "blake3", Hasher)
        known_keys.of_columns(tree.columns)
    assert not is_packed(b"".join(hashed), tree.key)


def test_no_text_is_made_twice(monkeypatch):
    entries = [Entry(f"{number}.bin", number, 7) for number in range(3)]
    key, packed = Tree.of(entries).packed()
    monkeypatch.setattr(tree_text, "blocks", None)
    monkeypatch.setattr(tree_text, "_unpacked", None)
    assert Tree.of(entries).key == key
    assert is_packed(packed, key)


def test_only_the_latest_are_kept():
    known = KnownKeys(most=3)
    for number in range(10):
        known.put(bytes([number]), f"key {number}")
    assert [known.get(bytes([number])) for number in range(6, 10)] == [None, "key 7", "key 8", "key 9"]
