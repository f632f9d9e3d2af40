"""One file, link or empty folder of a listing."""

import re
from typing import Literal, NamedTuple

from nemotron.kit.documents.digest import is_digest, is_sample
from nemotron.kit.errors import CorruptError

# Empty, absolute, or with '.' or '..' parts: a path that was never inside the folder.
_OUTSIDE = re.compile(r"\A\Z|\A/|/\Z|//|\x00|(?:\A|/)\.{1,2}(?:/|\Z)")

EntryKind = Literal["file", "exec", "link", "dir"]
KINDS: tuple[EntryKind, ...] = ("file", "exec", "link", "dir")
CODES = {kind: code for code, kind in enumerate(KINDS)}
# What is kept in eight bytes.
INTEGER_MAX = 2**63 - 1


def kept_time(time_ns: int) -> int:
    """A time of a file as a listing keeps it: file systems go beyond the years 1677 to 2262, it does not.

    >>> kept_time(5), kept_time(2**70) == INTEGER_MAX
    (5, True)
    """
    return time_ns if -INTEGER_MAX <= time_ns <= INTEGER_MAX else INTEGER_MAX if time_ns > 0 else -INTEGER_MAX


class _Fields(NamedTuple):
    path: str
    size: int = 0
    mtime_ns: int = 0
    digest: str | None = None
    kind: EntryKind = "file"
    target: str | None = None
    sample: str | None = None
    etag: str | None = None
    object_version: str | None = None
    inode: int = 0
    ctime_ns: int = 0


_COUNTING = len(_Fields._fields) - 2


class Entry(_Fields):
    """One file, link or empty folder of a tree; a tuple, because millions are made.

    Attributes:
        path: relative to the folder, with slashes.
        size: bytes; 0 for links and folders.
        mtime_ns: time of the last change, nanoseconds since the epoch; 0 for links and folders.
        digest: of the content, where all of it was read.
        kind: `exec` is a file that may be executed, `dir` an empty folder.
        target: what a link points at, as written.
        sample: the digest of a sample of the content, where no more than that was read.
        etag: what an object store calls this state of the content.
        object_version: what a store that keeps earlier contents calls this one.
        inode: of the file that was looked at; like `ctime_ns` it is not stored and does not count.
        ctime_ns: time of the last change of content, name or mode; nobody can set it.
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Entry) and self[:_COUNTING] == other[:_COUNTING]

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self[:_COUNTING])

    @property
    def is_file(self) -> bool:
        """Whether it has bytes of its own."""
        return self.kind in ("file", "exec")

    def row(self) -> list[object]:
        """The stored form, short because there may be millions; what a store calls it is kept beside."""
        last = self.digest or self.sample or self.target
        return [CODES[self.kind], self.path, self.size, self.mtime_ns, last]

    @classmethod
    def from_row(cls, row: object, where: str) -> "Entry":
        """Read the stored form back.

        Raises:
            CorruptError: it is not one.
        """
        if type(row) is list and len(row) == 5:
            code, path, size, mtime_ns, last = row
            # Path and digest become part of a path: what was never inside must not get out of it now.
            if (
                type(path) is str
                and type(size) is type(mtime_ns) is type(code) is int
                and 0 <= size <= INTEGER_MAX
                and -INTEGER_MAX <= mtime_ns <= INTEGER_MAX
                and 0 <= code < len(KINDS)
                and is_inside(path)
            ):
                kind = KINDS[code]
                if kind == "link":
                    if last is None or (type(last) is str and "\0" not in last and _is_name(last)):
                        return cls(path, size, mtime_ns, None, kind, last)
                elif last is None or is_digest(last):
                    return cls(path, size, mtime_ns, last, kind)
                elif is_sample(last):
                    return cls(path, size, mtime_ns, None, kind, None, last)
        raise CorruptError(f"{where} is damaged: {shown(row)} is no entry")


def is_inside(path: str) -> bool:
    """Whether a path of a listing is one that a scan can have made."""
    # Most paths have nothing to do with dots; seeing that is ten times as fast as the pattern.
    plain = "/." not in path and "//" not in path and "\x00" not in path and path[:1] not in ("", "/", ".")
    return ((plain and path[-1] != "/") or not _OUTSIDE.search(path)) and _is_name(path)


def _is_name(text: str) -> bool:
    """Whether a text can be a name of a file: one that is no text is escaped as Python does (PEP 383)."""
    if text.isascii():
        return True
    try:
        text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def shown(value: object) -> str:
    """A value as a message shows it."""
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:100]}…"
