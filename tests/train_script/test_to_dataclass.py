import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from enum import Enum, IntEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar, Generic, Literal, NamedTuple, NewType, Optional, TypeVar, Union

import omegaconf
import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf
from pydantic import BaseModel, Field

from nemotron.kit.errors import ArtifactNotFoundError, MisuseError
from nemotron.kit.train_script import (
    apply_hydra_overrides,
    check_config,
    load_omegaconf_yaml,
    omegaconf_to_dataclass,
)


class Color(Enum):
    RED = 1
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Point(NamedTuple):
    x: int
    y: int = 0


class Model(BaseModel):
    width: int = 1


@dataclass
class Adam:
    lr: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.95)


@dataclass
class Sgd:
    lr: float
    momentum: float = 0.9


class Opaque:
    """A class that no library has rules for."""


Tokens = NewType("Tokens", int)
T = TypeVar("T")


@dataclass
class Box(Generic[T]):
    content: T


def one(hint: Any, value: Any) -> Any:
    """Convert one value, as the only field of a dataclass."""
    cls = dataclasses.make_dataclass("Only", [("it", hint)])
    result: Any = omegaconf_to_dataclass(OmegaConf.create({"it": value}, flags={"allow_objects": True}), cls)
    return result.it


def refusal(hint: Any, value: Any) -> str:
    with pytest.raises(MisuseError) as caught:
        one(hint, value)
    return caught.value.message


@pytest.mark.parametrize(
    ("hint", "value", "expected"),
    [
        (int, 3, 3),
        (int, "3", 3),
        (int, 1e3, 1000),
        (float, 3, 3.0),
        (float, "1e-4", 1e-4),
        (bool, True, True),
        (bool, "yes", True),
        (bool, 0, False),
        (str, "a", "a"),
        (str, 2024, "2024"),
        (str, 1.5, "1.5"),
        (Path, "a/b", Path("a/b")),
        (Any, {"a": [1]}, {"a": [1]}),
        (object, 3, 3),
        (None, None, None),
        (int | None, None, None),
        (Optional[int], "3", 3),  # noqa: UP045
        (Union[int, None], 3, 3),  # noqa: UP007
        (Path | None, "a", Path("a")),
        (int | str, "3", "3"),
        (int | str, 3, 3),
        (str | float, 3, 3.0),
        (float | int, 3, 3),
        (int | float, "1e-4", 1e-4),
        (str | Path, "a", "a"),
        (bool | str, "yes", "yes"),
        (bool | int, 1, 1),
        (int | bool, True, True),
        (Literal["auto"] | int, "auto", "auto"),
        (Literal["auto"] | int, "3", 3),
        (Color | None, "RED", Color.RED),
        (int | list[int], [1, "2"], [1, 2]),
        (str | list[str], "a", "a"),
        (list, [1, "a"], [1, "a"]),
        (list[int], ["1", 2], [1, 2]),
        (list[list[float]], [[1], [2.5]], [[1.0], [2.5]]),
        (Sequence[int], [1], [1]),
        (tuple[int, str], [1, "a"], (1, "a")),
        (tuple[float, ...], [1, 2], (1.0, 2.0)),
        (tuple, [1, "a"], (1, "a")),
        (set[int], [1, 1], {1}),
        (frozenset[str], ["a"], frozenset({"a"})),
        (dict, {"a": 1}, {"a": 1}),
        (dict[str, float], {"a": 1}, {"a": 1.0}),
        (dict[int, str], {"1": "a"}, {1: "a"}),
        (dict[Color, int], {"RED": 1}, {Color.RED: 1}),
        (Mapping[str, int], {"a": 1}, {"a": 1}),
        (Literal["a", "b"], "b", "b"),
        (Literal[1, True], True, True),
        (Color, 1, Color.RED),
        (Color, "blue", Color.BLUE),
        (Color, "BLUE", Color.BLUE),
        (Color, "Color.RED", Color.RED),
        (Level, "HIGH", Level.HIGH),
        (Level, 1, Level.LOW),
        (list[Color], ["RED", "blue"], [Color.RED, Color.BLUE]),
        (Point, {"x": 1}, Point(1)),
        (Point, [1, 2], Point(1, 2)),
        (Model, {"width": "3"}, Model(width=3)),
        (Tokens, 3, 3),
        (Annotated[int, Field(gt=0)], 3, 3),
        (Annotated[list[int], Field(min_length=1)], ["1"], [1]),
        (Annotated[int | None, "documentation"], None, None),
        (Adam, {"lr": 1}, Adam(1.0)),
        (Adam | None, None, None),
        (Adam | None, {"betas": [0, 1]}, Adam(betas=(0.0, 1.0))),
        (Adam | Sgd, {"lr": 1, "momentum": 0.5}, Sgd(1.0, 0.5)),
        (Sgd | str, "none", "none"),
        (list[Adam], [{"lr": 1}, {}], [Adam(1.0), Adam()]),
        (dict[str, Adam], {"a": {"lr": 1}}, {"a": Adam(1.0)}),
        (dict[str, list[Adam | None]], {"a": [None, {}]}, {"a": [None, Adam()]}),
        (tuple[Adam, ...], [{}], (Adam(),)),
        (Box[int], {"content": 3}, Box(3)),
    ],
)
def test_what_configs_hold_becomes_what_fields_declare(hint: Any, value: Any, expected: Any) -> None:
    result = one(hint, value)
    assert result == expected
    assert type(result) is type(expected)
    if isinstance(expected, list | tuple):
        assert list(map(type, result)) == list(map(type, expected))


