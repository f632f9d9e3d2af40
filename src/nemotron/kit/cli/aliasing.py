"""`alias`, `aliases`, `alias-log`: names that move from version to version."""

from typing import TYPE_CHECKING, Annotated

import typer

from nemotron.kit.cli.listing import version
from nemotron.kit.cli.options import AliasName, Json, Name, Quiet, Ref, Root, Why, session
from nemotron.kit.errors import ArtifactNotFoundError, ArtifactVersionNotFoundError, MisuseError
from nemotron.kit.names import ArtifactName, ArtifactRef, Version

if TYPE_CHECKING:
    from nemotron.kit.documents.alias import AliasMove
    from nemotron.kit.registry.registry import Registry


IfCurrent = Annotated[
    str | None,
    typer.Option(
        "--if-current",
        metavar="vN",
        help="Move it only if it points at this version now.",
        show_default=False,
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Move it although it is protected.")]
Protect = Annotated[
    bool | None,
    typer.Option(
        "--protect/--unprotect",
        help="From now on, have it moved with --force only, or lift that.",
        show_default=False,
    ),
]
Rollback = Annotated[bool, typer.Option("--rollback", help="Take its last move back; REF is the name alone.")]


def alias(
    ref: Ref,
    alias: AliasName,
    why: Why = None,
    if_current: IfCurrent = None,
    force: Force = False,
    protect: Protect = None,
    rollback: Rollback = False,
    root: Root = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Point an alias at a version, protect it, or take its last move back.

    Example: nemotron kit alias my-model:v7 production -m "best on the held-out set" --if-current v5
    """
    from nemotron.kit.console.views import DoneView

    registry, output = session(root, as_json, quiet)
    if rollback:
        before, move = _take_back(registry, ref, alias, why, force, if_current, protect)
        record = registry.resolve(ArtifactRef(ArtifactRef.parse(ref).name, Version(move.version)))
    else:
        record = version(registry, ref)
        before = registry.aliases(record.name).get(alias)
        move = registry.alias(
            record.name, alias, record.version, why=why, if_current=if_current, force=force, protect=protect
        )
    said = f"{record.name}:{alias} → v{move.version}"
    if before == record.version:
        said += "  (as before)"
    elif move.previous:
        said += f"  (was v{move.previous})"
    if move.protected or protect is not None:
        said += "  protected" if move.protected else "  not protected any more"
    extra = {
        "alias": alias,
        "previous": move.previous,
        "moved": before != record.version,
        "moved_at": move.moved_at,
        "moved_by": move.moved_by,
        "protected": move.protected,
        "why": move.why,
    }
    output.show(DoneView(record, said, extra))


def _take_back(
    registry: "Registry",
    ref: str,
    alias: str,
    why: str | None,
    force: bool,
    if_current: str | None,
    protect: bool | None,
) -> tuple[int | None, "AliasMove"]:
    """Where an alias was, and the move that took its last one back."""
    parsed = ArtifactRef.parse(ref)
    if parsed.selector is not None or parsed.inside:
        raise MisuseError(f"With --rollback the log says which version: give the name alone, {parsed.name}")
    if if_current is not None or protect is not None:
        raise MisuseError("--rollback goes with neither --if-current nor --protect")
    name = str(parsed.name)
    before = registry.aliases(name).get(alias)
    return before, registry.rollback(name, alias, why=why, force=force)


def aliases(name: Name, root: Root = None, as_json: Json = False, quiet: Quiet = False) -> None:
    """List the aliases of an artifact, and where each points."""
    from nemotron.kit.console.views import AliasesView

    registry, output = session(root, as_json, quiet)
    entry = registry.get(name)
    if entry is None:
        registry.versions(name)  # says which names are near
        raise ArtifactNotFoundError(name)
    if not entry.aliases and output.human:
        output.note(f"{entry.name} has no aliases. Set one: nemotron kit alias {entry.name}:vN ALIAS")
        return
    output.show(AliasesView(entry.name, entry.aliases))


def alias_log(
    name: Name, alias: AliasName, root: Root = None, as_json: Json = False, quiet: Quiet = False
) -> None:
    """Show every move of an alias: when, from where to where, by whom and why."""
    from nemotron.kit.console.views import MovesView

    registry, output = session(root, as_json, quiet)
    moves = registry.alias_log(name, alias)
    key = ArtifactName.parse(name).key
    if not moves:
        known = ", ".join(registry.aliases(name)) or "none"
        registry.versions(name)  # there may be no such name at all
        message = f"Artifact version not found: {key}:{alias} in {registry.root}; its aliases: {known}"
        raise ArtifactVersionNotFoundError(key, alias, message)
    output.show(MovesView(key, alias, moves))
