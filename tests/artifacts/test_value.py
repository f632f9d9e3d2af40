"""Fields and metadata in step: what is done to one shows in the other, or is refused and changes nothing."""

import copy
import enum
import gc
import json
import math
import pickle
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from nemotron.kit.artifacts.base import Artifact
from nemotron.kit.artifacts.inputs import InputDatasetInfo
from nemotron.kit.artifacts.model import ModelArtifact
from nemotron.kit.artifacts.pretrain_blends import PretrainBlendsArtifact
from nemotron.kit.artifacts.value import STORED
from nemotron.kit.errors import InvalidMetadataError, MisuseError


class Colour(enum.Enum):
    RED = "red"


class EverythingArtifact(Artifact):
    """A kind of a user's own, with fields of every sort."""

    count: int = Field(ge=0)
    loss: float | None = None
    when: datetime | None = None
    colour: Colour | None = None
    where: Path | None = None
    tags: list[str] = Field(default_factory=list)
    limits: dict[str, float] = Field(default_factory=dict)


def make(**fields: Any) -> EverythingArtifact:
    return EverythingArtifact(path="/data", **{"count": 1, **fields})


def in_step(artifact: Artifact) -> bool:
    """Metadata shows exactly the fields that are set, with the very values."""
    return all(
        artifact.metadata.get(name) is getattr(artifact, name)
        and (name in artifact.metadata) == (getattr(artifact, name) is not None)
        for name in type(artifact)._own_fields
    )


# -- construction ------------------------------------------------------------------------------------------


def test_fields_are_taken_from_metadata_and_show_in_it() -> None:
    artifact = ModelArtifact(path=Path("/data"), step=3, metadata={"final_loss": 2.5, "note": "x"})
    assert artifact.final_loss == 2.5
    assert artifact.metadata == {"final_loss": 2.5, "note": "x", "step": 3}


def test_an_explicit_field_wins() -> None:
    artifact = ModelArtifact(path="/data", step=3, final_loss=None, metadata={"step": 9, "final_loss": 1.0})
    assert (artifact.step, artifact.final_loss) == (3, None)
    assert artifact.metadata == {"step": 3}


def test_the_callers_dictionary_is_not_touched() -> None:
    given_metadata = {"note": "x"}
    artifact = ModelArtifact(path="/data", step=3, metadata=given_metadata)
    artifact.metadata["more"] = 1
    assert given_metadata == {"note": "x"}


def test_loss_is_accepted_as_final_loss() -> None:
    assert ModelArtifact(path="/data", step=1, loss=2.5).final_loss == 2.5  # type: ignore[call-arg]
    with pytest.raises(ValidationError, match="'los': did you mean loss"):
        ModelArtifact(path="/data", step=1, los=2.5)  # type: ignore[call-arg]


@pytest.mark.parametrize(
    ("misspelt", "meant"), [("total_token", "total_tokens"), ("num_shard", "num_shards"), ("pth", "path")]
)
def test_an_unknown_keyword_is_refused_with_the_nearest(misspelt: str, meant: str) -> None:
    with pytest.raises(ValidationError, match=f"{misspelt!r}: did you mean {meant}"):
        PretrainBlendsArtifact(path="/data", **{misspelt: 3})  # type: ignore[arg-type]


def test_an_unknown_keyword_with_nothing_near_lists_the_fields() -> None:
    with pytest.raises(ValidationError, match="no field 'zzz': there is created_at, final_loss, loss"):
        ModelArtifact(path="/data", step=1, zzz=3)  # type: ignore[call-arg]


def test_the_base_class_keeps_unknown_keywords() -> None:
    artifact = Artifact(path="/data", rows=3, metadata={"rows": 4, "note": "x"})  # type: ignore[call-arg]
    assert artifact.metadata == {"rows": 3, "note": "x"}


def test_a_subclass_without_fields_is_typed_all_the_same() -> None:
    class BareArtifact(Artifact):
        """Nothing of its own."""

    with pytest.raises(ValidationError, match="BareArtifact has no field 'rows'"):
        BareArtifact(path="/data", rows=3)  # type: ignore[call-arg]


def test_what_was_stored_may_have_unknown_fields() -> None:
    document = {"path": "/data", "step": 3, "final_loss": None, "novel": 1, "metadata": {"final_loss": 2.0}}
    artifact = ModelArtifact.model_validate(document, context=STORED)
    assert artifact.metadata == {"step": 3, "final_loss": 2.0, "novel": 1}


