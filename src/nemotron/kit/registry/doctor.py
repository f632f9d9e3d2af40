"""What is wrong with a store, by looking alone: nothing is written, repaired or hashed.

A *problem* is something that a reader can run into. A *note* is something that needs nobody, but that somebody
looking for trouble wants to know: leftovers of a crash, files that are not the kit's.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from nemotron.kit.documents import codec
from nemotron.kit.documents.alias import Tombstone
from nemotron.kit.documents.manifest import Manifest
from nemotron.kit.documents.tree import Tree
from nemotron.kit.errors import CorruptError, FormatTooNewError, InvalidNameError, KitError
from nemotron.kit.names import LATEST, Alias, ArtifactName
from nemotron.kit.registry import layout, stamps
from nemotron.kit.registry.aliases import Aliases
from nemotron.kit.registry.records import Record
from nemotron.kit.registry.registry import Registry
from nemotron.kit.registry.trees import read_tree
from nemotron.kit.registry.versions import Versions

Level = Literal["problem", "note"]
PATHS_SHOWN_MAX = 3
_TEMPORARY = ".tmp-"
_OLD_INDEX = ".art_index.json"
_OWN_FILES = frozenset({"manifest.json", "metadata.json", "tombstone.json"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is not as it should be.

    Attributes:
        kind: a short text that never changes, for programs.
        where: the file, or the version, that it is about.
        what: what was found.
        fix: what to do.
        level: `problem` or `note`.
    """

    kind: str
    where: str
    what: str
    fix: str
    level: Level = "problem"


def examine(
    registry: Registry, *, probe: bool = False, progress: Callable[[int, int], None] | None = None
) -> list[Finding]:
    """Look a store over.

    Args:
        registry: the store.
        probe: also find out whether a small object can be created, and exclusively; it is taken away again.
        progress: told how many names are done, and of how many.

    Raises:
        KitError: the root can't be looked at.
    """
    doctor = _Doctor(registry)
    return list(doctor.all(probe, progress or (lambda done, total: None)))


