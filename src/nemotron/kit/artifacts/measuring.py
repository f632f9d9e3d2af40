"""Counts that are read from the bytes: filled in where nobody gave them, checked where somebody did.

What can't be read is unknown, not zero: a claim about it stays, and is marked as one.
"""

import logging
import os
import weakref
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from nemotron.kit import context
from nemotron.kit.artifacts import kinds
from nemotron.kit.artifacts.paths import absolute, files_of, is_url, split_paths, to_path
from nemotron.kit.artifacts.value import ArtifactValue
from nemotron.kit.errors import CorruptError, KitError, MismatchError, MisuseError
from nemotron.kit.registry.scan import METADATA_FILE, is_reserved

if TYPE_CHECKING:
    from nemotron.kit.formats.reading import Files

log = logging.getLogger(__name__)

# Where metadata says of each count whether it was read from the bytes or is what somebody said.
EVIDENCE_KEY = "count_evidence"
MEASURED, CLAIMED, UNREADABLE = "measured", "claimed", "unreadable"
# What save() reads at most where counting means reading everything (JSON lines): about a second.
BYTES_BY_THE_WAY_MAX = 1 << 30

_COUNTS = (
    *("total_tokens", "total_sequences", "num_shards", "train_tokens", "valid_tokens", "test_tokens"),
    *("pack_size", "train_samples", "val_samples", "test_samples"),
)
# Facts without a field, which go into metadata beside the counts.
_BESIDE = ("total_documents", "total_conversations", "blend_weights", "loss_share", "broken_lines")

Kind = TypeVar("Kind", bound=ArtifactValue)
# `formats.counts.Measured`, which is imported when something is measured.
Measured = Any
Reader = Callable[[ArtifactValue, "Files", int | None], Measured]

# By id, because artifacts have no hash: what the kit itself filled in, which is nobody's claim.
_filled: dict[int, dict[str, Any]] = {}


def settle(artifact: ArtifactValue) -> None:
    """Fill and check the counts of an artifact that is being saved; kinds without counts are left alone.

    Raises:
        MismatchError: a claimed count is not what the files say, and `on_mismatch` is "error".
        CorruptError: a file is damaged, and `on_mismatch` is "error".
    """
    read = _reader(type(artifact))
    if read is None:
        return
    reaction = context.settings().on_mismatch
    files = files_of(artifact.path)
    try:
        found = read(artifact, files, BYTES_BY_THE_WAY_MAX)
    except CorruptError as error:
        if reaction == "error":
            raise
        _tell(reaction, str(error))
        from nemotron.kit.formats.counts import nothing

        found = nothing(absolute(artifact.path), str(error), *_COUNTS)
    _apply(artifact, found, reaction, files)


def _apply(artifact: ArtifactValue, found: Measured, reaction: str, files: "Files") -> None:
    """Let an artifact say what was found, and mark each count as measured or claimed."""
    before = _filled.get(id(artifact), {})
    now: dict[str, Any] = {}
    marks: dict[str, str] = {}
    wrong: list[str] = []
    for name in (*(name for name in _COUNTS if artifact._is_field(name)), *_BESIDE):
        value, measured = artifact.metadata.get(name), found.values.get(name)
        if not _is_claim(artifact, name, value, before):
            if measured is not None:
                artifact.metadata[name] = now[name] = measured
                marks[name] = MEASURED
            elif value is not None:
                marks[name] = UNREADABLE  # a default, or what an earlier look said
        elif measured is not None and value in (measured, found.also.get(name)):
            marks[name] = MEASURED
        else:
            if objection := _objection(name, value, measured, found):
                wrong.append(objection)
            marks[name] = CLAIMED
    if wrong:
        said = f"{'; '.join(wrong)}. Correct it, or leave it out (None) and it is read from the files"
        if reaction == "error":
            raise MismatchError(f"{said}; on_mismatch='warn' keeps claims as they are")
        _tell(reaction, said)
    _say_unreadable(found, marks, files)
    _mark(artifact, marks)
    _remember(artifact, now)


