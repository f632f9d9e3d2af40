"""Checkouts from a bucket that were killed, interrupted or cut off: what arrived is not fetched once more."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bucket_server import Proxy, new_bucket
from bucket_server.fixtures import proxy, server
from loopback import Reply
from nemotron.kit.errors import UnavailableError
from nemotron.kit.registry import checkout_cache
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry

pytest.importorskip("obstore")
pytest.importorskip("moto.server")

__all__ = ["proxy", "server"]

SMALL, LARGE, MIDDLE = 40, (40 << 20) + 1, 3 << 20
PART = 2 << 20


class Fetched:
    """Counts the bytes of contents that a bucket sends.

    Attributes:
        size: bytes.
        replies: so far.
    """

    def __init__(self, proxy: Proxy) -> None:
        self.size = self.replies = self._under_way = 0
        self._changed, forward = threading.Condition(), proxy.forward

        def counting(method: str, path: str, headers: dict[str, str], body: bytes) -> Reply:
            with self._changed:
                self._under_way += 1
            reply = forward(method, path, headers, body)
            with self._changed:
                self._under_way -= 1
                if method == "GET" and "/.kit/blobs/" in path:
                    self.replies += 1
                    self.size += len(reply.content)
                self._changed.notify_all()
            return reply

        proxy.forward = counting  # type: ignore[method-assign]

    def settle(self) -> None:
        """Wait until nothing is under way: what a killed process asked for is sent all the same."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._under_way == 0, 60)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/nemotron-kit/checkouts"


@pytest.fixture
def fetched(proxy: Proxy) -> Fetched:
    return Fetched(proxy)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / "sub").mkdir(parents=True)
    for number in range(SMALL):
        (folder / f"{number}.txt").write_text(f"small {number}")
    (folder / "middle.bin").write_bytes(os.urandom(MIDDLE))
    (folder / "sub/large.bin").write_bytes(os.urandom(LARGE))
    (folder / "link").symlink_to("sub")
    return folder


@pytest.fixture
def root(server: tuple[str, int], fetched: Fetched, cache: Path, data: Path) -> str:
    root = f"s3://{new_bucket(server)}/team"
    Registry.open(root).publish(Draft(name="m", source=data, snapshot=True))
    fetched.size = fetched.replies = 0
    return root


def contents(folder: Path) -> dict[str, bytes]:
    found = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if path.name != "metadata.json"}


def laid_out(root: str) -> Path:
    registry = Registry.open(root)
    return registry.folder(registry.resolve("m"))


def unfinished(cache: Path) -> list[Path]:
    return [path for path in cache.rglob(".tmp-*") if path.is_dir()]


KILLED = """
import sys
from nemotron.kit.registry.registry import Registry

registry = Registry.open(sys.argv[1])
registry.folder(registry.resolve("m"))
"""


def kill_after(root: str, proxy: Proxy, fetched: Fetched, replies: int) -> None:
    """Lay out in another process, and kill that once so many replies were sent."""
    with subprocess.Popen([sys.executable, "-c", KILLED, root], stderr=subprocess.PIPE) as process:

        def fault(method: str, path: str) -> str | None:
            if fetched.replies >= replies:
                process.send_signal(signal.SIGKILL)
                return "refuse"
            return None

        proxy.fault = fault
        process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL
    fetched.settle()
    proxy.fault = lambda method, path: None


@pytest.mark.parametrize("replies", [1, 20, 56])
def test_a_killed_download_goes_on_where_it_was(
    root: str, data: Path, cache: Path, proxy: Proxy, fetched: Fetched, replies: int
) -> None:
    kill_after(root, proxy, fetched, replies)
    (left,) = unfinished(cache)
    here = sum(path.stat().st_size for path in left.rglob("*") if path.is_file() and not path.is_symlink())
    total = sum(len(content) for content in contents(data).values())
    fetched.size = 0
    folder = laid_out(root)
    assert contents(folder) == contents(data)
    assert (folder / "link").readlink() == Path("sub")
    assert unfinished(cache) == []
    assert not (folder / "sub/large.bin").stat().st_mode & 0o222
    # What was here is not sent once more; small files that were cut off are.
    assert total - here <= fetched.size <= total - here + SMALL * 16
    if replies == 56:
        assert fetched.size < total * 2 / 3


