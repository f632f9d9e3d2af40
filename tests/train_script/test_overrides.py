import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf

from nemotron.kit.errors import MisuseError
from nemotron.kit.train_script import apply_hydra_overrides, load_omegaconf_yaml

BASE: dict[Any, Any] = {
    "train": {"lr": 0.1, "steps": 1000, "decay": 0, "name": "nano", "ids": [1, 2, 3], "bf16": True},
    "data": {"path": None, "seed": "???", "copy": "${train.lr}", "parts": [{"a": 1}]},
    "ref": "${train}",
    "no_cache": False,
    "use-ema": False,
    "extra": {},
    1: {"z": 2},
}


def plain(config: DictConfig) -> dict[Any, Any]:
    result = OmegaConf.to_container(config, resolve=False)
    assert isinstance(result, dict)
    return {key: value for key, value in result.items() if isinstance(key, str | int)}


def applied(*overrides: str, base: Mapping[Any, Any] = BASE, strict: bool = True) -> dict[Any, Any]:
    return plain(apply_hydra_overrides(OmegaConf.create(dict(base)), overrides, strict=strict))


def changed(path: tuple[Any, ...], value: Any) -> dict[Any, Any]:
    """Say by hand what the base is after one change."""
    expected = copy.deepcopy(BASE)
    node: Any = expected
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return expected


def refusal(*overrides: str, base: Any = BASE) -> str:
    with pytest.raises(MisuseError) as caught:
        apply_hydra_overrides(OmegaConf.create(base), overrides)
    return caught.value.message


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("train.lr=3e-4", ("train", "lr"), 3e-4),
        ("train.lr=1", ("train", "lr"), 1.0),
        ("train.lr=null", ("train", "lr"), None),
        ("train.lr=${train.decay}", ("train", "lr"), "${train.decay}"),
        ("train.lr=???", ("train", "lr"), "???"),
        ("train.steps=20", ("train", "steps"), 20),
        ("train.steps=2e3", ("train", "steps"), 2000),
        ("train.decay=0.1", ("train", "decay"), 0.1),
        ("train.name=other", ("train", "name"), "other"),
        ("train.name=a=b", ("train", "name"), "a=b"),
        ("train.name=", ("train", "name"), ""),
        ("train.name=2024", ("train", "name"), 2024),
        ("train.ids=[4]", ("train", "ids"), [4]),
        ("train.ids[1]=9", ("train", "ids", 1), 9),
        ("train.ids.1=9", ("train", "ids", 1), 9),
        ("train.ids[-1]=9", ("train", "ids", 2), 9),
        ("train.bf16=off", ("train", "bf16"), False),
        ("train.bf16=0", ("train", "bf16"), False),
        ("train={lr: 2, ids: []}", ("train",), {**BASE["train"], "lr": 2.0, "ids": []}),
        ("train=null", ("train",), None),
        ("data.path=/x", ("data", "path"), "/x"),
        ("data.path=[a, b]", ("data", "path"), ["a", "b"]),
        ("data.seed=3", ("data", "seed"), 3),
        ("data.copy=abc", ("data", "copy"), "abc"),
        ("data.parts[0].a=5", ("data", "parts", 0, "a"), 5),
        ("ref={x: 1}", ("ref",), {"x": 1}),
        ("extra={x: 1}", ("extra", "x"), 1),
        ("1.z=5", (1, "z"), 5),
        ("--train.lr=2", ("train", "lr"), 2.0),
        ("--use-ema", ("use-ema",), True),
        ("--use-ema=true", ("use-ema",), True),
        ("--no-train.bf16", ("train", "bf16"), False),
        ("--no-cache", ("no_cache",), True),
        ("--no-no-cache", ("no_cache",), False),
        ("--data.seed", ("data", "seed"), True),
        ("+train.new=1", ("train", "new"), 1),
        ("+a.b.c=1", ("a",), {"b": {"c": 1}}),
        ("+train.ids[3]=4", ("train", "ids"), [1, 2, 3, 4]),
        ("+data.path.x=1", ("data", "path"), {"x": 1}),
        ("+data.seed.x=1", ("data", "seed"), {"x": 1}),
        ("++train.lr=abc", ("train", "lr"), "abc"),
        ("++train.new=1", ("train", "new"), 1),
        ("++train=5", ("train",), 5),
    ],
)
def test_one_override(override: str, path: tuple[Any, ...], value: Any) -> None:
    result = applied(override)
    assert result == changed(path, value)
    for key in path:
        result = result[key]
    assert type(result) is type(value)


def test_deletion() -> None:
    assert "lr" not in applied("~train.lr")["train"]
    assert "lr" not in applied("~train.lr=0.1")["train"]
    assert applied("~train.ids[0]")["train"]["ids"] == [2, 3]
    assert "ref" not in applied("~ref")
    assert "the config has 0.1 (float) there, not 0.2 (float)" in refusal("~train.lr=0.2")
    assert "Did you mean 'train.lr'?" in refusal("~train.lrr")


