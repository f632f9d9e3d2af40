"""Where data of a store has moved to, as a command shows it."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from nemotron.kit.console import words
from nemotron.kit.console.output import View
from nemotron.kit.console.tables import FittingTable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from nemotron.kit.documents.remap import Remap


@dataclass(frozen=True)
class RemapsView(View):
    """The remaps in force.

    Attributes:
        root: of the store.
        remaps: by prefix.
        said: what was done, if that can't be seen.
    """

    root: str
    remaps: Sequence["Remap"]
    said: str = ""

    def document(self) -> Any:
        """All of them."""
        return {"root": self.root, "remaps": [asdict(remap) for remap in self.remaps]}

    def lines(self) -> Iterable[str]:
        """`OLD NEW`, with a tab between."""
        return [f"{remap.old}\t{remap.new}" for remap in self.remaps]

    def render(self) -> "str | RenderableType":
        """A table."""
        from rich.text import Text

        if not self.remaps:
            return words.printable(self.said or f"No remaps in {self.root}")
        drawn = FittingTable(
            ("RECORDED", "IS NOW", "SET", "BY", "WHY"), folding=("WHY",), below=("WHY", "BY", "SET")
        )
        for remap in self.remaps:
            drawn.add_row(
                Text(words.printable(remap.old), "cyan"),
                Text(words.printable(remap.new), "cyan"),
                words.when(remap.set_at),
                words.printable(remap.set_by),
                words.printable(remap.why or ""),
            )
        return drawn
