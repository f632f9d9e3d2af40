"""What is different between the runs that made two versions, in the order in which people ask."""

import itertools

import pytest

from nemotron.kit.console.questions import DiffView, ReasonsView
from nemotron.kit.documents.edge import InputEdge
from nemotron.kit.documents.run import RunEnvironment, RunStart
from nemotron.kit.lineage import questions
from nemotron.kit.registry import layout
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.registry.stamps import uuid7
from nemotron.kit.store.memory import MemoryStore


@pytest.fixture
def registry() -> Registry:
    return Registry(MemoryStore())


def ran(registry: Registry, environment: RunEnvironment | None = None, **start: object) -> str:
    run_id = uuid7()
    registry.store.create(layout.run_start(run_id), RunStart(id=run_id, **start).to_bytes())  # type: ignore[arg-type]
    if environment:
        registry.store.create(layout.run_environment(run_id), environment.to_bytes())
    return run_id


def model(registry: Registry, run: str | None, **metadata: object) -> str:
    draft = Draft(name="model", source="s3://b/x", type="ModelArtifact", run=run, metadata=metadata)
    return registry.publish(draft).record.uri


def test_config_seeds_code_and_packages(registry: Registry) -> None:
    said = {"commit": "a" * 40, "branch": "main", "dirty": False, "entry_digest": "blake3:1"}
    old = RunEnvironment(packages={"torch": "2.1", "numpy": "1"}, **said)
    new = RunEnvironment(
        packages={"torch": "2.2", "rich": "1"}, **(said | {"dirty": True, "diff": "blake3:d"})
    )
    config = {"optim": {"lr": 0.1, "betas": [0.9, 0.95]}, "name": "x"}
    first = model(registry, ran(registry, old, config=config, seeds={"seed": 1}, python="3.11"), loss=2.0)
    config = {"optim": {"lr": 0.2, "betas": [0.9, 0.95]}, "extra": None, "name": "x"}
    second = model(registry, ran(registry, new, config=config, seeds={"seed": 2}, python="3.11"), loss=1.0)
    compared = questions.diff(registry, first, second)
    document = DiffView(compared).document()
    assert document["config"] == {"optim.lr": {"a": 0.1, "b": 0.2}}
    assert document["seeds"] == {"seed": {"a": 1, "b": 2}}
    assert document["code"] == {"uncommitted": {"b": "blake3:d"}}
    assert document["packages"] == {
        "torch": {"a": "2.1", "b": "2.2"},
        "numpy": {"a": "1"},
        "rich": {"b": "1"},
    }
    assert list(document)[:14] == [
        *(
            "a",
            "b",
            "same",
            "type",
            "inputs",
            "uses",
            "composition",
            "config",
            "seeds",
            "run",
            "code",
            "packages",
            "metrics",
            "metadata",
        )
    ]
    lines = str(DiffView(compared).render()).splitlines()
    assert [line.split()[0] for line in lines[1:]] == [
        *("config", "seeds", "code", "package", "package", "package", "metadata")
    ]
    assert not compared.here.same


def test_of_one_run_nothing_differs_and_of_unknown_ones_nothing_is_said(registry: Registry) -> None:
    run = ran(registry, RunEnvironment(packages={}), config={"lr": 1})
    uris = [model(registry, one, n=at) for at, one in enumerate((run, run, uuid7(), None, ran(registry)))]
    found = [questions.diff(registry, uris[0], other).here for other in uris[1:]]
    assert (found[0].config, found[0].packages) == ((), ())
    assert [one.config for one in found[1:3]] == [None, None]
    assert (found[3].config is not None, found[3].code) == (True, None)


def blends(registry: Registry, *blends: tuple[float, float]) -> list[str]:
    """Versions of one blend of two sources, by their weights."""
    uris = []
    for weights in blends:
        sources = [{"uri": f"hf://{name}", "weight": one} for name, one in zip("ab", weights, strict=True)]
        draft = Draft(name="blend", source="s3://b/x", type="Data", metadata={"source_datasets": sources})
        uris.append(registry.publish(draft).record.uri)
    return uris


def test_shares_of_sources_that_moved(registry: Registry) -> None:
    compared = questions.diff(registry, *blends(registry, (1, 1), (3, 1)))
    assert DiffView(compared).document()["composition"] == {
        **{"hf://a": {"a": 0.5, "b": 0.75}, "hf://b": {"a": 0.5, "b": 0.25}}
    }
    assert "  share     ~ hf://a: 50.00% → 75.00%" in str(DiffView(compared).render())


