"""The key-value store of a torch job, as a place where its ranks meet when they share no file system.

A job that has its artifacts in W&B alone may have neither a store nor `NEMO_RUN_DIR`. But torch has brought
its ranks together by a store of its own: that of the process group, or that of torchrun's agent, which is
there before any process group is.
"""

import base64
import importlib
import os
import sys
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from nemotron.kit.errors import UnavailableError

PREFIX = "nemotron.kit/"
CONNECT_SECONDS = 60


class TorchBoard:
    """Create-if-absent in a `torch.distributed.Store`; what the ranks agree on is small and is not listed.

    Args:
        store: the store.
        url: what to call it in messages.
    """

    def __init__(self, store: Any, url: str) -> None:
        self._store = store
        self.url = url

    def read(self, key: str) -> bytes | None:
        """All bytes under a key, or None.

        Raises:
            UnavailableError: the store does not answer.
        """
        try:
            if not self._store.check([PREFIX + key]):
                return None
            return base64.b64decode(self._store.get(PREFIX + key))
        except RuntimeError as error:  # all of torch.distributed's errors are
            raise UnavailableError(f"{self.url} does not answer: {error}") from error

    def create(self, key: str, data: bytes, *, durable: bool = True) -> bool:
        """Put bytes under a key if there are none; whether there were none.

        Args:
            key: any text.
            data: the bytes.
            durable: says nothing here: it lasts as long as the job.

        Raises:
            UnavailableError: the store does not answer.
        """
        text = base64.b64encode(data).decode("ascii")  # the store's values are text
        try:
            # An expected value of "" means that there is none.
            there: bytes = self._store.compare_set(PREFIX + key, "", text)
        except RuntimeError as error:
            raise UnavailableError(f"{self.url} does not answer: {error}") from error
        return there == text.encode("ascii")


def board(environ: Mapping[str, str] = os.environ) -> TorchBoard | None:
    """The store of this process's torch job, if there is one.

    Raises:
        UnavailableError: torchrun says that its agent has one, and it does not answer.
    """
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        return TorchBoard(distributed.distributed_c10d._get_default_store(), "the process group's store")
    host, port = environ.get("MASTER_ADDR", ""), environ.get("MASTER_PORT", "")
    if environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True" or not (host and port.isdecimal()):
        return None
    torch = importlib.import_module("torch.distributed")
    try:
        store = torch.TCPStore(host, int(port), is_master=False, timeout=timedelta(seconds=CONNECT_SECONDS))
    except RuntimeError as error:
        raise UnavailableError(f"torchrun's store at {host}:{port} does not answer: {error}") from error
    return TorchBoard(store, f"torchrun's store at {host}:{port}")
