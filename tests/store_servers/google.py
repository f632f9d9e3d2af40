"""gcp-storage-emulator (PyPI): Google's JSON interface, as gcsfs speaks it, in an environment of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from store_servers import NODE_MODULES, free_port, running, wait_for

PYTHON = NODE_MODULES.parent / "google/bin/python"


@contextmanager
def emulator(folder: Path) -> Iterator[str]:
    """The emulator, in memory; its URL."""
    port, log = free_port(), folder / "emulator.out"
    command = [str(PYTHON), "-m", "gcp_storage_emulator", "start", "--host", "127.0.0.1"]
    with running([*command, "--port", str(port), "--in-memory", "--quiet"], log) as process:
        wait_for(port, process, log)
        yield f"http://127.0.0.1:{port}"