@pytest.mark.parametrize(
    ("hint", "value", "says"),
    [
        (int, "abc", "it: expected int, found 'abc' (str)"),
        (int, True, "it: expected int, found True (bool)"),
        (
            int,
            1.5,
            "it: expected int, found 1.5 (float): input should be a valid integer, got a number with a",
        ),
        (int, None, "it: expected int, found None"),
        (int, [1], "it: expected int, found [1] (list)"),
        (float, True, "it: expected float, found True (bool)"),
        (float, "fast", "it: expected float, found 'fast' (str)"),
        (bool, 2, "it: expected bool, found 2 (int)"),
        (bool, "maybe", "it: expected bool, found 'maybe' (str)"),
        (str, True, "it: expected str, found True (bool)"),
        (str, ["a"], "it: expected str, found ['a'] (list)"),
        (Path, 3, "it: expected Path, found 3 (int)"),
        (int | None, "abc", "it: expected int, found 'abc' (str)"),
        (int | float, "abc", "it: expected int | float, found 'abc' (str)"),
        (int | str, None, "it: expected int | str, found None"),
        (Literal["a", "b"], "c", "it: expected Literal['a', 'b'], found 'c' (str)"),
        (Literal[1, 2], True, "it: expected Literal[1, 2], found True (bool)"),
        (Color, "GREEN", "it: expected Color (RED, BLUE), found 'GREEN' (str)"),
        (Color, "BLEU", "Did you mean 'BLUE'?"),
        (Color, True, "it: expected Color, found True (bool)"),
        (list[int], "12", "it: expected list[int], found '12' (str)"),
        (list[int], [1, "b"], "it[1]: expected int, found 'b' (str)"),
        (list[int] | str, [1, "b"], "it[1]: expected int, found 'b' (str)"),
        (list[int], {"a": 1}, "it: expected list[int], found {'a': 1} (dict)"),
        (tuple[int, int], [1], "it: expected tuple[int, int], 2 elements, found [1] (list)"),
        (tuple[int, str], ["b", "b"], "it[0]: expected int, found 'b' (str)"),
        (tuple[int, int], 3, "it: expected tuple[int, int], found 3 (int)"),
        (set[int], ["b"], "it[0]: expected int"),
        (dict[str, int], [1], "it: expected dict[str, int], found [1] (list)"),
        (dict[str, int], {"a": "b"}, "it.a: expected int, found 'b' (str)"),
        (dict[int, int], {"a": 1}, "it.a (key): expected int, found 'a' (str)"),
        (Annotated[int, Field(gt=0)], 0, "it: expected int, found 0 (int): input should be greater than 0"),
        (Annotated[list[int], Field(min_length=1)], [], "should have at least 1 item"),
        (Model, {"width": "x"}, "it.width: expected Model, found 'x' (str)"),
        (Opaque, "x", "it: expected Opaque, found 'x' (str)"),
        (Adam, 3, "it: expected Adam (a section), found 3 (int)"),
        (Adam, {"lr": "x"}, "it.lr: expected float, found 'x' (str)"),
        (Adam | None, {"lrr": 1}, "it.lrr: Adam has no field 'lrr'. Did you mean 'lr'?"),
        (Adam | str, {"lr": "x"}, "it.lr: expected float, found 'x' (str)"),
        (Adam | Sgd, {"bogus": 1}, "it: expected Adam | Sgd, found {'bogus': 1} (dict)"),
        (Sgd, {}, "it.lr: must be set, expected float"),
        (list[Adam], [{}, {"lr": "x"}], "it[1].lr: expected float"),
        (dict[str, Adam], {"a": {"x": 1}}, "it.a.x: Adam has no field 'x'"),
    ],
)
def test_what_does_not_fit_says_which_field_what_was_expected_and_what_was_found(
    hint: Any, value: Any, says: str
) -> None:
    assert says in refusal(hint, value)


