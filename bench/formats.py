"""What reading heads costs: 500 Parquet shards, an index of 20 million sequences, 1,000 tensors.

Prints medians of the call alone, and the CPU time of `nemotron kit inspect` as a process beside that of a
bare interpreter and of one that imports Typer and numpy; asserts nothing. Bytecode is cached, as it is where
the kit is installed.
Run: python bench/formats.py
"""

import os
import resource
import statistics
import struct
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from house import median_ms, table
from safetensors.numpy import save_file

from nemotron.kit.formats import megatron_idx
from nemotron.kit.formats.detect import detect

ROUNDS = 7
SEQUENCES = 20_000_000


def parquet_shards(folder: Path) -> Path:
    folder.mkdir()
    rows = pa.array([list(range(512))] * 20, pa.list_(pa.int32()))
    for index in range(500):
        pq.write_table(pa.table({"input_ids": rows, "loss_mask": rows}), folder / f"shard_{index:06}.parquet")
    return folder


def long_index(folder: Path) -> Path:
    folder.mkdir()
    lengths = np.full(SEQUENCES, 1000, "<i4")
    with (folder / "all.idx").open("wb") as file:
        file.write(megatron_idx.HEAD.pack(megatron_idx.MAGIC, 1, 8, SEQUENCES, 2))
        lengths.tofile(file)
        (np.arange(SEQUENCES, dtype="<i8") * 2000).tofile(file)
        file.write(struct.pack("<qq", 0, SEQUENCES))
    with (folder / "all.bin").open("wb") as file:
        file.truncate(SEQUENCES * 2000)  # a hole: 40 GB that take no room
    return folder


def tensors(folder: Path) -> Path:
    folder.mkdir()
    save_file(
        {f"model.layers.{i}.weight": np.zeros((64, 64), np.float16) for i in range(1000)},
        folder / "model.safetensors",
    )
    return folder


def cpu_ms(command: list[str]) -> float:
    """CPU time of a process, in milliseconds."""
    cached = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}

    def once() -> float:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, *command], check=True, capture_output=True, env=cached)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)

    once()
    return statistics.median(once() for _ in range(ROUNDS))


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        rows: list[tuple[object, ...]] = [("", "detect, ms", "a process, CPU ms", "limit, ms")]
        for name, make, limit in (
            ("500 Parquet shards", parquet_shards, 200),
            ("20 M sequences", long_index, 100),
            ("1,000 tensors", tensors, 50),
        ):
            folder = make(Path(scratch, make.__name__))
            detect(folder)
            call = median_ms(partial(detect, folder), ROUNDS)
            process = cpu_ms(["-m", "nemotron.kit.cli", "kit", "inspect", str(folder), "--json"])
            rows.append((name, f"{call:.1f}", f"{process:.0f}", limit))
        for name, code in (
            ("python", "pass"),
            ("python, Typer", "import typer"),
            ("python, Typer, numpy", "import typer, numpy"),
        ):
            rows.append((name, "", f"{cpu_ms(['-c', code]):.0f}", ""))
        table("inspect", rows)


if __name__ == "__main__":
    main()
