"""What an artifact was made from beyond other artifacts: source datasets, tokenizers, and their URIs."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

HUB = "https://huggingface.co"

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_HUB_PART = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
# Files that tokenizers are kept in: a bare name with such an ending is a file, not a repository.
_TOKENIZER_FILES = (".model", ".json", ".txt", ".bpe", ".vocab", ".tiktoken")


@dataclass
class InputDatasetInfo:
    """One source dataset of a data artifact.

    Attributes:
        uri: where it comes from: `hf://org/name`, `s3://…`, a path, …
        name: a short name for people.
        weight: its share in the blend, relative to the others.
        split: the split that was read, such as `train`.
        subset: the subset (configuration) that was read.
        text_field: the column that holds the text.
        num_rows: rows read, if known.
        size_bytes: size in bytes, if known.
        num_files: number of files, if known.
    """

    uri: str
    name: str | None = None
    weight: float = 1.0
    split: str | None = None
    subset: str | None = None
    text_field: str = "text"
    num_rows: int | None = None
    size_bytes: int | None = None
    num_files: int | None = None


def to_wandb_uri(path: str | os.PathLike[str]) -> str:
    """The URI of a dataset, in a form that other tools open too.

    >>> to_wandb_uri("hf://nvidia/Nemotron-CC")
    'https://huggingface.co/datasets/nvidia/Nemotron-CC'
    >>> to_wandb_uri("s3://bucket/corpus"), to_wandb_uri("/data/corpus")
    ('s3://bucket/corpus', 'file:///data/corpus')

    Args:
        path: a URI, or a local path (`~` and relative ones are made absolute).

    Returns:
        `hf://` as the dataset's page on the hub, other URIs unchanged, paths as `file://` URIs.
    """
    text = str(path)
    if text.startswith("hf://"):
        return f"{HUB}/datasets/{text.removeprefix('hf://').removeprefix('datasets/')}"
    return text if _SCHEME.match(text) else _file_uri(text)


def tokenizer_to_uri(model: str | os.PathLike[str], revision: str | None = None) -> str:
    """The URI of a tokenizer, given as the libraries that load it take it.

    As there, a folder or file that exists goes before a repository on the hub.

    >>> tokenizer_to_uri("nvidia/Nemotron-H-8B", revision="main")
    'https://huggingface.co/nvidia/Nemotron-H-8B/tree/main'
    >>> tokenizer_to_uri("gpt2"), tokenizer_to_uri("/models/tokenizer.model")
    ('https://huggingface.co/gpt2', 'file:///models/tokenizer.model')

    Args:
        model: a repository (`org/name`, or a bare name such as `gpt2`), a local path, or a URI.
        revision: branch, tag or commit; repositories only.
    """
    text = str(model)
    if _SCHEME.match(text):
        return text
    if not _is_repository(text):
        return _file_uri(text)
    return f"{HUB}/{text}" + (f"/tree/{revision}" if revision else "")


def _is_repository(text: str) -> bool:
    parts = text.split("/")
    if len(parts) > 2 or not all(_HUB_PART.fullmatch(part) for part in parts):
        return False
    return not text.endswith(_TOKENIZER_FILES) and not Path(text).exists()


def _file_uri(path: str) -> str:
    return f"file://{os.path.abspath(os.path.expanduser(path))}"