def test_long_values_are_cut() -> None:
    assert len(refusal(int, "x" * 1000)) < 200


def test_objects_pass_where_their_class_is_declared() -> None:
    opaque = Opaque()
    assert one(Opaque, opaque) is opaque
    assert one(Callable[[], None], print) is print


@dataclass
class Train:
    optimizer: Adam = field(default_factory=lambda: Adam(lr=0.5))
    steps: int = 10
    name: str | None = None


@dataclass
class Config:
    seed: int
    train: Train = field(default_factory=lambda: Train(Adam(lr=7, betas=(0.1, 0.2)), steps=99))
    out: Path = Path("out")
    extras: list[Sgd] = field(default_factory=list)


def test_nested_defaults_keep_what_the_config_does_not_set() -> None:
    config = omegaconf_to_dataclass({"seed": 1, "train": {"optimizer": {"betas": [0, 1]}}}, Config)
    assert config == Config(1, Train(Adam(7, (0.0, 1.0)), 99))
    assert omegaconf_to_dataclass({"seed": 1}, Config) == Config(1)
    assert omegaconf_to_dataclass({"seed": 1, "train": {}}, Config) == Config(1)


@dataclass
class Base:
    size: int = 1


@dataclass
class Derived(Base):
    depth: int = 2


@dataclass
class Holder:
    part: Base = field(default_factory=lambda: Derived(size=5))
    either: Base | Adam | None = field(default_factory=Adam)


def test_a_default_of_a_derived_class_takes_its_fields() -> None:
    config = omegaconf_to_dataclass({"part": {"depth": 3}, "either": {"lr": 2}}, Holder)
    assert config == Holder(Derived(5, 3), Adam(2.0))
    assert omegaconf_to_dataclass({"either": {"size": 4}}, Holder).either == Base(4)
    assert omegaconf_to_dataclass({"size": "3", "depth": 4}, Derived) == Derived(3, 4)


def test_default_factories_run_only_where_they_are_needed() -> None:
    calls: list[int] = []

    @dataclass
    class Counted:
        it: list[int] = field(default_factory=lambda: calls.append(1) or [])

    assert omegaconf_to_dataclass({"it": [1]}, Counted) == Counted([1])
    assert not calls


@dataclass
class Special:
    scale: InitVar[int]
    base: int = 2
    total: int = field(init=False)
    limit: ClassVar[int] = 3
    _: dataclasses.KW_ONLY
    flag: bool = False

    def __post_init__(self, scale: int) -> None:
        if scale < 0:
            raise ValueError("scale must not be negative")
        self.total = self.base * scale


def test_init_only_computed_and_class_variables() -> None:
    config = omegaconf_to_dataclass({"scale": "5", "flag": "on"}, Special)
    assert (config.base, config.total, config.flag) == (2, 10, True)
    for value, says in (
        ({"scale": 1, "total": 3}, "total: is computed by Special and cannot be set"),
        ({"scale": 1, "limit": 3}, "limit: Special has no field 'limit'"),
        ({}, "scale: must be set, expected int"),
        ({"scale": "x"}, "scale: expected int"),
    ):
        with pytest.raises(MisuseError) as caught:
            omegaconf_to_dataclass(value, Special)
        assert says in caught.value.message


def test_the_class_s_own_checks_speak_for_themselves() -> None:
    with pytest.raises(ValueError, match="scale must not be negative") as caught:
        one(Special, {"scale": -1})
    assert caught.value.__notes__ == ["while making Special of it"]


@dataclass(frozen=True, slots=True)
class Frozen:
    lr: float


@dataclass(init=False)
class Custom:
    lr: float
    rest: dict[str, Any]

    def __init__(self, lr: float, times: "int" = 2, **rest: Any) -> None:
        self.lr, self.rest = lr * times, rest