def test_overrides_are_applied_in_order() -> None:
    assert applied("+new=1", "new=2", "~train", "+train.x=${new}")["train"] == {"x": "${new}"}


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("trian.lr=0.1", ["No key 'trian.lr' in the config", "Did you mean 'train.lr'?", "'+trian.lr=0.1'"]),
        ("train.stps=1", ["No key 'train.stps'", "'train.steps'"]),
        ("TRAIN.LR=1", ["'train.lr'"]),
        ("lr=1", ["'train.lr'"]),
        ("train.ids[5]=1", ["'train.ids[5]'"]),
        ("zzzzz=1", ["No key 'zzzzz'", "There is: train, data, ref, no_cache"]),
        ("train={lrr: 2}", ["No key 'train.lrr'", "'train.lr'", "'+train.lrr=2'"]),
        (
            "train.lr=abc",
            ["train.lr: expected float, found 'abc' (str)", "has 0.1 (float)", "'++train.lr=abc'"],
        ),
        ("train.steps=many", ["expected int, found 'many' (str)"]),
        ("train.steps=1.5", ["expected int, found 1.5 (float)"]),
        ("train.steps=inf", ["expected int, found inf (float)"]),
        ("train.steps=true", ["expected int, found True (bool)"]),
        ("train.bf16=maybe", ["expected bool, found 'maybe' (str)"]),
        ("train.bf16=2", ["expected bool, found 2 (int)"]),
        ("train.name=[a]", ["expected str, found ['a'] (list)"]),
        ("train.ids=4", ["expected list, found 4 (int)", "train.ids=[…]"]),
        ("train=5", ["train: expected map, found 5 (int)", "train.lr"]),
        ("train.ids=[1,2", ["train.ids: '[1,2' is not a list or map", "\"train.ids='[1,2'\""]),
        ("ref.lr=1", ["'ref' is an interpolation in the config (${train})"]),
        ("+ref.new=1", ["'ref' is an interpolation"]),
        ("+train.lr=1", ["+train.lr=1: 'train.lr' is already in the config"]),
        ("+train.lr.x=1", ["'train.lr' holds 0.1 (float)"]),
        ("+train.ids[7]=1", ["nothing can be added to it but train.ids[3]"]),
        ("--train.steps", ["'train.steps' is no switch", "--train.steps=VALUE"]),
        ("--no-bogus", ["No key 'bogus'", "'+bogus=false'"]),
        ("--tarin.bf16", ["'train.bf16'"]),
        *((text, [f"{text!r} is not an override"]) for text in ("foo", "-x", "-x=1", "=1", "a..b=1", ".a=1")),
        *((text, [f"{text!r} is not an override"]) for text in ("", "--", "~", "+", "+x", "a[=1", "a b=1")),
    ],
)
def test_what_does_not_fit_is_refused_and_says_what_would(override: str, says: list[str]) -> None:
    message = refusal(override)
    for words in says:
        assert words in message


def test_every_problem_is_told_at_once_and_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "nano.yaml"
    path.write_text("train:\n  lr: 0.1\n")
    config = load_omegaconf_yaml(path)
    with pytest.raises(MisuseError) as caught:
        apply_hydra_overrides(config, ["trian.lr=1", "train.lr=x"])
    unknown, wrong = caught.value.message.splitlines()
    assert unknown.startswith(f"No key 'trian.lr' in {path}.")
    assert f"{path} has 0.1" in wrong
    again = apply_hydra_overrides(config, ["+train.steps=3"])
    with pytest.raises(MisuseError, match=str(path)):
        apply_hydra_overrides(again, ["bogus=1"])


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("trian.lr=1", ("trian",), {"lr": 1}),
        ("train.lr=abc", ("train", "lr"), "abc"),
        ("train.ids=3", ("train", "ids"), 3),
        ("train={q: 1}", ("train", "q"), 1),
        ("train.lr.x=1", ("train", "lr"), {"x": 1}),
        ("--new-flag", ("new_flag",), True),
        ("--no-new-flag", ("new_flag",), False),
        ("--new.flag=3", ("new",), {"flag": 3}),
        ("+new=1", ("new",), 1),
    ],
)
def test_not_strict_is_the_old_way(override: str, path: tuple[Any, ...], value: Any) -> None:
    assert applied(override, strict=False) == changed(path, value)


def test_not_strict_deletes_what_is_not_there() -> None:
    assert applied("~bogus", strict=False) == BASE
    with pytest.raises(MisuseError, match="is not an override"):
        applied("bogus", strict=False)


