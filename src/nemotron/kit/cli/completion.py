"""What the shell proposes: the names, versions and aliases that the store has.

A completion has nobody to tell what went wrong: where the store can't be read there are no proposals.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from nemotron.kit.registry.registry import Registry

VERSIONS_SHOWN_MAX = 50
_PREFIX = "art://"


def refs(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """References: names, and behind a colon versions and aliases."""
    prefix = _PREFIX if incomplete.startswith(_PREFIX) else ""
    name, colon, _ = incomplete.removeprefix(_PREFIX).partition(":")
    if not colon:
        return [(f"{prefix}{found}", about) for found, about in names(ctx, name)]
    registry = _registry(ctx)
    return (
        [(f"{prefix}{name}:{text}", about) for text, about in _selectors(registry, name)] if registry else []
    )


def names(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Names: keys, or semantic ones once a slash was typed."""
    from nemotron.kit.errors import KitError
    from nemotron.kit.registry.versions import Versions

    registry = _registry(ctx)
    try:
        if registry is None:
            return []
        if "/" in incomplete:
            return [(entry.semantic_name, entry.type or "") for entry in registry.list()]
        return [(name, "") for name in Versions(registry.store).names()]
    except KitError:
        return []


def aliases(ctx: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """The aliases of the artifact that was named before."""
    from nemotron.kit.errors import KitError
    from nemotron.kit.names import ArtifactRef

    registry = _registry(ctx)
    text = ctx.params.get("ref") or ctx.params.get("name") or ""
    try:
        found = registry.aliases(ArtifactRef.parse(text).name.semantic) if registry and text else {}
    except KitError:
        return []
    return [(alias, f"v{version}") for alias, version in found.items()]


def _selectors(registry: "Registry", name: str) -> Iterator[tuple[str, str]]:
    from nemotron.kit.errors import KitError

    try:
        entry = registry.get(name)
    except KitError:
        return
    if entry is None:
        return
    yield "latest", f"v{entry.latest}" if entry.latest else ""
    yield from ((alias, f"v{version}") for alias, version in entry.aliases.items())
    yield from ((f"v{number}", "") for number in entry.versions[: -VERSIONS_SHOWN_MAX - 1 : -1])


def _registry(ctx: typer.Context) -> "Registry | None":
    from nemotron.kit.cli.roots import find_root
    from nemotron.kit.errors import KitError
    from nemotron.kit.registry.registry import Registry

    try:
        return Registry.open(find_root(ctx.params.get("root")))
    except KitError:
        return None


@contextmanager
def with_colons() -> Iterator[None]:
    """Let bash complete words with colons, which it hands over in pieces: `data`, `:`, `v`.

    Inside, the words are whole again; of the proposals only what stands behind the last colon is written,
    because that is the piece that bash replaces.
    """
    import io
    import shlex
    from contextlib import redirect_stdout

    try:
        words = shlex.split(os.environ.get("COMP_WORDS", ""))
        cursor = int(os.environ.get("COMP_CWORD", "0"))
    except ValueError:  # an open quote: left to Typer as it is
        yield
        return
    whole: list[str] = []
    for index, word in enumerate([*words, ""][: cursor + 1]):
        if whole and (word == ":" or words[index - 1] == ":"):
            whole[-1] += word
        else:
            whole.append(word)
    os.environ["COMP_WORDS"], os.environ["COMP_CWORD"] = shlex.join(whole), str(len(whole) - 1)
    before, colon, _ = whole[-1].rpartition(":")
    written = io.StringIO()
    try:
        with redirect_stdout(written):
            yield
    finally:
        cut = len(before) + len(colon)
        sys.stdout.write("".join(f"{line[cut:]}\n" for line in written.getvalue().splitlines()))
