"""From the URL of a bucket to obstore's client of it, and from what that raises to the kit's errors."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nemotron.kit.errors import KitError, MissingExtraError, MisuseError
from nemotron.kit.store.access_points import AccessPoint
from nemotron.kit.store.bucket_errors import first_line, translate, translate_botocore
from nemotron.kit.store.bucket_options import Settings, settle

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Bucket

EXTRAS = {
    "s3": "s3",
    "s3a": "s3",
    "gs": "gcs",
    "gcs": "gcs",
    "az": "azure",
    "abfs": "azure",
    "abfss": "azure",
}
# What fsspec itself understands of the options of a path; everything else is for the client.
FSSPEC_OPTIONS = (
    *("asynchronous", "loop", "batch_size", "use_listings_cache", "listings_expiry_time", "max_paths"),
    *("skip_instance_cache",),
)


def connect_bucket(scheme: str, host: str, options: Mapping[str, Any]) -> "Bucket":
    """Make obstore's client of a bucket; see `connect`."""
    return connect(scheme, host, options)[0]


def connect(
    scheme: str, host: str, options: Mapping[str, Any], point: AccessPoint | None = None
) -> "tuple[Bucket, Settings]":
    """Make obstore's client of a bucket, and tell how it reaches it.

    Args:
        scheme: `s3`, `gs`, `az`, …
        host: the bucket, as in the URL.
        options: as `BucketStore` takes them; they win over the environment.
        point: the access point, if that is what the URL names.

    Raises:
        MissingExtraError: obstore is not installed.
        MisuseError: an option is unknown or can't be read.
    """
    kind = EXTRAS[scheme]
    try:
        from obstore import store as backends
        from obstore.exceptions import BaseError
    except ImportError as error:
        raise MissingExtraError(
            f"Stores at {scheme}:// need obstore: pip install 'nemotron-kit[{kind}]'"
        ) from error
    if point is not None:
        # An endpoint in the environment is one for buckets, and a host of its own answers for this.
        there = {"region": point.region, "virtual_hosted_style_request": True}
        given = "endpoint" in options or "endpoint_url" in options
        options = {**there, **({} if given else {"endpoint": point.endpoint}), **options}
    settings = settle(kind, host, options)
    said: dict[str, Any] = {
        "config": settings.config,
        "client_options": settings.client,
        "retry_config": settings.retry,
    }
    bucket = host.partition("@")[0]
    try:
        match kind:
            case "s3":
                return backends.S3Store(bucket, credential_provider=settings.provider, **said), settings
            case "gcs":
                return backends.GCSStore(bucket, **said), settings
            case _:
                return backends.AzureStore(bucket, **said), settings
    except (BaseError, TypeError, ValueError) as error:
        raise MisuseError(f"Cannot open {scheme}://{bucket}: {first_line(str(error))}") from error


@contextmanager
def translated(doing: str, where: str, settings: Settings) -> Iterator[None]:
    """Turn what obstore raises into the kit's errors."""
    from obstore.exceptions import BaseError

    try:
        yield
    except KitError:
        raise
    except (BaseError, OSError, NotImplementedError) as error:
        provider = settings.provider
        if provider is not None and provider.problem is not None:
            problem, provider.problem = provider.problem, None
            raise translate_botocore(problem, provider.name) from error
        raise translate(error, doing, where, settings.source) from error
