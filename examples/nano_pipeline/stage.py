"""What the four stages share: arguments, a fresh folder for each run, progress, short errors."""

import argparse
import os
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from nemotron.kit.errors import KitError


def parser(description: str | None) -> argparse.ArgumentParser:
    """A parser that knows `--root`, `--out` and `--scale`."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawTextHelpFormatter)
    root = os.environ.get("NEMO_ARTIFACT_ROOT")
    made.add_argument("--root", default=root, required=not root, help="artifact store [$NEMO_ARTIFACT_ROOT]")
    made.add_argument("--out", type=Path, default=Path("demo/out"), help="where runs write [demo/out]")
    made.add_argument("--scale", default="full", help="tiny, small, medium or full: how much of it [full]")
    return made


def run(main: Callable[[], None]) -> None:
    """Run a stage; what the kit refuses is a message and exit code 1."""
    try:
        main()
    except KitError as error:
        raise SystemExit(f"{Path(sys.argv[0]).name}: {error}") from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def fresh_folder(out: Path, stage: str) -> Path:
    """A new folder below `out`: no run ever writes where another one has."""
    folder = out.resolve() / stage / uuid.uuid4().hex[:12]
    folder.mkdir(parents=True)
    return folder


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[int, str], None]]:
    """Show how far the work is, on stderr: a bar on a terminal, a line for each quarter elsewhere.

    Yields:
        A function to be called with the number of steps that are done and a note.
    """
    if not sys.stderr.isatty():
        yield lambda step, note: _line(what, total, step, note)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.fields[note]}"), console=Console(stderr=True)) as bar:
        task = bar.add_task(what, total=total, note="")
        yield lambda step, note: bar.update(task, completed=step, note=note)


def _line(what: str, total: int, step: int, note: str) -> None:
    if step * 4 // total > (step - 1) * 4 // total:
        print(f"{what} {step}/{total}  {note}", file=sys.stderr, flush=True)
