"""What a file in an artifact holds, and what was copied out of one, as commands show it."""

import base64
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from nemotron.kit.console import words
from nemotron.kit.console.output import View

if TYPE_CHECKING:
    from nemotron.kit.registry.records import Copied


class ContentView(View):
    """The bytes of a file, for `--json`; a person and a pipe get them as they are.

    Args:
        uri: of the file, with its version.
        data: all of it.
    """

    def __init__(self, uri: str, data: bytes) -> None:
        self._uri, self._data = uri, data

    def document(self) -> Any:
        """The text, or what is no UTF-8 as base64."""
        try:
            content, encoding = self._data.decode(), "utf-8"
        except UnicodeDecodeError:
            content, encoding = base64.b64encode(self._data).decode(), "base64"
        return {"uri": self._uri, "size": len(self._data), "encoding": encoding, "content": content}

    def lines(self) -> Iterable[str]:
        """Not asked for: bytes are no lines."""
        return []

    def render(self) -> str:
        """Not asked for, as above."""
        return ""


@dataclass(frozen=True, slots=True)
class CopiedView(View):
    """What `cp` did.

    Attributes:
        copied: what, from where and to where.
    """

    copied: "Copied"

    def document(self) -> Any:
        """All of it."""
        return asdict(self.copied)

    def lines(self) -> Iterable[str]:
        """Where it is now."""
        return [self.copied.to]

    def render(self) -> str:
        """One sentence."""
        done = self.copied
        if not done.files and done.skipped:
            there = words.many(done.skipped, "file")
            return f"{done.uri} is already there, nothing copied: {words.printable(done.to)}  ({there})"
        number = f"{words.many(done.files, 'file')}, {words.size(done.size)}"
        there = f"  ({done.skipped:,} there already)" if done.skipped else ""
        return f"copied {number} from {done.uri} to {words.printable(done.to)}{there}"
