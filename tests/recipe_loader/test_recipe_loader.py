import math
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import omegaconf
import pytest
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from nemotron.kit import megatron_stub
from nemotron.kit.errors import ArtifactNotFoundError, MisuseError
from nemotron.kit.recipe_loader import (
    derive_pad_seq_to_mult,
    extract_recipe_config,
    import_recipe_function,
)

# -- import_recipe_function --------------------------------------------------------------------------------

MODULES = {
    "__init__.py": "",
    "nano.py": """
def config(lr=0.1):
    return lr

class Recipe:
    @staticmethod
    def make():
        return 3

size = 4
""",
    "needy.py": "import a_package_that_nobody_has\n",
    "stale.py": "from math import no_such_name\n",
    "broken.py": "raise RuntimeError('no GPU')\n",
}


@pytest.fixture
def recipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    package = tmp_path / "kit_test_recipes"
    package.mkdir()
    for name, text in MODULES.items():
        (package / name).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in [name for name in sys.modules if name.partition(".")[0] == package.name]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("target", "result"), [("kit_test_recipes.nano.config", 0.1), ("kit_test_recipes.nano.Recipe.make", 3)]
)
def test_a_dotted_name_leads_to_its_function(recipes: None, target: str, result: object) -> None:
    assert import_recipe_function(target)() == result


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("", "expected a dotted name such as package.module.function"),
        ("config", "expected a dotted name"),
        ("kit_test_recipes..config", "expected a dotted name"),
        ("../x.y", "expected a dotted name"),
        ("no_such_package_at_all.config", "No module named 'no_such_package_at_all'"),
        ("no_such_package_at_all.x.y.config", "No module named 'no_such_package_at_all'"),
        ("kit_test_recipes.nona.config", "'kit_test_recipes' has no 'nona'"),
        ("kit_test_recipes.nano.confg", "'kit_test_recipes.nano' has no 'confg'; did you mean 'config'?"),
        ("kit_test_recipes.nano.Recipe.mak", "'Recipe' has no 'mak'; did you mean 'make'?"),
        ("os.path", "it is a module, which cannot be called"),
        ("kit_test_recipes.nano.config.x.y", "'config' has no 'x'"),
        ("kit_test_recipes.nano.size", "it is a int, which cannot be called"),
        ("kit_test_recipes.nano", "it is a module; add the name of a function in it"),
        ("kit_test_recipes.needy.config", "No module named 'a_package_that_nobody_has'"),
        ("kit_test_recipes.stale.config", "cannot import name 'no_such_name'"),
    ],
)
def test_what_leads_nowhere_says_how_far_it_led(recipes: None, target: str, why: str) -> None:
    with pytest.raises(AttributeError) as caught:
        import_recipe_function(target)
    assert str(caught.value).startswith(f"Failed to import recipe '{target}': ")
    assert why in str(caught.value)
    assert isinstance(caught.value, MisuseError)


def test_what_a_recipe_s_module_raises_is_its_own(recipes: None) -> None:
    with pytest.raises(RuntimeError, match="no GPU"):
        import_recipe_function("kit_test_recipes.broken.config")


# -- extract_recipe_config ---------------------------------------------------------------------------------

RECIPE = {"lr": 1, "recipe": {"_target_": "a.b.c", "lr": "${lr}", "parts": [{"x": "${..lr}"}], "none": None}}


@pytest.mark.parametrize("make", [OmegaConf.create, dict], ids=["omegaconf", "dict"])
def test_the_target_is_taken_out_and_the_rest_resolved(make: Any) -> None:
    recipe = {**RECIPE["recipe"], "parts": [{"x": "${lr}"}]}  # type: ignore[dict-item]
    config = make({"lr": 1, "recipe": recipe})
    expected = ("a.b.c", {"lr": 1, "parts": [{"x": 1}], "none": None})
    assert extract_recipe_config(config, default_target="d.e") == expected
    assert extract_recipe_config(config, default_target="d.e") == expected
    assert config == make({"lr": 1, "recipe": recipe})


@pytest.mark.parametrize("make", [OmegaConf.create, dict], ids=["omegaconf", "dict"])
@pytest.mark.parametrize(
    ("config", "result"),
    [
        ({}, ("d.e", {})),
        ({"recipe": None}, ("d.e", {})),
        ({"recipe": {}}, ("d.e", {})),
        ({"recipe": {"lr": 1}}, ("d.e", {"lr": 1})),
        ({"recipe": {"_target_": "a.b"}}, ("a.b", {})),
    ],
)
def test_what_is_absent_has_a_default(make: Any, config: Any, result: object) -> None:
    assert extract_recipe_config(make(config), default_target="d.e") == result


