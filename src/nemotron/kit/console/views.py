"""What the commands show of names, versions and aliases."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nemotron.kit.console import words
from nemotron.kit.console.output import View
from nemotron.kit.console.path import version_document
from nemotron.kit.console.tables import FittingTable, table

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

    from nemotron.kit.documents.alias import AliasMove, Tombstone
    from nemotron.kit.registry.records import Entry, Record

FILES_SHOWN_MAX = 10


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
class VersionView(View):
    """Everything about one version.

    Attributes:
        record: the version.
        aliases: what points at it, `latest` among them.
        stone: why it is withdrawn, or None.
    """

    record: "Record"
    aliases: tuple[str, ...] = ()
    stone: "Tombstone | None" = None

    @property
    def data(self) -> str:
        """Whether the data is there: present, gone, remote, or stored (a snapshot not laid out yet)."""
        if self.record.is_at_url:
            return "remote"
        if os.path.lexists(self.record.path):
            return "present"
        return "stored" if self.record.is_snapshot else "gone"

    def document(self) -> Any:
        """The version with all that is known of its content and origin."""
        manifest, content = self.record.manifest, self.record.manifest.content
        return {
            **version_document(self.record),
            "aliases": list(self.aliases),
            "producer": manifest.producer,
            "run": manifest.run,
            "data": self.data,
            "mode": content.mode if content else "reference",
            "evidence": content.evidence if content else None,
            "scope": content.scope if content else None,
            "files": content.files if content else None,
            "size": content.size if content else None,
            "digest": content.digest if content else None,
            "withdrawn": stone_document(self.stone) if self.stone else None,
        }

    def lines(self) -> Iterable[str]:
        """The URI."""
        return [self.record.uri]

    def render(self) -> "str | RenderableType":
        """A headline and a table of facts, with the metadata and the files below it."""
        from rich.console import Group
        from rich.text import Text

        record, manifest = self.record, self.record.manifest
        head = Text.assemble(
            (record.uri, "bold cyan"),
            f"  {words.printable(record.type)}",
            (f"  {words.printable(', '.join(self.aliases))}" if self.aliases else "", "green"),
        )
        facts = _facts()
        if stone := self.stone:
            by = f"  by {stone.withdrawn_by or 'unknown'}, {words.when(stone.withdrawn_at)}"
            facts.add_row("withdrawn", Text(f"{words.printable(stone.reason)}{words.printable(by)}", "red"))
        if manifest.semantic_name not in ("", record.name):
            facts.add_row("name", words.printable(manifest.semantic_name))
        facts.add_row("path", self._path())
        facts.add_row("created", f"{words.when(record.created_at)}  {words.ago(record.created_at)}".strip())
        facts.add_row("producer", words.printable(manifest.producer or "unknown"))
        if manifest.run:
            facts.add_row("run", words.printable(manifest.run))
        facts.add_row("content", self._content())
        for label, items in (("inputs", record.inputs), ("metadata", ()), ("files", ())):
            for index, item in enumerate(items):
                facts.add_row(label if index == 0 else "", Text(words.printable(item), "cyan"))
        parts: list[RenderableType] = [head, facts]
        if record.metadata:
            parts += [Text("\nmetadata", "bold"), _below(self._metadata())]
        if rows := self._files():
            parts += [Text("\nfiles", "bold"), _below(rows)]
        return Group(*parts)

    def _path(self) -> "Text":
        from rich.text import Text

        remark = {
            "gone": ("  gone: the data was moved or deleted", "red"),
            "stored": ("  laid out when it is resolved", "dim"),
        }.get(self.data, ("", ""))
        return Text.assemble(words.printable(self.record.path), remark)

    def _content(self) -> str:
        content = self.record.manifest.content
        if content is None:
            return "not looked at when it was published"
        looked_at = {"stat": "size and time of each file", "full": "a digest of each file"}
        return (
            f"{words.many(content.files, 'file')}, {words.size(content.size)}; {content.mode}, "
            f"evidence {content.evidence} ({looked_at.get(content.evidence, 'a sample of each file')})"
        )

    def _metadata(self) -> list[tuple[str, str]]:
        return [(words.printable(key), words.value(item)) for key, item in self.record.metadata.items()]

    def _files(self) -> list[tuple[str, str]]:
        content = self.record.manifest.content
        entries = content.listing.entries if content and content.listing else ()
        rows = [(words.printable(entry.path), _entry(entry)) for entry in entries[:FILES_SHOWN_MAX]]
        more = len(entries) - len(rows)
        return [*rows, (f"… and {more:,} more", "")] if more else rows


def _entry(entry: Any) -> str:
    if entry.kind == "link":
        return f"→ {words.printable(entry.target or '')}"
    return words.size(entry.size) if entry.is_file else "empty folder"


def _facts() -> "Table":
    from rich.table import Table

    drawn = Table.grid(padding=(0, 2, 0, 0))
    drawn.add_column(style="dim", no_wrap=True)
    drawn.add_column(overflow="fold")
    return drawn


def _below(rows: Iterable[tuple[str, str]]) -> "Table":
    drawn = _facts()
    for label, text in rows:
        drawn.add_row(f"  {label}", text)
    return drawn


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
