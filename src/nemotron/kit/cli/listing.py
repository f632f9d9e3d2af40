"""`ls`, `versions`, `show`: what there is."""

from typing import TYPE_CHECKING

from nemotron.kit.cli.options import Json, Quiet, Ref, Root, session
from nemotron.kit.errors import ArtifactNotFoundError, MisuseError

if TYPE_CHECKING:
    from nemotron.kit.registry.records import Entry, Record
    from nemotron.kit.registry.registry import Registry


def ls(root: Root = None, as_json: Json = False, quiet: Quiet = False) -> None:
    """List the artifacts of a store."""
    from nemotron.kit.console.views import EntriesView

    registry, output = session(root, as_json, quiet)
    entries = registry.list()
    if not entries and output.human:
        output.note(f"No artifacts in {registry.root}. Publish one: nemotron kit register PATH --name NAME")
        return
    output.show(EntriesView(entries))


def versions(ref: Ref, root: Root = None, as_json: Json = False, quiet: Quiet = False) -> None:
    """List the versions of an artifact, the newest last; withdrawn ones are marked."""
    from nemotron.kit.console.views import Listed, VersionsView
    from nemotron.kit.names import ArtifactRef
    from nemotron.kit.registry.records import Record
    from nemotron.kit.registry.versions import Versions

    registry, output = session(root, as_json, quiet)
    name = ArtifactRef.parse(ref).name
    registry.versions(name.semantic)  # says what there is, if there is no such name
    entry = registry.get(name.semantic)
    assert entry is not None
    known = Versions(registry.store)
    listed = [
        Listed(Record(manifest, registry.root), pointing(entry, number), known.withdrawal(entry.name, number))
        for number in range(1, known.newest(entry.name) + 1)
        if (manifest := known.read_whole(entry.name, number))
    ]
    output.show(VersionsView(listed))


def show(ref: Ref, root: Root = None, as_json: Json = False, quiet: Quiet = False) -> None:
    """Show all there is to know about a version."""
    from nemotron.kit.console.views import VersionView

    registry, output = session(root, as_json, quiet)
    record = version(registry, ref)
    entry = registry.get(record.name)
    if entry is None:
        raise ArtifactNotFoundError(record.name)
    output.show(VersionView(record, pointing(entry, record.version)))


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
