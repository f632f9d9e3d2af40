"""Ranks that share nothing but torch's store."""

import os
import socket
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from nemotron.kit.errors import UnavailableError
from nemotron.kit.integrations.pins import _meeting_place
from nemotron.kit.integrations.torch_store import TorchBoard, board

RANK = """
import os
from nemotron.kit.integrations.pins import _meeting_place
from nemotron.kit.store.rendezvous import agree_on

os.environ["TMPDIR"] += "/" + os.environ["GROUP_RANK"]  # the folder of one node
os.makedirs(os.environ["TMPDIR"], exist_ok=True)
answer = agree_on(["data:latest"], lambda: {"found by": os.environ["RANK"]}, _meeting_place(None))
print("agreed on", answer["found by"], flush=True)
"""


class Double:
    """As much of `torch.distributed.Store` as is used, with its rules."""

    def __init__(self) -> None:
        self._values: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def check(self, keys: list[str]) -> bool:
        return all(key in self._values for key in keys)

    def get(self, key: str) -> bytes:
        return self._values[key]

    def compare_set(self, key: str, expected: str, desired: str) -> bytes:
        with self._lock:
            there = self._values.get(key, b"")
            if there.decode() == expected:
                self._values[key] = desired.encode()
                return desired.encode()
            return there


def _store(kind: str) -> Any:
    if kind == "double":
        return Double()
    distributed = pytest.importorskip("torch.distributed", reason="torch is not installed")
    return distributed.TCPStore(
        "127.0.0.1", 0, is_master=True, wait_for_workers=False, timeout=timedelta(seconds=30)
    )


@pytest.mark.parametrize("kind", ["double", "torch"])
def test_one_creates_and_all_read_it(kind: str) -> None:
    place = TorchBoard(_store(kind), "it")
    assert place.read("a") is None
    won: list[bytes] = []

    def claim(number: int) -> None:
        data = f"\udc80 {number}\n".encode("utf-8", "surrogateescape")
        if place.create("a", data):
            won.append(data)

    threads = [threading.Thread(target=claim, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert place.read("a") == won[0]
    assert place.read("b") is None


def test_a_store_that_does_not_answer_is_unavailable() -> None:
    def fail(*_: Any) -> Any:
        raise RuntimeError("Connection reset by peer")

    place = TorchBoard(SimpleNamespace(check=fail, get=fail, compare_set=fail), "torch's store")
    for call in (lambda: place.read("a"), lambda: place.create("a", b"")):
        with pytest.raises(UnavailableError, match=r"torch's store does not answer: Connection reset"):
            call()


def test_the_store_of_the_process_group_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    fake: Any = ModuleType("torch.distributed")
    fake.is_available = fake.is_initialized = lambda: True
    fake.distributed_c10d = SimpleNamespace(_get_default_store=Double)
    monkeypatch.setitem(sys.modules, "torch.distributed", fake)
    found = _meeting_place(None)
    assert found is not None
    assert found.create("a", b"1")
    assert found.url == "the process group's store"
    monkeypatch.setenv("NEMO_RUN_DIR", "/anywhere")
    assert _meeting_place(None) is None


def test_without_torch_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch.distributed", raising=False)
    assert board({}) is None
    assert board({"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}) is None


def test_two_torchruns_agree_by_their_store_alone(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    (tmp_path / "rank.py").write_text(RANK, encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "2"),
        *("--rdzv-backend", "c10d", "--rdzv-id", "once", "--rdzv-endpoint", f"127.0.0.1:{port}"),
        *("--local-addr", "127.0.0.1", "rank.py"),
    ]
    environ = {**os.environ, "TMPDIR": str(tmp_path), "OMP_NUM_THREADS": "1"}
    nodes = [
        subprocess.Popen(
            command, cwd=tmp_path, env=environ, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        for _ in range(2)
    ]
    said = [node.communicate(timeout=300)[0] for node in nodes]
    assert [node.returncode for node in nodes] == [0, 0], said
    answers = [line for text in said for line in text.splitlines() if line.startswith("agreed on")]
    assert len(answers) == 4
    assert len(set(answers)) == 1
