"""Where store, registry and trackers are put together."""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from nemotron.kit import context
from nemotron.kit.errors import MisuseError

if TYPE_CHECKING:
    from nemotron.kit.console.output import Progress
    from nemotron.kit.documents.manifest import Evidence
    from nemotron.kit.lineage.composition import Composition
    from nemotron.kit.lineage.graph import Graph
    from nemotron.kit.lineage.impact import Found, Hit, Holding
    from nemotron.kit.registry.checkout_options import CheckoutOptions, Way
    from nemotron.kit.registry.registry import Registry
    from nemotron.kit.tracking.protocol import LineageTracker
    from nemotron.kit.tracking.run import Run


def init(
    backend: str = "fsspec",
    root: str | Path | None = None,
    wandb_project: str | None = None,
    wandb_entity: str | None = None,
    *,
    evidence: "Evidence" = "stat",
    on_drift: context.Reaction = "warn",
    on_mismatch: context.Reaction = "error",
    storage_options: Mapping[str, Any] | None = None,
    wandb_timeout_s: float = 30.0,
    checkout: "Way | None" = None,
    checkout_limit: int | str | None = None,
    openlineage: str | os.PathLike[str] | bool | None = None,
) -> None:
    """Say where artifacts are kept and who is told of them; the second call replaces the first.

    Nothing is written, and no W&B run is started.

    Args:
        backend: "fsspec" or "manifest" (the same) for a store; "wandb" for W&B.
        root: the store: a path or URL; `$NEMO_ARTIFACT_ROOT` by default. With `wandb_project` as well,
            artifacts go to the store first and to W&B second.
        wandb_project: the W&B project.
        wandb_entity: the W&B user or team.
        evidence: how closely the bytes of references are looked at: "stat" (size and time), "sampled" (also
            three blocks of each file) or "full" (a digest of each).
        on_drift: what to do when a load or config uses a reference whose files changed or can't be compared.
        on_mismatch: what to do when a claimed count is not what the files say.
        storage_options: options of the store's backend.
        wandb_timeout_s: how long a save may wait for W&B. After that it is kept in the store's outbox and the
            job goes on; without a store it is an `UnavailableError`, and kept in an outbox of the user's. An
            upload to W&B alone may take as long as the server answers.
        checkout: how a snapshot is laid out as a folder: "reflink" (shared blocks where the file system has
            them, else copies), "copy", or "hardlink" (the store's own read-only files: no copy and no space,
            but who writes to one after all, as root can, damages the store); `$NEMO_CHECKOUT` by default.
        checkout_limit: what checkouts in the user's cache may take, in bytes or such as "500GiB";
            `$NEMO_CHECKOUT_LIMIT` by default.
        openlineage: the URL of a server, or a file, that is told of runs and versions in OpenLineage's terms;
            False for none; True, or nothing, for the one that `$OPENLINEAGE_URL` names, if any.

    Raises:
        ValueError: an argument is missing or unknown.
        ImportError: W&B is asked for and not installed.

    >>> import tempfile
    >>> init(root=tempfile.mkdtemp()); is_initialized()
    True
    >>> shutdown()
    """
    if backend not in ("fsspec", "manifest", "wandb"):
        raise MisuseError(f"Unknown backend: {backend}. Must be 'fsspec', 'manifest', or 'wandb'.")
    where = os.fspath(root) if root is not None else os.environ.get(context.ROOT_VARIABLE) or None
    if backend == "wandb" and not wandb_project:
        raise MisuseError("wandb_project is required for wandb backend")
    if backend != "wandb" and not where:
        raise MisuseError(
            "root is required for fsspec/manifest backend: pass root=… to kit.init, or set NEMO_ARTIFACT_ROOT"
        )
    from nemotron.kit.registry.checkout_options import CheckoutOptions

    settings = _settings(evidence, on_drift, on_mismatch, wandb_timeout_s)
    options = CheckoutOptions(checkout, checkout_limit)
    registry = None if where is None else _open(where, storage_options, options)
    tracker = _tracker(registry, settings, wandb_project, wandb_entity, _openlineage_tracker(openlineage))
    context.set_settings(settings)
    context.set_registry(registry)
    context.set_tracker(tracker)
    context.set_initialized(True)
    _register_file_system()


def _settings(evidence: str, on_drift: str, on_mismatch: str, wandb_timeout_s: float) -> context.Settings:
    if evidence not in ("stat", "sampled", "full"):
        raise MisuseError(f"Unknown evidence: {evidence!r}. Must be 'stat', 'sampled' or 'full'")
    for name, value in (("on_drift", on_drift), ("on_mismatch", on_mismatch)):
        if value not in get_args(context.Reaction):
            raise MisuseError(f"Unknown {name}: {value!r}. Must be 'warn', 'error' or 'ignore'")
    if not wandb_timeout_s >= 0:
        raise MisuseError(
            f"Not a time limit: wandb_timeout_s={wandb_timeout_s!r}; expected seconds, 0 or more"
        )
    return context.Settings(evidence, on_drift, on_mismatch, wandb_timeout_s)  # type: ignore[arg-type]


