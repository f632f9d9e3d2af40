"""What waits for a tracker, as a command shows it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from nemotron.kit.console import words
from nemotron.kit.console.output import View
from nemotron.kit.console.tables import FittingTable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from nemotron.kit.documents.outbox import Failure, OutboxRecord


@dataclass(frozen=True)
class Line:
    """One record.

    Attributes:
        id: the record's.
        state: whether somebody will try it again.
        record: what it says, or None if it can't be read.
        failure: why it is still there, if somebody has tried.
    """

    id: str
    state: Literal["waiting", "set_aside"]
    record: "OutboxRecord | None"
    failure: "Failure | None"

    @property
    def what(self) -> str:
        """The version, or what else the record is about."""
        if self.record is None:
            return f"record {self.id}"
        return self.record.subject or f"inputs of run {self.record.run.id}"

    @property
    def why(self) -> str:
        """The reason in words."""
        return self.failure.why if self.failure else "nobody has tried yet"

    def document(self) -> dict[str, Any]:
        """For `--json`."""
        record, failure = self.record, self.failure
        return {
            "id": self.id,
            "state": self.state,
            "uri": record.subject if record else None,
            "destination": str(record.destination) if record else None,
            "run": record.run.id if record else None,
            "since": record.created_at if record else None,
            "inputs": list(record.used) if record else [],
            "why": self.why,
            "kind": failure.kind if failure else None,
            "attempts": failure.attempts if failure else 0,
            "last_attempt": failure.at if failure else None,
        }


@dataclass(frozen=True)
class OutboxView(View):
    """What an outbox holds, or what came of delivering it.

    Attributes:
        delivered: how many records; of an outbox, those that have a receipt.
        lines: what is still there.
        done: one sentence on what was done, where something was.
    """

    delivered: int
    lines_there: Sequence[Line]
    done: str = ""

    def count(self, state: str) -> int:
        """How many records are in a state."""
        return sum(line.state == state for line in self.lines_there)

    def document(self) -> Any:
        """The counts, and each record that is still there."""
        return {
            "delivered": self.delivered,
            "waiting": self.count("waiting"),
            "set_aside": self.count("set_aside"),
            "records": [line.document() for line in self.lines_there],
        }

    def lines(self) -> Iterable[str]:
        """What is still there."""
        return [words.printable(line.what) for line in self.lines_there]

    def render(self) -> "str | RenderableType":
        """A table of what is still there, and the counts."""
        from rich.console import Group
        from rich.text import Text

        waiting, aside = self.count("waiting"), self.count("set_aside")
        counts = f"{self.delivered:,} delivered, {waiting:,} waiting, {aside:,} set aside"
        summary = Text(self.done or counts)
        if not self.lines_there:
            return summary
        drawn = FittingTable(
            ("WHAT", "FOR", "SINCE", "STATE", "TRIED", "WHY"),
            folding=("WHY",),
            dropped=("TRIED",),
            below=("WHY", "FOR", "SINCE"),
        )
        for line in self.lines_there:
            is_aside = line.state == "set_aside"
            drawn.add_row(
                Text(words.printable(line.what), "cyan"),
                words.printable(str(line.record.destination)) if line.record else "",
                words.ago(line.record.created_at) if line.record else "",
                Text("set aside", "red") if is_aside else Text("waiting", "yellow"),
                f"{line.failure.attempts:,}" if line.failure else "0",
                words.printable(line.why),
            )
        return Group(drawn, summary)
