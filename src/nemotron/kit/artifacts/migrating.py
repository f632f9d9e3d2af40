"""What an earlier version of a class saved, as its present version has it."""

from collections.abc import Mapping
from typing import Any

from nemotron.kit.artifacts.value import SCHEMA_KEY, ArtifactValue
from nemotron.kit.errors import CorruptError, FormatTooNewError


def migrated(cls: type[ArtifactValue], document: dict[str, Any], where: str) -> dict[str, Any]:
    """A stored document with the fields that the class has now.

    Args:
        cls: its class.
        document: as it was written.
        where: what is loaded, for messages.

    Raises:
        FormatTooNewError: a newer version of the class wrote it.
        CorruptError: its `migrate` can't make sense of it.
    """
    metadata = document.get("metadata")
    said = metadata.get(SCHEMA_KEY, 1) if isinstance(metadata, Mapping) else 1
    ours = cls.schema_version
    migrate = getattr(cls, "migrate", None)
    if said == ours or cls._keeps_unknown or migrate is None:
        return document
    if not isinstance(said, int) or said > ours:
        raise FormatTooNewError(
            f"{where} was saved by version {said} of {cls.__name__}, and this process has version {ours}: "
            "update the code that defines it, or load it with Artifact"
        )
    base = {name: value for name, value in document.items() if name in ArtifactValue.model_fields}
    typed = {name: value for name, value in document.items() if name not in base and value is not None}
    fields = {**(metadata or {}), **typed}
    fields.pop(SCHEMA_KEY, None)
    try:
        return {**base, "metadata": dict(migrate(fields, said))}
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise CorruptError(
            f"{where} can't be brought from version {said} to {ours} of {cls.__name__}: "
            f"{type(error).__name__}: {error}"
        ) from error
