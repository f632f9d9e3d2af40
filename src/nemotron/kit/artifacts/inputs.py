"""What an artifact was made from beyond other artifacts: source datasets, tokenizers, and their URIs."""

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemotron.kit.documents.edge import InputEdge
from nemotron.kit.errors import MisuseError

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


@dataclass(frozen=True)
class Input:
    """One input of what is saved, and what is to be said of it: `save(inputs=[Input(data, split="train")])`.

    >>> Input("art://data:v3", role="data", split="train", weight=0.7).weight
    0.7

    Attributes:
        ref: what it is: an artifact, an `art://` reference, a URI, a path, or an `InputDatasetInfo`.
        role: what it was for, such as `data`, `base_model`, `tokenizer`, `reward_model`, `eval`; None for
            what its kind gives away.
        split: the split that was taken.
        shards: the files or shards that were taken; () for all.
        tokens: how many tokens were taken.
        token_range: the tokens that were taken: the first, and the first after them.
        weight: its share, relative to the other inputs' weights.
        revision: of what has revisions: a commit, branch or tag.

    Raises:
        MisuseError: a number is negative, or the range ends before it begins.
    """

    ref: Any
    role: str | None = None
    split: str | None = None
    shards: Sequence[str] = ()
    tokens: int | None = None
    token_range: tuple[int, int] | None = None
    weight: float | None = None
    revision: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.shards, str):
            raise MisuseError(f"shards= is a list of names; write shards=[{self.shards!r}]")
        if self.token_range is not None and not 0 <= self.token_range[0] <= self.token_range[1]:
            raise MisuseError(
                f"Not a range of tokens: {self.token_range}; expected (first, first after them)"
            )
        for name in ("tokens", "weight"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise MisuseError(f"Invalid {name}: {value}; expected 0 or more")

    def edge(self, uri: str) -> InputEdge:
        """What is said of it, once it is known which version it is.

        Args:
            uri: of the version, or of what is no artifact.
        """
        return InputEdge(
            uri=uri,
            role=self.role,
            split=self.split,
            shards=tuple(map(str, self.shards)),
            tokens=None if self.tokens is None else int(self.tokens),
            token_range=None
            if self.token_range is None
            else (int(self.token_range[0]), int(self.token_range[1])),
            weight=None if self.weight is None else float(self.weight),
            revision=self.revision,
        )


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
    known = path if "\0" in path else os.path.expanduser(path)  # no user's name has a null in it
    return f"file://{os.path.abspath(known)}"
