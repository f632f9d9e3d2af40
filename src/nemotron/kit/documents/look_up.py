"""A listing looked at like a folder: by path, with links followed; what is not asked for is not made."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from nemotron.kit.documents.positions import Positions
from nemotron.kit.documents.tree import Entry, Tree
from nemotron.kit.errors import OutsideRootError

# As many as the kernel follows.
LINKS_MAX = 40


@dataclass(frozen=True, slots=True)
class Seen:
    """What is at a path of a listing.

    Attributes:
        kind: a file, a folder, or a link that leads nowhere or to a folder that it is in.
        entry: of the file.
        is_link: whether the path itself is a link.
    """

    kind: Literal["file", "directory", "link"]
    entry: Entry | None = None
    is_link: bool = False


class LookUp:
    """The paths of a listing.

    >>> look = LookUp(Tree.of([Entry("a/b.txt", 3), Entry("c", kind="link", target="a")]))
    >>> look.names(""), look.at("a").kind, look.at("c/b.txt").entry.size, look.at("d")
    (['a', 'c'], 'directory', 3, None)

    Args:
        tree: the listing.
    """

    def __init__(self, tree: Tree) -> None:
        self._columns = tree.columns
        self._paths = tree.columns.paths
        self._there = Positions(self._paths)

    def __len__(self) -> int:
        return len(self._paths)

    def at(self, path: str) -> Seen | None:
        """What is at a path, or None if nothing is.

        Raises:
            OutsideRootError: a link on the way leads out of the folder.
        """
        real = self.real(path)
        own = self.real(path, last=False) if self._columns.targets else real
        here = self._entry(own) if own is not None else None
        if here is None or here.kind != "link":
            return self._seen(real, is_link=False) if real is not None else None
        seen = self._seen(real, is_link=True) if real is not None else None
        if seen is None or (seen.kind == "directory" and real in self._above(path)):
            return Seen("link", is_link=True)
        return seen

    def names(self, path: str) -> list[str]:
        """What is right in a folder, sorted; without links that lead out of the listing."""
        return sorted({name for name, leaves in self._below(path) if not leaves})

    def leaving(self, path: str) -> list[str]:
        """The links right in a folder that lead out of the listing, sorted.

        >>> look = LookUp(Tree.of([Entry("a", 3), Entry("up", kind="link", target="../a")]))
        >>> look.names(""), look.leaving("")
        (['a'], ['up'])
        """
        return sorted(name for name, leaves in self._below(path) if leaves) if self._columns.targets else []

    def _below(self, path: str) -> Iterator[tuple[str, bool]]:
        """What is right in a folder, and whether it is a link that leads out; a folder may come twice."""
        real = self.real(path)
        if real is None:
            return
        start = f"{real}/" if real else ""
        at, paths = bisect_left(self._paths, start), self._paths
        while at < len(paths) and paths[at].startswith(start):
            name, below, _ = paths[at][len(start) :].partition("/")
            yield name, not below and at in self._columns.targets and self.leaves(f"{start}{name}")
            # "0" is what comes right behind "/".
            at = bisect_left(paths, f"{start}{name}0", at) if below else at + 1

    def real(self, path: str, *, last: bool = True) -> str | None:
        """A path with its links followed, or None if one leads nowhere.

        Args:
            path: normalised; "" is the folder itself.
            last: whether to follow the path itself, if that is a link.

        Raises:
            OutsideRootError: a link leads out of the folder.
        """
        if not self._columns.targets or not path:
            return path
        done: list[str] = []
        todo = path.split("/")[::-1]
        links = 0
        while todo:
            part = todo.pop()
            here = "/".join([*done, part])
            if part == "..":
                if not done:
                    raise _leaving(path)
                if not self._is_folder("/".join(done)):
                    return None
                done.pop()
            elif part in ("", "."):
                continue
            elif (target := self.target(here)) is None or not (todo or last):
                done.append(part)
            else:
                links += 1
                if links > LINKS_MAX:
                    return None
                if target.startswith("/"):
                    raise _leaving(path)
                todo += target.split("/")[::-1]
        return "/".join(done)

    def target(self, path: str) -> str | None:
        """Where a link leads, as it is written; None for what is no link."""
        at = self._there.find(path)
        return None if at is None else self._columns.targets.get(at)

    def leaves(self, path: str) -> bool:
        """Whether a path leads out of the listing, by itself or on its way."""
        try:
            self.real(path)
        except OutsideRootError:
            return True
        return False

    def _above(self, path: str) -> set[str | None]:
        """The real folders that a path goes through, the top among them."""
        parts = path.split("/")[:-1]
        return {"", *(self.real("/".join(parts[: end + 1])) for end in range(len(parts)))}

    def _seen(self, real: str, *, is_link: bool) -> Seen | None:
        entry = self._entry(real)
        if entry is not None and entry.is_file:
            return Seen("file", entry, is_link)
        return Seen("directory", is_link=is_link) if self._is_folder(real) else None

    def _entry(self, path: str) -> Entry | None:
        at = self._there.find(path)
        return None if at is None else self._columns.entry(at)

    def _is_folder(self, path: str) -> bool:
        if not path:
            return True
        at = bisect_left(self._paths, f"{path}/")
        if at < len(self._paths) and self._paths[at].startswith(f"{path}/"):
            return True
        entry = self._entry(path)
        return entry is not None and entry.kind == "dir"


def _leaving(path: str) -> OutsideRootError:
    return OutsideRootError(f"{path} is a link that leaves the artifact; it is not followed")
