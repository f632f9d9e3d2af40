"""The rules hold in src, and each of them would notice if it did not."""

import pytest

from architecture import source_rules as rules
from architecture.source_rules import Source

ALL = (
    rules.prints_nothing,
    rules.catches_no_unknown,
    rules.swallows_nothing,
    rules.fits_in_the_head,
    rules.is_finished,
    rules.stays_pure,
)


@pytest.mark.parametrize("rule", ALL, ids=lambda rule: rule.__name__)
def test_rule_holds_in_src(rule: rules.Rule) -> None:
    sources = rules.sources()
    assert len(sources) > 20
    findings = [finding for source in sources for finding in rule(source)]
    assert not findings, "\n".join(["", *findings])


ELSEWHERE = "nemotron/kit/registry/registry.py"
PURE = "nemotron/kit/documents/manifest.py"

TRY = "try:\n    f()\n"

BROKEN = [
    (rules.prints_nothing, ELSEWHERE, "def f():\n    print('x')\n"),
    (rules.prints_nothing, ELSEWHERE, "import sys\nsys.stderr.write('x')\n"),
    (rules.catches_no_unknown, ELSEWHERE, TRY + "except:\n    g()\n"),
    (rules.catches_no_unknown, ELSEWHERE, TRY + "except Exception as error:\n    g(error)\n"),
    (rules.catches_no_unknown, ELSEWHERE, TRY + "except (OSError, BaseException):\n    g()\n"),
    (rules.catches_no_unknown, ELSEWHERE, "with contextlib.suppress(Exception):\n    f()\n"),
    (rules.swallows_nothing, ELSEWHERE, TRY + "except OSError:\n    pass\n"),
    (rules.swallows_nothing, ELSEWHERE, TRY + "except OSError:\n    'there was none'\n    ...\n"),
    (rules.fits_in_the_head, ELSEWHERE, "x = 1\n" * 401),
    (rules.fits_in_the_head, ELSEWHERE, "def f():\n" + "    x = 1\n" * 70),
    (rules.is_finished, ELSEWHERE, "x = 1  # TODO: the rest\n"),
    (rules.is_finished, ELSEWHERE, "def f():\n    raise NotImplementedError('later')\n"),
    (rules.stays_pure, PURE, "import os\n"),
    (rules.stays_pure, PURE, "def f():\n    from fsspec import open\n"),
    (rules.stays_pure, PURE, "import json, pathlib\n"),
    (rules.stays_pure, PURE, "if TYPE_CHECKING:\n    from nemotron.kit.store.protocol import Store\n"),
    (rules.stays_pure, PURE, "from nemotron.kit import store\n"),
    (rules.stays_pure, PURE, "from . import tree\n"),
]


@pytest.mark.parametrize(("rule", "path", "text"), BROKEN)
def test_rule_notices(rule: rules.Rule, path: str, text: str) -> None:
    assert list(rule(Source(path, text)))


FINE = [
    (rules.prints_nothing, "nemotron/kit/console/output.py", "print('x')\n"),
    (rules.prints_nothing, ELSEWHERE, '"""Example: print(x)."""\n'),
    (
        rules.catches_no_unknown,
        "nemotron/kit/tracking/composite.py",
        TRY + "except Exception:\n    g()\n",
    ),
    (rules.catches_no_unknown, ELSEWHERE, TRY + "except BaseException:\n    g()\n    raise\n"),
    (rules.catches_no_unknown, ELSEWHERE, "with suppress(FileNotFoundError):\n    f()\n"),
    (
        rules.swallows_nothing,
        ELSEWHERE,
        "for x in y:\n    try:\n        f()\n    except OSError:\n        continue\n",
    ),
    (rules.fits_in_the_head, ELSEWHERE, "def f():\n" + "    x = 1\n" * 69),
    (
        rules.is_finished,
        ELSEWHERE,
        "x = 'TODO'  # a method\ntry:\n    f()\nexcept NotImplementedError:\n    g()\n",
    ),
    (rules.stays_pure, PURE, "import json\nfrom nemotron.kit.documents.tree import Tree\n"),
    (rules.stays_pure, "nemotron/kit/lineage/collect.py", "import os\n"),
    (rules.stays_pure, ELSEWHERE, "import os\n"),
]


@pytest.mark.parametrize(("rule", "path", "text"), FINE)
def test_rule_lets_pass(rule: rules.Rule, path: str, text: str) -> None:
    assert list(rule(Source(path, text))) == []


def test_every_rule_was_tried_both_ways() -> None:
    assert {rule for rule, _, _ in BROKEN} == {rule for rule, _, _ in FINE} == set(ALL)