def _open(root: str, storage_options: Mapping[str, Any] | None, checkouts: "CheckoutOptions") -> "Registry":
    from nemotron.kit.registry.registry import Registry

    return Registry.open(root, storage_options=storage_options, checkouts=checkouts)


def _tracker(
    registry: "Registry | None",
    settings: context.Settings,
    project: str | None,
    entity: str | None,
    openlineage: "LineageTracker | None",
) -> "LineageTracker":
    from nemotron.kit.tracking.composite import CompositeTracker
    from nemotron.kit.tracking.file import FileTracker

    trackers: list[LineageTracker] = []
    if registry is not None:
        trackers.append(FileTracker(registry, evidence=settings.evidence))
    if project:
        trackers.append(_wandb_tracker(project, entity))
    if openlineage is not None:
        trackers.append(openlineage)
    return trackers[0] if len(trackers) == 1 else CompositeTracker(trackers)


def _openlineage_tracker(to: str | os.PathLike[str] | bool | None) -> "LineageTracker | None":
    """The tracker that is asked for; nothing is sent anywhere that nobody named."""
    named = os.environ.get("OPENLINEAGE_URL")
    if to is False or (to in (None, True, "") and not named):
        if to is True:
            raise MisuseError(
                "openlineage=True, but OPENLINEAGE_URL names no server: set it, or pass the URL"
            )
        return None
    from nemotron.kit.integrations import openlineage

    if to in (None, True, ""):
        return openlineage.from_environment(os.environ)
    # The environment's key is for the environment's server, and for whom is told where no server is.
    key = os.environ.get("OPENLINEAGE_API_KEY") if named in (None, "", str(to)) else None
    return openlineage.OpenLineageTracker(to, api_key=key)  # type: ignore[arg-type]


def _wandb_tracker(project: str | None, entity: str | None) -> "LineageTracker":
    from nemotron.kit.integrations.wandb.tracker import WandbTracker

    return WandbTracker(project, entity)


def _register_file_system() -> None:
    """Make `art://` known to fsspec if it is loaded; if it comes later, it finds the entry point."""
    if "fsspec" in sys.modules:
        import fsspec

        fsspec.register_implementation(
            "art", "nemotron.kit.integrations.fsspec.ArtifactFileSystem", clobber=True
        )


def add_wandb(project: str | None = None, entity: str | None = None) -> None:
    """Let W&B be told as well: behind the store if there is one, alone if not.

    Args:
        project: the W&B project where no run says which.
        entity: the W&B user or team.
    """
    from nemotron.kit.integrations.wandb.tracker import WandbTracker
    from nemotron.kit.tracking.composite import as_one, parts_of

    mine = parts_of(context.current_tracker())
    if any(isinstance(tracker, WandbTracker) for tracker in mine):
        return
    keep = [tracker for tracker in mine if tracker.is_active()]
    context.set_tracker(as_one([*keep, _wandb_tracker(project, entity)]))


def move_store(root: str) -> None:
    """Have another store in the place of the one in force; all else stays as `init` was told.

    Args:
        root: the other store: a path or URL.

    Raises:
        MisuseError: it is no root.
        MissingExtraError: the client for it is not installed.
        RefusedError: it is a file.
    """
    from nemotron.kit.tracking.composite import parts_of
    from nemotron.kit.tracking.file import FileTracker

    trackers = parts_of(context.current_tracker())
    if not is_initialized() and all(isinstance(one, FileTracker) for one in trackers):
        init(root=root)
        return
    from nemotron.kit.registry.checkout_options import CheckoutOptions

    current = context.current_registry()
    put_store(current.elsewhere(root) if current else _open(root, None, CheckoutOptions()))
    context.set_initialized(True)


def put_store(registry: "Registry | None") -> None:
    """Have a registry, or none, in the place of the one in force; who else is told stays."""
    from nemotron.kit.tracking.composite import as_one, parts_of
    from nemotron.kit.tracking.file import FileTracker

    kept = [one for one in parts_of(context.current_tracker()) if not isinstance(one, FileTracker)]
    if registry is not None:
        kept.insert(0, FileTracker(registry, evidence=context.settings().evidence))
    context.set_registry(registry)
    context.set_tracker(as_one(kept))


def _shown(what: str) -> "AbstractContextManager[Progress | None]":
    """Show a person on a terminal how far long work is, once it takes more than a second."""
    from nemotron.kit.console.output import HumanOutput, is_seen

    return HumanOutput().progress(what, of_bytes=True) if is_seen(sys.stderr) else nullcontext()


context.set_showing(_shown)


def is_initialized() -> bool:
    """Whether `init` was called since the last `shutdown`."""
    return context.is_initialized()


def shutdown() -> None:
    """Undo `init`: no store, no tracker, nothing remembered as used. Harmless when nothing was started."""
    context.reset()


