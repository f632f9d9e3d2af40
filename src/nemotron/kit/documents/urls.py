"""URLs as they may be written down: without a signature, a key, or a password before the host.

What is left is a reference that others can open with their own rights, and that reads the same on every day;
texts that are no references are `secrets.py`'s. What clients say, which is shown and never written down, is
`store/redaction.py`'s.
"""

import re
from typing import Any

_URL = re.compile(r"\b[A-Za-z][A-Za-z0-9+.-]*://[^\s\"'<>\\]+")
_USER = re.compile(r"\b(https?://)[^/@?#]*@|\b([A-Za-z][A-Za-z0-9+.-]*://)[^/@?#]*:[^/@?#]*@", re.IGNORECASE)
# One of these, and all of the query is a signature: Amazon's, Google's, Azure's, CloudFront's.
_SIGNED = re.compile(
    r"(?:^|&)(?:x-amz-|x-goog-)?(?:signature|sig|awsaccesskeyid|googleaccessid)=", re.IGNORECASE
)
_NAMES = re.compile(
    r"token|secret|passw|api[_-]?key|access[_-]?key|credential|^auth|authorization|session[_-]?id|cookie",
    re.IGNORECASE,
)


def clean_urls(value: Any) -> Any:
    """The same JSON value, whose URLs have no password and no signature any more.

    >>> clean_urls(["https://me:pw@host/x?part=1&token=abc", {"a": "https://host/y?se=2026&sig=abc"}])
    ['https://host/x?part=1', {'a': 'https://host/y'}]
    """
    if isinstance(value, str):
        if "://" not in value:
            return value
        return _URL.sub(lambda match: _clean(match[0]), value)
    if isinstance(value, dict):
        return {key: clean_urls(item) for key, item in value.items()}
    return [clean_urls(item) for item in value] if isinstance(value, list | tuple) else value


def _clean(url: str) -> str:
    url = _USER.sub(lambda match: match[1] or match[2], url)
    head, mark, rest = url.partition("?")
    if not mark:
        return url
    query, mark, fragment = rest.partition("#")
    if _SIGNED.search(query):
        query = ""
    kept = "&".join(part for part in query.split("&") if not _NAMES.search(part.partition("=")[0]))
    return f"{head}{'?' if kept else ''}{kept}{mark}{fragment}"
