"""Numbers, sizes, times and metadata in words."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemotron.kit.console import words

NOW = datetime(2025, 6, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (2**20 * 3 // 2, "1.5 MiB"), (2**60, "1024.0 PiB")],
)
def test_size(count: int, text: str) -> None:
    assert words.size(count) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (9_999, "9,999"),
        (10_000, "10K"),
        (12_345, "12.3K"),
        (999_999, "1M"),
        (999_499, "999K"),
        (1_234_567, "1.23M"),
        (25_000_000_000, "25B"),
        (15 * 10**12, "15T"),
        (10**16, "10,000T"),
        (10**400, f"{10**388:,}T"),
        (2.5, "2.5"),
        (-3, "-3"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
    ],
)
def test_amount(count: float, text: str) -> None:
    assert words.amount(count) == text


@pytest.mark.parametrize(
    ("back", "text"),
    [
        (timedelta(seconds=3), "just now"),
        (timedelta(seconds=90), "1 min ago"),
        (timedelta(hours=5), "5 h ago"),
        (timedelta(days=3), "3 days ago"),
        (timedelta(days=70), "2 months ago"),
        (timedelta(days=800), "2 years ago"),
        (timedelta(hours=-2), "in 2 h"),
    ],
)
def test_ago(back: timedelta, text: str) -> None:
    assert words.ago((NOW - back).isoformat(), NOW) == text


def test_moments_that_are_none_or_have_no_zone() -> None:
    assert words.ago("yesterday") == ""
    assert words.when("yester\x1bday") == "yester\\x1bday"
    assert words.ago("2025-06-01T11:00:00", NOW) == "1 h ago"
    assert words.when("") == ""


def test_telling_takes_what_people_ask_for() -> None:
    metadata = {
        "path": "/x",
        "total_sequences": 12_000,
        "num_tokens": 3_000_000,
        "global_step": 5_000,
        "val_loss": 1.98765,
        "mean_reward": 0.5,
        "has_tokens": True,
        "lossless": 1,
    }
    assert words.telling(metadata) == ["3M tokens", "12K sequences", "global step 5,000", "val loss 1.988"]
    assert words.telling({"tokens": "many", "loss": None}) == []


def test_summary_falls_back_and_stays_short() -> None:
    assert words.summary({"a": 1, "b": [1], "c": "x\n"}) == "a=1, c=x\\n"
    assert words.summary({}) == ""
    assert len(words.summary({"text": "y" * 500})) == words.SUMMARY_LENGTH_MAX


@given(st.text())
def test_printable_is_printable_on_one_line(text: str) -> None:
    shown = words.printable(text)
    assert shown.isprintable()
    assert shown == text or not text.isprintable()


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists))
def test_every_value_is_one_printable_line(value: object) -> None:
    assert words.value(value).isprintable()
    assert words.summary({"loss": value}).isprintable()
