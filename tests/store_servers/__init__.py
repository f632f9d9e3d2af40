"""Real servers of object stores on loopback, for `make test-stores`; a context starts and stops each.

A server is found where `.ci/stores` puts it. `missing` says what is not there.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

NODE_MODULES = Path(__file__).parents[2] / ".stores/node_modules"
START_MAX_S = 120


def missing(*commands: str) -> str:
    """Which of the commands are not there, as a reason to skip; empty if all are."""
    absent = [command for command in commands if not find(command)]
    return f"not installed: {', '.join(absent)}; `make test-stores` says why" if absent else ""


def find(command: str) -> str | None:
    """The path of a command, of the system or of npm."""
    local = NODE_MODULES / ".bin" / command
    return str(local) if local.exists() else shutil.which(command)


def free_port() -> int:
    """A port that nobody listens at now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def running(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that is ended with the block; what it says goes to a file."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a process listens at a port."""

    def listens() -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0

    wait_until(listens, process, log)


def wait_until(done: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait for something that a process does, for as long as it lives."""
    deadline = time.monotonic() + START_MAX_S
    while not done():
        if process.poll() is not None or time.monotonic() > deadline:
            said = log.read_text(errors="replace")[-2000:] if log.exists() else ""
            raise RuntimeError(f"{process.args!r} did not start:\n{said}")
        time.sleep(0.1)


def run(*command: str, timeout_s: float = 60) -> str:
    """What a command prints."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, env=dict(os.environ))
    if done.returncode:
        raise RuntimeError(f"{command} failed:\n{done.stderr[-2000:]}")
    return done.stdout
