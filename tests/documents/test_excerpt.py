"""Some entries of a listing are stored as a listing of their own is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemotron.kit.documents import tree_rows
from nemotron.kit.documents.columns import Columns
from nemotron.kit.documents.digest import digest_of
from nemotron.kit.documents.excerpt import Excerpt
from nemotron.kit.documents.tags import SomeTags, Tags
from nemotron.kit.documents.tree import Entry, Tree
from nemotron.kit.testing import strategies

pytestmark = pytest.mark.usefixtures("no_io")
TAGS = st.none() | st.text("ab", min_size=1, max_size=3)


@pytest.fixture(autouse=True, scope="module")
def few_rows_at_a_time():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tree_rows, "BLOCK_ROWS", 3)
        yield


@given(strategies.trees(max_size=12), st.data())
def test_it_is_stored_as_a_tree_of_these_entries(tree, data):
    with_tags = st.tuples(TAGS, TAGS) if data.draw(st.booleans()) else st.just((None, None))
    listed = [
        entry._replace(etag=etag, object_version=version)
        for entry in tree.entries
        for etag, version in [data.draw(with_tags)]
    ]
    columns = Tree(listed).columns
    chosen = [at for at in range(len(listed)) if data.draw(st.booleans())]
    wanted = [listed[at] for at in chosen]
    told = [at for at, entry in enumerate(wanted) if entry.is_file and data.draw(st.booleans())]
    for at in told:
        wanted[at] = wanted[at]._replace(digest=digest_of(b"told"), sample=None)

    def complete(start: int, part: Columns) -> None:
        for at in range(len(part)):
            if start + at in told:
                part.put(at, part.entry(at)._replace(digest=digest_of(b"told"), sample=None))

    some, expected = Excerpt(columns, chosen, complete), Tree(wanted)
    for _ in range(2):  # it is made again each time, and leaves the listing as it was
        pieces: list[bytes] = []
        assert list(some) == wanted
        assert len(some) == len(wanted)
        assert some.key == expected.key == some.write(pieces.extend)
        assert b"".join(pieces) == expected.to_bytes()
    assert columns.same_as(Columns(listed))


@given(st.lists(TAGS, max_size=9), st.integers(1, 5), st.data())
def test_some_tags_are_those_that_would_be_taken(all_of_them, size, data):
    tags = Tags.of(all_of_them, len(all_of_them), "x")
    positions = [at for at in range(len(all_of_them) + 2) if data.draw(st.booleans())]
    some, taken = SomeTags(tags, positions), tags.taken(positions)
    assert "".join(some.pieces(size)) == taken.text()
    assert bool(some) == bool(taken)


def test_nothing_of_something():
    some = Excerpt(Columns([Entry("a")]), [])
    assert (len(some), list(some), some.key) == (0, [], Tree().key)
