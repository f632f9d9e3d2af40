"""blend.json."""

import json
from pathlib import Path
from typing import Any

import pytest

from nemotron.kit.errors import CorruptError
from nemotron.kit.formats import blend
from nemotron.kit.formats.blend import Share


def read(folder: Path, content: Any) -> blend.Blend:
    path = folder / "blend.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return blend.read(path)


@pytest.mark.parametrize("flat", [["0.7", "a", 0.3, "sub/b.idx"], [[0.7, "a"], ["0.3", "sub/b"]]])
def test_a_flat_list(tmp_path: Path, flat: Any) -> None:
    found = read(tmp_path, flat)
    assert found.splits == {"all": (Share(str(tmp_path / "a"), 0.7), Share(str(tmp_path / "sub/b"), 0.3))}


def test_splits_and_what_they_share(tmp_path: Path) -> None:
    found = read(tmp_path, {"train": ["1", "a", "2", "/abs/b"], "validation": ["1", "a"], "test": None})
    assert list(found.splits) == ["train", "valid"]
    assert found.shards == (str(tmp_path / "a"), "/abs/b")


@pytest.mark.parametrize("paths", [["a"], ["a", "b", "c"], ["a", "b"]])
def test_paths_alone(tmp_path: Path, paths: list[str]) -> None:
    assert read(tmp_path, paths).splits["all"] == tuple(Share(str(tmp_path / p), None) for p in paths)


@pytest.mark.parametrize("empty", [[], {"train": []}, {"train": None}])
def test_an_empty_one_names_nothing(tmp_path: Path, empty: Any) -> None:
    assert read(tmp_path, empty).shards == ()


@pytest.mark.parametrize(
    "other", [{}, {"datasets": []}, 3, None, "x", ["1", 2], [None], {"train": {"a": 1}}, [["1"]], ["1", ""]]
)
def test_other_shapes_are_unknown_and_not_empty(tmp_path: Path, other: Any) -> None:
    with pytest.raises(blend.UnknownBlendError, match=r"blend\.json is no blend"):
        read(tmp_path, other if other != "x" else '"x"')


@pytest.mark.parametrize("weight", ["NaN", "-1", "Infinity", "1e999"])
def test_a_weight_that_can_not_weigh(tmp_path: Path, weight: str) -> None:
    with pytest.raises(CorruptError, match="has the weight"):
        read(tmp_path, f'[{weight}, "a"]')


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "[]" * 3])
def test_what_is_no_json(tmp_path: Path, text: str) -> None:
    with pytest.raises(CorruptError, match=r"blend\.json is damaged"):
        read(tmp_path, text)
