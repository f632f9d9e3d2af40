"""From Python values to stored bytes and back."""

import dataclasses
import datetime
import enum
import json
import math
from collections import OrderedDict
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nemotron.kit.documents import codec
from nemotron.kit.errors import CorruptError, InvalidMetadataError
from nemotron.kit.testing import strategies

pytestmark = pytest.mark.usefixtures("no_io")


def same(a, b):
    """Equality where NaN equals NaN and 1 differs from true and from 1.0."""
    return repr(a) == repr(b)


@given(strategies.metadata())
@example({"loss": math.nan, "worst": math.inf, "best": -math.inf, "zero": -0.0})
@example({"name": "\udcff.bin"})
@example({"n": 2**63, "tiny": 5e-324, "": {"": [[]]}})
def test_documents_read_back(document):
    assert same(codec.decode(codec.encode(document), "x"), document)


@given(strategies.metadata())
@example({"text": "a\n}\n", "deep": {"deeper": {}}})
def test_no_torn_document_ends_as_a_whole_one(document):
    data = codec.encode(document)
    assert data.endswith(codec.END) or document == {}
    assert not any(data[:size].endswith(codec.END) for size in range(len(data)))


def test_documents_are_utf8_json_that_a_person_can_read():
    data = codec.encode({"b": "grün", "a": [1]})
    assert data == '{\n  "b": "grün",\n  "a": [\n    1\n  ]\n}\n'.encode()


def test_nan_and_infinity_are_the_literals_that_python_reads():
    data = codec.encode({"a": math.nan, "b": math.inf, "c": -math.inf})
    assert b"NaN" in data
    assert b"Infinity" in data
    assert math.isnan(json.loads(data)["a"])


class Colour(str, enum.Enum):  # noqa: UP042  (what recipes have)
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


@dataclasses.dataclass
class Blend:
    path: Path
    weight: float


class Model:
    def model_dump(self):
        return {"steps": 3, "where": PurePosixPath("/m")}


class Scalar:
    """As numpy's scalars look from outside."""

    def tolist(self):
        return 1.5


class Tensor:
    def item(self):
        return 7


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ((1, 2), [1, 2]),
        ({"b", "a"}, ["a", "b"]),
        (frozenset({2, 1}), [1, 2]),
        (Path("/data"), "/data"),
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        (datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC), "2026-01-02T00:00:00+00:00"),
        (datetime.timedelta(minutes=1), 60.0),
        (Blend(Path("/b"), 0.5), {"path": "/b", "weight": 0.5}),
        (Model(), {"steps": 3, "where": "/m"}),
        (Scalar(), 1.5),
        (Tensor(), 7),
        (OrderedDict(a=(1,)), {"a": [1]}),
        ({1: "a", 2.5: "b"}, {"1": "a", "2.5": "b"}),
        ({True: "a"}, {"true": "a"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_rich_values_become_plain(value, expected):
    got = codec.plain(value)
    assert same(got, expected)
    assert type(got) is type(expected)


def test_numpy_values_become_plain():
    numpy = pytest.importorskip("numpy")
    got = codec.plain(
        {
            "f": numpy.float32(0.5),
            "i": numpy.int64(3),
            "b": numpy.bool_(True),
            "a": numpy.arange(3),
            "nan": numpy.nan,
        }
    )
    assert same(got, {"f": 0.5, "i": 3, "b": True, "a": [0, 1, 2], "nan": math.nan})
    assert [type(value) for value in got.values()] == [float, int, bool, list, float]


def test_subclasses_of_plain_types_become_the_plain_type():
    assert type(codec.plain(Colour.RED)) is str
    assert type(codec.plain(Level.HIGH)) is int


def holding_itself():
    loop: list[object] = []
    loop.append(loop)
    return loop


@pytest.mark.parametrize(
    "value",
    [object(), b"bytes", 1j, lambda: 0, {"a": {("x", 1): 2}}, {"a": [object]}, holding_itself(), {None: 1}],
    ids=lambda value: type(value).__name__,
)
def test_what_has_no_json_form_is_refused_by_name(value):
    with pytest.raises(InvalidMetadataError, match=r"^metadata"):
        codec.plain(value, "metadata")


def test_the_error_says_where():
    with pytest.raises(InvalidMetadataError, match=r"metadata\['a'\]\[1\]\['b'\] is a builtins.complex"):
        codec.plain({"a": [0, {"b": 1j}]}, "metadata")


def test_a_number_too_long_to_write_is_refused():
    with pytest.raises(InvalidMetadataError, match="number"):
        codec.encode({"n": 10**5000})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"3",
        b'"text"',
        b"{} {}",
        b"\xff\xfe",
        b'{"a": "\xff"}',
        b"{'a': 1}",
        b"\x00" * 100,
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"n": ' + b"9" * 5000 + b"}",
    ],
    ids=lambda data: repr(data[:12]),
)
def test_what_is_no_document_is_corrupt_and_named(data):
    with pytest.raises(CorruptError, match=r"store/a/v1/manifest.json is damaged") as caught:
        codec.decode(data, "store/a/v1/manifest.json")
    assert len(str(caught.value)) < 400


@given(st.binary(max_size=200))
def test_any_bytes_are_a_document_or_corrupt(data):
    try:
        document = codec.decode(data, "x")
    except CorruptError:
        return
    assert isinstance(document, dict)


@given(strategies.json_values())
def test_strict_output_is_strict_json(value):
    json.dumps(codec.strict(value), allow_nan=False)
