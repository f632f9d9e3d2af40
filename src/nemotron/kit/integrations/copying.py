"""Copying out of an artifact into a folder: nothing is overwritten unasked, and what is there already
(`present.py`) is not copied again, so that a copy which broke off goes on. Where something turns out not to
be what was published, what this copy has put there is taken back (`arriving.py`).
"""

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from blake3 import blake3

from nemotron.kit.artifacts import drift
from nemotron.kit.documents.digest import ALGORITHM
from nemotron.kit.documents.tree import Entry
from nemotron.kit.errors import (
    CorruptError,
    DriftError,
    MisuseError,
    NotFoundError,
    PathNotFoundError,
)
from nemotron.kit.integrations import copy_refusals
from nemotron.kit.integrations.arriving import Arrivals
from nemotron.kit.integrations.artifact_places import find
from nemotron.kit.integrations.fsspec import ArtifactFileSystem
from nemotron.kit.integrations.place import Place
from nemotron.kit.integrations.present import opened, present
from nemotron.kit.integrations.walking import Item, Walk
from nemotron.kit.registry.flags import check_flags
from nemotron.kit.registry.parallel import Stopped
from nemotron.kit.registry.records import Copied
from nemotron.kit.registry.registry import Registry
from nemotron.kit.registry.scan import METADATA_FILE, METADATA_SIZE_MAX, kit_metadata
from nemotron.kit.workers import Workers

# Files of a bucket that are fetched at the same time.
FAR_AT_ONCE = 16

Progress = Callable[[int, int], object]


def copy_out(
    registry: Registry, ref: str, to: str, *, force: bool = False, progress: Progress | None = None
) -> Copied:
    """Copy a file, or all that is in a folder, out of an artifact.

    The record that the kit keeps beside an artifact's files is copied along, and not counted: it is no
    content. It is where it replaces, by `force`, what is no record of the same artifact.

    Links that lead out of what is copied are left out, and told (`Copied.left_out`).

    Args:
        registry: where the artifact is.
        ref: the artifact, or something inside it.
        to: for a file its new name, or a folder to put it into; for a folder the one that its content goes
            into, which is made.
        force: replace files that differ.
        progress: told the bytes done and those in all; before, of what is there and compared with digests.

    Raises:
        NotFoundError: there is no such artifact or path.
        MisuseError: `to` is no path, or the place that the artifact refers to or in it, or a file is where a
            folder must be.
        ConflictError: files there differ, and `force` is not set; nothing was copied.
        DriftError: a file is not what was published; nothing was copied, and what was there is as it was. Or
            files are missing, and what is there was copied. A snapshot's: `CorruptError`.
        RefusedError, DiskFullError: it could not be written; what was copied before stays.
    """
    check_flags(force=force)
    copy_refusals.refuse_no_path(to)
    fs = ArtifactFileSystem.over(registry)
    place = _place(registry, ref, file_alone=True)
    drift.look(registry, place.record)
    name = place.uri.removeprefix("art://")
    is_folder = not place.inside or fs.isdir(name)
    target = _target(to, None if is_folder else place.inside.rpartition("/")[2])
    copy_refusals.refuse_onto_itself(place, target)
    copy_refusals.refuse_into_itself(place, [target if is_folder else os.path.dirname(target)])
    walk = Walk(fs, place, target)
    items = list((walk.below if is_folder else walk.single)(name, place.inside, target))
    copy_refusals.refuse_into_itself(place, [*(os.path.dirname(item.to) for item in items), *walk.empty])
    record = next((item for item in items if is_folder and _is_record(fs, item)), None)
    content = [item for item in items if item is not record]
    # Of a snapshot nothing can be missing or changed unseen: it is read by this very listing.
    tree = None if place.record.is_snapshot else registry.tree(place.record)
    published = {entry.path: entry for entry in tree.entries} if tree else {}
    copy_refusals.refuse_changed(place, content, published)
    there = present(fs, content, published, target, progress)
    missing = [item for item in content if item.to not in there]
    skipped = [item for item in content if item.to in there]
    if record is not None and present(fs, [record], {}, record.to):
        record = None
    elif record is not None and os.path.lexists(record.to) and not _is_older_record(fs, record):
        missing.append(record)  # in the place of somebody's own file, so it is told like any other
        record = None
    copy_refusals.refuse_links_through_links(place, missing, target)
    copy_refusals.refuse_to_overwrite(place, missing, force)
    meter = _Meter(progress, sum(item.size for item in missing))
    folders = dict.fromkeys([target, *walk.empty]) if is_folder else {}
    _Copying(fs, place, published, meter).copy(missing, folders, record)
    if is_folder:
        found = {item.inside for item in items}
        copy_refusals.refuse_gaps(
            place, [path for path, entry in published.items() if entry.is_file and path not in found]
        )
    files, links = _counted(missing)
    return Copied(
        place.uri, target, files, links, meter.done, *_counted(skipped), tuple(sorted(walk.left_out))
    )


