"""The command as a process: what only the real thing shows."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pytest

from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry

MODULE = [sys.executable, "-m", "nemotron.kit.cli"]
HEAVY = ("pydantic", "rich", "fsspec", "omegaconf", "wandb", "numpy", "pyarrow", "upath", "tomllib")


def run(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*MODULE, *arguments], capture_output=True, text=True, check=False, **options)


def test_the_entry_point(store: Registry, data: Path) -> None:
    command = shutil.which("nemotron", path=sysconfig.get_path("scripts"))
    assert command, "the package is not installed"
    done = subprocess.run([command, "kit", "resolve", "art://nano3/data"], capture_output=True, check=True)
    assert done.stdout == f"{data}\n".encode()
    assert done.stderr == b""


def test_the_module_and_its_exit_codes(store: Registry, data: Path) -> None:
    assert run("kit", "resolve", "nano3/data:v1").stdout == f"{data}\n"
    assert run("kit", "resolve", "nano3/data:v7").returncode == 1
    assert run("kit", "resolve", "../x").returncode == 2
    failed = run("kit", "resolve", "none", "--json")
    assert (failed.stdout, failed.stderr[:7]) == ("", "error: ")
    assert "Traceback" not in failed.stderr
    version = run("--version")
    assert version.stdout.startswith("nemotron-kit ")
    help_text = run("kit", "--help")
    assert help_text.returncode == 0
    assert "Usage: nemotron kit" in help_text.stdout


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has it")
@pytest.mark.parametrize("how", [["ls"], ["ls", "--json"], ["lineage", "tuned", "--html"], ["cat", "tuned"]])
def test_a_full_disk_below_standard_output(store: Registry, how: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*MODULE, "kit", *how], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert done.stderr.startswith("error: Cannot write standard output: No space left on device")


@pytest.mark.parametrize(
    "how", ["kit ls", "kit ls --json", "kit ls -q", "kit lineage tuned --html", "kit cat tuned", "--version"]
)
def test_a_standard_output_that_is_closed(store: Registry, how: str) -> None:
    command = shlex.join([*MODULE, *how.split()])
    done = subprocess.run(["sh", "-c", f"{command} >&-"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "error: Cannot write standard output: it is closed\n")
    both = subprocess.run(["sh", "-c", f"{command} >&- 2>&-"], check=False)
    assert both.returncode == 1


def test_resolve_loads_nothing_heavy(store: Registry) -> None:
    program = (
        "import sys\n"
        "from nemotron.kit.cli import main\n"
        "try:\n    main()\n"
        "finally:\n    print(*sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "kit", "resolve", "nano3/data"],
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = {name.partition(".")[0] for name in done.stderr.split()}
    assert not loaded & set(HEAVY)
    modules = set(done.stderr.split())
    assert "nemotron.kit.console.views" not in modules
    assert "nemotron.kit.cli.publishing" not in modules


@pytest.mark.parametrize(
    "arguments",
    [
        ("runs", "--json"),
        ("runs", "-n", "3"),
        ("lineage", "tuned", "--depth", "1", "--json"),
        ("lineage", "tuned", "--type", "model"),
        ("impact", "base", "--json", "-n", "5"),
        ("recall", "base"),
        ("why", "tuned"),
        ("path", "base", "tuned"),
        ("composition", "tuned"),
    ],
    ids=" ".join,
)
def test_questions_load_no_adapters_of_arguments_and_no_tables_for_json(
    store: Registry, arguments: tuple[str, ...]
) -> None:
    program = "import sys\nfrom nemotron.kit.cli import main\ntry:\n    main()\nfinally:\n"
    program += "    print(*sys.modules, file=sys.stderr)\n"
    command = [sys.executable, "-c", program, "kit", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    modules = set(done.stderr.split())
    assert "pydantic" not in modules
    assert "fsspec" not in modules
    if "--json" in arguments:
        assert "rich.table" not in modules
        assert "rich.console" not in modules


def test_numbers_are_checked_all_the_same(store: Registry) -> None:
    for text in ("-1", "x", "1.5", "٣", "9" * 30 + "x"):
        done = subprocess.run(
            [*MODULE, "kit", "runs", f"--limit={text}"], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout) == (2, ""), text
        assert "--limit" in done.stderr
    assert subprocess.run([*MODULE, "kit", "runs", "--limit", "0"], capture_output=True).returncode == 0


def test_a_closed_pipe_is_quiet(store: Registry, data: Path) -> None:
    for number in range(200):
        store.publish(Draft(name="many", source=data, metadata={"n": number, "text": "x" * 500}))
    with subprocess.Popen(
        [*MODULE, "kit", "versions", "many", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""


@pytest.mark.parametrize(
    ("command", "where", "said"),
    [
        ("ls", "list", b"nothing half done is left\n"),
        (
            "register data --name m --snapshot",
            "publish",
            b"nothing half done is left, and the next try goes on from what is done\n",
        ),
        (
            "rm tuned:v1 -m bad",
            "withdraw",
            b"the version may be withdrawn by now, and some of what --delete-data names deleted"
            b"; the same again does the rest\n",
        ),
        (
            "resolve tuned:v1",
            "resolve",
            b"nothing half done is left; the next try may begin anew\n",
        ),
    ],
)
@pytest.mark.parametrize(
    ("number", "code", "word"),
    [(signal.SIGINT, 130, b"interrupted: "), (signal.SIGTERM, 143, b"terminated: ")],
)
def test_an_interrupt_is_one_line(
    store: Registry,
    tmp_path: Path,
    command: str,
    where: str,
    said: bytes,
    number: int,
    code: int,
    word: bytes,
) -> None:
    # A method that never ends: it is what gets interrupted.
    started = tmp_path / "started"
    program = (
        "import time, pathlib\n"
        "from nemotron.kit.cli import main\n"
        "from nemotron.kit.registry.registry import Registry\n"
        f"def slow(*_, **__): pathlib.Path({str(started)!r}).touch(); time.sleep(60)\n"
        f"Registry.{where} = slow\n"
        "main()\n"
    )
    # A shell's background jobs ignore the signal, and so do their children.
    listening = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    with subprocess.Popen(
        [sys.executable, "-c", listening + program, "kit", *command.split(), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        while not started.exists():
            time.sleep(0.01)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (code, b"", word + said)


@pytest.mark.parametrize(("times", "patience"), [(1, 0.1), (2, 60.0)])
def test_sigterm_ends_what_waits_in_a_call_too(
    store: Registry, tmp_path: Path, times: int, patience: float
) -> None:
    # A client waits for a server like this: the interpreter sees no signal until the call returns.
    started = tmp_path / "started"
    program = (
        "import ctypes, pathlib\n"
        "from nemotron.kit.cli import failures, main\n"
        "from nemotron.kit.registry.registry import Registry\n"
        "lock, lib = ctypes.create_string_buffer(64), ctypes.CDLL(None)\n"
        f"failures.PATIENCE_S = {patience}\n"
        "def slow(*_, **__):\n"
        "    lib.pthread_mutex_lock(lock)\n"
        f"    pathlib.Path({str(started)!r}).touch()\n"
        "    lib.pthread_mutex_lock(lock)\n"
        "Registry.list = slow\n"
        "main()\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, "kit", "ls"], stderr=subprocess.PIPE) as process:
        while not started.exists():
            assert process.poll() is None
            time.sleep(0.01)
        for _ in range(times):
            process.send_signal(signal.SIGTERM)
            time.sleep(0.05)  # two of a kind at once are one
        assert process.wait(30) == 143


def test_an_interrupt_while_the_program_is_read(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise KeyboardInterrupt")
    done = run("kit", "ls", env={**os.environ, "PYTHONPATH": str(tmp_path)})
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted: nothing was begun\n")


def test_a_terminal_has_the_line_of_an_interrupt_below_its_own(store: Registry) -> None:
    program = (
        "from nemotron.kit.cli import main\n"
        "from nemotron.kit.registry.registry import Registry\n"
        "def stopped(self): raise KeyboardInterrupt\n"
        "Registry.list = stopped\n"
        "main()\n"
    )
    seen = on_a_terminal("kit", "ls", program=program, NO_COLOR="1")
    assert seen == "\ninterrupted: nothing half done is left\n"


@pytest.mark.parametrize(
    ("variables", "coloured"),
    [({}, False), ({"FORCE_COLOR": "1"}, True), ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False)],
)
def test_colour_in_a_pipe(store: Registry, variables: dict[str, str], coloured: bool) -> None:
    environment = {**os.environ, "TERM": "xterm-256color", **variables}
    assert ("\x1b[3" in run("kit", "ls", env=environment).stdout) == coloured
    assert ("\x1b[1;31m" in run("kit", "show", "none", env=environment).stderr) == coloured
    assert "\x1b" not in run("kit", "ls", "--json", env=environment).stdout
    assert "\x1b" not in run("kit", "resolve", "base", env=environment).stdout


def on_a_terminal(*arguments: str, columns: int = 80, program: str = "", **variables: str) -> str:
    """What a person sees in a terminal of this width, of the command or of another program."""
    import fcntl
    import pty
    import struct
    import termios

    pid, terminal = pty.fork()
    if pid == 0:
        environment = {**os.environ, "TERM": "xterm-256color", **variables}
        command = [sys.executable, "-c", program] if program else MODULE
        os.execve(sys.executable, [*command, *arguments], environment)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    said = b""
    try:
        while chunk := os.read(terminal, 65536):
            said += chunk
    except OSError:  # how Linux tells that the other end is closed
        pass
    finally:
        os.close(terminal)
        os.waitpid(pid, 0)
    return said.decode().replace("\r\n", "\n")


def test_a_terminal_gets_colour_unless_it_wants_none(store: Registry) -> None:
    assert "\x1b[36m" in on_a_terminal("kit", "ls")
    assert "\x1b" not in on_a_terminal("kit", "ls", NO_COLOR="1").replace("\x1b[1m", "").replace(
        "\x1b[0m", ""
    )
    assert "\x1b" not in on_a_terminal("kit", "ls", TERM="dumb")
    assert "\x1b[1;31merror: \x1b[0m" in on_a_terminal("kit", "show", "none")


def test_a_pipe_is_never_folded_and_a_terminal_is(registry: Registry, tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    registry.publish(Draft(name="n" * 100, source=deep))
    assert str(deep) in run("kit", "show", "n" * 100).stdout
    assert "n" * 100 in run("kit", "ls").stdout.splitlines()[1]
    seen = re.sub(r"\x1b\[[0-9;]*m", "", on_a_terminal("kit", "show", "n" * 100, columns=60))
    assert all(len(line) <= 60 for line in seen.splitlines())
    assert "d" * 40 in seen


def test_a_file_name_that_is_no_utf8_comes_out_as_it_is(registry: Registry, tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/\xff\xfe"
    os.mkdir(folder)
    registry.publish(Draft(name="odd", source=os.fsdecode(folder)))
    done = subprocess.run([*MODULE, "kit", "resolve", "odd"], capture_output=True, check=True)
    assert done.stdout == folder + b"\n"
    as_json = run("kit", "resolve", "odd", "--json")
    assert json.loads(as_json.stdout)["path"] == os.fsdecode(folder)
    assert "\\udcff" in run("kit", "show", "odd").stdout


def test_an_ascii_terminal(store: Registry, data: Path) -> None:
    store.publish(Draft(name="uni", source=data, metadata={"note": "héllo — ✓"}))
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    for call in (("show", "uni"), ("lineage", "tuned"), ("aliases", "base"), ("ls",)):
        done = run("kit", *call, env=environment)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.isascii()
    note = json.loads(run("kit", "show", "uni", "--json", env=environment).stdout)["metadata"]["note"]
    assert note == "héllo — ✓"