def _is_claim(artifact: ArtifactValue, name: str, value: Any, before: Mapping[str, Any]) -> bool:
    """Whether somebody said so: not a default, and not what the kit filled in earlier."""
    if value is None or (name in before and before[name] == value):
        return False
    return name in artifact.model_fields_set or not artifact._is_field(name)


def _objection(name: str, value: Any, measured: Any, found: Measured) -> str | None:
    """What is wrong with a claim, with both numbers and where they come from."""
    least = found.at_least.get(name)
    if measured is None and not (least is not None and value < least):
        return None
    its = f"at least {_spelt(least)}" if measured is None else _spelt(measured)
    return f"{name} is said to be {_spelt(value)}, and {found.source} has {its}"


def _spelt(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int | float) else repr(value)


def _tell(reaction: str, said: str) -> None:
    if reaction == "warn":
        log.warning("%s", said)


def _say_unreadable(found: Measured, marks: Mapping[str, str], files: "Files") -> None:
    """Say why counts are claims; or are unknown, where nothing can be read and nobody said anything."""
    for item in found.unreadable:
        if (claimed := marks.get(item.field) == CLAIMED) or not (found.values or CLAIMED in marks.values()):
            # Where nothing lies yet, as on page one of the manual, nobody expects to be read.
            level = logging.WARNING if _holds_data(found.source, files) else logging.INFO
            _say_once(
                found.source, "recorded as they were claimed" if claimed else "unknown", item.why, level
            )


@cache
def _say_once(source: str, how: str, why: str, level: int) -> None:
    """Once for each reason, however often it is saved."""
    log.log(level, "Counts of %s are %s: %s", source, how, why)


def _holds_data(source: str, files: "Files") -> bool:
    """Whether there is anything at a path but what the kit itself writes."""
    try:
        if (what := files.what(source)) != "folder":
            return what is not None
        return any(name != METADATA_FILE and not is_reserved(name) for name in files.list(source))
    except KitError:
        return True  # that it can't be looked into is worth a warning


def _mark(artifact: ArtifactValue, marks: dict[str, str]) -> None:
    if marks:
        artifact.metadata[EVIDENCE_KEY] = marks
    else:
        artifact.metadata.pop(EVIDENCE_KEY, None)


def _remember(artifact: ArtifactValue, now: dict[str, Any]) -> None:
    if id(artifact) not in _filled:
        weakref.finalize(artifact, _filled.pop, id(artifact), None).atexit = False
    _filled[id(artifact)] = now


# -- how each kind is read ---------------------------------------------------------------------------------


def _reader(cls: type[ArtifactValue]) -> Reader | None:
    """How the counts of a class are read: as those of the nearest of its bases that has some."""
    return next((_READERS[base.__name__] for base in cls.__mro__ if base.__name__ in _READERS), None)


def _where(artifact: ArtifactValue) -> str:
    return absolute(artifact.path).rstrip("/") or "/"


def _shards(artifact: ArtifactValue, files: "Files", _: int | None) -> Measured:
    from nemotron.kit.formats.counts import BLEND_FILE, of_shards

    folder = _where(artifact)
    blend = getattr(artifact, "blend_path", None)
    # A folder that was moved has its blend with it, and the field still names the old place.
    if blend is not None and files.what(blend) != "file" and files.what(f"{folder}/{BLEND_FILE}") == "file":
        blend = None
    return of_shards(folder, blend, files)


def _blend(artifact: ArtifactValue, files: "Files", _: int | None) -> Measured:
    from nemotron.kit.formats.counts import of_blend

    return of_blend(_where(artifact), files)


def _packed(artifact: ArtifactValue, files: "Files", _: int | None) -> Measured:
    from nemotron.kit.formats.counts import of_packed

    names = ("training_path", "validation_path", "test_path")
    return of_packed(_where(artifact), {name: getattr(artifact, name, None) for name in names}, files)


