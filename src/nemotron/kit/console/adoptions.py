"""What became of the versions of older tools."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nemotron.kit.console import words
from nemotron.kit.console.output import View
from nemotron.kit.console.tables import FittingTable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from nemotron.kit.registry.adopting import Adoption

_COLOURS = {"adopted": "green", "already": "dim", "skipped": "yellow"}


@dataclass(frozen=True)
class AdoptionsView(View):
    """Every number that an older tool took, and the sum.

    Attributes:
        root: of the store.
        adoptions: by name and number.
        dry_run: nothing was done.
    """

    root: str
    adoptions: Sequence["Adoption"]
    dry_run: bool

    @property
    def counts(self) -> dict[str, int]:
        """How many were adopted, were so already, and were skipped."""
        counted = Counter(one.status for one in self.adoptions)
        return {"adopted": counted["adopted"], "already": counted["already"], "skipped": counted["skipped"]}

    def document(self) -> Any:
        """The counts, and each version with what became of it."""
        versions = [
            {
                "uri": one.uri,
                "status": one.status,
                "why": one.why,
                "evidence": one.evidence,
                "files": one.files,
                "size": one.size,
            }
            for one in self.adoptions
        ]
        return {"root": self.root, "dry_run": self.dry_run, **self.counts, "versions": versions}

    def lines(self) -> Iterable[str]:
        """The URIs of those that were adopted."""
        return [one.uri for one in self.adoptions if one.status == "adopted"]

    def render(self) -> "str | RenderableType":
        """A table and the sum."""
        from rich.console import Group
        from rich.text import Text

        if not self.adoptions:
            return f"Nothing of older tools in {words.printable(self.root)}"
        drawn = FittingTable(
            ("VERSION", "", "FILES", "SIZE", "EVIDENCE", "WHY NOT"),
            folding=("WHY NOT",),
            dropped=("FILES", "SIZE"),
            below=("WHY NOT",),
        )
        for one in self.adoptions:
            drawn.add_row(
                Text(one.uri.removeprefix("art://"), "cyan"),
                Text(one.status, _COLOURS[one.status]),
                "" if one.files is None else f"{one.files:,}",
                "" if one.size is None else words.size(one.size),
                one.evidence or "",
                words.printable(one.why or ""),
            )
        counts = self.counts
        would = "would be adopted" if self.dry_run else "adopted"
        rest = f"{counts['already']:,} were already, {counts['skipped']:,} skipped"
        told = f"{counts['adopted']:,} {would}, {rest}"
        return Group(drawn, Text(f"{words.printable(self.root)}: {told}", "bold"))
