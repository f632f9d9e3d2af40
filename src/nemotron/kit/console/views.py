"""What the commands show of names, versions and aliases."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nemotron.kit.console import words
from nemotron.kit.console.output import View
from nemotron.kit.console.path import version_document
from nemotron.kit.console.tables import FittingTable, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from nemotron.kit.documents.alias import AliasMove, Tombstone
    from nemotron.kit.registry.records import Entry, Record


@dataclass(frozen=True)
class EntriesView(View):
    """All names of a store."""

    entries: Sequence["Entry"]

    def document(self) -> Any:
        """A list of objects."""
        return [
            {
                "name": entry.name,
                "semantic_name": entry.semantic_name,
                "latest": entry.latest,
                "versions": len(entry.versions),
                "type": entry.type,
                "aliases": entry.aliases,
            }
            for entry in self.entries
        ]

    def lines(self) -> Iterable[str]:
        """The names."""
        return [entry.name for entry in self.entries]

    def render(self) -> "str | RenderableType":
        """A table."""
        from rich.text import Text

        drawn = FittingTable(
            ("NAME", "LATEST", "VERSIONS", "TYPE", "ALIASES"),
            folding=("NAME", "TYPE", "ALIASES"),
            dropped=("VERSIONS", "TYPE"),
            below=("ALIASES",),
        )
        for entry in self.entries:
            drawn.add_row(
                Text(words.printable(entry.semantic_name or entry.name), "cyan"),
                f"v{entry.latest}" if entry.latest else Text("withdrawn", "red"),
                f"{len(entry.versions):,}",
                words.printable(entry.type or ""),
                Text(_aliases(entry.aliases), "green"),
            )
        return drawn


def _aliases(aliases: Mapping[str, int]) -> str:
    return "  ".join(f"{words.printable(alias)}→v{version}" for alias, version in aliases.items())


@dataclass(frozen=True)
class Listed:
    """One version in the list of a name's versions.

    Attributes:
        record: the version.
        aliases: what points at it, `latest` among them.
        stone: why it is withdrawn, or None.
    """

    record: "Record"
    aliases: tuple[str, ...] = ()
    stone: "Tombstone | None" = None


@dataclass(frozen=True)
class VersionsView(View):
    """The versions of a name, oldest first, the withdrawn ones too."""

    versions: Sequence[Listed]

    def document(self) -> Any:
        """A list of versions with their aliases, files, size and withdrawal."""
        return [_listed_document(listed) for listed in self.versions]

    def lines(self) -> Iterable[str]:
        """The URIs of the living ones."""
        return [listed.record.uri for listed in self.versions if listed.stone is None]

    def render(self) -> "str | RenderableType":
        """A table."""
        from rich.text import Text

        drawn = FittingTable(
            ("VERSION", "CREATED", "", "SIZE", "ALIASES", "METADATA"),
            folding=("ALIASES", "METADATA"),
            dropped=("", "SIZE"),
            below=("METADATA",),
        )
        for listed in self.versions:
            record, content = listed.record, listed.record.manifest.content
            about: str | Text = words.summary(record.metadata)
            if listed.stone is not None:
                about = Text(f"withdrawn: {words.printable(listed.stone.reason)}", "red")
            drawn.add_row(
                f"v{record.version}",
                words.when(record.created_at),
                Text(words.ago(record.created_at), "dim"),
                Text(words.size(content.size) if content else "", justify="right"),
                Text(words.printable(", ".join(listed.aliases)), "green"),
                about,
                style="dim" if listed.stone is not None else "",
            )
        return drawn


def _listed_document(listed: Listed) -> dict[str, Any]:
    content, stone = listed.record.manifest.content, listed.stone
    return {
        **version_document(listed.record),
        "aliases": list(listed.aliases),
        "files": content.files if content else None,
        "size": content.size if content else None,
        "withdrawn": stone_document(stone) if stone else None,
    }


def stone_document(stone: "Tombstone") -> dict[str, Any]:
    """The JSON object of a withdrawal."""
    return {"reason": stone.reason, "at": stone.withdrawn_at, "by": stone.withdrawn_by}


@dataclass(frozen=True)
class DoneView(View):
    """What was done to a version.

    Attributes:
        record: the version.
        text: what happened, for a person.
        extra: more fields for JSON.
    """

    record: "Record"
    text: str
    extra: Mapping[str, Any] = field(default_factory=dict)

    def document(self) -> Any:
        """The version, with what is special to the command."""
        return {**version_document(self.record), **self.extra}

    def lines(self) -> Iterable[str]:
        """The URI."""
        return [self.record.uri]

    def render(self) -> "str | RenderableType":
        """One line."""
        return words.printable(self.text)


@dataclass(frozen=True)
class AliasesView(View):
    """The aliases of a name."""

    name: str
    aliases: Mapping[str, int]

    def document(self) -> Any:
        """Each alias with its version."""
        return dict(self.aliases)

    def lines(self) -> Iterable[str]:
        """`alias vN`."""
        return [f"{alias} v{version}" for alias, version in self.aliases.items()]

    def render(self) -> "str | RenderableType":
        """A table."""
        from rich.text import Text

        drawn = table("ALIAS", "VERSION")
        for alias, version in self.aliases.items():
            drawn.add_row(Text(words.printable(alias), "green"), f"v{version}")
        return drawn


@dataclass(frozen=True)
class MovesView(View):
    """The history of an alias, oldest first."""

    name: str
    alias: str
    moves: Sequence["AliasMove"]

    def document(self) -> Any:
        """A list of moves."""
        return [move_document(self.name, move) for move in self.moves]

    def lines(self) -> Iterable[str]:
        """`vN` of each move."""
        return [f"v{move.version}" for move in self.moves]

    def render(self) -> "str | RenderableType":
        """A table."""
        from rich.text import Text

        drawn = FittingTable(
            ("MOVED", "", "FROM", "TO", " ", "BY", "WHY"),  # each once, and these two need no title
            folding=(" ", "WHY"),
            dropped=("",),
            below=("WHY", "BY"),
        )
        for move in self.moves:
            drawn.add_row(
                words.when(move.moved_at),
                Text(words.ago(move.moved_at), "dim"),
                f"v{move.previous}" if move.previous else "",
                f"v{move.version}",
                " ".join(
                    [*(["protected"] * move.protected), *([f"undoes {move.undoes}"] if move.undoes else [])]
                ),
                words.printable(move.moved_by),
                words.printable(move.why or ""),
            )
        return drawn


def move_document(name: str, move: "AliasMove") -> dict[str, Any]:
    """The JSON object of an alias's move."""
    return {
        "uri": f"art://{name}:v{move.version}",
        "sequence": move.sequence,
        "version": move.version,
        "previous": move.previous,
        "moved_at": move.moved_at,
        "moved_by": move.moved_by,
        "protected": move.protected,
        "undoes": move.undoes,
        "why": move.why,
    }