def _lines(artifact: ArtifactValue, files: "Files", bytes_max: int | None) -> Measured:
    from nemotron.kit.formats.counts import JSONL_SPLITS, of_split_jsonl

    named = {split: getattr(artifact, split, None) for split in JSONL_SPLITS}
    return of_split_jsonl(_where(artifact), named, files, bytes_max=bytes_max, parse=bytes_max is None)


def _energon(artifact: ArtifactValue, files: "Files", _: int | None) -> Measured:
    from nemotron.kit.formats.counts import of_energon

    return of_energon(_where(artifact), files)


_READERS: dict[str, Reader] = {
    "PretrainDataArtifact": _shards,
    "PretrainBlendsArtifact": _shards,
    "DataBlendsArtifact": _blend,
    "SFTDataArtifact": _packed,
    "SplitJsonlDataArtifact": _lines,
    "EnergonWebDatasetArtifact": _energon,
}


# -- from a path to an artifact ----------------------------------------------------------------------------


def inspect(cls: type[Kind], path: str | os.PathLike[str], claims: Mapping[str, Any] | None = None) -> Kind:
    """Build an artifact from what lies at a path; see `Artifact.inspect`.

    Args:
        cls: the kind; the base class takes the one that fits.
        path: a file or folder, or the URL of one.
        claims: metadata that is known already; counts among it are checked.
    """
    place = to_path(path)
    where = place if is_url(place) else Path(os.path.abspath(place))
    files = files_of(where)
    if files.what(str(where).rstrip("/") or "/") is None:
        from nemotron.kit.formats.reading import absent

        raise absent(str(where))
    return _built(cls, where, dict(claims or {}), files)


def _built(cls: type[Kind], where: Path, facts: dict[str, Any], files: "Files") -> Kind:
    if cls._keeps_unknown:
        return _fitting(cls, where, facts, files)
    if cls._is_file and files.what(str(where)) == "folder":
        where = where / ("blend.json" if _reader(cls) is _blend else "manifest.json")
    facts = _beside(cls, str(where), files) | facts
    missing = [name for name in cls._own_fields if cls.model_fields[name].is_required() and name not in facts]
    if missing:
        raise MisuseError(
            f"Nothing at {where} says {', '.join(missing)}; pass it to {cls.__name__}(…), or on the command "
            f"line with --metadata {missing[0]}=…"
        )
    artifact = cls.model_validate({"path": where, "metadata": facts})
    read = _reader(cls)
    if read is not None:
        _apply(artifact, read(artifact, files, None), "error", files)
    return artifact


def _fitting(cls: type[Kind], where: Path, facts: dict[str, Any], files: "Files") -> Kind:
    """As the kind that fits what lies there; a plain one where none does, with what was measured."""
    from nemotron.kit.formats.detect import detect

    detected = detect(str(where), files)
    kind = kinds.named(detected.type)
    known = detected.measured | facts
    if kind is not None and issubclass(kind, cls) and kind is not cls:
        fields = (name for name in kind._own_fields if kind.model_fields[name].is_required())
        if all(name in known for name in fields):
            at = where if detected.path == str(where) else where / os.path.basename(detected.path)
            return _built(kind, at, facts, files)
    return cls.model_validate({"path": where, "metadata": known})


def _beside(cls: type[ArtifactValue], where: str, files: "Files") -> dict[str, Any]:
    """What lies there beyond counts: the blend, the splits, the facts of a checkpoint."""
    from nemotron.kit.formats import counts

    if "step" in cls._own_fields:
        facts = dict(counts.of_checkpoint(where, files).values)
        return {name: value for name, value in facts.items() if name not in ("steps", "files", "bytes")}
    if "training_path" in cls._own_fields:
        return split_paths(where, files)
    blend = f"{where}/{counts.BLEND_FILE}"
    return {"blend_path": blend} if "blend_path" in cls._own_fields and files.what(blend) == "file" else {}
