"""What is wrong with the content of one version, by looking at sizes and times alone."""

import os
from collections.abc import Callable, Container, Iterator
from functools import partial

from nemotron.kit.documents import codec
from nemotron.kit.documents.alias import Tombstone
from nemotron.kit.documents.manifest import Manifest
from nemotron.kit.documents.tree import Entry, Tree
from nemotron.kit.errors import CorruptError
from nemotron.kit.registry import layout, newer_stats, objects
from nemotron.kit.registry.companions import companion
from nemotron.kit.registry.findings import Finding, some
from nemotron.kit.registry.listed import Listed
from nemotron.kit.registry.mending import bring_back, bring_back_listing
from nemotron.kit.registry.records import Record
from nemotron.kit.registry.registry import Registry
from nemotron.kit.registry.trees import read_tree
from nemotron.kit.store.files import looked_at
from nemotron.kit.store.protocol import Store


class Checkup:
    """Looks at the content of versions; remembers which blobs it has seen.

    Args:
        registry: the store.

    Attributes:
        listed: what a far store has.
    """

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._store = registry.store
        self.listed = Listed(registry.store)
        self._blobs: dict[str, int | None] = {}
        self._aside: set[str] = set()

    @property
    def digests(self) -> Container[str]:
        """Those of all contents that it has looked for."""
        return self._blobs.keys()

    def version(self, manifest: Manifest) -> Iterator[Finding]:
        """What is wrong with a version; of a withdrawn one nothing is asked but its reason."""
        key = layout.tombstone(manifest.name, manifest.version)
        where = f"{self._registry.root}/{key}"
        if (data := self._store.read(key)) is not None:
            try:
                Tombstone.from_bytes(data, where)
            except CorruptError as error:
                fix = "nothing: the version stays withdrawn, its reason is lost"
                yield Finding(kind="damaged_tombstone", where=where, what=str(error), fix=fix)
            return
        key = layout.metadata(manifest.name, manifest.version)
        if manifest.write_id and not self._store.exists(key):  # older tools wrote none, or others
            yield Finding(
                kind="missing_companion",
                where=f"{self._registry.root}/{key}",
                what="missing: readers that know no manifests don't find this version",
                fix="nothing, if only the kit reads this store; --repair writes it anew",
                level="note",
                remedy=partial(_write_companion, self._store, manifest),
            )
        yield from newer_stats.findings(self._store, manifest.name, manifest.version)
        record = self._registry.record(manifest)
        try:
            tree = read_tree(self._store, manifest)
        except CorruptError as error:
            fix = "restore it from a backup, or publish the data again"
            yield Finding(kind="damaged_tree", where=record.uri, what=str(error), fix=fix)
            return
        yield from self._listing_aside(record)
        yield from self._snapshot(record, tree) if record.is_snapshot else self._reference(record)

    def _snapshot(self, record: Record, tree: Tree | None) -> Iterator[Finding]:
        files = [entry for entry in tree.entries if entry.is_file] if tree else []
        lost = [e for e in files if e.digest is None or self._size(e.digest) not in (-1, e.size)]
        aside = [e for e in files if e.digest in self._aside and e not in lost]
        if tree is None or lost:
            paths = [entry.path for entry in lost]
            yield Finding(
                kind="missing_content",
                where=record.uri,
                what=f"the store's copy is missing or of another size: {some(paths) or 'its listing'}",
                fix="--repair looks for it where it was taken from; else restore .kit/blobs from a backup",
                remedy=partial(bring_back, self._store, record, lost, is_damaged=self._is_cut)
                if tree
                else None,
            )
        if aside:
            yield self._set_aside(
                record, some([e.path for e in aside]), partial(bring_back, self._store, record, aside)
            )

    def _set_aside(self, record: Record, what: str, remedy: Callable[[], str]) -> Finding:
        return Finding(
            kind="set_aside",
            where=record.uri,
            what=f"in the trash, where readers find it: {what}",
            fix="nothing: the next run of gc puts it back; --repair does it now",
            level="note",
            remedy=remedy,
        )

    def _listing_aside(self, record: Record) -> Iterator[Finding]:
        digest = record.manifest.content.tree if record.manifest.content else None
        if digest is None or self.listed.find(layout.TREES, key := layout.tree(digest)):
            return
        if not self._store.exists(key):
            remedy = partial(bring_back_listing, self._store, key)
            yield self._set_aside(record, "its listing of files", remedy)

    def _size(self, digest: str) -> int | None:
        """The size of a blob; -1 where it can't be told, None where there is none."""
        if digest not in self._blobs:
            found = self.listed.find(layout.BLOBS, layout.blob(digest))
            self._blobs[digest] = self._asked_for(digest) if found is None else found.size
        return self._blobs[digest]

    def _asked_for(self, digest: str) -> int | None:
        if (key := objects.locate(self._store, layout.blob(digest))) is None:
            return None
        if key.startswith(layout.TRASH):
            self._aside.add(digest)
        if (path := self._store.local_path(key)) is None:
            return -1
        return os.path.getsize(path) if os.path.isfile(path) else None

    def _is_cut(self, entry: Entry) -> bool:
        """Whether a far store has something of another size in the place of a content."""
        found = self.listed.find(layout.BLOBS, layout.blob(entry.digest)) if entry.digest else None
        return found is not None and found.size != entry.size

    def _reference(self, record: Record) -> Iterator[Finding]:
        if record.is_at_url:
            return
        if looked_at(record.path, follow_links=False) is None:
            version = f"{record.name}:v{record.version}"
            yield Finding(
                kind="missing_data",
                where=record.uri,
                what=f"its data is gone: no {record.path}",
                fix="where it was moved, say so: nemotron kit remap OLD NEW; else put it back, or withdraw "
                f"the version: nemotron kit rm {version} -m WHY",
            )
            return
        found = self._registry.check(record)
        drifted = [f"{d.path} ({d.verdict})" for d in found if d.verdict != "touched"]
        if drifted and (latest := self._published_since(record)) is not None:
            yield Finding(
                kind="drifted",
                where=record.uri,
                what=f"its folder was published again as v{latest}, with {some(drifted)} in {record.folder}",
                fix=f"nothing; or withdraw it, as what it was is gone: nemotron kit rm {record.name}:"
                f"v{record.version} -m WHY",
                level="note",
            )
        elif drifted:
            yield Finding(
                kind="drifted",
                where=record.uri,
                what=f"not what was published any more: {some(drifted)} in {record.folder}",
                fix="publish what is there now as the next version, or restore the files",
            )
        elif found:
            yield Finding(
                kind="touched",
                where=record.uri,
                what=f"same sizes, other times: {some([d.path for d in found])} in {record.folder}",
                fix="nothing, if the bytes are the same",
                level="note",
            )

    def _published_since(self, record: Record) -> int | None:
        """The latest version, if that is a later one of the same place."""
        latest = self._registry.resolve(record.name)
        is_later = latest.version > record.version and not latest.is_snapshot
        return latest.version if is_later and latest.path == record.path else None


def _write_companion(store: Store, manifest: Manifest) -> str:
    record = Record(manifest, store.url)
    key = layout.metadata(manifest.name, manifest.version)
    store.replace(key, codec.encode(companion(record, record.folder)))
    return "written anew"
