"""Something in an artifact, as `art://` shows it, wherever its bytes are."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, BinaryIO

from nemotron.kit.errors import MisuseError
from nemotron.kit.names import SCHEME
from nemotron.kit.registry.records import Record
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store.blocks import Seen

CHUNK_BYTES = 4 << 20


class FolderError(MisuseError, IsADirectoryError):
    """A folder was opened as if it were a file."""

    kind = "is_a_folder"


@dataclass(frozen=True)
class Place(ABC):
    """Something in an artifact.

    Attributes:
        registry: where the artifact is.
        record: its version.
        inside: the path in it, "" for all of it.
    """

    registry: Registry
    record: Record
    inside: str

    @property
    def uri(self) -> str:
        """With the version that is meant now."""
        return f"{self.record.uri}/{self.inside}" if self.inside else self.record.uri

    def below(self, name: str) -> "Place":
        """A child of it."""
        return type(self)(self.registry, self.record, f"{self.inside}/{name}" if self.inside else name)

    def details(self, name: str) -> dict[str, Any]:
        """What it is, as fsspec's `info` says it.

        Args:
            name: as it was asked for.

        Raises:
            NotFoundError: it is not there.
            OutsideRootError: it is a link that leaves the artifact.
        """
        if self.inside:
            return self._details(name)
        # From the record alone: no listing is read, and no bucket asked, to be listed.
        return {
            "name": name,
            "size": 0,
            "type": "directory",
            "mtime": seconds(self.record.created_at),
            "islink": False,
            "uri": self.uri,
        }

    @abstractmethod
    def _details(self, name: str) -> dict[str, Any]: ...

    @abstractmethod
    def children(self, name: str) -> Iterator[dict[str, Any]]:
        """The details of what is right below it, or of itself if it is a file."""

    def leaving(self) -> list[str]:
        """The links right below it, by name, that lead out of the artifact and are none of `children`."""
        return []

    @abstractmethod
    def open(self, name: str, fs: Any, block_size: int | None = None) -> Any:
        """Open it for reading in binary.

        Args:
            name: as it was asked for.
            fs: the file system that it is opened by.
            block_size: bytes to fetch at once, where it is far away.

        Raises:
            FolderError: it is a folder.
        """

    def link(self) -> str | None:
        """Where a link leads, seen from its folder; None for what is no link, or leaves the artifact.

        Wherever it is written, it goes up first and then down: with what it leads through, it stays below
        the folder that it seems to stay below.
        """
        return None

    @property
    def digest(self) -> str | None:
        """Of the bytes that a snapshot has of a file; None for what is none, or no snapshot's."""
        return None

    def chunks(self, name: str, fs: Any) -> Iterator[bytes]:
        """All its bytes, in order, a piece at a time.

        Raises:
            FolderError: it is a folder.
            CorruptError: they are not those of a snapshot's file; then the last of them are not given.
        """
        with self.open(name, fs) as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk

    def copy(self, name: str, fs: Any, target: BinaryIO, seen: Seen) -> None:
        """Write all its bytes into an empty file; where it lies on a disk and has holes, so has the copy.

        A small file has none that matter, and is read and written in one piece.

        Args:
            name: as it was asked for.
            fs: the file system that it is opened by.
            target: a file of the local disk, for reading and writing.
            seen: told of each piece that was written, in order.

        Raises:
            FolderError: it is a folder.
            CorruptError: what was written is not what a snapshot's file holds.
        """
        for chunk in self.chunks(name, fs):
            target.write(chunk)
            seen(memoryview(chunk))

    def range(self, name: str, fs: Any, start: int | None, end: int | None) -> bytes:
        """Some of its bytes; `[start:end]` means what it does for `bytes`.

        Raises:
            FolderError: it is a folder.
        """
        with self.open(name, fs) as file:
            first, last, _ = slice(start, end).indices(file.size)
            file.seek(first)
            data: bytes = file.read(max(0, last - first))
            return data

    def _refuse_folder(self, name: str) -> FolderError:
        content = self.record.manifest.content
        entry = content.entry if content and not self.inside else None
        return folder_error(name, entry)


def folder_error(name: str, entry: str | None = None) -> FolderError:
    """The error for reading a folder as a file."""
    hint = f"its file is {SCHEME}{name}/{entry}" if entry else "name a file in it"
    return FolderError(f"Cannot read {SCHEME}{name}: it is a folder; {hint}")


def turns_back(link: str) -> bool:
    """Whether what a link says goes up again after a name: where that is depends on what the name is.

    >>> turns_back("../a/b"), turns_back("latest/../b")
    (False, True)
    """
    names = [part for part in link.split("/") if part not in ("", ".")]
    return any(after == ".." and name != ".." for name, after in pairwise(names))


def seconds(moment: str) -> float:
    """A time in ISO 8601 since the epoch; 0.0 for what is none."""
    try:
        return datetime.fromisoformat(moment).timestamp()
    except ValueError:  # manifests of others may say anything
        return 0.0