def _target(to: str, name: str | None) -> str:
    """Where a copy goes, absolute.

    Args:
        to: as it was said.
        name: of a file, which goes by it into a folder; None for a folder.
    """
    target = os.path.abspath(os.path.expanduser(to))
    if name is not None and (os.path.isdir(target) or to.endswith("/")):
        return os.path.join(target, name)
    return target


def _counted(items: Sequence[Item]) -> tuple[int, int]:
    """How many of them are files, and how many links."""
    links = sum(item.link is not None for item in items)
    return len(items) - links, links


def _is_record(fs: ArtifactFileSystem, item: Item) -> bool:
    """Whether it is what the kit keeps beside the files; by the same signs as when they are published."""
    if item.inside != METADATA_FILE or item.link is not None or item.size > METADATA_SIZE_MAX:
        return False
    return _record(fs, item) is not None


def _record(fs: ArtifactFileSystem, item: Item) -> dict[str, Any] | None:
    return kit_metadata(b"".join(find(fs.registry, item.name).chunks(item.name, fs)))


def _is_older_record(fs: ArtifactFileSystem, item: Item) -> bool:
    """Whether the record there came with another version of the same artifact, by a copy."""
    if not os.path.isfile(item.to) or os.path.getsize(item.to) > METADATA_SIZE_MAX:
        return False
    with opened(item.to) as file:
        there = kit_metadata(file.read())
    new = _record(fs, item)
    if there is None or new is None or _artifact(there) is None or _artifact(there) != _artifact(new):
        return False
    # What was saved there itself, under whatever name, is somebody's own.
    return not f"{there['path']}/".startswith(f"{os.path.dirname(item.to)}/")


def _artifact(record: Mapping[str, Any]) -> str | None:
    tracking = record["tracking"]
    known = tracking.get("artifact_id") if isinstance(tracking, dict) else None
    return known.rpartition(":")[0] if isinstance(known, str) else None


def _place(registry: Registry, ref: str, *, file_alone: bool) -> Place:
    """What a reference means; for an artifact that is a file, the file.

    Args:
        registry: where it is.
        ref: the reference.
        file_alone: only where there is nothing around the file (not for a `blend.json` and its shards).
    """
    place = find(registry, ref)
    content = place.record.manifest.content
    if place.inside or not content or not content.entry or (file_alone and content.scope != "file"):
        return place
    return place.below(content.entry)


