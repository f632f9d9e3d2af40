"""What the Hugging Face Hub's client raises, as the kit's errors."""

from typing import Any

from nemotron.kit.errors import (
    KitError,
    MisuseError,
    NotFoundError,
    PathNotFoundError,
    RefusedError,
    UnavailableError,
)
from nemotron.kit.redaction import one_line
from nemotron.kit.store.system_errors import translate as translate_os

# Somebody committed in between, or is about to.
CONFLICTS = (409, 412)
_TOO_MANY = 429


def foreign() -> tuple[type[Exception], ...]:
    """Everything that the client raises; which HTTP library is under it differs between versions."""
    from huggingface_hub import errors

    http_error: type[Exception] = errors.HTTPError  # type: ignore[attr-defined]
    # RuntimeError: how it reports an upload that failed.
    return (
        http_error,
        errors.EntryNotFoundError,
        errors.LocalTokenNotFoundError,
        errors.XetDownloadError,
        OSError,
        ValueError,
        RuntimeError,
    )


def status_of(error: BaseException) -> int | None:
    """The HTTP status that an error tells of, or None."""
    status: Any = getattr(getattr(error, "response", None), "status_code", None)
    return status if isinstance(status, int) else None


def is_transient(error: BaseException) -> bool:
    """Whether the same call may work a moment later."""
    from huggingface_hub import errors

    status = status_of(error)
    if status is not None:
        return status == _TOO_MANY or status == 408 or status >= 500
    # A refused or broken connection; an upload that failed.
    refused = (errors.OfflineModeIsEnabled, errors.LocalTokenNotFoundError, ValueError)
    return not isinstance(error, refused) and not _is_of_the_disk(error)


def _is_of_the_disk(error: BaseException) -> bool:
    return type(error) is OSError and error.errno is not None


def translate(error: Exception, doing: str, where: str, repo: str, source: str) -> KitError:
    """The kit's error for what the client said.

    Args:
        error: from a call on `where`.
        doing: what was tried, such as "write".
        where: URL of the file.
        repo: `org/name`.
        source: where the token comes from.
    """
    from huggingface_hub import errors

    said = f"Cannot {doing} {where}: {one_line(str(error) or type(error).__name__)}"
    not_allowed = f"{said}. Check that the token (from {source}) may {_right(doing)} {repo}"
    match error:
        case KitError():
            return error
        case OSError() if _is_of_the_disk(error):  # of the copy that is made of a large file
            return translate_os(error, doing, where)
        case errors.LocalEntryNotFoundError() | errors.OfflineModeIsEnabled():
            return UnavailableError(f"{said}. Check HF_HUB_OFFLINE and the network, then try again")
        case errors.EntryNotFoundError():
            return PathNotFoundError(said)
        case errors.GatedRepoError() | errors.DisabledRepoError() | errors.LocalTokenNotFoundError():
            return RefusedError(not_allowed)
        case errors.RevisionNotFoundError():
            return NotFoundError(f"{said}. There is no such branch in {repo}")
        case errors.RepositoryNotFoundError():
            # The Hub says the same of a repository that is not there and of one that must not be seen.
            return NotFoundError(
                f"{said}. There is no repository {repo}, or the token (from {source}) may not see it. "
                f"Make one by `hf repo create {repo}`; a dataset's root is hf://datasets/{repo}"
            )
    match status_of(error):
        case 401 | 403:
            return RefusedError(not_allowed)
        case 404:
            return PathNotFoundError(said)
        case 429:
            return UnavailableError(f"{said}. The Hub limits how often one may ask; try again later")
        case 400 | 413 | 422:
            return MisuseError(said)
    if isinstance(error, ValueError):
        return MisuseError(said)
    return UnavailableError(f"{said}. Check HF_ENDPOINT and the network, then try again")


def _right(doing: str) -> str:
    return "write to" if doing in ("write", "move", "remove") else "read"
