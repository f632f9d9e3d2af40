"""Find or make the W&B artifacts that stand for what comes from outside: source datasets and tokenizers."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from nemotron.kit.artifacts.inputs import InputDatasetInfo, to_wandb_uri
from nemotron.kit.errors import NotFoundError
from nemotron.kit.integrations.wandb import run as wandb_run
from nemotron.kit.integrations.wandb.drafts import References, fit_metadata
from nemotron.kit.integrations.wandb.errors import translated
from nemotron.kit.integrations.wandb.uris import dataset_name, tokenizer_name


@dataclass(frozen=True)
class Source:
    """One external input, as W&B shall show it.

    Attributes:
        uri: as its user wrote it.
        type: the W&B artifact's type, "dataset" or "tokenizer".
        name: the W&B artifact's name.
        entry: what the reference is called in it.
        metadata: beyond `source_uri`.
    """

    uri: str
    type: str
    name: str
    entry: str
    metadata: Mapping[str, Any] = field(default_factory=dict)


def sources_of(artifact: Any, more: Iterable[str] = ()) -> list[Source]:
    """The external inputs of an artifact: its datasets in order, then its tokenizer.

    Args:
        artifact: any artifact of the kit's, or one that only has `get_input_uris()`.
        more: URIs of further datasets.
    """
    tokenizer = getattr(artifact, "tokenizer_uri", None)
    datasets = [_info(entry) for entry in getattr(artifact, "source_datasets", None) or ()]
    known = {to_wandb_uri(info.uri) for info in datasets}
    listed = getattr(artifact, "get_input_uris", None)
    uris = [*(listed() if callable(listed) else ()), *more]
    rest = [uri for uri in wandb_run.unique(uris) if uri != tokenizer and to_wandb_uri(uri) not in known]
    sources = [_dataset(info) for info in (*datasets, *map(InputDatasetInfo, rest))]
    if tokenizer:
        sources.append(Source(tokenizer, "tokenizer", tokenizer_name(tokenizer), "tokenizer"))
    return list(_without_repeats(sources))


def _info(entry: InputDatasetInfo | Mapping[str, Any] | str) -> InputDatasetInfo:
    if isinstance(entry, str):
        return InputDatasetInfo(entry)
    return InputDatasetInfo(**entry) if isinstance(entry, Mapping) else entry


def _dataset(info: InputDatasetInfo) -> Source:
    said = {
        item.name: value
        for item in dataclasses.fields(InputDatasetInfo)
        if item.name != "uri" and (value := getattr(info, item.name)) != item.default
    }
    return Source(info.uri, "dataset", dataset_name(info), "data", {"raw": True, **said})


def _without_repeats(sources: Iterable[Source]) -> Iterator[Source]:
    seen: set[tuple[str, str]] = set()
    for source in sources:
        if (source.name, source.uri) not in seen:
            seen.add((source.name, source.uri))
            yield source


class Inputs:
    """Makes sources inputs of a run, asking W&B for each of them once."""

    def __init__(self, references: References) -> None:
        self._references = references
        # (run, name, uri) → `entity/project/name:vN`
        self._used: dict[tuple[str, str, str], str] = {}
        self._api: tuple[str, Any] | None = None

    def use(self, run: Any, source: Source) -> str:
        """Make a source an input of the run; an artifact that stands for it is made if there is none.

        Returns:
            `entity/project/name:vN` of that artifact.

        Raises:
            KitError: W&B did not take it.
        """
        key = (run.id, source.name, source.uri)
        if key not in self._used:
            existing, name = self._look_up(run, source)
            what = existing if existing is not None else self._draft(source, name)
            with translated(f"make {source.uri} an input"):
                used = run.use_artifact(what)
            self._used[key] = wandb_run.qualified(run, used if used is not None else what)
        return self._used[key]

    def _look_up(self, run: Any, source: Source) -> tuple[Any | None, str]:
        """The artifact that stands for the source, if there is one, and the name for it if not.

        One of the same name is used only if it says that it comes from the same place (`hf://a/b` and
        `s3://a/b` have one name); one of another type leaves the name to it.
        """
        found = self._latest(run, source.name)
        if found is None:
            return None, source.name
        if isinstance(kind := getattr(found, "type", None), str) and kind != source.type:
            return None, f"{source.name}-{source.type}"
        return (found if _agrees(found, source) else None), source.name

    def _latest(self, run: Any, name: str) -> Any | None:
        try:
            with translated(f"look for {name}"):
                return self._client(run).artifact("/".join([*wandb_run.project_of(run), f"{name}:latest"]))
        except NotFoundError:
            return None

    def _client(self, run: Any) -> Any:
        """One API client for each run: the next run may be on another server."""
        if self._api is None or self._api[0] != run.id:
            self._api = (run.id, wandb_run.client().Api())
        return self._api[1]

    def _draft(self, source: Source, name: str) -> Any:
        uri = to_wandb_uri(source.uri)
        metadata = fit_metadata(source.metadata, {"source_uri": source.uri})
        with translated(f"make an artifact for {source.uri}"):
            draft = wandb_run.client().Artifact(
                name=name, type=source.type, description=f"Source: {source.uri}", metadata=metadata
            )
        if not self._references.add(draft, uri, source.entry):
            draft.metadata = {**metadata, "references": {source.entry: uri}}
        return draft


def _agrees(found: Any, source: Source) -> bool:
    """Whether an artifact comes from where the source is; one that can't say so is not doubted."""
    if not hasattr(found, "metadata"):
        return True
    theirs = (found.metadata or {}).get("source_uri")
    return isinstance(theirs, str) and to_wandb_uri(theirs) == to_wandb_uri(source.uri)
