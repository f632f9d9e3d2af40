"""Artifacts behind a URL are measured like those on disk, by range requests that are counted."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from bucket_server import Proxy, new_bucket
from bucket_server.fixtures import proxy, server
from formats.counting import GOLDEN
from nemotron.kit import start
from nemotron.kit.artifacts import measuring
from nemotron.kit.artifacts.base import Artifact
from nemotron.kit.artifacts.data_blends import DataBlendsArtifact
from nemotron.kit.artifacts.energon_webdataset import EnergonWebDatasetArtifact
from nemotron.kit.artifacts.model import ModelArtifact
from nemotron.kit.artifacts.paths import files_of, to_path
from nemotron.kit.artifacts.pretrain_blends import PretrainBlendsArtifact
from nemotron.kit.artifacts.pretrain_data import PretrainDataArtifact
from nemotron.kit.artifacts.sft_data import SFTDataArtifact
from nemotron.kit.artifacts.split_jsonl import SplitJsonlDataArtifact
from nemotron.kit.errors import (
    CorruptError,
    MismatchError,
    NotFoundError,
    PathNotFoundError,
    RefusedError,
    UnavailableError,
)
from nemotron.kit.formats import megatron_idx

MEGATRON = ["a.bin", "a.idx", "b.bin", "b.idx", "c.bin", "c.idx"]

__all__ = ["proxy", "server"]  # fixtures


@pytest.fixture(params=["memory", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A URL below which nothing lies yet."""
    measuring._say_once.cache_clear()
    if request.param == "memory":
        return f"memory://{tmp_path.name}"
    request.getfixturevalue("proxy")
    return f"s3://{new_bucket(request.getfixturevalue('server'))}/some/prefix"


def upload(place: str, files: dict[str, Path | bytes]) -> Any:
    folder = to_path(place)
    for name, source in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(source if isinstance(source, bytes) else source.read_bytes())
    return folder


def shards(place: str, **more: bytes) -> Any:
    """Three shards of megatron-core's, each of 19 tokens, 6 sequences, 3 documents."""
    golden = {name: GOLDEN / "megatron" / f"uint16{name[1:]}" for name in MEGATRON}
    return upload(place, {**golden, **{name.replace("_", "."): data for name, data in more.items()}})


def test_what_was_not_given_is_filled_and_what_is_wrong_is_refused(place: str, tmp_path: Path) -> None:
    start.init(root=tmp_path / "store")
    folder = shards(place)
    saved = PretrainBlendsArtifact(path=folder).save("data")
    assert (saved.total_tokens, saved.total_sequences, saved.num_shards) == (57, 18, 3)
    assert saved.metadata["count_evidence"]["total_tokens"] == "measured"
    assert Artifact.from_uri("art://data").total_tokens == 57
    assert str(Artifact.from_uri("art://data").path) == place
    with pytest.raises(MismatchError, match=rf"total_tokens is said to be 58, and {place} has 57"):
        PretrainBlendsArtifact(path=place, total_tokens=58).save("data")


def test_a_shard_that_was_cut_off_is_refused_by_name(place: str) -> None:
    folder = shards(place)
    (folder / "b.bin").write_bytes(b"\0" * 8)
    with pytest.raises(CorruptError, match=rf"{place}/b\.bin is damaged: .* 38 bytes; found 8"):
        PretrainDataArtifact(path=folder).save()


def test_a_blend_counts_what_it_names(place: str) -> None:
    folder = shards(place, blend_json=b'{"train": ["0.3", "a", "0.7", "b.bin"], "valid": ["1", "a"]}')
    found = PretrainBlendsArtifact.inspect(folder)
    assert (found.total_tokens, found.train_tokens, found.valid_tokens, found.num_shards) == (38, 38, 19, 2)
    assert found.blend_path == f"{place}/blend.json"
    assert found.metadata["blend_weights"] == {"train": {"a": 0.3, "b": 0.7}, "valid": {"a": 1.0}}
    blend = DataBlendsArtifact.inspect(f"{place}/blend.json")
    assert (blend.total_tokens, str(blend.path)) == (38, f"{place}/blend.json")


def test_a_blend_in_a_bucket_can_not_name_files_of_this_machine(place: str, tmp_path: Path) -> None:
    for name in ("a.bin", "a.idx"):
        (tmp_path / name).write_bytes((GOLDEN / "megatron" / f"uint16{name[1:]}").read_bytes())
    folder = upload(place, {"blend.json": f'["1", "{tmp_path}/a", "1", "file://{tmp_path}/a"]'.encode()})
    assert PretrainBlendsArtifact.inspect(folder).total_tokens is None


