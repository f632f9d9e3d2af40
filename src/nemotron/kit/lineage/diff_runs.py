"""What is different between the runs that made two versions. Pure.

>>> from nemotron.kit.documents.run import RunStart
>>> runs = [RunRecord(start=RunStart(id=name, config={"lr": lr})) for name, lr in (("a", 0.1), ("b", 0.2))]
>>> found = with_runs(Difference(before="art://m:v1", after="art://m:v2"), *runs)
>>> [(change.key, change.before, change.after) for change in found.config or ()], found.packages
([('lr', 0.1, 0.2)], None)
"""

from dataclasses import replace
from typing import Any

from nemotron.kit.documents.run import RunEnvironment, RunRecord
from nemotron.kit.lineage.diff import Difference
from nemotron.kit.lineage.fields import fields_changed, flat


def with_runs(found: Difference, before: RunRecord | None, after: RunRecord | None) -> Difference:
    """A difference with what was different in the runs that made the two, as far as both are recorded.

    Args:
        found: the difference.
        before: the run that made the one.
        after: the run that made the other.
    """
    if before is None or after is None:
        return found
    if before.id == after.id:
        return replace(found, config=(), seeds=(), run=(), code=(), packages=(), metrics=())
    found = replace(
        found,
        config=tuple(fields_changed(flat(before.start.config), flat(after.start.config))),
        seeds=tuple(fields_changed(before.start.seeds or {}, after.start.seeds or {})),
        run=tuple(fields_changed(_started(before), _started(after))),
    )
    if before.finish is not None and after.finish is not None:
        metrics = fields_changed(before.finish.metrics or {}, after.finish.metrics or {})
        found = replace(found, metrics=tuple(metrics))
    old, new = before.environment, after.environment
    if old is None or new is None:
        return found
    code = tuple(fields_changed(_code(old), _code(new)))
    return replace(found, code=code, packages=tuple(fields_changed(_packages(before), _packages(after))))


def _started(run: RunRecord) -> dict[str, Any]:
    """What it was called, and how it was started; not where and when, which no two runs share."""
    start = run.start
    said = {
        "name": start.name,
        "tags": list(start.tags) or None,
        "command": list(start.command) or None,
        "entry": start.entry,
        "world_size": start.world_size,
        "image": start.image,
    }
    return {key: value for key, value in said.items() if value is not None}


def _code(environment: RunEnvironment) -> dict[str, Any]:
    """What tells one state of the code from another; a branch is a name for it, and no more."""
    known = {
        "commit": environment.commit,
        "uncommitted": environment.diff,
        "entry": environment.entry_digest,
    }
    return {key: value for key, value in known.items() if value is not None}


def _packages(run: RunRecord) -> dict[str, Any]:
    packages = (run.environment.packages if run.environment else None) or {}
    return {"python": run.start.python, **packages} if run.start.python else dict(packages)
