"""What of an artifact is in a folder already.

A file is, if its bytes are known to be those of the version. That the size and the time are the same says
nothing of that: a tool may give all files one time. Where the version has a digest, what is in the folder is
compared with it, and is read no more than once while it stays as it is. Where it has none, both are read.
"""

import os
from collections.abc import Mapping, Sequence
from typing import BinaryIO

from nemotron.kit.documents.columns import Columns
from nemotron.kit.documents.digest import ALGORITHM
from nemotron.kit.documents.entry import kept_time
from nemotron.kit.documents.tree import Entry, Tree
from nemotron.kit.integrations.artifact_places import find
from nemotron.kit.integrations.fsspec import ArtifactFileSystem
from nemotron.kit.integrations.walking import Item
from nemotron.kit.registry import content
from nemotron.kit.registry.work import Progress
from nemotron.kit.store.system_errors import translate


def present(
    fs: ArtifactFileSystem,
    items: Sequence[Item],
    published: Mapping[str, Entry],
    folder: str,
    progress: Progress | None = None,
) -> set[str]:
    """Those of some files and links that are where they are to be, as `Item.to`.

    Args:
        fs: the artifact's.
        items: what is to be there.
        published: what a reference's listing says of its files.
        folder: where all of them are to be; or the name that the only one is to have.
        progress: told the bytes read and those in all, of what is compared with digests.

    Raises:
        RefusedError: what is there can't be read.
        ConflictError: it keeps changing.
        CorruptError: a snapshot's file, which it is compared with, is damaged.
    """
    found, seen, digests = set(), Columns(), dict[str, str]()
    # One file alone says nothing of the others beside it, and so is remembered alone.
    is_alone = len(items) == 1 and items[0].to == folder
    above = os.path.dirname(folder) if is_alone else folder
    for item in items:
        if item.link is not None:
            if os.path.islink(item.to) and os.readlink(item.to) == item.link:
                found.add(item.to)
        elif (info := _looked_at(item)) is None:
            continue
        elif (digest := _digest(fs, item, published)) is None:
            if _same_bytes(fs, item):
                found.add(item.to)
        else:
            inside = os.path.basename(folder) if is_alone else item.to.removeprefix(folder).lstrip(os.sep)
            mtime_ns, ctime_ns = kept_time(info.st_mtime_ns), kept_time(info.st_ctime_ns)
            seen.append_seen(inside, info.st_size, mtime_ns, info.st_mode, info.st_ino, ctime_ns)
            digests[inside] = digest
    if digests:
        tree = content.hashed(above, Tree.of_columns(seen), alone=is_alone, progress=progress)
        same = (entry.path for entry in tree.entries if entry.digest == digests[entry.path])
        found |= {os.path.join(above, path) for path in same}
    return found


def opened(path: str) -> BinaryIO:
    """A file that is there, to be read.

    Raises:
        RefusedError: it can't be.
    """
    try:
        return open(path, "rb")
    except OSError as error:
        raise translate(error, "read", path) from error


def _looked_at(item: Item) -> os.stat_result | None:
    """What is where a file is to be, if that may be the same."""
    try:
        info = os.stat(item.to)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise translate(error, "look at", item.to) from error
    return info if os.path.isfile(item.to) and info.st_size == item.size else None


def _digest(fs: ArtifactFileSystem, item: Item, published: Mapping[str, Entry]) -> str | None:
    """What the version has of a file, if files can be compared with it."""
    entry = published.get(item.inside)
    digest = entry.digest if entry else find(fs.registry, item.name).digest
    return digest if digest and digest.startswith(f"{ALGORITHM}:") else None


def _same_bytes(fs: ArtifactFileSystem, item: Item) -> bool:
    with opened(item.to) as there:
        wanted = find(fs.registry, item.name).chunks(item.name, fs)
        return all(there.read(len(chunk)) == chunk for chunk in wanted) and not there.read(1)
