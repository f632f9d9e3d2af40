"""What a file in an artifact holds, and what was copied out of one, as commands show it."""

import base64
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from nemotron.kit.console import words
from nemotron.kit.console.output import View


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
        uri: from where, with the version that was meant.
        to: the file or folder that it is now, absolute.
        files: how many were copied.
        size: of those, in bytes.
        skipped: files that were there already, the same.
    """

    uri: str
    to: str
    files: int
    size: int
    skipped: int

    def document(self) -> Any:
        """All of it."""
        return asdict(self)

    def lines(self) -> Iterable[str]:
        """Where it is now."""
        return [self.to]

    def render(self) -> str:
        """One sentence."""
        number = f"{self.files:,} file{'' if self.files == 1 else 's'}, {words.size(self.size)}"
        there = f"  ({self.skipped:,} there already)" if self.skipped else ""
        return f"copied {number} from {self.uri} to {words.printable(self.to)}{there}"
