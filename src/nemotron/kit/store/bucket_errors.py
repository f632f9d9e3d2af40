"""What obstore, and botocore for AWS profiles, raise, as the kit's errors."""

import errno
import re
from urllib.parse import urlsplit

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
# Whom clients ask for credentials where none were given; their 403 and 404 say nothing of the bucket.
_ASKING_FOR_CREDENTIALS = re.compile(r"performing \w+ http://(?:169\.254\.\d+\.\d+|metadata[\w.]*)[:/]")
_GIVING = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_CONNECTION_STRING, or AZURE_STORAGE_ACCOUNT and AZURE_STORAGE_KEY",
}
_REQUEST = re.compile(
    r"Error performing \w+ (\S+) in [\d.]+\w+"
    r"(?:, after \d+ retr\w+, max_retries: \d+, retry_timeout: \S+)? *- +"
)


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
    if _ASKING_FOR_CREDENTIALS.search(text):
        return _no_credentials(doing, where, bucket, source)
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
        return _no_credentials(doing, where, bucket, source)
    return UnavailableError(f"{said}. Check the endpoint and the network, then try again")


def _no_credentials(doing: str, where: str, bucket: str, source: str) -> RefusedError:
    scheme = bucket.partition(":")[0].lower()
    kind = {"s3a": "s3", "gcs": "gs", "abfs": "az", "abfss": "az"}.get(scheme, scheme)
    return RefusedError(
        f"Cannot {doing} {where}: no credentials found (looked at {source}). "
        f"For {bucket}, set {_GIVING.get(kind, 'some in the environment')}, or give storage_options"
    )


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
    """What a person needs of obstore's message: who said what.

    That is its head, without the debug dump, signed URLs, and the count of what was tried.
    """
    head = text.split("\n\nDebug source")[0].split("Debug source:")[0].replace("<?xml", "<xml")
    head = re.sub(r"^Generic \w+ error: ", "", head)
    return one_line(_REQUEST.sub(lambda found: f"{_origin(found[1])}: ", head), 300)


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
