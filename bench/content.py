"""What storing bytes costs: this kit beside its peers, in interleaved rounds on the same data.

Three sets of data, a few large files, one large file and many small ones, are stored for the first time,
again unchanged, and again with one file changed. Prints medians, ranges, ratios to plain `cp -r`, and
whether the bars hold; asserts nothing. MLflow and DVC take part when they are installed; `make bench`
installs them. With `--json` each figure is kept as soon as it is taken, and a run that was stopped goes on
where it was. Who fails, or takes too long, is named and takes part no more.
"""

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import bars
from contestants import BASE, Contestant, Store, contestants, walk

STEPS = ("first", "unchanged", "one changed")
FEW_FILES = 100
# How often the data is on the disk at the end of a round, about.
COPIES_IN_A_ROUND = 30
LIMIT_S = 120
# Who is given one large file.
ALONE = (BASE, "cp -r, synced", "floor: hash", "kit: reference, full", bars.SNAPSHOT, bars.BARE)
Found = dict[str, Any]
Told = Callable[[Found], object]


def make(folder: Path, files: int, size: int) -> Path:
    """Random data, 500 files a folder."""
    for number in range(files):
        path = folder / f"{number // 500:04}" / f"{number:06}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "wb") as file:
            for at in range(0, size, 1 << 20):
                file.write(os.urandom(min(size - at, 1 << 20)))
    return folder


def change(data: Path) -> None:
    """Rewrite one file, and wait until its time is believed."""
    path = Path(max(walk(data)))
    path.write_bytes(os.urandom(1024) + path.read_bytes()[1024:])
    time.sleep(2.1)


