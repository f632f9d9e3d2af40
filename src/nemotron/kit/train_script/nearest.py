"""Which key was meant: the nearest one that exists."""

from collections.abc import Iterable
from difflib import SequenceMatcher

from nemotron.kit.names import near

_LIST_AT_MOST = 12


def nearest(key: str, known: Iterable[str]) -> str | None:
    """Find the known key that looks most like `key`, whatever its case; None when none does.

    >>> nearest("trian", ["train", "data"])
    'train'
    """
    found = near(key, known)
    return found[0] if found else None


def nearest_path(path: str, known: Iterable[str]) -> str | None:
    """Find the known dotted path that was meant: misspelt, or right but in another section.

    >>> nearest_path("trian.lr", ["train", "train.lr", "optimizer.lr"])
    'train.lr'
    >>> nearest_path("lr", ["data.path", "train.lr"])
    'train.lr'
    """
    section, _, tail = path.rpartition(".")
    siblings: dict[str, str] = {}
    elsewhere: list[str] = []
    for other in known:
        if path.startswith(f"{other}."):
            continue  # a section that it is in already
        other_section, _, other_tail = other.rpartition(".")
        if other_section == section:
            siblings[other_tail] = other
        else:
            elsewhere.append(other)
    found = nearest(tail, siblings)
    if found is not None:
        return siblings[found]
    same_tail = [other for other in elsewhere if other.rpartition(".")[2].lower() == tail.lower()]
    if same_tail:
        return max(same_tail, key=lambda other: SequenceMatcher(None, path, other).ratio())
    # Only the tail: a right section and a wrong key would make every sibling look near.
    by_tail = {other.rpartition(".")[2]: other for other in reversed(elsewhere)}
    found = nearest(tail, by_tail)
    return by_tail[found] if found is not None else None


def suggestion(found: str | None, known: Iterable[str]) -> str:
    """Say which key was meant, or what there is when none comes near.

    >>> suggestion("train", ["train", "data"]), suggestion(None, ["train", "data"])
    ("Did you mean 'train'?", 'There is: train, data.')
    """
    if found is not None:
        return f"Did you mean {found!r}?"
    names = list(known)
    if not names:
        return "There is no key at all."
    more = ", …" if len(names) > _LIST_AT_MOST else ""
    return f"There is: {', '.join(names[:_LIST_AT_MOST])}{more}."
