"""Snapshots to and from a bucket: killed, cut off, changing files; what is there is not sent again."""

import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from bucket_server import Proxy, new_bucket
from bucket_server.fixtures import proxy, server
from nemotron.kit.errors import KitError
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store import bucket_streams

pytest.importorskip("obstore")
pytest.importorskip("moto.server")

__all__ = ["proxy", "server"]

SMALL, LARGE = 40, (12 << 20) + 1


@pytest.fixture
def root(server: tuple[str, int], proxy: Proxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return f"s3://{new_bucket(server)}/team"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(SMALL):
        (folder / f"{number}.txt").write_text(f"small {number}")
    (folder / "middle.bin").write_bytes(os.urandom(200_000))
    (folder / "large.bin").write_bytes(os.urandom(LARGE))
    return folder


def sent(proxy: Proxy) -> Counter[str]:
    """How often each blob was written, or a part of it."""
    return Counter(path for method, path in proxy.seen if method == "PUT" and "/.kit/blobs/" in path)


def test_it_comes_back_as_it_was(root: str, data: Path, proxy: Proxy) -> None:
    record = Registry.open(root).publish(Draft(name="m", source=data, snapshot=True)).record
    registry = Registry.open(root)
    assert registry.verify("m", "full").ok
    folder = registry.folder(registry.resolve("m"))
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "metadata.json"} == {
        path.name: path.read_bytes() for path in data.iterdir()
    }
    assert record.manifest.content is not None
    writes = sent(proxy)
    assert len(writes) == SMALL + 2
    assert sum(writes.values()) == SMALL + 1 + 3  # the large one in three parts, nothing twice


