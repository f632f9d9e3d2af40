"""The registry: what callers ask of a store of artifacts."""

import builtins
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemotron.kit.documents.alias import AliasMove
from nemotron.kit.documents.manifest import Evidence, Manifest
from nemotron.kit.documents.tree import Tree
from nemotron.kit.errors import (
    ArtifactNotFoundError,
    CorruptError,
    KitError,
    MisuseError,
    OutsideRootError,
    PathNotFoundError,
    RefusedError,
    WithdrawnError,
)
from nemotron.kit.names import LATEST, Alias, ArtifactName, ArtifactRef, Version, parse_selector
from nemotron.kit.registry import changes
from nemotron.kit.registry.aliases import Aliases
from nemotron.kit.registry.records import Draft, Entry, Published, Record
from nemotron.kit.registry.versions import REMEMBERED_MAX, Versions
from nemotron.kit.store.connect import open_store
from nemotron.kit.store.protocol import Store

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from nemotron.kit.registry.reading import Progress
    from nemotron.kit.registry.verify import Verification

log = logging.getLogger(__name__)


class Registry:
    """The artifacts of one store.

    >>> from nemotron.kit.registry.records import Draft
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     data = Path(folder, "data")
    ...     data.mkdir()
    ...     _ = (data / "part.txt").write_text("hello")
    ...     registry = Registry.open(Path(folder, "store"))
    ...     registry.publish(Draft(name="my-data", source=data)).record.uri
    ...     registry.resolve("art://my-data:latest").version
    'art://my-data:v1'
    1

    Args:
        store: where everything lies.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.root = store.url
        self._versions = Versions(store)
        self._aliases = Aliases(store, self._versions.older)
        self._records: dict[tuple[str, int], Record] = {}
        self._checked_out: dict[tuple[str, int], str] = {}
        self._prepared = 0

    @classmethod
    def open(
        cls, root: str | os.PathLike[str], *, storage_options: Mapping[str, Any] | None = None
    ) -> "Registry":
        """Open the registry at a root; see `open_store`. Nothing is written until something is published."""
        return cls(open_store(root, storage_options))

    # -- publishing ----------------------------------------------------------------------------------------

    def publish(
        self, draft: Draft, *, executor: "Executor | None" = None, progress: "Progress | None" = None
    ) -> Published:
        """Give a draft the next version number, or find that the latest version says the same already.

        Args:
            draft: what is to be published.
            executor: who reads the files of a reference; it must see the same paths. Threads by default.
            progress: told the bytes read or copied so far, and those in all; called by any thread.

        Raises:
            InvalidNameError: the name is none.
            NameConflictError: another semantic name has this key.
            InvalidMetadataError: a metadata value has no JSON form.
            PathNotFoundError, RefusedError, DiskFullError: nothing was published.
        """
        from nemotron.kit.registry.publishing import prepare, publish

        # Nothing is founded or committed for a name or an alias that is none.
        ArtifactName.parse(draft.name)
        for alias in draft.aliases:
            self._aliases.check(Alias(alias))
        if not self._prepared:
            prepare(self.store)
        published = publish(self.store, self._versions, draft, executor, progress)
        if 0 < self._prepared < self._versions.foundings:  # the root was cleared since
            prepare(self.store)
        self._prepared = self._versions.foundings
        for alias in draft.aliases:
            self.alias(published.record.name, alias, published.record.version)
        return published

    # -- resolving -----------------------------------------------------------------------------------------

    def resolve(self, ref: str | ArtifactRef) -> Record:
        """The version that a reference names. Looks at no data.

        Raises:
            ArtifactNotFoundError: there is no such name.
            ArtifactVersionNotFoundError: there is no such version or alias.
            WithdrawnError: the version is withdrawn; the message says why.
            InvalidReferenceError: it is no reference.
        """
        ref = ArtifactRef.parse(ref)
        name, selector = ref.name, ref.selector
        if isinstance(selector, Version):
            number = selector.number
        elif selector is None or selector == LATEST:
            latest = self._versions.latest(name.key)
            if latest is None:
                raise self._not_found(name, LATEST)
            return self._record(name, latest)
        else:
            move = self._aliases.current(name.key, selector)
            if move is None:
                raise self._not_found(name, selector)
            number = move.version
        manifest = self._versions.read(name.key, number)
        if manifest is None:
            raise self._not_found(name, selector)
        if self._versions.is_withdrawn(name.key, number):
            raise self._withdrawn(name, number)
        return self._record(name, manifest)

    def find(self, ref: str | ArtifactRef) -> tuple[Record, str]:
        """The version that a reference names, and the path inside it.

        `art://a/b/c` is the longest name that exists; what is left is the path inside.

        Raises:
            NotFoundError: as `resolve`, of the longest reading.
        """
        ref = ArtifactRef.parse(ref)
        problem: KitError | None = None
        readings = ref.readings()
        for reading in readings:
            # Saying well what is not there takes a listing; of several readings most are not there.
            if len(readings) > 1 and not self._versions.newest(reading.name.key):
                continue
            try:
                return self.resolve(reading), reading.inside
            except ArtifactNotFoundError as error:
                problem = problem or error
        raise problem or self._not_found(ref.name, ref.selector)

    def _record(self, name: ArtifactName, manifest: Manifest) -> Record:
        key = (manifest.name, manifest.version)
        record = self._records.get(key)
        if record is None:
            if len(self._records) >= REMEMBERED_MAX:
                self._records.clear()
            record = self._records[key] = Record(manifest, self.root)
        spelt = manifest.semantic_name
        knows_spelling = manifest.format_version > 0
        if knows_spelling and name.semantic not in (spelt, name.key):
            raise ArtifactNotFoundError(
                name.semantic,
                f"Artifact not found: {name.semantic} in {self.root}; its key {name.key} belongs to {spelt}",
            )
        return record

    # -- content -------------------------------------------------------------------------------------------

    def folder(self, record: Record) -> Path:
        """A real folder that holds the content; a snapshot is laid out in the store's `.kit/checkouts`.

        Raises:
            MisuseError: the content lies at a URL.
            CorruptError: the store's copy is damaged.
        """
        if not record.is_snapshot:
            if "://" in record.folder:
                raise MisuseError(f"{record.uri} lies at {record.folder}, which is no local folder")
            return Path(record.folder)
        from nemotron.kit.registry import checkouts

        key = (record.name, record.version)
        if not os.path.isdir(self._checked_out.get(key, "")):
            self._checked_out[key] = checkouts.check_out(self.store, record, self.tree(record))
        return Path(self._checked_out[key])

    def location(self, record: Record) -> Path:
        """The path of the artifact itself: the folder, or the file in it that the artifact is."""
        entry = record.manifest.content.entry if record.manifest.content else None
        return self.folder(record) / entry if entry else self.folder(record)

    def inside(self, ref: str | ArtifactRef) -> Path:
        """A file or folder inside an artifact.

        Raises:
            PathNotFoundError: there is none.
            OutsideRootError: a link there leads out of the artifact.
        """
        record, path = self.find(ref)
        folder = self.folder(record)
        found = folder / path if path else folder
        if (
            record.scope == "file"
            and record.manifest.content
            and path not in ("", record.manifest.content.entry)
        ):
            raise PathNotFoundError(
                f"No {path} in {record.uri}: it is the file {record.manifest.content.entry} alone"
            )
        if not os.path.lexists(found):
            where = "" if os.path.isdir(folder) else ", which is gone: its data was moved or deleted"
            raise PathNotFoundError(f"No {path or 'data'} in {record.uri}: looked in {folder}{where}")
        from nemotron.kit.registry.scan import leaves

        if leaves(str(found), os.path.realpath(folder)) and not self.follows(record, path):
            raise OutsideRootError(
                f"{record.uri}/{path} is a link that leaves the artifact; it is not followed"
            )
        return found

    def follows(self, record: Record, path: str) -> bool:
        """Whether a path inside may lead out of the folder: it was published so, with `follow_links`."""
        content = record.manifest.content
        if content is None or not content.follow_links or record.is_snapshot:
            return False
        tree = self.tree(record)
        return tree is not None and any(
            entry.path == path or entry.path.startswith(f"{path}/") for entry in tree.entries
        )

    def tree(self, record: Record) -> Tree | None:
        """The listing of a version's content; None where there is none (old manifests, data at a URL)."""
        from nemotron.kit.registry.trees import read_tree

        return read_tree(self.store, record.manifest)

    def check(self, record: Record) -> builtins.list[changes.Difference]:
        """What has become of a reference's files since; [] for snapshots and data at a URL.

        It goes by size and time, and reads a file only where that leaves a doubt that a digest can settle.
        """
        tree = self.tree(record)
        if record.is_snapshot or tree is None or "://" in record.path:
            return []
        from nemotron.kit.registry.verify import check

        return check(self.store, record, tree)

    def verify(
        self,
        ref: str | ArtifactRef,
        evidence: Evidence | None = None,
        *,
        progress: "Progress | None" = None,
    ) -> "Verification":
        """Whether the files of a version are still those that were published, and how sure that is.

        Args:
            ref: the version.
            evidence: `stat` reads no bytes; `sampled` and `full` read of each file what can be compared: all
                of it where a digest is known, a sample where that is known; None does as it was published.
            progress: told the bytes read so far, and those in all.

        Raises:
            NotFoundError: there is no such version.
            MisuseError: nothing is known of its files (a manifest of an older tool, data at a URL).
        """
        from nemotron.kit.registry.verify import verify

        record = self.resolve(ref)
        tree = self.tree(record)
        if tree is None or (not record.is_snapshot and "://" in record.path):
            raise MisuseError(f"Cannot verify {record.uri}: no listing of its files was recorded")
        return verify(self.store, record, tree, evidence, progress)

    # -- what there is -------------------------------------------------------------------------------------

    def get(self, name: str) -> Entry | None:
        """What there is of a name, or None."""
        key = ArtifactName.parse(name).key
        newest = self._versions.newest(key)
        if not newest:
            return None
        living = tuple(n for n in range(1, newest + 1) if not self._versions.is_withdrawn(key, n))
        latest = self._versions.latest(key)
        shown = latest or next(
            (m for n in range(newest, 0, -1) if (m := self._versions.read_whole(key, n))), None
        )
        return Entry(
            name=key,
            semantic_name=shown.semantic_name if shown else key,
            latest=latest.version if latest else None,
            versions=living,
            type=shown.type if shown else None,
            aliases=self._aliases.all(key),
        )

    def list(self) -> list[Entry]:
        """All names, sorted."""
        return [entry for name in self._versions.names() if (entry := self._get_whole(name))]

    def _get_whole(self, name: str) -> Entry | None:
        """Like `get`, but None for a damaged name, which it reports."""
        try:
            return self.get(name)
        except (CorruptError, RefusedError) as error:
            log.warning("%s. %s is left out of the list; run `nemotron kit doctor`", error, name)
            return None

    def versions(self, name: str) -> builtins.list[Record]:
        """The living versions of a name, oldest first.

        Raises:
            ArtifactNotFoundError: there is no such name.
        """
        parsed = ArtifactName.parse(name)
        if not self._versions.newest(parsed.key):
            raise self._not_found(parsed, LATEST)
        return [self._record(parsed, manifest) for manifest in self._versions.living(parsed.key)]

    # -- aliases and withdrawal ----------------------------------------------------------------------------

    def alias(
        self,
        name: str,
        alias: str,
        version: int | str,
        *,
        why: str | None = None,
        if_current: int | str | None = None,
    ) -> AliasMove:
        """Point an alias at a version.

        Args:
            name: the artifact.
            alias: any name that does not look like a version, but `latest`.
            version: 3, "v3", or an alias whose version is meant.
            why: the reason, for the log.
            if_current: move only if it points at this version now.

        Raises:
            NotFoundError: there is no such version.
            ConflictError: it points elsewhere than `if_current`.
        """
        parsed = ArtifactName.parse(name)
        target = self.resolve(ArtifactRef(parsed, parse_selector(version)))
        expected = None if if_current is None else Version.parse(if_current).number
        return self._aliases.move(parsed.key, Alias(alias), target.version, why, expected)

    def aliases(self, name: str) -> dict[str, int]:
        """Each alias of a name and the version it points at."""
        return self._aliases.all(ArtifactName.parse(name).key)

    def alias_log(self, name: str, alias: str) -> builtins.list[AliasMove]:
        """Every move of an alias, oldest first."""
        return self._aliases.log(ArtifactName.parse(name).key, Alias(alias))

    def withdraw(self, ref: str | ArtifactRef, reason: str) -> Record:
        """Withdraw a version: it no longer resolves, its number is never used again, its lineage stays.

        Args:
            ref: must name a version or an alias, so that nobody withdraws `latest` by leaving it out.
            reason: shown to everybody who asks for the version.

        Raises:
            MisuseError: no version or no reason was given.
            WithdrawnError: it is withdrawn already.
        """
        ref = ArtifactRef.parse(ref)
        if ref.selector is None or ref.inside:
            raise MisuseError(f"Say which version to withdraw: {ref.name}:vN, found {ref}")
        if not reason.strip():
            raise MisuseError(f"Say why {ref} is withdrawn: whoever asks for it will read the reason")
        record = self.resolve(ref)
        if not self._versions.withdraw(record.name, record.version, reason):
            raise self._withdrawn(ArtifactName(record.name), record.version)
        return record

    # -- what to say when it is not there ------------------------------------------------------------------

    def _withdrawn(self, name: ArtifactName, number: int) -> WithdrawnError:
        from nemotron.kit.registry.absence import withdrawn

        return withdrawn(self._versions, name, number)

    def _not_found(self, name: ArtifactName, selector: Version | Alias | None) -> KitError:
        from nemotron.kit.registry.absence import not_found

        return not_found(self._versions, self._aliases, name, selector)
