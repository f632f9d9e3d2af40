"""What an input was for, where nobody said so: by what it is, and by what was made of it.

>>> role_of(None, "file:///gpt2", "SFTDataArtifact", {"tokenizer_uri": "file:///gpt2"})
'tokenizer'
>>> role_of("ModelArtifact", "art://base:v1", "ModelArtifact", {}), role_of("SFTData", "art://d:v1", "T", {})
('base_model', 'data')
"""

import re
from collections.abc import Mapping
from typing import Any

INPUT = "input"
_REVISION = re.compile(r"(?:/(?:tree|resolve|blob)/|@)([A-Za-z0-9][\w.-]*)", re.ASCII)
_HUB = re.compile(r"hf://|https://huggingface\.co/")


def role_of(
    source_type: str | None, source: str, target_type: str, target_metadata: Mapping[str, Any]
) -> str:
    """The role of an input.

    Args:
        source_type: the class name of the input; None for what is no artifact.
        source: its URI.
        target_type: the class name of what was made of it.
        target_metadata: of what was made of it.

    Returns:
        `tokenizer`, `base_model` (a model that a model was made of), `model` (one that made data), `eval`, or
        `data`; `input` for an artifact whose type tells nothing, as of one that only W&B has.
    """
    if source == target_metadata.get("base_model"):
        return "base_model"
    kind = (source_type or "").lower()
    if source == target_metadata.get("tokenizer_uri") or "tokenizer" in kind:
        return "tokenizer"
    if "model" in kind:
        return "base_model" if "model" in target_type.lower() else "model"
    if "eval" in kind:
        return "eval"
    if source_type is None or any(word in kind for word in ("data", "blend", "jsonl")):
        return "data"
    return INPUT


def revision_of(uri: str) -> str | None:
    """The revision that the URI of a repository on the hub names, or None.

    >>> revision_of("hf://datasets/org/name@refs-1"), revision_of("https://huggingface.co/org/name/tree/main")
    ('refs-1', 'main')
    >>> revision_of("s3://bucket/a@b")
    """
    found = _REVISION.search(uri) if _HUB.match(uri) else None
    return found[1] if found else None
