"""What an artifact was made from beyond other artifacts: source datasets and tokenizers."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from nemotron.kit.artifacts.inputs import InputDatasetInfo, to_wandb_uri
from nemotron.kit.integrations.wandb.description import Draft, Source
from nemotron.kit.integrations.wandb.drafts import fit_metadata, refer, unopened
from nemotron.kit.integrations.wandb.run import unique
from nemotron.kit.integrations.wandb.uris import dataset_name, tokenizer_name
from nemotron.kit.redaction import clean


def sources_of(artifact: Any, more: Iterable[str] = ()) -> list[Source]:
    """The external inputs of an artifact: its datasets in order, then its tokenizer.

    Args:
        artifact: any artifact of the kit's, or one that only has `get_input_uris()`.
        more: URIs of further datasets.
    """
    # Names are made of URIs, so what opens doors goes first.
    tokenizer = clean(getattr(artifact, "tokenizer_uri", None))
    datasets = [_info(entry) for entry in getattr(artifact, "source_datasets", None) or ()]
    known = {to_wandb_uri(info.uri) for info in datasets}
    listed = getattr(artifact, "get_input_uris", None)
    uris = clean([*(listed() if callable(listed) else ()), *more])
    rest = [uri for uri in unique(uris) if uri != tokenizer and to_wandb_uri(uri) not in known]
    sources = [_dataset(info) for info in (*datasets, *map(InputDatasetInfo, rest))]
    if tokenizer:
        sources.append(_source(tokenizer, "tokenizer", tokenizer_name(tokenizer), "tokenizer", {}))
    return list(_without_repeats(sources))


def agrees(metadata: Any, source: Source) -> bool:
    """Whether the metadata of an artifact says that it comes from where the source is.

    `hf://a/b` and `s3://a/b` have the same name on W&B.
    """
    theirs = metadata.get("source_uri") if isinstance(metadata, Mapping) else None
    return isinstance(theirs, str) and to_wandb_uri(theirs) == to_wandb_uri(source.uri)


def _info(entry: InputDatasetInfo | Mapping[str, Any] | str) -> InputDatasetInfo:
    if isinstance(entry, str):
        return InputDatasetInfo(clean(entry))
    info = InputDatasetInfo(**entry) if isinstance(entry, Mapping) else entry
    return dataclasses.replace(info, uri=clean(info.uri))


def _dataset(info: InputDatasetInfo) -> Source:
    said = {
        item.name: value
        for item in dataclasses.fields(InputDatasetInfo)
        if item.name != "uri" and (value := getattr(info, item.name)) != item.default
    }
    return _source(info.uri, "dataset", dataset_name(info), "data", {"raw": True, **said})


def _source(uri: str, kind: str, name: str, entry: str, said: Mapping[str, Any]) -> Source:
    reference = refer(to_wandb_uri(uri), entry)
    metadata = {**fit_metadata(said, {"source_uri": uri}), **unopened([reference])}
    return Source(
        uri, Draft(name=name, type=kind, text=f"Source: {uri}", metadata=metadata, references=(reference,))
    )


def _without_repeats(sources: Iterable[Source]) -> Iterator[Source]:
    seen: set[tuple[str, str]] = set()
    for source in sources:
        key = (source.draft.name, to_wandb_uri(source.uri))
        if key not in seen:
            seen.add(key)
            yield source
