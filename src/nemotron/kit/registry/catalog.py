"""What a store has: names, versions and aliases, read and never written, and no data looked at."""

import builtins
import logging
from typing import TYPE_CHECKING

from nemotron.kit.documents.manifest import Manifest
from nemotron.kit.errors import ArtifactNotFoundError, CorruptError, KitError, RefusedError, WithdrawnError
from nemotron.kit.names import LATEST, Alias, ArtifactName, ArtifactRef, Version
from nemotron.kit.registry.aliases import Aliases
from nemotron.kit.registry.remaps import Remaps
from nemotron.kit.registry.resolved import Record
from nemotron.kit.registry.versions import REMEMBERED_MAX, Versions
from nemotron.kit.store.protocol import Store

if TYPE_CHECKING:
    from nemotron.kit.documents.alias import AliasMove
    from nemotron.kit.documents.remap import Remap
    from nemotron.kit.registry.records import Entry

log = logging.getLogger(__name__)


class Catalog:
    """The reading half of a `Registry`: from a reference to a version.

    Args:
        store: where everything lies.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self.root = store.url
        self._versions = Versions(store)
        self._aliases = Aliases(store, self._versions.older)
        self._remaps = Remaps(store)
        self._whole_names: set[str] = set()
        self._records: dict[tuple[str, int], Record] = {}

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
        manifest, is_withdrawn = self._versions.read_and_see(name.key, number)
        if manifest is None:
            raise self._not_found(name, selector)
        if is_withdrawn:
            raise self._withdrawn(name, number)
        return self._record(name, manifest)

    def find(self, ref: str | ArtifactRef) -> tuple[Record, str]:
        """The version that a reference names, and the path inside it.

        `art://a/b/c` is the artifact `a/b/c`, or `c` in `a/b`, or `b/c` in `a`: the longest name that exists.
        Once it turned out to be all of it, shorter names are not looked for again in this process.

        Raises:
            NotFoundError: none of them is there; the message says what was looked for.
            AmbiguousReferenceError: it is there, and so is another; the message lists them.
        """
        ref = ArtifactRef.parse(ref)
        readings = ref.readings()
        if len(readings) == 1:
            return self.resolve(ref), ref.inside
        if ref.name.semantic in self._whole_names:
            try:
                return self.resolve(ref), ref.inside
            except ArtifactNotFoundError:
                self._whole_names.discard(ref.name.semantic)
        from nemotron.kit.registry.meaning import find

        found = find(self._versions, self.resolve, readings)
        if isinstance(found, KitError):
            raise self._not_found(ref.name, ref.selector) if type(found) is ArtifactNotFoundError else found
        if not found[1]:
            if len(self._whole_names) >= REMEMBERED_MAX:
                self._whole_names.clear()
            self._whole_names.add(ref.name.semantic)
        return found

    def record(self, manifest: Manifest) -> Record:
        """A version of this store whose manifest was read elsewhere, withdrawn or not."""
        return Record(manifest, self.root, self._remaps.moved)

    def moved(self, path: str) -> str:
        """Where a path that a version recorded lies now; see `Registry.remap`."""
        return self._remaps.moved(path)

    def remaps(self) -> "tuple[Remap, ...]":
        """The remaps in force, by prefix."""
        return self._remaps.all()

    def _record(self, name: ArtifactName, manifest: Manifest) -> Record:
        key = (manifest.name, manifest.version)
        record = self._records.get(key)
        if record is None:
            if len(self._records) >= REMEMBERED_MAX:
                self._records.clear()
            record = self._records[key] = self.record(manifest)
        spelt = manifest.semantic_name
        knows_spelling = manifest.format_version > 0
        if knows_spelling and name.semantic not in (spelt, name.key):
            raise ArtifactNotFoundError(
                name.semantic,
                f"Artifact not found: {name.semantic} in {self.root}; its key {name.key} belongs to {spelt}",
            )
        return record

    # -- what there is -------------------------------------------------------------------------------------

    def get(self, name: str) -> "Entry | None":
        """What there is of a name, or None; of its versions only the latest one is read."""
        from nemotron.kit.registry.records import Entry

        key = ArtifactName.parse(name).key
        newest, latest = self._versions.newest_and_latest(key)
        if not newest:
            return None
        shown = latest or next(
            (m for n in range(newest, 0, -1) if (m := self._versions.read_whole(key, n))), None
        )
        return Entry(
            name=key,
            semantic_name=shown.semantic_name if shown else key,
            latest=latest.version if latest else None,
            versions=self._versions.living_numbers(key, latest.version if latest else 0),
            type=shown.type if shown else None,
            aliases=self._aliases.all(key),
        )

    def list(self) -> "list[Entry]":
        """All names, sorted."""
        return [entry for name in self._versions.names() if (entry := self._get_whole(name))]

    def _get_whole(self, name: str) -> "Entry | None":
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

    def aliases(self, name: str) -> dict[str, int]:
        """Each alias of a name and the version it points at."""
        return self._aliases.all(ArtifactName.parse(name).key)

    def alias_log(self, name: str, alias: str) -> "builtins.list[AliasMove]":
        """Every move of an alias, oldest first."""
        return self._aliases.log(ArtifactName.parse(name).key, Alias(alias))

    # -- what to say when it is not there ------------------------------------------------------------------

    def _withdrawn(self, name: ArtifactName, number: int) -> WithdrawnError:
        from nemotron.kit.registry.absence import withdrawn

        return withdrawn(self._versions, name, number)

    def _not_found(self, name: ArtifactName, selector: Version | Alias | None) -> KitError:
        from nemotron.kit.registry.absence import not_found

        return not_found(self._versions, self._aliases, name, selector)
