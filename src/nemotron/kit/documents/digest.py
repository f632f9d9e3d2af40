"""Digests, spelt `blake3:<64 hex digits>`, and digests of samples, spelt `sampled-blake3:<64 hex digits>`.

BLAKE3 is used because it is the fastest cryptographic hash at hand (several GB/s on one core); see
https://github.com/BLAKE3-team/BLAKE3-specs.
"""

import re

ALGORITHM = "blake3"
SAMPLE = "sampled-blake3"
SAMPLE_BLOCK = 64 * 1024
# Of files up to this size a sample is all of it.
SAMPLED_WHOLE_MAX = 3 * SAMPLE_BLOCK
_DIGEST = re.compile(r"blake3:[0-9a-f]{64}", re.ASCII)
_SAMPLE = re.compile(r"sampled-blake3:[0-9a-f]{64}", re.ASCII)


def digest_of(data: bytes | bytearray) -> str:
    """The digest of some bytes.

    >>> digest_of(b"")[:18]
    'blake3:af1349b9f5f'
    """
    from blake3 import blake3

    return f"{ALGORITHM}:{blake3(data).hexdigest()}"


def is_digest(text: object) -> bool:
    """Whether it is spelt like a digest, so that it may become part of a key."""
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


def sample_of(size: int, first: bytes, middle: bytes, last: bytes) -> str:
    """The digest of a sample of a file: its size, eight bytes with the least first, and three of its blocks.

    It is spelt differently from a digest, because equal samples do not mean equal files.

    >>> sample_of(9, b"abc", b"def", b"ghi")[:23]
    'sampled-blake3:5c46f3b2'
    """
    from blake3 import blake3

    hasher = blake3(size.to_bytes(8, "little"))
    for block in (first, middle, last):
        hasher.update(block)
    return f"{SAMPLE}:{hasher.hexdigest()}"


def is_sample(text: object) -> bool:
    """Whether it is spelt like the digest of a sample."""
    return isinstance(text, str) and _SAMPLE.fullmatch(text) is not None


def hex_of(digest: str) -> str:
    """The hex digits alone."""
    return digest.removeprefix(f"{ALGORITHM}:")
