"""A version as JSON, and as the path alone: all that `resolve` needs, and little to import."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from nemotron.kit.console.output import View

if TYPE_CHECKING:
    from nemotron.kit.registry.records import Record


def version_document(record: "Record", path: str | None = None) -> dict[str, Any]:
    """The JSON object of a version, the same wherever a version is meant.

    Args:
        record: the version.
        path: where it lies, if that was looked up.
    """
    return {
        "uri": record.uri,
        "name": record.name,
        "semantic_name": record.manifest.semantic_name,
        "version": record.version,
        "type": record.type,
        "path": path or record.path,
        "created_at": record.created_at,
        "metadata": record.metadata,
        "inputs": record.inputs,
    }


class PathView(View):
    """Where a version, or a file inside it, lies.

    Args:
        record: the version.
        folder: where its content lies.
        path: the path asked for.
        inside: the path inside the artifact, or "".
    """

    def __init__(self, record: "Record", folder: str, path: str, inside: str = "") -> None:
        self._record, self._folder, self._path, self._inside = record, folder, path, inside

    def document(self) -> Any:
        """The version, with this path, and its metadata as it reads there."""
        document = version_document(self._record, self._path)
        document["metadata"] = self._record.metadata_in(self._folder)
        return {**document, "inside": self._inside} if self._inside else document

    def lines(self) -> Iterable[str]:
        """The path."""
        return [self._path]

    def render(self) -> str:
        """The path alone, as it is: for `$(…)`."""
        return self._path
