"""Dataclasses whose annotations are all text."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pytest

from nemotron.kit.errors import MisuseError
from nemotron.kit.train_script import omegaconf_to_dataclass

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class Inner:
    size: int = 1
    next: Inner | None = None


@dataclass
class Base:
    out: Path = Path("out")


@dataclass
class Outer(Base):
    scale: dataclasses.InitVar[float] = 1.0
    inner: Inner = field(default_factory=Inner)
    inners: dict[str, list[Inner]] = field(default_factory=dict)
    pair: tuple[int, ...] = ()
    hook: Callable[[], None] | None = None
    limit: ClassVar[int] = 3
    # A field may be called like a type that others use.
    int: float = 0.0


def test_they_are_looked_up() -> None:
    config = omegaconf_to_dataclass(
        {
            "out": "x",
            "scale": "2",
            "inner": {"size": "2", "next": {"next": None}},
            "inners": {"a": [{"size": 3}]},
            "pair": ["1", 2],
            "int": 1,
        },
        Outer,
    )
    assert config.out == Path("x")
    assert config.inner == Inner(2, Inner())
    assert config.inners == {"a": [Inner(3)]}
    assert config.pair == (1, 2)
    assert isinstance(config.int, float)


def test_errors_spell_them() -> None:
    with pytest.raises(MisuseError) as caught:
        omegaconf_to_dataclass({"inner": {"next": {"size": "x"}}, "hook": 3, "limit": 1}, Outer)
    message = caught.value.message
    assert "inner.next.size: expected int, found 'x' (str)" in message
    assert "hook: its type is not known: name 'Callable' is not defined" in message
    assert "limit: Outer has no field 'limit'" in message


def test_classes_of_a_function() -> None:
    @dataclass
    class Local:
        inner: Inner
        other: Other | None = None

    @dataclass
    class Other:
        size: int

    assert omegaconf_to_dataclass({"inner": {}, "other": {"size": "1"}}, Local) == Local(Inner(), Other(1))
