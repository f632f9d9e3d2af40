"""`ls`, `versions`, `show`: what there is."""

from typing import TYPE_CHECKING

from nemotron.kit.cli.options import Json, Quiet, Ref, Root, session
from nemotron.kit.documents.alias import Tombstone
from nemotron.kit.errors import (
    ArtifactNotFoundError,
    CorruptError,
    MisuseError,
    PathNotFoundError,
    WithdrawnError,
)
from nemotron.kit.names import near

if TYPE_CHECKING:
    from nemotron.kit.registry.records import Entry, Record
    from nemotron.kit.registry.registry import Registry


def ls(root: Root = None, as_json: Json = False, quiet: Quiet = False) -> None:
    """List the artifacts of a store."""
    from nemotron.kit.console.views import EntriesView

    registry, output = session(root, as_json, quiet)
    entries = registry.list()
    if not entries:
        refuse_missing(registry)
    if not entries and output.human:
        output.note(f"No artifacts in {registry.root}. Publish one: nemotron kit register PATH --name NAME")
        return
    output.show(EntriesView(entries))


def versions(ref: Ref, root: Root = None, as_json: Json = False, quiet: Quiet = False) -> None:
    """List the versions of an artifact, the newest last; withdrawn ones are marked.

    With a version or an alias in REF, that one alone.
    """
    from nemotron.kit.console.views import Listed, VersionsView
    from nemotron.kit.names import ArtifactRef
    from nemotron.kit.registry.versions import Versions

    registry, output = session(root, as_json, quiet)
    asked = ArtifactRef.parse(ref)
    only = None if asked.selector is None else shown(registry, ref)[0].version
    registry.versions(asked.name.semantic)  # says what there is, if there is no such name
    entry = registry.get(asked.name.semantic)
    assert entry is not None
    known = Versions(registry.store)
    listed = [
        Listed(registry.record(manifest), pointing(entry, number), known.withdrawal(entry.name, number))
        for number in range(1, known.newest(entry.name) + 1)
        if only in (None, number) and (manifest := known.read_whole(entry.name, number))
    ]
    output.show(VersionsView(listed))


def show(ref: Ref, root: Root = None, as_json: Json = False, quiet: Quiet = False) -> None:
    """Show all there is to know about a version; of a withdrawn one also who withdrew it, and why."""
    from nemotron.kit.console.version import VersionView
    from nemotron.kit.registry.checkouts import laid_out

    registry, output = session(root, as_json, quiet)
    record, stone = shown(registry, ref)
    entry = registry.get(record.name)
    if entry is None:
        raise ArtifactNotFoundError(record.name)
    folders = tuple(laid_out(registry.store, record)) if record.is_snapshot else ()
    output.show(VersionView(record, pointing(entry, record.version), stone, folders))


def shown(registry: "Registry", ref: str) -> "tuple[Record, Tombstone | None]":
    """The version that a reference names, and why it is withdrawn, if it is.

    Raises:
        MisuseError: the reference names a file inside it.
        NotFoundError: there is none.
    """
    from nemotron.kit.names import Version
    from nemotron.kit.registry.versions import Versions

    try:
        return version(registry, ref), None
    except WithdrawnError as error:
        known, number = Versions(registry.store), Version.parse(str(error.version)).number
        manifest = known.read_whole(error.name, number)
        if manifest is None:
            raise
        try:
            stone = known.withdrawal(error.name, number)
        except CorruptError as problem:
            stone = Tombstone(reason=f"(the reason can't be read: {problem})")
        return registry.record(manifest), stone


def refuse_missing(registry: "Registry") -> None:
    """See that the root of a store that shows nothing is there at all.

    Raises:
        PathNotFoundError: it is not; an empty folder is a store where nothing was published yet.
    """
    folder = registry.store.local_path("any")
    if folder is None or folder.parent.is_dir():
        return
    root = folder.parent
    beside = [child.name for child in root.parent.iterdir()] if root.parent.is_dir() else []
    meant = near(root.name, beside)
    hint = f"Did you mean {root.parent / meant[0]}? Else it" if meant else "It"
    raise PathNotFoundError(
        f"No store at {root}: there is no such folder. {hint} will be made by the first publish"
    )


def version(registry: "Registry", ref: str) -> "Record":
    """The version that a reference names.

    Raises:
        MisuseError: the reference names a file inside it.
        NotFoundError: there is none.
    """
    record, inside = registry.find(ref)
    if inside:
        raise MisuseError(
            f"{ref} names {inside} inside {record.uri}; name the artifact alone, or `nemotron kit resolve` it"
        )
    return record


def pointing(entry: "Entry", number: int) -> tuple[str, ...]:
    """What points at a version: `latest` and the aliases."""
    latest = ("latest",) if entry.latest == number else ()
    return (*latest, *(alias for alias, target in entry.aliases.items() if target == number))
