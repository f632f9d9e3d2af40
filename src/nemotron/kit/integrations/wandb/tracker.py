"""The tracker that tells Weights & Biases.

`describe` makes a plain value of an artifact, and a `Sender` gives it to the client; what keeps values for
later uses the two by itself.
"""

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from nemotron.kit import context
from nemotron.kit.errors import KitError, NotInitializedError, RefusedError, UnavailableError
from nemotron.kit.integrations.wandb import run as wandb_run
from nemotron.kit.integrations.wandb.courier import Courier
from nemotron.kit.integrations.wandb.describing import describe
from nemotron.kit.integrations.wandb.description import Description
from nemotron.kit.integrations.wandb.exit import server_of, watch_run
from nemotron.kit.integrations.wandb.folders import folder_of
from nemotron.kit.integrations.wandb.keeping import Keeper
from nemotron.kit.integrations.wandb.limits import again_on_conflict, within
from nemotron.kit.integrations.wandb.probing import answers
from nemotron.kit.integrations.wandb.resolving import look_up
from nemotron.kit.integrations.wandb.sending import Sender, use_reference
from nemotron.kit.names import SCHEME
from nemotron.kit.registry.registry import Registry
from nemotron.kit.tracking.outbox import state_root
from nemotron.kit.tracking.protocol import SaveOptions, empty_record
from nemotron.kit.tracking.run import Run

log = logging.getLogger(__name__)


