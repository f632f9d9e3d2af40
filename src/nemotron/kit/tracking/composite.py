"""Several trackers as one: the store first, then everybody else, who can't stop it."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from nemotron.kit.errors import MisuseError, NotFoundError
from nemotron.kit.redaction import clean_text, message
from nemotron.kit.registry.registry import Registry
from nemotron.kit.tracking.protocol import (
    FollowingTracker,
    LineageTracker,
    RunBoundTracker,
    SaveOptions,
    StoreTracker,
    empty_record,
)
from nemotron.kit.tracking.run import Run

log = logging.getLogger(__name__)


class CompositeTracker:
    """Commits to the first tracker, then hands the record to the rest.

    The first tracker's answer is the answer, and its errors are errors. What the rest can't take is reported
    in a warning and never raised: a training job must not stop because a server is down.

    Args:
        trackers: the store's tracker, then others.

    Raises:
        MisuseError: there are none.
    """

    def __init__(self, trackers: Sequence[LineageTracker]) -> None:
        if not trackers:
            raise MisuseError("CompositeTracker needs at least one tracker; the first is the store's")
        self.trackers = tuple(trackers)
        # The store's `name:vN` of what was saved here → what each other tracker calls it.
        self._twins: dict[tuple[int, str], str] = {}

    @property
    def first(self) -> LineageTracker:
        """The one that decides."""
        return self.trackers[0]

    @property
    def registry(self) -> Registry | None:
        """The store of the first tracker, if it has one."""
        registry = getattr(self.first, "registry", None)
        return registry if isinstance(registry, Registry) else None

    def bind_run(self, run: Callable[[], Run]) -> None:
        """Pass the run on to whoever wants it."""
        for tracker in self.trackers:
            if callable(bind := getattr(tracker, "bind_run", None)):
                bind(run)

    def is_active(self) -> bool:
        """Whether any of them records."""
        return any(tracker.is_active() for tracker in self.trackers)

    def get_run_id(self) -> str | None:
        """The first tracker's."""
        return self.first.get_run_id()

    def use_artifact(self, ref: str, artifact_type: str) -> Path:
        """Ask each tracker in turn until one has it.

        Raises:
            NotFoundError: none has it; the first tracker's error.
        """
        try:
            return self.first.use_artifact(ref, artifact_type)
        except NotFoundError as error:
            for other in self.trackers[1:]:
                if path := _try_use(other, ref, artifact_type):
                    return path
            raise error

    def log_artifact(self, artifact: Any, name: str, used_refs: list[str]) -> dict[str, Any]:
        """Record in all of them; see `LineageTracker`."""
        return self.log_artifact_with(artifact, name, used_refs, SaveOptions())

    def log_artifact_with(
        self, artifact: Any, name: str, used_refs: list[str], options: SaveOptions
    ) -> dict[str, Any]:
        """Record in all of them, as the caller's options say.

        Raises:
            KitError: the first one did not take it; the rest were not asked.
        """
        if not self.first.is_active():  # W&B, beside others that need no run
            say_not_recorded(self.first, name, self.trackers[1:])
            record = empty_record(artifact.type)
        elif isinstance(self.first, StoreTracker):
            record = self.first.log_artifact_with(artifact, name, used_refs, options)
        else:
            record = self.first.log_artifact(artifact, name, used_refs)
        for place, other in enumerate(self.trackers[1:], start=1):
            # Not what the store alone can do: the bytes are its business.
            said = SaveOptions(aliases=options.aliases, external_inputs=options.external_inputs)
            if isinstance(other, FollowingTracker) and self.registry is not None:
                self._lead(other, artifact, name, record, said)
            elif other.is_active():
                self._tell(place, other, artifact, name, record, said)
        return record

    def _lead(
        self,
        other: FollowingTracker,
        artifact: Any,
        name: str,
        record: dict[str, Any],
        options: SaveOptions,
    ) -> None:
        """Let a tracker that has an outbox in the store take it from there."""
        assert self.registry is not None
        try:
            theirs = other.follow(artifact, name, record, options, self.registry)
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not stop the job
            _warn_of(other, record.get("artifact_id") or name, error)
            return
        if not record.get("url"):
            record["url"] = theirs.get("url")

    def _tell(
        self,
        place: int,
        other: LineageTracker,
        artifact: Any,
        name: str,
        record: dict[str, Any],
        options: SaveOptions,
    ) -> None:
        used: list[str] = record.get("used_artifacts") or []
        # Version numbers differ between trackers: one that is not known would name something else there.
        known = [twin for ref in used if (twin := self._twins.get((place, ref)))]
        if len(known) < len(used):
            log.info(
                "%s: %d of %d inputs are not known to %s",
                name,
                len(used) - len(known),
                len(used),
                _name(other),
            )
        try:
            if isinstance(other, StoreTracker):
                theirs = other.log_artifact_with(artifact, name, known, options)
            else:
                theirs = other.log_artifact(artifact, name, known)
        except Exception as error:  # noqa: BLE001 - whatever it is, it must not stop the job
            _warn_of(other, record.get("artifact_id") or name, error)
            return
        mine, twin = record.get("artifact_id"), theirs.get("artifact_id")
        if mine and twin:
            self._twins[place, mine] = twin
        if not record.get("url"):
            record["url"] = theirs.get("url")


def say_not_recorded(
    tracker: LineageTracker, name: str | None, others: Sequence[LineageTracker] = ()
) -> None:
    """Warn where nothing is recorded for want of a run: who forgot to start one should not learn it later.

    Args:
        tracker: the one that lacks a run.
        name: of what is saved.
        others: who is told of it all the same, if they are active.
    """
    if not isinstance(tracker, RunBoundTracker) or not (missing := tracker.missing_run()):
        return
    told = ", ".join(_name(other) for other in others if other.is_active())
    how = f" by {_name(tracker)}, only told to {told}; metadata.json" if told else ", only metadata.json"
    log.warning("%s is not recorded%s is written beside its data: %s", name or "This artifact", how, missing)


def _try_use(tracker: LineageTracker, ref: str, artifact_type: str) -> Path | None:
    """Where a tracker has it, or None; one that is not active may know how to find it all the same."""
    ask = tracker.use_artifact if tracker.is_active() else getattr(tracker, "find_artifact", None)
    if ask is None:
        return None
    try:
        path: Path = ask(ref, artifact_type)
        return path
    except Exception as error:  # noqa: BLE001 - the store's own answer stands
        log.warning(
            "%s does not have %s either: %s: %s",
            _name(tracker),
            clean_text(ref),
            type(error).__name__,
            message(str(error)),
        )
        return None


def _warn_of(tracker: LineageTracker, what: str, error: Exception) -> None:
    log.warning(
        "%s is saved in the store; %s did not take it: %s: %s",
        what,
        _name(tracker),
        type(error).__name__,
        message(str(error)),
    )


def _name(tracker: LineageTracker) -> str:
    return type(tracker).__name__


def parts_of(tracker: LineageTracker | None) -> tuple[LineageTracker, ...]:
    """The trackers that one is made of, or itself."""
    if isinstance(tracker, CompositeTracker):
        return tracker.trackers
    return () if tracker is None else (tracker,)


def as_one(trackers: Sequence[LineageTracker]) -> LineageTracker | None:
    """One tracker for all of them; None for none."""
    return CompositeTracker(trackers) if len(trackers) > 1 else trackers[0] if trackers else None
