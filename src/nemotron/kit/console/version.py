"""`show`: all there is to know about one version."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nemotron.kit.console import tables, words
from nemotron.kit.console.output import View
from nemotron.kit.console.path import version_document
from nemotron.kit.console.tables import INDENT, Facts
from nemotron.kit.console.views import Listed, stone_document

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from nemotron.kit.documents.tree import Entry

FILES_SHOWN_MAX = 10


@dataclass(frozen=True)
class VersionView(Listed, View):
    """Everything about one version.

    Attributes:
        laid_out: the folders where a snapshot lies as files.
    """

    laid_out: tuple[str, ...] = ()

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
            "etag": self._only and self._only.etag,
            "object_version": self._only and self._only.object_version,
            "laid_out": list(self.laid_out),
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
        facts = tables.facts()
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
        if identity := self._identity():
            facts.add_row("object", identity)
        for label, items in (("inputs", record.inputs), ("metadata", ()), ("files", ())):
            for index, item in enumerate(items):
                facts.add_row(label if index == 0 else "", Text(words.printable(item), "cyan"))
        parts: list[RenderableType] = [head, facts]
        if record.metadata:
            parts += [Text("\nmetadata", "bold"), _below(self._metadata())]
        if rows := self._files():
            parts += [Text("\nfiles", "bold"), _below(rows)]
        return Group(*parts)

    @property
    def _only(self) -> "Entry | None":
        """The one object at the URL, if that is what the version is."""
        content = self.record.manifest.content
        is_one = self.record.is_at_url and content is not None and content.scope == "file"
        return content.listing.entries[0] if is_one and content and content.listing else None

    def _path(self) -> "Text":
        from rich.text import Text

        record = self.record
        remark = {
            "gone": ("  gone: the data was moved or deleted", "red"),
            "stored": ("  laid out when it is resolved", "dim"),
        }.get(self.data, ("", ""))
        path = record.path
        if record.is_snapshot and "://" in path:  # it never lies there as files
            entry = path[len(record.folder) :]
            path = f"{self.laid_out[0]}{entry}" if self.laid_out else "in the store"
            remark = remark if not self.laid_out else ("  a copy of what is in the store", "dim")
        return Text.assemble(words.printable(path), remark)

    def _identity(self) -> str:
        """By what the server knows the one object at a URL."""
        if (only := self._only) is None:
            return ""
        said = (("etag", only.etag), ("version", only.object_version))
        return ", ".join(f"{name} {words.printable(tag)}" for name, tag in said if tag)

    def _content(self) -> str:
        content = self.record.manifest.content
        if content is None:
            return "not looked at when it was published"
        looked_at = {"stat": "size and time of each file", "full": "a digest of each file"}
        if self.record.is_at_url:
            told = content.listing.columns if content.listing else None
            tags = ((told.etags, "etag"), (told.object_versions, "version")) if told else ()
            more = "".join(f", {name}" for has, name in tags if has) if told else ", etag if it has one,"
            looked_at["stat"] = f"size, time{more} of each object"
        return (
            f"{words.many(content.files, 'file')}, {words.size(content.size)}; {content.mode}, "
            f"evidence {content.evidence} ({looked_at.get(content.evidence, 'a sample of each file')})"
        )

    def _metadata(self) -> list[tuple[str, str]]:
        return [(words.printable(key), words.value(item)) for key, item in self.record.metadata.items()]

    def _files(self) -> list[tuple[str, str]]:
        content = self.record.manifest.content
        entries = content.listing.entries if content and content.listing else ()
        rows = [
            (words.printable(entry.path), f"{_entry(entry)}{self._remark(entry)}")
            for entry in entries[:FILES_SHOWN_MAX]
        ]
        more = len(entries) - len(rows)
        return [*rows, (f"… and {more:,} more", "")] if more else rows

    def _remark(self, entry: "Entry") -> str:
        """That a link of a snapshot is recorded alone; where one of a reference leads may change."""
        from nemotron.kit.documents.look_up import LookUp

        content = self.record.manifest.content
        if entry.kind != "link" or not self.record.is_snapshot or not content or not content.listing:
            return ""
        return "  leads out: not laid out" if LookUp(content.listing).leaves(entry.path) else ""


def _entry(entry: Any) -> str:
    if entry.kind == "link":
        return f"→ {words.printable(entry.target or '')}"
    return words.size(entry.size) if entry.is_file else "empty folder"


def _below(rows: Iterable[tuple[str, str]]) -> Facts:
    return Facts([(f"{' ' * INDENT}{label}", text) for label, text in rows])
