"""Many differences in few bytes behave as a list of them would, and are found as a table would find them."""

from hypothesis import given
from hypothesis import strategies as st

from nemotron.kit.documents.columns import Columns
from nemotron.kit.documents.positions import Positions, side_by_side
from nemotron.kit.documents.tree import Entry, Tree
from nemotron.kit.registry.changes import became, compare
from nemotron.kit.registry.differences import Difference, Differences

PATHS = st.text("ab/.", min_size=1, max_size=3)
ITEMS = st.lists(
    st.builds(
        Difference,
        PATHS,
        st.sampled_from(["touched", "changed", "missing", "extra"]),
        st.sampled_from([None, "store", "checkout"]),
        st.booleans(),
    )
)
DIGESTS = st.sampled_from([None, f"blake3:{0:064x}", f"blake3:{1:064x}"])
ENTRIES = st.builds(
    lambda path, size, time, digest, sample, etag: Entry(
        path, size, time, digest, sample=None if digest else sample, etag=etag
    ),
    PATHS,
    st.integers(0, 1),
    st.integers(0, 1),
    DIGESTS,
    st.sampled_from([None, f"sampled-blake3:{0:064x}", f"sampled-blake3:{1:064x}"]),
    st.sampled_from([None, '"a"', '"b"']),
) | st.builds(
    lambda path, kind, target: Entry(path, kind=kind, target=target),  # an entry is a tuple of more
    PATHS,
    st.sampled_from(["link", "dir"]),
    st.sampled_from(["a", "b"]),
)
TREES = st.lists(ENTRIES, unique_by=lambda entry: entry.path).map(Tree.of)


@given(ITEMS, st.data())
def test_a_sequence_like_any_other(items: list[Difference], data: st.DataObject) -> None:
    found = Differences(items)
    assert list(found) == items
    assert found == items
    assert found == tuple(items)
    assert found == Differences(iter(items))
    assert (len(found), found[1:], [found[at] for at in range(-len(items), 0)]) == (
        len(items),
        items[1:],
        items,
    )
    assert found.verdicts == {item.verdict for item in items}
    assert found.is_sure == all(item.is_sure for item in items)
    assert found.of("touched", "extra") == [one for one in items if one.verdict in ("touched", "extra")]
    some = sorted(data.draw(st.sets(st.sampled_from(range(len(items)))))) if items else []
    assert found.without(some) == [item for at, item in enumerate(items) if at not in some]
    told = found.as_touched(some)
    assert [one.path for one in told] == found.paths() == [one.path for one in items]
    assert all(told[at].verdict == "touched" and told[at].is_sure for at in some)


@given(TREES, TREES)
def test_compared_as_one_file_after_another_would_be(old: Tree, new: Tree) -> None:
    then, now = ({entry.path: entry for entry in tree.entries} for tree in (old, new))
    expected = []
    for path in sorted({*then, *now}):
        one_side = now if path not in then else then
        is_filled = one_side[path].kind == "dir" and any(
            other.startswith(f"{path}/") for other in (then if one_side is now else now)
        )
        if path not in now or path not in then:
            if not is_filled:
                expected.append(Difference(path, "missing" if path in then else "extra"))
        elif one := became(then[path], now[path]):
            expected.append(one)
    assert compare(old, new) == expected


@given(st.sets(PATHS), st.lists(PATHS), st.sets(PATHS))
def test_found_where_they_are(there: set[str], asked: list[str], others: set[str]) -> None:
    column, other = sorted(there), sorted(others)
    positions = Positions(column)
    found = [positions.find(path) for path in asked]
    assert found == [column.index(path) if path in there else None for path in asked]
    pairs = list(side_by_side(column, other))
    assert [column[one] for one, _ in pairs if one is not None] == column
    assert [other[two] for _, two in pairs if two is not None] == other
    assert all(column[one] == other[two] for one, two in pairs if one is not None and two is not None)
    assert len(pairs) == len(there | others)


def test_texts_of_another_listing_are_held_wherever_they_are_the_same() -> None:
    """Of a listing with a file more at its beginning, of which the texts stand elsewhere, all the same."""
    known = [f"{at:03}/part.bin" for at in range(100)]
    columns = Columns()
    for start in range(0, 100, 10):
        before = len(columns)
        for at in range(start, start + 10):
            columns.append(Entry(f"{at:03}/part.bin"))
            if at in (0, 55):
                columns.append(Entry(f"{at:03}/part.bin.new"))
        columns.share_paths(known, before)
    own = {id(path) for path in known}
    assert [path for path in columns.paths if id(path) not in own] == ["000/part.bin.new", "055/part.bin.new"]
