"""Numbers, sizes, times and metadata as a person reads them. Pure: text in, text out."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from nemotron.kit.documents import moments
from nemotron.kit.documents.sizes import size as size

TELLING_MAX = 4
SUMMARY_LENGTH_MAX = 60
PERCENT_DIGITS_MAX = 7  # shares that are nearer to each other than 1e-9 are the same

_INFINITY = float("inf")
_COUNTS = ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "K"))
_SPANS = ((31_536_000, "year"), (2_592_000, "month"), (86_400, "day"), (3600, "h"), (60, "min"))
# What tells one stage of a training pipeline from another, in the order in which people ask.
_AMOUNTS = ("tokens", "sequences", "samples", "examples", "documents", "records", "rows")
_MEASURES = ("iteration", "step", "epoch", "loss", "perplexity", "reward", "accuracy", "score")


def printable(text: str) -> str:
    """The text with everything that could steer a terminal spelt out.

    >>> printable("a\\x1b[31mb\\nc")
    'a\\\\x1b[31mb\\\\nc'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def amount(count: float) -> str:
    """How many, short.

    >>> amount(9500), amount(1_234_567), amount(25_000_000_000)
    ('9,500', '1.23M', '25B')
    """
    if not 10_000 <= count < _INFINITY:
        return number(count)
    # What would be rounded to 1000 of a unit is 1 of the next.
    factor, unit = next((factor, unit) for factor, unit in _COUNTS if count >= factor * 0.9995)
    whole = int(count) // factor
    return f"{whole:,}{unit}" if whole >= 1000 else f"{count / factor:.3g}{unit}"


def number(value: float) -> str:
    """A number: whole ones in full, others to four digits.

    >>> number(1250000), number(2.3104999)
    ('1,250,000', '2.31')
    """
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def percent(share: float | None) -> str:
    """A share as a person reads it; what is there is never shown as nothing.

    >>> percent(0.25), percent(0.00001), percent(None)
    ('25.0%', '<0.1%', '?')
    """
    if share is None:
        return "?"
    return "<0.1%" if 0 < share < 0.0005 else f"{share:.1%}"


def percents(before: float | None, after: float | None) -> tuple[str, str]:
    """Two shares, with as many digits as tell them apart.

    >>> percents(0.5, 0.75), percents(0.01062, 0.01064), percents(None, 0.5)
    (('50.00%', '75.00%'), ('1.062%', '1.064%'), ('unknown', '50.00%'))
    """
    for digits in range(2, PERCENT_DIGITS_MAX):
        one, other = _percent(before, digits), _percent(after, digits)
        if one != other:
            return one, other
    return _percent(before, PERCENT_DIGITS_MAX), _percent(after, PERCENT_DIGITS_MAX)


def _percent(share: float | None, digits: int) -> str:
    return "unknown" if share is None else f"{share:.{digits}%}"


def many(count: int, what: str) -> str:
    """A count with its noun.

    >>> many(1, "file"), many(2000, "file")
    ('1 file', '2,000 files')
    """
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def ago(moment: str, now: datetime | None = None) -> str:
    """How long a moment, ISO 8601, lies back; "" if it is none.

    >>> ago("2025-01-01T10:00:00+00:00", datetime(2025, 1, 1, 12, 30, tzinfo=UTC))
    '2 h ago'
    """
    then = moments.read(moment)
    if then is None:
        return ""
    seconds = ((now or datetime.now(UTC)) - then).total_seconds()
    if abs(seconds) < 60:
        return "just now"
    span, unit = next((span, unit) for span, unit in _SPANS if abs(seconds) >= span)
    count = int(abs(seconds) // span)
    text = f"{count} {unit}" if unit in ("h", "min") else many(count, unit)
    return f"{text} ago" if seconds > 0 else f"in {text}"


def when(moment: str) -> str:
    """A moment, ISO 8601, in UTC to the second; anything else as it is.

    >>> when("2025-01-01T10:00:00.123456+00:00")
    '2025-01-01T10:00:00Z'
    """
    return printable(moments.shown(moment))


def value(item: Any) -> str:
    """A metadata value on one line.

    >>> value(25_000), value("text"), value({"a": [1, 2]})
    ('25,000', 'text', '{"a": [1, 2]}')
    """
    if isinstance(item, bool) or item is None or not isinstance(item, int | float | str):
        return printable(json.dumps(item, ensure_ascii=False))
    return printable(item) if isinstance(item, str) else f"{item:,}" if isinstance(item, int) else f"{item!r}"


def telling(metadata: Mapping[str, Any]) -> list[str]:
    """The few facts by which one version is told from another: amounts of data, steps, losses, rewards.

    >>> telling({"total_tokens": 25_000_000_000, "final_loss": 2.3104, "path": "/x"})
    ['25B tokens', 'final loss 2.31']
    """
    numbers = {
        key: item
        for key, item in metadata.items()
        if isinstance(item, int | float) and not isinstance(item, bool)
    }
    found: list[str] = []
    for word in _AMOUNTS:
        key = next((k for k in (f"total_{word}", f"num_{word}", word) if k in numbers), None)
        if key is not None:
            found.append(f"{amount(numbers[key])} {word}")
    for word in _MEASURES:
        found += [
            f"{printable(key.replace('_', ' '))} {number(item)}"
            for key, item in numbers.items()
            if word in key.split("_")
        ]
    return found[:TELLING_MAX]


def summary(metadata: Mapping[str, Any]) -> str:
    """Metadata in a few words: what tells most, else the first plain values."""
    facts = telling(metadata) or [
        f"{printable(key)}={value(item)}"
        for key, item in metadata.items()
        if isinstance(item, int | float | str)
    ]
    text = ", ".join(facts[:TELLING_MAX])
    return text if len(text) <= SUMMARY_LENGTH_MAX else f"{text[: SUMMARY_LENGTH_MAX - 1]}…"
