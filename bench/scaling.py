"""How the cost of a file, of a byte and of an entry grows with how many there are. Asserts nothing.

Each figure is taken by a process of its own, so that its peak of memory is its own; what that process starts
is counted with it (see `family`). With `--json` it is kept as soon as it is taken, and a run that was stopped
goes on where it was. What would take too long is not measured, and named.
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
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import bars
import family
from content import settle

Keep = Callable[[], object]
Row = dict[str, Any]
WAYS = ("stat", "full", "snapshot")
# What is done to the most files besides, each by a process of its own.
LATER = ("changed", "verify")
FILE_SIZE = 64
ENTRIES = 100_000
IN_A_FOLDER = 1000
# What is stored if there is no time for ten times as many as before.
FEWER = 300_000
# Every so-manieth file is another one when some are changed.
CHANGED_EACH = 20
# Seconds a file that making takes if it was not yet measured, in one process.
MAKING_S = 50e-6


def make_folder(number: int, folder: Path, files: int, size: int) -> None:
    """The files of one folder, by as few calls as there can be; they differ from those of any other."""
    at = folder / f"{number:04}"
    at.mkdir(parents=True)
    block, past = os.urandom(min(size, 1 << 20)), time.time() - 60
    for file in range(number * IN_A_FOLDER, min((number + 1) * IN_A_FOLDER, files)):
        path = f"{at}/{file:07}"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
        os.write(descriptor, file.to_bytes(8, "big") + block[8:])
        for written in range(len(block), size, len(block)):
            os.write(descriptor, block[: size - written])
        os.close(descriptor)
        os.utime(path, (past, past))


def make(folder: Path, files: int, size: int) -> Path:
    """Files that differ, 1,000 a folder, dated a minute ago so that they are believed at once.

    Of more than `FEWER` files, so many are in a folder `few`, and can be stored alone.
    """
    folders = range((files - 1) // IN_A_FOLDER + 1)
    few = FEWER // IN_A_FOLDER if files > FEWER else 0
    with multiprocessing.Pool() as pool:
        for name, numbers in (("few", folders[:few]), ("rest", folders[few:])):
            pool.map(partial(make_folder, folder=folder / name, files=files, size=size), numbers, 10)
    return folder


def change(folder: Path) -> None:
    """Write other bytes into some of the files that `make` made."""
    for above, _, names in os.walk(folder):
        for name in names:
            if int(name) % CHANGED_EACH == 0:
                Path(above, name).write_bytes(os.urandom(FILE_SIZE))


def one(folder: Path, root: Path, how: str, *steps: str) -> dict[str, float]:
    """Publish a folder, or verify what was published; what each step took."""
    from nemotron.kit.registry.records import Draft
    from nemotron.kit.registry.registry import Registry

    warm_up = root.with_name(f"{root.name}-warm")
    Registry.open(warm_up).publish(Draft(name="x", source=__file__, snapshot=True))  # imports don't count
    draft = Draft(
        name="x", source=folder, snapshot=how == "snapshot", evidence="full" if how == "full" else "stat"
    )
    found: dict[str, float] = {}
    for step in steps:
        before, start = family.spent_s(), time.perf_counter()
        registry = Registry.open(root)
        if step == "verify":
            registry.verify("art://x")
        else:
            registry.publish(draft)
        found[f"{step}_s"] = time.perf_counter() - start
        found[f"{step}_cpu_s"] = family.spent_s() - before
    return found | {"peak_mib": family.own_peak_mib()}


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


def apart(scratch: Path, cache: str, *arguments: object) -> dict[str, float]:
    """`one`, or the entries, in a process of its own, when nothing is left to be written.

    Args:
        scratch: where all lies.
        cache: the name of the folder there that is the user's cache.
        arguments: of `one`.
    """
    subprocess.run(["sync", "-f", str(scratch)], check=True)
    command = [sys.executable, __file__, "--one", *map(str, arguments)]
    said, peak_mib = family.watched(command, {**os.environ, "XDG_CACHE_HOME": str(scratch / cache)})
    found: dict[str, float] = json.loads(said)
    return found | {"peak_mib": max(peak_mib, found.get("peak_mib", 0))}


class ByFiles:
    """The curve by files: from a thousand on, ten times as many each time, as far as the time goes.

    Args:
        scratch: where all is made; nothing is deleted, for file systems are slow for minutes after that.
        until: when it is to be over, by `time.perf_counter`.
        rows: what is known; what is found is added.
        keep: called after each figure.
    """

    def __init__(self, scratch: Path, until: float, rows: list[Row], keep: Keep) -> None:
        self.scratch, self.until, self.rows, self.keep = scratch, until, rows, keep
        self.missing: list[str] = []
        self.making_s = MAKING_S
        # The figures of the most files for which there was time, and these files.
        self.largest: list[tuple[Row, Path]] = []

    def run(self, most: int) -> None:
        """All sizes up to `most`."""
        files = IN_A_FOLDER
        while files <= most:
            if wanted := [how for how in WAYS if not self.taken(files, how)]:
                self.size(files, wanted)
            files *= 10
        for row, data in self.largest:
            self.later(row, data)

    def taken(self, files: int, how: str) -> bool:
        """Whether there is a figure."""
        return any((row["files"], row["how"]) == (files, how) for row in self.rows)

    def expected_s(self, files: int, how: str) -> float:
        """How long it will take, by the most files that were stored so."""
        known = max(
            (row for row in self.rows if row["how"] == how), key=lambda row: row["files"], default=None
        )
        return 0.0 if known is None else (known["first_s"] + known["unchanged_s"]) / known["files"] * files

    def size(self, files: int, wanted: list[str]) -> None:
        """So many files, in the ways there is time for."""
        left_s = self.until - time.perf_counter()
        if files > IN_A_FOLDER and files * self.making_s + self.expected_s(files, wanted[0]) > left_s:
            self.missing += [f"{how}, {files:,} files (no time is left)" for how in wanted]
            return
        self.largest.clear()
        start = time.perf_counter()
        data = make(self.scratch / f"files{files}", files, FILE_SIZE)
        self.making_s = (time.perf_counter() - start) / files
        for how in wanted:
            expected_s, left_s = self.expected_s(files, how), self.until - time.perf_counter()
            if files == IN_A_FOLDER or expected_s <= left_s:
                self.figure(files, how, data)
                continue
            self.missing.append(f"{how}, {files:,} files (it would take about {expected_s:.0f} s)")
            if files > FEWER and not self.taken(FEWER, how) and self.expected_s(FEWER, how) <= left_s:
                self.figure(FEWER, how, data / "few")

    def figure(self, files: int, how: str, data: Path) -> None:
        """Take one."""
        found = self.apart(files, how, data, "first", "unchanged")
        row: Row = {"files": files, "how": how} | found
        self.rows.append(row)
        self.largest.append((row, data))
        self.keep()
        print(
            f"  {files:>9,} files, {how:8}: {row['first_cpu_s'] / files * 1e6:6.1f} µs of CPU a file, "
            f"unchanged {row['unchanged_cpu_s'] / files * 1e6:6.1f}; {row['first_s']:.2f} s, "
            f"unchanged {row['unchanged_s']:.2f}; peak {row['peak_mib']:.0f} MiB",
            flush=True,
        )

    def later(self, row: Row, data: Path) -> None:
        """Take what comes after: some files are changed and published, and all are verified."""
        for step in LATER:
            said = f"{row['how']}, {row['files']:,} files, {step}"
            if row["first_s"] > self.until - time.perf_counter():  # neither is more work than that
                self.missing.append(f"{said} (no time is left)")
                continue
            if step == "changed":
                change(data)
            found = self.apart(row["files"], row["how"], data, step)
            row |= {f"{step}_s": found[f"{step}_s"], f"{step}_peak_mib": found["peak_mib"]}
            self.keep()
            print(f"  {said}: {row[f'{step}_s']:.2f} s, peak {row[f'{step}_peak_mib']:.0f} MiB", flush=True)

    def apart(self, files: int, how: str, data: Path, *steps: str) -> dict[str, float]:
        """Some steps in a process of their own, with the store and the cache of so many files."""
        name = f"{how}{files}"
        return apart(self.scratch, f"cache-{name}", data, self.scratch / f"store-{name}", how, *steps)


def by_bytes(scratch: Path, most_mib: int, rows: list[Row], keep: Keep) -> None:
    """One file, from 16 MiB on, four times as large each time."""
    mib, taken = 16, {(row["mib"], row["how"]) for row in rows}
    while mib <= most_mib and shutil.disk_usage(scratch).free > 4 * mib << 20:
        wanted = [how for how in ("full", "snapshot") if (mib, how) not in taken]
        if wanted:
            data = make(scratch / f"bytes{mib}", 1, mib << 20)
            settle(scratch, mib << 20)
            start = time.perf_counter()
            subprocess.run(["cp", "-r", str(data), str(scratch / f"copy{mib}")], check=True)
            copied = time.perf_counter() - start
            for how in wanted:
                settle(scratch, mib << 20 if how == "snapshot" else 0)
                name = f"{how}-{mib}"
                row = apart(
                    scratch, f"cache-{name}", data, scratch / f"store-{name}", how, "first", "unchanged"
                )
                rows.append({"mib": mib, "how": how, "cp_s": copied} | row)
                print(
                    f"  {mib:>6} MiB, {how:8}: {row['first_s']:.3f} s, cp -r {copied:.3f} s, "
                    f"peak {row['peak_mib']:.0f} MiB",
                    flush=True,
                )
            keep()
        mib *= 4


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
            bars.at_most(f"{how}, peak of memory, {many['files']:,} files", many["peak_mib"], 300, " MiB"),
            *(
                bars.at_most(
                    f"{how}, {step}, peak of memory, {many['files']:,} files", many[peak], 300, " MiB"
                )
                for step in LATER
                if (peak := f"{step}_peak_mib") in many
            ),
            bars.at_most(f"{how}, growth of CPU a file, {sizes}", growth, 1.3, "x"),
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
    parser.add_argument("--seconds", type=float, default=float("inf"), help="for all of it, about")
    parser.add_argument("--json", type=Path, help="keep the figures in this file, and go on from it")
    parser.add_argument("--keep", action="store_true", help="keep the scratch folder")
    parser.add_argument("--one", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        data, *rest = arguments.one
        print(json.dumps(one(Path(data), Path(rest[0]), *rest[1:]) if rest else by_entries(ENTRIES)))
        return
    results: dict[str, Any] = {"bytes": [], "files": []}
    if arguments.json and arguments.json.exists():
        results |= json.loads(arguments.json.read_text())
    scratch = Path(tempfile.mkdtemp(prefix="kit-bench-"))
    os.environ["XDG_CACHE_HOME"] = str(scratch / "cache")

    def keep() -> None:
        if arguments.json:
            part = arguments.json.with_suffix(".part")
            part.write_text(json.dumps(results | {"bars": bars_of(results)}, indent=1))
            part.replace(arguments.json)

    until = time.perf_counter() + arguments.seconds
    try:
        if "entries" not in results:
            rate = results["entries"] = apart(scratch, "cache-entries", "entries")
            print(f"  {ENTRIES:,} entries: {rate['written']:,.0f}/s written, {rate['read']:,.0f}/s read")
        by_bytes(scratch, arguments.mib, results["bytes"], keep)
        curve = ByFiles(scratch, until, results["files"], keep)
        curve.run(arguments.files)
        results["missing"] = curve.missing
        for text in curve.missing:
            print(f"  not measured: {text}")
        keep()
    finally:
        if not arguments.keep:
            shutil.rmtree(scratch)


if __name__ == "__main__":
    main()
