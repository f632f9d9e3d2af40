"""What the step before wrote into the pipe: `{name: {"path": …, "type": …}}`, or one `{"path", "type"}`."""

import json
import sys
import weakref
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from nemotron.kit.errors import MisuseError

# Standard input can be read once, but a step may load several artifacts from it.
_texts: "weakref.WeakKeyDictionary[TextIO, str]" = weakref.WeakKeyDictionary()


def entry(fits: Callable[[str], bool], asked: str) -> Mapping[str, Any]:
    """The `{"path", "type"}` on standard input that is meant.

    Args:
        fits: whether a type is of the kind that was asked for.
        asked: the class that was asked for.

    Raises:
        MisuseError: there is nothing, it is something else, or several fit.
    """
    entries = _entries(_text())
    fitting = {name: item for name, item in entries.items() if fits(str(item.get("type", "")))}
    if len(entries) == 1:
        return next(iter(entries.values()))  # if it is another kind, the loader says so
    if len(fitting) == 1:
        return next(iter(fitting.values()))
    listed = ", ".join(f"{name} ({item.get('type')})" for name, item in (fitting or entries).items())
    what = "several artifacts that fit" if fitting else "no artifact that fits"
    raise MisuseError(
        f"Standard input holds {what} {asked}: {listed}. Call load() on the class of the one you mean, "
        "or pass its path"
    )


def _text() -> str:
    stream = sys.stdin
    if stream is None or stream.closed or stream.isatty():
        raise MisuseError(
            _nothing("standard input is a terminal" if stream else "there is no standard input")
        )
    text = _texts.get(stream)
    if text is None:
        text = _texts[stream] = stream.read()
    if not text.strip():
        raise MisuseError(_nothing("standard input is empty"))
    return text


def _nothing(why: str) -> str:
    return (
        f"No input provided: {why}. Pass load(path=…), or pipe in a step that calls print_step_complete: "
        "python data_prep.py | python train.py"
    )


def _entries(text: str) -> dict[str, Mapping[str, Any]]:
    """Each artifact by the name it was given; other output before the last line is passed over."""
    problem: ValueError | None = None
    for candidate in (text, text.strip().splitlines()[-1]):
        try:
            document = json.loads(candidate)
        except ValueError as error:
            problem = problem or error
            continue
        if isinstance(document, dict) and isinstance(document.get("path"), str):
            return {"artifact": document}
        if isinstance(document, dict) and document and all(map(_is_entry, document.values())):
            return document
    shown = text.strip()[:80]
    reason = f" ({problem})" if problem else ""
    raise MisuseError(
        f'Invalid stdin data: expected {{"path": …, "type": …}} or {{name: {{"path": …, "type": …}}}}, '
        f"as print_step_complete writes it, found {shown!r}{reason}"
    )


def _is_entry(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("path"), str)
