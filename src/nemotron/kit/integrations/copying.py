"""Copying out of an artifact into a folder: nothing is overwritten unasked, and what is there already is not
copied again, so that a copy which broke off goes on.

Each file is written under a temporary name and then renamed: a file that has its name is whole. Only a copy
that is killed leaves a temporary file behind (`.….kit-part`).
"""

import os
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from blake3 import blake3

from nemotron.kit.artifacts import drift
from nemotron.kit.documents.digest import ALGORITHM
from nemotron.kit.documents.tree import Entry
from nemotron.kit.errors import (
    ConflictError,
    CorruptError,
    DriftError,
    KitError,
    MisuseError,
    OutsideRootError,
    RefusedError,
)
from nemotron.kit.integrations.artifact_places import find
from nemotron.kit.integrations.fsspec import ArtifactFileSystem
from nemotron.kit.integrations.place import Place
from nemotron.kit.names import normalise_inside
from nemotron.kit.registry.flags import check_flags
from nemotron.kit.registry.parallel import Stopped
from nemotron.kit.registry.records import Copied, Record
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store.system_errors import translate
from nemotron.kit.workers import Workers

NAMED_MAX = 5
PART = ".kit-part"
# Files of a bucket that are fetched at the same time.
FAR_AT_ONCE = 16
# A folder that is deep enough for no link of an artifact to get above it unseen.
_ANYWHERE = "/artifact/folder"

Progress = Callable[[int, int], object]


@dataclass(frozen=True, slots=True)
class _Item:
    name: str
    inside: str
    to: str
    size: int = 0
    mtime: float = 0.0
    link: str | None = None


def copy_out(
    registry: Registry, ref: str, to: str, *, force: bool = False, progress: Progress | None = None
) -> Copied:
    """Copy a file, or all that is in a folder, out of an artifact.

    Args:
        registry: where the artifact is.
        ref: the artifact, or something inside it.
        to: for a file its new name, or a folder to put it into; for a folder the one that its content goes
            into, which is made.
        force: replace files that differ.
        progress: told the bytes done and those in all.

    Raises:
        NotFoundError: there is no such artifact or path.
        ConflictError: files there differ, and `force` is not set; nothing was copied.
        DriftError: a file is not what was published, and was not given its name; or files are missing, and
            what is there was copied. A snapshot's: `CorruptError`.
        RefusedError, DiskFullError: it could not be written; what was copied before stays.
    """
    check_flags(force=force)
    fs = ArtifactFileSystem.over(registry)
    place = _place(registry, ref, file_alone=True)
    drift.look(registry, place.record)
    name = place.uri.removeprefix("art://")
    target = os.path.abspath(os.path.expanduser(to))
    is_folder = not place.inside or fs.isdir(name)
    if not is_folder and (os.path.isdir(target) or to.endswith("/")):
        target = os.path.join(target, place.inside.rpartition("/")[2])
    empty: list[str] = []
    if is_folder:
        walk = _Walk(fs, place, target)
        items, empty = list(walk.below(name, place.inside, target)), walk.empty
    else:
        items = list(_single(fs, name, place.inside, target))
    missing = [item for item in items if not _is_there(fs, item)]
    differ = [item for item in missing if os.path.lexists(item.to)]
    if differ and not force:
        named = ", ".join(item.to for item in differ[:NAMED_MAX])
        more = f" and {len(differ) - NAMED_MAX} more" if len(differ) > NAMED_MAX else ""
        raise ConflictError(
            f"Not overwritten: {named}{more} {'differs' if len(differ) == 1 else 'differ'} from {place.uri}; "
            f"nothing was copied. To replace {'it' if len(differ) == 1 else 'them'} use --force"
        )
    # Of a snapshot nothing can be missing or changed unseen: it is read by this very listing.
    tree = None if place.record.is_snapshot else registry.tree(place.record)
    published = {entry.path: entry for entry in tree.entries} if tree else {}
    meter = _Meter(progress, sum(item.size for item in missing))
    if is_folder:
        for folder in (target, *empty):
            _make(folder)
    far = place.record.is_snapshot and registry.store.at_once > 1
    _do(
        lambda item: _copy(fs, item, published.get(item.inside), meter, place.record),
        [item for item in missing if item.link is None],
        meter,
        at_once=FAR_AT_ONCE if far else 1,
    )
    for item in missing:
        if item.link is not None:  # last: nothing is written through a link
            _make_link(item)
    if is_folder:
        found = {item.inside for item in items}
        _refuse_gaps(
            place, [path for path, entry in published.items() if entry.is_file and path not in found]
        )
    return Copied(place.uri, target, len(missing), meter.done, len(items) - len(missing))


