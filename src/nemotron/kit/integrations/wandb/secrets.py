"""Keep what opens doors out of records: signed queries, keys in URLs, passwords before a host."""

import re
from dataclasses import replace
from typing import Any

from nemotron.kit.integrations.wandb.description import Description, File

_URL = re.compile(r"\b[A-Za-z][A-Za-z0-9+.-]*://[^\s\"'<>\\]+")
_USER = re.compile(r"^(https?://)[^/@?#]*@|^([A-Za-z][A-Za-z0-9+.-]*://)[^/@?#]*:[^/@?#]*@", re.IGNORECASE)
# One of these, and all of the query is a signature: Amazon's, Google's, Azure's, CloudFront's.
_SIGNED = re.compile(
    r"(?:^|&)(?:x-amz-|x-goog-)?(?:signature|sig|awsaccesskeyid|googleaccessid)=", re.IGNORECASE
)
_NAMES = re.compile(
    r"token|secret|passw|api[_-]?key|access[_-]?key|credential|^auth|authorization|session[_-]?id|cookie",
    re.IGNORECASE,
)


def without_secrets(value: Any) -> Any:
    """The same JSON value, whose URLs have no password and no signature any more.

    >>> without_secrets(["https://me:pw@host/x?part=1&token=abc", {"a": "https://host/y?se=2026&sig=abc"}])
    ['https://host/x?part=1', {'a': 'https://host/y'}]
    """
    if isinstance(value, str):
        return _URL.sub(lambda match: _clean(match[0]), value)
    if isinstance(value, dict):
        return {key: without_secrets(item) for key, item in value.items()}
    return [without_secrets(item) for item in value] if isinstance(value, list | tuple) else value


def payload_of(description: Description) -> dict[str, Any]:
    """The document of a description without what opens doors, in its small files too."""
    files = tuple(_clean_file(file) for file in description.draft.files)
    clean = replace(description, draft=replace(description.draft, files=files))
    document: dict[str, Any] = without_secrets(clean.to_document())
    return document


def _clean_file(file: File) -> File:
    if b"://" not in file.data:
        return file
    try:
        data = without_secrets(file.data.decode("utf-8")).encode("utf-8")
    except UnicodeDecodeError:
        return file  # no text, so nothing that a person wrote a URL into
    return file if data == file.data else File(file.name, data)


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
