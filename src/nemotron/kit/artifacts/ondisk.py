"""`metadata.json`: the record beside the data. Written whole or not at all; a user's own is left alone."""

import errno
import json
import os
import secrets
import weakref
from pathlib import Path
from typing import Any

from nemotron.kit import context
from nemotron.kit.artifacts import kinds
from nemotron.kit.artifacts.paths import is_url
from nemotron.kit.documents.codec import decode, encode
from nemotron.kit.errors import KitError, MisuseError, RefusedError
from nemotron.kit.formats.remote import translated
from nemotron.kit.registry.scan import METADATA_FILE, METADATA_KEYS
from nemotron.kit.store.system_errors import translate
from nemotron.kit.tracking.run import Run

_DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)
# Which path each name was last saved at while there was no store to publish it in, for each run.
_unpublished: "weakref.WeakKeyDictionary[Run, dict[str, str]]" = weakref.WeakKeyDictionary()


def remember(name: str, path: str) -> None:
    """Keep in mind where an artifact lies that has a name but no store, as long as this run goes on."""
    _unpublished.setdefault(context.current_run(), {})[name] = path


def remembered(name: str) -> str | None:
    """Where this run saved the name without a store, or None."""
    return _unpublished.get(context.current_run(), {}).get(name)


def read(file: Path) -> dict[str, Any] | None:
    """The document in a file, or None if there is no such file.

    Raises:
        CorruptError: it holds no JSON object.
        RefusedError: it may not be read.
    """
    try:
        data = _bytes_at(file) if is_url(file) else file.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except KitError:
        raise
    except OSError as error:
        raise _translate(error, "read", file) from error
    return decode(data, str(file))


def _bytes_at(url: Any) -> bytes:
    with translated("read", str(url)):
        data: bytes = url.fs.cat_file(url.path)
        return data


def is_own(document: dict[str, Any]) -> bool:
    """Whether the kit wrote it: the user may have a `metadata.json` of another kind in the same place."""
    return document.keys() >= METADATA_KEYS


def is_checkout(path: Path) -> bool:
    """Whether a path is in a folder that a store laid out, which belongs to everybody."""
    text = str(path)
    return "/.kit/checkouts/" in text or "/nemotron-kit/checkouts/" in text


def make_folder(folder: Path) -> None:
    """Make a local folder that is missing.

    Raises:
        RefusedError: it can't be made.
    """
    if is_url(folder):
        return
    try:
        os.makedirs(folder, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        raise RefusedError(
            f"Cannot make the folder {folder}: {error.strerror}. What is there, or above it, is no folder; "
            "check the path"
        ) from error
    except OSError as error:
        raise _translate(error, "make the folder", folder) from error


def write(folder: Path, document: dict[str, Any], *, durable: bool) -> None:
    """Write `metadata.json` into a folder.

    Args:
        folder: local, or a URL.
        document: what to write.
        durable: whether it must survive a power loss once this returns.

    Raises:
        RefusedError: the folder may not be written to.
        DiskFullError: no space is left; what was there before is still there.
    """
    data = encode(document)
    if is_url(folder):
        with translated("write", str(folder / METADATA_FILE)):
            place: Any = folder / METADATA_FILE
            place.fs.pipe_file(place.path, data)  # one request, whole or not at all
        return
    try:
        _replace(
            f"{folder}/{METADATA_FILE}",
            f"{folder}/.{METADATA_FILE}.{secrets.token_hex(8)}.tmp",
            data,
            durable,
        )
    except OSError as error:
        raise _translate(error, "write", folder / METADATA_FILE) from error


def _replace(path: str, temporary: str, data: bytes, durable: bool) -> None:
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        os.unlink(temporary)
        raise


def _translate(error: OSError, doing: str, path: Path) -> KitError:
    if error.errno in _DENIED:
        return RefusedError(
            f"Cannot {doing} {path}: {error.strerror}. Check the owner and mode of the folder"
        )
    return translate(error, doing, path)


class Companion:
    """The `metadata.json` of an artifact that is being saved.

    Args:
        folder: where it belongs.
        path: the artifact's path as the document spells it.
        has_folder: whether the folder belongs to it as well, where it is a file.

    Attributes:
        document: what lies there now, if the kit wrote it.
        problem: why nothing can be written there, if so.
    """

    def __init__(self, folder: Path, path: str, *, has_folder: bool = True) -> None:
        self.folder = folder
        self._has_folder = has_folder
        self.document: dict[str, Any] | None = None
        self.problem: KitError | None = None
        if is_checkout(folder):
            self.problem = RefusedError(f"{folder} is a store's copy, which belongs to all who load it")
            return
        try:
            found = read(folder / METADATA_FILE)
        except KitError as error:
            self.problem = error
            return
        self.problem = None if found is None else self._objection(found, path)
        self.document = found if self.problem is None else None

    def _objection(self, found: dict[str, Any], path: str) -> KitError | None:
        """Why what lies there is not to be overwritten."""
        file, its = self.folder / METADATA_FILE, str(found.get("path"))
        if not is_own(found):
            missing = ", ".join(sorted(METADATA_KEYS - found.keys()))
            return MisuseError(f"{file} is not the kit's, which would have {missing}; it is not overwritten")
        folder = str(self.folder).rstrip("/")
        is_there = is_url(its) or os.path.isfile(its)
        if its != path and os.path.dirname(its) == folder == os.path.dirname(path) and is_there:
            return MisuseError(f"{file} speaks of {its}, another file of the folder; it is not overwritten")
        is_inside = os.path.dirname(path) == folder and not self._has_folder
        if is_inside and self._is_of_folder(found, its):
            return MisuseError(
                f"{file} is the record of the folder itself ({found.get('name') or found.get('type')}), "
                f"which {os.path.basename(path)} is only a file of; it is not overwritten"
            )
        return None

    def _is_of_folder(self, found: dict[str, Any], its: str) -> bool:
        """Whether a record speaks of all of the folder, which may have been moved since."""
        kind = kinds.named(str(found.get("type")))
        if (kind is not None and kind._is_file) or os.path.dirname(its) == str(self.folder).rstrip("/"):
            return False
        return is_url(self.folder) or not os.path.isfile(f"{self.folder}/{os.path.basename(its)}")

    def says(self, document: dict[str, Any], *but: str) -> bool:
        """Whether it says the same already, leaving out some keys; NaN equals NaN."""
        mine, its = dict(document), dict(self.document or {})
        for key in but:
            mine.pop(key, None)
            its.pop(key, None)
        return self.document is not None and json.dumps(mine, sort_keys=True) == json.dumps(
            its, sort_keys=True
        )

    def write(self, document: dict[str, Any], *, durable: bool) -> None:
        """Write it, unless there is a problem; a failure becomes the problem."""
        if self.problem is not None:
            return
        try:
            write(self.folder, document, durable=durable)
            self.document = document
        except KitError as error:
            self.problem = error
