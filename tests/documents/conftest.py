"""Pure rooms are tested with the disk and the network out of reach."""

import sys

import pytest

_EVENTS = frozenset({"open", "os.listdir", "os.scandir", "socket.__new__", "subprocess.Popen"})
_watching = False


def _refuse(event, arguments):
    if not _watching or event not in _EVENTS:
        return
    # pytest and hypothesis go to the disk too: only what the kit's code asks for counts, imports aside.
    frame, ours = sys._getframe(1), False
    while frame is not None:
        name = frame.f_code.co_filename
        if "importlib" in name:
            return
        ours = ours or "/nemotron/kit/" in name
        frame = frame.f_back
    if ours:
        raise AssertionError(f"a pure room went to the outside: {event}{arguments!r}")


sys.addaudithook(_refuse)


@pytest.fixture
def no_io():
    """The kit opens no file, no folder and no socket while the test runs."""
    global _watching
    _watching = True
    yield
    _watching = False
