"""Listings: canonical, complete, and never a way out of their folder."""

import json
import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemotron.kit.documents import tree_text
from nemotron.kit.documents.digest import digest_of, hex_of, is_digest
from nemotron.kit.documents.tree import Entry, Tree
from nemotron.kit.errors import CorruptError, FormatTooNewError
from nemotron.kit.testing import strategies

pytestmark = pytest.mark.usefixtures("no_io")

D = digest_of(b"x")
ROW = [0, "a.txt", 5, 1, D]


def packed(*lines):
    return zlib.compress("".join(json.dumps(line) + "\n" for line in lines).encode())


@given(strategies.trees())
def test_trees_read_back(tree):
    assert Tree.from_bytes(tree.to_bytes(), "x") == tree
    assert list(tree_text.entries((tree.to_bytes(),), "x", tree.key)) == list(tree.entries)
    assert Tree.from_rows(json.loads(json.dumps(tree.rows())), "x") == tree


@given(strategies.trees(), st.randoms(use_true_random=False))
def test_the_order_of_a_scan_does_not_matter(tree, random):
    entries = list(tree.entries)
    random.shuffle(entries)
    assert Tree.of(entries) == tree
    assert Tree.of(entries).to_bytes() == tree.to_bytes()
    assert Tree.of(entries).digest == tree.digest


@given(strategies.trees(), st.booleans(), st.data())
def test_entries_made_together_are_those_made_one_by_one(tree, are_plain, data):
    looked_at = [
        entry._replace(inode=at + 1, ctime_ns=at, **({"digest": None, "sample": None} if are_plain else {}))
        for at, entry in enumerate(tree.entries)
        if not are_plain or entry.is_file
    ]
    columns, every = Tree(looked_at).columns, range(len(looked_at))
    if not looked_at:
        return
    start = data.draw(st.sampled_from(every))
    end = data.draw(st.integers(start + 1, len(looked_at)))
    for positions in (every[start:end], data.draw(st.lists(st.sampled_from(every), min_size=1))):
        expected = [tuple(columns.entry(at)) for at in positions]
        assert list(map(tuple, columns.entries(positions))) == expected


@given(strategies.trees(), st.data())
def test_the_digest_is_of_content_not_of_times(tree, data):
    if not tree.entries:
        return
    at = data.draw(st.integers(0, len(tree.entries) - 1))
    entry = tree.entries[at]
    later = Entry(entry.path, entry.size, entry.mtime_ns + 1, entry.digest, entry.kind, entry.target)
    other = Entry(f"{entry.path}x", entry.size, entry.mtime_ns, entry.digest, entry.kind, entry.target)
    for changed, same in ((later, True), (other, False)):
        entries = [*tree.entries[:at], changed, *tree.entries[at + 1 :]]
        if tree.digest is not None:
            assert (Tree.of(entries).digest == tree.digest) is same


def test_the_digest_tells_kinds_and_targets_apart():
    one = Entry("a", 1, 0, D)
    kinds = [Entry("a", 1, 0, D, "exec"), Entry("a", 0, 0, None, "link", "b"), Entry("a", 0, 0, None, "dir")]
    digests = {Tree((entry,)).digest for entry in (one, *kinds, Entry("a", 0, 0, None, "link", "c"))}
    assert len(digests) == 5
    assert all(digests)


def test_no_digest_without_all_digests():
    assert Tree.of([Entry("a", 1, 0, D), Entry("b", 1, 0)]).digest is None
    assert Tree.of([]).digest is not None


def test_counts():
    tree = Tree.of(
        [
            Entry("a", 3, 1),
            Entry("b", 4, 1, kind="exec"),
            Entry("c", kind="dir"),
            Entry("d", kind="link", target="a"),
        ]
    )
    assert (tree.files, tree.size) == (2, 7)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/etc/passwd",
        "..",
        "../x",
        "a/..",
        "a/../../x",
        "./a",
        "a/.",
        "a//b",
        "a/",
        ".",
        "a\x00b",
        "//",
        "a\ud800",  # no name of a file is decoded as this
    ],
)
@pytest.mark.parametrize("kind", [0, 1, 2, 3])
def test_paths_that_leave_the_folder_are_refused(path, kind):
    row = [kind, path, 0, 0, "target" if kind == 2 else None]
    with pytest.raises(CorruptError, match="x is damaged"):
        Tree.from_rows([row], "x")
    with pytest.raises(CorruptError, match="x is damaged"):
        Tree.from_bytes(packed({"format_version": 1, "entries": 1}, row), "x")