def settle(scratch: Path, size: int) -> None:
    """Get memory back that a virtual machine took away, and have nothing left to be written."""
    if size:
        file = scratch / "settle"
        with open(file, "wb") as out:
            for _ in range(size >> 20):
                out.write(bytes(1 << 20))
        file.unlink()
    subprocess.run(["sync", "-f", str(scratch)], check=True)


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise `TimeoutError` in what takes longer."""

    def stop(number: int, frame: object) -> None:
        raise TimeoutError(f"not over after {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def rounds_of(found: Found, name: str) -> int:
    """In how many rounds a contestant has been through all steps."""
    rows = found["rows"].get(name, {})
    return min(len(rows.get(step, ())) for step in STEPS)


def attempt(found: Found, name: str, what: str, work: Callable[[], object]) -> float | None:
    """Seconds of some work; None, with the reason noted, if it fails. Where it failed is only printed."""
    start = time.perf_counter()
    try:
        with limited(LIMIT_S):
            work()
    except Exception as error:
        traceback.print_exc()
        code = f" (exit code {error.returncode})" if isinstance(error, subprocess.CalledProcessError) else ""
        found["failed"][name] = f"{type(error).__name__}{code}, {what}"
        return None
    return time.perf_counter() - start


def set_up(stores: dict[str, Store], name: str, contestant: Contestant, root: Path) -> None:
    """Have a contestant make its operation."""
    stores[name] = contestant.make(root)


def one_round(scratch: Path, data: Path, chosen: dict[str, Contestant], found: Found, told: Told) -> None:
    """All steps of each contestant, in turns, so that drift hits all alike; `told` hears of each figure."""
    size = sum(os.stat(path).st_size for path in walk(data))
    stores: dict[str, Store] = {}
    roots = []
    for name, contestant in chosen.items():
        root = Path(tempfile.mkdtemp(dir=scratch))
        roots.append(root)
        attempt(found, name, "while it was set up", partial(set_up, stores, name, contestant, root))
        if name in stores and contestant.own_data:
            shutil.copytree(data, root / "data")
    for step in STEPS:
        if step == "one changed":
            change(data)
            for root in roots:
                changed = root / "data" / os.path.relpath(max(walk(data)), data)
                if changed.exists():
                    shutil.copyfile(max(walk(data)), changed)
        for name in [name for name in stores if name not in found["failed"]]:
            is_written = chosen[name].writes and not (chosen[name].kind == "kit" and step == "unchanged")
            settle(scratch, size if is_written else 0)
            seconds = attempt(found, name, f"step “{step}”", partial(stores[name], data))
            if seconds is not None:
                found["rows"].setdefault(name, {}).setdefault(step, []).append(seconds)
            told(found)
    if (
        len(walk(data)) <= FEW_FILES
    ):  # they are large, and the disk is not; many small ones stay until the end
        for root in roots:
            shutil.rmtree(root)


def race(scratch: Path, data: Path, options: argparse.Namespace, found: Found, told: Told) -> None:
    """Rounds until there are as many as asked for, or time is over; there is always one.

    Peers take part in the first few only: their bars are far away, and time is better spent on close ones.
    """
    began, last_s, last = time.perf_counter(), 0.0, 1
    everybody = contestants()
    found["missing"] = [name for name, one in everybody.items() if one.is_missing]
    while True:
        chosen = {
            name: one
            for name, one in everybody.items()
            if not one.is_missing
            and name not in found["failed"]
            and (options.only in name or name == BASE)
            and rounds_of(found, name) < (options.peer_rounds if one.kind == "peer" else options.rounds)
            and (found["peers"] or name in ALONE)
        }
        spent_s = time.perf_counter() - began
        if not set(chosen) - {BASE} or (last_s and spent_s + last_s * len(chosen) / last > options.seconds):
            return
        one_round(scratch, data, chosen, found, told)
        last_s, last = time.perf_counter() - began - spent_s, len(chosen)


def affordable(scratch: Path, size: int) -> int:
    """How much data fits on the disk as often as a round writes it, in bytes."""
    free = shutil.disk_usage(scratch).free
    return min(size, max(8 << 20, free // COPIES_IN_A_ROUND >> 20 << 20))


def cell(rows: dict[str, Any], name: str, step: str) -> str:
    """Median, range, ratio to `cp -r` in the same step."""
    seconds, base = rows[name].get(step), rows.get(BASE, {}).get(step)
    if not seconds or not base:
        return "-"
    ratio = statistics.median(seconds) / statistics.median(base)
    return f"{statistics.median(seconds):.3f} ({min(seconds):.3f} to {max(seconds):.3f}) {ratio:.2f}"


def show(key: str, found: Found) -> None:
    """Print a set of data."""
    print(f"\n{found['title']}: seconds, median (least to most) ratio to {BASE}")
    print("  " + "".join(f"{text:<34}" for text in ("", *STEPS)).rstrip())
    for name in found["rows"]:
        cells = [name, *(cell(found["rows"], name, step) for step in STEPS)]
        print("  " + "".join(f"{text:<34}" for text in cells).rstrip())
    for text in bars.absent(found):
        print(f"  {text}")
    bars.show(bars.of_content(key, found["rows"]))


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer-rounds", type=int, default=1, help="rounds in which peers take part")
    parser.add_argument("--large", type=int, default=8, help="how many large files")
    parser.add_argument("--large-mib", type=int, default=64, help="MiB of each")
    parser.add_argument("--small", type=int, default=5000, help="how many files of 4 KiB")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="for each set of data, about")
    parser.add_argument("--json", type=Path, help="keep the figures in this file, and go on from it")
    parser.add_argument("--only", default="", help="contestants whose name has this in it")
    parser.add_argument("--keep", action="store_true", help="keep the scratch folder")
    options = parser.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="kit-bench-"))
    os.environ["XDG_CACHE_HOME"] = str(scratch / "cache")
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores")
    large = affordable(scratch, options.large * options.large_mib << 20)
    each = max(1, options.large)
    sets = (  # name, title, files, bytes of each, whether peers take part
        ("large", f"{options.large} files of {large // each >> 20} MiB", options.large, large // each, True),
        ("single", f"one file of {large >> 20} MiB", min(1, options.large), large, False),
        ("small", f"{options.small:,} files of 4 KiB", options.small, 4096, True),
    )
    results: dict[str, Found] = {}
    if options.json and options.json.exists():
        results = json.loads(options.json.read_text())

    def keep(found: Found) -> None:
        if options.json:
            part = options.json.with_suffix(".part")
            part.write_text(json.dumps(results, indent=1))
            part.replace(options.json)

    for key, title, files, size, with_peers in sets:
        if not files:
            continue
        found = results.get(key)
        if found is None or found["title"] != title:
            found = results[key] = {"title": title, "rows": {}, "failed": {}, "peers": with_peers}
        data = make(scratch / f"data-{key}", files, size)
        time.sleep(2.1)  # what was written a moment ago is not believed to be as it was looked at
        race(scratch, data, options, found, keep)
        keep(found)
        show(key, found)
        if key != "small":
            shutil.rmtree(data)
    if not options.keep:
        shutil.rmtree(scratch)  # last: ext4 is slow for a while after a mass deletion


if __name__ == "__main__":
    main()
