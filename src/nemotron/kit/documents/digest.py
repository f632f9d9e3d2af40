"""Digests, spelt `blake3:<64 hex digits>`.

BLAKE3 is used because it is the fastest cryptographic hash at hand (several GB/s on one core); see
https://github.com/BLAKE3-team/BLAKE3-specs.
"""

import re

ALGORITHM = "blake3"
_DIGEST = re.compile(r"blake3:[0-9a-f]{64}", re.ASCII)


def digest_of(data: bytes) -> str:
    """The digest of some bytes.

    >>> digest_of(b"")[:18]
    'blake3:af1349b9f5f'
    """
    from blake3 import blake3

    return f"{ALGORITHM}:{blake3(data).hexdigest()}"


def is_digest(text: object) -> bool:
    """Whether it is spelt like a digest, so that it may become part of a key."""
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


def hex_of(digest: str) -> str:
    """The hex digits alone."""
    return digest.removeprefix(f"{ALGORITHM}:")
