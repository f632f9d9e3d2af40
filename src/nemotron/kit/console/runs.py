"""Runs as commands show them."""

import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nemotron.kit.console import words
from nemotron.kit.console.output import View
from nemotron.kit.console.tables import FittingTable
from nemotron.kit.lineage.fields import flat

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from nemotron.kit.documents.run import RunRecord

# As much of an id as tells the millisecond: two runs seldom begin in one.
SHORT_ID = 13
CONFIG_SHOWN_MAX = 30
_COLOURS = {
    "finished": "green",
    "exited": "default",
    "running": "cyan",
    "failed": "red",
    "killed": "red",
    "unknown": "yellow",
}


@dataclass(frozen=True)
class RunsView(View):
    """A list of runs."""

    runs: Sequence["RunRecord"]

    def document(self) -> Any:
        """A list of objects, without code and packages."""
        return [_without_code(run) for run in self.runs]

    def lines(self) -> Iterable[str]:
        """The ids."""
        return [run.id for run in self.runs]

    def render(self) -> "str | RenderableType":
        """A table."""
        from rich.text import Text

        if not self.runs:
            return "No runs"
        drawn = FittingTable(
            ("ID", "RUN", "STATUS", "BEGAN", "TOOK", "MADE", "BY"),
            folding=("RUN", "STATUS", "MADE"),
            dropped=("BY", "TOOK"),
            below=("MADE",),
        )
        for run in self.runs:
            drawn.add_row(
                Text(_short(run, self.runs), "dim"),
                Text(words.printable(run.label), "cyan"),
                _status(run),
                words.ago(run.start.started_at),
                _took(run),
                words.printable(", ".join(uri.removeprefix("art://") for uri in run.made)),
                words.printable(_by(run)),
            )
        return drawn


@dataclass(frozen=True)
class RunView(View):
    """One run."""

    run: "RunRecord"

    def document(self) -> Any:
        """All that is recorded."""
        return self.run.to_document()

    def lines(self) -> Iterable[str]:
        """The URIs of what it made."""
        return [words.printable(uri) for uri in self.run.made]

    def render(self) -> "str | RenderableType":
        """A few lines of names and values, what a person wants to know first first."""
        from rich.text import Text

        text = Text(overflow="fold")
        text.append(f"{words.printable(self.run.label)}", "bold cyan").append("  ").append(_status(self.run))
        text.append(f"  {self.run.id}\n", "dim")
        for name, value in run_lines(self.run):
            text.append(f"{name:<10}", "dim").append(f"{words.printable(value)}\n")
        text.rstrip()
        return text


def run_lines(run: "RunRecord") -> Iterator[tuple[str, str]]:
    """What is known of a run, as names and values; a value of several lines has its name once."""
    start, finish = run.start, run.finish
    began = f"{words.when(start.started_at)} {words.ago(start.started_at)}".strip()
    took = _took(run)
    told = f"took {took}" if took != "unknown" else "for how long is unknown: the clocks disagree"
    yield from _named("began", [f"{began}, {told}" if took else began])
    yield from _named("made", run.made)
    yield from _named("kept", finish.unchanged if finish else ())
    yield from _named("from", run.used)
    pins = (finish.resolved if finish else None) or {}
    yield from _named("resolved", [f"{asked} → {uri}" for asked, uri in pins.items()])
    metrics = (finish.metrics if finish else None) or {}
    yield from _named("metrics", [f"{name} {words.value(value)}" for name, value in metrics.items()])
    yield from _named("command", [shlex.join(start.command)] if start.command else ())
    yield from _named("in", [start.cwd] if start.cwd else ())
    yield from _named("code", [code] if (code := _code(run)) else ())
    yield from _named("by", [_by(run)] if _by(run) else ())
    yield from _named("job", _job(run))
    packages = run.environment.packages if run.environment else None
    many = f"Python {start.python}" if start.python else "Python"
    yield from _named("packages", [f"{many}, {words.many(len(packages), 'package')}"] if packages else ())
    yield from _named("seeds", [f"{name} {words.value(one)}" for name, one in (start.seeds or {}).items()])
    yield from _named("tags", [", ".join(start.tags)] if start.tags else ())
    config = list(flat(start.config).items())
    yield from _named("config", [f"{key} = {words.value(value)}" for key, value in config[:CONFIG_SHOWN_MAX]])
    if (more := len(config) - CONFIG_SHOWN_MAX) > 0:
        yield "", f"… {words.many(more, 'more value')}: --json shows all"
    yield from _named("W&B", [finish.wandb_url] if finish and finish.wandb_url else ())
    yield from _named("part of", [start.parent] if start.parent else ())


def _named(name: str, values: Iterable[str]) -> Iterator[tuple[str, str]]:
    for at, value in enumerate(values):
        yield ("" if at else name), value


def _without_code(run: "RunRecord") -> dict[str, Any]:
    return {key: value for key, value in run.to_document().items() if key != "code"}


def _short(run: "RunRecord", others: Sequence["RunRecord"]) -> str:
    """As much of the id as tells it from the others."""
    length = SHORT_ID
    while any(other.id != run.id and other.id.startswith(run.id[:length]) for other in others):
        length += 1
    return run.id[:length]


def _status(run: "RunRecord") -> "Text":
    from rich.text import Text

    error = run.finish.error if run.finish else None
    said = f"{run.status}: {words.printable(error)}" if error else run.status
    return Text(said, _COLOURS[run.status])


def _took(run: "RunRecord") -> str:
    """How long it took: unknown where its clocks disagree; "" where it is not over, or did not say so."""
    seconds = run.took_s
    if seconds is None:
        return "unknown" if run.finish and run.finish.ended_at else ""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, hours = int(seconds // 60), int(seconds // 3600)
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min {int(seconds % 60)} s"


def _code(run: "RunRecord") -> str:
    environment, entry = run.environment, run.start.entry
    if environment is None or environment.commit is None:
        return entry or ""
    branch = f" on {environment.branch}" if environment.branch else ""
    changes = ", with changes that are not committed" if environment.dirty else ""
    return f"{entry or ''} at {environment.commit[:12]}{branch}{changes}".strip()


def _by(run: "RunRecord") -> str:
    process = run.start.process
    return "@".join(one for one in (process.user, process.host) if one)


def _job(run: "RunRecord") -> list[str]:
    start = run.start
    said = [f"experiment {start.experiment}"] if start.experiment else []
    said += [f"{name}={value}" for name, value in (start.scheduler or {}).items()]
    said += [words.many(start.world_size, "rank")] if start.world_size else []
    return said + ([f"image {start.image}"] if start.image else [])
