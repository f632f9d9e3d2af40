"""Writing down what is known of a run: `.kit/runs/<run id>/` in each store that it saves to.

`start.json` is there with the first version that is saved, or when `kit.run` begins; `environment.json`
comes from a thread, because git and the packages take a moment, and so does `config.json`, of a config that
was told later; `finish.json` comes at the end, and a run that has none is running or was killed. A hint per
version, `made/<name>.v<N>`, tells what a killed run had made.

Nothing here stops a job: what can't be written is reported and left. Rank 0 writes, and another once it
made a version, which names its run. What a forked child saves belongs to its parent's run, whose end is the
parent's to record.
"""

import atexit
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from nemotron.kit.documents.run import RunConfig, RunFinish, RunStart
from nemotron.kit.errors import KitError
from nemotron.kit.names import SCHEME
from nemotron.kit.registry import layout
from nemotron.kit.store.protocol import Store
from nemotron.kit.tracking import exit_code
from nemotron.kit.tracking.standby import Standby

log = logging.getLogger(__name__)

# How long the end of a run waits for a store that does not answer, and for git.
PATIENCE_S = 10.0
PATIENCE_WITH_GIT_S = 3.0
# How a run ends whose process leaves by itself: its exit code can't always be seen from inside.
EXITED: Final = "exited"


@dataclass(frozen=True, slots=True)
class _Place:
    """One store in which a run is recorded.

    Attributes:
        store: the store.
        started: set once `start.json` was written, or can't be; None if nobody has seen to it, or who did was
            interrupted.
        is_written: set once the rest was written, or can't be; None as well.
    """

    store: Store
    started: threading.Event | None = None
    is_written: threading.Event | None = None


class Recording:
    """The record of one run, in any number of stores.

    Args:
        run_id: of the run.
        start: gives what is known at its beginning, when that is recorded first.
        finish: gives what is known at its end, from the type of the exception that ended it, `EXITED`, or
            None if it finished.
    """

    def __init__(
        self,
        run_id: str,
        start: Callable[[], RunStart],
        finish: Callable[[type[BaseException] | Literal["exited"] | None], RunFinish],
    ) -> None:
        self._id = run_id
        self._pid = os.getpid()
        self._start, self._finish = start, finish
        self._places: dict[str, _Place] = {}
        self._config: RunConfig | None = None
        self._is_over = False
        self._watchers: list[Callable[[type[BaseException] | None], None]] = []

    @property
    def is_begun(self) -> bool:
        """Whether it is recorded anywhere."""
        return bool(self._places)

    def begin(self, store: Store, *, wait: bool) -> None:
        """Record the beginning in a store, once; not on another rank than 0, unless that has made something.

        Args:
            store: where.
            wait: have `start.json` written when this returns; else a thread does that too.
        """
        if _is_writer():
            self._begin(store, wait=wait)

    def _begin(self, store: Store, *, wait: bool) -> None:
        if self._is_over:
            return
        if self._places.setdefault(store.url, _Place(store)).started is not None:
            return
        _look_after(self)
        self._see_to(store, wait=wait)

    def _see_to(self, store: Store, *, wait: bool) -> None:
        """Write the beginning, or have a thread write it.

        A signal handler may come in between anywhere, and save, or raise. So there is no lock, nobody else
        sets what is waited for here, and it is seen to only when all is done: who finds that it is not does
        it once more, and what is in the store already stays.
        """
        start, started = self._start(), threading.Event()
        is_there = not wait or _write_start(store, start)
        if wait:
            started.set()
        if self._places[store.url].started is not None:
            return
        written = _standby.begin(lambda: _write_rest(store, start, started)) if is_there else started
        self._places[store.url] = _Place(store, started, written)

    def saved(self, store: Store, uri: str, *, created: bool) -> None:
        """Record that a version was saved to a store; who made it has a record, whatever the rank."""
        if not created and not _is_writer():
            return
        self._begin(store, wait=True)
        if created:
            key = layout.run_made(self._id, uri.removeprefix(SCHEME).replace(":", "."))
            _create(store, key, b"")

    def configured(self, config: RunConfig) -> None:
        """Record a config wherever the beginning is recorded without one; a thread does it, or the end."""
        if self._is_over or not self._places:
            return
        self._config = config
        places = list(self._places.values())
        _standby.begin(lambda: _add(places, self._id, {layout.run_config(self._id): config}))

    def at_end(self, watcher: Callable[[type[BaseException] | None], None]) -> None:
        """Call it when the run ends, or the process, with the type of the exception that ended it."""
        self._watchers.append(watcher)
        _look_after(self)

    def end(self, error: type[BaseException] | Literal["exited"] | None) -> None:
        """Record the end wherever the beginning is recorded, and wait for it, but not for long."""
        if self._is_over or os.getpid() != self._pid:
            return
        self._is_over = True
        _open.discard(self)
        for watcher in self._watchers:
            watcher((SystemExit if exit_code.seen() else None) if error == EXITED else error)
        if not self._places:
            return
        finish = self._finish(error)
        for store in [place.store for place in self._places.values() if place.started is None]:
            self._see_to(store, wait=False)
        places = list(self._places.values())
        last: dict[str, RunConfig | RunFinish] = {layout.run_finish(self._id): finish}
        if self._config is not None:  # else its thread may have no more time for it
            last[layout.run_config(self._id)] = self._config
        is_recorded = _standby.begin(lambda: _add(places, self._id, last))
        if not is_recorded.wait(PATIENCE_S):
            log.warning("The end of run %s is not recorded: the store does not answer", self._id)
        for place in places:
            if place.is_written is not None:
                place.is_written.wait(PATIENCE_WITH_GIT_S)