def _refuse_gaps(place: Place, absent: list[str]) -> None:
    """Let nobody take what was copied for all that was published."""
    below = f"{place.inside}/" if place.inside else ""
    gaps = [path for path in absent if path.startswith(below)]
    if gaps:
        more = f" and {len(gaps) - NAMED_MAX:,} more" if len(gaps) > NAMED_MAX else ""
        raise DriftError(
            f"{place.uri} is not complete: {', '.join(gaps[:NAMED_MAX])}{more} "
            f"{'is' if len(gaps) == 1 else 'are'} missing. What is there was copied"
        )


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


def _single(fs: ArtifactFileSystem, name: str, inside: str, to: str) -> Iterator[_Item]:
    info = fs.info(name)
    yield _Item(name, inside, to, info["size"], info["mtime"])


class _Walk:
    """All files of a folder. What can't be copied is refused before anything is.

    A link whose target is copied too, or is nowhere, is copied as a link, where there can be links; one that
    leads to another place in the artifact is copied as what is there.
    """

    def __init__(self, fs: ArtifactFileSystem, place: Place, target: str) -> None:
        self._fs, self._top, self._target = fs, place.inside, target
        self._whole = place.record.uri.removeprefix("art://")
        # Folders to make that hold nothing, of what was walked.
        self.empty: list[str] = []

    @cached_property
    def _holds_links(self) -> bool:
        folder = self._target
        while not os.path.isdir(folder):
            folder = os.path.dirname(folder)
        probe = os.path.join(folder, f".{secrets.token_hex(8)}{PART}")
        try:
            os.symlink("nowhere", probe)
            os.unlink(probe)
        except OSError:
            return False
        return True

    def below(self, name: str, inside: str, to: str) -> Iterator[_Item]:
        found = self._fs.ls(name, detail=True)
        if not found:
            self.empty.append(to)
        for info in found:
            child = info["name"].rpartition("/")[2]
            if child in ("", ".", "..") or "\x00" in child or os.sep in child:
                raise OutsideRootError(f"art://{name} holds a file named {child!r}, which no folder can")
            _check_name(name, child)
            below, target = f"{inside}/{child}" if inside else child, os.path.join(to, child)
            if (info["islink"] or info["type"] == "link") and (link := self._link(info, below)):
                yield _Item(info["name"], below, target, link=link)
            elif info["type"] == "directory":
                yield from self.below(info["name"], below, target)
            elif info["type"] == "file":
                yield _Item(info["name"], below, target, info["size"], info["mtime"])
            else:
                raise _not_copied(find(self._fs.registry, info["name"]), info)

    def _link(self, info: dict[str, Any], inside: str) -> str | None:
        """What to write into the copy of a link; None if it is to be copied as what it leads to."""
        link = find(self._fs.registry, info["name"]).link() if self._holds_links else None
        if link is None:
            return None
        leads_to = os.path.normpath(f"{_ANYWHERE}/{os.path.dirname(inside)}/{link}")
        if not f"{leads_to}/".startswith(f"{os.path.normpath(f'{_ANYWHERE}/{self._top}')}/"):
            return None
        there = leads_to.removeprefix(_ANYWHERE)
        return link if info["type"] == "link" or self._fs.exists(f"{self._whole}{there}") else None


