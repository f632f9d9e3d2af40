"""`detect(path)`: what a file or folder is, which artifact fits it, and what its bytes say."""

import os
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from nemotron.kit.errors import CorruptError
from nemotron.kit.formats import blend, checkpoint, counts, energon, jsonl, parquet, safetensors
from nemotron.kit.formats.counts import BLEND_FILE, Measured
from nemotron.kit.formats.reading import (
    LOCAL,
    Files,
    PathLike,
    Unreadable,
    absent,
    each,
    read_json,
    text_of,
    walk,
)

MANIFEST_FILE = "manifest.json"
GENERIC = "Artifact"


class Kind(StrEnum):
    """What something is, by how it is written."""

    MEGATRON = "megatron"
    MEGATRON_BLEND = "megatron_blend"
    BLEND = "blend"
    PACKED_SFT = "packed_sft"
    PARQUET = "parquet"
    SPLIT_JSONL = "split_jsonl"
    JSONL = "jsonl"
    ENERGON = "energon"
    WEBDATASET = "webdataset"
    CHECKPOINT = "checkpoint"
    NUMPY = "numpy"
    UNKNOWN = "unknown"


# The artifact that fits; any other kind is a plain one.
TYPES = {
    Kind.MEGATRON: "PretrainDataArtifact",
    Kind.MEGATRON_BLEND: "PretrainBlendsArtifact",
    Kind.BLEND: "DataBlendsArtifact",
    Kind.PACKED_SFT: "SFTDataArtifact",
    Kind.SPLIT_JSONL: "SplitJsonlDataArtifact",
    Kind.ENERGON: "EnergonWebDatasetArtifact",
    Kind.CHECKPOINT: "ModelArtifact",
}


@dataclass(frozen=True, slots=True)
class Detected:
    """What lies at a path.

    Attributes:
        kind: by how it is written.
        type: the class name of the artifact that fits.
        path: the path that such an artifact has; for a folder that a `manifest.json` describes, that file.
        measured: what the bytes say, by field.
        unreadable: what they don't, and why.
    """

    kind: Kind
    type: str
    path: str
    measured: dict[str, Any]
    unreadable: tuple[Unreadable, ...]


def detect(path: PathLike, files: Files = LOCAL, *, loss_share: bool = False) -> Detected:
    """Say what lies at a path, from heads and footers; of JSON lines, all bytes.

    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> detect(folder).kind, detect(folder).type
    (<Kind.UNKNOWN: 'unknown'>, 'Artifact')

    Args:
        path: a file or folder.
        files: where it lies.
        loss_share: of packed SFT data, read the column `loss_mask` where the footers do not tell.

    Raises:
        PathNotFoundError: nothing is there.
        RefusedError: it is a device, a pipe or a socket.
        CorruptError: it is damaged; the message names the file.
    """
    where = text_of(path)
    where = where.rstrip("/") or where
    what = files.what(where)
    if what is None:
        raise absent(where)
    kind, place, found = (_folder if what == "folder" else _file)(where, files)
    if loss_share and kind is Kind.PACKED_SFT:
        found = counts.of_packed(where, None, files, loss_share=True)
    return Detected(kind, TYPES.get(kind, GENERIC), place, found.values, found.unreadable)


def _folder(where: str, files: Files) -> tuple[Kind, str, Measured]:
    if energon.is_dataset(where, files):
        return Kind.ENERGON, where, counts.of_energon(where, files)
    if checkpoint.layout_of(where, files) is not None:
        return Kind.CHECKPOINT, where, counts.of_checkpoint(where, files)
    if files.what(f"{where}/{BLEND_FILE}") == "file":
        found = counts.of_shards(where, None, files)
        return Kind.MEGATRON_BLEND, where, found
    if files.what(f"{where}/{MANIFEST_FILE}") == "file" and _names_splits(f"{where}/{MANIFEST_FILE}", files):
        manifest = f"{where}/{MANIFEST_FILE}"
        return Kind.SPLIT_JSONL, manifest, counts.of_split_jsonl(manifest, None, files, parse=True)
    every = list(walk(where, files))
    if any(path.endswith(".idx") for path in every):
        return Kind.MEGATRON, where, counts.of_shards(where, None, files)
    if any(parquet.is_parquet(path) for path in every):
        found = counts.of_packed(where, None, files)
        return (Kind.PACKED_SFT if "total_tokens" in found.values else Kind.PARQUET), where, _rows(found)
    if lines := [path for path in every if jsonl.is_jsonl(path)]:
        return Kind.JSONL, where, counts.of_jsonl(where, lines, files)
    if tars := [path for path in every if path.endswith(".tar")]:
        return Kind.WEBDATASET, where, _tars(where, tars, files)
    if arrays := [path for path in every if path.endswith(".npy")]:
        return Kind.NUMPY, where, _arrays(where, arrays, files)
    own = [path for path in every if path != f"{where}/metadata.json"]
    values = {"files": len(own), "bytes": sum(files.size(path) for path in own)}
    return Kind.UNKNOWN, where, Measured(values, source=where)