def test_frozen_classes_and_constructors_of_one_s_own() -> None:
    assert omegaconf_to_dataclass({"lr": 1}, Frozen) == Frozen(1.0)
    config = omegaconf_to_dataclass({"lr": "2", "times": "3", "a": {"b": 1}}, Custom)
    assert (config.lr, config.rest) == (6.0, {"a": {"b": 1}})
    with pytest.raises(MisuseError, match="times: expected int"):
        omegaconf_to_dataclass({"lr": "2", "times": "x"}, Custom)


def test_classes_of_a_function_may_name_each_other_as_text() -> None:
    @dataclass
    class Inner:
        size: "int" = 1

    @dataclass
    class Outer:
        inner: "Inner"
        others: "list[Inner]"
        itself: "Outer | None" = None

    config = omegaconf_to_dataclass(
        {"inner": {"size": 2}, "others": [{}], "itself": {"inner": {}, "others": []}}, Outer
    )
    assert config == Outer(Inner(2), [Inner()], Outer(Inner(), []))


@dataclass
class HalfKnown:
    steps: int = 1
    hook: "NotImportedHere | None" = None  # type: ignore[name-defined]  # noqa: F821


def test_a_type_that_cannot_be_looked_up_matters_only_when_it_is_set() -> None:
    assert omegaconf_to_dataclass({"steps": "3"}, HalfKnown) == HalfKnown(3)
    with pytest.raises(MisuseError) as caught:
        omegaconf_to_dataclass({"hook": 3}, HalfKnown)
    assert "hook: its type is not known: name 'NotImportedHere' is not defined" in caught.value.message


@pytest.mark.parametrize("cls", [int, dict, Model, "Train", None, Train()])
def test_only_dataclasses_are_made(cls: Any) -> None:
    with pytest.raises(TypeError) as caught:
        omegaconf_to_dataclass({}, cls)
    name = cls.__name__ if isinstance(cls, type) else repr(cls)
    assert str(caught.value) == f"{name} must be a dataclass"


@pytest.mark.parametrize("config", [None, 3, "a: 1", [1], OmegaConf.create([1])])
def test_only_maps_are_configs(config: Any) -> None:
    with pytest.raises(MisuseError, match="must be a map"):
        omegaconf_to_dataclass(config, Adam)


# -- unknown keys and missing values -----------------------------------------------------------------------


def test_every_problem_is_told_at_once_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "nano.yaml"
    path.write_text("trian: {}\ntrain:\n  stepz: 3\n  optimizer: {lr: fast}\nextras:\n- lr: ???\n")
    config = apply_hydra_overrides(load_omegaconf_yaml(path), ["+train.name=[1]"])
    with pytest.raises(MisuseError) as caught:
        omegaconf_to_dataclass(config, Config)
    first, *lines = caught.value.message.splitlines()
    assert first == f"The config {path} does not fit Config:"
    assert sorted(lines) == [
        "  extras[0].lr: must be set (it is ???), expected float; add extras[0].lr=VALUE",
        "  seed: must be set, expected int",
        "  train.name: expected str, found [1] (list)",
        "  train.optimizer.lr: expected float, found 'fast' (str)",
        "  train.stepz: Train has no field 'stepz'. Did you mean 'steps'?",
        "  trian: Config has no field 'trian'. Did you mean 'train'?",
    ]


def test_the_launcher_s_sections_may_be_there_but_only_at_the_top() -> None:
    ours = {"run": {"env": "${no.such}"}, "artifacts": {"root": "???"}}
    assert omegaconf_to_dataclass({"lr": 1, **ours}, Adam) == Adam(1.0)
    with pytest.raises(MisuseError, match=r"optimizer\.run: Adam has no field"):
        omegaconf_to_dataclass({"optimizer": {"run": 1}}, Train)

    @dataclass
    class Own:
        run: str

    assert omegaconf_to_dataclass({"run": "x", "artifacts": 1}, Own) == Own("x")


def test_not_strict_leaves_unknown_keys_out() -> None:
    config = {"lr": 1, "bogus": "${nowhere}", "betas": [1, 2]}
    assert omegaconf_to_dataclass(config, Adam, strict=False) == Adam(1.0, (1.0, 2.0))
    nested = {"optimizer": {"lr": 1, "bogus": 2}}
    assert omegaconf_to_dataclass(nested, Train, strict=False).optimizer == Adam(1.0)
    with pytest.raises(MisuseError, match="expected float"):
        omegaconf_to_dataclass({"lr": "x"}, Adam, strict=False)