def _check_name(name: str, child: str) -> None:
    """Refuse what no reference can name, before anything is copied."""
    try:
        normalise_inside(child)
    except OutsideRootError as error:
        raise RefusedError(
            f"Nothing was copied: art://{name} holds a file that no reference can name, {child!r}. "
            "`nemotron kit resolve` tells the folder; copy it from there"
        ) from error


def _not_copied(place: Place, info: dict[str, Any]) -> KitError:
    link, name = place.link(), f"art://{info['name']}"
    if info["type"] != "link":
        what = "is neither a file nor a folder"
    elif link is None:
        what = "is a link that leaves it"
    else:
        what = f"is a link that leads to nothing ({link}), or out of what is copied"
    kind = OutsideRootError if info["type"] == "link" else RefusedError
    return kind(f"Nothing was copied: {name} {what}. Copy what is beside it by name")


def _is_there(fs: ArtifactFileSystem, item: _Item) -> bool:
    """Whether the target is the same file already: by size and time, else by its bytes."""
    if item.link is not None:
        return os.path.islink(item.to) and os.readlink(item.to) == item.link
    try:
        info = os.stat(item.to)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise translate(error, "look at", item.to) from error
    if not os.path.isfile(item.to) or info.st_size != item.size:
        return False
    return abs(info.st_mtime - item.mtime) < 1e-6 or _same_bytes(fs, item)


def _same_bytes(fs: ArtifactFileSystem, item: _Item) -> bool:
    with open(item.to, "rb") as other:
        return all(
            other.read(len(chunk)) == chunk for chunk in find(fs.registry, item.name).chunks(item.name, fs)
        )


def _copy(
    fs: ArtifactFileSystem, item: _Item, published: Entry | None, meter: "_Meter", record: Record
) -> None:
    folder, name = os.path.split(item.to)
    if os.path.isdir(item.to):
        raise ConflictError(f"{item.to} is a folder, and art://{item.name} is a file; move one of them")
    _make(folder)
    part = os.path.join(folder, f".{name[:100]}.{secrets.token_hex(4)}{PART}")
    hasher, size = blake3(), 0
    digest = published.digest if published else None
    expected = published.size if published and digest else item.size
    try:
        try:
            with open(part, "xb") as file:
                for chunk in find(fs.registry, item.name).chunks(item.name, fs):
                    file.write(chunk)
                    hasher.update(chunk)
                    size += len(chunk)
                    meter.add(len(chunk))
            found = f"{ALGORITHM}:{hasher.hexdigest()}"
            if size != expected or (digest and digest.startswith(f"{ALGORITHM}:") and digest != found):
                raise (CorruptError if record.is_snapshot else DriftError)(
                    f"art://{item.name} is not what was published: {size:,} bytes with the digest {found}, "
                    f"expected {expected:,}{f' with {digest}' if digest else ''}. It was not copied"
                )
            os.utime(part, (item.mtime, item.mtime))
            os.replace(part, item.to)
        except OSError as error:
            raise translate(error, "write", item.to) from error
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(part)
        raise


def _make_link(item: _Item) -> None:
    folder, name = os.path.split(item.to)
    _make(folder)
    part = os.path.join(folder, f".{name[:100]}.{secrets.token_hex(4)}{PART}")
    if os.path.isdir(item.to) and not os.path.islink(item.to):
        raise ConflictError(f"{item.to} is a folder, and art://{item.name} is a link; move one of them")
    try:
        os.symlink(item.link or "", part)
        os.replace(part, item.to)
    except OSError as error:
        raise translate(error, "write", item.to) from error
    finally:
        with suppress(FileNotFoundError):
            os.unlink(part)


def _do(copy: Callable[[_Item], object], items: Sequence[_Item], meter: "_Meter", at_once: int) -> None:
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


def _make(folder: str) -> None:
    try:
        os.makedirs(folder, exist_ok=True)
    except FileExistsError as error:
        raise MisuseError(f"Cannot copy into {folder}: it is a file, or something above it is") from error
    except NotADirectoryError as error:
        raise MisuseError(f"Cannot copy into {folder}: something above it is a file") from error
    except OSError as error:
        raise translate(error, "make the folder", folder) from error


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
