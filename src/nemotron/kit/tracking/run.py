"""The run: what one process, or one part of it, has loaded, made and measured so far."""

import logging
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

from nemotron.kit.documents import codec
from nemotron.kit.documents.run import RunConfig, RunFinish, RunStart
from nemotron.kit.documents.secrets import command_without_secrets
from nemotron.kit.errors import InvalidMetadataError, MisuseError
from nemotron.kit.names import ArtifactRef, Version
from nemotron.kit.redaction import clean_text
from nemotron.kit.registry import processes
from nemotron.kit.registry.stamps import now, uuid7
from nemotron.kit.store.protocol import Store
from nemotron.kit.tracking import exit_code
from nemotron.kit.tracking.plain_config import plain_config
from nemotron.kit.tracking.recording import EXITED, Recording

log = logging.getLogger(__name__)


class Run:
    """A scope of work whose inputs are remembered, so that they become inputs of what it saves.

    What is known of it is recorded in each store that it saves to; see `nemotron.kit.tracking.recording`.

    Attributes:
        id: the kit's own id, a UUIDv7.
        name: as given to `kit.run`, or None for the run that every process has.
        parent: the run that this one is a part of, or None.
        config: as it was given to `kit.run`, or else as `configure` took it.
        seeds: by name.
        tags: as they were told.
        image: the container's, if it was told.
        started_at: ISO 8601 with zone.
        pid: the process that it began in; a child that was forked of it belongs to the same run.
        wandb_url: the page of the W&B run that goes with it, once there is one.
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        parent: "Run | None" = None,
        above: "Run | None" = None,
        config: Any = None,
        tags: Iterable[str] = (),
        seeds: int | Mapping[str, Any] | None = None,
        image: str | None = None,
    ) -> None:
        self.id = uuid7()
        self.name = name
        self.parent = parent
        self.config = config
        self.tags = (tags,) if isinstance(tags, str) else tuple(tags)
        self.seeds = {"seed": seeds} if isinstance(seeds, int) else dict(seeds or {})
        self.image = image
        self.started_at = now()
        self.pid = os.getpid()
        self.wandb_url: str | None = None
        # No locks: setting an item and copying a dict are whole, and a lock may be held when a process forks.
        self._used: dict[str, None] = {}
        self._resolved: dict[str, str] = {}
        self._made: dict[str, bool] = {}
        self._above = parent or above
        self._configured: Any = None
        self._summary: dict[str, Any] = {}
        self._recording = Recording(self.id, lambda: _start_of(self), lambda error: _finish_of(self, error))

    # -- what it used and made -----------------------------------------------------------------------------

    def use(self, uri: str, asked: str | None = None) -> None:
        """Remember an input; the second time changes nothing.

        Args:
            uri: of a fixed version, `art://name:v3`.
            asked: the reference that it was asked for by.
        """
        self._used[uri] = None
        if asked is not None and asked != uri:
            self.pin(asked, uri)

    def pin(self, asked: str, uri: str) -> None:
        """Remember what a reference meant; one that names a fixed version needs no remembering.

        Args:
            asked: the reference, such as `data:latest`.
            uri: of the version that it meant.
        """
        if not isinstance(ArtifactRef.parse(asked).selector, Version):
            self._resolved[asked] = uri

    def forget(self) -> None:
        """Forget what was used."""
        self._used = {}

    @property
    def used(self) -> tuple[str, ...]:
        """Everything used so far, in order of first use."""
        return tuple(self._used.copy())

    @property
    def resolved(self) -> dict[str, str]:
        """What references without a fixed version meant when they were asked for."""
        return self._resolved.copy()

    def configure(self, config: Any) -> None:
        """Take the config of the script, unless there is one: of `kit.run`, or an earlier one.

        It is taken as it is now, and also counts for runs within this one that have none when they save.

        >>> run = Run()
        >>> run.configure({"lr": 0.1, "api_key": "abc"}); run.config
        {'lr': 0.1, 'api_key': '(redacted)'}

        Args:
            config: as for `kit.run`.
        """
        plain = plain_config(config)
        if self.config is None:
            self.config = self._configured = plain
            self._recording.configured(RunConfig(config=plain))
        elif self._configured not in (None, plain):
            log.warning(
                "Another config than that which run %s has is not recorded: begin a run for each, "
                "with kit.run(…, config=…)",
                self.name or self.id,
            )

    def _config_above(self) -> Any:
        """The config of the nearest run around this one that was configured."""
        above = self._above
        return None if above is None else above._configured or above._config_above()

    def saved(self, store: Store, uri: str, *, created: bool) -> None:
        """Remember a version that was saved to a store, and record the run there.

        Args:
            store: where it is.
            uri: of the version.
            created: False if it was there already, identical.
        """
        self._made[uri] = created or self._made.get(uri, False)
        if self.config is None and (config := self._config_above()) is not None:
            self.configure(config)
        self._recording.saved(store, uri, created=created)

    @property
    def outputs(self) -> tuple[str, ...]:
        """URIs of the versions that it made."""
        return tuple(uri for uri, created in self._made.copy().items() if created)

    @property
    def unchanged(self) -> tuple[str, ...]:
        """URIs of versions that it saved and that were there already, identical."""
        return tuple(uri for uri, created in self._made.copy().items() if not created)

    # -- metrics -------------------------------------------------------------------------------------------

    def log(self, metrics: Mapping[str, Any]) -> None:
        """Remember metrics; of each the last value counts, and goes into the record when the run ends.

        It costs no more than updating a dict, and nothing is looked at or written: call it in a loop.

        >>> run = Run("sft")
        >>> run.log({"loss": 3.1}); run.log({"loss": 2.4, "step": 10})
        >>> run.summary
        {'loss': 2.4, 'step': 10}

        Args:
            metrics: by name; numbers, or tensors with one value.

        Raises:
            MisuseError: they have no names.
        """
        if not hasattr(metrics, "keys"):
            raise MisuseError(
                "Cannot log metrics: expected values by name, such as {'loss': 2.4}, "
                f"found {type(metrics).__name__}"
            )
        self._summary.update(metrics)

    @property
    def summary(self) -> dict[str, Any]:
        """The last value of each metric."""
        return self._summary.copy()

    # -- its record ----------------------------------------------------------------------------------------

    def forked(self) -> "Run":
        """What the run is in a child that was forked of its process.

        If it is recorded, it is the same run, which ends in its own process. If not, the child has one of its
        own that has used the same: nobody else could record its end.
        """
        if self._recording.is_begun:
            return self
        own = Run(self.name)
        own._used, own._resolved = self._used.copy(), self._resolved.copy()
        own.config, own._configured = self.config, self._configured
        return own

    def begin(self, store: Store) -> None:
        """Record the beginning in a store, without waiting for it."""
        self._recording.begin(store, wait=False)

    def at_end(self, watcher: Callable[["Run", type[BaseException] | None], None]) -> None:
        """Have somebody told of the end, once.

        Args:
            watcher: is called with the run and the type of the exception that ended it, or None.
        """
        self._recording.at_end(lambda error: watcher(self, error))

    def end(self, error: type[BaseException] | None = None) -> None:
        """Record the end wherever the beginning was recorded; the second time changes nothing.

        Args:
            error: the type of the exception that ended it; None if it finished.
        """
        self._recording.end(error)

    def __repr__(self) -> str:
        return f"Run(id={self.id!r}, name={self.name!r})"


def _start_of(run: Run) -> RunStart:
    from nemotron.kit.tracking import surroundings

    return RunStart(
        id=run.id,
        name=run.name,
        parent=run.parent.id if run.parent else None,
        started_at=run.started_at,
        command=tuple(command_without_secrets(surroundings.command())),
        cwd=_cwd(),
        entry=surroundings.entry(),
        python=sys.version.split()[0],
        process=processes.this_process(run.pid),
        experiment=os.environ.get("NEMO_EXPERIMENT_ID") or None,
        scheduler=surroundings.scheduler(os.environ),
        world_size=surroundings.world_size(os.environ),
        image=clean_text(run.image) if run.image else surroundings.image(os.environ),
        config=plain_config(run.config),
        seeds=plain_config(run.seeds),
        tags=tuple(clean_text(str(tag)) for tag in run.tags),
    )


def _cwd() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it was deleted
        return None


def _finish_of(run: Run, error: type[BaseException] | Literal["exited"] | None) -> RunFinish:
    name = None
    if error is not None and error != EXITED:
        is_builtin = error.__module__ == "builtins"
        name = error.__qualname__ if is_builtin else f"{error.__module__}.{error.__qualname__}"
    return RunFinish(
        ended_at=now(),
        status="finished" if error is None else "exited" if error == EXITED else "failed",
        error=name,
        exit_code=exit_code.seen() if error == EXITED or name == "SystemExit" else None,
        inputs=run.used,
        outputs=run.outputs,
        unchanged=run.unchanged,
        resolved=run.resolved,
        metrics=_metrics(run.summary),
        wandb_url=clean_text(run.wandb_url) if run.wandb_url else None,
    )


def _metrics(summary: dict[str, Any]) -> dict[str, Any]:
    found = {}
    for name, value in summary.items():
        try:
            found[str(name)] = codec.plain(value, name)
        except (InvalidMetadataError, RuntimeError) as error:  # RuntimeError: of tensors that are gone
            log.info("The metric %s is left out of the record: %s", name, error)
    return found
