"""What the lineage index costs: building it, asking it, catching up; its peers in the same run.

Beside it: a plain recursive query on two columns of SQLite, one manifest a hop, ml-metadata (in the Python
that `--ml-metadata` names: its protobuf is not everybody's), and for the command an empty Typer app. Prints
numbers and asserts nothing: `python bench/lineage.py [--versions N] [--ml-metadata PYTHON]`; `--full` has
300,000 versions and a million edges.
"""

import argparse
import json
import os
import random
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import bars
import house

from nemotron.kit.documents.manifest import Manifest
from nemotron.kit.lineage.catch_up import catch_up
from nemotron.kit.lineage.collect import collect
from nemotron.kit.lineage.descent import Descent
from nemotron.kit.lineage.index import Index
from nemotron.kit.lineage.reading import Reader
from nemotron.kit.registry import layout, stamps
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.registry.versions import Versions

FULL, PATHOLOGICAL, PEER_VERSIONS = 300_000, 96_000, 10_000
HOPS_MAX = 5_000
PEER_LIMIT_S = 60


def found_store(root: Path, versions: int, names: int) -> dict[str, list[str]]:
    """A root with manifests as publishing leaves them; what each was made from, in order of making."""
    registry = Registry.open(root)
    registry.publish(Draft(name="first", source="s3://bucket/x"))
    rng = random.Random(7)
    made_from: dict[str, list[str]] = {}
    earlier: list[str] = ["first:v1"]
    numbers = [0] * names
    for at in range(versions):
        which = rng.randrange(names)
        numbers[which] += 1
        name = f"name-{which:05}"
        chain = [earlier[-1]] if at % 10 else []
        used = tuple(dict.fromkeys(chain + rng.sample(earlier[-50:], min(len(earlier), 2))))
        manifest = Manifest(
            name=name,
            version=numbers[which],
            type="ModelArtifact",
            path=f"/data/{name}/{numbers[which]}",
            created_at=stamps.now(),
            metadata={"step": at, "final_loss": 2.5, "note": "x" * 100},
            used_artifacts=used,
            inputs=(f"hf://datasets/org/set-{at % 500}",) if at % 2 else (),
            write_id=stamps.uuid7(),
        )
        file = root / layout.manifest(name, numbers[which])
        file.parent.mkdir(parents=True)
        file.write_bytes(manifest.to_bytes())
        made_from[f"{name}:v{numbers[which]}"] = [*used, *manifest.inputs]
        earlier.append(f"{name}:v{numbers[which]}")
    return made_from


def median_ms(work: Callable[[], object], rounds: int) -> float:
    """Median of a few calls, in milliseconds."""
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken) * 1e3


def plain_sqlite(place: Path, made_from: dict[str, list[str]]) -> tuple[float, Callable[[str], list[str]]]:
    """The floor: two columns of text, one recursive query; seconds to build, and how to ask."""
    start = time.perf_counter()
    db = sqlite3.connect(place)
    db.execute("create table edges (target text, source text)")
    db.executemany("insert into edges values (?, ?)", [(t, s) for t, ins in made_from.items() for s in ins])
    db.execute("create index up on edges (target, source)")
    db.commit()
    sql = (
        "with recursive up (uri) as (select ? union select source from edges join up on target = uri)"
        " select uri from up"
    )
    return time.perf_counter() - start, lambda uri: [row[0] for row in db.execute(sql, (uri,))]


def by_hops(registry: Registry, one: str) -> int:
    """All ancestors, a manifest a hop, as trackers without an index do it."""
    versions = Versions(registry.store)
    seen, waiting = {one}, [one]
    while waiting:
        name, _, number = waiting.pop().rpartition(":v")
        manifest = versions.read(name, int(number))
        above = [] if manifest is None else manifest.used_artifacts
        waiting += [uri for uri in above if uri not in seen]
        seen.update(above)
    return len(seen) - 1


def ml_metadata(
    python: str, folder: Path, made_from: dict[str, list[str]], index: Index, rate: float
) -> list[bars.Verdict]:
    """The same graph in ml-metadata, as far as patience reaches; what this kit is against it."""
    few = dict(list(made_from.items())[:PEER_VERSIONS])
    (folder / "graph.json").write_text(json.dumps(few))
    script = Path(__file__).with_name("lineage_ml_metadata.py")
    try:
        done = subprocess.run(
            [python, script, folder], capture_output=True, text=True, check=True, timeout=PEER_LIMIT_S
        )
    except (OSError, subprocess.SubprocessError) as error:
        print(f"ml-metadata takes no part: {type(error).__name__}")
        print(getattr(error, "stderr", None) or error, file=sys.stderr)
        return []
    said = json.loads(done.stdout)
    theirs_ms, their_rate = said["ask_s"] * 1e3, len(few) / said["build_s"]
    print(f"ml-metadata {said['version']}, {len(few):,} versions: build {said['build_s']:.2f} s", end="")
    print(f" ({their_rate:,.0f}/s), {said['found']:,} ancestors {theirs_ms:,.0f} ms", end="")
    last = f"art://{list(few)[-1]}"
    ours_ms = median_ms(lambda: index.ancestors(last), 10)
    print(f"   this kit {ours_ms:.2f} ms")
    return [
        bars.at_least("rebuilding the index, of ml-metadata's rate", rate / their_rate, 1, "x"),
        bars.at_most(f"{said['found']:,} ancestors, of ml-metadata's time", ours_ms / theirs_ms, 1, "x"),
    ]


def keep(target: Path | None, said: list[bars.Verdict]) -> None:
    """Write whether the bars hold, if asked to."""
    if target:
        target.write_text(json.dumps({"bars": said}, indent=1))


