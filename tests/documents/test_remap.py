"""Prefixes of paths: the longest counts, whole parts only, and nothing goes round for ever."""

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nemotron.kit.documents.remap import Remap, RemapLog, moved
from nemotron.kit.errors import CorruptError, FormatTooNewError

pytestmark = pytest.mark.usefixtures("no_io")

PARTS = st.lists(st.sampled_from(["a", "b", "ab"]), min_size=1, max_size=4)
PATHS = st.builds(lambda head, parts: head + "/".join(parts), st.sampled_from(["/", "s3://b/"]), PARTS)
PREFIXES = st.dictionaries(PATHS, PATHS, max_size=4)


@given(PATHS, PREFIXES)
def test_what_comes_out_is_under_no_prefix(path, prefixes):
    now = moved(path, prefixes)
    fits = [old for old in prefixes if now is not None and (now == old or now.startswith(f"{old}/"))]
    assert all(old.startswith(f"{prefixes[old]}/") for old in fits)  # but for one that moved up just now


@given(PATHS, PATHS, PARTS)
@example(old="/a/a", new="/a", parts=["a"])
def test_one_prefix_moves_all_below_it_and_nothing_else(old, new, parts):
    rest = "/".join(parts)
    if not f"{new}/".startswith(f"{old}/"):
        assert moved(f"{old}/{rest}", {old: new}) == f"{new}/{rest}"
        assert moved(old, {old: new}) == new
    assert moved(f"{old}x/{rest}", {old: new}) == f"{old}x/{rest}"


@given(PATHS, PREFIXES)
def test_a_circle_shows_at_one_of_the_prefixes_themselves(path, prefixes):
    if moved(path, prefixes) is None:
        assert any(moved(old, prefixes) is None for old in prefixes)


def test_the_longest_prefix_wins_and_moves_are_followed():
    prefixes = {"/a": "s3://b", "/a/x": "/fast", "/fast": "/faster", "s3://b/y": "gs://c"}
    assert moved("/a/x/1", prefixes) == "/faster/1"
    assert moved("/a/y/1", prefixes) == "gs://c/1"
    assert moved("/a/z", prefixes) == "s3://b/z"
    assert moved("/ab", prefixes) == "/ab"
    assert moved("/a", {"/a": "/b", "/b": "/a"}) is None
    assert moved("/a/1", {"/a": "/a/b"}) is None


def test_what_moved_up_moved_once_and_other_moves_follow():
    assert moved("/a/a/a", {"/a/a": "/a"}) == "/a/a"
    assert moved("/a/a/a/x", {"/a/a": "/a", "/a": "/b"}) == "/b/a/x"
    assert moved("/a/x/x/1", {"/a/x": "/a", "/a/x/1": "/c"}) == "/c"
    assert moved("/a/b", {"/a/b": "/a", "/a": "/a/b"}) is None


REMAPS = st.builds(Remap, old=PATHS, new=PATHS, set_at=st.text(), set_by=st.text(), why=st.none() | st.text())


@given(st.builds(RemapLog, sequence=st.integers(1, 10**9), changed=PATHS, remaps=st.lists(REMAPS).map(tuple)))
def test_entries_read_back(entry):
    assert RemapLog.from_bytes(entry.to_bytes(), "here") == entry


@given(st.data())
def test_a_torn_entry_is_never_whole(data):
    whole = RemapLog(sequence=1, changed="/a", remaps=(Remap(old="/a", new="/b"),)).to_bytes()
    torn = whole[: data.draw(st.integers(0, len(whole) - 2))]
    with pytest.raises(CorruptError):
        RemapLog.from_bytes(torn, "here")


@pytest.mark.parametrize(
    "change",
    [
        {"sequence": 0},
        {"sequence": None},
        {"remaps": {}},
        {"remaps": [1]},
        {"remaps": [{"old": "/a"}]},
        {"remaps": [{"old": "", "new": "/a"}]},
    ],
)
def test_wrong_entries_are_corrupt_and_newer_ones_are_refused(change):
    document = {"format_version": 1, "sequence": 1, "changed": "/a", "remaps": []}
    with pytest.raises(CorruptError):
        RemapLog.from_bytes(json.dumps({**document, **change}).encode(), "here")
    with pytest.raises(FormatTooNewError, match="upgrade"):
        RemapLog.from_bytes(json.dumps({**document, "format_version": 2}).encode(), "here")