def test_what_others_point_to_may_be_there() -> None:
    config = {
        "root": "/data",
        "base": {"lr": 2, "unused": "???"},
        "seed": 1,
        "out": "${root}/x",
        "train": {"half": 5, "steps": "${.half}", "optimizer": {"lr": "${...base.lr}"}},
        "extras": [{"lr": "${extras[1].other}"}, {"lr": 1, "other": 3}],
    }
    made = omegaconf_to_dataclass(config, Config)
    assert (made.out, made.train.steps, made.train.optimizer.lr) == (Path("/data/x"), 5, 2.0)
    assert made.extras == [Sgd(3.0), Sgd(1.0)]
    with pytest.raises(MisuseError, match="rot: Config has no field 'rot'"):
        omegaconf_to_dataclass({**config, "rot": 1}, Config)


@pytest.mark.parametrize("read", [check_config, omegaconf_to_dataclass])
def test_a_section_is_read_in_the_whole_that_it_is_of(read: Any, tmp_path: Path) -> None:
    path = tmp_path / "nano.yaml"
    path.write_text(
        "base: {lr: 1, unused: '${train.half}'}\n"
        "train: {half: 5, stepz: 1, optimizer: {lr: '???'}}\n"
        "all:\n- {lr: 1}\n- {lr: fast}\n"
    )
    config = apply_hydra_overrides(load_omegaconf_yaml(path), ["+train.name=[1]"])
    with pytest.raises(MisuseError) as caught:
        read(config.train, Train)
    assert caught.value.message.splitlines() == [
        f"The config {path} does not fit Train:",
        "  train.stepz: Train has no field 'stepz'. Did you mean 'steps'?",
        "  train.optimizer.lr: must be set (it is ???), expected float; add train.optimizer.lr=VALUE",
        "  train.name: expected str, found [1] (list)",
    ]
    with pytest.raises(MisuseError, match=r"nano\.yaml does not fit Adam:\n  all\[1\]\.lr: expected float"):
        read(config["all"][1], Adam)


def test_an_interpolation_of_a_section_names_its_file_too(tmp_path: Path) -> None:
    path = tmp_path / "nano.yaml"
    path.write_text("optimizer: {lr: '${nowhere}'}\n")
    with pytest.raises(MisuseError, match=r"optimizer\.lr of .*nano\.yaml cannot be resolved"):
        omegaconf_to_dataclass(load_omegaconf_yaml(path).optimizer, Adam)


def test_checking_resolves_and_changes_nothing(resolver: list[str]) -> None:
    config = OmegaConf.create(
        {"lr": "${kit_test:lr}", "betas": ["${no.such}", "${nobody:x}"], "unused": "${other}", "other": 1}
    )
    before = OmegaConf.to_container(config)
    with pytest.raises(MisuseError, match="unused: Adam has no field"):
        check_config(config, Adam)
    check_config(config, Adam, strict=False)
    assert resolver == []
    assert OmegaConf.to_container(config) == before
    with pytest.raises(TypeError, match="int must be a dataclass"):
        check_config({}, int)


# -- interpolations ----------------------------------------------------------------------------------------


@pytest.fixture
def resolver() -> Iterator[list[str]]:
    """Register `${kit_test:NAME}`; gives the names asked for."""
    asked: list[str] = []

    def resolve(name: str) -> Any:
        asked.append(name)
        if name == "unknown":
            raise ArtifactNotFoundError(name)
        return {"lr": 0.25} if name == "section" else f"/data/{name}"

    # OmegaConf 2.3 has a register_resolver too: that of OmegaConf 1.
    old = omegaconf.__version__ < "2.4"
    register = OmegaConf.register_new_resolver if old else OmegaConf.register_resolver
    register("kit_test", resolve)
    yield asked
    OmegaConf.clear_resolver("kit_test")


def test_interpolations_are_resolved() -> None:
    config = OmegaConf.create(
        {"base": {"lr": 3}, "seed": "${base.lr}", "train": {"name": "s${seed}", "optimizer": "${base}"}}
    )
    made = omegaconf_to_dataclass(config, Config, strict=False)
    assert (made.seed, made.train.name, made.train.optimizer.lr) == (3, "s3", 3.0)
    part = OmegaConf.create({"lr": 3, "sub": {"lr": "${lr}"}}).sub
    assert omegaconf_to_dataclass(part, Adam) == Adam(3.0)


