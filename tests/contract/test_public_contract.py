"""The names, signatures, fields, variables and commands that existing recipes rely on, one by one.

The lists beside this file may be added to, never taken from: a parameter keeps its name, place and default,
and new ones are optional. In `fields.txt` what ends in `!` is required; `variables.txt` holds those that the
kit reads itself, others are for Python and for the clients of stores and of W&B. What the things do is tested
where they live.
"""

import dataclasses
import importlib
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SRC = Path(__file__).parents[2] / "src"
HERE = Path(__file__).parent


def listed(name: str) -> str:
    return (HERE / f"{name}.txt").read_text(encoding="utf-8").strip()


def by_module(name: str) -> list[tuple[str, str]]:
    """(module, line) of an indented table."""
    found, module = [], ""
    for line in listed(name).splitlines():
        if line.startswith(" "):
            found.append((module, line.strip()))
        else:
            module = line.strip()
    return found


def names() -> list[tuple[str, str]]:
    found = []
    for entry in re.split(r"\n(?=\S)", listed("names")):
        module, _, there = entry.partition(":")
        found += [(module, name) for name in there.split()]
    return found


def look_up(module: str, path: str) -> Any:
    there: Any = importlib.import_module(module)
    for name in path.split("."):
        there = getattr(there, name)
    return there


def defaults(thing: Any) -> dict[str, Any]:
    """What a dataclass makes by a factory has no value in its signature."""
    fields = dataclasses.fields(thing) if dataclasses.is_dataclass(thing) else ()
    made = {one.name: one.default_factory for one in fields}
    return {name: make() for name, make in made.items() if make is not dataclasses.MISSING}


def differences(promised: inspect.Signature, there: inspect.Signature, made: dict[str, Any]) -> list[str]:
    """What a caller of the one would miss in the other."""
    found, given = [], dict(there.parameters)
    takes_any = any(one.kind is one.VAR_KEYWORD for one in given.values())
    places = [
        one.name for one in given.values() if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)
    ]
    place = 0
    for name, one in promised.parameters.items():
        if one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD):
            if one.kind not in {other.kind for other in given.values()}:
                found.append(f"no *{name}")
            continue
        own = given.pop(name, None)
        if own is None:
            if one.kind is not one.KEYWORD_ONLY or not takes_any:
                found.append(f"no {name}")
            continue
        if one.kind is one.POSITIONAL_OR_KEYWORD:
            if places[place : place + 1] != [name]:
                found.append(f"{name} is not at place {place}")
            place += 1
        default = made.get(name, own.default)
        if one.default not in (..., one.empty) and default != one.default:
            found.append(f"{name}={default!r}, promised {one.default!r}")
    required = [
        name
        for name, own in given.items()
        if own.default is own.empty
        and name not in made
        and own.kind not in (own.VAR_POSITIONAL, own.VAR_KEYWORD)
    ]
    return found + [f"{name} is required" for name in required]


@pytest.mark.parametrize(("module", "line"), by_module("signatures"), ids=lambda text: text.partition("(")[0])
def test_a_signature_is_as_promised(module: str, line: str) -> None:
    path, _, parameters = line.rstrip(")").partition("(")
    namespace: dict[str, Any] = {}
    exec(f"def promised({parameters}): ...", namespace)
    thing = look_up(module, path)
    said = differences(inspect.signature(namespace["promised"]), inspect.signature(thing), defaults(thing))
    assert said == [], f"{module}.{path}{inspect.signature(thing)}"


def test_a_difference_is_seen() -> None:
    def promised(a, b=1, *, c=None): ...  # type: ignore[no-untyped-def]

    def seen(there: Callable[..., Any]) -> list[str]:
        return differences(inspect.signature(promised), inspect.signature(there), {})

    assert seen(lambda a, b=1, *, c=None, d=2: 0) == []
    assert seen(lambda a=0, b=1, more=(), *, c=None: 0) == []
    assert seen(lambda a, b=1, **more: 0) == []
    assert seen(lambda a, *, b=1, c=None: 0) == ["b is not at place 1"]
    assert seen(lambda a, x=0, b=1, *, c=None: 0) == ["b is not at place 1"]
    assert seen(lambda a, b=2, *, c=None: 0) == ["b=2, promised 1"]
    assert seen(lambda a, b=1: 0) == ["no c"]
    assert seen(lambda a, b=1, *, c=None, d: 0) == ["d is required"]


@pytest.mark.parametrize(("module", "name"), names())
def test_a_name_is_there(module: str, name: str) -> None:
    look_up(module, name)


@pytest.mark.parametrize(("module", "line"), by_module("fields"), ids=lambda text: text.partition(" ")[0])
def test_fields_are_as_promised(module: str, line: str) -> None:
    name, *promised = line.split()
    fields = look_up(module, name).model_fields
    required = {field.rstrip("!") for field in promised if field.endswith("!")}
    assert {field.rstrip("!") for field in promised} <= set(fields)
    inherited = {"path"} if name not in ("Artifact", "TrackingInfo") else set()
    assert {field for field, said in fields.items() if said.is_required()} == required | inherited


def commands() -> list[str]:
    return [one.strip() for line in listed("commands").splitlines() for one in line.split("|")]


@pytest.mark.parametrize("line", commands())
def test_a_command_has_its_options(line: str) -> None:
    from nemotron.kit.cli.app import load

    name, *promised = line.split()
    command = load(name)
    options = {text for one in command.params for text in (*one.opts, *one.secondary_opts)}
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    assert {one for one in promised if one.startswith("-")} <= options
    assert {"--root", "--json", "--quiet"} <= options
    assert len(arguments) >= len([one for one in promised if not one.startswith("-")])


@pytest.mark.parametrize("name", listed("variables").split())
def test_a_variable_is_looked_at(name: str) -> None:
    texts = (path.read_text(encoding="utf-8") for path in SRC.rglob("*.py"))
    assert any(re.search(rf"[\"'$]{name}\b", text) for text in texts)
