"""The registry: what callers ask of a store of artifacts."""

import builtins
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemotron.kit.documents.manifest import Evidence
from nemotron.kit.errors import MisuseError, RefusedError
from nemotron.kit.names import Alias, ArtifactName, ArtifactRef, Version, parse_selector
from nemotron.kit.registry.catalog import Catalog
from nemotron.kit.registry.resolved import Record
from nemotron.kit.store.connect import are_alike, open_store
from nemotron.kit.store.protocol import Store

if TYPE_CHECKING:
    from concurrent.futures import Executor
    from datetime import timedelta

    from nemotron.kit.documents.alias import AliasMove
    from nemotron.kit.documents.tree import Tree
    from nemotron.kit.registry.checkout_options import CheckoutOptions
    from nemotron.kit.registry.differences import Differences
    from nemotron.kit.registry.garbage import Sweep
    from nemotron.kit.registry.records import Draft, Published
    from nemotron.kit.registry.verify import Verification
    from nemotron.kit.registry.work import Progress


class Registry(Catalog):
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
        checkouts: how snapshots are laid out.
        storage_options: what the store was opened with.
    """

    def __init__(
        self,
        store: Store,
        checkouts: "CheckoutOptions | None" = None,
        storage_options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(store)
        self._checkouts, self._storage_options = checkouts, storage_options
        self._checked_out: dict[tuple[str, int], str] = {}
        self._prepared = 0

    @classmethod
    def open(
        cls,
        root: str | os.PathLike[str],
        *,
        storage_options: Mapping[str, Any] | None = None,
        checkouts: "CheckoutOptions | None" = None,
    ) -> "Registry":
        """Open the registry at a root; see `open_store`. Nothing is written until something is published."""
        return cls(open_store(root, storage_options), checkouts, storage_options)

    def elsewhere(self, root: str | os.PathLike[str]) -> "Registry":
        """The registry at another root, opened like this one, with its options where they are for both."""
        options = self._storage_options if are_alike(self.root, root) else None
        return Registry.open(root, storage_options=options, checkouts=self._checkouts)

    # -- publishing ----------------------------------------------------------------------------------------

    def publish(
        self, draft: "Draft", *, executor: "Executor | None" = None, progress: "Progress | None" = None
    ) -> "Published":
        """Give a draft the next version number, or find that the latest version says the same already.

        Args:
            draft: what is to be published.
            executor: who reads, hashes and copies the files; it must see the same paths. Threads by default.
            progress: told the bytes read or copied so far, and those in all; called by any thread.

        Raises:
            InvalidNameError: the name is none.
            NameConflictError: another semantic name has this key.
            InvalidMetadataError: a metadata value has no JSON form.
            PathNotFoundError, DiskFullError: nothing was published.
            RefusedError: nothing was published; or, as the message says, an alias is protected.
        """
        from nemotron.kit.registry.founding import prepare
        from nemotron.kit.registry.publishing import publish

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
        published = replace(published, record=self.record(published.record.manifest))
        self._remaps.warn_of(published.record.uri, published.record.manifest.path)
        refused: RefusedError | None = None
        for alias in draft.aliases:
            try:
                self.alias(published.record.name, alias, published.record.version)
            except RefusedError as error:  # one that is protected keeps no other one back
                refused = refused or error
        if refused is not None:
            raise RefusedError(f"{published.record.uri} is published, but {refused}") from refused
        return published

    def remap(self, old: str, new: str | None, *, why: str | None = None) -> None:
        """Look for data that versions recorded under `old` under `new` from now on; nothing is rewritten.

        Of several prefixes the longest counts; data that moved twice is followed. Other processes see it when
        they are started.

        Args:
            old: a folder or URL, as it was recorded.
            new: where it is now; None takes the remap of `old` away.
            why: the reason, for whoever lists the remaps.

        Raises:
            MisuseError: it is no absolute path or URL, leads in a circle, or lies inside the store.
            NotFoundError: there is no such remap to take away.
        """
        from nemotron.kit.registry.remapping import remap

        remap(self._remaps, old, new, why)

    # -- content -------------------------------------------------------------------------------------------

    def folder(self, record: Record, *, look: bool = False, progress: "Progress | None" = None) -> Path:
        """A real folder that holds the content; a snapshot is laid out in the store's `.kit/checkouts`.

        Args:
            record: the version.
            look: see whether a checkout that this process has used before is still what was published. One
                that was changed is set aside, with a warning, and laid out anew.
            progress: told the bytes laid out so far, and those in all.

        Raises:
            MisuseError: the content lies at a URL.
            CorruptError: the store's copy is damaged.
        """
        if not record.is_snapshot:
            if record.is_at_url:
                raise MisuseError(f"{record.uri} lies at {record.folder}, which is no local folder")
            return Path(record.folder)
        from nemotron.kit.registry import checkouts

        key = (record.name, record.version)
        if look or not os.path.isdir(self._checked_out.get(key, "")):
            self._checked_out[key] = checkouts.check_out(
                self.store, record, self.tree(record), self._checkouts, progress
            )
        return Path(self._checked_out[key])

    def location(self, record: Record) -> Path:
        """The path of the artifact itself: the folder, or the file in it that the artifact is."""
        entry = record.manifest.content.entry if record.manifest.content else None
        return self.folder(record) / entry if entry else self.folder(record)

    def inside(self, ref: str | ArtifactRef) -> Path:
        """A file or folder inside an artifact.

        Raises:
            PathNotFoundError: there is none.
            RefusedError, UnavailableError: it can't be looked at.
            OutsideRootError: a link there leads out of the artifact.
        """
        from nemotron.kit.registry.insides import place

        record, path = self.find(ref)
        return place(record, path, self.folder(record), self.follows)

    def follows(self, record: Record, path: str) -> bool:
        """Whether a path inside may lead out of the folder: it was published so, with `follow_links`."""
        content = record.manifest.content
        if content is None or not content.follow_links or record.is_snapshot:
            return False
        tree = self.tree(record)
        return tree is not None and any(
            entry.path == path or entry.path.startswith(f"{path}/") for entry in tree.entries
        )

    def tree(self, record: Record) -> "Tree | None":
        """The listing of a version's content; None where there is none (old manifests, data at a URL)."""
        from nemotron.kit.registry.trees import read_tree

        return read_tree(self.store, record.manifest)

    def check(self, record: Record) -> "Differences":
        """What has become of a reference's files since; [] for snapshots.

        It goes by size and time, and reads a file only where that leaves a doubt that a digest can settle; of
        data at a URL, by what one request tells: a head, or the first page of a listing.
        """
        from nemotron.kit.registry.checks import check_on_load
        from nemotron.kit.registry.differences import Differences

        tree = None if record.is_snapshot else self.tree(record)
        return Differences() if tree is None else check_on_load(self.store, record, tree)

    def verify(
        self,
        ref: str | ArtifactRef,
        evidence: Evidence | None = None,
        *,
        executor: "Executor | None" = None,
        progress: "Progress | None" = None,
        storage_options: Mapping[str, Any] | None = None,
    ) -> "Verification":
        """Whether the files of a version are still those that were published, and how sure that is.

        Args:
            ref: the version.
            evidence: `stat` reads no bytes; `sampled` and `full` read of each file what can be compared: all
                of it where a digest is known, a sample where that is known; None does as it was published.
            executor: who reads the files; it must see the same paths. Threads by default.
            progress: told the bytes read so far, and those in all.
            storage_options: of the client, for data at a URL; by default what the environment says.

        Raises:
            NotFoundError: there is no such version.
            MisuseError: nothing is known of its files: an older tool's manifest, a URL that told nothing.
            RefusedError, UnavailableError: data at a URL can't be looked at.
        """
        from nemotron.kit.registry.checks import check

        record = self.resolve(ref)
        tree, options = self.tree(record), storage_options
        return check(
            self.store, record, tree, evidence, options=options, executor=executor, progress=progress
        )

    def repair(
        self,
        ref: str | ArtifactRef,
        source: str,
        found: "Verification",
        *,
        progress: "Progress | None" = None,
    ) -> builtins.list[str]:
        """Take what is damaged or missing of a snapshot again, from a place that has the right bytes.

        Nothing is written to the source. A checkout that was changed is set aside and laid out anew.

        Args:
            ref: the snapshot.
            source: a folder or file, the root of another store, or another version: whatever has the bytes.
            found: what `verify` found.
            progress: told the bytes done, and those in all.

        Returns:
            The paths of the files that are right again in the store.

        Raises:
            NotFoundError: there is no such version, or no such source.
            MisuseError: it is a reference: the kit never writes to data that it refers to.
        """
        from nemotron.kit.registry.repairing import places, repair

        record = self.resolve(ref)
        taken, look = repair(
            self.store,
            record,
            self.tree(record),
            found,
            lambda: places(self.store, source, self.resolve),
            progress,
        )
        if look:
            self.folder(record, look=True)
        return taken

    # -- aliases and withdrawal ----------------------------------------------------------------------------

    def alias(
        self,
        name: str,
        alias: str,
        version: int | str,
        *,
        why: str | None = None,
        if_current: int | str | None = None,
        force: bool = False,
        protect: bool | None = None,
    ) -> "AliasMove":
        """Point an alias at a version.

        Args:
            name: the artifact.
            alias: any name that does not look like a version, but `latest`.
            version: 3, "v3", or an alias whose version is meant.
            why: the reason, for the log.
            if_current: move only if it points at this version now.
            force: move it although it is protected.
            protect: True has it moved by `force` only from now on, False lifts that, None leaves it as it is.

        Raises:
            NotFoundError: there is no such version.
            ConflictError: it points elsewhere than `if_current`.
            RefusedError: it is protected; the message says by whom and why.
        """
        parsed = ArtifactName.parse(name)
        target = self.resolve(ArtifactRef(parsed, parse_selector(version)))
        expected = None if if_current is None else Version.parse(if_current).number
        return self._aliases.move(
            parsed.key, Alias(alias), target.version, why, expected, force=force, protect=protect
        )

    def rollback(self, name: str, alias: str, *, why: str | None = None, force: bool = False) -> "AliasMove":
        """Put an alias back to where it was before its last move; once more, to where it was before that.

        Raises:
            MisuseError: it was nowhere before.
            WithdrawnError: the version it was at is withdrawn.
            ConflictError: somebody moved it meanwhile.
            RefusedError: it is protected.
        """
        key, parsed = ArtifactName.parse(name).key, Alias(alias)
        current, last = self._aliases.current(key, parsed), self._aliases.last_move(key, parsed)
        if current is None:
            raise self._not_found(ArtifactName.parse(name), parsed)
        if last is None or last.previous is None:
            raise MisuseError(f"{key}:{alias} is where it was first: there is no move to take back")
        target = self.resolve(ArtifactRef(ArtifactName.parse(name), Version(last.previous)))
        return self._aliases.move(
            key, parsed, target.version, why, current.version, force=force, undoes=last.sequence
        )

    def gc(
        self,
        *,
        apply: bool = False,
        grace: "timedelta | str | None" = None,
        forget_damaged: bool = False,
        progress: "Progress | None" = None,
    ) -> "Sweep":
        """Collect garbage: blobs and listings that no living version names, and what killed processes left.

        A run sets aside what is older than the grace period; a run one grace period later deletes it, or puts
        back what a version names after all. Both may run beside publishers and beside each other.

        Args:
            apply: False tells what would be done, and changes nothing.
            grace: such as `7d` or `12h`, an hour at least and 36,500 days at most; 14 days by default.
            forget_damaged: go on where a version can't be read; what only it needs is given up.
            progress: told how many versions are read, then how many objects are done, and of how many.

        Raises:
            MisuseError: the grace period is none, too short or too long, or this store can't be collected.
            CorruptError: a version can't be read, so that what it needs is not known.

        >>> import tempfile
        >>> Registry.open(tempfile.mkdtemp()).gc(grace="7d").items
        ()
        """
        from nemotron.kit.registry.collect_garbage import collect
        from nemotron.kit.registry.garbage import parse_grace

        return collect(
            self.store, parse_grace(grace), apply=apply, forget_damaged=forget_damaged, progress=progress
        )

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
