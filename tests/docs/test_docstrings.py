"""Every example in a docstring of src runs, in an empty folder, with the kit not started."""

import doctest
import importlib

import pytest

from architecture.source_rules import sources

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE

MODULES = sorted(
    source.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    for source in sources()
    if ">>> " in source.text
)


@pytest.mark.parametrize("module", MODULES)
def test_examples_work(module: str) -> None:
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    examples = doctest.DocTestFinder(exclude_empty=True).find(importlib.import_module(module), module)
    for example in examples:
        runner.run(example, out=report.append)
    assert runner.failures == 0, "".join(report)
    assert runner.tries > 0


def test_there_are_examples() -> None:
    assert "nemotron.kit.errors" in MODULES
    assert "nemotron.kit.start" in MODULES


def test_a_wrong_example_is_noticed() -> None:
    runner = doctest.DocTestRunner(optionflags=FLAGS, verbose=False)
    wrong = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, 0)
    runner.run(wrong, out=lambda _: None)
    assert runner.failures == 1
