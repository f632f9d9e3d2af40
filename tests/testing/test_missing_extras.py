"""The shipped suite without what it needs says which pip command brings it."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(("module", "missing"), [("store_suite", "pytest"), ("strategies", "hypothesis")])
def test_a_missing_package_is_named_with_the_way_to_get_it(module, missing):
    script = f"import sys; sys.modules[{missing!r}] = None; import nemotron.kit.testing.{module}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("nemotron.kit.errors.MissingExtraError: ")
    assert "pip install 'nemotron-kit[test]'" in last


def test_faults_need_neither():
    script = (
        "import sys; sys.modules['pytest'] = sys.modules['hypothesis'] = None; "
        "import nemotron.kit.testing.faults, nemotron.kit.testing.racers"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