def _is_writer() -> bool:
    return os.environ.get("RANK", "").strip() in ("", "0")


def _create(store: Store, key: str, data: bytes) -> bool:
    """Write a part of the record; False, after a word about it, if that can't be."""
    try:
        store.create(key, data, durable=False)
    except (KitError, OSError) as error:
        log.warning("%s/%s is not recorded: %s", store.url, key, error)
        return False
    return True


# -- what is written ---------------------------------------------------------------------------------------


def _write_start(store: Store, start: RunStart) -> bool:
    return _create(store, layout.run_start(start.id), start.to_bytes())


def _write_rest(store: Store, start: RunStart, started: threading.Event) -> None:
    """Write what takes a moment, and before it the beginning, unless that is there.

    Args:
        store: where.
        start: the beginning.
        started: is set if that is written; else it is when this has done so, or can't.
    """
    from nemotron.kit.tracking.surroundings import environment

    try:
        if not started.is_set() and not (_is_founded(store) and _write_start(store, start)):
            return
    finally:
        started.set()
    found = environment(start.entry, start.cwd or ".")
    _create(store, layout.run_environment(start.id), found.to_bytes())


def _is_founded(store: Store) -> bool:
    """Whether there is a store that can be written to; a new one is founded."""
    from nemotron.kit.registry.founding import prepare

    try:
        prepare(store)
    except (KitError, OSError) as error:
        log.warning("Nothing of this run is recorded in %s: %s", store.url, error)
        return False
    return True


def _add(places: list[_Place], run_id: str, documents: Mapping[str, RunConfig | RunFinish]) -> None:
    """Write more documents, by key, wherever the beginning is recorded; what is there already stays."""
    for place in places:
        if place.started is not None:
            place.started.wait(PATIENCE_S)
        try:
            # A store that was deleted since is not made again.
            is_there = place.store.exists(layout.run_start(run_id))
        except (KitError, OSError) as error:
            log.warning("No more of run %s is recorded in %s: %s", run_id, place.store.url, error)
            continue
        for key, document in documents.items() if is_there else ():
            _create(place.store, key, document.to_bytes())


# -- the end of the process --------------------------------------------------------------------------------

_open: "set[Recording]" = set()
_pid = 0
_standby = Standby("nemotron-kit-run")


def _look_after(recording: Recording) -> None:
    """See that its end is recorded when the process ends, if nobody did so before."""
    global _pid
    _open.add(recording)
    _standby.get_ready()
    exit_code.watch()
    if _pid == os.getpid():
        return
    if _pid == 0:
        atexit.register(_end_all)
    # multiprocessing's children leave without atexit.
    process = sys.modules.get("multiprocessing.process")
    if process is not None and process.parent_process() is not None:
        from multiprocessing import util

        util.Finalize(None, _end_all, exitpriority=0)
    _pid = os.getpid()  # at last: a signal handler may raise before, and twice does no harm


def _end_all() -> None:
    """The process ends: so do its runs, failed if an exception escaped.

    `sys.exit(1)` is none, and can't always be seen: what no exception ended need not have finished.
    """
    error: type[BaseException] | Literal["exited"] = sys.exc_info()[0] or _escaped() or EXITED
    began = time.monotonic()
    for recording in list(_open):
        if time.monotonic() - began < PATIENCE_S:
            recording.end(error)


def _escaped() -> type[BaseException] | None:
    """The exception that ended the script.

    Python keeps it before it calls `sys.excepthook`, which so stays whose it is. In an interactive shell it
    is merely the last one that was shown.
    """
    found = None if hasattr(sys, "ps1") else getattr(sys, "last_type", None)
    return found if isinstance(found, type) else None