@pytest.mark.parametrize("given_type", [None, "artifact"])
def test_type_is_the_class(given_type: str | None) -> None:
    fields = {} if given_type is None else {"type": given_type}
    assert Artifact(path="/data", **fields).type == "Artifact"
    assert ModelArtifact(path="/data", step=1, **fields).type == "ModelArtifact"
    assert ModelArtifact(path="/data", step=1, type="model").type == "model"


def test_a_class_may_have_a_type_of_its_own() -> None:
    class ReportArtifact(Artifact):
        type: str = "report"

    assert ReportArtifact(path="/data").type == "report"


def test_created_at_is_iso_with_a_zone() -> None:
    moment = datetime.fromisoformat(Artifact(path="/data").created_at)
    assert moment.tzinfo is not None
    naive = Artifact(path="/data", created_at=datetime(2025, 1, 1))  # type: ignore[arg-type]
    assert datetime.fromisoformat(naive.created_at).tzinfo is not None


@pytest.mark.parametrize("name", ["", "a b", "../x", "v3", "a//b", "x" * 200])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="Invalid artifact name"):
        Artifact(path="/data", name=name)


# -- assignment --------------------------------------------------------------------------------------------


def test_assignment_shows_in_metadata() -> None:
    artifact = make()
    held = artifact.metadata
    artifact.count = 7
    artifact.loss = 0.5
    assert held is artifact.metadata
    assert (held["count"], held["loss"]) == (7, 0.5)
    artifact.loss = None
    assert "loss" not in held


def test_writing_metadata_reaches_the_fields() -> None:
    artifact = make()
    artifact.metadata["count"] = 7
    artifact.metadata.update(loss=1, colour="red", note="x")
    artifact.metadata |= {"tags": ["a"]}
    assert (artifact.count, artifact.loss, artifact.colour, artifact.tags) == (7, 1.0, Colour.RED, ["a"])
    assert artifact.metadata["colour"] is Colour.RED
    assert artifact.metadata.setdefault("when", "2025-01-01T00:00:00+00:00") == datetime(
        2025, 1, 1, tzinfo=UTC
    )
    assert artifact.metadata.setdefault("count", 9) == 7
    assert in_step(artifact)


def test_a_change_inside_a_value_is_seen_on_both_sides() -> None:
    artifact = make()
    artifact.tags.append("a")
    artifact.metadata["limits"]["x"] = 1.0
    assert artifact.metadata["tags"] == ["a"]
    assert artifact.limits == {"x": 1.0}


def test_a_wrong_value_is_refused_and_changes_nothing() -> None:
    artifact = make(loss=1.0)
    before = dict(artifact.metadata)
    for wrong in (
        lambda: setattr(artifact, "count", -1),
        lambda: artifact.metadata.__setitem__("count", "many"),
        lambda: artifact.metadata.update(count=-1),
        lambda: setattr(artifact, "metadata", {"loss": 2.0, "count": -1}),
        lambda: setattr(artifact, "metadata", 3),
        lambda: setattr(artifact, "path", ""),
    ):
        with pytest.raises(ValidationError):
            wrong()
    assert artifact.metadata == before
    assert in_step(artifact)


def test_an_unknown_attribute_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValidationError, match="did you mean count"):
        make().coutn = 3  # type: ignore[attr-defined]


def test_assigning_metadata_keeps_the_fields_that_it_does_not_name() -> None:
    artifact = make(loss=1.0)
    held = artifact.metadata
    held["note"] = "old"
    artifact.metadata = {"loss": 2, "extra": True}
    assert (artifact.count, artifact.loss) == (1, 2.0)
    assert held == {"count": 1, "loss": 2.0, "extra": True, "tags": [], "limits": {}}
    assert artifact.metadata is held


def test_taking_away() -> None:
    artifact = make(loss=1.0, metadata={"note": "x", "more": 1})
    del artifact.metadata["loss"]
    assert artifact.loss is None
    assert artifact.metadata.pop("note") == "x"
    assert artifact.metadata.pop("note", None) is None
    assert artifact.metadata.popitem() == ("more", 1)
    with pytest.raises(KeyError):
        artifact.metadata.popitem()
    with pytest.raises(KeyError):
        del artifact.metadata["note"]
    with pytest.raises(MisuseError, match="count is a required field"):
        del artifact.metadata["count"]
    artifact.tags = ["a"]
    artifact.metadata["other"] = 2
    artifact.metadata.clear()
    assert artifact.metadata == {"count": 1, "tags": [], "limits": {}}
    assert in_step(artifact)


