"""What there is to copy out of an artifact: files, links and empty folders, and where each is to go."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any

from nemotron.kit.errors import NotFoundError, OutsideRootError, RefusedError
from nemotron.kit.integrations.arriving import Arrivals
from nemotron.kit.integrations.artifact_places import find
from nemotron.kit.integrations.fsspec import ArtifactFileSystem
from nemotron.kit.integrations.place import Place
from nemotron.kit.names import normalise_inside

# A folder that is deep enough for no link of an artifact to get above it unseen.
_ANYWHERE = "/artifact/folder"


@dataclass(frozen=True, slots=True)
class Item:
    """A file, or a link, to copy.

    Attributes:
        name: in `art://`, with its version.
        inside: in the artifact.
        to: where it is to be, absolute.
        size: in bytes.
        mtime: in seconds since the epoch.
        link: where a link leads, as it is to be written; None for a file.
    """

    name: str
    inside: str
    to: str
    size: int = 0
    mtime: float = 0.0
    link: str | None = None


class Walk:
    """All files of a folder, or one. What can't be copied is refused before anything is.

    A link whose target is copied too, or is nowhere, is copied as a link, where there can be links. One that
    leads to another place in the artifact, or there by way of a link that is left out, is copied as what it
    leads to. Any other is left out: what is outside of the artifact is never read, and no link is made that
    leads out of the copy.

    Attributes:
        empty: folders to make that hold nothing, of what was walked.
        left_out: the links that are not copied, by their paths in the artifact.

    Args:
        fs: the artifact's.
        place: what to copy.
        target: the folder to copy into.
    """

    def __init__(self, fs: ArtifactFileSystem, place: Place, target: str) -> None:
        self._fs, self._top, self._target = fs, place.inside, target
        self._whole = place.record.uri.removeprefix("art://")
        self.empty: list[str] = []
        self.left_out: list[str] = []
        self._is_astray: dict[str, bool] = {}

    @cached_property
    def _holds_links(self) -> bool:
        folder = self._target
        while not os.path.isdir(folder):
            folder = os.path.dirname(folder)
        return Arrivals().can_link(folder)

    def single(self, name: str, inside: str, to: str) -> Iterator[Item]:
        """A file alone."""
        info = self._fs.info(name)
        yield Item(name, inside, to, info["size"], info["mtime"])

    def below(self, name: str, inside: str, to: str) -> Iterator[Item]:
        """What is in a folder, and in those in it.

        Raises:
            OutsideRootError, RefusedError: something can't be copied.
        """
        place = find(self._fs.registry, name)
        found, left = list(place.children(name)), 0
        self._leave_out(inside, place.leaving())
        for info in found:
            child = info["name"].rpartition("/")[2]
            if child in ("", ".", "..") or "\x00" in child or os.sep in child:
                raise OutsideRootError(f"art://{name} holds a file named {child!r}, which no folder can")
            self._check_name(name, child)
            below, target = f"{inside}/{child}" if inside else child, os.path.join(to, child)
            if (info["islink"] or info["type"] == "link") and (link := self._link(info, below)):
                yield Item(info["name"], below, target, link=link)
            elif info["type"] == "directory":
                yield from self.below(info["name"], below, target)
            elif info["type"] == "file":
                yield Item(info["name"], below, target, info["size"], info["mtime"])
            elif info["type"] == "link":
                self._leave_out(inside, [child])
                left += 1
            else:
                raise RefusedError(
                    f"Nothing was copied: art://{info['name']} is neither a file nor a folder. "
                    "Copy what is beside it by name"
                )
        if left == len(found):
            self.empty.append(to)

    def _leave_out(self, folder: str, names: Iterable[str]) -> None:
        self.left_out += [f"{folder}/{name}" if folder else name for name in names]

    def _check_name(self, name: str, child: str) -> None:
        """Refuse what can't be asked for by its name, before anything is copied."""
        try:
            normalise_inside(child)
        except OutsideRootError:
            try:
                find(self._fs.registry, f"{name}/{child}")
            except (OutsideRootError, NotFoundError) as error:
                raise RefusedError(
                    f"Nothing was copied: art://{name} holds a file that no reference can name, {child!r}. "
                    "`nemotron kit resolve` tells where it is; copy it from there"
                ) from error

    def _link(self, info: dict[str, Any], inside: str) -> str | None:
        """What to write into the copy of a link; None if it is to be copied as what it leads to."""
        link = find(self._fs.registry, info["name"]).link() if self._holds_links else None
        if link is None:
            return None
        leads_to = os.path.normpath(f"{_ANYWHERE}/{os.path.dirname(inside)}/{link}")
        if not f"{leads_to}/".startswith(f"{os.path.normpath(f'{_ANYWHERE}/{self._top}')}/"):
            return None
        there = leads_to.removeprefix(_ANYWHERE)
        if self._goes_astray(os.path.dirname(inside), there.strip("/")):
            return None
        return link if info["type"] == "link" or self._fs.exists(f"{self._whole}{there}") else None

    def _goes_astray(self, folder: str, there: str) -> bool:
        """Whether a way from a folder to another place goes by way of a link that is left out."""
        above = accumulate(there.split("/")[:-1], "{}/{}".format)
        return any(self._is_left_out(path) for path in above if not f"{folder}/".startswith(f"{path}/"))

    def _is_left_out(self, path: str) -> bool:
        if path not in self._is_astray:
            self._is_astray[path] = False  # which also ends the ways that lead through themselves
            name = f"{self._whole}/{path}"
            if self._fs.exists(name) and (info := self._fs.info(name))["type"] == "link":
                self._is_astray[path] = self._link(info, path) is None
        return self._is_astray[path]
