"""An artifact as a notebook shows it: a small table, every text in it escaped."""

from collections.abc import Iterable
from html import escape
from typing import Any

from nemotron.kit.artifacts.value import ArtifactValue

ROWS_MAX = 40
TEXT_MAX = 200
_CELL = 'style="text-align: left"'


def to_html(artifact: ArtifactValue) -> str:
    """What it is, where it lies, its fields and what else is in its metadata."""
    rows = list(_rows(artifact))
    shown = "".join(
        f"<tr><th {_CELL}>{escape(name)}</th><td {_CELL}>{escape(_text(value))}</td></tr>"
        for name, value in rows[:ROWS_MAX]
    )
    if len(rows) > ROWS_MAX:
        shown += f"<tr><td {_CELL} colspan=2>… {len(rows) - ROWS_MAX} more in .metadata</td></tr>"
    head = f"<strong>{escape(artifact.type)}</strong> <code>{escape(artifact.art_path)}</code>"
    return f"<div>{head}<table>{shown}</table></div>"


def _rows(artifact: ArtifactValue) -> Iterable[tuple[str, Any]]:
    yield "path", artifact.path
    yield "created_at", artifact.created_at
    if artifact.producer:
        yield "producer", artifact.producer
    yield from artifact.metadata.items()


def _text(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= TEXT_MAX else f"{text[:TEXT_MAX]}…"
