"""Moves of aliases as they are stored: what shipped is read and written the same for ever."""

import json
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from nemotron.kit.documents.alias import AliasMove
from nemotron.kit.errors import CorruptError

GOLDEN = sorted(Path(__file__).parents[1].joinpath("golden/aliases").glob("*.json"))
STATES = {1: (False, None), 2: (True, None), 3: (True, 2)}


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden(path):
    move = AliasMove.from_bytes(path.read_bytes(), str(path))
    assert (move.protected, move.undoes) == STATES[move.sequence]
    assert move.to_bytes() == path.read_bytes()


def test_there_are_golden_ones():
    assert len(GOLDEN) == 3


@given(
    st.builds(
        AliasMove,
        sequence=st.integers(1, 10**9),
        version=st.integers(1, 10**9),
        previous=st.none() | st.integers(1, 9),
        why=st.none() | st.text(),
        protected=st.booleans(),
        undoes=st.none() | st.integers(1, 9),
    )
)
def test_round_trip(move):
    assert AliasMove.from_bytes(move.to_bytes(), "here") == move


def test_what_a_later_kit_adds_is_read_over():
    document = json.loads(GOLDEN[1].read_bytes())
    move = AliasMove.from_bytes(json.dumps({**document, "approved_by": ["eve"]}).encode(), "here")
    assert (move.version, move.protected) == (4, True)


@pytest.mark.parametrize(
    "change",
    [
        {"previous": "v1"},
        {"undoes": "3"},
        {"protected": "no"},
        {"sequence": True},
        {"version": -1},
        {"why": 1},
    ],
)
def test_a_field_of_another_type_is_damage_at_once_and_not_later(change):
    document = json.loads(GOLDEN[1].read_bytes())
    with pytest.raises(CorruptError, match=r"^here is damaged"):
        AliasMove.from_bytes(json.dumps({**document, **change}).encode(), "here")
