"""What recipe scripts need around artifacts: input slots of a command line, and sizes of a trial run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from nemotron.kit.errors import MisuseError

TINY_MAX = 10_000
SCALES = {"tiny": Fraction(1, 100), "small": Fraction(1, 10), "medium": Fraction(3, 10), "full": Fraction(1)}


@dataclass(frozen=True)
class ArtifactInput:
    """A slot of a command line that an artifact goes into.

    >>> ArtifactInput("nano3/pretrain/data", {"path": "dataset.data_path"}).mappings["path"]
    'dataset.data_path'

    Attributes:
        default_name: the artifact that is meant where the user names none.
        mappings: metadata field → the dotted path in the config that gets its value.
    """

    default_name: str
    mappings: Mapping[str, str] = field(default_factory=dict)


def apply_scale(count: int, scale: str) -> int:
    """The part of a count that a run of some scale uses.

    >>> apply_scale(5_000_000, "tiny"), apply_scale(15, "small"), apply_scale(3, "tiny")
    (10000, 1, 1)

    Args:
        count: how many there are.
        scale: "tiny" is 1 %, at most 10,000; "small" 10 %; "medium" 30 %; "full" all.

    Returns:
        Truncated, but at least 1; 0 stays 0.

    Raises:
        ValueError: the scale is none of these, or the count is negative.
    """
    if scale not in SCALES:
        raise MisuseError(f"Invalid scale: {scale}. Must be one of: {list(SCALES)}")
    if count < 0:
        raise MisuseError(f"Invalid count: {count}; expected 0 or more")
    if count == 0:
        return 0
    # A fraction, so that 30 % of 10 is 3 and a count beyond 2**53 keeps its last digits.
    scaled = max(1, int(count * SCALES[scale]))
    return min(scaled, TINY_MAX) if scale == "tiny" else scaled