def test_killed_time_and_again(root: str, data: Path, cache: Path, proxy: Proxy, fetched: Fetched) -> None:
    for replies in (50, 53, 56):
        kill_after(root, proxy, fetched, replies)
        assert len(unfinished(cache)) == 1
    fetched.size = 0
    assert contents(laid_out(root)) == contents(data)
    assert fetched.size < LARGE * 2 / 3


@pytest.mark.parametrize("is_whole", [True, False])
def test_what_the_disk_lost_is_fetched(
    root: str, data: Path, cache: Path, proxy: Proxy, fetched: Fetched, is_whole: bool
) -> None:
    """After a power loss files may have their sizes, and other bytes."""
    kill_after(root, proxy, fetched, 12)
    (left,) = unfinished(cache)
    for path in left.rglob("*.*"):
        size = path.stat().st_size
        path.chmod(0o600)
        path.write_bytes(
            bytes((LARGE if path.name == "large.bin" else size) if is_whole else max(size - 1, 0))
        )
    assert contents(laid_out(root)) == contents(data)
    assert unfinished(cache) == []


def test_a_cut_connection_leaves_what_arrived_to_the_next_try(
    root: str, data: Path, cache: Path, proxy: Proxy, fetched: Fetched
) -> None:
    registry = Registry.open(root, storage_options={"retry_config": {"max_retries": 0}})
    record = registry.resolve("m")
    proxy.fault = lambda method, path: "503" if fetched.replies >= 15 else None
    with pytest.raises(UnavailableError):
        registry.folder(record)
    proxy.fault = lambda method, path: None
    fetched.settle()
    assert len(unfinished(cache)) == 1
    first, fetched.size = fetched.size, 0
    assert contents(registry.folder(record)) == contents(data)
    assert fetched.size <= LARGE + MIDDLE + SMALL * 16 - first + 10 * PART
    assert unfinished(cache) == []


def test_progress_counts_what_was_here_already(root: str, data: Path, proxy: Proxy, fetched: Fetched) -> None:
    kill_after(root, proxy, fetched, 56)
    registry, seen = Registry.open(root), []
    registry.folder(registry.resolve("m"), progress=lambda done, total: seen.append((done, total)))
    total = sum(len(content) for content in contents(data).values())
    assert seen[-1] == (total, total)
    assert seen == sorted(seen)


def test_what_a_living_process_lays_out_is_its_own(
    root: str, data: Path, cache: Path, proxy: Proxy, fetched: Fetched
) -> None:
    held, goes_on = threading.Event(), threading.Event()
    found: list[Path] = []

    def hold(method: str, path: str) -> None:
        if fetched.replies >= 10 and not held.is_set():
            held.set()
            assert goes_on.wait(60)

    proxy.fault = hold
    first = threading.Thread(target=lambda: found.append(laid_out(root)))
    first.start()
    assert held.wait(60)
    second = laid_out(root)
    assert contents(second) == contents(data)
    goes_on.set()
    first.join(60)
    assert found == [second]
    assert contents(second) == contents(data)
    assert unfinished(cache) == []


def test_what_was_left_counts_towards_the_limit(
    root: str, cache: Path, proxy: Proxy, fetched: Fetched
) -> None:
    kill_after(root, proxy, fetched, 12)
    (left,) = unfinished(cache)
    target = str(left.parent / left.name.removeprefix(".tmp-").partition(".")[0])
    assert checkout_cache.make_room(str(cache), 0, target) == []
    assert checkout_cache.make_room(str(cache), LARGE) == []
    assert checkout_cache.make_room(str(cache), 0) == [str(left)]
    assert unfinished(cache) == []
