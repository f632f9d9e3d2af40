"""What is True or False is nothing else: a text such as "no" would count as True."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nemotron.kit.errors import MisuseError
from nemotron.kit.integrations.copying import copy_out
from nemotron.kit.registry.adopting import adopt
from nemotron.kit.registry.doctor import examine
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry

CALLS: dict[str, Callable[..., Any]] = {
    "apply": lambda registry, **flag: registry.gc(**flag),
    "forget_damaged": lambda registry, **flag: registry.gc(apply=True, **flag),
    "force": lambda registry, **flag: registry.alias("x", "best", 2, **flag),
    "protect": lambda registry, **flag: registry.alias("x", "best", 2, **flag),
    "force, rolled back": lambda registry, **flag: registry.rollback("x", "best", **flag),
    "repair": lambda registry, **flag: examine(registry, **flag),
    "probe": lambda registry, **flag: examine(registry, **flag),
    "full": lambda registry, **flag: adopt(registry, **flag),
    "dry_run": lambda registry, **flag: adopt(registry, **flag),
    "force, copied": lambda registry, **flag: copy_out(registry, "x", f"{registry.root}-copy", **flag),
}


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    registry = Registry.open(tmp_path / "store")
    (tmp_path / "data").mkdir()
    for step in (1, 2):
        registry.publish(Draft(name="x", source=tmp_path / "data", metadata={"step": step}))
    registry.alias("x", "best", 2)
    registry.alias("x", "best", 1, protect=True)
    return registry


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("value", ["no", "", 1, 0])
def test_what_is_no_flag_is_refused_and_nothing_is_done(registry: Registry, call: str, value: object) -> None:
    flag, before = call.partition(",")[0], registry.store.list()
    with pytest.raises(MisuseError, match=rf"Not a flag: {flag}={value!r}; expected True"):
        CALLS[call](registry, **{flag: value})
    assert registry.store.list() == before
