"""Run the test of the Megatron-Bridge hook against the package itself, in an environment that is thrown away.

Megatron-Bridge needs CUDA packages that most machines can't install, so it is laid out without what it
depends on; the test says which of its modules run so.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]
VERSION = "0.3.1"


def main() -> int:
    """The exit code of the tests."""
    with tempfile.TemporaryDirectory(prefix="nemotron-kit-megatron-bridge-") as place:
        install = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*install, "--target", place, f"megatron-bridge=={VERSION}"], check=True)
        test = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-rs"]
        done = subprocess.run(
            [*test, "tests/integrations/wandb/test_megatron_bridge.py"],
            cwd=CHECKOUT,
            env={**os.environ, "MEGATRON_BRIDGE": place},
            check=False,
        )
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
