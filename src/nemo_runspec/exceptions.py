"""What the artifact modules raise: the kit's own errors.

>>> raise ArtifactNotFoundError("data")
Traceback (most recent call last):
nemotron.kit.errors.ArtifactNotFoundError: Artifact not found: data
>>> raise ArtifactVersionNotFoundError("data", 3)
Traceback (most recent call last):
nemotron.kit.errors.ArtifactVersionNotFoundError: Artifact version not found: data:3
"""

from nemotron.kit.errors import ArtifactNotFoundError, ArtifactVersionNotFoundError

__all__ = ["ArtifactNotFoundError", "ArtifactVersionNotFoundError"]