def test_shares_that_hardly_moved_are_told_apart_and_noise_is_none(registry: Registry) -> None:
    uris = blends(registry, (106, 9894), (106.2, 9893.8), (1062, 98938.0000001), (1062, 98939))
    nearly, noise, one_token = (
        str(DiffView(questions.diff(registry, *pair)).render()) for pair in itertools.pairwise(uris)
    )
    assert "  share     ~ hf://a: 1.060% → 1.062%" in nearly
    assert "  share " not in noise
    assert "  share     ~ hf://a: 1.06200% → 1.06199%" in one_token


def test_the_first_cause_is_first_though_its_last_effect_used_it_as_well(registry: Registry) -> None:
    used: tuple[str, ...]
    for version in (1, 2):
        for name, inputs in (
            ("text", ()),
            ("tokens", ("text",)),
            ("base", ("tokens",)),
            ("tuned", ("base", "text")),
        ):
            used = tuple(f"{one}:v{version}" for one in inputs)
            draft = Draft(name=name, source="s3://b/x", used_artifacts=used, metadata={"round": version})
            registry.publish(draft)
    compared = questions.diff(registry, "tuned:v1", "tuned:v2")
    causes = [f"art://{name}:v2" for name in ("text", "tokens", "base")]
    assert [one.after for one in compared.upstream] == causes


def test_of_nested_metadata_people_are_shown_what_changed(registry: Registry) -> None:
    sources = [{"uri": "hf://a", "weight": 0.5}, {"uri": "hf://b", "weight": 0.5}]
    first = model(registry, None, source_datasets=sources, kept={"a": [1]})
    second = model(
        registry, None, source_datasets=[sources[0], sources[1] | {"weight": 0.7}], kept={"a": [1]}
    )
    view = DiffView(questions.diff(registry, first, second))
    assert "  metadata  ~ source_datasets.1.weight: 0.5 → 0.7" in str(view.render()).splitlines()
    assert list(view.document()["metadata"]) == ["source_datasets"]


def test_uses_are_shown_with_what_they_were_and_what_they_are(registry: Registry) -> None:
    registry.publish(Draft(name="data", source="s3://b/x"))
    uri, many = "art://data:v1", tuple(f"part-{at}" for at in range(6))
    before = (
        InputEdge(uri=uri, role="data", weight=0.5, shards=many[:2]),
        InputEdge(uri=uri, role="eval", split="test"),
        InputEdge(uri="hf://x", revision="r1"),
    )
    after = (
        InputEdge(uri=uri, role="data", weight=0.7, shards=many[1:], token_range=(0, 1000)),
        InputEdge(uri="hf://x", role="tokenizer", revision="r2"),
        InputEdge(uri="hf://y", role="tokenizer", tokens=20_000),
    )
    used: tuple[str, ...]
    for edges, used in ((before, ("hf://x",)), (after, ("hf://x", "hf://y"))):
        draft = Draft(name="m", source="s3://b/x", used_artifacts=("data:v1",), inputs=used, edges=edges)
        registry.publish(draft)
    view = DiffView(questions.diff(registry, "m:v1", "m:v2"))
    assert str(view.render()).splitlines()[1:8] == [
        "  input     + hf://y",
        f"  use       ~ {uri} as data shards: 2 shards → 5 shards (- part-0, + part-2, + part-3, … 2 more)",
        f"  use       ~ {uri} as data token_range: unsaid → 0 to 1,000",
        f"  use       ~ {uri} as data weight: 0.5 → 0.7",
        f"  use       - {uri}  as eval: split test",
        "  use       ~ hf://x role: unsaid → tokenizer",
        "  use       ~ hf://x as tokenizer revision: r1 → r2",
    ]
    assert list(view.lines())[:4] == ["input hf://y", f"use {uri}", "use hf://x", "use hf://y"]
    (whole,) = [one for one in view.document()["uses"] if one["a"] == one["b"] == uri]
    assert whole["fields"]["shards"] == {"a": list(many[:2]), "b": list(many[1:])}
    why = ReasonsView(questions.why(registry, "m:v2"))
    assert why.document()["previous"]["uses"] == view.document()["uses"]
