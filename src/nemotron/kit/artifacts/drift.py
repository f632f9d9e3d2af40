"""Telling whoever loads a reference that its files are no longer those that were published."""

import logging
import os
from collections.abc import Sequence

from nemotron.kit import context
from nemotron.kit.errors import CorruptError, DriftError, KitError, RefusedError, UnavailableError
from nemotron.kit.registry.differences import Difference, Differences
from nemotron.kit.registry.insides import PUT_BACK
from nemotron.kit.registry.records import Record
from nemotron.kit.registry.registry import Registry

log = logging.getLogger(__name__)

NAMED_MAX = 5
# (root, uri) of what this process has looked at: loading a version again should cost nothing.
_looked_at: set[tuple[str, str]] = set()
# The same, of what nothing had to be said of where drift is an error.
_found_whole: set[tuple[str, str]] = set()


def look(registry: Registry, record: Record, *, once: bool = False) -> None:
    """Compare a version's files with what was published, once per version and process.

    Where drift is an error, each load looks again.

    Args:
        registry: where the version is.
        record: the version.
        once: don't look again where drift is an error either, once nothing was found: a config may name a
            version a thousand times.

    Raises:
        DriftError: they differ, or were written again and their bytes were not compared, and `on_drift` is
            "error".
        RefusedError, UnavailableError, CorruptError: they can't be looked at, or their listing can't be read,
            and `on_drift` is "error".
    """
    reaction = context.settings().on_drift
    key = (registry.root, record.uri)
    done = _looked_at if reaction != "error" else _found_whole if once else ()
    if reaction == "ignore" or key in done:
        return
    _looked_at.add(key)
    try:
        differences = registry.check(record)
    except KitError as error:
        said = f"Cannot tell whether {record.uri} is still what was published: {error}"
        if reaction == "error":
            kind = next(
                (kind for kind in (UnavailableError, CorruptError) if isinstance(error, kind)), RefusedError
            )
            raise kind(
                f"{said} (on_drift='error' lets nothing be used that can't be checked; with 'warn' it is)"
            ) from error
        log.warning("%s", said)
        return
    changed = [difference for difference in differences if difference.verdict != "touched"]
    if changed and reaction == "error":
        raise DriftError(f"{_said(record, changed)} (on_drift='error')")
    if changed:
        log.warning("%s", _said(record, changed))
    elif not differences.is_proven and reaction == "error":
        from nemotron.kit.registry import touched  # who loads what is the same needs none of it

        tree = registry.tree(record)
        assert tree is not None, "nothing is touched of what has no listing"
        said = touched.refused(record, touched.touched_of(tree, differences))
        raise DriftError(f"{said} (on_drift='error')")
    elif not differences.is_proven:
        log.warning(
            "%s: written since it was published, same size, content not verified: %s",
            record.uri,
            _names(Differences(item for item in differences if not item.is_proven)),
        )
    if reaction == "error":
        _found_whole.add(key)


def _said(record: Record, changed: Sequence[Difference]) -> str:
    said = f"{record.uri} is no longer what was published: {_names(changed)}."
    place = record.path if record.scope == "file" else record.folder
    if not record.is_at_url and not os.path.lexists(place):
        return f"{said} {place} is gone: {PUT_BACK}"
    keep = "" if record.is_at_url else "; snapshot=True (--snapshot) keeps a copy, which no change reaches"
    return (
        f"{said} Its data lies in {record.folder}; publish it again as a new version, with save() or "
        f"`nemotron kit register`{keep}"
    )


def _names(differences: Sequence[Difference]) -> str:
    shown = ", ".join(f"{difference.path} {_verdict(difference)}" for difference in differences[:NAMED_MAX])
    more = len(differences) - NAMED_MAX
    return f"{shown} and {more} more" if more > 0 else shown


def _verdict(difference: Difference) -> str:
    return difference.verdict if difference.is_sure else f"{difference.verdict} (another etag, same size)"
