"""Buckets through fsspec where none of fsspec's own clients is installed: by obstore, as stores reach them.

So a path such as `s3://bucket/data` works with the one client that the kit's extras bring, and with the same
credentials, endpoints and options as a store in that bucket.
"""

import errno
import os
from importlib.util import find_spec
from typing import Any

from obstore.fsspec import FsspecStore

from nemotron.kit.store.bucket_connect import EXTRAS, FSSPEC_OPTIONS, connect_bucket


class _BucketFiles(FsspecStore):
    def __init__(self, **options: Any) -> None:
        self._options = {name: options.pop(name) for name in list(options) if name not in FSSPEC_OPTIONS}
        super().__init__(**options)

    def _construct_store(self, bucket: str) -> Any:
        return connect_bucket(str(self.protocol), bucket, dict(self._options))

    def _open(self, path: str, mode: str = "rb", *args: Any, **more: Any) -> Any:
        if mode == "rb" and more.get("size") is None:
            # Asked before the file is made: obstore's, given up half made, complains when it is cleared away.
            found = self.info(path)
            if found["type"] == "directory":
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
            more["size"] = found["size"]
        return super()._open(path, mode, *args, **more)


def _of(scheme: str) -> type[_BucketFiles]:
    return type(f"{scheme.upper()}Files", (_BucketFiles,), {"protocol": scheme, "__doc__": f"{scheme}://"})


_CLASSES = {scheme: _of(scheme) for scheme in EXTRAS}


def serve(scheme: str) -> None:
    """Let fsspec reach buckets of a scheme, unless a client of its own is installed or was registered.

    >>> serve("s3")
    >>> import fsspec
    >>> fsspec.get_filesystem_class("s3").__name__
    'S3Files'
    """
    import fsspec
    from fsspec.registry import known_implementations

    known = known_implementations.get(scheme, {}).get("class", "")
    if scheme in fsspec.registry or (known and find_spec(known.partition(".")[0]) is not None):
        return
    fsspec.register_implementation(scheme, _CLASSES[scheme])
