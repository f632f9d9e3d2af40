"""Giving versions of older tools what versions of this format have: a listing of their files.

Each gets a manifest beside, `.kit/adopted/<name>/v<N>.json`, and nothing is written into `vN/`. What the
older tool said stays as it was said. See `docs/design/011-older-stores.md`.
"""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from nemotron.kit.documents.manifest import MANIFEST_FORMAT, Content, Evidence, Manifest
from nemotron.kit.documents.tree import Tree
from nemotron.kit.errors import (
    ConflictError,
    CorruptError,
    FormatTooNewError,
    KitError,
    PathNotFoundError,
    RefusedError,
    UnavailableError,
)
from nemotron.kit.registry import changes, layout, stamps
from nemotron.kit.registry.content import hashed
from nemotron.kit.registry.differences import Difference
from nemotron.kit.registry.flags import check_flags
from nemotron.kit.registry.founding import prepare
from nemotron.kit.registry.publishing import gather, within
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.registry.resolved import folder_of
from nemotron.kit.registry.scan import METADATA_FILE, is_kit_metadata
from nemotron.kit.registry.trees import create_listing, read_tree, with_tree
from nemotron.kit.registry.versions import Versions
from nemotron.kit.registry.work import Progress
from nemotron.kit.store import plain

Status = Literal["adopted", "already", "skipped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """What became of one number that an older tool took.

    Attributes:
        uri: the version.
        status: `adopted`; `already`, it was before; or `skipped`, it stays as it is.
        why: the reason for skipping it; or which files have no digest, though digests were asked for.
        evidence: how closely its files were looked at, if they were.
        files: number of files.
        size: bytes of all files.
    """

    uri: str
    status: Status
    why: str | None = None
    evidence: Evidence | None = None
    files: int | None = None
    size: int | None = None


def adopt(
    registry: Registry, *, full: bool = False, dry_run: bool = False, progress: Progress | None = None
) -> list[Adoption]:
    """Adopt every version of older tools whose data can be looked at.

    It may be stopped at any time and run again: what is done is done. Two that run at once share the work.

    Args:
        registry: the store.
        full: read every byte for digests, of versions that were adopted without as well: there of the
            files whose size and time are those that were adopted. The others are told in `why`.
        dry_run: say what would be done; nothing is written, and no bytes are read.
        progress: with `full` told the bytes of the version at hand, else how many versions are done.

    Returns:
        One for each number, by name and number; of numbers that are no versions too, with the reason.

    Raises:
        RefusedError: the root can't be written to.
        UnavailableError: the store can't be reached, or the disk is full.

    >>> import tempfile
    >>> from pathlib import Path
    >>> root = Path(tempfile.mkdtemp())
    >>> (root / "data/v1").mkdir(parents=True)
    >>> _ = (root / "data/v1/part.txt").write_text("hello")
    >>> _ = (root / ".art_index.json").write_text('{"data": {"versions": [{"version": 1, "path": "x"}]}}')
    >>> [(one.uri, one.status, one.files) for one in adopt(Registry.open(root))]
    [('art://data:v1', 'adopted', 1)]
    """
    check_flags(full=full, dry_run=dry_run)
    versions = Versions(registry.store)  # its own, which has nothing remembered
    if not versions.older.present:
        return []
    if not dry_run:
        prepare(registry.store)
    adopting = _Adopting(registry, versions, full, dry_run, progress if full else None)
    numbers = [(name, n) for name in versions.names() for n in sorted(versions.older.numbers(name))]
    found: list[Adoption] = []
    for done, (name, number) in enumerate(numbers):
        if progress is not None and not full:
            progress(done, len(numbers))
        found += adopting.one(name, number)
    return found


@dataclass(frozen=True, slots=True)
class _Look:
    """The files of a version: its listing, why some have no digest, and whether that says anything new."""

    content: Content
    tree: Tree
    why: str | None = None
    is_new: bool = True


class _Adopting:
    def __init__(
        self, registry: Registry, versions: Versions, full: bool, dry_run: bool, progress: Progress | None
    ) -> None:
        self._registry, self._store, self._versions = registry, registry.store, versions
        self._full, self._dry_run, self._progress = full, dry_run, progress

    def one(self, name: str, number: int) -> Iterator[Adoption]:
        """What became of a number; nothing, if this format wrote it."""
        uri = f"art://{name}:v{number}"
        try:
            manifest = self._versions.read(name, number)
            if manifest is None:
                why = "no version: its manifest.json is none, or the number was taken and not filled"
                yield Adoption(uri=uri, status="skipped", why=why)
                return
            if manifest.format_version:
                return
            known = manifest.content
            if known is not None and (known.evidence == "full" or not self._full):
                yield _told(manifest, "already", known)
                return
            look = self._look(manifest)
            if known is not None and not look.is_new:
                yield _told(manifest, "already", known, look.why)
                return
        except UnavailableError:
            raise
        except KitError as error:  # of this version alone; what writing raises stops everything
            yield Adoption(uri=uri, status="skipped", why=str(error))
            return
        try:
            yield self._commit(manifest, look)
        except FormatTooNewError as error:
            yield Adoption(uri=uri, status="skipped", why=str(error))

    def _look(self, manifest: Manifest) -> _Look:
        """The files of a version.

        Raises:
            KitError: why it is not adopted.
        """
        if self._versions.is_withdrawn(manifest.name, manifest.version):
            raise ConflictError("it is withdrawn")
        path = self._registry.record(manifest).path
        if "://" in path:
            raise RefusedError(f"its data lies at {path}, and only files can be listed")
        if not os.path.exists(path):
            raise PathNotFoundError(
                f"its data is gone: no {path}. Put it back, or say where it is: nemotron kit remap OLD NEW"
            )
        folder, entry = _shape(path)
        before = read_tree(self._store, manifest)
        is_read = self._full and not self._dry_run and before is None
        evidence: Evidence = "full" if is_read else "stat"
        draft = Draft(name=manifest.name, source=folder, entry=entry, evidence=evidence)
        content, tree = gather(self._store, draft, path, None, None, self._progress)
        assert content is not None
        assert tree is not None
        if before is None:
            return _Look(content, tree)
        return self._with_digests(content, before, tree, self._registry.record(manifest).folder)

    def _with_digests(self, content: Content, before: Tree, now: Tree, folder: str) -> _Look:
        """What was adopted, with digests of the files that look as they did then.

        A digest taken of any other would call what it is now the original, and nobody would be told.

        Raises:
            ConflictError: something is changed, missing or extra.
        """
        found = changes.compare(before, now)
        _refuse([one for one in found if one.verdict != "touched"])
        touched, unread, paths = {one.path for one in found}, before.unread(), before.columns.paths
        wanted = [at for at in unread if paths[at] not in touched]
        tree = before
        if not self._dry_run and wanted:
            alone = content.scope == "file"
            read = hashed(folder, now, only=wanted, alone=alone, progress=self._progress)
            tree = before.with_entries((at, read.entries[at]) for at in wanted)
            _refuse([one for one in changes.compare(before, tree) if one.path not in touched])
        left = [paths[at] for at in unread if paths[at] in touched]
        evidence: Evidence = "stat" if tree.unread() else "full"
        is_new = bool(wanted) or not left
        return _Look(replace(content, evidence=evidence), tree, _left_out(left), is_new)

    def _commit(self, manifest: Manifest, look: _Look) -> Adoption:
        content, large = with_tree(look.content, look.tree)
        if not self._dry_run:
            self._versions.older.fix_floor(manifest.name)
            if large is not None:
                create_listing(self._store, *large)
            digests = content.files - len(look.tree.unread())
            is_full = content.evidence == "full"
            file_name = layout.adopted_file(manifest.version, full=is_full, digests=digests)
            key = layout.adopted(manifest.name, file_name)
            adopted = self._adopted(manifest, content).to_bytes()
            if not self._store.create(key, adopted) and not self._is_whole(key):
                # Torn by a crash, where there are no hard links. Whoever adopts writes the same.
                self._store.remove(key)
                self._store.create(key, adopted)
        return _told(manifest, "adopted", content, look.why)

    def _adopted(self, manifest: Manifest, content: Content) -> Manifest:
        """The manifest to write: what was said, the content, and a path that moves with the root."""
        indexed = self._versions.older.indexed(manifest.name).versions.get(manifest.version, {})
        told = str(indexed.get("path") or manifest.path)
        moving = within(self._store, replace(manifest, path=self._registry.record(manifest).path))
        is_inside = not moving.path.startswith("/")
        if is_inside and told.startswith(
            "/"
        ):  # what its metadata says of its own files is said of this folder
            folder = folder_of(replace(manifest, path=told, content=content))
            content = replace(content, origin=folder)
        return replace(
            manifest,
            format_version=MANIFEST_FORMAT,
            path=moving.path if is_inside else manifest.path,
            write_id=stamps.uuid7(),
            content=content,
            extra=dict(manifest.extra) | {"adopted": {"at": stamps.now(), "by": stamps.who(), "path": told}},
        )

    def _is_whole(self, key: str) -> bool:
        """Whether what is there is a manifest, this one's or that of somebody who adopts at the same time.

        Raises:
            FormatTooNewError: a newer kit adopted it.
        """
        data = self._store.read(key)
        try:
            return data is not None and bool(Manifest.from_bytes(data, key).version)
        except FormatTooNewError:
            raise
        except CorruptError:
            return False


def _shape(path: str) -> tuple[str, str | None]:
    """The folder of an artifact, and the file in it that its path names.

    A file with the tool's own `metadata.json` about it is the face of its folder; any other is a file alone.
    """
    folder, name = os.path.split(path)
    beside = f"{folder}/{METADATA_FILE}"
    if not os.path.isfile(path) or not is_kit_metadata(beside):
        return path, None
    with open(beside, "rb", opener=plain.opener) as file:
        told = json.loads(file.read()).get("path")
    return (folder, name) if isinstance(told, str) and os.path.basename(told) == name else (path, None)


def _refuse(worse: Sequence[Difference]) -> None:
    """Digests that are taken now must be those of what was adopted then."""
    if worse:
        raise ConflictError(f"{worse[0].path} is {worse[0].verdict} since it was adopted")


def _left_out(paths: Sequence[str]) -> str | None:
    """Why files have no digest, the first of them by name; None if there are none."""
    more = f" and {len(paths) - 1:,} more" if len(paths) > 1 else ""
    reason = "touched since it was adopted, and may be another"
    return f"no digest of {paths[0]}{more}: {reason}" if paths else None


def _told(manifest: Manifest, status: Status, content: Content, why: str | None = None) -> Adoption:
    return Adoption(
        uri=manifest.uri,
        status=status,
        why=why,
        evidence=content.evidence,
        files=content.files,
        size=content.size,
    )
