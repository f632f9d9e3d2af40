"""Founding a store: the one file that says that it is one, and in which format it is kept."""

import time
from typing import Any

from nemotron.kit.documents import codec
from nemotron.kit.errors import ConflictError, CorruptError, FormatTooNewError
from nemotron.kit.registry import layout, stamps
from nemotron.kit.registry.older import holds_older
from nemotron.kit.store.protocol import Store

# Where there are no hard links the file may be looked at while it is being written.
LOOKS = 10
PAUSE_S = 0.02


def prepare(store: Store) -> None:
    """See that the store is one that this kit can write to; a new one is founded.

    Raises:
        FormatTooNewError: a newer kit founded it.
        CorruptError: its format file is damaged.
    """
    data = store.read(layout.FORMAT)
    if data is None:
        store.probe()
        older = holds_older(store.list())
        document = {
            "format_version": layout.STORE_FORMAT,
            "store_id": stamps.uuid7(),
            "created_at": stamps.now(),
            "older_generations": older,
        }
        if store.create(layout.FORMAT, codec.encode(document)):
            return
    _refuse_newer(store, data)


def is_founded(store: Store) -> bool:
    """Whether a kit has published here, in a format that this one knows; nothing is written.

    Raises:
        FormatTooNewError: a newer kit founded it.
        CorruptError: its format file is damaged.
    """
    data = store.read(layout.FORMAT)
    if data is not None:
        _refuse_newer(store, data)
    return data is not None


def _refuse_newer(store: Store, data: bytes | None) -> None:
    version = _founded(store, data).get("format_version")
    if not isinstance(version, int) or version > layout.STORE_FORMAT:
        raise FormatTooNewError(
            f"{store.url} has store format {version}; this kit writes {layout.STORE_FORMAT}: upgrade it"
        )


def _founded(store: Store, data: bytes | None) -> dict[str, Any]:
    """The format file, once it is whole: where there are no hard links it may still be being written."""
    where = f"{store.url}/{layout.FORMAT}"
    for _ in range(LOOKS):
        data = store.read(layout.FORMAT) if data is None else data
        if data is None:
            raise ConflictError(f"{where} comes and goes; is somebody deleting the root?")
        try:
            return codec.decode(data, where)
        except CorruptError as error:
            problem, data = error, None
            time.sleep(PAUSE_S)
    fix = "Unless another process is writing it, delete it: the next publish makes a new one"
    raise CorruptError(f"{problem}. {fix}") from problem