def _file(where: str, files: Files) -> tuple[Kind, str, Measured]:
    name = os.path.basename(where)
    if name.endswith((".idx", ".bin")) and files.what(f"{where[:-4]}.idx") == "file":
        return Kind.MEGATRON, where, Measured(counts.sum_shards([where[:-4]], {}, files), source=where)
    if name.endswith(".json"):
        return _document(where, files)
    if parquet.is_parquet(where):
        found = counts.of_packed(where, None, files)
        return (Kind.PACKED_SFT if "total_tokens" in found.values else Kind.PARQUET), where, _rows(found)
    if jsonl.is_jsonl(where):
        return Kind.JSONL, where, counts.of_jsonl(where, [where], files)
    if name.endswith(".safetensors"):
        tensors = safetensors.read(where, files)
        values = {"parameters": tensors.parameters, "parameters_by_dtype": tensors.by_dtype}
        return Kind.CHECKPOINT, where, Measured(values | {"tensors": tensors.tensors}, source=where)
    if name.endswith(".tar"):
        return Kind.WEBDATASET, where, _tars(where, [where], files)
    if name.endswith(".npy"):
        return Kind.NUMPY, where, _arrays(where, [where], files)
    return Kind.UNKNOWN, where, Measured({"files": 1, "bytes": files.size(where)}, source=where)


def _document(where: str, files: Files) -> tuple[Kind, str, Measured]:
    if _names_splits(where, files):
        return Kind.SPLIT_JSONL, where, counts.of_split_jsonl(where, None, files, parse=True)
    if os.path.basename(where) == BLEND_FILE or _is_blend(where, files):
        return Kind.BLEND, where, counts.of_blend(where, files)
    return Kind.UNKNOWN, where, Measured({"files": 1, "bytes": files.size(where)}, source=where)


def _is_blend(where: str, files: Files) -> bool:
    try:
        found = blend.read(where, files)
    except (blend.UnknownBlendError, CorruptError):
        return False  # a JSON file of some other kind; only blend.json must be one
    return any(files.what(f"{prefix}.idx") == "file" for prefix in found.shards)


def _names_splits(where: str, files: Files) -> bool:
    """Whether a JSON file names JSON lines for splits."""
    try:
        document = read_json(where, files)
    except CorruptError:
        return False  # a JSON file of some other kind
    if not isinstance(document, dict):
        return False
    for split in counts.JSONL_SPLITS:
        names = document.get(split)
        first = names[0] if isinstance(names, list) and names else names
        if isinstance(first, str) and jsonl.is_jsonl(first):
            return True
    return False


def _rows(found: Measured) -> Measured:
    """Of tables without tokens: the rows, and no complaint about tokens that nobody expects."""
    if "total_tokens" in found.values or not found.values:
        return found
    return Measured(found.values, source=found.source)


def _tars(source: str, paths: list[str], files: Files) -> Measured:
    from nemotron.kit.formats import tar

    shards = each(lambda path: tar.read(path, files), paths, files)
    values = {
        "total_samples": sum(shard.samples for shard in shards),
        "num_shards": len(shards),
        "files": sum(shard.files for shard in shards),
        "bytes": sum(shard.data_bytes for shard in shards),
    }
    return Measured(values, source=source)


def _arrays(source: str, paths: list[str], files: Files) -> Measured:
    from nemotron.kit.formats import npy

    arrays = each(lambda path: npy.read(path, files), paths, files)
    values: dict[str, Any] = {"arrays": len(arrays), "items": sum(array.items for array in arrays)}
    if len(arrays) == 1:
        values |= {"dtype": arrays[0].dtype, "shape": list(arrays[0].shape)}
    return Measured(values, source=source)
