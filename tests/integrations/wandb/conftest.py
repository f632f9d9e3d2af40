"""The real client, and an artifact that any tracker can take."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from nemotron import kit
from nemotron.kit.artifacts.inputs import InputDatasetInfo
from nemotron.kit.documents.codec import encode
from wandb_server.fixtures import offline_wandb, real_wandb, wandb_server

__all__ = ["offline_wandb", "real_wandb", "wandb_server"]


@dataclass
class Thing:
    """What a tracker reads of an artifact, and nothing else."""

    path: Path
    type: str = "PretrainDataArtifact"
    metadata: dict[str, Any] = field(default_factory=dict)
    created_at: str = "2026-01-02T03:04:05+00:00"
    source_datasets: list[InputDatasetInfo | str] = field(default_factory=list)
    tokenizer_uri: str | None = None

    def get_wandb_files(self) -> list[tuple[str, str]]:
        file = self.path / "metadata.json"
        return [(str(file), "metadata.json")] if file.exists() else []

    def get_wandb_references(self) -> list[tuple[str, str]]:
        return [(f"file://{self.path}", "output")]

    def get_input_uris(self) -> list[str]:
        uris = [entry if isinstance(entry, str) else entry.uri for entry in self.source_datasets]
        return [*uris, *([self.tokenizer_uri] if self.tokenizer_uri else [])]


@pytest.fixture
def make_thing(tmp_path: Path) -> Callable[..., Thing]:
    """Makes an artifact with a shard and a `metadata.json` in a folder."""

    def make(folder: str = "data", **values: Any) -> Thing:
        path = tmp_path / folder
        (path / "train").mkdir(parents=True, exist_ok=True)
        shard = path / "train" / "000.bin"
        if not shard.exists():
            shard.write_bytes(b"tokens of " + folder.encode())
        thing = Thing(path=path, **values)
        document = {"path": str(path), "type": thing.type, "metadata": thing.metadata}
        document |= {"created_at": thing.created_at, "producer": "local", "tracking": None}
        (path / "metadata.json").write_bytes(encode(document))
        return thing

    return make


@pytest.fixture
def offline_saves(real_wandb: ModuleType, tmp_path: Path) -> Callable[..., str]:
    """Saves models offline, each on a run of its own; returns the run's id."""
    kit.init(root=tmp_path / "store", wandb_project="proj")
    count = itertools.count(1)

    def save(name: str, **values: Any) -> str:
        step = next(count)
        place = tmp_path / f"m{step}"
        place.mkdir()
        (place / "part.bin").write_text(f"{step}")
        run = real_wandb.init(project="proj", mode="offline")
        kit.ModelArtifact(path=place, step=step).save(name=name, **values)
        run.finish()
        return str(run.id)

    return save
