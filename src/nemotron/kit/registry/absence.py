"""What to say when something is not there: what there is instead, and what was perhaps meant."""

from nemotron.kit.documents import moments
from nemotron.kit.documents.alias import Tombstone
from nemotron.kit.errors import (
    ArtifactNotFoundError,
    ArtifactVersionNotFoundError,
    CorruptError,
    NotFoundError,
    WithdrawnError,
)
from nemotron.kit.names import LATEST, ArtifactName, Selector, near
from nemotron.kit.registry.aliases import Aliases
from nemotron.kit.registry.versions import Versions


def withdrawn(versions: Versions, name: ArtifactName, number: int) -> WithdrawnError:
    """The error for a withdrawn version, with who withdrew it, when and why."""
    try:
        stone = versions.withdrawal(name.key, number)
    except CorruptError as error:
        stone = Tombstone(reason=f"(the reason can't be read: {error})")
    why = f" by {stone.withdrawn_by} at {moments.shown(stone.withdrawn_at)}: {stone.reason}" if stone else ""
    return WithdrawnError(name.key, f"v{number}", f"Artifact version withdrawn: {name.key}:v{number}{why}")


def not_found(
    versions: Versions, aliases: Aliases, name: ArtifactName, selector: Selector | None
) -> NotFoundError:
    """The error for a name, version or alias that is not there."""
    root = versions.store.url
    newest = versions.newest(name.key)
    if newest and selector in (None, LATEST):
        reason = "every version of it is withdrawn or damaged"
        return ArtifactVersionNotFoundError(
            name.semantic, "latest", f"Artifact version not found: {name}:latest in {root}: {reason}"
        )
    if newest:
        pointing = aliases.all(name.key)
        known = [f"v1 to v{newest}" if newest > 1 else "v1", *pointing]
        meant = near(str(selector), pointing)
        return ArtifactVersionNotFoundError(
            name.semantic,
            str(selector),
            f"Artifact version not found: {name}:{selector} in {root}; there is {', '.join(known)}"
            + (f"; did you mean {meant[0]}?" if meant else ""),
        )
    names = versions.names()
    meant = near(name.key, names, 3)
    others = f"it holds {len(names)} other artifact{'' if len(names) == 1 else 's'}"
    hint = f"did you mean {' or '.join(meant)}?" if meant else others
    if not names:
        empty = "nothing was published there yet; is it the right root?"
        hint = "it holds no artifacts" if versions.store.list() else empty
    return ArtifactNotFoundError(name.semantic, f"Artifact not found: {name} in {root}; {hint}")