def ask(
    index: Index, floor: Callable[[str], list[str]], registry: Registry, nodes: dict[str, str]
) -> list[bars.Verdict]:
    """Ancestors of some nodes, three ways."""
    said = []
    for title, one in nodes.items():
        ours, theirs = index.ancestors(f"art://{one}"), floor(one)
        assert {uri.removeprefix("art://") for uri in ours} == set(theirs) - {one}
        rounds = 3 if len(ours) > HOPS_MAX else 10 if len(ours) > 1000 else 500
        kit_ms = median_ms(lambda one=one: index.ancestors(f"art://{one}"), rounds)  # type: ignore[misc]
        floor_ms = median_ms(lambda one=one: floor(one), rounds)  # type: ignore[misc]
        print(
            f"{len(ours):7,} ancestors, {title:16} {kit_ms:9.3f} ms   plain SQLite {floor_ms:.3f} ms", end=""
        )
        if len(ours) <= HOPS_MAX:
            hops_ms = median_ms(lambda one=one: by_hops(registry, one), 3)  # type: ignore[misc]
            print(f"   a manifest a hop {hops_ms:.1f} ms", end="")
        print()
        if len(ours) <= PATHOLOGICAL:
            most = 1 if title == "pipeline-shaped" else 500
            said.append(bars.at_most(f"{len(ours):,} ancestors, {title}", kit_ms, most, " ms"))
        said.append(bars.at_most(f"{len(ours):,} ancestors, of plain SQLite", kit_ms / floor_ms, 2, "x"))
    return said


def catching_up(index: Index, registry: Registry) -> None:
    """What one more version costs the index, and none."""
    taken = []
    for turn in range(20):
        registry.publish(Draft(name="late", source="s3://x", metadata={"turn": turn}))
        start = time.perf_counter()
        catch_up(index, Reader(registry))
        taken.append((time.perf_counter() - start) * 1e3)
        assert index.knows(f"art://late:v{turn + 1}")
    print(f"catching up after a publish  {statistics.median(taken):8.2f} ms")
    idle_ms = median_ms(lambda: catch_up(index, Reader(registry)), 20)
    print(f"  with nothing new           {idle_ms:8.2f} ms")


def command(root: Path, refs: Iterable[str]) -> None:
    """The command's answers as processes, beside an empty app's."""
    empty = [sys.executable, "-c", house.EMPTY_APP, "x"]
    kit = [str(Path(sys.executable).with_name("nemotron")), "kit"]
    asked = {"empty Typer app": empty}
    for ref in refs:
        asked[f"lineage {ref}"] = [*kit, "lineage", ref, "--root", str(root)]
    found = house.process_ms(asked, 7, dict(os.environ))
    for title, taken in found.items():
        print(f"{title:28} {taken:8.0f} ms   {taken / found['empty Typer app']:.2f}")


def measure(folder: str, options: argparse.Namespace) -> None:
    """Print a table of what was taken in a folder."""
    os.environ["XDG_CACHE_HOME"] = f"{folder}/cache"
    root = Path(folder, "store")
    made_from = found_store(root, FULL if options.full else options.versions, options.names)
    registry = Registry.open(root)
    edges = sum(map(len, made_from.values()))
    count = f"{len(made_from):,} versions, {edges:,} edges, {options.names:,} names"
    print(f"{count}; Python {sys.version.split()[0]}", flush=True)

    floor_s, floor = plain_sqlite(Path(folder, "floor.sqlite"), made_from)
    order = list(made_from)
    few = min(order[:200], key=lambda one: abs(len(floor(one)) - 30))
    nodes = {"pipeline-shaped": few, "the last": order[-1]}
    if len(order) > PATHOLOGICAL:
        nodes["pathological"] = order[PATHOLOGICAL]
    with Index(f"{folder}/index.sqlite") as index:
        start, cpu = time.perf_counter(), time.process_time()
        catch_up(index, Reader(registry))
        built_s, cpu_s = time.perf_counter() - start, time.process_time() - cpu
        rate = f"{len(made_from) / built_s:,.0f} manifests/s, {cpu_s:.2f} s of processor time"
        print(f"build                        {built_s:8.2f} s    {rate}", flush=True)
        print(f"  plain SQLite, no store     {floor_s:8.2f} s")
        said = [bars.at_least("rebuilding the index", len(made_from) / built_s, 5000, " manifests/s")]
        said += ask(index, floor, registry, nodes)
        keep(options.json, said)
        down_ms = median_ms(lambda: Descent(index, "art://first:v1").nearest(), 10)
        print(f"{Descent(index, 'art://first:v1').count():7,} descendants              {down_ms:9.3f} ms")
        catching_up(index, registry)
        if options.ml_metadata:
            said += ml_metadata(options.ml_metadata, Path(folder), made_from, index, len(made_from) / built_s)
            keep(options.json, said)
    collect(registry, few, direction="down", depth=1)
    print(f"collect, pipeline-shaped     {median_ms(lambda: collect(registry, few), 20):8.2f} ms")
    command(root, [few, "first"])
    bars.show(said)


def main() -> None:
    """Print a table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--versions", type=int, default=30_000)
    arguments.add_argument("--names", type=int, default=1000)
    arguments.add_argument("--full", action="store_true", help=f"{FULL:,} versions")
    arguments.add_argument("--ml-metadata", metavar="PYTHON", help="a Python that has ml-metadata")
    arguments.add_argument("--json", type=Path, help="write whether the bars hold to this file")
    arguments.add_argument("--keep", action="store_true", help="keep the scratch folder")
    options = arguments.parse_args()
    folder = tempfile.mkdtemp(prefix="kit-bench-")
    try:
        measure(folder, options)
    finally:
        if not options.keep:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