class WandbTracker:
    """Records artifacts and their inputs on the active W&B run.

    What W&B does not take is an error of the kit's (`UnavailableError`, `RefusedError`, …); behind a store,
    `CompositeTracker` turns it into a warning. Offline and without a store, artifacts go into the client's
    own log; it can't record edges there, so they are kept in a folder of the user's as well, see `Keeper`.

    Args:
        project: where artifacts are looked for while no run is active; `$WANDB_PROJECT` by default.
        entity: whose project it is; `$WANDB_ENTITY` by default, then the account's own.

    Raises:
        ImportError: the wandb package is missing.
    """

    def __init__(self, project: str | None = None, entity: str | None = None) -> None:
        wandb_run.client()
        self.project = project
        self.entity = entity
        self.sender = Sender()
        self.courier = Courier(self.sender, project, entity)
        self.keeper = Keeper(self.courier)
        self._told_of_offline: set[str] = set()
        own = Run()
        self._kit_run: Callable[[], Run] = lambda: own

    def bind_run(self, run: Callable[[], Run]) -> None:
        """Let what is loaded become an input of the kit's run that `run()` gives."""
        self._kit_run = run

    def is_active(self) -> bool:
        """Whether there is a run that takes anything: not before `wandb.init`, not in disabled mode."""
        run = wandb_run.active()
        return run is not None and wandb_run.mode(run) != "disabled"

    def missing_run(self) -> str | None:
        """What to do where no run was started, and W&B is not disabled."""
        if self.courier.address.is_switched_off() or wandb_run.active() is not None:
            return None
        begin = f"wandb.init(project={self.project!r})" if self.project else "wandb.init()"
        return (
            f"No active W&B run, and no store. Call {begin} before you save (offline it needs no server), "
            "or give a store too, which needs no run: kit.init(root=…, wandb_project=…)"
        )

    def get_run_id(self) -> str | None:
        """The id of the active W&B run, or None."""
        run = wandb_run.active()
        return None if run is None else run.id

    def use_artifact(self, ref: str, artifact_type: str = "artifact") -> Path:
        """Make an artifact an input of the run and return a folder that holds it.

        Args:
            ref: `art://entity/project/name:v3`, `art://name:v3`, `name:alias`, …
            artifact_type: what the caller expects; W&B knows better and is not asked to insist.

        Returns:
            The folder that the artifact refers to where this machine has it, else a download.

        Raises:
            RuntimeError: no run is active.
            NotFoundError: W&B has no such artifact, or its data is not on this machine.
            UnavailableError: the run is offline, or W&B can't be reached.
        """
        run = self._run()
        if (mode := wandb_run.mode(run)) != "online":
            raise UnavailableError(f"{ref} can't be loaded from W&B: the run is {mode}")
        used = self._asked(ref, lambda: use_reference(run, ref))
        name = wandb_run.qualified(run, used)
        folder = folder_of(used)
        self.sender.remember(run, ref, name)
        self._kit_run().use(f"{SCHEME}{name}")
        return folder

    def find_artifact(self, ref: str, artifact_type: str = "artifact") -> Path:
        """Where an artifact lies, without a run: it becomes an input of what the kit's run saves.

        Args:
            ref: as for `use_artifact`; a bare name is looked for in the project that this tracker was given.
            artifact_type: W&B knows better and is not asked to insist.

        Raises:
            NotFoundError: W&B has no such artifact, or its data is not on this machine.
            UnavailableError: W&B can't be reached, or is offline or disabled by `$WANDB_MODE`.
            RefusedError: not logged in, or not allowed.
        """
        if (mode := wandb_run.configured_mode()) != "online":
            raise UnavailableError(f"{ref} can't be loaded from W&B: WANDB_MODE is {mode}")
        found = self._asked(ref, lambda: look_up(ref, entity=self.entity, project=self.project))
        folder = folder_of(found)
        self._kit_run().use(f"{SCHEME}{found.qualified_name.partition(':')[0]}:{found.version}")
        return folder

    def _asked(self, ref: str, ask: Callable[[], Any]) -> Any:
        """The answer to a question; behind a store a server that is down is not asked, or not for long."""
        if context.current_registry() is None:
            return ask()
        breaker = self.courier.breaker
        if not breaker.may_try():
            raise UnavailableError(f"{ref} is not looked for on W&B, which does not answer: {breaker.why}")
        try:
            answer = within(context.settings().wandb_timeout_s, ask)
        except (UnavailableError, RefusedError) as error:
            breaker.failed(str(error))
            raise
        except KitError:
            breaker.succeeded()
            raise
        breaker.succeeded()
        return answer

    def log_artifact(self, artifact: Any, name: str, used_refs: list[str]) -> dict[str, Any]:
        """Record an artifact and its inputs; see `log_artifact_with`."""
        return self.log_artifact_with(artifact, name, used_refs, SaveOptions())

    def log_artifact_with(
        self, artifact: Any, name: str, used_refs: list[str], options: SaveOptions
    ) -> dict[str, Any]:
        """Record the inputs, then the artifact.

        Args:
            artifact: what to record.
            name: its name; slashes become dashes.
            used_refs: references of the artifacts that it was made from.
            options: `aliases` and `external_inputs` are used; with `snapshot` the data is uploaded.

        Returns:
            A `TrackingRecord`; `artifact_id` is None offline, where W&B has not given a version yet, and
            while W&B is disabled, which records nothing.

        Raises:
            RuntimeError: no run is active.
            KitError: W&B did not take it.
        """
        if self.courier.address.is_switched_off():
            return empty_record(artifact.type)
        if missing := self.missing_run():
            raise NotInitializedError(f"{missing}. Until then {name} is not recorded")
        return self.log_description(describe(artifact, name, used_refs, options))

    def follows(self) -> bool:
        """Whether behind a store what is saved now goes to W&B, at once or later."""
        return self.courier.follows()

    def follow(
        self, artifact: Any, name: str, stored: dict[str, Any], options: SaveOptions, registry: Registry
    ) -> dict[str, Any]:
        """Record what was committed to a store: now, or later from its outbox; see `Courier`."""
        run = wandb_run.active()
        if run is not None:
            self._tell_the_kit(run)
        return self.courier.follow(artifact, name, stored, options, registry)

    def log_description(self, description: Description) -> dict[str, Any]:
        """Record what was described, on the active run; see `log_artifact_with`."""
        run = self._run()
        mode = wandb_run.mode(run)
        if mode == "disabled":
            return empty_record(description.draft.type)
        if mode == "online":

            def send() -> dict[str, Any]:
                return again_on_conflict(lambda: self.sender.send(run, description))

            if wandb_run.is_real():
                watch_run(run)
                return self.keeper.send(run, description, send, self._limits_of(run, description))
            return send()
        is_kept = wandb_run.is_real() and self.keeper.keep(run, description)
        if description.used or description.sources:
            self._tell_of_offline(run, is_kept)
        return self.sender.write_down(run, description)

    def _limits_of(
        self, run: Any, description: Description
    ) -> Callable[[Callable[[], dict[str, Any]]], dict[str, Any]]:
        """The limit of a save; an upload may take longer, as long as the server answers."""
        return partial(
            within,
            context.settings().wandb_timeout_s,
            doing=f"take {description.draft.name}",
            may_go_on=lambda: bool(description.draft.uploads) and answers(server_of(run) or ""),
        )

    def _run(self) -> Any:
        run = wandb_run.active()
        if run is None:
            raise NotInitializedError(
                "No active W&B run. Call wandb.init() first, or nemotron.kit.init_wandb_if_configured()"
            )
        self._tell_the_kit(run)
        return run

    def _tell_the_kit(self, run: Any) -> None:
        """Have the kit's run say on which page W&B shows it; offline there is none."""
        if isinstance(url := getattr(run, "url", None), str) and url:
            self._kit_run().wandb_url = url

    def _tell_of_offline(self, run: Any, is_kept: bool) -> None:
        if run.id not in self._told_of_offline:
            self._told_of_offline.add(run.id)
            log.warning(
                "W&B is offline and can't record what an artifact was made from: the inputs are kept in the "
                "artifact's metadata and in the run's config, and are no edges on W&B yet. %s",
                f"To make them: nemotron kit sync (it looks in {state_root()})"
                if is_kept
                else "A store would keep them: kit.init(root=…)",
            )
