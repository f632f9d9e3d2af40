"""Keep run ids apart although a script seeds Python's random numbers.

Why: clients that drew run ids from the global generator gave every run of a script with `random.seed(…)` the
same id, and the runs overwrote each other.
Versions: of those that this kit supports (0.22 and newer) none: they draw from a source of their own, which
is found out by drawing, not by their number.
Retired by: nothing to do; `tests/integrations/wandb/test_patches.py` shows that the installed client is left
alone.
"""

import importlib
import random
import secrets
import string
from typing import Any

from nemotron.kit.integrations.wandb.run import client

ALPHABET = string.ascii_lowercase + string.digits


def draw_independently() -> bool:
    """Draw run ids from the system's randomness, if the client draws them from the global generator.

    Returns:
        Whether the client needed it.

    Raises:
        MissingExtraError: the client is not installed.
    """
    client()
    runid: Any = importlib.import_module("wandb.sdk.lib.runid")
    if not _follows_the_seed(runid):
        return False
    runid.generate_id = _generate_id
    return True


def _follows_the_seed(runid: Any) -> bool:
    before = random.getstate()
    try:
        random.seed(0)
        first = runid.generate_id()
        random.seed(0)
        return bool(first == runid.generate_id())
    finally:
        random.setstate(before)


def _generate_id(length: int = 8) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))
