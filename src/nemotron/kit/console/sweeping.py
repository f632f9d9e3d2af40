"""What house-keeping did, as a command shows it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from nemotron.kit.console import words
from nemotron.kit.console.output import View
from nemotron.kit.console.tables import table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from nemotron.kit.registry.garbage import Sweep

_KINDS = {
    "blobs": "contents of snapshots",
    "trees": "listings of files",
    "temporary": "temporary files",
    "resolutions": "answers to ranks",
    "checkouts": "folders of withdrawn snapshots",
    "journal": "journal entries",
    "stats": "older times of files",
    "doubt": "doubt since a failed sync",
}
_WOULD = {"set aside": "to the trash", "put back": "out of the trash", "deleted": "to be deleted"}
_DID = {"set aside": "moved to the trash", "put back": "put back", "deleted": "deleted"}


@dataclass(frozen=True)
class SweepView(View):
    """The outcome of a run of gc.

    Attributes:
        sweep: what was done, or would be.
        command: what does it, and does it again.
    """

    sweep: "Sweep"
    command: str

    def document(self) -> Any:
        """Each line, and when to run it next."""
        sweep = self.sweep
        items = [
            {
                "what": item.what,
                "action": _code(item.action),
                "count": item.count,
                "bytes": item.size,
            }
            for item in sweep.items
        ]
        return {
            "root": sweep.root,
            "applied": sweep.applied,
            "grace_s": sweep.grace.total_seconds(),
            "items": items,
            "bytes_deleted": sweep.size_deleted,
            "next_at": None if sweep.next_at is None else _moment(sweep.next_at).isoformat(),
            "unfinished": sweep.unfinished,
        }

    def lines(self) -> Iterable[str]:
        """Kind, action, count and bytes of each line."""
        return [f"{item.what} {_code(item.action)} {item.count} {item.size}" for item in self.sweep.items]

    def render(self) -> "str | RenderableType":
        """A table, and what to do next."""
        from rich.console import Group
        from rich.text import Text

        sweep = self.sweep
        said = _DID if sweep.applied else _WOULD
        drawn = table("WHAT", "", "COUNT", "SIZE", folding=("WHAT",))
        for item in sweep.items:
            action = said.get(item.action, "waiting in the trash")
            drawn.add_row(_KINDS[item.what], action, f"{item.count:,}", words.size(item.size))
        parts: list[RenderableType] = [drawn, Text()] if sweep.items else []
        parts += [Text(line, overflow="fold") for line in self._next()]
        return Group(*parts)

    def _next(self) -> Iterable[str]:
        sweep = self.sweep
        root = words.printable(sweep.root)
        to_do = any(item.action != "waiting" for item in sweep.items)
        if not to_do:
            yield f"Nothing to collect in {root}."
        elif not sweep.applied:
            yield f"Nothing was changed in {root}. To do this: {self.command}"
        else:
            yield f"{words.size(sweep.size_deleted)} freed in {root}."
        if sweep.next_at is not None and (sweep.applied or not to_do):
            day = words.when(_moment(sweep.next_at).isoformat())
            yield f"What is in the trash can be deleted from {day} on: run it again then: {self.command}"
        if sweep.unfinished:
            yield f"Not all was done: {sweep.unfinished}."


def _code(action: str) -> str:
    return action.replace(" ", "_")


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