def test_other_shapes_of_config() -> None:
    recipe = {"_target_": "a.b", "lr": 1}
    for config in (SimpleNamespace(recipe=recipe), SimpleNamespace(recipe=OmegaConf.create(recipe))):
        assert extract_recipe_config(config, default_target="d.e") == ("a.b", {"lr": 1})
    assert extract_recipe_config(SimpleNamespace(), default_target="d.e") == ("d.e", {})
    opaque = object()
    assert extract_recipe_config({"recipe": {"x": opaque}}, default_target="d.e") == ("d.e", {"x": opaque})
    assert recipe == {"_target_": "a.b", "lr": 1}
    struct = OmegaConf.create({"a": 1})
    OmegaConf.set_struct(struct, True)
    assert extract_recipe_config(struct, default_target="d.e") == ("d.e", {})


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"recipe": "a.b"}, "recipe: expected a map with _target_ and arguments, found 'a.b'"),
        ({"recipe": ["a.b"]}, "recipe: expected a map"),
        (
            {"recipe": {"_target_": 3}},
            "recipe._target_: expected a dotted name such as package.module.function, found 3",
        ),
        ({"recipe": {"_target_": ""}}, "recipe._target_: expected a dotted name"),
        ({"recipe": {"lr": "???"}}, "recipe.lr of the config cannot be resolved: Missing mandatory value"),
        (
            {"recipe": {"a": {"lr": "${nowhere}"}}},
            "recipe.a.lr of the config cannot be resolved: Interpolation key",
        ),
    ],
)
@pytest.mark.parametrize("make", [OmegaConf.create, dict], ids=["omegaconf", "dict"])
def test_a_recipe_that_cannot_be_read_says_which_key(make: Any, config: Any, says: str) -> None:
    with pytest.raises(MisuseError) as caught:
        extract_recipe_config(make(config), default_target="d.e")
    assert says in caught.value.message


def test_an_artifact_that_is_not_there_stays_that_error() -> None:
    def resolve(name: str) -> str:
        raise ArtifactNotFoundError(name)

    # OmegaConf 2.3 has a register_resolver too: that of OmegaConf 1.
    old = omegaconf.__version__ < "2.4"
    register = OmegaConf.register_new_resolver if old else OmegaConf.register_resolver
    register("kit_test_recipe", resolve)
    try:
        with pytest.raises(ArtifactNotFoundError) as caught:
            extract_recipe_config({"recipe": {"data": "${kit_test_recipe:x}"}}, default_target="d.e")
    finally:
        OmegaConf.clear_resolver("kit_test_recipe")
    assert caught.value.__notes__ == ["while resolving recipe.data of the config"]


# -- derive_pad_seq_to_mult --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("explicit", "cp", "tp", "sp", "eval_cp", "result"),
    [
        (None, 1, 1, False, None, 1),
        (None, None, None, None, None, 1),
        (0, 1, 1, False, None, 1),
        (16, 1, 1, False, None, 16),
        (None, 2, 1, False, None, 4),
        (None, 1, 4, True, None, 4),
        (None, 1, 4, False, None, 1),
        (None, 2, 1, True, None, 4),
        (None, 2, 4, True, None, 8),
        (None, 3, 4, True, None, 12),
        (None, 3, 8, True, None, 24),
        (5, 2, 4, True, None, 40),
        (None, 1, 1, False, 2, 4),
        (None, 2, 1, False, 3, 12),
        (None, 4, 2, True, 1, 8),
        (None, 4, 2, True, 3, 24),
    ],
)
@pytest.mark.parametrize(
    "make", [lambda **x: SimpleNamespace(**x), dict, OmegaConf.create], ids=["namespace", "dict", "omegaconf"]
)
def test_the_padding(
    explicit: int | None,
    cp: int | None,
    tp: int | None,
    sp: bool,
    eval_cp: int | None,
    result: int,
    make: Any,
) -> None:
    settings = {"context_parallel_size": cp, "tensor_model_parallel_size": tp, "sequence_parallel": sp}
    model = make(settings) if make is OmegaConf.create else make(**settings)
    dist = SimpleNamespace(eval_context_parallel_size=eval_cp)
    assert derive_pad_seq_to_mult(explicit, model, dist) == result
    if eval_cp is None:
        assert derive_pad_seq_to_mult(explicit, model) == result


def test_absent_settings_are_one() -> None:
    assert derive_pad_seq_to_mult(None, SimpleNamespace()) == 1
    assert derive_pad_seq_to_mult(3, SimpleNamespace(), SimpleNamespace()) == 3
    assert derive_pad_seq_to_mult(None, {}, {}) == 1


@pytest.mark.parametrize("wrong", [0, -1, "2", 2.0])
def test_a_size_that_is_none_is_refused_by_name(wrong: Any) -> None:
    with pytest.raises(
        MisuseError, match=f"context_parallel_size: expected a positive whole number, found {wrong!r}"
    ):
        derive_pad_seq_to_mult(None, {"context_parallel_size": wrong})
    if wrong != 0:
        with pytest.raises(MisuseError, match="pad_seq_to_mult"):
            derive_pad_seq_to_mult(wrong, {})


@given(st.integers(1, 64), st.integers(1, 64), st.integers(1, 64), st.integers(1, 64), st.booleans())
def test_the_padding_divides_evenly_for_every_rank(
    explicit: int, cp: int, eval_cp: int, tp: int, sp: bool
) -> None:
    model = {"context_parallel_size": cp, "tensor_model_parallel_size": tp, "sequence_parallel": sp}
    multiple = derive_pad_seq_to_mult(explicit, model, {"eval_context_parallel_size": eval_cp})
    assert multiple % explicit == 0
    for size in (cp, eval_cp):
        assert size == 1 or multiple % (2 * size) == 0
        assert not sp or multiple % (size * tp) == 0
    # The least such number: no divisor of it does.
    assert math.lcm(explicit, 2 * cp, 2 * eval_cp, cp * tp, eval_cp * tp) % multiple == 0


def test_both_doors_have_it() -> None:
    assert megatron_stub.derive_pad_seq_to_mult is derive_pad_seq_to_mult
