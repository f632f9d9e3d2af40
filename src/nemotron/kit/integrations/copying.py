"""Copying out of an artifact into a folder: nothing is overwritten unasked, and what is there already is not
copied again, so that a copy which broke off goes on.

Each file is written under a temporary name and then renamed: a file that has its name is whole. Only a copy
that is killed leaves a temporary file behind (`.….kit-part`).
"""

import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from blake3 import blake3

from nemotron.kit.artifacts import drift
from nemotron.kit.documents.digest import ALGORITHM
from nemotron.kit.documents.tree import Entry
from nemotron.kit.errors import ConflictError, CorruptError, DriftError, MisuseError, OutsideRootError
from nemotron.kit.integrations.artifact_places import Place, find
from nemotron.kit.integrations.fsspec import ArtifactFileSystem
from nemotron.kit.registry.records import Copied, Record
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store.system_errors import translate

CHUNK_BYTES = 4 << 20
NAMED_MAX = 5
PART = ".kit-part"

Progress = Callable[[int, int], object]


@dataclass(frozen=True, slots=True)
class _Item:
    name: str
    inside: str
    to: str
    size: int
    mtime: float


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
    fs = ArtifactFileSystem.over(registry)
    place = _place(registry, ref, file_alone=True)
    drift.look(registry, place.record)
    name = place.uri.removeprefix("art://")
    target = os.path.abspath(os.path.expanduser(to))
    is_folder = not place.inside or fs.isdir(name)
    if not is_folder and (os.path.isdir(target) or to.endswith("/")):
        target = os.path.join(target, place.inside.rpartition("/")[2])
    items = list(
        _below(fs, name, place.inside, target) if is_folder else _single(fs, name, place.inside, target)
    )
    missing = [item for item in items if not _is_there(fs, item)]
    differ = [item for item in missing if os.path.lexists(item.to)]
    if differ and not force:
        named = ", ".join(item.to for item in differ[:NAMED_MAX])
        more = f" and {len(differ) - NAMED_MAX} more" if len(differ) > NAMED_MAX else ""
        raise ConflictError(
            f"Not overwritten: {named}{more} {'differs' if len(differ) == 1 else 'differ'} from {place.uri}; "
            f"nothing was copied. To replace {'it' if len(differ) == 1 else 'them'} use --force"
        )
    tree = registry.tree(place.record)
    published = {entry.path: entry for entry in tree.entries} if tree else {}
    meter = _Meter(progress, sum(item.size for item in missing))
    if is_folder:
        _make(target)
    for item in missing:
        _copy(fs, item, published.get(item.inside), meter, place.record)
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
        raise (CorruptError if place.record.is_snapshot else DriftError)(
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


def _below(fs: ArtifactFileSystem, name: str, inside: str, to: str) -> Iterator[_Item]:
    """All files of a folder. What can't be copied is refused before anything is."""
    for info in fs.ls(name, detail=True):
        child = info["name"].rpartition("/")[2]
        if child in ("", ".", "..") or "\x00" in child or os.sep in child:
            raise OutsideRootError(f"art://{name} holds a file named {child!r}, which no folder can")
        below, target = f"{inside}/{child}" if inside else child, os.path.join(to, child)
        if info["type"] == "directory":
            yield from _below(fs, info["name"], below, target)
        elif info["type"] == "file":
            yield _Item(info["name"], below, target, info["size"], info["mtime"])
        else:
            raise OutsideRootError(
                f"art://{info['name']} is a link that leaves the artifact, or no plain file; copy what is "
                "beside it by name"
            )


def _is_there(fs: ArtifactFileSystem, item: _Item) -> bool:
    """Whether the target is the same file already: by size and time, else by its bytes."""
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
    with fs.open(item.name, "rb") as one, open(item.to, "rb") as other:
        while chunk := one.read(CHUNK_BYTES):
            if other.read(len(chunk)) != chunk:
                return False
    return True


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
            with fs.open(item.name, "rb") as source, open(part, "xb") as file:
                while chunk := source.read(CHUNK_BYTES):
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

    def add(self, count: int) -> None:
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
    with place.open(place.uri.removeprefix("art://"), fs) as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
