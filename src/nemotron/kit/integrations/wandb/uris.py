"""How W&B wants things to be called."""

import hashlib
import re
from urllib.parse import unquote, urlsplit

from nemotron.kit.artifacts.inputs import HUB, InputDatasetInfo
from nemotron.kit.errors import InvalidReferenceError
from nemotron.kit.names import SCHEME, ArtifactName, ArtifactRef

NAME_LENGTH_MAX = 128
HASH_LENGTH = 10

# `hf://datasets/a/b` is the same as `hf://a/b`.
_PROTOCOL = re.compile(r"hf://datasets/|[A-Za-z][A-Za-z0-9+.-]*://")
_QUALIFIED = re.compile(r"[^/:]+/[^/:]+/[^/:]+:[^/:]+")
_REFUSED = re.compile(r"[^A-Za-z0-9._-]+", re.ASCII)


def dataset_name(info: InputDatasetInfo) -> str:
    """The W&B artifact that stands for a source dataset.

    >>> dataset_name(InputDatasetInfo("hf://nvidia/Nemotron-CC", subset="high quality", split="train"))
    'nvidia-Nemotron-CC-high-quality-train'
    """
    parts = [_PROTOCOL.sub("", info.uri, count=1), info.subset, info.split]
    return fit_name("-".join(part for part in parts if part), info.uri) or "dataset"


def tokenizer_name(uri: str) -> str:
    """The W&B artifact that stands for a tokenizer.

    >>> tokenizer_name("https://huggingface.co/nvidia/Nemotron-H-8B/tree/main")
    'nvidia-Nemotron-H-8B-tree-main-tokenizer'
    """
    plain = _PROTOCOL.sub("", uri.removeprefix(f"{HUB}/"), count=1)
    return fit_name(f"{plain}-tokenizer", uri)


def artifact_name(name: str) -> str:
    """The W&B artifact for a name of the kit's: semantic names with dashes.

    >>> artifact_name("nano3/pretrain/data")
    'nano3-pretrain-data'

    Raises:
        InvalidNameError: it is no name.
    """
    return ArtifactName.parse(name).key


def artifact_type(text: str) -> str:
    """The W&B type for one of the kit's; what W&B does not take in one becomes a dash.

    >>> artifact_type("my/type")
    'my-type'
    """
    return re.sub(r"[/:]+", "-", text)[:NAME_LENGTH_MAX]


def alias(text: str) -> str:
    """An alias with what W&B does not take in one replaced by dashes."""
    return re.sub(r"[/:]+", "-", text)


def reference_candidates(ref: str, entity: str | None) -> list[str]:
    """What a reference can mean on W&B, likeliest first, as `run.use_artifact` takes it.

    >>> reference_candidates("art://nano3/sft/data", entity="team")
    ['nano3-sft-data:latest', 'nano3/sft/data:latest']
    >>> reference_candidates("art://team/proj/model:v3", entity="team")
    ['team/proj/model:v3']

    Args:
        ref: `art://name:v3`, `name:alias`, `art://entity/project/name:v3`, …
        entity: whose project the run is in; a reference that starts with it is meant as W&B's own form.

    Raises:
        InvalidReferenceError: it is no reference, or names a file inside an artifact.
    """
    if entity and _QUALIFIED.fullmatch(plain := ref.removeprefix(SCHEME)) and plain.startswith(f"{entity}/"):
        # W&B allows more in a project's name than the kit does in an artifact's.
        return [plain]
    parsed = ArtifactRef.parse(ref)
    if parsed.inside:
        raise InvalidReferenceError(
            f"{ref} names {parsed.inside} inside an artifact; name the artifact alone"
        )
    selector = str(parsed.selector or "latest")
    key = f"{parsed.name.key}:{selector}"
    if parsed.wandb is None:
        return [key]
    return [key, f"{parsed.name.semantic}:{selector}"]


def is_reference(text: str) -> bool:
    """Whether a used input is an artifact's reference rather than a path or another URI."""
    return not text.startswith(f"{SCHEME}/") and ("://" not in text or text.startswith(SCHEME))


def local_path(uri: str) -> str | None:
    """The path that the client will open for a `file://` URI; None for other URIs.

    >>> local_path("file:///data/my%20corpus"), local_path("s3://bucket/x")
    ('/data/my corpus', None)
    """
    return unquote(urlsplit(uri).path) if uri.startswith("file://") else None


def fit_name(text: str, identity: str) -> str:
    """Only what W&B takes, in at most 128 characters; what was cut is told apart by a hash."""
    name = re.sub(r"-{2,}", "-", _REFUSED.sub("-", text)).strip("-")
    if len(name) <= NAME_LENGTH_MAX:
        return name
    digest = hashlib.sha256(f"{identity}\n{text}".encode()).hexdigest()[:HASH_LENGTH]
    return f"{name[: NAME_LENGTH_MAX - HASH_LENGTH - 1].rstrip('-')}-{digest}"