def test_resolvers_give_fields_and_sections(resolver: list[str]) -> None:
    config = {"seed": 1, "out": "${kit_test:x}/y", "train": {"optimizer": "${kit_test:section}"}}
    made = omegaconf_to_dataclass(config, Config)
    assert made.out == Path("/data/x/y")
    assert made.train.optimizer.lr == 0.25


@pytest.mark.parametrize(
    "wrong",
    [
        {"sede": 1},
        {"seed": "abc"},
        {"seed": "???"},
        {"train": {"steps": "x"}},
        {"extras": [{"lr": 1, "x": 1}]},
    ],
)
def test_mistakes_are_told_before_anything_is_resolved(resolver: list[str], wrong: dict[str, Any]) -> None:
    config = {"seed": 1, "out": "${kit_test:big-download}", **wrong}
    with pytest.raises(MisuseError, match="does not fit Config"):
        omegaconf_to_dataclass(config, Config)
    assert resolver == []


def test_what_a_resolver_gives_must_fit_too(resolver: list[str]) -> None:
    with pytest.raises(MisuseError, match=r"seed: expected int, found '/data/x' \(str\)"):
        omegaconf_to_dataclass({"seed": "${kit_test:x}"}, Config)


def test_an_artifact_that_is_not_there_stays_that_error(resolver: list[str]) -> None:
    with pytest.raises(ArtifactNotFoundError) as caught:
        omegaconf_to_dataclass({"seed": 1, "train": {"name": "${kit_test:unknown}"}}, Config)
    assert caught.value.__notes__ == ["while resolving train.name of the config"]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("${nowhere}", "name of the config cannot be resolved: Interpolation key 'nowhere' not found"),
        ("${nowhere:1}", "name of the config cannot be resolved: Unsupported interpolation type nowhere"),
        ("${run.m}", "name of the config cannot be resolved: MissingMandatoryValue"),
    ],
)
def test_an_interpolation_that_leads_nowhere_names_the_field(value: str, says: str) -> None:
    with pytest.raises(MisuseError) as caught:
        omegaconf_to_dataclass({"name": value, "run": {"m": "???"}}, Train)
    assert says in caught.value.message


def test_structured_configs_are_configs() -> None:
    config = OmegaConf.merge(OmegaConf.structured(Train), {"steps": 3})
    assert isinstance(config, DictConfig)
    assert omegaconf_to_dataclass(config, Train) == Train(steps=3)
    with pytest.raises(MisuseError, match="lr: must be set"):
        omegaconf_to_dataclass(OmegaConf.structured(Sgd(lr="???")), Sgd)  # type: ignore[arg-type]


# -- laws --------------------------------------------------------------------------------------------------


@dataclass
class Everything:
    number: int
    ratio: float
    text: str
    maybe: int | None
    numbers: list[int]
    by_name: dict[str, Adam]
    pair: tuple[int, str]
    color: Color
    mode: Literal["a", "b"]
    nested: list[dict[str, list[Adam | None]]]


TEXT = st.text("abc é=:#", max_size=5)
INTEGERS = st.integers(-(10**6), 10**6)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
ADAMS = st.builds(Adam, lr=FLOATS, betas=st.tuples(FLOATS, FLOATS))
EVERYTHING = st.builds(
    Everything,
    number=INTEGERS,
    ratio=FLOATS,
    text=TEXT,
    maybe=st.none() | INTEGERS,
    numbers=st.lists(INTEGERS, max_size=3),
    by_name=st.dictionaries(st.text("abc", min_size=1), ADAMS, max_size=2),
    pair=st.tuples(INTEGERS, TEXT),
    color=st.sampled_from(Color),
    mode=st.sampled_from(["a", "b"]),
    nested=st.lists(
        st.dictionaries(st.text("abc", min_size=1), st.lists(st.none() | ADAMS, max_size=2), max_size=2),
        max_size=2,
    ),
)


@given(EVERYTHING)
def test_a_dataclass_survives_the_way_through_yaml(value: Everything) -> None:
    data = dataclasses.asdict(value)
    data["color"] = value.color.name
    data["pair"] = list(value.pair)
    text = OmegaConf.to_yaml(OmegaConf.create(data))
    assert omegaconf_to_dataclass(OmegaConf.create(text), Everything) == value


@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), st.none() | INTEGERS | TEXT, max_size=4))
def test_any_config_is_made_or_refused_and_stays_as_it_is(data: dict[str, Any]) -> None:
    config = OmegaConf.create(data)
    try:
        omegaconf_to_dataclass(config, Train)
    except MisuseError:
        assert data
    assert config == data
