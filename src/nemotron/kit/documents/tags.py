"""What a server calls the state of each object, in one piece of memory: a million take 40 MB, not 90."""

import re
from array import array
from collections.abc import Iterable, Iterator, Sequence

from nemotron.kit.errors import CorruptError

_NEWLINE = re.compile(b"\n")
TAG_SIZE_MAX = 1024
# What objects have such tags for: fields of `Columns`, and of a stored listing where any entry has one.
TAG_FIELDS = ("etags", "object_versions")


def is_tag(text: object) -> bool:
    """Whether a text can be kept as a tag: printable ASCII, and short.

    >>> is_tag('"d41d8cd9"'), is_tag("two\\nlines"), is_tag("")
    (True, False, False)
    """
    return isinstance(text, str) and text.isascii() and text.isprintable() and 0 < len(text) <= TAG_SIZE_MAX


class Tags:
    """A tag for each position of a listing, or none. Positions beyond the end have none.

    >>> tags = Tags()
    >>> tags.put(1, "a"), tags.put(3, "b")
    (None, None)
    >>> [tags[at] for at in range(5)], tags.text()
    ([None, 'a', None, 'b', None], '\\na\\n\\nb')
    """

    __slots__ = ("_ends", "_text")

    def __init__(self) -> None:
        # As it is stored: a line each, so that storing it takes no other copy.
        self._text = bytearray()
        self._ends = array("Q")

    def __len__(self) -> int:
        return len(self._ends)

    def __bool__(self) -> bool:
        return len(self._ends) > 0

    def __getitem__(self, at: int) -> str | None:
        if at >= len(self._ends):
            return None
        start = self._ends[at - 1] + 1 if at else 0
        return self._text[start : self._ends[at]].decode("ascii") or None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tags) and self._ends == other._ends and self._text == other._text

    __hash__ = None  # type: ignore[assignment]  # it grows

    def put(self, at: int, tag: str | None) -> None:
        """Give a position a tag; positions come in rising order, and one without a tag may be left out."""
        if tag is None:
            return
        for _ in range(at - len(self._ends)):
            self._end(b"")
        self._end(tag.encode("ascii"))

    def _end(self, tag: bytes) -> None:
        if self._ends:
            self._text += b"\n"
        self._text += tag
        self._ends.append(len(self._text))

    def taken(self, positions: Sequence[int]) -> "Tags":
        """The tags of these positions, in this order."""
        found = Tags()
        if self:
            for new, old in enumerate(positions):
                found.put(new, self[old])
        return found

    def text(self) -> str:
        """All of them, a line each."""
        return self._text.decode("ascii")

    def pieces(self, size: int) -> Iterator[str]:
        """`text()` in pieces."""
        for start in range(0, len(self._text), size):
            yield self._text[start : start + size].decode("ascii")

    def all(self) -> list[str | None]:
        """As a list."""
        return [self[at] for at in range(len(self))]

    @classmethod
    def of(cls, tags: object, entries: int, where: str) -> "Tags":
        """Read `text()` or `all()` back.

        Args:
            tags: None, where nothing was stored.
            entries: how many there may be.
            where: it was read, for messages.

        Raises:
            CorruptError: it is neither.
        """
        found = cls()
        if tags is None:
            return found
        if isinstance(tags, str) and tags.isascii():
            found._text = bytearray(tags, "ascii")
            found._ends = array("Q", (newline.start() for newline in _NEWLINE.finditer(found._text)))
            found._ends.append(len(found._text))
        elif isinstance(tags, list) and all(tag is None or is_tag(tag) for tag in tags):
            _fill(found, tags)
        else:
            raise CorruptError(f"{where} is damaged: its tags of objects are no texts")
        if len(found) > entries:
            raise CorruptError(f"{where} is damaged: it has {len(found)} tags for {entries} entries")
        return found


def _fill(tags: Tags, given: Iterable[str | None]) -> None:
    for at, tag in enumerate(given):
        tags.put(at, tag)


class SomeTags:
    """`tags.taken(positions)` as it is stored, made when it is asked for.

    >>> tags = Tags()
    >>> tags.put(1, "a"), tags.put(3, "b")
    (None, None)
    >>> "".join(SomeTags(tags, [0, 3, 4]).pieces(100)), bool(SomeTags(tags, [2]))
    ('\\nb', False)

    Args:
        tags: of a listing.
        positions: in it.
    """

    __slots__ = ("_positions", "_tags")

    def __init__(self, tags: Tags, positions: Sequence[int]) -> None:
        self._tags, self._positions = tags, positions

    def __bool__(self) -> bool:
        return bool(self._tags) and any(self._tags[at] for at in self._positions)

    def pieces(self, size: int) -> Iterator[str]:
        """All of them, a line each, in pieces of about that size; an end without any is left out."""
        lines, gathered, ended = [""], 0, 0
        for at in self._positions:
            if tag := self._tags[at]:
                lines.append(ended * "\n" + tag)
                gathered += len(lines[-1])
                ended = 0
            ended += 1
            if gathered >= size:
                yield "".join(lines)
                lines, gathered = [], 0
        yield "".join(lines)