def test_the_input_is_not_changed() -> None:
    config = OmegaConf.create(BASE)
    result = apply_hydra_overrides(config, ["train.lr=5", "~data", "+train.ids[3]=4"])
    assert plain(config) == BASE
    assert result is not config
    given_dict = {"a": {"b": [1]}}
    assert apply_hydra_overrides(given_dict, ["a.b[0]=2"]) == {"a": {"b": [2]}}
    assert given_dict == {"a": {"b": [1]}}


def test_a_part_of_a_config_still_reaches_the_whole() -> None:
    whole = OmegaConf.create({"lr": 1, "train": {"lr": "${lr}", "steps": 1}})
    assert apply_hydra_overrides(whole.train, ["steps=2"]).lr == 1


def test_struct_and_read_only_configs() -> None:
    config = OmegaConf.create({"a": {"b": 1}})
    OmegaConf.set_struct(config, True)
    assert apply_hydra_overrides(config, ["+a.c=1", "~a.b"]) == {"a": {"c": 1}}
    OmegaConf.set_readonly(config, True)
    with pytest.raises(MisuseError, match="read-only"):
        apply_hydra_overrides(config, ["a.b=2"])


class Color(Enum):
    RED = 1
    BLUE = 2


@dataclass
class Sub:
    count: int = 1


@dataclass
class Typed:
    lr: float = 0.1
    name: str = "x"
    color: Color = Color.RED
    path: Path = Path("a")
    sub: Sub = field(default_factory=Sub)
    limits: dict[str, int] = field(default_factory=dict)


def test_a_structured_config_checks_by_its_own_types() -> None:
    config = OmegaConf.structured(Typed)
    result = apply_hydra_overrides(
        config, ["name=5", "color=BLUE", "path=b", "sub.count=2", "+limits.x=3", "lr=1"]
    )
    assert OmegaConf.to_object(result) == Typed(1.0, "5", Color.BLUE, Path("b"), Sub(2), {"x": 3})
    for override, words in (
        ("color=GREEN", "GREEN"),
        ("name=null", "name=null"),
        ("+limits.x=abc", "abc"),
        ("sub.cuont=1", "'sub.count'"),
    ):
        with pytest.raises(MisuseError, match=words):
            apply_hydra_overrides(config, [override])


@pytest.mark.parametrize("config", [None, 3, ["a"], OmegaConf.create(["a"])])
def test_only_maps_are_configs(config: Any) -> None:
    with pytest.raises(MisuseError, match="must be a map"):
        apply_hydra_overrides(config, [])


def test_one_text_is_no_list_of_overrides() -> None:
    with pytest.raises(MisuseError, match="must be a list"):
        apply_hydra_overrides({}, "a=1")


KEYS = st.text("abcdef_", min_size=1, max_size=5)
LEAVES = st.none() | st.booleans() | st.integers(-9, 9) | st.text("xyz ", min_size=1, max_size=3)
CONFIGS = st.recursive(
    st.dictionaries(KEYS, LEAVES, max_size=3),
    lambda inner: st.dictionaries(KEYS, LEAVES | inner, max_size=3),
    max_leaves=8,
)


def leaves(config: Any, prefix: str = "") -> list[tuple[str, Any]]:
    return [
        found
        for key, value in config.items()
        for found in (
            leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else [(f"{prefix}{key}", value)]
        )
    ]


@given(CONFIGS)
def test_adding_every_leaf_makes_the_config_and_setting_it_changes_nothing(config: dict[str, Any]) -> None:
    written = [
        (path, f"'{value}'" if isinstance(value, str) else str(value).lower())
        for path, value in leaves(config)
    ]
    made = apply_hydra_overrides({}, [f"+{path}={value}" for path, value in written])
    assert leaves(plain(made)) == leaves(config)
    assert apply_hydra_overrides(config, [f"{path}={value}" for path, value in written]) == config


@given(CONFIGS, st.lists(st.text("abcdef_=.[]{}~+-'\"01 ", max_size=8), max_size=4), st.booleans())
def test_the_input_survives_any_override(config: dict[str, Any], overrides: list[str], strict: bool) -> None:
    original = OmegaConf.create(config)
    try:
        result = apply_hydra_overrides(original, overrides, strict=strict)
    except MisuseError:
        assert overrides
    else:
        assert isinstance(result, DictConfig)
    assert plain(original) == config


@given(CONFIGS.filter(bool), st.data())
def test_a_key_that_is_not_there_is_never_added_by_itself(config: dict[str, Any], data: Any) -> None:
    path = data.draw(st.lists(KEYS, min_size=1, max_size=3).map(".".join))
    try:
        result = apply_hydra_overrides(config, [f"{path}=1"])
    except MisuseError:
        return
    assert {where for where, _ in leaves(plain(result))} <= {where for where, _ in leaves(config)} | {path}
    assert OmegaConf.select(OmegaConf.create(config), path, default="absent") != "absent"
