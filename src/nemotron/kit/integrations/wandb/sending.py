"""Give a description to the client: the inputs first, then the artifact, with its edges.

    sender = Sender()                                 # one for a process: it remembers what W&B has already
    record = sender.send(run, description)            # online: waits until W&B has the version
    record = sender.write_down(run, description)      # offline: into the client's own log

`run` is what `wandb.init` returned. A sender may be used for several runs, and for descriptions that were
stored: what it remembers, it remembers for each run.
"""

import importlib
import logging
import tempfile
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from nemotron.kit.errors import NotFoundError
from nemotron.kit.integrations.wandb import run as wandb_run
from nemotron.kit.integrations.wandb.description import METADATA_FILE, Description, Draft, File, Source
from nemotron.kit.integrations.wandb.drafts import is_missing
from nemotron.kit.integrations.wandb.errors import translated
from nemotron.kit.integrations.wandb.inputs import agrees
from nemotron.kit.integrations.wandb.uploads import add_upload
from nemotron.kit.integrations.wandb.uris import fit_name, reference_candidates
from nemotron.kit.names import SCHEME

log = logging.getLogger(__name__)

# A request takes a tenth of a second and the client's service answers many at once: 25 new datasets take
# 6 s one by one and 1 s from eight threads.
THREADS = 8

One = TypeVar("One")


class Sender:
    """Sends descriptions, and asks W&B for nothing twice."""

    def __init__(self) -> None:
        # (run, reference as it was written) → the edge that W&B has, `entity/project/name:vN`.
        self._used: dict[tuple[str, str], str] = {}
        # (run, name, uri) → the artifact that stands for a source, `entity/project/name:vN`.
        self._sources: dict[tuple[str, str, str], str] = {}
        # (run, name) → the description that was sent last, and what W&B made of it.
        self._last: dict[tuple[str, str], tuple[Description, dict[str, Any]]] = {}

    def send(self, run: Any, description: Description) -> dict[str, Any]:
        """Record an artifact and its inputs on an online run, and wait for the version.

        What equals the last one of this name in this run is not sent again, except for new aliases.

        Args:
            run: the client's run.
            description: what W&B is to get.

        Returns:
            A `TrackingRecord`.

        Raises:
            NotFoundError: W&B has not got an artifact that was used.
            KitError: W&B did not take it, see `errors.py`. What had been taken is remembered, so that sending
                it again goes on from there.
        """
        key = (run.id, description.draft.name)
        before = self._last.get(key)
        if before is not None and before[0].digest == description.digest:
            if set(description.aliases) <= set(before[0].aliases):
                return dict(before[1])
            # With the times of the first one, so that W&B sees that it is the same.
            description = before[0].with_aliases(*description.aliases)
        inputs = self._use_sources(run, description.sources)
        used = [self.use(run, ref) for ref in description.used]
        logged = log_draft(run, description.draft, description.aliases)
        with translated(f"take {description.draft.name}"):
            logged.wait()
        record = _record(run, description)
        record["artifact_id"] = wandb_run.qualified(run, logged)
        record["url"] = _page(run, logged, description.draft.type)
        record["used_artifacts"] = wandb_run.unique(used)
        record["input_artifact_refs"] = wandb_run.unique(inputs)
        _summarize(run, description)
        self._last[key] = (description, record)
        return dict(record)

    def write_down(self, run: Any, description: Description) -> dict[str, Any]:
        """Let an offline run's client write the artifact into its log, with its inputs as text beside it.

        Returns:
            A `TrackingRecord` without an artifact_id: W&B has not given a version yet.

        Raises:
            KitError: the client did not take it.
        """
        key = (run.id, description.draft.name)
        before = self._last.get(key)
        if before is not None and before[0] == description.with_aliases():
            return dict(before[1])
        record = _record(run, description)
        record["used_artifacts"] = list(description.used)
        inputs = {"used_artifacts": list(description.used), "source_uris": record["source_uris"]}
        inputs = {key: texts for key, texts in inputs.items() if texts}
        if inputs:
            name = description.draft.name
            with translated(f"record the inputs of {name}"):
                known = dict(run.config.get("artifact_inputs") or {})
                run.config.update({"artifact_inputs": {**known, name: inputs}}, allow_val_change=True)
        log_draft(run, description.draft, description.aliases, inputs)
        _summarize(run, description)
        self._last[key] = (description, record)
        return dict(record)

    def use(self, run: Any, ref: str) -> str:
        """Make an artifact that was used an input of the run, if it is not one already.

        Returns:
            `entity/project/name:vN`.

        Raises:
            NotFoundError: W&B has no such artifact.
            KitError: W&B did not take it.
        """
        if (run.id, ref) not in self._used:
            self.remember(run, ref, wandb_run.qualified(run, use_reference(run, ref)))
        return self._used[run.id, ref]

    def remember(self, run: Any, ref: str, name: str) -> None:
        """Know that an artifact is an input of the run, and by which name."""
        for spelling in (ref, name, f"{SCHEME}{name}"):
            self._used[run.id, spelling] = name

    # -- sources

    def _use_sources(self, run: Any, sources: Sequence[Source]) -> list[str]:
        """Make sources inputs of the run; what stands for one on W&B is made if there is nothing."""
        new = [source for source in sources if self._key(run, source) not in self._sources]
        # Two of one name are two versions of one collection: one after the other.
        groups: dict[str, list[Source]] = {}
        for source in new:
            groups.setdefault(source.draft.name, []).append(source)

        def use(group: list[Source]) -> None:
            for source in group:
                self._sources[self._key(run, source)] = self._use_source(run, source)

        _each(use, list(groups.values()))
        return [self._sources[self._key(run, source)] for source in sources]

    def _key(self, run: Any, source: Source) -> tuple[str, str, str]:
        return (run.id, source.draft.name, source.uri)

    def _use_source(self, run: Any, source: Source) -> str:
        existing, draft = _look_up(run, source)
        what = existing if existing is not None else make(draft)
        with translated(f"make {source.uri} an input"):
            used = run.use_artifact(what)
        return wandb_run.qualified(run, used if used is not None else what)