class _Copying:
    """One copy: all of it comes, or nothing, where something is not what was published.

    What breaks off for another reason leaves what is whole, so that it goes on.
    """

    def __init__(
        self, fs: ArtifactFileSystem, place: Place, published: Mapping[str, Entry], meter: "_Meter"
    ) -> None:
        self._fs, self._version, self._published, self._meter = fs, place.record, published, meter
        self._arrivals = Arrivals()

    def copy(self, items: Sequence[Item], folders: Mapping[str, None], record: Item | None) -> None:
        """Copy files, then links, so that nothing is written through one; then the record of all that."""
        arrivals = self._arrivals
        far = self._version.is_snapshot and self._fs.registry.store.at_once > 1
        try:
            for folder in dict.fromkeys([*folders, *(os.path.dirname(item.to) for item in items)]):
                arrivals.make(folder)
            files = [item for item in items if item.link is None]
            _do(
                lambda item: _copy(self, item),
                files,
                self._meter,
                at_once=FAR_AT_ONCE if far else 1,
            )
            arrivals.finish()
        except (DriftError, CorruptError, MisuseError):
            arrivals.take_back()
            raise
        except BaseException:
            arrivals.finish()
            raise
        for item in items:
            if item.link is not None:
                arrivals.link(item.to, item.link)
        if record is not None:
            self.write(record, counted=False)
            arrivals.finish()

    def write(self, item: Item, *, counted: bool = True) -> None:
        """Copy a file; one that is not counted is no content, and may change.

        Raises:
            DriftError, CorruptError: it is not what was published.
        """
        published = self._published.get(item.inside)
        hasher, size = blake3(), 0
        digest = published.digest if published else None
        expected = published.size if published and digest else item.size

        def seen(piece: memoryview) -> None:
            nonlocal size
            hasher.update(piece)
            size += len(piece)
            if counted:
                self._meter.add(len(piece))

        with self._arrivals.file(item.to, replaces=os.path.lexists(item.to), mtime=item.mtime) as file:
            try:
                find(self._fs.registry, item.name).copy(item.name, self._fs, file, seen)
            except NotFoundError as error:
                raise PathNotFoundError(
                    f"{error}. It was there when the copy began; what was copied by then stays. "
                    f"{copy_refusals.way_out(self._version)}"
                ) from error
            found = f"{ALGORITHM}:{hasher.hexdigest()}"
            changed = digest is not None and digest.startswith(f"{ALGORITHM}:") and digest != found
            if counted and (size != expected or changed):
                said = (
                    f"art://{item.name} is not what was published: {size:,} bytes with the digest {found}, "
                    f"expected {expected:,}{f' with {digest}' if digest else ''}"
                )
                if self._version.is_snapshot:
                    raise CorruptError(f"{said}. Nothing was copied")
                raise DriftError(f"{said}. {copy_refusals.instead(self._version)}")


def _copy(copying: _Copying, item: Item) -> None:
    copying.write(item)


def _do(copy: Callable[[Item], object], items: Sequence[Item], meter: "_Meter", at_once: int) -> None:
    """Copy files one after another, or several at the same time where each is waited for."""
    if at_once == 1:
        for item in items:
            copy(item)
        return
    with Workers(at_once, "kit-copy") as pool:
        copying = [pool.submit(copy, item) for item in items]
        try:
            for future in copying:
                future.result()
        except BaseException:  # an interrupt among them: what runs stops at its next piece
            meter.stopped = True
            for future in copying:
                future.cancel()
            raise


class _Meter:
    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress, self._total, self.done = progress, total, 0
        self._lock = threading.Lock()
        self.stopped = False

    def add(self, count: int) -> None:
        if self.stopped:
            raise Stopped
        with self._lock:
            self.done += count
            if self._progress is not None:
                self._progress(self.done, self._total)


def chunks(registry: Registry, ref: str) -> Iterator[bytes]:
    """The bytes of a file in an artifact, or of the file that the artifact is, in pieces.

    Raises:
        NotFoundError: there is no such artifact or file.
        FolderError: it is a folder.
    """
    place = _place(registry, ref, file_alone=False)
    drift.look(registry, place.record)
    fs = ArtifactFileSystem.over(registry)
    yield from place.chunks(place.uri.removeprefix("art://"), fs)
