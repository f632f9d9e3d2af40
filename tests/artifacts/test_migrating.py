"""Kinds of one's own whose fields changed: what an earlier version saved loads as the present one has it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nemotron.kit import start
from nemotron.kit.artifacts.base import Artifact
from nemotron.kit.errors import CorruptError, FormatTooNewError


def first() -> type[Artifact]:
    class Corpus(Artifact):
        sheets: int

    return Corpus


def third() -> type[Artifact]:
    class Corpus(Artifact):
        schema_version = 3
        pages: int
        language: str = "en"

        @classmethod
        def migrate(cls, fields: dict[str, Any], version: int) -> dict[str, Any]:
            if version < 2:
                fields["pages"] = 2 * fields.pop("sheets")
            if version < 3:
                fields["language"] = "unknown"
            return fields

    return Corpus


@pytest.mark.parametrize(
    "way", [lambda cls, folder: cls.load(folder), lambda cls, _: cls.from_uri("art://c")]
)
def test_what_the_first_version_saved(tmp_path: Path, way: Callable[..., Any]) -> None:
    start.init(root=tmp_path / "store")
    first()(path=tmp_path / "c", sheets=5, metadata={"note": "hi"}).save("c")
    new = third()
    loaded = way(new, tmp_path / "c")
    assert (loaded.pages, loaded.language, loaded.metadata["note"]) == (10, "unknown", "hi")
    assert "sheets" not in loaded.metadata
    assert loaded.metadata["schema_version"] == 3
    assert loaded.metrics == {"pages": 10.0}
    again = loaded.save("c")
    assert again.uri == "art://c:v2"
    assert new.from_uri("art://c:v2") == again
    assert new.from_uri("art://c:v1").pages == 10
    assert type(Artifact.from_uri("art://c")) is new


def test_a_newer_version_than_this_code(tmp_path: Path) -> None:
    third()(path=tmp_path / "c", pages=5).save()
    old = first()
    with pytest.raises(
        FormatTooNewError, match="saved by version 3 of Corpus, and this process has version 1"
    ):
        old.load(tmp_path / "c")
    assert old.__name__ == "Corpus"


def test_what_migrate_can_not_make_sense_of(tmp_path: Path) -> None:
    Artifact(path=tmp_path / "c", type="Corpus").save()
    new = third()
    with pytest.raises(CorruptError, match="from version 1 to 3 of Corpus: KeyError: 'sheets'"):
        new.load(tmp_path / "c")


def test_the_version_stays_when_metadata_is_replaced(tmp_path: Path) -> None:
    corpus = third()(path=tmp_path / "c", pages=5)
    corpus.metadata = {"pages": 6}
    assert corpus.metadata["schema_version"] == 3
    assert first()(path=tmp_path, sheets=1).metadata == {"sheets": 1}, "the first version says nothing"
