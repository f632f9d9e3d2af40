"""The end of a pipeline step: panels for whoever watches, one JSON line for the next step of a pipe."""

import json
import math
import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from nemotron.kit.artifacts.value import ArtifactValue
from nemotron.kit.console.words import printable
from nemotron.kit.errors import MisuseError

if TYPE_CHECKING:
    from rich.panel import Panel

METRICS_MAX = 20


def print_step_complete(
    *results: Mapping[str, ArtifactValue], title: str = "Complete", **artifacts: ArtifactValue
) -> None:
    """Say that a step is done and what came of it.

    A panel for each artifact goes to standard error. When standard output is no terminal, one JSON line
    `{name: {"path", "type"}}` goes there, which `Artifact.load()` in the next step of a pipe reads.

    Args:
        *results: name → artifact.
        title: what is done.
        **artifacts: the same, as keywords.

    Raises:
        MisuseError: a value is no artifact.
    """
    made = _gathered(results, artifacts)
    _draw(made, title)
    if not sys.stdout.isatty():
        line = json.dumps({name: json.loads(artifact.to_json()) for name, artifact in made.items()})
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


def _gathered(
    results: tuple[Mapping[str, ArtifactValue], ...], artifacts: Mapping[str, ArtifactValue]
) -> dict[str, ArtifactValue]:
    made: dict[str, ArtifactValue] = {}
    for mapping in (*results, artifacts):
        if not isinstance(mapping, Mapping):
            raise MisuseError(
                f"print_step_complete takes {{name: artifact}} or name=artifact, found {mapping!r}"
            )
        for name, artifact in mapping.items():
            if not isinstance(artifact, ArtifactValue):
                raise MisuseError(f"print_step_complete: {name} is a {type(artifact).__name__}, no artifact")
            made[str(name)] = artifact
    return made


def _draw(made: Mapping[str, ArtifactValue], title: str) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True, highlight=False)
    console.print(Text(f"✓ {printable(title)}", style="bold green"))
    for name, artifact in made.items():
        console.print(_panel(name, artifact))


def _panel(name: str, artifact: ArtifactValue) -> "Panel":
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    rows = Table.grid(padding=(0, 2))
    for label, value in _rows(artifact):
        # Text, not markup: a path may hold [brackets].
        rows.add_row(Text(label, style="bold"), Text(printable(value), overflow="fold"))
    title = Text(printable(f"{name} ({artifact.name or artifact.type})"), style="bold cyan")
    return Panel(rows, title=title, title_align="left", expand=False)


def _rows(artifact: ArtifactValue) -> Iterator[tuple[str, str]]:
    yield "art_path", artifact.art_path
    yield "Path", str(artifact.path)
    if artifact._manifest_path:
        yield "Manifest", str(artifact._manifest_path)
    if artifact.tracking and artifact.tracking.url:
        yield "W&B", artifact.tracking.url
    metrics = artifact.metrics
    shown = [f"{name}: {_number(metrics[name])}" for name in list(metrics)[:METRICS_MAX]]
    if len(metrics) > METRICS_MAX:
        shown.append(f"… {len(metrics) - METRICS_MAX} more")
    for place, text in enumerate(shown):
        yield "" if place else "Metrics", text


def _number(value: float) -> str:
    """A number as a person reads it: whole ones in full, small ones not as 0.00.

    >>> _number(25e9), _number(2.31049), _number(3e-05), _number(0.0)
    ('25,000,000,000', '2.31', '3e-05', '0')
    """
    if not math.isfinite(value):
        return str(value)
    return f"{value:,.0f}" if value.is_integer() and abs(value) < 1e15 else f"{value:.4g}"
