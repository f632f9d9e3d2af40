"""Secrets kept out of what clients of stores say, and of how a root is shown: URLs, signatures, tokens.

What is written into documents is cleaned by the rooms that know documents: `documents/urls.py`, `secrets.py`.

>>> public_url("https://me:pass@host/data?sig=abc&sv=1")
'https://host/data'
>>> public_url("nano3/sft/data?sample=10"), public_url("s3://bucket/data?versionId=7")
('nano3/sft/data?sample=10', 's3://bucket/data?versionId=7')
"""

import re
from typing import Any

# `user:password@`, and `token@` where a user name alone makes no sense.
_USER_INFO = re.compile(
    r"\b([a-z][a-z0-9+.-]*://)(?:[^\s/@:]*:[^\s/@]*|(?<=http://)[^\s/@]+|(?<=https://)[^\s/@]+)@", re.I
)
_QUERY = re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s?#\"'<>]*)\?[^\s\"'<>]*", re.I)
# Parameters that sign a URL or identify its bearer; with one of them all parameters go.
_SIGNED = re.compile(
    r"[?&](?:sig|signature|x-amz-[\w-]+|x-goog-[\w-]+|awsaccesskeyid|googleaccessid|[\w-]*(?:token|secret|passw(?:or)?d"
    r"|api[_-]?key|access[_-]?key|credential)[\w-]*)=",
    re.I,
)
_TOKENS = (
    re.compile(r"\bhf_\w{4,}"),
    re.compile(r"(?<=\bBearer )\S+|(?<=\bBasic )\S+|(?<=\bSharedKey )\S+", re.I),
    re.compile(r"(?<=\bAccountKey=)[^;\s]+|(?<=\bSharedAccessSignature=)[^;\s]+", re.I),
    re.compile(
        r"(?<=<StringToSign>).*?(?=</|$)|(?<=<AWSAccessKeyId>).*?(?=</|$)|(?<=<SignatureProvided>).*?(?=</|$)"
    ),
)


def public_url(url: str) -> str:
    """A URL without what only its bearer should know; other text is returned as it is."""
    if "://" in url:
        url = _USER_INFO.sub(r"\1", url)
    return url.partition("?")[0] if _SIGNED.search(url) else url


def one_line(text: str, length_max: int = 300) -> str:
    """What a client said, as one line for a person: no parameters of URLs, no passwords, no tokens.

    >>> one_line("Error performing GET http://x/y?X-Amz-Signature=abc in 3ms:\\n  Bearer hf_abcdef")
    'Error performing GET http://x/y in 3ms: Bearer …'
    """
    text = _QUERY.sub(r"\1", _USER_INFO.sub(r"\1", " ".join(text.split())))
    for token in _TOKENS:
        text = token.sub("…", text)
    return text[:length_max].rstrip(" .:<")


class Unshown:
    """Options that may hold keys: no log, message or debugger's list of variables shows them by itself.

    >>> Unshown({"secret": "s3cr3t"})
    options
    """

    __slots__ = ("value",)

    def __init__(self, value: dict[str, Any]) -> None:
        self.value = value

    def __repr__(self) -> str:
        return "options"
