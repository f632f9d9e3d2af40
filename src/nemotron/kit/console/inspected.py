"""What the bytes at a path say, as a command shows it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nemotron.kit.console import words
from nemotron.kit.console.output import View
from nemotron.kit.console.tables import facts

if TYPE_CHECKING:
    from rich.console import RenderableType

    from nemotron.kit.formats.detect import Detected

# Sizes are shown as sizes, beside the exact number.
_BYTES = ("bytes", "text_bytes")


@dataclass(frozen=True)
class InspectedView(View):
    """What lies at a path.

    Attributes:
        detected: what it is and what was measured.
        path: absolute.
    """

    detected: "Detected"
    path: str

    def document(self) -> Any:
        """Path, type, what was measured, and what could not be."""
        return {
            "path": self.path,
            "type": self.detected.type,
            "measured": self.detected.measured,
            "unreadable": [{"field": item.field, "why": item.why} for item in self.detected.unreadable],
        }

    def lines(self) -> Iterable[str]:
        """`field value` of each plain value."""
        for name, value in self.detected.measured.items():
            if not isinstance(value, Mapping | list):
                yield f"{name} {words.printable(str(value))}"

    def render(self) -> "str | RenderableType":
        """A headline, a table of what was measured, and one line for each thing that is unknown."""
        from rich.console import Group
        from rich.text import Text

        kind = self.detected.kind.value.replace("_", " ")
        head = Text.assemble(
            (words.printable(self.path), "bold cyan"),
            f"  {self.detected.type}",
            (f"  {kind}", "dim"),
            no_wrap=True,
            overflow="ignore",  # so that a long path can be copied whole
        )
        rows = facts()
        for name, value in self.detected.measured.items():
            rows.add_row(f"  {name}", _value(name, value))
        for item in self.detected.unreadable:
            rows.add_row(f"  {item.field}", Text(f"unreadable: {words.printable(item.why)}", "yellow"))
        return Group(head, rows)


def _value(name: str, value: Any) -> str:
    if name in _BYTES and isinstance(value, int):
        return f"{value:,} ({words.size(value)})"
    return words.value(value)
