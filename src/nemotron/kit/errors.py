"""Every error of the kit, grouped by what the caller does next.

| class | what to do |
| --- | --- |
| `NotFoundError` | look for it elsewhere, or create it |
| `ConflictError` | look again, then decide |
| `RefusedError` | change what is asked, or the permission |
| `UnavailableError` | try again later |
| `CorruptError` | repair or restore what is stored |
| `MisuseError` | correct the call |

Each class has a `kind`, a short text that never changes, for programs; the message is for people and says
what, where and how to fix it. Classes also inherit the built-in exception that callers expect.

>>> try:
...     raise ArtifactNotFoundError("data")
... except FileNotFoundError as error:
...     print(error.kind, "-", error)
artifact_not_found - Artifact not found: data
"""

from typing import ClassVar

from nemotron.kit.redaction import clean_text


class KitError(Exception):
    """Root of the tree.

    Args:
        message: what happened, where, and how to fix it; passwords, signatures and keys in it are left out.
    """

    kind: ClassVar[str] = "kit"

    def __init__(self, message: str) -> None:
        message = clean_text(message)
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        # KeyError would quote the message, OSError would look for an errno.
        return self.message

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.message, self.__dict__)


def _rebuild(cls: type[KitError], message: str, state: dict[str, object]) -> KitError:
    """Unpickle an error whose constructor takes more than a message."""
    error = cls.__new__(cls, message)
    Exception.__init__(error, message)
    error.__dict__.update(state)
    return error


# -- not found ---------------------------------------------------------------------------------------------


class NotFoundError(KitError, FileNotFoundError):
    """Something that was asked for is not there."""

    kind = "not_found"


class ArtifactNotFoundError(NotFoundError, KeyError):
    """No artifact of that name.

    Args:
        name: the artifact's name.
        message: replaces the default, `Artifact not found: NAME`.
    """

    kind = "artifact_not_found"

    def __init__(self, name: str, message: str | None = None) -> None:
        super().__init__(message or f"Artifact not found: {name}")
        self.name = name


class ArtifactVersionNotFoundError(NotFoundError, KeyError):
    """The artifact has no such version or alias.

    Args:
        name: the artifact's name.
        version: the version or alias asked for.
        message: replaces the default, `Artifact version not found: NAME:VERSION`.
    """

    kind = "version_not_found"

    def __init__(self, name: str, version: object, message: str | None = None) -> None:
        super().__init__(message or f"Artifact version not found: {name}:{version}")
        self.name = name
        self.version = version


class WithdrawnError(ArtifactVersionNotFoundError):
    """The version was withdrawn; the message says by whom and why."""

    kind = "withdrawn"


class PathNotFoundError(NotFoundError):
    """A file or folder that the caller named does not exist."""

    kind = "path_not_found"


# -- conflict ----------------------------------------------------------------------------------------------


class ConflictError(KitError):
    """Somebody else was there first, or the state is not what the caller expected."""

    kind = "conflict"


class NameConflictError(ConflictError, ValueError):
    """Two different semantic names fall on one key (`a/b` and `a-b`)."""

    kind = "name_conflict"


class DriftError(ConflictError):
    """The bytes of a reference are no longer those that were published."""

    kind = "drift"


class MismatchError(ConflictError, ValueError):
    """A claimed count is not what the files say."""

    kind = "mismatch"


# -- refused -----------------------------------------------------------------------------------------------


class RefusedError(KitError, PermissionError):
    """Not allowed: by the file system, by the store, or because it would leave its root."""

    kind = "refused"


class OutsideRootError(RefusedError, ValueError):
    """A name, a path or a link reaches outside the root that it belongs to."""

    kind = "outside_root"


# -- unavailable -------------------------------------------------------------------------------------------


class UnavailableError(KitError, ConnectionError):
    """Not reachable now; the same call may work later."""

    kind = "unavailable"


class DiskFullError(UnavailableError):
    """The disk or the quota is full; nothing was lost, nothing is half there."""

    kind = "disk_full"


# -- corrupt -----------------------------------------------------------------------------------------------


class CorruptError(KitError, ValueError):
    """A stored document or file is damaged."""

    kind = "corrupt"


class FormatTooNewError(CorruptError):
    """Written by a newer kit than this one."""

    kind = "format_too_new"


# -- misuse ------------------------------------------------------------------------------------------------


class MisuseError(KitError, ValueError):
    """The call is wrong; the message says how to correct it."""

    kind = "misuse"


class InvalidNameError(MisuseError):
    """Not an artifact name or alias."""

    kind = "invalid_name"


class InvalidReferenceError(MisuseError):
    """Not an `art://` reference."""

    kind = "invalid_reference"


class AmbiguousReferenceError(MisuseError):
    """A reference means several things that are there; the message lists them."""

    kind = "ambiguous_reference"


class InvalidMetadataError(MisuseError, TypeError):
    """A metadata value that no document can hold."""

    kind = "invalid_metadata"


class NotInitializedError(MisuseError, RuntimeError):
    """There is no store or tracker yet."""

    kind = "not_initialized"


class MissingExtraError(MisuseError, ImportError):
    """An optional package is missing; the message has the pip command."""

    kind = "missing_extra"
