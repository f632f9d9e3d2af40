import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from nemotron.kit.errors import MisuseError
from nemotron.kit.train_script.values import parse_value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *((text, None) for text in ("null", "none", "~", "None", "NULL", " null ")),
        *((text, True) for text in ("true", "yes", "on", "True", "YES", "On")),
        *((text, False) for text in ("false", "no", "off", "False", "NO", "Off")),
        ("3", 3),
        ("-3", -3),
        ("+3", 3),
        ("1_000", 1000),
        (" 3 ", 3),
        ("3.5", 3.5),
        ("3e-4", 3e-4),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("-inf", -math.inf),
        ("", ""),
        ("text", "text"),
        ("two words ", "two words "),
        ("'3'", "3"),
        ('"yes"', "yes"),
        ("''", ""),
        (r"'it\'s'", "it's"),
        ("it's", "it's"),
        # No octal, no sexagesimal, no dates, no comments: what is not a number is the text as it is written.
        ("010", "010"),
        ("0x10", "0x10"),
        ("12:30", "12:30"),
        ("2024-01-01", "2024-01-01"),
        ("a: b", "a: b"),
        ("a #b", "a #b"),
        ("a,b", "a,b"),
        ("%x", "%x"),
        ("@x", "@x"),
        ("*x", "*x"),
        ("!x", "!x"),
        ("~/data", "~/data"),
        ("é", "é"),
        ("art://data:v1/part.txt", "art://data:v1/part.txt"),
        ("C:\\data", "C:\\data"),
        ("???", "???"),
        ("${a.b}", "${a.b}"),
        ("${art:data,path}/x", "${art:data,path}/x"),
    ],
)
def test_single_values(text: str, value: object) -> None:
    parsed = parse_value(text)
    assert (parsed, type(parsed)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[]", []),
        ("{}", {}),
        ("[1,2]", [1, 2]),
        ("[1, 2.5, a b, null]", [1, 2.5, "a b", None]),
        ("[yes, off, none, ~]", [True, False, None, None]),
        ("['yes', \"1\"]", ["yes", "1"]),
        ("[[1, 2], [3]]", [[1, 2], [3]]),
        ("{a: 1}", {"a": 1}),
        ("{a:1,b:[x,{c: no}]}", {"a": 1, "b": ["x", {"c": False}]}),
        ('{"a": 1}', {"a": 1}),
        ("{'a b': 1}", {"a b": 1}),
        ("{a.b: 1}", {"a.b": 1}),
        ("['x, y', '[', \"}\"]", ["x, y", "[", "}"]),
        ("[é, a=b, x#y, (z), it's]", ["é", "a=b", "x#y", "(z)", "it's"]),
        ("[art://x:v1, s3://b/k?v=1#f]", ["art://x:v1", "s3://b/k?v=1#f"]),
        ("[${a},${oc.env:X,{}}/t]", ["${a}", "${oc.env:X,{}}/t"]),
        ("{a: ${b}, c: '${d}'}", {"a": "${b}", "c": "${d}"}),
        ("[nk_0_, nk__1_]", ["nk_0_", "nk__1_"]),
    ],
)
def test_lists_and_maps(text: str, value: object) -> None:
    assert parse_value(text) == value


@pytest.mark.parametrize(
    "text", ["[1,2", "[1,]", "[,]", "[1,,2]", "{a}", "{a: 1", "[a]b", "[a-z]+", "{", "["]
)
def test_a_malformed_list_or_map_is_an_error_that_shows_it(text: str) -> None:
    with pytest.raises(MisuseError) as caught:
        parse_value(text)
    assert f"{text!r} is not a list or map" in caught.value.message


WORDS = {"null", "none", "~", "true", "yes", "on", "false", "no", "off"}
TREES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8", exclude_characters="\\")),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("abc_é= ,:", min_size=1), inner, max_size=3)
    ),
    max_leaves=12,
)


def written(value: Any) -> str:
    """Write a value as a careful person would: all text in quotes."""
    if isinstance(value, list):
        return "[" + ", ".join(map(written, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{written(key)}: {written(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, str):
        return "'" + value.replace("'", "\\'") + "'"
    return (
        {None: "null", True: "true", False: "false"}.get(value, repr(value))
        if value is None or isinstance(value, bool)
        else repr(value)
    )


@given(TREES)
def test_what_is_written_with_quotes_is_read_back(value: Any) -> None:
    assert parse_value(written(value)) == value


@given(st.text())
def test_anything_is_a_value_or_an_error_of_ours(text: str) -> None:
    try:
        value = parse_value(text)
    except MisuseError:
        assert text.strip()[0] in "[{"
    else:
        assert value is None or isinstance(value, bool | int | float | str | list | dict)


@given(st.integers() | st.floats(allow_nan=False))
def test_numbers_mean_what_they_mean_to_omegaconf(number: float) -> None:
    from_file = OmegaConf.create(f"x: {number!r}").x
    assert parse_value(repr(number)) == number
    if isinstance(from_file, int | float):
        assert parse_value(repr(number)) == from_file
