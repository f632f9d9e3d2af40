"""What is wrong with a store, by looking alone; and, if asked to, repairing what is derived: no commit."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from nemotron.kit.documents import codec
from nemotron.kit.documents.manifest import Manifest
from nemotron.kit.errors import CorruptError, FormatTooNewError, InvalidNameError, KitError
from nemotron.kit.names import LATEST, Alias, ArtifactName, is_alias
from nemotron.kit.registry import layout, leftovers, probing, unused
from nemotron.kit.registry.aliases import Aliases
from nemotron.kit.registry.checkup import Checkup
from nemotron.kit.registry.findings import Finding, said_of
from nemotron.kit.registry.flags import check_flags
from nemotron.kit.registry.garbage import command
from nemotron.kit.registry.registry import Registry
from nemotron.kit.registry.versions import Versions

_OWN_FILES = frozenset({"manifest.json", "metadata.json", "tombstone.json"})


def examine(
    registry: Registry,
    *,
    probe: bool = False,
    repair: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> list[Finding]:
    """Look a store over.

    Args:
        registry: the store.
        probe: also find out whether a small object can be created, and exclusively, and what the store's
            clock says; it is taken away again.
        repair: do something about what is derived, or can be had elsewhere: hints, companions, contents that
            are in the trash or where they were taken from, temporary files that nobody has written to for
            two days. No commit is touched.
        progress: told how many names are done, and of how many.

    Raises:
        KitError: the root can't be looked at.

    >>> import tempfile
    >>> examine(Registry.open(tempfile.mkdtemp()))
    []
    """
    check_flags(probe=probe, repair=repair)
    doctor = _Doctor(registry)
    found = list(doctor.findings(probe, progress or (lambda done, total: None)))
    return [_repaired(finding) for finding in found] if repair else found


def _repaired(finding: Finding) -> Finding:
    if finding.remedy is None:
        return finding
    try:
        return replace(finding, repaired=finding.remedy())
    except KitError as error:
        return replace(finding, fix=f"by hand: {error}")


class _Doctor:
    def __init__(self, registry: Registry) -> None:
        self.registry = registry
        self.store = registry.store
        self.versions = Versions(registry.store)  # its own, which has nothing remembered
        self.aliases = Aliases(registry.store, self.versions.older)
        self.checkup = Checkup(registry)
        # Something could not be read that may name contents.
        self.is_unsure = False

    def findings(self, probe: bool, progress: Callable[[int, int], None]) -> Iterator[Finding]:
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
        yield from (finding for name in children if name not in names for finding in self._other(name))
        for done, name in enumerate(names):
            progress(done, len(names))
            yield from self._guarded(name, self._name(name))
        progress(len(names), len(names))
        yield from self._guarded(".kit", self._own_folders())
        if not self.is_unsure:
            contents = unused.findings(self.store, self.checkup.digests, self.checkup.listed)
            yield from self._guarded(layout.BLOBS, contents)
        if probe:
            yield from probing.probe(self.store)

    def _where(self, key: str) -> str:
        return f"{self.registry.root}/{key}"

    def _root_exists(self) -> bool:
        path = self.store.local_path(layout.FORMAT)
        return path is None or os.path.isdir(path.parent.parent)

    def _guarded(self, key: str, findings: Iterable[Finding]) -> Iterator[Finding]:
        """The findings; an error on the way is one more, and the rest of the store is still looked at."""
        try:
            yield from findings
        except KitError as error:
            self.is_unsure = True
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
            yield Finding(kind="damaged_format", where=where, what=said_of(error, where), fix=fix)
            return
        if data is None:
            if has_names:
                yield Finding(
                    kind="missing_format",
                    where=where,
                    what="the root has folders and no format file; an earlier tool may have made it",
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

    def _other(self, name: str) -> Iterator[Finding]:
        if name == layout.OLDER_INDEX:
            yield Finding(
                kind="older_index",
                where=self._where(name),
                what="an earlier tool's index; its versions are read, and new ones continue their numbers",
                fix="nothing, as long as nobody publishes with the earlier tool any more",
                level="note",
            )
        elif name != ".kit":
            yield self._foreign(name, "it is not the name of an artifact")

    def _foreign(self, key: str, why: str) -> Finding:
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
            yield self._foreign(name, "it is a file")
            return
        children = sorted(self.store.list(name))
        older = self.versions.older.numbers(name)
        numbers = sorted({n for child in children if (n := layout.version_number(child))} | older)
        if not numbers:
            yield self._foreign(name, "a folder without versions")
            return
        known = {f"v{n}" for n in numbers} | {"latest", "aliases"}
        yield from (
            self._foreign(f"{name}/{child}", "unknown here") for child in children if child not in known
        )
        yield from self._hidden(name)
        manifests: dict[int, Manifest] = {}
        for number in numbers:
            yield from self._guarded(f"{name}/v{number}", self._version(name, number, manifests))
        taken = [n for n in numbers if self.versions.taken(name, n)]
        if taken:
            yield from self._gaps(name, taken)
            yield from self._spellings(name, manifests)
            yield from self._hint(name, taken[-1], manifests)
        for alias in sorted(self.store.list(layout.aliases(name))):
            yield from self._guarded(f"{name}/aliases/{alias}", self._alias(name, alias))

    def _is_folder(self, key: str) -> bool:
        path = self.store.local_path(key)
        return path is None or os.path.isdir(path)

    def _version(self, name: str, number: int, manifests: dict[int, Manifest]) -> Iterator[Finding]:
        folder = f"{name}/v{number}"
        children = set(self.store.list(folder))
        if number not in self.versions.older.numbers(name):  # what lies in its folder is an earlier tool's
            yield from self._hidden(folder)
        try:
            manifest = self.versions.read(name, number)
        except FormatTooNewError as error:
            self.is_unsure = True
            fix = "upgrade nemotron-kit"
            yield Finding(kind="too_new", where=self._where(folder), what=str(error), fix=fix)
            return
        except CorruptError as error:
            self.is_unsure = True
            where = self._where(layout.manifest(name, number))
            yield Finding(
                kind="damaged_manifest",
                where=where,
                what=f"{said_of(error, where)}. Its number stays taken, the version can't be used",
                fix="restore the file from a backup, or publish again",
            )
            return
        if manifest is None and "manifest.json" in children:
            yield Finding(
                kind="unreadable_manifest",
                where=self._where(layout.manifest(name, number)),
                what="it is no manifest of a version: a file of the user's own, or an older tool's without "
                "name, version or path; the version can't be used",
                fix="if it should be one, restore it from a backup; else nothing",
                level="note",
            )
            return
        if manifest is None:
            yield Finding(
                kind="empty_version",
                where=self._where(folder),
                what=f"a folder without a manifest: {'files of another tool' if children else 'empty'}",
                fix="nothing: it is no version",
                level="note",
            )
            return
        manifests[number] = manifest
        # Versions of earlier tools have their data here; the kit's have three files at most.
        foreign = sorted(children - _OWN_FILES) if manifest.write_id else []
        yield from (self._foreign(f"{folder}/{child}", "unknown here") for child in foreign)
        for finding in self.checkup.version(manifest):
            self.is_unsure |= finding.kind == "damaged_tree"
            yield finding

    def _gaps(self, name: str, taken: list[int]) -> Iterator[Finding]:
        first = self.versions.older.highest(name) + 1  # older tools left gaps, and no harm is in them
        for number in sorted(set(range(first, taken[-1])).difference(taken)):
            yield Finding(
                kind="gap",
                where=self._where(f"{name}/v{number}"),
                what=f"v{number} is missing below v{taken[-1]}: a search for the newest may stop here",
                fix="restore it from a backup; a version is withdrawn with `nemotron kit rm`, never deleted",
            )

    def _spellings(self, name: str, manifests: dict[int, Manifest]) -> Iterator[Finding]:
        spellings = sorted({manifest.semantic_name for manifest in manifests.values()})
        if len(spellings) > 1:
            yield Finding(
                kind="name_conflict",
                where=self._where(name),
                what=f"its versions are spelt differently: {', '.join(spellings)}",
                fix="publish under one of them only",
            )

    def _hint(self, name: str, newest: int, manifests: dict[int, Manifest]) -> Iterator[Finding]:
        data = self.store.read(layout.latest(name))
        if data is None and newest in self.versions.older.numbers(name):
            return  # not every older tool wrote one
        alive = next(
            (n for n in sorted(manifests, reverse=True) if not self.versions.is_withdrawn(name, n)), newest
        )
        said = None if data is None else data[:32].decode("ascii", "replace").strip()
        if said not in (f"v{newest}", f"v{alive}"):
            shown = "is missing" if said is None else f"says {said!r}"
            # A crash between a commit and its hint leaves this: nobody needs to do anything about it.
            is_stale = said is None or layout.version_number(said) in manifests
            yield Finding(
                kind="wrong_latest",
                where=self._where(layout.latest(name)),
                what=f"it {shown}, the newest version is v{newest}; "
                "the kit looks further, other readers don't",
                fix="nothing: the next publish writes it anew, and so does --repair",
                level="note" if is_stale else "problem",
                remedy=partial(self._write_hint, name, alive),
            )

    def _write_hint(self, name: str, number: int) -> str:
        self.store.replace(layout.latest(name), f"v{number}".encode())
        return f"it says v{number} now"

    def _alias(self, name: str, alias: str) -> Iterator[Finding]:
        key = layout.alias_log(name, alias)
        if not self._is_folder(key) or not is_alias(alias) or alias == LATEST.name:
            yield self._foreign(key, "not the log of an alias")
            return
        yield from self._hidden(key)
        if error := self.aliases.damage(name, Alias(alias)):
            fix = "move the alias again, which adds an entry; the damaged one is stepped over"
            yield Finding(kind="damaged_alias", where=self._where(key), what=str(error), fix=fix)
            return
        move = self.aliases.current(name, Alias(alias))
        if move is None:
            return
        exists = self.versions.taken(name, move.version)
        if not exists or self.versions.is_withdrawn(name, move.version):
            yield Finding(
                kind="dangling_alias",
                where=f"art://{name}:{alias}",
                what=f"it points at v{move.version}, which {'is withdrawn' if exists else 'does not exist'}",
                fix=f"move it: nemotron kit alias {name}:vN {alias}",
            )

    # -- leftovers -----------------------------------------------------------------------------------------

    def _hidden(self, key: str) -> Iterator[Finding]:
        return leftovers.findings(self.store, key)

    def _failed_sync(self) -> Iterator[Finding]:
        if until_ns := self.store.doubtful_until():
            until = datetime.fromtimestamp(until_ns / 1e9, UTC)
            yield Finding(
                kind="failed_sync",
                where=self._where(".kit/doubtful"),
                what=f"the disk did not keep all that was written here until {until:%Y-%m-%d %H:%M} UTC; "
                "snapshots since then rely on none of it but what versions name",
                fix="nothing here: what versions name was on the disk before. See what the system says of "
                "the disk (dmesg); `nemotron kit verify NAME --evidence full` after a restart reads all. "
                f"This is said until {command(self.registry.root)}, run twice, an hour apart, has freed what "
                "no version names of it",
                level="note",
            )

    def _own_folders(self) -> Iterator[Finding]:
        yield from self._failed_sync()
        yield from self._hidden(".kit")
        yield from self._hidden(".kit/staging")
        for parent in (".kit/journal", ".kit/trees", ".kit/checkouts"):
            for child in sorted(self.store.list(parent)):
                yield from self._hidden(f"{parent}/{child}")
        for name in sorted(self.store.list(".kit/checkouts")):
            for child in sorted(self.store.list(f".kit/checkouts/{name}")):
                if ".changed-" in child:
                    yield Finding(
                        kind="changed_checkout",
                        where=self._where(f".kit/checkouts/{name}/{child}"),
                        what="somebody changed files of a snapshot's folder; they were set aside",
                        fix="publish them if they matter, else delete the folder",
                        level="note",
                    )


def _is_key(name: str) -> bool:
    try:
        return ArtifactName.parse(name).key == name
    except InvalidNameError:
        return False
