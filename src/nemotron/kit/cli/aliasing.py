"""`alias`, `aliases`, `alias-log`: names that move from version to version."""

from typing import Annotated

import typer

from nemotron.kit.cli.listing import version
from nemotron.kit.cli.options import AliasName, Json, Name, Quiet, Ref, Root, Why, session
from nemotron.kit.errors import ArtifactNotFoundError, ArtifactVersionNotFoundError
from nemotron.kit.names import ArtifactName


def alias(
    ref: Ref,
    alias: AliasName,
    why: Why = None,
    if_current: Annotated[
        str | None,
        typer.Option(
            "--if-current",
            metavar="vN",
            help="Move it only if it points at this version now.",
            show_default=False,
        ),
    ] = None,
    root: Root = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Point an alias at a version.

    Example: nemotron kit alias my-model:v7 production -m "best on the held-out set" --if-current v5
    """
    from nemotron.kit.console.views import DoneView

    registry, output = session(root, as_json, quiet)
    record = version(registry, ref)
    before = registry.aliases(record.name).get(alias)
    move = registry.alias(record.name, alias, record.version, why=why, if_current=if_current)
    said = f"{record.name}:{alias} → v{move.version}"
    if before == record.version:
        said += "  (as before)"
    elif move.previous:
        said += f"  (was v{move.previous})"
    extra = {
        "alias": alias,
        "previous": move.previous,
        "moved": before != record.version,
        "moved_at": move.moved_at,
        "moved_by": move.moved_by,
        "why": move.why,
    }
    output.show(DoneView(record, said, extra))


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
