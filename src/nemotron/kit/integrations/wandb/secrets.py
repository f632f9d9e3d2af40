"""Keep what opens doors out of what W&B is told, and out of what its client says."""

import os
from dataclasses import replace
from typing import Any

from nemotron.kit.integrations.wandb.description import Description, File
from nemotron.kit.redaction import clean, clean_text, is_secret_name, message

_SECRET_LENGTH_MIN = 8


def redacted(text: str) -> str:
    """A message of the client's without secrets, and without what the environment keeps secret.

    Args:
        text: of somebody else's error, which may quote a request.
    """
    for name, value in os.environ.items():
        if len(value) >= _SECRET_LENGTH_MIN and value in text and is_secret_name(name):
            text = text.replace(value, "…")
    return message(text)


def cleaned(description: Description) -> Description:
    """The description without what opens doors."""
    return Description.from_document(payload_of(description))


def payload_of(description: Description) -> dict[str, Any]:
    """The document of a description without what opens doors, in its small files too."""
    files = tuple(map(_clean_file, description.draft.files))
    bare = replace(description, draft=replace(description.draft, files=()))
    document: dict[str, Any] = clean(bare.to_document())
    # The bytes of files are no text to be cleaned: they have been, and are encoded by now.
    whole = replace(description, draft=replace(description.draft, files=files)).to_document()
    document["draft"]["files"] = whole["draft"]["files"]
    return document


def _clean_file(file: File) -> File:
    try:
        data = clean_text(file.data.decode("utf-8")).encode("utf-8")
    except UnicodeDecodeError:
        return file  # no text, so nothing that a person wrote a key into
    return file if data == file.data else File(file.name, data)
