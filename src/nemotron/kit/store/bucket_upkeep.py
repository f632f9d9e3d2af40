"""What house-keeping asks of a bucket: how old its objects are, and another key for one of them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from nemotron.kit.store.bucket_streams import in_parts
from nemotron.kit.store.protocol import Found

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Bucket

# S3 copies no more than this in one request; what is larger goes through this process, in parts.
COPY_SIZE_MAX = 5 << 30


def walk(bucket: "Bucket", start: str, skip: int) -> Iterator[Found]:
    """All objects whose path begins with `start`, keyed by their path without its first `skip` letters.

    Raises:
        BaseError: obstore's own.
    """
    import obstore

    for page in obstore.list(bucket, start or None):
        for item in page:
            if not item["path"].startswith(start):
                continue  # the empty object `prefix/` that consoles and Hadoop make for a folder
            yield Found(item["path"][skip:], item["size"], item["last_modified"].timestamp())


def move(bucket: "Bucket", source: str, target: str) -> None:
    """Copy an object inside the bucket, then delete the first one.

    Raises:
        BaseError: obstore's own.
    """
    import obstore

    if (size := obstore.head(bucket, source)["size"]) > COPY_SIZE_MAX:
        obstore.put(bucket, target, obstore.open_reader(bucket, source), **in_parts(size))  # type: ignore[arg-type]
    else:
        obstore.copy(bucket, source, target)
    obstore.delete(bucket, source)
