"""The examples are scripts beside each other: their folder has to be importable."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "nano_pipeline"))