def test_metadata_outlives_its_artifact_as_a_plain_dictionary() -> None:
    metadata = make().metadata
    gc.collect()
    metadata["count"] = "anything"
    assert metadata["count"] == "anything"


VALUES = {
    "count": st.integers(0, 10**18) | st.integers(0, 1000).map(np.int64) | st.just(-1) | st.just("x"),
    "loss": st.none() | st.floats() | st.floats(width=32).map(np.float32) | st.just("no number"),
    "tags": st.lists(st.text(max_size=3), max_size=2) | st.just(3),
    "note": st.none() | st.integers() | st.text(max_size=5),
}


@given(st.data())
def test_in_step_after_any_sequence_of_changes(data: st.DataObject) -> None:
    artifact = make()
    for _ in range(data.draw(st.integers(1, 8))):
        name = data.draw(st.sampled_from(sorted(VALUES)))
        value = data.draw(VALUES[name])
        way = data.draw(st.sampled_from(["attribute", "item", "whole", "delete"]))
        before = dict(artifact.metadata)
        try:
            if way == "attribute" and name != "note":
                setattr(artifact, name, value)
            elif way == "item":
                artifact.metadata[name] = value
            elif way == "whole":
                artifact.metadata = {**artifact.metadata, name: value}
            else:
                artifact.metadata.pop(name, None)
        except (ValidationError, MisuseError):
            assert repr(dict(artifact.metadata)) == repr(before)
        assert in_step(artifact)
    document = json.loads(json.dumps(artifact.to_document()))
    again = EverythingArtifact.model_validate(document, context=STORED)
    assert repr(again.to_document()) == repr(artifact.to_document())
    assert in_step(again)


# -- values that survive -----------------------------------------------------------------------------------


def test_rich_values_survive_a_round_trip() -> None:
    moment = datetime(2025, 1, 2, 3, 4, 5, tzinfo=UTC)
    artifact = make(
        count=np.int64(3),
        loss=np.float32(0.5),
        when=moment,
        colour=Colour.RED,
        where=Path("/x"),
        metadata={
            "nan": math.nan,
            "inf": -math.inf,
            "scalar": np.float64(2.5),
            "path": Path("/y"),
            "t": moment,
        },
    )
    document = json.loads(json.dumps(artifact.to_document()))
    again = EverythingArtifact.model_validate(document, context=STORED)
    assert (again.count, again.loss, again.when) == (3, 0.5, moment)
    assert (again.colour, again.where) == (Colour.RED, Path("/x"))
    assert math.isnan(again.metadata["nan"])
    assert again.metadata["inf"] == -math.inf
    assert (again.metadata["scalar"], again.metadata["path"]) == (2.5, "/y")
    assert again.metadata["t"] == moment.isoformat()


def test_a_value_without_a_json_form_is_named() -> None:
    with pytest.raises(InvalidMetadataError, match=r"metadata\['model'\]"):
        Artifact(path="/data", metadata={"model": object()}).to_document()


def test_metrics_are_the_numbers() -> None:
    artifact = Artifact(
        path="/data",
        metadata={
            "a": 1,
            "b": True,
            "c": np.float32(0.5),
            "d": np.int8(2),
            "e": "3",
            "f": math.inf,
            "g": np.True_,
        },
    )
    assert artifact.metrics == {"a": 1.0, "c": 0.5, "d": 2.0, "f": math.inf}
    assert all(type(value) is float for value in artifact.metrics.values())


@pytest.mark.parametrize(
    "copied",
    [
        lambda a: pickle.loads(pickle.dumps(a)),
        copy.copy,
        copy.deepcopy,
        lambda a: a.model_copy(),
        lambda a: a.model_copy(deep=True),
        lambda a: type(a)(**vars(a)),
    ],
    ids=["pickle", "copy", "deepcopy", "model_copy", "model_copy(deep)", "again"],
)
def test_a_copy_is_equal_and_has_a_dictionary_of_its_own(copied: Any) -> None:
    artifact = make(loss=0.5, metadata={"note": "x"}, tags=["a"])
    again = copied(artifact)
    assert again == artifact
    again.count = 5
    again.metadata["note"] = "y"
    assert (artifact.count, artifact.metadata["count"], artifact.metadata["note"]) == (1, 1, "x")
    again.metadata["count"] = 6
    assert again.count == 6
    assert in_step(again)
    assert in_step(artifact)


