"""Notice checkpoints that are still being written: from what their folders lack, and from what changes.

A checkpoint is told of when its framework calls its hook. A framework may do that too early (an asynchronous
save, a rank that is behind), and then the record is of half a checkpoint.
"""

import os
import re
from pathlib import Path

from nemotron.kit.errors import KitError
from nemotron.kit.registry.scan import scan_folder

# What every format of Megatron's and torch's leaves in the folder at the end: (what shows the format, what
# is written last).
_LAST_FILES = (
    ("*.distcp", ".metadata"),
    ("*.distcp", "metadata.json"),
    ("common.pt", "metadata.json"),
)
_TEMPORARY = ("*.tmp", "*.part", "*.incomplete")
_TRACKER_FILE = "latest_checkpointed_iteration.txt"
_ITERATION = re.compile(r"iter_([0-9]+)", re.ASCII)


def why_unfinished(folder: str) -> str | None:
    """What shows that a checkpoint is still being written, or None if nothing does.

    A folder in a layout that is not known shows nothing.

    Args:
        folder: the checkpoint's own folder, such as `run/iter_0000100`.
    """
    place = Path(folder)
    for shown, last in _LAST_FILES:
        if any(place.glob(shown)) and not (place / last).exists():
            return f"it has no {last} yet"
    for pattern in _TEMPORARY:
        if (temporary := next(place.rglob(pattern), None)) is not None:
            return f"{temporary.name} is still in it"
    return _behind(place)


def _behind(place: Path) -> str | None:
    """Whether Megatron's own note of its latest checkpoint is of an earlier one."""
    match = _ITERATION.fullmatch(place.name)
    try:
        noted = (place.parent / _TRACKER_FILE).read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        # There is none (another framework, the first checkpoint of an old one), so it says nothing.
        return None
    if match and noted.isascii() and noted.isdigit() and int(noted) < int(match[1]):
        return f"{_TRACKER_FILE} still says {noted}"
    return None


def fingerprint(folder: str) -> int | None:
    """A number that changes when a file in the folder does; None if there is no folder to look into."""
    if not os.path.isdir(folder):
        return None
    try:
        entries = scan_folder(folder).entries
    except KitError:
        # It is being cleared away, or may not be read: whoever records it says so.
        return None
    return hash(tuple((entry.path, entry.size, entry.mtime_ns) for entry in entries))