def _each(work: Callable[[One], object], items: Sequence[One]) -> None:
    """The work on each item, with the real client on several threads; raises the first error, after all.

    Not an executor's threads: the interpreter waits for those when it ends, however long a call hangs, and
    takes no more work from exit hooks on.
    """
    todo = list(reversed(items))
    errors: list[BaseException] = []

    def go_on() -> None:
        while True:
            try:
                item = todo.pop()
            except IndexError:
                return  # another thread has taken the last
            try:
                work(item)
            except Exception as error:  # noqa: BLE001 - it is raised below, in the caller's thread
                errors.append(error)

    count = min(THREADS, len(items)) - 1 if wandb_run.is_real() else 0
    threads: list[threading.Thread] = []
    for _ in range(count):
        thread = threading.Thread(target=go_on, daemon=True, name="nemotron-kit-wandb-sources")
        try:
            thread.start()
        except RuntimeError:
            break  # from Python 3.12 on a process that ends begins none: this one does it all
        threads.append(thread)
    go_on()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def _look_up(run: Any, source: Source) -> tuple[Any | None, Draft]:
    """The artifact that stands for the source, if there is one, and the draft for it if not.

    One of the same name is used only if it says that it comes from the same place; a name that an artifact
    of another type has is left to it.
    """
    draft = source.draft
    found = _latest(run, draft.name)
    if found is None:
        return None, draft
    if isinstance(kind := getattr(found, "type", None), str) and kind != draft.type:
        # Not looked up in its turn: W&B knows by the digest whether it has it.
        return None, replace(draft, name=fit_name(f"{draft.name}-{draft.type}", source.uri))
    # An artifact that can't say where it comes from is not doubted.
    same = not hasattr(found, "metadata") or agrees(found.metadata, source)
    return (found if same else None), draft


def _latest(run: Any, name: str) -> Any | None:
    try:
        with translated(f"look for {name}"):
            return wandb_run.api(run).artifact("/".join([*wandb_run.project_of(run), f"{name}:latest"]))
    except NotFoundError:
        return None


def use_reference(run: Any, ref: str) -> Any:
    """Make what a reference means an input of the run; returns the client's artifact.

    Raises:
        NotFoundError: W&B has nothing by any of the names that the reference can mean.
        KitError: W&B did not take it.
    """
    candidates = reference_candidates(ref, getattr(run, "entity", None))
    for candidate in candidates[:-1]:
        try:
            with translated(f"find {candidate}"):
                return run.use_artifact(candidate)
        except NotFoundError:
            log.debug("%s: no %s on W&B", ref, candidate)
    with translated(f"find {candidates[-1]}"):
        return run.use_artifact(candidates[-1])


