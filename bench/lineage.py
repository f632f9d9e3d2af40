"""What the lineage index costs: building it, asking it, catching up; plain recursive SQLite in the same run.

Prints numbers and asserts nothing: `python bench/lineage.py [--versions N]`.
"""

import argparse
import os
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from nemotron.kit.documents.manifest import Manifest
from nemotron.kit.lineage.catch_up import catch_up
from nemotron.kit.lineage.collect import collect
from nemotron.kit.lineage.index import Index
from nemotron.kit.lineage.reading import Reader
from nemotron.kit.registry import layout, stamps
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry


def found_store(root: Path, versions: int, names: int) -> dict[str, list[str]]:
    """A root with manifests as publishing leaves them, each made from up to four earlier ones."""
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
        used = tuple(dict.fromkeys(chain + rng.sample(earlier[-50:], min(len(earlier), 3))))
        manifest = Manifest(
            name=name,
            version=numbers[which],
            type="ModelArtifact",
            path=f"/data/{name}/{numbers[which]}",
            created_at=stamps.now(),
            metadata={"step": at, "final_loss": 2.5, "note": "x" * 100},
            used_artifacts=used,
            inputs=(f"hf://datasets/org/set-{at % 500}",),
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


def main() -> None:
    """Print a table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--versions", type=int, default=30_000)
    arguments.add_argument("--names", type=int, default=1000)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = f"{folder}/cache"
        made_from = found_store(Path(folder, "store"), options.versions, options.names)
        registry = Registry.open(Path(folder, "store"))
        edges = sum(map(len, made_from.values()))
        print(
            f"{len(made_from):,} versions, {edges:,} edges, {options.names:,} names; {sys.version.split()[0]}"
        )

        floor_s, floor = plain_sqlite(Path(folder, "floor.sqlite"), made_from)
        with Index(f"{folder}/index.sqlite") as index:
            start = time.perf_counter()
            catch_up(index, Reader(registry))
            built_s = time.perf_counter() - start
            rate = len(made_from) / built_s
            print(f"build                        {built_s:8.2f} s    {rate:,.0f} manifests/s")
            print(f"  plain SQLite, no store     {floor_s:8.2f} s")
            last = list(made_from)[-1]
            few = min(list(made_from)[:200], key=lambda one: abs(len(floor(one)) - 30))
            for title, one in (("pipeline-shaped", few), ("the last", last)):
                ours, theirs = index.ancestors(f"art://{one}"), floor(one)
                assert {uri.removeprefix("art://") for uri in ours} == set(theirs) - {one}
                rounds = 20 if len(ours) > 1000 else 500
                kit_ms = median_ms(lambda one=one: index.ancestors(f"art://{one}"), rounds)  # type: ignore[misc]
                floor_ms = median_ms(lambda one=one: floor(one), rounds)  # type: ignore[misc]
                print(
                    f"{len(ours):7,} ancestors, {title:12} {kit_ms:9.3f} ms   plain SQLite {floor_ms:.3f} ms"
                )
            first = "art://first:v1"
            print(
                f"{len(index.descendants(first)):7,} descendants              "
                f"{median_ms(lambda: index.descendants(first), 10):9.3f} ms"
            )
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
        collect(registry, few, direction="down", depth=1)
        print(f"collect, pipeline-shaped     {median_ms(lambda: collect(registry, few), 20):8.2f} ms")


if __name__ == "__main__":
    main()
