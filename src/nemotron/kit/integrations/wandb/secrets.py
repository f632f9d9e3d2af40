"""Keep what opens doors out of records: signed queries, keys in URLs, passwords before a host."""

import os
import re
from dataclasses import replace
from typing import Any

from nemotron.kit.documents.secrets import is_secret_name, text_without_secrets
from nemotron.kit.documents.urls import clean_urls
from nemotron.kit.integrations.wandb.description import Description, File

_QUERY = re.compile(r"(https?://[^\s\"'?]+)\?[^\s\"']*")
_SECRET_LENGTH_MIN = 8


def redacted(text: str) -> str:
    """A message without signatures and passwords in URLs, and without what the environment keeps secret.

    Args:
        text: of somebody else's error, which may quote a request.
    """
    for name, value in os.environ.items():
        if len(value) >= _SECRET_LENGTH_MIN and value in text and is_secret_name(name):
            text = text.replace(value, "…")
    return text_without_secrets(clean_urls(_QUERY.sub(r"\1?…", text)))


def cleaned(description: Description) -> Description:
    """The description without what opens doors."""
    return Description.from_document(payload_of(description))


def payload_of(description: Description) -> dict[str, Any]:
    """The document of a description without what opens doors, in its small files too."""
    files = tuple(_clean_file(file) for file in description.draft.files)
    clean = replace(description, draft=replace(description.draft, files=files))
    document: dict[str, Any] = clean_urls(clean.to_document())
    return document


def _clean_file(file: File) -> File:
    if b"://" not in file.data:
        return file
    try:
        data = clean_urls(file.data.decode("utf-8")).encode("utf-8")
    except UnicodeDecodeError:
        return file  # no text, so nothing that a person wrote a URL into
    return file if data == file.data else File(file.name, data)
