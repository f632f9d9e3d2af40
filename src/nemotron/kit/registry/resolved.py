"""A version that a reference led to, and where what it recorded lies now.

The way from a name to a path loads this, and nothing of what publishes or compares.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nemotron.kit.documents.manifest import Manifest, Scope


def rebase(value: Any, old: str, new: str) -> Any:
    """Paths below `old`, anywhere in a metadata value, as paths below `new`.

    >>> rebase({"train": "/run1/train", "other": "/run10/x"}, "/run1", "/data")
    {'train': '/data/train', 'other': '/run10/x'}
    """
    if isinstance(value, str):
        if value == old or value.startswith(f"{old}/"):
            return new + value[len(old) :]
        prefix = f"file://{old}"
        return (
            f"file://{new}{value[len(prefix) :]}"
            if value == prefix or value.startswith(f"{prefix}/")
            else value
        )
    if isinstance(value, Mapping):
        return {key: rebase(item, old, new) for key, item in value.items()}
    return [rebase(item, old, new) for item in value] if isinstance(value, list | tuple) else value


def folder_of(manifest: Manifest) -> str:
    """The folder that a manifest's path lies in, or is."""
    entry = manifest.content.entry if manifest.content else None
    return (
        manifest.path[: -len(entry) - 1] if entry and manifest.path.endswith(f"/{entry}") else manifest.path
    )


@dataclass(frozen=True, slots=True)
class Record:
    """One version of an artifact, resolved.

    Attributes:
        manifest: as it was committed.
        root: of the store it is in.
        moved: tells where a recorded path lies now, if data may have moved.
    """

    manifest: Manifest
    root: str
    moved: Callable[[str], str] | None = field(default=None, compare=False, repr=False)

    @property
    def uri(self) -> str:
        """`art://KEY:vN`."""
        return self.manifest.uri

    @property
    def name(self) -> str:
        """The key."""
        return self.manifest.name

    @property
    def version(self) -> int:
        """The number."""
        return self.manifest.version

    @property
    def type(self) -> str:
        """The class name of the artifact."""
        return self.manifest.type

    @property
    def created_at(self) -> str:
        """ISO 8601 with zone."""
        return self.manifest.created_at

    @property
    def is_snapshot(self) -> bool:
        """Whether the store holds the bytes."""
        return self.manifest.content is not None and self.manifest.content.mode == "snapshot"

    @property
    def is_at_url(self) -> bool:
        """Whether its content stays at a URL; a snapshot in a bucket is laid out on this machine instead."""
        return "://" in self.path and not self.is_snapshot

    @property
    def scope(self) -> Scope:
        """`file` where the artifact is one file and nothing around it."""
        return self.manifest.content.scope if self.manifest.content else "folder"

    @property
    def path(self) -> str:
        """Where the artifact lies: absolute or a URL. A snapshot lies there once it is laid out."""
        return self._absolute(self.manifest.path)

    @property
    def folder(self) -> str:
        """The folder of its content: `path`, or the folder around it."""
        return self._absolute(folder_of(self.manifest))

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata, with paths of its own files turned to where they lie now."""
        return self.metadata_in(self.folder)

    def metadata_in(self, folder: str) -> dict[str, Any]:
        """The metadata as it reads when the content lies in `folder`."""
        origin = self.manifest.content.origin if self.manifest.content else None
        if origin is None and not self.is_snapshot:
            origin = folder_of(self.manifest)
        said = dict(self.manifest.metadata)
        return (
            said
            if origin is None or origin == folder or not _is_absolute(origin)
            else {key: rebase(value, origin, folder) for key, value in said.items()}
        )

    @property
    def inputs(self) -> list[str]:
        """URIs of all inputs: artifacts, then external ones."""
        return self.manifest.input_uris

    def _absolute(self, path: str) -> str:
        if not _is_absolute(path):
            return f"{self.root}/{path}"
        return path if self.moved is None else self.moved(path)


def _is_absolute(path: str) -> bool:
    return path.startswith("/") or "://" in path
