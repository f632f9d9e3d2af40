"""Taking the content of a damaged snapshot again, from wherever the right bytes still are.

Only the digest of what is found decides, so any place may be named, and nothing is written to it.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property, partial
from typing import BinaryIO, Protocol

from nemotron.kit.documents.tree import Entry, Tree
from nemotron.kit.errors import MisuseError, NotFoundError, PathNotFoundError
from nemotron.kit.names import SCHEME
from nemotron.kit.registry import checkouts, layout, objects
from nemotron.kit.registry.mending import sync_written, take_from
from nemotron.kit.registry.records import Record
from nemotron.kit.registry.scan import scan_file, scan_folder
from nemotron.kit.registry.verify import Verification
from nemotron.kit.registry.work import Progress
from nemotron.kit.store import plain
from nemotron.kit.store.connect import open_store
from nemotron.kit.store.protocol import Store

Opener = Callable[[], BinaryIO]


class Place(Protocol):
    """Somewhere content may be."""

    def candidates(self, entry: Entry) -> Iterator[Opener]:
        """What may be the content of an entry, the likeliest first."""
        ...


class FolderPlace:
    """A folder or file of a file system: the file of the same path there, then those of the same size.

    Args:
        path: absolute.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def candidates(self, entry: Entry) -> Iterator[Opener]:
        """What may be the content of an entry."""
        first = os.path.join(self._path, entry.path)
        if os.path.isfile(first) and os.path.getsize(first) == entry.size:
            yield _opener(first)
        for path in self._by_size.get(entry.size, ()):
            if path != first:
                yield _opener(path)

    @cached_property
    def _by_size(self) -> dict[int, list[str]]:
        found: dict[int, list[str]] = {}
        if os.path.isdir(self._path):
            folder, tree = self._path, scan_folder(self._path)
        else:
            folder, tree = os.path.dirname(self._path), scan_file(self._path)
        for at in tree.unread(known=0):
            found.setdefault(tree.columns.sizes[at], []).append(f"{folder}/{tree.columns.paths[at]}")
        return found


def _opener(path: str) -> Opener:
    return lambda: open(path, "rb", opener=plain.opener)


class StorePlace:
    """The content that another store holds.

    Args:
        store: another one.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def candidates(self, entry: Entry) -> Iterator[Opener]:
        """What may be the content of an entry."""
        key = layout.blob(entry.digest or "")
        if objects.locate(self._store, key) is not None:
            yield partial(objects.open_object, self._store, key)


def repair(
    store: Store,
    record: Record,
    tree: Tree | None,
    found: Verification,
    sources: Callable[[], Sequence[Place]],
    progress: Progress | None,
) -> tuple[list[str], bool]:
    """Take again what of a snapshot is damaged or missing in the store.

    Args:
        store: of the version.
        record: the version.
        tree: its listing.
        found: what a check found.
        sources: gives the places to look at, in order.
        progress: told the bytes done and those in all.

    Returns:
        The paths of the files that are right again, and whether a checkout is to be looked at as well.

    Raises:
        MisuseError: it is a reference.
    """
    if not record.is_snapshot or tree is None:
        raise MisuseError(
            f"Cannot repair {record.uri}: it is a reference, and its data in {record.folder} is never "
            "written to. Copy the files back there, or publish it again"
        )
    lost = [file.path for file in found.files if file.place == "store"]
    taken = take_again(store, tree, lost, sources(), progress)
    if len(taken) < len(lost) or not any(file.place == "checkout" for file in found.files):
        return taken, False
    changed = [file.path for file in found.files if (file.place, file.verdict) == ("checkout", "changed")]
    checkouts.set_aside_changed(store, record, tree, changed)
    return taken, True


def places(store: Store, source: str, resolve: Callable[[str], Record]) -> list[Place]:
    """What a person means by a source: a folder or file, a store, a version of this store.

    Args:
        store: this one.
        source: a path, a URL or a reference.
        resolve: finds versions of this store.

    Raises:
        NotFoundError: it is none of these.
        MisuseError: a URL that is no store.
    """
    if "://" in source and not source.startswith((SCHEME, "file://")):
        return [StorePlace(open_store(source))]
    path = os.path.abspath(os.path.expanduser(source.removeprefix("file://")))
    found: list[Place] = []
    if not source.startswith(SCHEME) and os.path.exists(path):
        found.append(FolderPlace(path))
        if os.path.isdir(f"{path}/{layout.BLOBS}"):
            found.append(StorePlace(open_store(path)))
    try:
        record = resolve(source)
    except (NotFoundError, MisuseError) as error:
        if found:
            return found
        if source.startswith(("/", ".", "~", "file:")):
            raise PathNotFoundError(f"Nothing to repair from: no file or folder {path}") from error
        raise PathNotFoundError(
            f"Nothing to repair from: {source} is no file or folder, and no version: {error}"
        ) from error
    return found + [FolderPlace(folder) for folder in _folders(store, record)]


def _folders(store: Store, record: Record) -> Sequence[str]:
    if record.is_snapshot:
        return checkouts.laid_out(store, record)
    return [record.folder] if "://" not in record.folder and os.path.exists(record.folder) else []


def take_again(
    store: Store,
    tree: Tree,
    paths: Iterable[str],
    sources: Sequence[Place],
    progress: Progress | None = None,
) -> list[str]:
    """Put the content of some files into the store again, where it is missing or damaged.

    Args:
        store: lacks it.
        tree: the listing of the snapshot, with digests.
        paths: of the files.
        sources: where to look, in order.
        progress: told the bytes done and those in all.

    Returns:
        The paths whose content was found.
    """
    wanted = set(paths)
    entries = [entry for entry in tree.entries if entry.path in wanted and entry.digest]
    total, done, taken = sum(entry.size for entry in entries), 0, []
    written: list[str] = []
    with store.mark() as mark:
        for entry in entries:
            candidates = (opened for source in sources for opened in source.candidates(entry))
            if any(take_from(store, opened, entry, written, is_damaged=True) for opened in candidates):
                taken.append(entry.path)
            done += entry.size
            if progress is not None:
                progress(done, total)
        sync_written(store, mark, written)
    return taken
