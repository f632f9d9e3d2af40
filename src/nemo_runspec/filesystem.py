"""`art://` for fsspec; see `nemotron.kit.integrations.fsspec`."""

from nemotron.kit.integrations.fsspec import ArtifactFileSystem

__all__ = ["ArtifactFileSystem"]

_parse_uri = ArtifactFileSystem._parse_uri
