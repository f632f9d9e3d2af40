"""How the cost of a file, of a byte and of a version grows with how many there are. Asserts nothing.

Each figure is taken by a process of its own, so that its peak of memory is its own.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

FILE_SIZE = 64
BLOCK = 100


def make(folder: Path, files: int, size: int) -> Path:
    """Files that differ, 1,000 a folder, dated a minute ago so that they are believed at once."""
    block = os.urandom(1 << 20)
    past = time.time() - 60
    for number in range(files):
        parent = folder / f"{number // 1000:04}"
        if number % 1000 == 0:
            parent.mkdir(parents=True)
        path = f"{parent}/{number:07}"
        with open(path, "wb") as file:
            file.write(number.to_bytes(8, "big"))
            for at in range(8, size, 1 << 20):
                file.write(block[: min(size - at, 1 << 20)])
        os.utime(path, (past, past))
    return folder


def one(folder: Path, root: Path, how: str) -> dict[str, float]:
    """Publish a folder twice, the second time in vain; what each took of this process."""
    from nemotron.kit.registry.records import Draft
    from nemotron.kit.registry.registry import Registry

    warm_up = root.with_name(f"{root.name}-warm")
    Registry.open(warm_up).publish(Draft(name="x", source=__file__, snapshot=True))  # imports don't count
    empty_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    draft = Draft(
        name="x", source=folder, snapshot=how == "snapshot", evidence="full" if how == "full" else "stat"
    )
    found: dict[str, float] = {"empty_mib": empty_kib / 1024}
    for step in ("first", "unchanged"):
        before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        Registry.open(root).publish(draft)
        after = resource.getrusage(resource.RUSAGE_SELF)
        found[f"{step}_s"] = time.perf_counter() - start
        found[f"{step}_cpu_s"] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        found[f"{step}_peak_mib"] = after.ru_maxrss / 1024
    return found


def versions(root: Path, data: Path, count: int) -> list[float]:
    """Seconds of each publish of one name, by reference."""
    from nemotron.kit.registry.records import Draft
    from nemotron.kit.registry.registry import Registry

    registry, taken = Registry.open(root), []
    for number in range(count):
        start = time.perf_counter()
        registry.publish(Draft(name="x", source=data, metadata={"number": number}))
        taken.append(time.perf_counter() - start)
    return taken


def apart(scratch: Path, *arguments: object) -> dict[str, float]:
    """`one`, in a process and with a cache of its own."""
    cache = Path(tempfile.mkdtemp(dir=scratch))
    command = [sys.executable, __file__, "--one", *map(str, arguments)]
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def by_files(
    scratch: Path, most: int, seconds: float, told: Callable[[list[dict[str, Any]]], object]
) -> list[dict[str, Any]]:
    """From a thousand files on, ten times as many each time, as far as the time goes; `told` after each."""
    began, rows, files = time.perf_counter(), [], 1000
    while files <= most:
        start = time.perf_counter()
        data = make(scratch / f"files{files}", files, FILE_SIZE)
        for how in ("stat", "full", "snapshot"):
            row = apart(scratch, data, scratch / f"store-{how}{files}", how)
            rows.append({"files": files, "how": how} | row)
            print(
                f"  {files:>9,} files, {how:8}: {row['first_cpu_s'] / files * 1e6:6.1f} µs of CPU a file, "
                f"unchanged {row['unchanged_cpu_s'] / files * 1e6:6.1f}, "
                f"peak {row['unchanged_peak_mib']:.0f} MiB",
                flush=True,
            )
        told(rows)
        spent = time.perf_counter() - start
        if files > 1000 and time.perf_counter() - began + 10 * spent > seconds:
            break
        files *= 10
    return rows


def by_bytes(scratch: Path, most_mib: int) -> list[dict[str, Any]]:
    """One file, from 16 MiB on, four times as large each time."""
    rows, mib = [], 16
    while mib <= most_mib and shutil.disk_usage(scratch).free > 4 * mib << 20:
        data = make(scratch / f"bytes{mib}", 1, mib << 20)
        start = time.perf_counter()
        subprocess.run(["cp", "-r", str(data), str(scratch / f"copy{mib}")], check=True)
        copied = time.perf_counter() - start
        for how in ("full", "snapshot"):
            row = apart(scratch, data, scratch / f"store-{how}-{mib}", how)
            rows.append({"mib": mib, "how": how, "cp_s": copied} | row)
            print(
                f"  {mib:>6} MiB, {how:8}: {row['first_s']:.3f} s, cp -r {copied:.3f} s, "
                f"peak {row['first_peak_mib']:.0f} MiB",
                flush=True,
            )
        for place in (
            data,
            scratch / f"copy{mib}",
            scratch / f"store-full-{mib}",
            scratch / f"store-snapshot-{mib}",
        ):
            shutil.rmtree(place)
        mib *= 4
    return rows


def by_versions(scratch: Path, count: int) -> list[float]:
    """Milliseconds of a publish, the median of each hundred."""
    data = make(scratch / "one", 1, FILE_SIZE)
    taken = versions(scratch / "versions", data, count)
    medians = [statistics.median(taken[at : at + BLOCK]) * 1e3 for at in range(0, count, BLOCK)]
    print(
        f"  publish 1 to {BLOCK}: {medians[0]:.2f} ms; the last {BLOCK} of {count:,}: {medians[-1]:.2f} ms",
        flush=True,
    )
    return medians


def main() -> None:
    """Run all of it, or one figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000, help="as many files at most")
    parser.add_argument("--mib", type=int, default=1024, help="as large a file at most")
    parser.add_argument("--versions", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="for the curve of files, about")
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    parser.add_argument("--one", nargs=3, metavar=("DATA", "ROOT", "HOW"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        data, root, how = arguments.one
        print(json.dumps(one(Path(data), Path(root), how)))
        return
    scratch = Path(tempfile.mkdtemp(prefix="kit-bench-"))
    os.environ["XDG_CACHE_HOME"] = str(scratch / "cache")
    try:
        results: dict[str, Any] = {
            "bytes": by_bytes(scratch, arguments.mib),
            "versions": by_versions(scratch, arguments.versions),
        }

        def keep(rows: list[dict[str, Any]]) -> None:
            if arguments.json:  # kept as far as it goes, should the rest take too long
                arguments.json.write_text(json.dumps(results | {"files": rows}, indent=1))

        by_files(scratch, arguments.files, arguments.seconds, keep)
    finally:
        shutil.rmtree(scratch)


if __name__ == "__main__":
    main()
