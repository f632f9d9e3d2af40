"""What obstore, and botocore for AWS profiles, raise, as the kit's errors."""

import errno

from nemotron.kit.errors import (
    ConflictError,
    KitError,
    MisuseError,
    NotFoundError,
    OutsideRootError,
    PathNotFoundError,
    RefusedError,
    UnavailableError,
)
from nemotron.kit.redaction import one_line
from nemotron.kit.store.system_errors import translate as translate_os

# How S3, Azure and Google say in the reply's body that it is not the object that is missing.
_NO_BUCKET = ("NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist")
# obstore has no class of its own for these replies.
_NOT_ALLOWED = (
    "403 Forbidden",
    "401 Unauthorized",
    "<Code>AccessDenied",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
)
_NO_CREDENTIALS = ("169.254.169.254", "metadata.google.internal", "computeMetadata", "NoCredentials")


class ThereAlreadyError(ConflictError):
    """The condition of a write did not hold."""

    kind = "there_already"


def translate(error: Exception, doing: str, where: str, source: str = "the environment") -> KitError:
    """The kit's error for what obstore said.

    Args:
        error: from a call on `where`.
        doing: what was tried, such as "write".
        where: URL of the object.
        source: where the credentials come from.
    """
    from obstore import exceptions

    text = str(error)
    said = f"Cannot {doing} {where}: {first_line(text)}"
    bucket = "/".join(where.split("/")[:3])
    not_allowed = RefusedError(f"{said}. Check the credentials ({source}), and what they may do in {bucket}")
    if isinstance(error, KitError):
        return error
    if any(mark in text for mark in _NO_BUCKET):
        return NotFoundError(f"{said}. There is no such bucket; check its name, region and endpoint")
    match error:
        case exceptions.AlreadyExistsError() | exceptions.PreconditionError() | FileExistsError():
            return ThereAlreadyError(said)
        case exceptions.NotFoundError() | FileNotFoundError():
            return PathNotFoundError(said)
        case exceptions.PermissionDeniedError() | exceptions.UnauthenticatedError() | PermissionError():
            return not_allowed
        case exceptions.InvalidPathError():
            return OutsideRootError(said)
        case (
            exceptions.NotSupportedError() | exceptions.UnknownConfigurationKeyError() | NotImplementedError()
        ):
            return MisuseError(said)
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return translate_os(error, doing, where)
    if any(mark in text for mark in _NOT_ALLOWED):
        return not_allowed
    if any(mark in text for mark in _NO_CREDENTIALS):
        return RefusedError(f"{said}. There are no credentials ({source}); give some, for {bucket}")
    return UnavailableError(f"{said}. Check the endpoint and the network, then try again")


def translate_botocore(error: Exception, profile: str) -> KitError:
    """The kit's error for what botocore said of a profile of the AWS configuration files."""
    from botocore import exceptions

    said = f"Cannot use {profile}: {one_line(str(error))}"
    match error:
        case exceptions.ProfileNotFound() | exceptions.ConfigParseError() | exceptions.ConfigNotFound():
            return MisuseError(f"{said}. Check AWS_PROFILE and ~/.aws/config")
        case exceptions.HTTPClientError() | exceptions.ConnectionError():
            return UnavailableError(f"{said}. Check the network, then try again")
    return RefusedError(f"{said}. Log in again, or choose another profile")


def first_line(text: str) -> str:
    """What a person needs of obstore's message: its head, without the debug dump and without signed URLs."""
    return one_line(text.split("\n\nDebug source")[0].split("Debug source:")[0].replace("<?xml", "<xml"), 300)