def test_model_copy_validates_its_changes() -> None:
    artifact = make()
    assert artifact.model_copy(update={"count": 4}).metadata["count"] == 4
    with pytest.raises(ValidationError):
        artifact.model_copy(update={"count": -4})


def test_copies_of_metadata_are_plain() -> None:
    artifact = make()
    for plain in (copy.copy(artifact.metadata), copy.deepcopy(artifact.metadata), artifact.metadata.copy()):
        assert type(plain) is dict
        assert plain == artifact.metadata


def test_pydantic_sees_a_dictionary() -> None:
    artifact = make(loss=math.nan)
    assert '"loss":NaN' in artifact.model_dump_json()
    assert artifact.model_dump()["metadata"]["count"] == 1
    assert "count" in EverythingArtifact.model_json_schema()["properties"]


# -- what it says ------------------------------------------------------------------------------------------


def test_str_is_json() -> None:
    assert json.loads(str(ModelArtifact(path="/data", step=1))) == {"path": "/data", "type": "ModelArtifact"}
    assert json.loads(Artifact(path="data").to_json())["path"] == str(Path("data").absolute())


def test_repr_says_what_is_set() -> None:
    artifact = PretrainBlendsArtifact(
        path="/data",
        name="a/b",
        num_shards=4,
        source_datasets=[InputDatasetInfo("hf://a/b"), "x", "y", "z"],
        metadata={"note": "x"},
    )
    text = repr(artifact)
    assert text.startswith(
        "PretrainBlendsArtifact(path='/data', name='a/b', source_datasets=[InputDatasetInfo("
    )
    assert text.endswith("'x', 'y', … 1 more], num_shards=4, metadata={'note': 'x'})")


def test_uri_and_art_path() -> None:
    artifact = Artifact(path="/data")
    assert (artifact.uri, artifact.art_path) == (None, "art:///data")
    artifact.name = "nano3/data"
    assert artifact.art_path == "art://nano3/data"
    artifact._name, artifact._version = "nano3-data", 3
    assert artifact.uri == artifact.art_path == "art://nano3-data:v3"


def test_the_derived_name() -> None:
    artifact = ModelArtifact(path="/data", step=1)
    assert artifact._derive_artifact_name("nano3/sft/data?sample=10") == "nano3-sft-data-sample-10"
    assert artifact._derive_artifact_name(None) == "ModelArtifact"
    artifact.name = "nano3/model"
    assert artifact._derive_artifact_name() == "nano3-model"


def test_class_settings_are_not_inherited_by_accident() -> None:
    class OpenArtifact(Artifact):
        """Keeps what it does not know."""

        _keeps_unknown: ClassVar[bool] = True
        rows: int = 0

    assert OpenArtifact(path="/data", colour="red").metadata == {"colour": "red", "rows": 0}  # type: ignore[call-arg]


# -- showing -----------------------------------------------------------------------------------------------


def test_a_notebook_shows_a_table_with_everything_escaped() -> None:
    artifact = Artifact(
        path="/a<b>", metadata={"<script>": "<img onerror=x>", "tokens": 25_000_000, "long": "x" * 500}
    )
    shown = artifact._repr_html_()
    assert "<script>" not in shown
    assert "<img" not in shown
    assert "/a&lt;b&gt;" in shown
    assert "25,000,000" in shown
    assert "x" * 200 + "…" in shown
    many = Artifact(path="/a", metadata={f"key{index}": index for index in range(100)})
    assert "… 62 more in .metadata" in many._repr_html_()


def test_rich_shows_what_repr_says() -> None:
    import io

    from rich.console import Console

    out = io.StringIO()
    Console(file=out, width=200).print(ModelArtifact(path="/m", step=3, metadata={"[bold]": "[red]x"}))
    assert out.getvalue() == "ModelArtifact(path='/m', step=3, metadata={'[bold]': '[red]x'})\n"
