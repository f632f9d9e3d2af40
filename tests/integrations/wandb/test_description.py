"""What W&B is to get, as a value: what it holds, when two are equal, and that it can be stored."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemotron.kit.artifacts.inputs import InputDatasetInfo
from nemotron.kit.documents.codec import encode
from nemotron.kit.errors import CorruptError
from nemotron.kit.integrations.wandb import drafts
from nemotron.kit.integrations.wandb.describing import describe
from nemotron.kit.integrations.wandb.description import (
    Description,
    Draft,
    Entry,
    File,
    Reference,
    Source,
    Upload,
)
from nemotron.kit.integrations.wandb.drafts import METADATA_SIZE_MAX, fit_metadata, refer
from nemotron.kit.tracking.protocol import SaveOptions

Make = Callable[..., Any]

texts = st.text(max_size=8)
entries = st.builds(Entry, texts, texts, texts, st.none() | st.integers(0, 2**60))
references = st.builds(Reference, texts, texts, st.lists(entries, max_size=3).map(tuple))
values = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts
made_drafts = st.builds(
    Draft,
    name=texts,
    type=texts,
    text=st.none() | texts,
    metadata=st.dictionaries(texts, values | st.lists(values, max_size=2), max_size=3),
    files=st.lists(st.builds(File, texts, st.binary(max_size=20), texts), max_size=2).map(tuple),
    references=st.lists(references, max_size=2).map(tuple),
    uploads=st.lists(st.builds(Upload, texts, texts, texts), max_size=2).map(tuple),
)
descriptions = st.builds(
    Description,
    draft=made_drafts,
    aliases=st.lists(texts, max_size=3).map(tuple),
    used=st.lists(texts, max_size=3).map(tuple),
    sources=st.lists(st.builds(Source, texts, made_drafts), max_size=2).map(tuple),
    summary=st.dictionaries(texts, st.floats(allow_nan=False), max_size=2),
)


@given(descriptions)
def test_it_survives_a_file(description: Description) -> None:
    stored = json.loads(json.dumps(description.to_document()))
    again = Description.from_document(stored)
    assert again == description
    assert again.digest == description.digest


@given(descriptions, st.lists(texts, max_size=2))
def test_aliases_make_no_other_artifact(description: Description, more: list[str]) -> None:
    with_more = description.with_aliases(*more)
    assert set(with_more.aliases) == {*description.aliases, *more}
    assert with_more.digest == description.digest


@pytest.mark.parametrize("document", [{}, {"draft": 3}, {"draft": {"name": "x"}}])
def test_another_document_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(CorruptError, match="Not what W&B is to get"):
        Description.from_document(document)


def digest(thing: Any, used: list[str] | None = None) -> str:
    return describe(thing, "data", used or [], SaveOptions()).digest


def test_a_new_equal_object_is_equal_and_everything_else_is_not(make_thing: Make) -> None:
    values: dict[str, Any] = {"metadata": {"tokens": 3, "elapsed_sec": 1.5}, "source_datasets": ["hf://a/b"]}
    before = digest(make_thing(**values))

    def changed(**changes: Any) -> Any:
        return make_thing(**{**values, **changes})

    assert digest(changed(created_at="2030-01-01T00:00:00+00:00")) == before
    assert digest(changed(metadata={"tokens": 3, "elapsed_sec": 9.5})) == before
    others = [
        digest(changed(metadata={"tokens": 4})),
        digest(changed(source_datasets=["hf://a/c"])),
        digest(changed(type="Other")),
        digest(changed(), ["x:v1"]),
    ]
    assert before not in others
    assert len(set(others)) == len(others)


def test_overwritten_data_is_another_version_on_w_and_b(make_thing: Make) -> None:
    thing = make_thing()

    def shards() -> list[Entry]:
        (reference,) = describe(thing, "data", [], SaveOptions()).draft.references
        return [entry for entry in reference.entries if entry.path == "output/train/000.bin"]

    (before,) = shards()
    (thing.path / "train" / "000.bin").write_bytes(b"other tokens")
    (after,) = shards()
    assert (before.uri, before.path) == (after.uri, after.path)
    assert before.digest != after.digest
    assert after.size == 12


def test_the_kit_s_own_file_is_uploaded_without_where_it_was_recorded_last(make_thing: Make) -> None:
    thing = make_thing()
    file = thing.path / "metadata.json"
    plain = describe(thing, "data", [], SaveOptions())
    file.write_bytes(encode({**json.loads(file.read_bytes()), "tracking": {"artifact_id": "x:v0"}}))
    assert describe(thing, "data", [], SaveOptions()).draft.files[0].data == plain.draft.files[0].data
    file.write_text('{"a": "user\'s own", "tracking": 3}')
    assert describe(thing, "data", [], SaveOptions()).draft.files[0].data == file.read_bytes()


def test_a_folder_of_very_many_files_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drafts, "FILES_LISTED_MAX", 3)
    for name in "abcd":
        (tmp_path / name).write_text(name)
    (line,) = refer(f"file://{tmp_path}", "output", evidence=True).entries
    assert (line.path, line.uri, line.size) == ("output", f"file://{tmp_path}", 4)
    (tmp_path / "a").write_text("longer")
    (changed,) = refer(f"file://{tmp_path}", "output", evidence=True).entries
    assert changed.digest != line.digest


def test_a_folder_that_can_not_be_looked_into_is_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str) -> None:
        raise CorruptError("no")

    monkeypatch.setattr(drafts, "scan_folder", refuse)
    assert [entry.path for entry in refer(f"file://{tmp_path}", "data").entries] == ["data"]
    assert "is one line on W&B" in caplog.text


def test_links_are_lines_too_and_empty_folders_none(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    assert [entry.path for entry in refer(f"file://{tmp_path}", "data").entries] == ["data/gone"]
    (tmp_path / "gone").unlink()
    assert [entry.path for entry in refer(f"file://{tmp_path}", "data").entries] == ["data"]


def test_metadata_within_the_limits() -> None:
    long = {"long": "x" * METADATA_SIZE_MAX, "short": 1, "inf": float("inf")}
    assert fit_metadata(long, {"created_at": "now"}) == {
        "created_at": "now",
        "short": 1,
        "inf": "inf",
        "metadata_keys_left_out": 1,
    }


def test_what_is_left_out_is_uploaded_where_there_is_no_file_for_it(make_thing: Make) -> None:
    thing = make_thing(metadata={f"key{n}": n for n in range(101)})
    (thing.path / "metadata.json").unlink()
    (file,) = describe(thing, "data", [], SaveOptions()).draft.files
    assert json.loads(file.data)["metadata"]["key100"] == 100


def test_sources_of_every_kind_once_each(make_thing: Make) -> None:
    thing = make_thing(
        source_datasets=[
            "hf://a/b",
            InputDatasetInfo("hf://a/b"),
            InputDatasetInfo("hf://datasets/a/b"),
            InputDatasetInfo("hf://a/b", split="train"),
            "s3://a/b",
        ],
        tokenizer_uri="https://huggingface.co/gpt2",
    )
    options = SaveOptions(external_inputs=("s3://a/b", "s3://more/data"), aliases=("a/b", "a/b"))
    description = describe(thing, "x/y", ["art:///path", "art://z:v1", "art://z:v1", "s3://q"], options)
    assert [(source.uri, source.draft.name, source.draft.type) for source in description.sources] == [
        ("hf://a/b", "a-b", "dataset"),
        ("hf://a/b", "a-b-train", "dataset"),
        ("s3://a/b", "a-b", "dataset"),
        ("s3://more/data", "more-data", "dataset"),
        ("https://huggingface.co/gpt2", "gpt2-tokenizer", "tokenizer"),
    ]
    assert description.used == ("art://z:v1",)
    assert description.aliases == ("latest", "a-b")
    assert description.draft == replace(description.draft, name="x-y")
