"""`blend.json`: which shards a training run reads, with which weights.

Two shapes, as Megatron's `--data-path` and `--per-split-data-args-path` take them: a flat list of weights
and paths (`["0.7", "a", "0.3", "b"]`, or paths alone), and such a list for each split (`{"train": […],
"valid": […]}`). Relative paths count from the folder of the file.
"""

import math
import os
from dataclasses import dataclass
from typing import Any

from nemotron.kit.errors import CorruptError
from nemotron.kit.formats.reading import LOCAL, Files, PathLike, beside, damaged, read_json, text_of

ALL = "all"
# The spellings of the splits, and the one that the kit uses.
SPLITS = {"train": "train", "valid": "valid", "validation": "valid", "val": "valid", "test": "test"}


@dataclass(frozen=True, slots=True)
class Share:
    """One line of a blend.

    Attributes:
        path: of the shard, without suffix, as a path that can be opened.
        weight: relative to the others of its split; None where the blend has no weights.
    """

    path: str
    weight: float | None


@dataclass(frozen=True, slots=True)
class Blend:
    """A whole blend.

    Attributes:
        path: the file.
        splits: `train`, `valid`, `test`, or `all` for a flat one, and what each is made of.
    """

    path: str
    splits: dict[str, tuple[Share, ...]]

    @property
    def shards(self) -> tuple[str, ...]:
        """The shards of all splits, each once."""
        return tuple(dict.fromkeys(share.path for shares in self.splits.values() for share in shares))


class UnknownBlendError(CorruptError):
    """Readable JSON that is none of the shapes known here; what it names can't be told."""

    kind = "unknown_blend"


def read(path: PathLike, files: Files = LOCAL) -> Blend:
    """Read a blend.

    Raises:
        CorruptError: it is no JSON, or a weight is no number that can weigh.
        UnknownBlendError: it has another shape.
    """
    where = text_of(path)
    document = read_json(where, files)
    if isinstance(document, list):
        return Blend(where, {ALL: _shares(document, where)})
    if isinstance(document, dict) and document and document.keys() <= SPLITS.keys():
        splits: dict[str, tuple[Share, ...]] = {}
        for spelling, items in document.items():
            if items is None:
                continue
            split = SPLITS[spelling]
            splits[split] = (*splits.get(split, ()), *_shares(items, where))
        return Blend(where, splits)
    found = type(document).__name__
    if isinstance(document, dict):
        found = f"an object with {', '.join(sorted(document)[:5]) or 'nothing in it'}"
    raise UnknownBlendError(
        f"{where} is no blend: expected a list of weights and paths, or one for train, valid and test; "
        f"found {found}"
    )


def _shares(items: Any, where: str) -> tuple[Share, ...]:
    if isinstance(items, list) and items and all(isinstance(item, list) and len(item) == 2 for item in items):
        items = [part for item in items for part in item]
    if not isinstance(items, list) or not all(_is_plain(item) for item in items):
        raise UnknownBlendError(f"{where} is no blend: expected a list of weights and paths")
    # As Megatron tells the two apart: an odd number, or no number in the places of weights, is paths alone.
    weights = [_number(item) for item in items[::2]]
    if len(items) % 2 or any(weight is None for weight in weights):
        if not all(isinstance(item, str) and item for item in items):
            raise UnknownBlendError(
                f"{where} is no blend: a weight without a path, or a path that is no text"
            )
        return tuple(Share(_beside(item, where), None) for item in items)
    shares = []
    for weight, path in zip(weights, items[1::2], strict=True):
        if not isinstance(path, str) or not path:
            raise UnknownBlendError(f"{where} is no blend: expected a path after each weight, found {path!r}")
        if weight is None or not math.isfinite(weight) or weight < 0:
            raise damaged(where, f"{path} has the weight {weight}, expected a number from 0 upwards")
        shares.append(Share(_beside(path, where), weight))
    return tuple(shares)


def _is_plain(item: Any) -> bool:
    return isinstance(item, str | int | float) and not isinstance(item, bool)


def _number(item: Any) -> float | None:
    try:
        return float(item)
    except (ValueError, OverflowError):
        return None


def _beside(path: str, where: str) -> str:
    """The prefix of a shard as a path; relative ones count from the blend's folder."""
    prefix = path.removesuffix(".idx").removesuffix(".bin")
    return beside(os.path.dirname(where), prefix)