@pytest.mark.parametrize(
    "path", ["a", "a/b", "...", "..a", "a..", ".a/..b", " ", "-", "a\nb", "\udcff", "%2e%2e"]
)
def test_odd_paths_that_stay_inside_are_kept(path):
    tree = Tree.from_rows([[0, path, 1, 1, None]], "x")
    assert tree.entries[0].path == path
    assert Tree.from_bytes(tree.to_bytes(), "x") == tree


@pytest.mark.parametrize(
    "row",
    [
        None,
        {},
        [],
        [0],
        [4, *ROW[1:]],
        [-1, *ROW[1:]],
        ["0", *ROW[1:]],
        [0, 7, *ROW[2:]],
        [0, "a", "5", 1, D],
        [0, "a", -5, 1, D],
        [0, "a", 5, 1.5, D],
        [0, "a", 5, 1, 7],
        [0, "a", 5, 1, "blake3:../../../etc/passwd"],
        [0, "a", 5, 1, "../../x"],
        [0, "a", 5, 1, D.upper()],
        [*ROW, 1],
        [2, "a", 0, 0, "b\0c"],
        [2, "a", 0, 0, "\ud800"],
    ],
    ids=repr,
)
def test_what_is_no_entry_is_corrupt(row):
    with pytest.raises(CorruptError, match="x is damaged"):
        Tree.from_rows([row], "x")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not zlib",
        packed(),
        packed([]),
        packed(3),
        packed({"entries": 1}),
        packed({"format_version": 1}),
        packed({"format_version": 1, "entries": 2}, ROW),
        packed({"format_version": 1, "entries": 0}, ROW),
        packed({"format_version": "9", "entries": 0}),
        packed({"format_version": None, "entries": 0}),
        packed({"format_version": 1, "entries": "1"}, ROW),
        zlib.compress(b'{"format_version": 1, "entries": 1}\n[0, "a"'),
        zlib.compress(b"[" * 100_000),
        zlib.compress(b"\xff\xfe\n"),
        Tree.of([Entry("a", 1, 1)]).to_bytes()[:-5],
    ],
    ids=lambda data: repr(data[:10]),
)
def test_damaged_listings_are_corrupt_and_named(data):
    with pytest.raises(CorruptError, match=r"trees/aa is damaged"):
        Tree.from_bytes(data, "trees/aa")


def test_a_listing_in_disorder_is_corrupt():
    # Who looks for a path in it would not find it, and take a file for one that nothing is known of.
    rows = [[0, f"{number:06}", 0, 0, None] for number in range(50_000)]
    for at in (1, 30_000, len(rows) - 1):
        rows[at - 1], rows[at] = rows[at], rows[at - 1]
        data = packed({"format_version": 1, "entries": len(rows)}, *rows)
        for read in (Tree.from_bytes, lambda data, *rest: list(tree_text.entries((data,), *rest))):
            with pytest.raises(CorruptError, match="x is damaged: its entries are not in order"):
                read(data, "x")
        with pytest.raises(CorruptError, match="not in order"):
            Tree.from_rows(rows, "x")
        rows[at - 1], rows[at] = rows[at], rows[at - 1]
    assert len(Tree.from_rows(rows, "x").entries) == len(rows)


def test_a_newer_listing_is_refused_with_a_way_out():
    with pytest.raises(FormatTooNewError, match="upgrade"):
        Tree.from_bytes(packed({"format_version": 2, "entries": 0}), "x")


@given(strategies.trees(), st.randoms(use_true_random=False))
def test_random_damage_never_goes_unnoticed(tree, random: random.Random):
    data = bytearray(tree.to_bytes())
    if random.random() < 0.5:
        del data[random.randrange(len(data)) :]
    else:
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    try:
        read = Tree.from_bytes(bytes(data), "x")
    except CorruptError:
        return
    assert read == tree  # a bit that the compressed form does not use


def test_digests():
    assert is_digest(D)
    assert digest_of(b"") == "blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
    assert len(hex_of(D)) == 64
    for text in (hex_of(D), D + "\n", D[:-1], D + "0", D.upper(), "", None, 7, "blake3:" + "g" * 64):
        assert not is_digest(text)
