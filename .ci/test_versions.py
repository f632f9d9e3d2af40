"""Run the tests that depend on a package with several versions of it, each in an environment thrown away.

python .ci/test_versions.py wandb|omegaconf [VERSION…]        # without any version: those of the suite
"""

import os
import subprocess
import sys
import tempfile
import venv
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]

# A version takes minutes. A test that hangs says where after the first; the version fails after the other.
HANGING_S = 300
TOO_LONG_S = 2400

# What the tests need beside the project and the package; the extra `test` brings more, for others.
NEEDED = ("pytest>=8.3", "pytest-xdist", "pytest-randomly", "pytest-socket", "hypothesis>=6.115")


@dataclass(frozen=True)
class Suite:
    """The tests of a package.

    Attributes:
        versions: to test with; None is whatever pip takes for the newest.
        tests: files and folders.
        ignored: warnings that some of the versions cause by themselves.
    """

    versions: tuple[str | None, ...]
    tests: tuple[str, ...]
    ignored: tuple[str, ...] = ()


SUITES = {
    # The newest, the oldest that the extra allows, and two between.
    "wandb": Suite(
        (None, "0.29.*", "0.26.*", "0.22.*"),
        ("tests/integrations/wandb", "tests/wandb_kit", "tests/trackers"),
        # Some clients use what they themselves have deprecated.
        ("ignore:Read the `app_url` setting:DeprecationWarning",),
    ),
    # The newest, and the oldest that pyproject.toml allows.
    "omegaconf": Suite(
        (None, "2.3.*"),
        (
            "tests/train_script",
            "tests/recipe_loader",
            "tests/megatron_stub",
            "tests/nemo_runspec",
            "tests/integrations/test_omegaconf.py",
            "tests/integrations/test_omegaconf_parsing.py",
        ),
    ),
}


def main(package: str, versions: list[str]) -> int:
    """Run them all, whatever one says; the exit code is the number of versions that failed."""
    suite = SUITES[package]
    outcomes = [run(package, suite, version) for version in versions or suite.versions]
    print("\n".join(f"{package} {version}: {'passed' if ok else 'FAILED'}" for version, ok in outcomes))
    return sum(not ok for _, ok in outcomes)


def run(package: str, suite: Suite, version: str | None) -> tuple[str, bool]:
    """The version that was tested, and whether its tests passed."""
    with tempfile.TemporaryDirectory(prefix=f"nemotron-kit-{package}-") as place:
        venv.create(place, with_pip=True)
        python = f"{place}/bin/python"
        wanted = package if version is None else f"{package}=={version}"
        install = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*install, "--editable", ".[examples]", wanted, *NEEDED], cwd=CHECKOUT, check=True)
        ask = [python, "-c", f"from importlib.metadata import version; print(version({package!r}))"]
        installed = subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip()
        print(f"{package} {installed}:", flush=True)
        environment = {**os.environ, "PYTHONPATH": str(CHECKOUT / "tests")}
        ignored = [part for warning in suite.ignored for part in ("-W", warning)]
        hanging = ("-o", f"faulthandler_timeout={HANGING_S}")
        test = [python, "-m", "pytest", "-q", "-n", "2", "-rs", "-p", "no:cacheprovider"]
        test += [*hanging, *ignored, *suite.tests]
        try:
            code = subprocess.run(
                test, cwd=CHECKOUT, env=environment, check=False, timeout=TOO_LONG_S
            ).returncode
        except subprocess.TimeoutExpired:
            print(f"{package} {installed}: not done after {TOO_LONG_S} s", flush=True)
            code = 1
    return installed, code == 0


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in SUITES:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2:]))
