"""All versions of a store, read: for what must know of every one of them before it takes something away."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

from nemotron.kit.documents.digest import ALGORITHM
from nemotron.kit.documents.manifest import Manifest
from nemotron.kit.errors import CorruptError, FormatTooNewError
from nemotron.kit.names import is_key
from nemotron.kit.registry import layout
from nemotron.kit.registry.versions import Versions
from nemotron.kit.registry.work import Progress
from nemotron.kit.store.protocol import Store
from nemotron.kit.workers import Workers

WORKERS = 16
BATCH = 1000
_DIGEST = re.compile(rb"\b" + ALGORITHM.encode() + rb":[0-9a-f]{64}\b")
S = TypeVar("S")
T = TypeVar("T")


@dataclass
class Census:
    """What there is.

    Attributes:
        living: the manifest of every version that is not withdrawn.
        withdrawn: the name and number of every other one.
        older: the numbers of each name that earlier tools took.
        damaged: for each version that can't be read, by name and number, what is wrong with it.
    """

    living: list[Manifest] = field(default_factory=list)
    withdrawn: set[tuple[str, int]] = field(default_factory=set)
    older: dict[str, frozenset[int]] = field(default_factory=dict)
    damaged: dict[tuple[str, int], CorruptError] = field(default_factory=dict)


def adopted(store: Store) -> set[str]:
    """The digests that `.kit/adopted` names, whatever those documents look like: gc keeps what has them.

    Raises:
        MisuseError: the store can't list them.
        RefusedError, UnavailableError: something can't be read.
    """
    named: set[str] = set()
    for found in store.walk(".kit/adopted"):
        named.update(map(bytes.decode, _DIGEST.findall(store.read(found.key) or b"")))
    return named


def take(store: Store, progress: Progress | None = None) -> Census:
    """Read every version there is; nothing is remembered from before, and no listing is trusted alone.

    Args:
        store: what to read.
        progress: told how many versions are read, and of how many.

    Raises:
        FormatTooNewError: a version was written by a newer kit.
        RefusedError, UnavailableError: something can't be looked at.
    """
    versions, census = Versions(store), Census()
    names = sorted({name for name in store.list() if is_key(name)} | versions.older.names())
    with Workers(WORKERS, "kit-census") as pool:
        for name in names:
            census.older[name] = versions.older.numbers(name)
        # Of a name, all its keys where one listing tells them: a tombstone that it shows is there, and of one
        # that it does not show yet, the version counts as living and keeps what it names.
        listed = dict(zip(names, pool.map(versions.walked, names), strict=True))
        numbers = dict(zip(names, pool.map(lambda name: _numbers(versions, name), names), strict=True))
        pairs = [(name, number) for name in names for number in sorted(numbers[name])]
        done = 0
        for batch in batches(pairs):
            for pair, outcome in zip(
                batch, pool.map(lambda pair: _read(versions, listed[pair[0]], *pair), batch), strict=True
            ):
                _note(census, pair, outcome)
            done += len(batch)
            if progress is not None:
                progress(done, len(pairs))
    return census


def batches(items: Iterable[T]) -> Iterator[list[T]]:
    """Some of them at a time."""
    rest = iter(items)
    while batch := list(islice(rest, BATCH)):
        yield batch


def _numbers(versions: Versions, name: str) -> set[int]:
    """Every number that may hold a version: those listed, and those up to the newest one found by asking."""
    listed = {layout.version_number(child) for child in versions.store.list(name)} - {None}
    numbers = {number for number in listed if number is not None} | versions.older.numbers(name)
    return numbers | set(range(1, versions.newest(name) + 1))


def _read(
    versions: Versions, listed: set[str] | None, name: str, number: int
) -> Manifest | CorruptError | bool:
    """The manifest, what is wrong with it, or whether it is withdrawn (else there is none)."""
    stone = layout.tombstone(name, number)
    if versions.is_withdrawn(name, number) if listed is None else stone in listed:
        return True
    try:
        return versions.read(name, number) or False
    except FormatTooNewError:
        raise
    except CorruptError as error:
        return error


def _note(census: Census, pair: tuple[str, int], outcome: Manifest | CorruptError | bool) -> None:
    if isinstance(outcome, Manifest):
        census.living.append(outcome)
    elif isinstance(outcome, CorruptError):
        census.damaged[pair] = outcome
    elif outcome:
        census.withdrawn.add(pair)
