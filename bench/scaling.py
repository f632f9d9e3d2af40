"""How the cost of a file, of a byte and of a version grows with how many there are. Asserts nothing.

Each figure is taken by a process of its own, so that its peak of memory is its own. With `--json` it is kept
as soon as it is taken, and a run that was stopped goes on where it was.
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

import bars

Keep = Callable[[], object]
WAYS = ("stat", "full", "snapshot")
FILE_SIZE = 64
ENTRIES = 100_000
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


def by_entries(count: int) -> dict[str, float]:
    """Entries of a listing written and read in a second of processor time, the median of a few times."""
    from nemotron.kit.documents.tree import Entry, Tree

    tree = Tree.of(
        Entry(f"{at // 1000:04}/{at:07}.bin", at, at, f"blake3:{at:064x}", inode=at, ctime_ns=at)
        for at in range(count)
    )
    written, read = [], []
    for _ in range(5):
        start = time.process_time()
        digest, data = tree.packed()
        middle = time.process_time()
        again = Tree.from_bytes(data, "listing", digest)
        read.append(time.process_time() - middle)
        written.append(middle - start)
        assert again.files == count
        tree = Tree.of_columns(tree.columns)  # what is known of the old one is not to be had for nothing
    return {"written": count / statistics.median(written), "read": count / statistics.median(read)}


def apart(scratch: Path, *arguments: object) -> dict[str, float]:
    """`one`, or the entries, in a process and with a cache of its own."""
    cache = Path(tempfile.mkdtemp(dir=scratch))
    command = [sys.executable, __file__, "--one", *map(str, arguments)]
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def by_files(scratch: Path, most: int, seconds: float, rows: list[dict[str, Any]], keep: Keep) -> None:
    """From a thousand files on, ten times as many each time, as far as the time goes."""
    began, files = time.perf_counter(), 1000
    taken = {(row["files"], row["how"]) for row in rows}
    while files <= most:
        start = time.perf_counter()
        wanted = [how for how in WAYS if (files, how) not in taken]
        data = make(scratch / f"files{files}", files, FILE_SIZE) if wanted else scratch
        for how in wanted:
            row = apart(scratch, data, scratch / f"store-{how}{files}", how)
            rows.append({"files": files, "how": how} | row)
            keep()
            print(
                f"  {files:>9,} files, {how:8}: {row['first_cpu_s'] / files * 1e6:6.1f} µs of CPU a file, "
                f"unchanged {row['unchanged_cpu_s'] / files * 1e6:6.1f}, "
                f"peak {row['unchanged_peak_mib']:.0f} MiB",
                flush=True,
            )
        spent = time.perf_counter() - start
        if wanted and files > 1000 and time.perf_counter() - began + 10 * spent > seconds:
            break
        files *= 10


def by_bytes(scratch: Path, most_mib: int, rows: list[dict[str, Any]], keep: Keep) -> None:
    """One file, from 16 MiB on, four times as large each time."""
    mib, taken = 16, {(row["mib"], row["how"]) for row in rows}
    while mib <= most_mib and shutil.disk_usage(scratch).free > 4 * mib << 20:
        wanted = [how for how in ("full", "snapshot") if (mib, how) not in taken]
        if wanted:
            data = make(scratch / f"bytes{mib}", 1, mib << 20)
            start = time.perf_counter()
            subprocess.run(["cp", "-r", str(data), str(scratch / f"copy{mib}")], check=True)
            copied = time.perf_counter() - start
            for how in wanted:
                row = apart(scratch, data, scratch / f"store-{how}-{mib}", how)
                rows.append({"mib": mib, "how": how, "cp_s": copied} | row)
                print(
                    f"  {mib:>6} MiB, {how:8}: {row['first_s']:.3f} s, cp -r {copied:.3f} s, "
                    f"peak {row['first_peak_mib']:.0f} MiB",
                    flush=True,
                )
            keep()
            for name in (f"bytes{mib}", f"copy{mib}", *(f"store-{how}-{mib}" for how in wanted)):
                shutil.rmtree(scratch / name)
        mib *= 4


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


def bars_of(results: dict[str, Any]) -> list[bars.Verdict]:
    """What the curves say of the bars."""
    found = []
    for how in WAYS:
        rows = {row["files"]: row for row in results["files"] if row["how"] == how}
        if not rows:
            continue
        few, many = rows[min(rows)], rows[max(rows)]
        growth = many["first_cpu_s"] / many["files"] / (few["first_cpu_s"] / few["files"])
        sizes = f"{few['files']:,} to {many['files']:,} files"
        found += [
            bars.at_most(
                f"{how}, peak of memory, {many['files']:,} files", many["unchanged_peak_mib"], 300, " MiB"
            ),
            bars.at_most(f"{how}, growth of CPU a file, {sizes}", growth, 1.3, "x"),
        ]
    if medians := results.get("versions"):
        found += [
            bars.at_most("one more version, synced, the last hundred", medians[-1], 5, " ms"),
            bars.at_most("its growth since the first hundred", medians[-1] / medians[0], 1.3, "x"),
        ]
    if entries := results.get("entries"):
        found += [
            bars.at_least(f"entries of a listing {how}", entries[how], 200_000, "/s")
            for how in ("written", "read")
        ]
    return found


def main() -> None:
    """Run all of it, or one figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000, help="as many files at most")
    parser.add_argument("--mib", type=int, default=1024, help="as large a file at most")
    parser.add_argument("--versions", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="for the curve of files, about")
    parser.add_argument("--json", type=Path, help="keep the figures in this file, and go on from it")
    parser.add_argument("--one", nargs=3, metavar=("DATA", "ROOT", "HOW"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        data, root, how = arguments.one
        print(json.dumps(by_entries(ENTRIES) if how == "entries" else one(Path(data), Path(root), how)))
        return
    results: dict[str, Any] = {}
    if arguments.json and arguments.json.exists():
        results = json.loads(arguments.json.read_text())
    scratch = Path(tempfile.mkdtemp(prefix="kit-bench-"))
    os.environ["XDG_CACHE_HOME"] = str(scratch / "cache")

    def keep() -> None:
        if arguments.json:
            part = arguments.json.with_suffix(".part")
            part.write_text(json.dumps(results | {"bars": bars_of(results)}, indent=1))
            part.replace(arguments.json)

    for key, empty in (("bytes", []), ("files", [])):
        results.setdefault(key, empty)
    try:
        if "entries" not in results:
            rate = results["entries"] = apart(scratch, "", "", "entries")
            print(f"  {ENTRIES:,} entries: {rate['written']:,.0f}/s written, {rate['read']:,.0f}/s read")
        by_bytes(scratch, arguments.mib, results["bytes"], keep)
        if "versions" not in results:
            results["versions"] = by_versions(scratch, arguments.versions)
        by_files(scratch, arguments.files, arguments.seconds, results["files"], keep)
        keep()
    finally:
        shutil.rmtree(scratch)


if __name__ == "__main__":
    main()
