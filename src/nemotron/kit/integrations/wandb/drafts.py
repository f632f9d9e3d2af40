"""The parts of a draft: references that touch no server and no cloud, and metadata within W&B's limits."""

import functools
import hashlib
import importlib.util
import json
import logging
import math
import os
from collections.abc import Iterable, Mapping
from typing import Any

from nemotron.kit.documents.codec import plain
from nemotron.kit.documents.tree import Tree
from nemotron.kit.errors import KitError
from nemotron.kit.integrations.wandb.description import METADATA_FILE, Entry, Reference
from nemotron.kit.integrations.wandb.uris import local_path
from nemotron.kit.registry.scan import scan_folder

log = logging.getLogger(__name__)

METADATA_KEYS_MAX = 100
# What the kit puts into the metadata itself beside the artifact's own.
METADATA_KEYS_RESERVED = 8
# W&B shows metadata on a page and sends it with every look-up; what is longer is only in the uploaded file.
METADATA_SIZE_MAX = 256 << 10

# A folder of more files is one line on W&B, whose digest still stands for all of them.
FILES_LISTED_MAX = 10_000

# The packages by which the client opens references of these schemes.
PACKAGES = {"s3": "boto3", "gs": "google.cloud.storage"}


def refer(uri: str, name: str, *, evidence: bool = False) -> Reference:
    """Refer to data where it lies, without reading it.

    The client itself would look for cloud credentials first, and would refuse what it can't open from here:
    `s3://` without boto3, `file://` of another machine.

    Args:
        uri: of a folder, a file, or anything else.
        name: its name in the artifact.
        evidence: let the digests of local files follow their size and time, so that other data is another
            version. Without it a digest stands for the address alone.
    """
    path = local_path(uri)
    if path is None or not os.path.exists(path):
        return Reference(uri, name, (Entry(name, uri, uri),))
    if not os.path.isdir(path):
        info = os.stat(path)
        seen = (info.st_size, info.st_mtime_ns) if evidence else ()
        return Reference(uri, name, (Entry(name, uri, _digest(uri, *seen), info.st_size),))
    return Reference(uri, name, _listed(uri.rstrip("/"), path, name, evidence))


def _listed(uri: str, path: str, name: str, evidence: bool) -> tuple[Entry, ...]:
    try:
        tree = scan_folder(path)
    except KitError as error:
        log.warning("%s is one line on W&B, not one for each file: %s", uri, error)
        return (Entry(name, uri, uri),)
    entries = list(lines(uri, name, tree, evidence=evidence))
    if len(entries) == 1 and entries[0].path == name:
        return tuple(entries)
    # Of the kit's own file only the address: it is written again after each save, and is uploaded as well.
    own = f"{path}/{METADATA_FILE}"
    if os.path.isfile(own) and all(entry.path != f"{name}/{METADATA_FILE}" for entry in entries):
        where = f"{uri}/{METADATA_FILE}"
        entries.append(Entry(f"{name}/{METADATA_FILE}", where, _digest(where)))
    return tuple(entries) or (Entry(name, uri, uri),)


def lines(uri: str, name: str, tree: Tree, *, evidence: bool) -> tuple[Entry, ...]:
    """A line for each file of a listing, or one for all if they are too many.

    Args:
        uri: of the folder, without a slash at the end.
        name: its name in the artifact.
        tree: what is in it, as somebody has seen it.
        evidence: let the digests follow size and time.
    """
    entries = [
        Entry(
            f"{name}/{file.path}",
            f"{uri}/{file.path}",
            _digest(f"{uri}/{file.path}", *((file.size, file.mtime_ns, file.target) if evidence else ())),
            file.size,
        )
        for file in tree.entries
        if file.kind != "dir"
    ]
    if len(entries) > FILES_LISTED_MAX:
        size = sum(entry.size or 0 for entry in entries)
        return (Entry(name, uri, _digest(uri, *(entry.digest for entry in entries)), size),)
    return tuple(entries)


def _digest(*parts: object) -> str:
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()


def unopened(references: Iterable[Reference]) -> dict[str, Any]:
    """Metadata for references that this machine's client can't open for want of a package; warned of once."""
    missing = {}
    for reference in references:
        scheme = reference.uri.partition("://")[0]
        if is_missing(scheme):
            _warn(scheme)
            missing[reference.name] = reference.uri
    return {"references": missing} if missing else {}


def is_missing(scheme: str) -> bool:
    """Whether the client needs a package for references of this scheme, and it is not installed."""
    return scheme in PACKAGES and not _is_installed(PACKAGES[scheme])


@functools.cache
def _warn(scheme: str) -> None:
    log.warning(
        "W&B's client can't open %s:// references without %s; they are kept in the metadata as well",
        scheme,
        PACKAGES[scheme],
    )


def _is_installed(package: str) -> bool:
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):
        # A parent package is missing, or something put None in its place.
        return False


# -- metadata ----------------------------------------------------------------------------------------------


def fit_metadata(own: Mapping[str, Any], added: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata that W&B takes: JSON values, at most 100 keys, no more than a page can show.

    Args:
        own: the artifact's metadata; what does not fit is only in the uploaded `metadata.json`, and the key
            `metadata_keys_left_out` says how many keys that are.
        added: the kit's keys, which always fit.
    """
    room, size = METADATA_KEYS_MAX - METADATA_KEYS_RESERVED, METADATA_SIZE_MAX
    kept: dict[str, Any] = {}
    for key, value in own.items():
        shown = _finite(plain(value, str(key)))
        length = len(json.dumps(shown))
        if len(kept) < room and length <= size:
            kept[str(key)] = shown
            size -= length
    left_out = len(own) - len(kept)
    return {**added, **kept, **({"metadata_keys_left_out": left_out} if left_out else {})}


def _finite(value: Any) -> Any:
    """NaN and infinity as text: the client would make them null."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
