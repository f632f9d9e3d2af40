"""Versions that earlier tools left in a root: they open as they are, and new versions continue their numbers.

Two generations are known. *Manifest roots* have `name/vN/manifest.json` without a `format_version`. *Index
roots* have one `.art_index.json` and files copied into `name/vN/`, which may hold a `manifest.json` of the
user's own: that is a commit only if it says that it is, by its name and version. What the index says wins.

An *adopted* version (`adopting.py`) has a manifest of this format beside, in `.kit/adopted`: it goes first.
"""

import json
import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from nemotron.kit.documents import codec
from nemotron.kit.documents.manifest import Manifest
from nemotron.kit.errors import CorruptError, InvalidNameError
from nemotron.kit.names import ArtifactName
from nemotron.kit.registry import layout
from nemotron.kit.store.protocol import Store

log = logging.getLogger(__name__)

_ENTRY = re.compile(r'"([A-Za-z0-9._-]+)"\s*:\s*(?=\{)', re.ASCII)
_DOCUMENTS = frozenset({"manifest.json", "metadata.json", "tombstone.json"})


@dataclass(frozen=True, slots=True)
class Indexed:
    """What `.art_index.json` knows of one name: its versions by number, and its aliases."""

    versions: dict[int, dict[str, Any]] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)


class OlderGenerations:
    """The versions in a root that this format did not write.

    They are listed once per name and process: whoever still writes in the old ways does so at his own risk.

    Args:
        store: the root.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._numbers: dict[str, frozenset[int]] = {}
        self._fixed: set[str] = set()
        self._index: dict[str, Indexed] | None = None
        self._index_is_damaged = False
        self._adopted: dict[str, dict[int, str]] = {}
        self._present: bool | None = None

    @property
    def present(self) -> bool:
        """Whether the root may hold older generations: it was founded as such, or never founded."""
        if self._present is None:
            data = self._store.read(layout.FORMAT)
            if data is None:
                # Not founded yet. It may be before its first publish, so this is asked again, unless older
                # tools were here; names of this format come after its founding.
                if not holds_older(self._store.list()):
                    return False
                data = self._store.read(layout.FORMAT)
            if data is None:
                self._present = True
                return True
            try:
                founded = codec.decode(data, f"{self._store.url}/{layout.FORMAT}")
            except CorruptError as error:
                log.warning("%s. Versions of older tools are looked for", error)
                return True
            self._present = bool(founded.get("older_generations"))
        return self._present

    def numbers(self, name: str) -> frozenset[int]:
        """Every number that an older tool took for a name, whole or not."""
        if not self.present:
            return frozenset()
        known = self._numbers.get(name)
        if known is None:
            listed = (layout.version_number(child) for child in self._store.list(name))
            known = frozenset(n for n in listed if n is not None) | self.indexed(name).versions.keys()
            known |= self._adopted_files(name).keys() if known else frozenset()
            self._numbers[name] = known = self._up_to_floor(name, known)
        return known

    def highest(self, name: str) -> int:
        """The number below which there may be gaps; 0 for a name that no older tool used."""
        return max(self.numbers(name), default=0)

    def fix_floor(self, name: str) -> None:
        """Settle, for all processes, above which number this format's own versions of a name begin.

        Without it, a folder left empty by a crash would be a taken number to a process that lists the name
        later, and nothing to one that listed it before.
        """
        if not self.numbers(name) or name in self._fixed:
            return
        document = {"format_version": layout.STORE_FORMAT, "floor": self.highest(name)}
        if not self._store.create(layout.older_floor(name), codec.encode(document)):
            self._numbers[name] = self._up_to_floor(name, self.numbers(name))
        self._fixed.add(name)

    def _up_to_floor(self, name: str, numbers: frozenset[int]) -> frozenset[int]:
        """Those numbers that older tools took: all of them, where nothing of this format tells otherwise."""
        floor = self._floor(name) if numbers else None
        return numbers if floor is None else frozenset(n for n in numbers if n <= floor)

    def _floor(self, name: str) -> int | None:
        key = layout.older_floor(name)
        data = self._store.read(key)
        if data is None:
            return None
        where = f"{self._store.url}/{key}"
        try:
            floor = codec.decode(data, where).get("floor")
        except CorruptError as error:  # torn by a crash, where there are no hard links
            log.warning("%s. Every number of %s that is there counts as taken by an older tool", error, name)
            return None
        if not isinstance(floor, int) or floor < 0:
            log.warning("%s is damaged: its floor is %r, no version number", where, floor)
            return None
        return floor

    def names(self) -> set[str]:
        """Every name in the index."""
        return set(self._read_index()) if self.present else set()

    def indexed(self, name: str) -> Indexed:
        """What the index says of a name."""
        return self._read_index().get(name, Indexed()) if self.present else Indexed()

    def manifest(self, name: str, number: int) -> Manifest | None:
        """A version as the index has it, or None.

        Its files are looked for under the root first: paths in an index are often of another machine.
        """
        entry = self.indexed(name).versions.get(number)
        if entry is None:
            return None
        here = f"{name}/v{number}"
        there = str(entry.get("path") or "")
        inside = bool(self._store.list(here))
        metadata = entry.get("metadata")
        return Manifest(
            name=name,
            semantic_name=name,
            version=number,
            path=here if inside or not there.startswith("/") else there,
            created_at=str(entry.get("created_at") or ""),
            metadata=metadata if isinstance(metadata, dict) else {},
            format_version=0,
        )

    def adopted(self, name: str, number: int) -> Manifest | None:
        """The manifest that was written later for a version, or None.

        It says what the older tool said and lists the files. In memory it is of no format version either:
        who wrote the version did not know semantic names, and may still write it again.
        """
        file_name = self._adopted_files(name).get(number)
        if file_name is None:
            return None
        key = layout.adopted(name, file_name)
        data = self._store.read(key)
        try:
            manifest = None if data is None else Manifest.from_bytes(data, f"{self._store.url}/{key}")
        except CorruptError as error:  # torn by a crash, or of a newer kit
            log.warning("%s. %s:v%s is read as the older tool left it", error, name, number)
            return None
        if manifest is None or (manifest.name, manifest.version) != (name, number):
            return None
        return replace(manifest, format_version=0)

    def _adopted_files(self, name: str) -> dict[int, str]:
        """By number, the file that says most of an adopted version."""
        if name not in self._adopted:
            files = sorted(self._store.list(layout.adopted(name)), key=layout.adopted_rank)
            self._adopted[name] = {n: file for file in files if (n := layout.adopted_number(file))}
        return self._adopted[name]

    def left_behind(self, name: str, number: int) -> Manifest | None:
        """A version of which a damaged index does not tell any more, as far as its folder tells; or None."""
        if self._index_is_damaged and name not in self._read_index():
            here = f"{name}/v{number}"
            if set(self._store.list(here)) - _DOCUMENTS:
                return Manifest(name=name, semantic_name=name, version=number, path=here, format_version=0)
        return None

    def is_commit(self, data: bytes, name: str, number: int) -> bool:
        """Whether a `manifest.json` without a format version speaks of the version that it lies in."""
        try:
            said = json.loads(data)
        except (ValueError, RecursionError):
            return False
        if not isinstance(said, dict):
            return False
        version = str(said.get("version", "")).removeprefix("v")
        try:
            return ArtifactName(str(said.get("name", ""))).key == name and version == str(number)
        except InvalidNameError:
            return False

    def _read_index(self) -> dict[str, Indexed]:
        if self._index is None:
            data = self._store.read(layout.OLDER_INDEX)
            try:
                document = (
                    {} if data is None else codec.decode(data, f"{self._store.url}/{layout.OLDER_INDEX}")
                )
            except CorruptError as error:
                # Folders and manifests are found without it; it alone knew dates, metadata, aliases, and
                # whether a version was whole.
                log.warning(
                    "%s. What can be read of it counts; other versions are taken from their folders", error
                )
                document, self._index_is_damaged = _salvaged(data or b""), True
            self._index = {name: _indexed(entry) for name, entry in document.items() if _is_name(name)}
        return self._index


def holds_older(names: Iterable[str]) -> bool:
    """Whether what lies at the top of a root that no kit has founded may be of older tools."""
    return any(not name.startswith(".") or name == layout.OLDER_INDEX for name in names)


def _salvaged(data: bytes) -> dict[str, Any]:
    """The entries of a damaged index that are whole."""
    text, decoder, found = data.decode("utf-8", "replace"), json.JSONDecoder(), {}
    for start in _ENTRY.finditer(text):
        try:
            entry, _ = decoder.raw_decode(text, start.end())
        except (ValueError, RecursionError):
            continue
        if isinstance(entry.get("versions"), list):
            found[start[1]] = entry
    return found


def _is_name(text: str) -> bool:
    try:
        return ArtifactName(text).key == text
    except InvalidNameError:
        return False


def _indexed(entry: Any) -> Indexed:
    """One entry of the index, as far as it can be read."""
    if not isinstance(entry, dict):
        return Indexed()
    versions, aliases = entry.get("versions"), entry.get("aliases")
    return Indexed(
        versions={
            item["version"]: item
            for item in (versions if isinstance(versions, list) else [])
            if isinstance(item, dict) and isinstance(item.get("version"), int) and item["version"] > 0
        },
        aliases={
            alias: number
            for alias, number in (aliases.items() if isinstance(aliases, dict) else [])
            if isinstance(number, int) and not isinstance(number, bool)
        },
    )
