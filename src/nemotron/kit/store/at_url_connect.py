"""From the URL of data to who looks at it there."""

from collections.abc import Mapping
from typing import Any

from nemotron.kit.errors import MissingExtraError
from nemotron.kit.store.at_url import Objects
from nemotron.kit.store.connect import BUCKETS


def objects_at(url: str, options: Mapping[str, Any] | None = None) -> Objects:
    """What lies at a URL; nothing is asked yet.

    Args:
        url: of a bucket (`s3://`, `gs://`, `az://`, …), `http://` or `https://`, `hf://`, or any other that
            fsspec reads.
        options: of the client, as for stores; by default what the environment says.

    Raises:
        MisuseError: the URL is none, or an option is unknown.
        MissingExtraError: no client for it is installed.
    """
    scheme, given = url.partition("://")[0].lower(), dict(options or {})
    if scheme in BUCKETS:
        try:
            from nemotron.kit.store.at_url_bucket import BucketObjects

            return BucketObjects(url, given)
        except MissingExtraError as error:
            missing = error
        from nemotron.kit.store.at_url_fsspec import FsspecObjects

        try:
            return FsspecObjects(url, given)
        except MissingExtraError:
            raise missing from None
    if scheme in ("http", "https"):
        from nemotron.kit.store.at_url_http import HttpObjects

        return HttpObjects(url, given)
    if scheme == "hf":
        from nemotron.kit.store.at_url_hub import HubObjects

        return HubObjects(url, given)
    from nemotron.kit.store.at_url_fsspec import FsspecObjects

    return FsspecObjects(url, given)
