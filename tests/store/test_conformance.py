"""The suite on the backends that need no server."""

import errno
import functools
import os

import pytest

from nemotron.kit.store.local import LocalStore
from nemotron.kit.store.memory import MemoryStore
from nemotron.kit.testing.store_suite import StoreSuite


class TestLocal(StoreSuite):
    @pytest.fixture
    def opener(self, tmp_path):
        return functools.partial(LocalStore, tmp_path / "root")


class TestMemory(StoreSuite):
    @pytest.fixture
    def store(self):
        return MemoryStore()


def _refuse_link(*args, **kwargs):
    raise OSError(errno.EPERM, os.strerror(errno.EPERM))


def open_without_links(root):
    """A store as on a file system without hard links; for this process and for those that are started."""
    os.link = _refuse_link
    return LocalStore(root)


class TestLocalWithoutHardLinks(StoreSuite):
    """O_EXCL: exclusive, but a reader may see a part."""

    readers_see_whole_objects = False

    @pytest.fixture
    def opener(self, tmp_path, monkeypatch):
        monkeypatch.setattr(os, "link", _refuse_link)
        return functools.partial(open_without_links, tmp_path / "root")
