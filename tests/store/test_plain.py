"""Files are opened without waiting for anybody, and what is none is refused."""

import errno
import fcntl
import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nemotron.kit.store import plain


def test_a_file_is_opened_and_reading_it_may_wait(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"hello")
    with open(path, "rb", opener=plain.opener) as file:
        assert file.read() == b"hello"
        assert os.get_blocking(file.fileno())


@pytest.mark.parametrize("has_writer", [False, True])
def test_a_pipe_is_not_waited_for(tmp_path, has_writer):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    writer = os.open(path, os.O_RDWR) if has_writer else os.open(os.devnull, os.O_RDONLY)
    try:
        with pytest.raises(plain.NotPlainError, match=r"It is not a plain file: .*pipe"):
            plain.opener(str(path))
    finally:
        os.close(writer)


def test_what_else_is_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind("socket")
        for path in ("socket", "/dev/zero", str(tmp_path)):
            with pytest.raises(plain.NotPlainError):
                plain.opener(path)


def test_what_a_mac_says_of_a_socket(monkeypatch):
    def refuse(path, flags):
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP), path)

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(plain.NotPlainError):
        plain.opener("socket")


def test_what_is_not_there_or_denied_is_called_that(tmp_path):
    with pytest.raises(FileNotFoundError):
        plain.opener(str(tmp_path / "none"))


@pytest.fixture
def leased(tmp_path: Path):
    """A file of which this process has a lease, as a file server has; it is given back when asked for."""
    path = tmp_path / "leased"
    path.write_bytes(b"hello")
    descriptor = os.open(path, os.O_RDWR)
    asked: list[int] = []

    def give_back(number: int, _: object) -> None:
        asked.append(number)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)

    before = signal.signal(signal.SIGIO, give_back)
    try:
        try:
            fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        except OSError as error:
            pytest.skip(f"no leases here: {error}")
        yield path, asked
    finally:
        os.close(descriptor)
        signal.signal(signal.SIGIO, before)


def test_who_has_a_lease_of_a_file_is_waited_for(leased):
    path, asked = leased
    with ThreadPoolExecutor(1) as pool:  # signals are for this thread
        descriptor = pool.submit(plain.opener, str(path)).result()
    assert os.read(descriptor, 9) == b"hello"
    os.close(descriptor)
    assert asked