# -- drafts ------------------------------------------------------------------------------------------------


def log_draft(run: Any, draft: Draft, aliases: Iterable[str], added: dict[str, Any] | None = None) -> Any:
    """Log an artifact; returns the client's object, on which `wait()` can be called online.

    Args:
        run: the client's run.
        draft: the artifact.
        aliases: the aliases that it gets.
        added: metadata beside the draft's own.

    Raises:
        KitError: the client did not take it.
    """
    made = make(draft, added)
    with translated(f"log {draft.name}"):
        logged = run.log_artifact(made, aliases=list(aliases))
    return logged if logged is not None else made


def make(draft: Draft, added: dict[str, Any] | None = None) -> Any:
    """The client's object for a draft.

    Raises:
        MisuseError: the client refuses something in it.
        PathNotFoundError: a folder that is to be uploaded is gone.
        DriftError: it is not what was described.
    """
    metadata = {**draft.metadata, **(added or {})}
    arguments = {"name": draft.name, "type": draft.type, "metadata": metadata}
    if draft.text is not None:
        arguments["description"] = draft.text
    with translated(f"make an artifact {draft.name}"):
        made = wandb_run.client().Artifact(**arguments)
    for file in draft.files:
        with translated(f"upload {file.path or file.name}"):
            _add_file(made, file)
    described = next((file for file in draft.files if file.name == METADATA_FILE), None)
    for upload in draft.uploads:
        with translated(f"upload {upload.path}"):
            own = add_upload(made, upload)
            if own is not None and described is not None:
                _add_file(made, replace(described, name=own, path=""))
    make_entry = _entry_class(made)
    for reference in draft.references:
        if make_entry is not None:
            for entry in reference.entries:
                made.manifest.add_entry(
                    make_entry(path=entry.path, ref=entry.uri, digest=entry.digest, size=entry.size)
                )
        elif not is_missing(reference.uri.partition("://")[0]):
            with translated(f"refer to {reference.uri}"):
                made.add_reference(reference.uri, name=reference.name, checksum=False)
    return made


def _add_file(made: Any, file: File) -> None:
    path = Path(file.path) if file.path else None
    if path is not None and path.is_file() and path.read_bytes() == file.data:
        made.add_file(file.path, name=file.name)
        return
    with tempfile.TemporaryDirectory(prefix="nemotron-kit-") as folder:
        copy = Path(folder, Path(file.name).name)
        copy.write_bytes(file.data)
        made.add_file(str(copy), name=file.name)


def _entry_class(made: Any) -> Any | None:
    """The client's class for manifest entries, or None if the object is another client's (a test's fake)."""
    if type(made).__module__ != "wandb.sdk.artifacts.artifact":
        return None
    return importlib.import_module("wandb.sdk.artifacts.artifact_manifest_entry").ArtifactManifestEntry


# -- records -----------------------------------------------------------------------------------------------


def _record(run: Any, description: Description) -> dict[str, Any]:
    return {
        "artifact_id": None,
        "artifact_type": description.draft.type,
        "run_id": run.id,
        "url": None,
        "used_artifacts": [],
        "source_uris": [source.uri for source in description.sources],
        "input_artifact_refs": [],
    }


def _summarize(run: Any, description: Description) -> None:
    """Numbers go into the run's summary: logged, they would be a step of training that nobody made."""
    summary = getattr(run, "summary", None)
    if description.summary and summary is not None:
        with translated(f"summarize {description.draft.name}"):
            summary.update(dict(description.summary))


def _page(run: Any, logged: Any, artifact_type: str) -> str | None:
    """The page that shows a logged artifact.

    The client's own `url` of an artifact costs two requests, so it is put together as the client does it,
    from the address that the client says the project has. Queries are cut: they can hold a key.
    """
    project = _text(getattr(run, "project_url", None))
    name, _, version = wandb_run.qualified(run, logged).rpartition("/")[2].partition(":")
    if project and version:
        return f"{project.partition('?')[0]}/artifacts/{quote(artifact_type)}/{quote(name)}/{version}"
    url = _text(getattr(logged, "url", None)) or _text(getattr(run, "url", None))
    return url.partition("?")[0] if url else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
