"""The examples are scripts beside each other: their folder has to be importable."""

import sys
from pathlib import Path

PIPELINE = Path(__file__).parents[2] / "examples" / "nano_pipeline"
sys.path.insert(0, str(PIPELINE))
