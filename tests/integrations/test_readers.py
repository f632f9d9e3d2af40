"""The libraries that people read data with, reading `art://` in a process of their own.

Those that are not installed are skipped; `make test-formats` installs them all.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bucket_server import Proxy, environment, new_bucket, serving
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry

FILE, FOLDER = "art://sft-data:v1/train/000.parquet", "sft-data:v1/train"
# What each does; it prints the sum of the column `id` of one file (45), then of both (190).
READERS = {
    "pandas": f"""
import pandas
print(pandas.read_parquet("{FILE}").id.sum())
print(sum(pandas.read_parquet(f"art://{FOLDER}/00{{i}}.parquet").id.sum() for i in range(2)))
""",
    "pyarrow": f"""
import fsspec, pyarrow.dataset, pyarrow.compute, pyarrow.parquet
fs = fsspec.filesystem("art")
print(pyarrow.compute.sum(pyarrow.parquet.read_table("{FILE}"[6:], filesystem=fs, use_threads=False)["id"]))
both = pyarrow.dataset.dataset("{FOLDER}", filesystem=fs, format="parquet")
print(pyarrow.compute.sum(both.to_table(use_threads=False)["id"]))
""",
    "duckdb": f"""
import duckdb, fsspec
duckdb.register_filesystem(fsspec.filesystem("art"))
print(duckdb.sql("SELECT sum(id) FROM read_parquet('{FILE}')").fetchall()[0][0])
print(duckdb.sql("SELECT sum(id) FROM read_parquet('art://{FOLDER}/*.parquet')").fetchall()[0][0])
""",
    "polars": f"""
import fsspec, polars
def total(opened):
    with opened as file:
        return polars.read_parquet(file)["id"].sum()
print(total(fsspec.open("{FILE}")))
print(sum(map(total, fsspec.open_files("art://{FOLDER}/*.parquet"))))
""",
    "datasets": f"""
import datasets
datasets.disable_progress_bars()
print(sum(datasets.load_dataset("parquet", data_files="{FILE}", split="train")["id"]))
both = "art://{FOLDER}/*.parquet"
stream = datasets.load_dataset("parquet", data_files=both, split="train", streaming=True)
print(sum(row["id"] for row in stream))
""",
    "upath": f"""
import pyarrow.parquet
from upath import UPath
paths = sorted(UPath("art://{FOLDER}").glob("*.parquet"))
def total(path):
    with path.open("rb") as file:
        return sum(pyarrow.parquet.read_table(file)["id"].to_pylist())
print(total(paths[0]))
print(sum(map(total, paths)))
""",
    "fsspec": f"""
import fsspec, pyarrow, pyarrow.parquet
def total(data):
    return sum(pyarrow.parquet.read_table(pyarrow.BufferReader(data))["id"].to_pylist())
fs = fsspec.filesystem("art")
print(total(fs.cat_file("{FILE}")))
print(sum(map(total, fs.cat(fs.glob("art://{FOLDER}/*.parquet")).values())))
""",
}
USED = """
from nemotron.kit import context
print(*context.used())
"""


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, int]]:
    with serving() as address:
        yield address


@pytest.fixture(params=["local", "s3", "memory"])
def root(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    if request.param != "s3":
        yield str(tmp_path / "store") if request.param == "local" else f"memory://{tmp_path.name}"
        return
    address = request.getfixturevalue("server")
    proxy = Proxy(address)
    for name, value in environment(proxy.url).items():
        monkeypatch.setenv(name, value)
    yield f"s3://{new_bucket(address)}/store"
    proxy.close()


def publish(root: str, tmp_path: Path, *, snapshot: bool) -> None:
    folder = tmp_path / "sft"
    (folder / "train").mkdir(parents=True)
    for index in range(2):
        ids = list(range(10 * index, 10 * index + 10))
        pq.write_table(pa.table({"id": ids}), folder / "train" / f"00{index}.parquet")
    Registry.open(root).publish(Draft(name="sft-data", source=folder, snapshot=snapshot))


# pyarrow's own threads sometimes abort a process that ends after it has read by a file system in Python: all
# was read and said by then. The how-to tells of it, and of the same with plain fsspec.
ENDS_AT_ONCE = "\nimport os, sys\nsys.stdout.flush()\nos._exit(0)\n"


def run(code: str, **variables: str) -> list[str]:
    quiet = {"HF_HUB_DISABLE_TELEMETRY": "1", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | quiet | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("snapshot", [False, True], ids=["reference", "snapshot"])
@pytest.mark.parametrize("reader", READERS)
def test_read(reader: str, root: str, tmp_path: Path, snapshot: bool) -> None:
    end = USED + (ENDS_AT_ONCE if "pyarrow" in READERS[reader] else "")
    if find_spec(reader) is None:
        pytest.skip(f"needs {reader}: make test-formats")
    if root.startswith("memory:"):  # lives as long as its process
        code = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from pathlib import Path
from importlib.util import module_from_spec, spec_from_file_location
spec = spec_from_file_location("readers", {__file__!r}); module = module_from_spec(spec)
spec.loader.exec_module(module)
module.publish({root!r}, Path({str(tmp_path)!r}), snapshot={snapshot})
"""
        said = run(code + READERS[reader] + end, NEMO_ARTIFACT_ROOT=root)
    else:
        publish(root, tmp_path, snapshot=snapshot)
        # With nothing but the entry point and the variable …
        said = run(READERS[reader] + end, NEMO_ARTIFACT_ROOT=root)
        # … and after `kit.init`.
        init = f"import nemotron.kit\nnemotron.kit.init(root={root!r})\n"
        assert run(init + READERS[reader] + end) == said
    assert said == ["45", "190", "art://sft-data:v1"], "reading counts as use"