@contextmanager
def using(
    backend: str = "fsspec",
    root: str | Path | None = None,
    wandb_project: str | None = None,
    wandb_entity: str | None = None,
    **arguments: Any,
) -> "Iterator[Registry | None]":
    """`init` for the length of a `with` block; what was in force before is in force again after it.

    Args:
        backend: as for `init`.
        root: as for `init`.
        wandb_project: as for `init`.
        wandb_entity: as for `init`.
        **arguments: the other arguments of `init`, by name.

    Yields:
        The registry, or None with W&B alone.

    >>> import tempfile
    >>> with using(root=tempfile.mkdtemp()) as registry:
    ...     registry.list()
    []
    """
    before = context.snapshot()
    context.reset(keep_runs=True)
    error: type[BaseException] | None = None
    try:
        init(backend, root, wandb_project, wandb_entity, **arguments)
        yield context.current_registry()
    except BaseException as raised:
        error = type(raised)
        raise
    finally:
        context.end_ambient(error)
        context.restore(before)


def run(
    name: str,
    *,
    config: Any = None,
    tags: Iterable[str] = (),
    seeds: int | Mapping[str, Any] | None = None,
    image: str | None = None,
) -> "AbstractContextManager[Run]":
    """Scope uses and saves, and record what was run: `with kit.run("sft", config=cfg) as run:`.

    What is loaded inside becomes an input of what is saved inside, and of no other. The store gets a record
    of the command, the code, the packages, the host and the job, and of how it ended; never of secrets. A
    script that asks for no run has one all the same, recorded with the first version that it saves.

    Runs in two threads are two runs. A thread that is started inside and loads data for it belongs to it, as
    long as it is the only one that is open; see `context.current_run`.

    Args:
        name: what this part of the work is called, such as "sft".
        config: of OmegaConf, pydantic, a dataclass, or a dict; what its fields call secret is left out.
        tags: words to find it by.
        seeds: the seed, or several by name.
        image: the container image, if the launcher knows it.

    Returns:
        A context manager; inside, `run.log({"loss": …})` remembers metrics, and costs what a dict costs.

    >>> import tempfile
    >>> with using(root=tempfile.mkdtemp()), run("sft", config={"lr": 1e-4}, seeds=7) as sft:
    ...     sft.log({"loss": 2.31})
    >>> sft.summary
    {'loss': 2.31}
    """
    return context.run(name, config=config, tags=tags, seeds=seeds, image=image)


def lineage_of(
    ref: str,
    *,
    direction: Literal["up", "down"] = "up",
    depth: int | None = None,
    types: Iterable[str] = (),
    runs: bool = False,
) -> "Graph":
    """The graph of what an artifact was made from, or of what was made from it.

    Args:
        ref: any `art://` reference.
        direction: "up" for its inputs, "down" for what was made of it.
        depth: how many steps, or None for all.
        types: which types of nodes to show, such as "ModelArtifact", "model" or "external"; none for all.
            What lies between two that are shown is an edge of the role `via`.
        runs: have the runs that made these artifacts as nodes too; `graph.run_of(uri)` finds them.

    Raises:
        NotFoundError: there is no such artifact or version.
        NotInitializedError: there is no store.
    """
    from nemotron.kit.lineage import query
    from nemotron.kit.lineage.collect import collect
    from nemotron.kit.lineage.runs import with_runs

    registry = context.require_registry()
    graph = collect(registry, ref, direction=direction, depth=depth)
    asked = [types] if isinstance(types, str) else list(types)
    graph = query.only(graph, query.of_type(asked)) if asked else graph
    return with_runs(registry.store, graph) if runs else graph


def composition(ref: str) -> "Composition":
    """Which share of an artifact, by tokens, comes from which source dataset.

    Args:
        ref: any `art://` reference.

    Raises:
        NotFoundError: there is no such artifact or version.
        MisuseError: it is an external input, or a path inside an artifact.
        NotInitializedError: there is no store.
    """
    from nemotron.kit.lineage import questions

    return questions.composition(context.require_registry(), ref)


def recall(ref: str, *, limit: int | None = None, depth: int | None = None) -> "Found[Holding]":
    """Everything that holds a dataset, with its share of it; the newest aliases first.

    Args:
        ref: an artifact, a file or folder of one, or the URI of an external dataset.
        limit: how many to give at most, or None for all. With a limit only the first are looked at, and
            `rest` of the answer says how many were not.
        depth: how many steps to go, or None for all; `deeper` of the answer says how many lie beyond.

    Raises:
        NotFoundError: there is no such artifact or file, or nothing was made of the dataset.
        NotInitializedError: there is no store.
    """
    from nemotron.kit.lineage import impact as answers

    return answers.recall(context.require_registry(), ref, limit=limit, depth=depth)


def impact(ref: str, *, limit: int | None = None, depth: int | None = None) -> "Found[Hit]":
    """Everything that was made of an artifact, whether it holds anything of it or not.

    Args:
        ref: as for `recall`.
        limit: as for `recall`.
        depth: as for `recall`.

    Raises:
        NotFoundError: there is no such artifact or file, or nothing was made of the dataset.
        NotInitializedError: there is no store.
    """
    from nemotron.kit.lineage import impact as answers

    return answers.impact(context.require_registry(), ref, limit=limit, depth=depth)
