"""Let references be downloaded although what they point to has changed.

Why: the client refuses a reference whose digest is not the recorded one, and the recorded one is no digest of
the content where the reference was added with `checksum=False`.
Versions: all up to 0.31; `load_path` of its handlers raises ValueError "Digest mismatch for …".
Retired by: an option of the client's to go on. `tests/integrations/wandb/test_patches.py` shows that the
client still refuses without the patch.
"""

import copy
import functools
import importlib
import logging
import re
from typing import Any

from nemotron.kit.integrations.wandb.run import client
from nemotron.kit.integrations.wandb.secrets import redacted

log = logging.getLogger(__name__)

HANDLERS = {"http_handler": "HTTPHandler", "local_file_handler": "LocalFileHandler"}

_PATCHED = "nemotron_kit_patched"
_MISMATCH = re.compile(r"Digest mismatch for .*but found ['\"]?(?P<found>.*?)['\"]?$", re.DOTALL)


def allow_changed(handler: str) -> None:
    """Let a handler load references that have changed, with a warning that names them.

    Args:
        handler: a key of `HANDLERS`.

    Raises:
        MissingExtraError: the client is not installed.
    """
    client()
    module = importlib.import_module(f"wandb.sdk.artifacts.storage_handlers.{handler}")
    cls: Any = getattr(module, HANDLERS[handler])
    original = cls.load_path
    if getattr(original, _PATCHED, False):
        return

    @functools.wraps(original)
    def load_path(self: Any, manifest_entry: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return original(self, manifest_entry, *args, **kwargs)
        except ValueError as error:
            mismatch = _MISMATCH.search(str(error))
            if mismatch is None:
                raise
            log.warning(
                "%s has changed since it was recorded on W&B; it is loaded as it is now",
                redacted(manifest_entry.ref),
            )
        # As if what is there now had been recorded: the client's cache keeps it under its own digest.
        now = copy.copy(manifest_entry)
        now.digest = mismatch["found"]
        return original(self, now, *args, **kwargs)

    setattr(load_path, _PATCHED, True)
    cls.load_path = load_path
