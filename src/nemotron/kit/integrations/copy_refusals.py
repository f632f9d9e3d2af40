"""What a copy out of an artifact refuses, before it begins or when it turns out not to be whole."""

import os
from collections.abc import Mapping, Sequence

from nemotron.kit.documents.tree import Entry
from nemotron.kit.errors import ConflictError, DriftError, MisuseError
from nemotron.kit.integrations.place import Place
from nemotron.kit.integrations.walking import Item
from nemotron.kit.registry.records import Record
from nemotron.kit.registry.scan import leaves

NAMED_MAX = 5


def refuse_no_path(to: str) -> None:
    """Refuse what names no place on this machine."""
    if not to or "\x00" in to or "://" in to:
        raise MisuseError(f"Not a path of this machine: {to!r}. For the folder you are in write .")


def refuse_onto_itself(place: Place, target: str) -> None:
    """Refuse where what is copied is what it would be copied to."""
    if place.record.is_snapshot or place.record.is_at_url:
        return
    source = os.path.join(place.registry.folder(place.record), place.inside)
    if os.path.realpath(source) == os.path.realpath(target):
        raise MisuseError(
            f"Nothing was copied: {target} is itself what {place.uri} refers to. Name another place"
        )


def refuse_into_itself(place: Place, folders: Sequence[str]) -> None:
    """Refuse where something would come into the very folder that the artifact refers to."""
    record = place.record
    if record.is_snapshot or record.is_at_url or record.scope == "file":
        return
    top = os.path.realpath(place.registry.folder(record))
    for folder in dict.fromkeys(folders):
        if not leaves(folder, top):
            raise MisuseError(
                f"Nothing was copied: {folder} lies in {top}, to which {record.uri} refers, and what comes "
                "there would change it. Name a place outside"
            )


def refuse_changed(place: Place, items: Sequence[Item], published: Mapping[str, Entry]) -> None:
    """Refuse what can't be what was published, before reading it."""
    changed = [
        f"{item.inside} has {item.size:,} bytes, expected {entry.size:,}"
        for item in items
        if (entry := published.get(item.inside)) and entry.is_file and item.link is None
        if entry.digest and entry.size != item.size
    ]
    if changed:
        more = f"; and {len(changed) - NAMED_MAX:,} more" if len(changed) > NAMED_MAX else ""
        raise DriftError(
            f"{place.record.uri} is not what was published: {'; '.join(changed[:NAMED_MAX])}{more}. "
            f"{instead(place.record)}"
        )


def instead(record: Record) -> str:
    """What to do about a reference that has changed."""
    return f"Nothing was copied. {way_out(record)}"


def way_out(record: Record) -> str:
    """How to get what was published after all."""
    return (
        f"Bring back what was published, or register what is in {record.folder} now as a new version and "
        f"copy that. `nemotron kit verify {record.name}:v{record.version}` names all that changed"
    )


def refuse_links_through_links(place: Place, missing: Sequence[Item], target: str) -> None:
    """Refuse to make a link where the folder is reached by a link: from there it may lead out of the copy."""
    top = os.path.realpath(target)
    for folder in dict.fromkeys(os.path.dirname(item.to) for item in missing if item.link is not None):
        if os.path.realpath(folder) != os.path.normpath(f"{top}/{os.path.relpath(folder, target)}"):
            raise ConflictError(
                f"Not overwritten: {folder} is a link, or is reached by one, and {place.uri} has "
                "a folder of links there, which would lead elsewhere; nothing was copied. Move it, or copy "
                "to another place"
            )


def refuse_to_overwrite(place: Place, missing: Sequence[Item], force: bool) -> None:
    """Refuse to replace what nobody said may be, and what a file or link never takes the place of."""
    differ = [item for item in missing if os.path.lexists(item.to)]
    for item in differ:
        if kept := _never_replaced(item):
            what = "file" if item.link is None else "link"
            raise ConflictError(
                f"Not overwritten: {item.to} is {kept}, and art://{item.name} a {what}; nothing was copied. "
                "Move it, or copy to another place"
            )
    if differ and not force:
        named = ", ".join(item.to for item in differ[:NAMED_MAX])
        more = f" and {len(differ) - NAMED_MAX} more" if len(differ) > NAMED_MAX else ""
        raise ConflictError(
            f"Not overwritten: {named}{more} {'differs' if len(differ) == 1 else 'differ'} from {place.uri}; "
            f"nothing was copied. To replace {'it' if len(differ) == 1 else 'them'} use --force"
        )


def _never_replaced(item: Item) -> str | None:
    """What is there that no file or link may take the place of; None if there is nothing of the kind."""
    if os.path.isdir(item.to) and not (item.link is not None and os.path.islink(item.to)):
        return "a folder"
    if os.path.exists(item.to) and not os.path.isfile(item.to) and not os.path.isdir(item.to):
        return "a device, a pipe or a socket"
    return None


def refuse_gaps(place: Place, absent: list[str]) -> None:
    """Let nobody take what was copied for all that was published."""
    below = f"{place.inside}/" if place.inside else ""
    gaps = [path for path in absent if path.startswith(below)]
    if gaps:
        more = f" and {len(gaps) - NAMED_MAX:,} more" if len(gaps) > NAMED_MAX else ""
        raise DriftError(
            f"{place.uri} is not complete: {', '.join(gaps[:NAMED_MAX])}{more} "
            f"{'is' if len(gaps) == 1 else 'are'} missing. What is there was copied. {way_out(place.record)}"
        )