def test_no_file_is_cut_into_more_parts_than_a_bucket_takes(
    root: str, data: Path, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket_streams, "PARTS_MAX", 2)
    Registry.open(root).publish(Draft(name="m", source=data, snapshot=True))
    assert max(sent(proxy).values()) == 2
    monkeypatch.undo()
    for size in (1, 40 << 30, 49 << 30, 5 << 40):
        assert -(-size // bucket_streams.in_parts(size)["chunk_size"]) < 10_000


def test_what_is_in_the_bucket_is_not_sent_again(root: str, data: Path, proxy: Proxy) -> None:
    Registry.open(root).publish(Draft(name="m", source=data, snapshot=True))
    proxy.seen.clear()
    (data / "new.bin").write_bytes(bytes(100_000))
    Registry.open(root).publish(Draft(name="other", source=data, snapshot=True))
    large = [path for path, times in sent(proxy).items() if times > 1]
    assert large == []
    # What is small is sent rather than asked for; of the rest only what is new.
    assert len(sent(proxy)) <= SMALL + 1


def asked(proxy: Proxy) -> int:
    """How often an upload in parts was begun, or completed."""
    return sum(method == "POST" and "/.kit/blobs/" in path for method, path in proxy.seen)


def test_progress_is_what_was_sent(root: str, data: Path, proxy: Proxy) -> None:
    others = sum(path.stat().st_size for path in data.iterdir()) - LARGE
    told = []

    def progress(done: int, total: int) -> None:
        told.append((done, total))
        if done > others:  # of the large file: it was read before the bucket was asked to take it
            assert asked(proxy) >= 1

    registry = Registry.open(root)
    registry.publish(Draft(name="m", source=data, snapshot=True), progress=progress)
    assert max(told) == (others + LARGE, others + LARGE)
    told.clear()
    registry.publish(Draft(name="other", source=data, snapshot=True), progress=progress)
    assert max(told, default=(others + LARGE,) * 2) == (others + LARGE, others + LARGE)


def test_an_interrupt_ends_an_upload(root: str, data: Path, proxy: Proxy) -> None:
    others = sum(path.stat().st_size for path in data.iterdir()) - LARGE

    def progress(done: int, total: int) -> None:
        if done > others:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Registry.open(root).publish(Draft(name="m", source=data, snapshot=True), progress=progress)
    assert asked(proxy) == 1
    assert Registry.open(root).list() == []
    Registry.open(root).publish(Draft(name="m", source=data, snapshot=True))
    assert asked(proxy) == 3


KILLED = """
import sys
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry

Registry.open(sys.argv[1]).publish(Draft(name="m", source=sys.argv[2], snapshot=True))
"""


@pytest.mark.parametrize("after", [1, 20, SMALL + 2])
def test_a_killed_upload_goes_on_where_it_was(root: str, data: Path, proxy: Proxy, after: int) -> None:
    with subprocess.Popen([sys.executable, "-c", KILLED, root, str(data)], stderr=subprocess.PIPE) as process:

        def fault(method: str, path: str) -> str | None:
            if sum(sent(proxy).values()) > after:
                process.send_signal(signal.SIGKILL)
                return "refuse"
            return None

        proxy.fault = fault
        process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL
    proxy.fault = lambda method, path: None
    registry = Registry.open(root)
    assert registry.list() == []
    whole = {found.key for found in registry.store.walk(".kit/blobs")}
    proxy.seen.clear()
    record = registry.publish(Draft(name="m", source=data, snapshot=True)).record
    assert (record.version, registry.verify("m", "full").ok) == (1, True)
    again = {path for path in sent(proxy) if any(path.endswith(key) for key in whole)}
    sizes = {found.key: found.size for found in registry.store.walk(".kit/blobs")}
    assert all(sizes[key] <= 64 << 10 for key in whole if any(path.endswith(key) for path in again))


def test_a_request_that_its_sender_could_not_end_writes_nothing_and_holds_up_nobody(
    root: str, data: Path, proxy: Proxy
) -> None:
    parts = urlsplit(proxy.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=60) as sender:
        head = (
            f"PUT /{urlsplit(root).netloc}/team/.kit/blobs/x HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"
        )
        sender.sendall(f"{head}half".encode())
        sender.shutdown(socket.SHUT_WR)
        assert sender.recv(1) == b""
    assert sent(proxy) == {}
    registry = Registry.open(root)
    registry.publish(Draft(name="m", source=data, snapshot=True))
    assert len([*registry.store.walk(".kit/blobs")]) == SMALL + 2


@pytest.mark.parametrize("fault", ["503", "refuse", "drop", "cut"])
def test_faults_on_the_way_are_overcome(root: str, data: Path, proxy: Proxy, fault: str) -> None:
    failing: Counter[str] = Counter()

    def once(method: str, path: str) -> str | None:
        if "/.kit/blobs/" in path and method in ("PUT", "GET"):
            failing[f"{method} {path}"] += 1
            return fault if failing[f"{method} {path}"] == 1 and len(failing) % 5 == 0 else None
        return None

    proxy.fault = once
    registry = Registry.open(root)
    registry.publish(Draft(name="m", source=data, snapshot=True))
    folder = registry.folder(registry.resolve("m"))
    assert (folder / "large.bin").read_bytes() == (data / "large.bin").read_bytes()
    assert registry.verify("m", "full").ok


def test_a_file_that_changes_while_it_is_uploaded_gets_no_wrong_key(
    root: str, data: Path, proxy: Proxy
) -> None:
    changed: list[str] = []

    def change(method: str, path: str) -> str | None:
        if method in ("POST", "PUT") and "/.kit/blobs/" in path and not changed:
            changed.append(path)
            (data / "large.bin").write_bytes(os.urandom(LARGE))
        return None

    for path in data.iterdir():
        if path.name != "large.bin":
            path.unlink()
    proxy.fault = change
    registry = Registry.open(root)
    registry.publish(Draft(name="m", source=data, snapshot=True))
    assert changed
    folder = registry.folder(registry.resolve("m"))
    assert (folder / "large.bin").read_bytes() == (data / "large.bin").read_bytes()
    assert registry.verify("m", "full").ok
    assert len([*registry.store.walk(".kit/blobs")]) == 1


def test_an_outage_says_so_and_leaves_no_version(root: str, data: Path, proxy: Proxy) -> None:
    registry = Registry.open(root, storage_options={"retry_config": {"max_retries": 0}})
    proxy.fault = lambda method, path: "503" if "/.kit/blobs/" in path else None
    with pytest.raises(KitError):
        registry.publish(Draft(name="m", source=data, snapshot=True))
    proxy.fault = lambda method, path: None
    assert registry.list() == []
