"""Run the tests of W&B with several versions of its client, each in an environment that is thrown away.

    python .ci/test_wandb.py [VERSION…]        # without any: those of VERSIONS

The versions are the newest, the oldest that the extra `wandb` allows, and two between.
"""

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]

# None is whatever pip takes for the newest.
VERSIONS = (None, "0.29.*", "0.26.*", "0.22.*")

# What the tests below need beside the project and the client; the extra `test` brings more, for others.
NEEDED = ("pytest>=8.3", "pytest-xdist", "pytest-randomly", "pytest-socket", "hypothesis>=6.115")
# Some clients use what they themselves have deprecated.
OWN_WARNING = "ignore:Read the `app_url` setting:DeprecationWarning"
TESTS = ("tests/integrations/wandb", "tests/wandb_kit", "tests/trackers")


def main(versions: list[str]) -> int:
    """Run them all, whatever one says; the exit code is the number of versions that failed."""
    outcomes = [run(version) for version in versions or VERSIONS]
    print("\n".join(f"wandb {version}: {'passed' if ok else 'FAILED'}" for version, ok in outcomes))
    return sum(not ok for _, ok in outcomes)


def run(version: str | None) -> tuple[str, bool]:
    """The version that was tested, and whether its tests passed."""
    with tempfile.TemporaryDirectory(prefix="nemotron-kit-wandb-") as place:
        venv.create(place, with_pip=True)
        python = f"{place}/bin/python"
        client = "wandb" if version is None else f"wandb=={version}"
        install = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*install, "--editable", ".[formats]", client, *NEEDED], cwd=CHECKOUT, check=True)
        ask = [python, "-c", "import wandb; print(wandb.__version__)"]
        installed = subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()
        print(f"wandb {installed}:", flush=True)
        environment = {**os.environ, "PYTHONPATH": str(CHECKOUT / "tests")}
        test = [python, "-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", "-W", OWN_WARNING, *TESTS]
        done = subprocess.run(test, cwd=CHECKOUT, env=environment, check=False)
    return installed, done.returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
