"""What an index of artifacts says of a name and of its versions."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self


@dataclass
class ArtifactVersion:
    """One version of an artifact.

    Attributes:
        version: its number.
        path: the folder of its content.
        created_at: ISO 8601 with zone.
        metadata: what was said of it.
    """

    version: int
    path: str
    created_at: str
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass
class ArtifactEntry:
    """One name and what there is of it.

    Attributes:
        name: the artifact's key.
        versions: the versions, oldest first.
        aliases: each alias and the version it points at.
    """

    name: str
    versions: list[ArtifactVersion] = field(default_factory=list)
    aliases: dict[str, int] = field(default_factory=dict)

    def latest_version(self) -> ArtifactVersion | None:
        """The highest version, or None if there is none."""
        return max(self.versions, key=lambda version: version.version, default=None)

    def get_version(self, version: int) -> ArtifactVersion | None:
        """The version of a number, or None."""
        return next((one for one in self.versions if one.version == version), None)

    def to_dict(self) -> dict[str, Any]:
        """The entry as JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read `to_dict()` back.

        Args:
            data: `{name, versions: [{version, path, created_at, metadata}], aliases: {alias: version}}`.
        """
        versions = [ArtifactVersion(**version) for version in data.get("versions", [])]
        return cls(data["name"], versions, dict(data.get("aliases", {})))
