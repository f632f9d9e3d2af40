"""Counts of whole folders: the sum of the shards named, each once, under the names that artifacts use."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from nemotron.kit.errors import (
    CorruptError,
    MissingExtraError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from nemotron.kit.formats import blend, checkpoint, energon, jsonl, megatron_idx, parquet
from nemotron.kit.formats.reading import LOCAL, Files, Unreadable, beside, each, read_json, walk

BLEND_FILE = "blend.json"
JSONL_SPLITS = ("train", "val", "test")
WEIGHTS_MAX = 1000
# Why bytes may not be readable although nothing is wrong with them. What is wrong is a CorruptError.
UNREADABLE = (NotFoundError, RefusedError, UnavailableError, MissingExtraError)


@dataclass(frozen=True, slots=True)
class Measured:
    """What the bytes say.

    Attributes:
        values: exact counts and facts, by field.
        at_least: lower bounds of counts that heads don't fix: a claim below them is wrong.
        also: other exact readings of a field (packs or conversations, for the sequences of packed data).
        source: the file or folder that was read, for messages.
        unreadable: what is unknown, and why.
    """

    values: dict[str, Any] = field(default_factory=dict)
    at_least: dict[str, int] = field(default_factory=dict)
    also: dict[str, int] = field(default_factory=dict)
    source: str = ""
    unreadable: tuple[Unreadable, ...] = ()


def nothing(source: str, why: str, *fields: str) -> Measured:
    """Nothing could be read: the fields are unknown, not zero."""
    return Measured(source=source, unreadable=tuple(Unreadable(name, why) for name in fields))


def _guarded(source: str, fields: tuple[str, ...], read: Callable[[], Measured]) -> Measured:
    """What `read` finds; or, where that is nobody's fault, that the fields can't be read."""
    try:
        return read()
    except UNREADABLE as error:
        return nothing(source, str(error), *fields)


# -- Megatron ----------------------------------------------------------------------------------------------

_TOKENS = ("total_tokens", "total_sequences", "total_documents", "num_shards")


def of_shards(folder: str, blend_path: str | None = None, files: Files = LOCAL) -> Measured:
    """Counts of a folder of `.bin` and `.idx`.

    Args:
        folder: looked through to the end of its subfolders, where there is no blend.
        blend_path: the blend; `blend.json` in the folder by default, if there is one.
        files: where they lie.

    Raises:
        CorruptError: a shard is damaged; the message names it.
    """

    def read() -> Measured:
        own = f"{folder}/{BLEND_FILE}"
        named = blend_path or (own if files.what(own) == "file" else None)
        if named is not None:
            return of_blend(named, files, folder)
        if files.what(folder) != "folder":
            return nothing(folder, f"{folder} is not there", *_TOKENS)
        prefixes = [megatron_idx.prefix_of(path) for path in walk(folder, files) if path.endswith(".idx")]
        if not prefixes:
            return nothing(folder, f"{folder} has neither {BLEND_FILE} nor any .idx", *_TOKENS)
        return Measured(sum_shards(prefixes, {}, files), source=folder)

    return _guarded(folder, _TOKENS, read)


def of_blend(path: str, files: Files = LOCAL, folder: str | None = None) -> Measured:
    """Counts of the shards that a `blend.json` names, each once; its weights are kept beside them.

    Raises:
        CorruptError: a shard is damaged; the message names it.
    """

    def read() -> Measured:
        try:
            found = blend.read(path, files)
        except CorruptError as error:  # what names the shards can't be read; the shards may be well
            return nothing(path, str(error), *_TOKENS)
        if not found.shards:
            return nothing(path, f"{path} names no shards", *_TOKENS)
        for prefix in found.shards:
            if files.what(f"{prefix}.idx") is None:
                return nothing(path, f"{path} names {prefix}, and {prefix}.idx is not there", *_TOKENS)
        values = sum_shards(found.shards, found.splits, files)
        if weights := _weights(found, folder or os.path.dirname(path)):
            values["blend_weights"] = weights
        return Measured(values, source=path)

    return _guarded(path, _TOKENS, read)


def sum_shards(
    prefixes: Iterable[str], splits: Mapping[str, tuple[blend.Share, ...]], files: Files = LOCAL
) -> dict[str, Any]:
    """Counts of some shards, and the tokens of each split of a blend.

    Raises:
        NotFoundError: a file of a shard is not there.
        CorruptError: one is damaged; the message names it.
    """
    names = list(dict.fromkeys(prefixes))
    read = each(lambda prefix: megatron_idx.read(prefix, files), names, files)
    shards = dict(zip(names, read, strict=True))
    values: dict[str, Any] = {
        "total_tokens": sum(shard.tokens for shard in shards.values()),
        "total_sequences": sum(shard.sequences for shard in shards.values()),
        "total_documents": sum(shard.documents for shard in shards.values()),
        "num_shards": len(shards),
    }
    for split, shares in splits.items():
        if split != blend.ALL:
            values[f"{split}_tokens"] = sum(shards[path].tokens for path in {share.path for share in shares})
    return values


def _weights(found: blend.Blend, folder: str) -> dict[str, dict[str, float]] | None:
    """Weights by split and shard, spelt relative to the folder; None where there are none, or too many."""
    if len(found.shards) > WEIGHTS_MAX:
        return None
    weights: dict[str, dict[str, float]] = {}
    for split, shares in found.splits.items():
        for share in shares:
            if share.weight is not None:
                name = share.path.removeprefix(f"{folder.rstrip('/')}/")
                here = weights.setdefault(split, {})
                here[name] = here.get(name, 0.0) + share.weight
    return weights or None


# -- packed SFT data ---------------------------------------------------------------------------------------

_PACKED = ("total_tokens", "total_sequences", "num_shards")


def of_packed(
    folder: str,
    splits: Mapping[str, str | None] | None = None,
    files: Files = LOCAL,
    *,
    loss_share: bool = False,
) -> Measured:
    """Counts of a folder of Parquet files, from their footers.

    Args:
        folder: looked through to the end of its subfolders, if no split is given.
        splits: folders or files of the splits; what is None does not count.
        files: where they lie.
        loss_share: read the column `loss_mask` where the footers do not tell.

    Raises:
        CorruptError: a footer is damaged; the message names the file.
    """

    def read() -> Measured:
        paths: list[str] = []
        for place in [place for place in (splits or {}).values() if place] or [folder]:
            kind = files.what(place)
            if kind is None:
                return nothing(folder, f"{place} is not there", *_PACKED)
            paths += [place] if kind == "file" else [p for p in walk(place, files) if parquet.is_parquet(p)]
        if not paths:
            return nothing(folder, f"{folder} has no Parquet files", *_PACKED)
        table = parquet.read_all(paths, files)
        if loss_share and table.loss_share is None:
            table = replace(table, loss_share=parquet.loss_share(paths, files))
        return _packed(folder, table)

    return _guarded(folder, _PACKED, read)


def _packed(folder: str, table: parquet.Table) -> Measured:
    values: dict[str, Any] = {"total_sequences": table.rows, "num_shards": table.shards}
    unreadable: list[Unreadable] = []
    for name, value in (("total_tokens", table.tokens), ("total_conversations", table.starts)):
        if value is not None:
            values[name] = value
    if table.tokens is None:
        columns = ", ".join(table.columns[:8])
        unreadable.append(
            Unreadable("total_tokens", f"the footers in {folder} do not tell (columns: {columns})")
        )
    least = {}
    if table.pack_size is not None:
        values["pack_size"] = table.pack_size
    elif table.tokens is not None:
        least["pack_size"] = -(-table.tokens // table.rows) if table.rows else 0
        why = "the footers do not tell the longest row"
        unreadable.append(Unreadable("pack_size", f"{why}; it is at least {least['pack_size']:,}"))
    if table.loss_share is not None:
        values["loss_share"] = table.loss_share
    elif parquet.MASK_COLUMN in table.columns:
        why = "the footers do not tell; `nemotron kit inspect --loss-share` reads the column"
        unreadable.append(Unreadable("loss_share", why))
    also = {} if table.starts is None else {"total_sequences": table.starts}
    return Measured(values, at_least=least, also=also, source=folder, unreadable=tuple(unreadable))


# -- JSON lines --------------------------------------------------------------------------------------------


def of_split_jsonl(
    manifest: str,
    named: Mapping[str, str | None] | None = None,
    files: Files = LOCAL,
    *,
    bytes_max: int | None = None,
    parse: bool = False,
) -> Measured:
    """Lines of the files that a `manifest.json` names for `train`, `val` and `test`, each file once.

    Args:
        manifest: the file; relative paths count from its folder.
        named: the file of each split, where that is known already.
        files: where they lie.
        bytes_max: read no more than this; beyond it the counts are unreadable.
        parse: look for broken lines.

    Raises:
        CorruptError: a compressed file is damaged.
    """

    def read() -> Measured:
        splits: dict[str, list[str]] | None
        splits = {split: [path] for split, path in (named or {}).items() if path}
        try:
            splits = splits or _named(manifest, files)
        except CorruptError as error:  # what names the files can't be read; the files may be well
            return nothing(manifest, str(error), "total_sequences")
        if splits is None:
            why = f"{manifest} names no files under {', '.join(JSONL_SPLITS)}"
            return nothing(manifest, why, "total_sequences")
        folder = os.path.dirname(manifest)
        paths = {split: [beside(folder, name) for name in names] for split, names in splits.items()}
        return _lines(manifest, paths, files, bytes_max, parse)

    return _guarded(manifest, ("total_sequences",), read)


def _named(manifest: str, files: Files) -> dict[str, list[str]] | None:
    document = read_json(manifest, files)
    if not isinstance(document, dict):
        return None
    splits: dict[str, list[str]] = {}
    for split in JSONL_SPLITS:
        names = document.get(split)
        names = [names] if isinstance(names, str) else names
        if isinstance(names, list) and names and all(isinstance(name, str) and name for name in names):
            splits[split] = names
    return splits or None


def _lines(
    source: str, paths: Mapping[str, list[str]], files: Files, bytes_max: int | None, parse: bool
) -> Measured:
    every = list(dict.fromkeys(path for names in paths.values() for path in names))
    for path in every:
        if files.what(path) != "file":
            return nothing(source, f"{source} names {path}, which is not there", "total_sequences")
        if not jsonl.is_jsonl(path):
            return nothing(source, f"{path} is not named like JSON lines", "total_sequences")
    size = sum(files.size(path) for path in every)
    if bytes_max is not None and size > bytes_max:
        why = f"counting lines reads all {size:,} bytes, more than the {bytes_max:,} that are read by the way"
        return nothing(source, f"{why}; `nemotron kit inspect` reads them", "total_sequences")
    read = each(lambda path: jsonl.read(path, files, parse=parse), every, files)
    counted = dict(zip(every, read, strict=True))
    values: dict[str, Any] = {"total_sequences": sum(lines.records for lines in counted.values())}
    for split, names in paths.items():
        if not split:
            continue  # a folder of JSON lines that nothing divides
        values[f"{split}_sequences"] = sum(counted[path].records for path in dict.fromkeys(names))
    values["text_bytes"] = sum(lines.bytes for lines in counted.values())
    if parse:
        values["broken_lines"] = sum(lines.broken or 0 for lines in counted.values())
        if where := {path: list(lines.broken_lines) for path, lines in counted.items() if lines.broken}:
            values["broken_at"] = where
    return Measured(values, source=source)


def of_jsonl(source: str, paths: list[str], files: Files = LOCAL) -> Measured:
    """Lines of some files, broken ones counted.

    Raises:
        CorruptError: a compressed file is damaged.
    """
    return _guarded(source, ("total_sequences",), lambda: _lines(source, {"": paths}, files, None, True))


# -- Energon, checkpoints ----------------------------------------------------------------------------------


def of_energon(folder: str, files: Files = LOCAL) -> Measured:
    """Samples by split and shards of an Energon dataset.

    Raises:
        CorruptError: a file of `.nv-meta` is damaged.
    """
    fields = ("train_samples", "val_samples", "test_samples", "num_shards")

    def read() -> Measured:
        found = energon.read(folder, files) if files.what(folder) == "folder" else None
        if found is None:
            return nothing(folder, f"{folder}/{energon.META_FOLDER} has no shard_counts", *fields)
        values: dict[str, Any] = {"total_samples": found.samples, "num_shards": found.shards}
        values |= {f"{split}_samples": samples for split, samples in found.by_split.items()}
        return Measured(values, source=f"{folder}/{energon.META_FOLDER}")

    return _guarded(folder, fields, read)


def of_checkpoint(folder: str, files: Files = LOCAL) -> Measured:
    """Facts of a checkpoint folder.

    Raises:
        CorruptError: a head or a config is damaged.
    """

    def read() -> Measured:
        found = checkpoint.read(folder, files) if files.what(folder) == "folder" else None
        if found is None:
            return nothing(folder, f"{folder} is no checkpoint that is known here", "step")
        values: dict[str, Any] = {"layout": found.layout}
        if found.step is not None:
            values["step"] = found.step
        if found.steps:
            values["steps"] = list(found.steps)
        if found.tensors is not None:
            values["parameters"] = found.tensors.parameters
            values["parameters_by_dtype"] = found.tensors.by_dtype
            values["tensors"] = found.tensors.tensors
            values["num_shards"] = found.tensors.shards
        if found.architecture:
            values["architecture"] = found.architecture
        values |= found.config
        values |= {"files": found.files, "bytes": found.bytes, "pickles": found.pickles}
        if found.layout == "huggingface":
            values["has_tokenizer"] = found.has_tokenizer
            values["has_generation_config"] = found.has_generation_config
        unknown: list[Unreadable] = []
        if found.step is None:
            unknown.append(Unreadable("step", f"nothing in {folder} says which"))
        if found.tensors is None:
            why = f"{folder} has no safetensors; pickles are not loaded"
            unknown.append(Unreadable("parameters", why))
        return Measured(values, source=folder, unreadable=tuple(unknown))

    return _guarded(folder, ("step", "parameters"), read)