def test_each_kind_is_built_from_what_lies_there(place: str) -> None:
    upload(
        f"{place}/sft", {f"{s}/0.parquet": next((GOLDEN / "sft" / s).iterdir()) for s in ("train", "valid")}
    )
    packed = Artifact.inspect(f"{place}/sft")
    assert type(packed) is SFTDataArtifact
    assert (packed.total_tokens, packed.training_path) == (29, f"{place}/sft/train")
    upload(f"{place}/checkpoint-500", {path.name: path for path in (GOLDEN / "hf").iterdir()})
    model = Artifact.inspect(f"{place}/checkpoint-500/")
    assert type(model) is ModelArtifact
    assert (model.step, model.metadata["parameters"]) == (500, 13)
    upload(f"{place}/lines", {"a.jsonl": b"[1]\n[2]\n", "manifest.json": b'{"train": "a.jsonl"}'})
    lines = Artifact.inspect(f"{place}/lines")
    assert type(lines) is SplitJsonlDataArtifact
    assert (lines.total_sequences, str(lines.path)) == (2, f"{place}/lines/manifest.json")
    upload(
        f"{place}/energon",
        {
            ".nv-meta/.info.json": b'{"shard_counts": {"a.tar": 3}}',
            ".nv-meta/split.yaml": b"split_parts:\n  train: [a.tar]\n",
        },
    )
    energon = Artifact.inspect(f"{place}/energon")
    assert type(energon) is EnergonWebDatasetArtifact
    assert energon.train_samples == 3
    assert type(Artifact.inspect(upload(f"{place}/plain", {"x.txt": b"x"}))) is Artifact


def test_what_is_not_there_is_not_found(place: str) -> None:
    shards(place)
    with pytest.raises(PathNotFoundError, match=f"Nothing is at {place}/gone"):
        Artifact.inspect(f"{place}/gone")
    with pytest.raises(PathNotFoundError, match=r"a\.idx"):
        megatron_idx.read(f"{place}/other/a", files_of(to_path(place)))


def test_heads_are_fetched_and_bulk_is_not(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    local = Path("model.safetensors")
    save_file({f"w{i}": np.zeros(250_000, np.float32) for i in range(10)}, local)
    folder = upload(place, {"model.safetensors": local, "config.json": b'{"model_type": "x"}'})
    fetched: list[int] = []
    fs = type(folder.fs)
    cat_file = fs.cat_file

    def counted(self: Any, path: str, start: int | None = None, end: int | None = None, **more: Any) -> bytes:
        data: bytes = cat_file(self, path, start=start, end=end, **more)
        fetched.append(len(data))
        return data

    monkeypatch.setattr(fs, "cat_file", counted)
    if hasattr(folder.fs, "_cat_file"):  # an instance of its own: fsspec binds asynchronous methods early
        monkeypatch.setattr(folder.fs, "cat_file", counted.__get__(folder.fs))
    assert Artifact.inspect(folder).metadata["parameters"] == 2_500_000
    assert fetched
    assert sum(fetched) < 200_000 < local.stat().st_size // 40


def test_requests_are_few(proxy: Proxy, server: tuple[str, int]) -> None:
    folder = shards(f"s3://{new_bucket(server)}/data")
    proxy.seen.clear()
    assert PretrainDataArtifact.inspect(folder).total_tokens == 57
    # What is there, what is in it, and one range of each of three indices.
    assert len(proxy.seen) <= 7, proxy.seen
    assert not any(path.endswith(".bin") and method == "GET" for method, path in proxy.seen)


@pytest.mark.parametrize(("status", "error"), [("403", RefusedError), ("400", UnavailableError)])
def test_what_the_backend_refuses_is_an_error_of_the_kit(
    proxy: Proxy, server: tuple[str, int], status: str, error: type[Exception]
) -> None:
    folder = shards(f"s3://{new_bucket(server)}/data")
    proxy.fault = lambda method, path: status
    with pytest.raises(error, match=f"s3://.*/data: .*{status}"):
        Artifact.inspect(folder)
    with pytest.raises(error, match=r"s3://.*/data/metadata\.json: .*"):
        Artifact(path=folder).save()


def test_a_bucket_that_is_not_there(proxy: Proxy) -> None:
    with pytest.raises(NotFoundError, match="s3://no-such-bucket-here/x"):
        Artifact.inspect("s3://no-such-bucket-here/x")


def test_save_keeps_claims_where_the_bucket_does_not_answer(
    proxy: Proxy, server: tuple[str, int], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    start.init(root=tmp_path / "store")
    folder = shards(f"s3://{new_bucket(server)}/data")
    proxy.fault = lambda method, path: "403" if path.endswith(".idx") else None
    saved = PretrainDataArtifact(path=folder, total_tokens=99).save("data")
    assert saved.metadata["count_evidence"]["total_tokens"] == "claimed"
    assert "Counts of s3://" in caplog.text
