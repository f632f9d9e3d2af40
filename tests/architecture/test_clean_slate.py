"""What conftest promises to every test."""

import builtins
import io
import os
import socket
import types
from collections.abc import Callable
from pathlib import Path

import pytest
from pytest_socket import SocketConnectBlockedError

from architecture.purity import IoForbiddenError, is_pure


def kit_function(code: str) -> Callable[[], object]:
    """A function that says that it belongs to a room of the kit."""
    module = types.ModuleType("nemotron.kit.names")
    exec(f"def f():\n    {code}", module.__dict__)
    function: Callable[[], object] = module.__dict__["f"]
    return function


@pytest.mark.parametrize(
    "code",
    [
        "open('x', 'w')",
        "import io; io.open('x')",
        "import os; os.open('x', os.O_CREAT | os.O_WRONLY)",
        "import os; os.listdir()",
        "from pathlib import Path; Path('x').write_text('')",
        "from pathlib import Path; list(Path().iterdir())",
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "import socket; socket.socket(socket.AF_UNIX).connect('x')",
    ],
)
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_no_io_forbids(no_io: None, code: str, tmp_path: Path) -> None:
    with pytest.raises(IoForbiddenError, match=r"nemotron\.kit\.names is pure"):
        kit_function(code)()
    assert os.listdir(tmp_path) == []


def test_no_io_lets_tests_and_imports_work(no_io: None, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("1")
    assert (tmp_path / "x").read_text() == "1"
    kit_function("import colorsys, this")()


def test_no_io_is_taken_back() -> None:
    assert builtins.open is io.open
    assert kit_function("return open('x', 'w').close()")() is None


@pytest.mark.parametrize(
    ("test", "pure"),
    [
        ("names/test_names.py", True),
        ("documents/test_codec.py", True),
        ("lineage/test_graph.py", True),
        ("lineage/test_collect.py", False),
        ("registry/test_changes.py", True),
        ("registry/test_registry.py", False),
        ("store/test_local.py", False),
    ],
)
def test_pure_rooms_are_known(test: str, pure: bool) -> None:
    assert is_pure(test) == pure


def test_the_environment_is_clean(tmp_path: Path) -> None:
    assert [name for name in os.environ if name.startswith(("NEMO_", "WANDB_", "SLURM_", "AWS_"))] == []
    assert "RANK" not in os.environ
    assert Path.cwd() == tmp_path
    assert list(Path.home().iterdir()) == []
    assert Path.home() not in (tmp_path, *tmp_path.parents)


def test_the_network_ends_at_the_loopback_interface() -> None:
    with (
        socket.socket() as outside,
        pytest.warns(UserWarning, match="A test tried"),
        pytest.raises(SocketConnectBlockedError),
    ):
        outside.connect(("192.0.2.1", 80))
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        pass
