"""What the house costs: start-up, publishing, resolving, many names, many writers; peers in the same run.

Prints medians and ratios and asserts nothing. Run it while nothing else runs: `make bench`.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import bars
import peers

EMPTY_APP = "import typer\napp = typer.Typer()\n@app.command()\ndef hello(name: str) -> None: pass\napp()\n"


def median_ms(work: Callable[[], object], rounds: int) -> float:
    """Median of a few calls, in milliseconds."""
    taken = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken) * 1e3


def process_ms(
    commands: dict[str, Sequence[str]], rounds: int, environment: dict[str, str]
) -> dict[str, float]:
    """Median wall time of each command as a process; the commands take turns, so drift hits all alike."""
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(rounds + 2):
        for name, command in commands.items():
            start = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True, env=environment)
            if turn >= 2:
                taken[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) * 1e3 for name, values in taken.items()}


def table(title: str, rows: Sequence[Sequence[object]]) -> None:
    """Print rows in columns."""
    print(f"\n{title}")
    widths = [max(len(str(row[i])) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print(
            "  " + "  ".join(str(cell).ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        )


def start_up(folder: Path, rounds: int) -> list[bars.Verdict]:
    """Import of the kit, and the command, as whole processes."""
    data = folder / "start" / "data"
    data.mkdir(parents=True)
    (data / "a.txt").write_text("x")
    peers.kit(folder / "start" / "store", data)(0)
    empty = folder / "start" / "empty.py"
    empty.write_text(EMPTY_APP)
    # The installed command without its launcher, so that both are started in the same way.
    command = "from nemotron.kit.cli import main; main()"
    # As it is installed: with bytecode, which the first rounds write where it is missing.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment["NEMO_ARTIFACT_ROOT"] = str(folder / "start" / "store")
    path_only = (
        "from nemotron.kit.context import require_registry; "
        "store = require_registry(); store.location(store.resolve('x'))"
    )
    typed = "from nemotron.kit import Artifact; Artifact.from_uri('art://x')"
    commands: dict[str, Sequence[str]] = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "import nemotron.kit": [sys.executable, "-c", "import nemotron.kit"],
        "name to path": [sys.executable, "-c", path_only],
        "typed artifact": [sys.executable, "-c", typed],
        "empty Typer app": [sys.executable, str(empty), "x"],
        "nemotron kit resolve art://x": [sys.executable, "-c", command, "kit", "resolve", "art://x"],
    }
    found = process_ms(commands, rounds, environment)
    rows = [("process", "ms", "of bare Python", "of an empty Typer app")]
    bare, typer = found["python -c pass"], found["empty Typer app"]
    for name, value in found.items():
        rows.append((name, f"{value:.1f}", f"{value / bare:.2f}", f"{value / typer:.2f}"))
    table(f"Start-up, medians of {rounds} interleaved processes", rows)
    resolve = "nemotron kit resolve art://x"
    return [
        bars.at_most("import nemotron.kit, of bare Python", found["import nemotron.kit"] / bare, 1.5, "x"),
        bars.at_most("name to path, as a process", found["name to path"], 100, " ms"),
        bars.at_most("typed artifact, as a process", found["typed artifact"], 250, " ms"),
        bars.at_most(f"{resolve}, of an empty Typer app", found[resolve] / typer, 1.2, "x"),
    ]


def publishing(folder: Path, count: int) -> list[bars.Verdict]:
    """`count` versions of one name: the last hundred, in turns with the first hundred of an empty place."""
    data = folder / "publish" / "data"
    data.mkdir(parents=True)
    (data / "a.txt").write_text("x")
    contestants: dict[str, tuple[Callable[[Path, Path], peers.Publish], int]] = {
        "floor: small file": (peers.small_file, count),
        "floor: synced file and folders": (peers.synced_file, count),
        "floor: SQLite row, synced": (partial(peers.sqlite_row, synchronous="FULL"), count),
        "floor: SQLite row, not synced": (partial(peers.sqlite_row, synchronous="OFF"), count),
        "manifest tracker": (peers.manifest_tracker, count),
        "copy registry": (peers.copy_registry, count),
        "kit: publish": (peers.kit, count),
        "kit: Artifact.save": (peers.kit_save, count),
    }
    if find_spec("mlflow"):
        contestants["MLflow registry (SQLite)"] = (peers.mlflow_registry, count)
    if find_spec("dvc"):
        contestants["DVC add (command)"] = (peers.dvc_command, 10)
    rows = [("publish, ms", "first", "last", "growth", "versions")]
    said = []
    for name, (make, versions) in contestants.items():
        place = folder / "publish" / name.replace(" ", "-").replace(":", "")
        turns = {"first": make(place.with_name(f"{place.name}-first"), data), "last": make(place, data)}
        # What those before it wrote would be written while it syncs, and it would wait.
        subprocess.run(["sync", "-f", str(folder)], check=True)
        part = min(100, versions // 2)
        for number in range(versions - part):
            turns["last"](number)
        taken: dict[str, list[float]] = {turn: [] for turn in turns}
        for number in range(versions - part, versions):
            for turn, publish in turns.items():
                start = time.perf_counter()
                publish(number)
                taken[turn].append(time.perf_counter() - start)
        first, last = (statistics.median(seconds) * 1e3 for seconds in taken.values())
        rows.append((name, f"{first:.2f}", f"{last:.2f}", f"{last / first:.2f}", versions))
        if name.startswith("kit"):
            said += [
                bars.at_most(f"{name}, one of {versions} versions", last, 5, " ms"),
                bars.at_most(f"{name}, growth", last / first, 1.3, "x"),
            ]
    table(f"Publishing {count} versions of one name", rows)
    return said


def resolving(folder: Path) -> list[bars.Verdict]:
    """Resolves a second in a warm process."""
    from nemotron.kit import artifact, start
    from nemotron.kit.registry.registry import Registry

    root = folder / "publish" / "kit-publish"
    registry = Registry.open(root)
    found = {}
    for name, ref in (("vN", "art://x:v7"), ("latest", "art://x")):
        per_call = min(median_ms(lambda ref=ref: [registry.resolve(ref) for _ in range(2000)], 7), 1e9) / 2000
        found[name] = 1e3 / per_call
    with start.using(root=root):
        per_call = median_ms(lambda: [artifact.Artifact.from_uri("art://x:v7") for _ in range(500)], 7) / 500
    found["from_uri"] = 1e3 / per_call
    rows = [("warm", "per second"), *((name, f"{rate:,.0f}") for name, rate in found.items())]
    table("Resolving", rows)
    least = {"vN": 100_000, "latest": 50_000, "from_uri": 20_000}
    return [bars.at_least(f"resolving {name}, warm", found[name], least[name], "/s") for name in found]


def many_names(folder: Path, names: int, versions: int) -> None:
    """The same operations in a store with many names."""
    from nemotron.kit.registry.records import Draft
    from nemotron.kit.registry.registry import Registry

    data = folder / "many" / "data"
    data.mkdir(parents=True)
    (data / "a.txt").write_text("x")
    rows = [("store", "cold latest, ms", "publish, ms", "ls, ms")]
    for label, count in (("1 name", 1), (f"{names} names x {versions}", names)):
        root = folder / "many" / label.replace(" ", "-")
        registry = Registry.open(root)
        for number in range(versions):
            for name in range(count):
                registry.publish(Draft(name=f"n{name}", source=data, metadata={"i": number}))
        cold = median_ms(lambda root=root: Registry.open(root).resolve("n0"), 30)
        counter = iter(range(10**6))
        more = median_ms(
            lambda registry=registry, counter=counter: registry.publish(
                Draft(name="n0", source=data, metadata={"more": next(counter)})
            ),
            50,
        )
        listing = median_ms(lambda root=root: Registry.open(root).list(), 3)
        rows.append((label, f"{cold:.2f}", f"{more:.2f}", f"{listing:.1f}"))
    table("Many names", rows)


def _writer(
    root: Path, data: Path, who: int, each: int, barrier: "multiprocessing.synchronize.Barrier"
) -> None:
    from nemotron.kit.registry.records import Draft
    from nemotron.kit.registry.registry import Registry

    registry = Registry.open(root)
    barrier.wait()
    for number in range(each):
        registry.publish(Draft(name="m", source=data, metadata={"who": who, "number": number}))


def racing(folder: Path, each: int) -> list[bars.Verdict]:
    """Several processes publish one name at once."""
    from nemotron.kit.registry.registry import Registry

    rows = [("writers", "publishes", "versions", "seconds")]
    said = []
    for writers in (8, 16):
        root, data = folder / "race" / str(writers), folder / "race" / f"data{writers}"
        data.mkdir(parents=True)
        (data / "a.txt").write_text("x")
        barrier = multiprocessing.Barrier(writers + 1)
        workers = [
            multiprocessing.Process(target=_writer, args=(root, data, who, each, barrier))
            for who in range(writers)
        ]
        for worker in workers:
            worker.start()
        barrier.wait()
        start = time.perf_counter()
        for worker in workers:
            worker.join()
        seconds = time.perf_counter() - start
        distinct = {tuple(record.metadata.values()) for record in Registry.open(root).versions("m")}
        rows.append((writers, writers * each, len(distinct), f"{seconds:.2f}"))
        what = f"versions of {writers} processes on one name, {each} each"
        said.append(bars.at_least(what, len(distinct), writers * each))
    table("Writers on one name at once", rows)
    return said


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="processes per start-up figure")
    parser.add_argument("--versions", type=int, default=2000, help="versions of one name")
    parser.add_argument("--names", type=int, default=1000, help="names in the large store")
    parser.add_argument("--json", type=Path, help="write whether the bars hold to this file")
    parser.add_argument("--keep", action="store_true", help="keep the scratch folder")
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="kit-bench-"))
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores")
    said: list[bars.Verdict] = []
    for work in (
        partial(start_up, folder, arguments.rounds),
        partial(publishing, folder, arguments.versions),
        partial(resolving, folder),
        partial(racing, folder, 25),
    ):
        said += work()
        if arguments.json:  # as far as it goes
            arguments.json.write_text(json.dumps({"bars": said}, indent=1))
    many_names(folder, arguments.names, 20)
    bars.show(said)
    if not arguments.keep:
        shutil.rmtree(folder)  # last: ext4 is slow for a while after a mass deletion


if __name__ == "__main__":
    main()
