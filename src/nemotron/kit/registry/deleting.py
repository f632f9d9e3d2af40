"""Deleting data that lies outside the store, with the version that refers to it.

The kit never deletes what it did not write, unless somebody names the very path. Then it deletes the files
that the version lists, and nothing else that lies there.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass

from nemotron.kit.documents.tree import Tree
from nemotron.kit.errors import (
    ArtifactVersionNotFoundError,
    CorruptError,
    MisuseError,
    RefusedError,
    WithdrawnError,
)
from nemotron.kit.names import SCHEME, ArtifactRef, Version
from nemotron.kit.registry import census
from nemotron.kit.registry.findings import some
from nemotron.kit.registry.records import Record
from nemotron.kit.registry.registry import Registry
from nemotron.kit.registry.scan import METADATA_FILE, is_kit_metadata
from nemotron.kit.registry.versions import Versions
from nemotron.kit.registry.work import Progress
from nemotron.kit.store.system_errors import translating


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """What is to be deleted.

    Attributes:
        record: the version.
        is_withdrawn: whether it is withdrawn already.
        path: where its data lies.
        files: all that is deleted, absolute.
        folders: those that it was published with, absolute, the deepest first; what is empty then goes.
        size: bytes of them.
        seen: what each was when it was looked at: inode, size, time of the last change.
        kept: other files that lie there, and stay; relative.
    """

    record: Record
    is_withdrawn: bool
    path: str
    files: tuple[str, ...]
    folders: tuple[str, ...]
    size: int
    seen: tuple[tuple[int, int, int], ...]
    kept: tuple[str, ...]

    def carry_out(self) -> None:
        """Delete the files, and of the folders around them those that are empty then.

        Raises:
            RefusedError: one of them may not be deleted, or is another than was looked at (somebody was
                asked in between); the others before it are deleted.
        """
        for path, seen in zip(self.files, self.seen, strict=True):
            with translating("delete", path):
                try:
                    if _seen(path) != seen:
                        raise RefusedError(f"Refused to delete {path}: it changed since it was looked at")
                    os.unlink(path)
                except FileNotFoundError:
                    continue
        for folder in self.folders:
            with translating("delete", folder):
                try:
                    if not os.path.islink(folder) and not os.listdir(folder):
                        os.rmdir(folder)
                except FileNotFoundError:
                    continue


def plan(registry: Registry, ref: str | ArtifactRef, path: str, progress: Progress | None = None) -> Deletion:
    """See what there is to delete of a version's data, and that nobody else needs it. Nothing is changed.

    Args:
        registry: the store.
        ref: the version; it may be withdrawn already.
        path: where its data lies: as it was recorded, or where a remap says that it is now.
        progress: told how many versions were looked at, and of how many.

    Raises:
        NotFoundError: there is no such version.
        MisuseError: the path is another one, or the version is none that data can be deleted of.
        RefusedError: another version needs some of it, or the files are not those that were published.
        CorruptError: a version can't be read, so that what it needs is not known.
    """
    record, is_withdrawn = _find(registry, ref)
    target = _target(registry, record, path)
    _refuse_what_others_need(registry, record, target, progress)
    tree = registry.tree(record)
    if tree is None:
        raise MisuseError(f"Cannot delete the data of {record.uri}: no listing of its files was recorded")
    found = registry.check(record)
    # Another time may be another file of the same size. What a digest has settled is not among these.
    changed = [item.path for item in found if item.verdict in ("changed", "touched")]
    if changed:
        could_tell = {entry.path for entry in tree.entries if entry.digest}
        is_unread = any(item.verdict == "touched" and item.path in could_tell for item in found)
        uri = record.uri.removeprefix(SCHEME)
        verify = f"See whether the bytes did: `nemotron kit verify {uri}`, which is remembered, or delete"
        raise RefusedError(
            f"Refused to delete the data of {record.uri}: {some(changed)} in {record.folder} changed since "
            f"it was published, and may be somebody's by now. {verify if is_unread else 'Delete'} it by hand"
        )
    listed = [entry.path for entry in tree.entries if entry.kind != "dir"]
    files = list(_inside(record.folder, listed))
    companion = f"{record.folder}/{METADATA_FILE}"
    if record.scope != "file" and METADATA_FILE not in listed and is_kit_metadata(companion):
        files.append(companion)
    extra = [difference.path for difference in found if difference.verdict == "extra"]
    stay = sorted(
        {*extra, *(p for p in listed if os.path.lexists(f"{record.folder}/{p}"))} - _relative(record, files)
    )
    seen = tuple(map(_seen, files))
    return Deletion(
        record=record,
        is_withdrawn=is_withdrawn,
        path=target,
        files=tuple(files),
        folders=tuple(_folders(record, tree)),
        size=sum(size for _, size, _ in seen),
        seen=seen,
        kept=tuple(stay),
    )


def _seen(path: str) -> tuple[int, int, int]:
    info = os.lstat(path)
    return info.st_ino, info.st_size, info.st_mtime_ns


def _find(registry: Registry, ref: str | ArtifactRef) -> tuple[Record, bool]:
    ref = ArtifactRef.parse(ref)
    if ref.selector is None or ref.inside:
        raise MisuseError(f"Say which version's data to delete: {ref.name}:vN, found {ref}")
    try:
        return registry.resolve(ref), False
    except WithdrawnError:
        if not isinstance(ref.selector, Version):
            raise
        manifest = Versions(registry.store).read(ref.name.key, ref.selector.number)
        if manifest is None:
            raise ArtifactVersionNotFoundError(ref.name.key, str(ref.selector)) from None
        return registry.record(manifest), True


def _target(registry: Registry, record: Record, path: str) -> str:
    """The path that is named, once it is known to be the version's own, and the user's to delete."""
    if record.is_snapshot:
        raise MisuseError(f"{record.uri} is a snapshot: its contents are in the store, and gc frees them")
    if record.is_at_url:
        raise MisuseError(f"Cannot delete {record.path}: only local data is deleted")
    named = os.path.abspath(os.path.expanduser(path))
    if named != os.path.abspath(record.path):
        raise MisuseError(f"The data of {record.uri} lies at {record.path}; --delete-data names {named}")
    target = record.path if record.scope == "file" else record.folder
    if "://" not in registry.root and _overlap(target, registry.root):
        raise RefusedError(f"Refused to delete {target}: it lies in the store {registry.root}, or around it")
    return target


def _refuse_what_others_need(
    registry: Registry, record: Record, target: str, progress: Progress | None
) -> None:
    seen = census.take(registry.store, progress)
    for manifest in seen.living:
        # Where it lies by a remap, and where it was recorded: a remap can be taken back, or be a mistake.
        for other in (registry.record(manifest), Record(manifest, registry.root)):
            place = other.path if other.scope == "file" else other.folder
            if (other.name, other.version) == (record.name, record.version) or "://" in place:
                continue
            if not other.is_snapshot and _overlap(target, place):
                raise RefusedError(
                    f"Refused to delete {target}: {other.uri} refers to {place}. "
                    "If it may go, withdraw it first"
                )
    if seen.damaged:
        raise CorruptError(
            f"Refused to delete {target}: {next(iter(seen.damaged.values()))}. It may need some of it"
        )


def _overlap(one: str, other: str) -> bool:
    """Whether one of two paths is the other, or lies in it."""
    first, second = (os.path.realpath(path).rstrip("/") + "/" for path in (one, other))
    return first.startswith(second) or second.startswith(first)


def _inside(folder: str, paths: list[str]) -> Iterator[str]:
    """The files that are there, and really in the folder: not behind a link that leads out of it."""
    top = os.path.realpath(folder)
    for path in paths:
        file = f"{folder}/{path}"
        if os.path.lexists(file) and f"{os.path.realpath(os.path.dirname(file))}/".startswith(f"{top}/"):
            yield file


def _folders(record: Record, tree: Tree) -> Iterator[str]:
    """The folders that a version was published with, the deepest first, its own last."""
    if record.scope == "file":
        return
    found = {entry.path for entry in tree.entries if entry.kind == "dir"}
    for entry in tree.entries:
        path = entry.path
        while path := path.rpartition("/")[0]:
            found.add(path)
    yield from _inside(record.folder, sorted(found, key=lambda path: path.count("/"), reverse=True))
    yield record.folder


def _relative(record: Record, files: list[str]) -> set[str]:
    return {file[len(record.folder) + 1 :] for file in files}
