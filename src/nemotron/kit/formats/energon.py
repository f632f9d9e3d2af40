"""Energon web datasets: shards and samples by split, from `.nv-meta`.

`.info.json` (or `.info.yaml` of older ones) has the samples of each shard, `split.yaml` the shards of each
split.
Source: https://nvidia.github.io/Megatron-Energon
"""

import re
from dataclasses import dataclass
from typing import Any

from nemotron.kit.formats.reading import (
    LOCAL,
    Files,
    PathLike,
    damaged,
    is_count,
    read_json,
    read_small,
    text_of,
)

META_FOLDER = ".nv-meta"
YAML_BYTES_MAX = 4 << 20
YAML_DEPTH_MAX = 16
PATTERNS_MAX = 1000
_RANGE = re.compile(r"\{(\d{1,12})\.\.(\d{1,12})\}")


@dataclass(frozen=True, slots=True)
class EnergonDataset:
    """A prepared dataset.

    Attributes:
        shards: tar files.
        samples: of all shards.
        by_split: samples of `train`, `val`, `test`, as far as the split is described.
    """

    shards: int
    samples: int
    by_split: dict[str, int]


def is_dataset(folder: str, files: Files = LOCAL) -> bool:
    """Whether a folder was prepared by Energon."""
    return files.what(f"{folder}/{META_FOLDER}") == "folder"


def read(folder: PathLike, files: Files = LOCAL) -> EnergonDataset | None:
    """Read `.nv-meta`.

    Returns:
        None if it does not say how many samples there are.

    Raises:
        CorruptError: it is damaged, or not of the shape that Energon writes.
    """
    meta = f"{text_of(folder).rstrip('/')}/{META_FOLDER}"
    counts = _counts(meta, files)
    if counts is None:
        return None
    splits = f"{meta}/split.yaml"
    by_split: dict[str, int] = {}
    if files.what(splits) == "file":
        document = read_yaml(splits, files)
        parts = document.get("split_parts") if isinstance(document, dict) else None
        excluded = document.get("exclude") if isinstance(document, dict) else None
        if not isinstance(parts, dict):
            raise damaged(splits, "expected split_parts, from splits to lists of shards")
        # Excluded are whole shards or single samples (`shard.tar/7`), which are more than a head can tell.
        if not excluded:
            by_split = {str(name): _samples(part, counts, splits) for name, part in parts.items()}
    return EnergonDataset(len(counts), sum(counts.values()), by_split)


def _counts(meta: str, files: Files) -> dict[str, int] | None:
    for name, reader in ((".info.json", read_json), (".info.yaml", read_yaml)):
        where = f"{meta}/{name}"
        if files.what(where) != "file":
            continue
        document = reader(where, files)
        counts = document.get("shard_counts") if isinstance(document, dict) else None
        if not isinstance(counts, dict):
            raise damaged(where, "expected shard_counts, from shards to samples")
        found: dict[str, int] = {}
        for shard, count in counts.items():
            number = int(count) if isinstance(count, str) and re.fullmatch(r"\d{1,18}", count) else count
            if not is_count(number):
                raise damaged(where, f"{shard} has {count!r} samples, expected a whole number")
            found[str(shard)] = number
        return found
    return None


def _samples(part: Any, counts: dict[str, int], where: str) -> int:
    """Samples of the shards that a split names, each once."""
    if part is None:
        return 0
    if not isinstance(part, list) or not all(isinstance(item, str) for item in part):
        raise damaged(where, "expected a list of shards for each split")
    named = {item for item in part if item in counts}
    patterns = [_pattern(item) for item in dict.fromkeys(part) if item not in counts]
    if len(patterns) > PATTERNS_MAX:
        raise damaged(where, f"{len(patterns):,} patterns that name no shard, more than {PATTERNS_MAX:,}")
    for expression, low, high in patterns:
        for shard in counts:
            found = expression.fullmatch(shard)
            if found and low <= int(found[1] if found.re.groups else 0) <= high:
                named.add(shard)
    return sum(counts[shard] for shard in named)


def _pattern(item: str) -> tuple[re.Pattern[str], int, int]:
    """A name with one range in braces, `shard_{000..009}.tar`, as an expression and the numbers it takes."""
    found = _RANGE.search(item)
    if found is None:
        return re.compile(re.escape(item)), 0, 0
    before, after = re.escape(item[: found.start()]), re.escape(item[found.end() :])
    width = len(found[1]) if len(found[1]) == len(found[2]) else 0
    digits = rf"(\d{{{width}}})" if width else r"(\d{1,12})"
    return re.compile(before + digits + after), int(found[1]), int(found[2])


def read_yaml(path: str, files: Files) -> Any:
    """A YAML document of maps, lists and texts: scalars stay text, aliases are refused.

    It is built from the parser's events without recursion, so that depth and size are bounded.

    Raises:
        CorruptError: it is no YAML, or beyond the limits.
    """
    import yaml

    data = read_small(path, files, YAML_BYTES_MAX)
    root: list[Any] = []
    stack: list[Any] = [root]
    keys: list[Any] = [None]
    try:
        for event in yaml.parse(data, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            if isinstance(event, yaml.AliasEvent):
                raise damaged(path, "it has aliases, which Energon does not write")
            if isinstance(event, yaml.ScalarEvent):
                plain = event.implicit[0] and event.value in ("", "~", "null")
                _put(stack, keys, None if plain else event.value)
            elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
                made: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
                _put(stack, keys, made)
                stack.append(made)
                keys.append(None)
                if len(stack) > YAML_DEPTH_MAX:
                    raise damaged(path, f"it is nested deeper than {YAML_DEPTH_MAX} levels")
            elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
                stack.pop()
                keys.pop()
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise damaged(path, f"not YAML ({str(error).splitlines()[0]})") from error
    except TypeError as error:
        raise damaged(path, "a map with a key that is no text") from error
    return root[0] if root else None


def _put(stack: list[Any], keys: list[Any], value: Any) -> None:
    """Add a value where the document is being built; in a map every other one is a key."""
    top = stack[-1]
    if isinstance(top, list):
        top.append(value)
    elif keys[-1] is None:
        hash(value)
        keys[-1] = (value,)
    else:
        top[keys[-1][0]] = value
        keys[-1] = None
