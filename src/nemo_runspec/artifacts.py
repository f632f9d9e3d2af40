"""Artifact tracking as a config says it: `artifacts.manifest.root` for a store, `artifacts.wandb` for W&B.

>>> import tempfile
>>> root = tempfile.mkdtemp()
>>> section = {"manifest": {"root": f"{root}/store"}, "wandb": "false"}
>>> tracking = setup_artifact_tracking({"artifacts": section})
>>> tracking
ArtifactTrackingResult(manifest=True, wandb=False, qualified_names=[])
>>> from nemotron.kit import ModelArtifact
>>> model = ModelArtifact(path=f"{root}/model", step=100)
>>> log_artifact(model, tracking, name="my-model")
>>> model.uri
'art://my-model:v1'
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any

from nemotron.kit import context, start
from nemotron.kit.artifacts.base import Artifact
from nemotron.kit.errors import MisuseError, NotInitializedError
from nemotron.kit.integrations import omegaconf as resolvers
from nemotron.kit.integrations.omegaconf_errors import resolution_error
from nemotron.kit.integrations.wandb import run as wandb_run
from nemotron.kit.registry import layout
from nemotron.kit.registry.registry import Registry
from nemotron.kit.tracking.composite import as_one, parts_of
from nemotron.kit.tracking.file import FileTracker
from nemotron.kit.tracking.protocol import FollowingTracker, LineageTracker
from nemotron.kit.train_script.loading import as_config, place
from nemotron.kit.train_script.nearest import nearest

__all__ = ["ArtifactTrackingResult", "log_artifact", "setup_artifact_tracking"]

log = logging.getLogger(__name__)

SECTION = "artifacts"
MEANT_RATIO_MIN = 0.85  # "artifact", "artefacts", "artifcats"; not "artifact_dir"
_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0", "", "none", "null"})


@dataclass
class ArtifactTrackingResult:
    """Where artifacts are recorded.

    Attributes:
        manifest: in a store.
        wandb: on W&B.
        qualified_names: what the config's references are on W&B, `entity/project/name:vN`.
    """

    manifest: bool = False
    wandb: bool = False
    qualified_names: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Said:
    """What the section says."""

    root: str | None = None
    wandb: bool = False
    entity: str | None = None
    project: str | None = None


def setup_artifact_tracking(config: Any, *, artifacts_key: str = "run") -> ArtifactTrackingResult:
    """Set up the store and W&B as a config says, and resolve its references, once for all ranks of the job.

    A store that is in force (`kit.init`, `NEMO_ARTIFACT_ROOT`) stays where the config names none. No W&B run
    is started. The config is recorded with the run as by `kit.run(config=…)`, unless that was given another.
    References to data are compared with what was published, as a load does.

    Args:
        config: an OmegaConf config or a dict. Read are `artifacts.manifest.root`, `artifacts.wandb` (true,
            false, or a map of `enabled`, `project`, `entity`) and the references under `artifacts_key`.
        artifacts_key: the section whose values may be references, `run: {data: nano3-data:latest}`.

    Raises:
        MisuseError: a section is misspelt or of the wrong type.
        NotFoundError: there is no such artifact.
        DriftError, RefusedError, UnavailableError: files of a reference differ or can't be compared, and
            `kit.init(on_drift="error")` was said.
        ImportError: W&B is asked for and not installed.
    """
    whole = as_config(config)
    said = _read(whole, artifacts_key)
    if said.root is not None:
        _use_store(said.root)
    if said.wandb:
        start.add_wandb(said.project, said.entity)
    resolvers.register_manifest_resolver()
    has_store = context.current_registry() is not None
    references = resolvers.references_in(whole, artifacts_key)
    names: list[str] = []
    if has_store:
        names = resolvers.register_resolvers(references, mode="local")
    elif said.wandb:
        is_running = wandb_run.active() is not None
        asked = {name: _in_project(ref, said) for name, ref in references.items()}
        names = resolvers.register_resolvers(asked, mode="active_run" if is_running else "pre_init")
    else:
        resolvers.register_resolvers()
    context.current_run().configure(whole)
    return ArtifactTrackingResult(manifest=has_store, wandb=said.wandb, qualified_names=names)


def _use_store(root: str) -> None:
    """Keep the store that is in force if it is this one: what was loaded from it stays an input.

    Another store takes its place, and not what the script said of how to go about it.
    """
    current = context.current_registry()
    if current is None or current.root != Registry.open(root).root:
        start.move_store(root)


def _in_project(ref: str, said: _Said) -> str:
    plain = ref.removeprefix("art://")
    if "/" in plain or not said.project:
        return ref
    return "/".join(part for part in (said.entity, said.project, plain) if part)


# -- saving ------------------------------------------------------------------------------------------------


def log_artifact(artifact: Artifact, tracking: ArtifactTrackingResult, *, name: str | None = None) -> None:
    """Save an artifact in every place that `tracking` names: in the store first, and on W&B second.

    What W&B does not take is a warning where there is a store. On a rank other than 0 nothing is saved.

    Args:
        artifact: what to save; its `_manifest_path` is set to its record in the store.
        tracking: what `setup_artifact_tracking` returned.
        name: its name, if it has none.

    Raises:
        KitError: the store, or W&B alone, did not take it.
        NotInitializedError: `tracking` names a store, and there is none any more.
    """
    current = context.current_tracker()
    wanted = _wanted(current, tracking)
    context.set_tracker(wanted)
    try:
        artifact.save(name=name)
    finally:
        context.set_tracker(current)
    registry = context.current_registry()
    if tracking.manifest and registry is not None and artifact._name and artifact._version is not None:
        key = layout.manifest(artifact._name, artifact._version)
        artifact._manifest_path = registry.store.local_path(key) or f"{registry.root}/{key}"


def _wanted(current: LineageTracker | None, tracking: ArtifactTrackingResult) -> LineageTracker | None:
    """Of the trackers in force those that are asked for."""
    parts = parts_of(current)
    stores = [part for part in parts if isinstance(part, FileTracker)]
    others = [part for part in parts if not isinstance(part, FileTracker)]
    if tracking.manifest and not stores:
        raise NotInitializedError(
            "There is no artifact store any more; call setup_artifact_tracking(config) again"
        )
    if tracking.wandb and not any(_takes(other, behind_a_store=bool(stores)) for other in others):
        log.warning("No W&B run is active, so the artifact is not recorded on W&B: call wandb.init() before")
    kept = [*(stores if tracking.manifest else ()), *(others if tracking.wandb else ())]
    if kept == list(parts):
        return current
    return as_one(kept)


def _takes(tracker: LineageTracker, *, behind_a_store: bool) -> bool:
    if behind_a_store and isinstance(tracker, FollowingTracker):
        return tracker.follows()
    return tracker.is_active()


# -- the section -------------------------------------------------------------------------------------------


def _read(config: Any, key: str) -> _Said:
    where = place(config)
    if SECTION not in config:
        _refuse_misspelt(config, where)
        return _Said()
    section = _map(_plain(config, SECTION, where), SECTION, ("manifest", "wandb"), where)
    manifest = section.get("manifest")
    root = None
    if manifest not in (None, False):
        manifest = _map(manifest, f"{SECTION}.manifest", ("root",), where)
        root = _text(manifest.get("root"), f"{SECTION}.manifest.root", where)
    wandb = section.get("wandb")
    settings: dict[str, Any] = {}
    if isinstance(wandb, dict):
        settings = _map(wandb, f"{SECTION}.wandb", ("enabled", "project", "entity"), where)
        wandb = settings.get("enabled", True)
    run = _plain(config, f"{key}.wandb", where)
    run = run if isinstance(run, dict) else {}
    entity, project = (
        _text(settings.get(name, run.get(name)), f"{SECTION}.wandb.{name}", where)
        for name in ("entity", "project")
    )
    return _Said(root, _flag(wandb, f"{SECTION}.wandb", where), entity, project)


def _refuse_misspelt(config: Any, where: str) -> None:
    for name in config:
        if SequenceMatcher(None, str(name).lower(), SECTION).ratio() >= MEANT_RATIO_MIN:
            raise MisuseError(f"{where} has a section {name!r}; did you mean {SECTION!r}?")


def _plain(config: Any, path: str, where: str) -> Any:
    """A part of the config as plain values, interpolations resolved."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        found = OmegaConf.select(config, path)
        if not OmegaConf.is_config(found):
            return found
        return OmegaConf.to_container(found, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise resolution_error(error, path, where) from None


def _map(value: Any, path: str, known: tuple[str, ...], where: str) -> dict[str, Any]:
    """A map with known keys.

    Raises:
        MisuseError: it is none, or has another key; the message names the nearest.
    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        shown = ", ".join(f"{name}: …" for name in known)
        raise MisuseError(f"{path} of {where} is {value!r}, expected a map ({shown})")
    for name in value:
        if name not in known:
            meant = nearest(str(name), known)
            hint = f"did you mean {meant}?" if meant else f"known are {', '.join(known)}"
            raise MisuseError(f"{path}.{name} of {where} is not known; {hint}")
    return dict(value)


def _text(value: Any, path: str, where: str) -> str | None:
    """A text; None for none or an empty one."""
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise MisuseError(f"{path} of {where} is {value!r}, expected a text")
    return value


def _flag(value: Any, path: str, where: str) -> bool:
    """Whether it is true; what an environment variable says counts as what it says."""
    if value is None or isinstance(value, bool):
        return bool(value)
    text = str(value).strip().lower() if isinstance(value, str | int) else None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise MisuseError(f"{path} of {where} is {value!r}, expected true or false")
