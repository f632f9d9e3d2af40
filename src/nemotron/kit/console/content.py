"""What a file in an artifact holds, and what was copied out of one, as commands show it."""

import base64
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from nemotron.kit.console import words
from nemotron.kit.console.output import View

if TYPE_CHECKING:
    from nemotron.kit.registry.records import Copied

NAMED_MAX = 5


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

    def warning(self) -> str | None:
        """What to say of the links that were left out, if any were."""
        left = self.copied.left_out
        if not left:
            return None
        more = f" and {len(left) - NAMED_MAX:,} more" if len(left) > NAMED_MAX else ""
        what = "1 link that leads" if len(left) == 1 else f"{len(left):,} links that lead"
        return (
            f"Left out of {self.copied.uri}: {what} out of what is copied, or to nothing: "
            f"{', '.join(map(words.printable, left[:NAMED_MAX]))}{more}"
        )

    def lines(self) -> Iterable[str]:
        """Where it is now."""
        return [self.copied.to]

    def render(self) -> str:
        """One sentence."""
        done = self.copied
        copied, there = _number(done.files, done.links), _number(done.skipped, done.skipped_links)
        if not done.files + done.links and done.skipped + done.skipped_links:
            return f"{done.uri} is already there, nothing copied: {words.printable(done.to)}  ({there})"
        also = f"  ({there} there already)" if done.skipped + done.skipped_links else ""
        size = words.size(done.size)
        return f"copied {copied}, {size} from {done.uri} to {words.printable(done.to)}{also}"


def _number(files: int, links: int) -> str:
    """How many of both.

    >>> _number(1, 0), _number(2, 1), _number(0, 2)
    ('1 file', '2 files and 1 link', '2 links')
    """
    counted = [words.many(files, "file")] if files or not links else []
    return " and ".join([*counted, words.many(links, "link")] if links else counted)