class _Doctor:
    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.store = registry.store
        self.versions = Versions(registry.store)  # its own, which has nothing remembered
        self.aliases = Aliases(registry.store)
        self.blobs: dict[str, int | None] = {}

    def all(self, probe: bool, progress: Callable[[int, int], None]) -> Iterator[Finding]:
        children = sorted(self.store.list())
        if not children and not self._root_exists():
            yield Finding(
                kind="missing_root",
                where=self.registry.root,
                what="there is no such folder",
                fix="check the root; it is made when something is published there",
            )
        names = [name for name in children if _is_key(name)]
        yield from self._format(bool(names))
        yield from (finding for name in children if name not in names for finding in self._foreign(name))
        for done, name in enumerate(names):
            progress(done, len(names))
            yield from self._guarded(name, self._name(name))
        progress(len(names), len(names))
        yield from self._own_folders()
        if probe:
            yield from self._probe()

    def _where(self, key: str) -> str:
        return f"{self.registry.root.rstrip('/')}/{key}"

    def _root_exists(self) -> bool:
        path = self.store.local_path(layout.FORMAT)
        return path is None or path.parent.parent.is_dir()

    def _guarded(self, key: str, findings: Iterable[Finding]) -> Iterator[Finding]:
        """The findings; an error on the way is one more, and the rest of the store is looked at all the same."""
        try:
            yield from findings
        except KitError as error:
            fix = "see the message; then run this again"
            yield Finding(kind="unreadable", where=self._where(key), what=str(error), fix=fix)

    # -- the root ------------------------------------------------------------------------------------------

    def _format(self, has_names: bool) -> Iterator[Finding]:
        where = self._where(layout.FORMAT)
        try:
            data = self.store.read(layout.FORMAT)
            version = None if data is None else codec.decode(data, where).get("format_version")
        except KitError as error:
            fix = "restore it from a backup, or delete it: the next publish makes a new one"
            yield Finding(kind="damaged_format", where=where, what=str(error), fix=fix)
            return
        if data is None:
            if has_names:
                yield Finding(
                    kind="missing_format",
                    where=where,
                    what="the store has artifacts and no format file; an earlier tool may have made it",
                    fix="nothing: the next publish makes one",
                    level="note",
                )
        elif not isinstance(version, int) or version > layout.STORE_FORMAT:
            yield Finding(
                kind="unknown_format",
                where=where,
                what=f"the store has format {version!r}; this kit knows {layout.STORE_FORMAT}",
                fix="upgrade nemotron-kit",
            )

    def _foreign(self, name: str) -> Iterator[Finding]:
        if name == ".kit":
            return
        if name == _OLD_INDEX:
            yield Finding(
                kind="old_index",
                where=self._where(name),
                what="an earlier tool keeps an index of versions here, which this command does not look into",
                fix="nothing, as long as nobody publishes with both",
                level="note",
            )
            return
        yield self._not_ours(name, "it is not the name of an artifact")

    def _not_ours(self, key: str, why: str) -> Finding:
        return Finding(
            kind="foreign",
            where=self._where(key),
            what=f"not the kit's: {why}",
            fix="move it out of the store if nothing needs it here",
            level="note",
        )

    # -- one name ------------------------------------------------------------------------------------------

    def _name(self, name: str) -> Iterator[Finding]:
        if not self._is_folder(name):
            yield self._not_ours(name, "it is a file")
            return
        children = self.store.list(name)
        numbers = sorted(n for child in children if (n := layout.version_number(child)))
        known = {f"v{n}" for n in numbers} | {"latest", "aliases"}
        yield from (self._not_ours(f"{name}/{child}", "unknown here") for child in children if child not in known)
        yield from self._leftovers(name)
        taken = [n for n in numbers if self.versions.taken(name, n)]
        manifests: dict[int, Manifest] = {}
        for number in numbers:
            yield from self._guarded(f"{name}/v{number}", self._version(name, number, manifests))
        if not taken:
            if not numbers and "aliases" not in children and "latest" not in children:
                yield self._not_ours(name, "a folder without versions")
            return
        yield from self._gaps(name, taken)
        yield from self._spellings(name, manifests)
        yield from self._hint(name, manifests)
        for alias in sorted(self.store.list(layout.aliases(name))):
            yield from self._guarded(f"{name}/aliases/{alias}", self._alias(name, alias))

    def _is_folder(self, key: str) -> bool:
        path = self.store.local_path(key)
        return path is None or path.is_dir()

    def _gaps(self, name: str, taken: list[int]) -> Iterator[Finding]:
        for number in range(1, taken[-1]):
            if number not in taken:
                yield Finding(
                    kind="gap",
                    where=self._where(f"{name}/v{number}"),
                    what=f"v{number} is missing below v{taken[-1]}: it was deleted by hand, and what is above "
                    "it may not be found",
                    fix=f"restore v{number} from a backup; use `nemotron kit rm` to withdraw a version",
                )

    def _spellings(self, name: str, manifests: dict[int, Manifest]) -> Iterator[Finding]:
        spellings = sorted({m.semantic_name for m in manifests.values() if m.semantic_name})
        if len(spellings) > 1:
            yield Finding(
                kind="name_conflict",
                where=self._where(name),
                what=f"its versions are spelt differently: {', '.join(spellings)}",
                fix="publish under one of them only",
            )

    def _hint(self, name: str, manifests: dict[int, Manifest]) -> Iterator[Finding]:
        key = layout.latest(name)
        data = self.store.read(key)
        newest = self.versions.newest(name)
        latest = next((n for n in sorted(manifests, reverse=True) if not self._is_gone(name, n)), None)
        right = {f"v{newest}", f"v{latest}"}
        said = None if data is None else data[:32].decode("ascii", "replace").strip()
        if said not in right:
            shown = "is missing" if said is None else f"says {said!r}"
            yield Finding(
                kind="wrong_latest",
                where=self._where(key),
                what=f"it {shown}; the newest version is v{newest}. The kit finds it all the same, other "
                "readers do not",
                fix="publish the next version, which writes it anew, or write it by hand",
            )

    def _is_gone(self, name: str, number: int) -> bool:
        return self.versions.is_withdrawn(name, number)

    def _alias(self, name: str, alias: str) -> Iterator[Finding]:
        key = f"{name}/aliases/{alias}"
        if not self._is_folder(key) or not _is_alias(alias):
            yield self._not_ours(key, "not the log of an alias")
            return
        yield from self._leftovers(key)
        try:
            move = self.aliases.current(name, Alias(alias))
        except CorruptError as error:
            fix = "restore the file from a backup"
            yield Finding(kind="damaged_alias", where=self._where(key), what=str(error), fix=fix)
            return
        if move is None:
            return
        state = None
        if not self.versions.taken(name, move.version):
            state = "does not exist"
        elif self._is_gone(name, move.version):
            state = "is withdrawn"
        if state:
            yield Finding(
                kind="dangling_alias",
                where=f"art://{name}:{alias}",
                what=f"it points at v{move.version}, which {state}",
                fix=f"move it: nemotron kit alias {name}:vN {alias}",
            )

    # -- one version ---------------------------------------------------------------------------------------

    def _version(self, name: str, number: int, manifests: dict[int, Manifest]) -> Iterator[Finding]:
        folder = f"{name}/v{number}"
        children = set(self.store.list(folder))
        yield from self._leftovers(folder)
        try:
            manifest = self.versions.read(name, number)
        except FormatTooNewError as error:
            yield Finding(
                kind="too_new", where=self._where(folder), what=str(error), fix="upgrade nemotron-kit"
            )
            return
        except CorruptError as error:
            yield Finding(
                kind="damaged_manifest",
                where=self._where(layout.manifest(name, number)),
                what=f"{error}. Its number stays taken, the version can't be used",
                fix="restore the file from a backup, or publish again",
            )
            return
        if manifest is None:
            yield Finding(
                kind="empty_version",
                where=self._where(folder),
                what="a folder without a manifest: " + ("files of another tool" if children else "empty"),
                fix="nothing: it is no version, and the next publish uses it",
                level="note",
            )
            return
        manifests[number] = manifest
        # Versions of earlier tools hold their files here; ours hold three at most.
        foreign = sorted(children - _OWN_FILES) if manifest.write_id else []
        yield from (self._not_ours(f"{folder}/{child}", "unknown here") for child in foreign)
        yield from self._alive(manifest)

    def _alive(self, manifest: Manifest) -> Iterator[Finding]:
        key = layout.tombstone(manifest.name, manifest.version)
        if (data := self.store.read(key)) is not None:
            try:
                Tombstone.from_bytes(data, self._where(key))
            except CorruptError as error:
                fix = "nothing: the version stays withdrawn, its reason is lost"
                yield Finding(kind="damaged_tombstone", where=self._where(key), what=str(error), fix=fix)
            return
        key = layout.metadata(manifest.name, manifest.version)
        if not self.store.exists(key):
            yield Finding(
                kind="missing_companion",
                where=self._where(key),
                what="missing: readers that know no manifests don't find this version",
                fix="nothing, if only the kit reads this store",
            )
        record = Record(manifest, self.registry.root)
        try:
            tree = read_tree(self.store, manifest)
        except CorruptError as error:
            fix = "restore it from a backup, or publish again"
            yield Finding(kind="damaged_tree", where=record.uri, what=str(error), fix=fix)
            return
        yield from self._snapshot(record, tree) if record.is_snapshot else self._reference(record)

    def _snapshot(self, record: Record, tree: Tree | None) -> Iterator[Finding]:
        lost: list[str] = []
        for entry in tree.entries if tree else ():
            if entry.is_file and (entry.digest is None or self._blob_size(entry.digest) not in (-1, entry.size)):
                lost.append(entry.path)
        if tree is None or lost:
            files = _some(lost) if tree else "its listing"
            yield Finding(
                kind="missing_content",
                where=record.uri,
                what=f"the store's copy is missing or of another size: {files}",
                fix="restore .kit/blobs from a backup, or publish the data again",
            )

    def _blob_size(self, digest: str) -> int | None:
        """The size of a blob; -1 where it can't be told, None where there is none."""
        if digest not in self.blobs:
            key = layout.blob(digest)
            path = self.store.local_path(key)
            if path is None:
                self.blobs[digest] = -1 if self.store.exists(key) else None
            else:
                try:
                    self.blobs[digest] = path.stat().st_size
                except OSError:
                    self.blobs[digest] = None  # missing, or as good as missing
        return self.blobs[digest]

    def _reference(self, record: Record) -> Iterator[Finding]:
        if "://" in record.path:
            return
        if not os.path.lexists(record.path):
            yield Finding(
                kind="missing_data",
                where=record.uri,
                what=f"its data is gone: no {record.path}",
                fix=f"put it back, or withdraw the version: nemotron kit rm {record.name}:v{record.version} -m WHY",
            )
            return
        found = self.registry.check(record)
        drifted = [difference for difference in found if difference.verdict != "touched"]
        if drifted:
            what = _some([f"{d.path} ({d.verdict})" for d in drifted])
            yield Finding(
                kind="drifted",
                where=record.uri,
                what=f"not what was published any more: {what} in {record.folder}",
                fix="publish what is there now as the next version, or restore the files; "
                "snapshots don't drift",
            )
        elif found:
            yield Finding(
                kind="touched",
                where=record.uri,
                what=f"same sizes, other times: {_some([d.path for d in found])} in {record.folder}",
                fix="nothing, if the bytes are the same",
                level="note",
            )

    # -- leftovers and the probe ---------------------------------------------------------------------------

    def _leftovers(self, key: str) -> Iterator[Finding]:
        """Temporary files, which `Store.list` hides: only a crash leaves them, or a writer at work."""
        path = self.store.local_path(key)
        try:
            names = sorted(os.listdir(path)) if path is not None else []
        except OSError:
            return  # there is no such folder; whoever needs it has said so
        for name in names:
            if name.startswith(_TEMPORARY):
                yield Finding(
                    kind="leftover",
                    where=self._where(f"{key}/{name}"),
                    what="a temporary file: of a writer that is at work, or that was killed",
                    fix="delete it if it is older than a day",
                    level="note",
                )

    def _own_folders(self) -> Iterator[Finding]:
        yield from self._leftovers(".kit")
        yield from self._leftovers(".kit/staging")
        for parent in (".kit/journal", ".kit/trees", ".kit/checkouts"):
            for child in sorted(self.store.list(parent)):
                yield from self._leftovers(f"{parent}/{child}")
        for name in sorted(self.store.list(".kit/checkouts")):
            for child in self.store.list(f".kit/checkouts/{name}"):
                if ".changed-" in child:
                    yield Finding(
                        kind="changed_checkout",
                        where=self._where(f".kit/checkouts/{name}/{child}"),
                        what="somebody changed files of a snapshot's folder; they were set aside",
                        fix="publish them if they matter, else delete the folder",
                        level="note",
                    )

    def _probe(self) -> Iterator[Finding]:
        key = f".kit/probe-{stamps.uuid7()}"
        try:
            first = self.store.create(key, b"first")
            second = self.store.create(key, b"second")
            read = self.store.read(key)
            self.store.remove(key)
        except KitError as error:
            fix = "change the owner or mode of the root, or use another one"
            yield Finding(kind="not_writable", where=self.registry.root, what=str(error), fix=fix)
            return
        if (first, second, read) != (True, False, b"first"):
            yield Finding(
                kind="not_exclusive",
                where=self.registry.root,
                what="creating an object that exists was not refused: two writers may get one version number",
                fix="publish to a root on another file system",
            )


def _is_key(name: str) -> bool:
    try:
        return ArtifactName.parse(name).key == name
    except InvalidNameError:
        return False


def _is_alias(name: str) -> bool:
    try:
        return Alias(name) != LATEST
    except InvalidNameError:
        return False


def _some(paths: list[str]) -> str:
    shown = ", ".join(paths[:PATHS_SHOWN_MAX])
    more = len(paths) - PATHS_SHOWN_MAX
    return f"{shown} and {more:,} more" if more > 0 else shown
