"""What storing bytes costs: this kit beside its peers, in interleaved rounds on the same data.

Three sets of data, a few large files, one large file and many small ones, are stored for the first time,
again unchanged, and again with one file changed. Prints medians, ranges, ratios to plain `cp -r`, and
whether the bars hold; asserts nothing. MLflow and DVC take part when they are installed; `make bench`
installs them. With `--json` each figure is kept as soon as it is taken, and a run that was stopped goes on
where it was. Who fails, or takes too long, is named and takes part no more.
"""

import argparse
import gc
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
from typing import Any, NamedTuple

import bars
from contestants import BASE, Contestant, Store, contestants, walk

STEPS = ("first", "unchanged", "one changed")
# How often more than once those with a close bar take the last step, of a few large files.
AGAIN = 2
# One large file has no bar on its change: all of it is new.
STEPS_ALONE = STEPS[:2]
FEW_FILES = 100
# How often the data is on the disk at the end of a round, about.
COPIES_IN_A_ROUND = 30
LIMIT_S = 60
# After somebody wrote much, what takes a millisecond takes ten for a moment.
SETTLE_S = 1.0
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
        file, block = scratch / "settle", bytes(1 << 20)
        with open(file, "wb", buffering=0) as out:
            for _ in range(size >> 20):
                out.write(block)
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
    return min(len(rows.get(step, ())) for step in found["steps"])


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


def begin(
    data: Path, chosen: dict[str, Contestant], found: Found, roots: dict[str, Path]
) -> dict[str, Store]:
    """The operations of those whose setting up does not fail."""
    stores: dict[str, Store] = {}
    for name, contestant in chosen.items():
        attempt(found, name, "while it was set up", partial(set_up, stores, name, contestant, roots[name]))
        if name in stores and contestant.own_data:
            shutil.copytree(data, roots[name] / "data")
    return stores


def one_round(
    scratch: Path, data: Path, chosen: dict[str, Contestant], found: Found, told: Told
) -> dict[str, float]:
    """All steps of each contestant, in turns, so that drift hits all alike; `told` hears of each figure.

    Returns:
        The seconds that each took, with what was done for it; under an empty name, those that nobody did.
    """
    began = time.perf_counter()
    sizes = [os.stat(path).st_size for path in walk(data)]
    roots = {name: Path(tempfile.mkdtemp(dir=scratch)) for name in chosen}
    stores = begin(data, chosen, found, roots)
    spent, has_written = dict.fromkeys(chosen, 0.0), True
    turns = [(step, list(stores)) for step in found["steps"]]
    if len(sizes) <= FEW_FILES and "one changed" in found["steps"]:
        close = [name for name in stores if chosen[name].is_close]
        turns += [("one changed", close[::-1] if number % 2 == 0 else close) for number in range(AGAIN)]
    for step, names in turns:
        if step == "one changed":
            change(data)
            for root in roots.values():
                changed = root / "data" / os.path.relpath(max(walk(data)), data)
                if changed.exists():
                    shutil.copyfile(max(walk(data)), changed)
        for name in [name for name in names if name not in found["failed"]]:
            start = time.perf_counter()
            # As much as all of the data, also for one file of it: with less, figures scatter tenfold.
            settle(scratch, sum(sizes) if chosen[name].does_write(step) else 0)
            if has_written and not chosen[name].does_write(step):
                time.sleep(SETTLE_S)
            has_written = chosen[name].does_write(step)
            gc.collect()  # of all that peers have loaded it takes ten milliseconds, of whoever is there then
            seconds = attempt(found, name, f"step “{step}”", partial(stores[name], data))
            spent[name] += time.perf_counter() - start
            if seconds is not None:
                found["rows"].setdefault(name, {}).setdefault(step, []).append(seconds)
            told(found)
    if len(sizes) <= FEW_FILES:  # they are large, and the disk is not; many small ones stay until the end
        for root in roots.values():
            shutil.rmtree(root)
    return spent | {"": time.perf_counter() - began - sum(spent.values())}


def race(
    scratch: Path, data: Path, options: argparse.Namespace, found: Found, told: Told, until: float
) -> None:
    """Rounds until there are as many as asked for, or the next would be over too late; there is always one.

    Peers take part in the first few only: their bars are far away, and time is better spent on close ones.
    """
    spent: dict[str, float] = {}
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
        expected_s = sum(spent.get(name, 0.0) for name in ("", *chosen))
        if not set(chosen) - {BASE} or (spent and time.perf_counter() + expected_s > until):
            return
        spent = one_round(scratch, data, chosen, found, told)


class Set(NamedTuple):
    """Files of so many bytes, whether peers take part, in which steps, and the share of the time."""

    key: str
    title: str
    files: int
    size: int
    share: int
    peers: bool = True
    steps: tuple[str, ...] = STEPS


def sets_of(options: argparse.Namespace, large: int) -> list[Set]:
    """The sets of data that are asked for, the large ones of so many bytes."""
    each = large // max(1, options.large)
    title = f"{options.large} files of {each >> 20} MiB"
    sets = [
        Set("large", title, options.large, each, 3),
        Set("single", f"one file of {large >> 20} MiB", min(1, options.large), large, 1, False, STEPS_ALONE),
        Set("small", f"{options.small:,} files of 4 KiB", options.small, 4096, 4),
    ]
    return [one for one in sets if one.files]


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
    print("  " + "".join(f"{text:<34}" for text in ("", *found["steps"])).rstrip())
    for name in found["rows"]:
        cells = [name, *(cell(found["rows"], name, step) for step in found["steps"])]
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
    parser.add_argument("--seconds", type=float, default=float("inf"), help="for all sets of data, about")
    parser.add_argument("--json", type=Path, help="keep the figures in this file, and go on from it")
    parser.add_argument("--only", default="", help="contestants whose name has this in it")
    parser.add_argument("--keep", action="store_true", help="keep the scratch folder")
    options = parser.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="kit-bench-"))
    os.environ["XDG_CACHE_HOME"] = str(scratch / "cache")
    print(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores")
    sets = sets_of(options, affordable(scratch, options.large * options.large_mib << 20))
    results: dict[str, Found] = {}
    if options.json and options.json.exists():
        results = json.loads(options.json.read_text())

    def keep(found: Found) -> None:
        if options.json:
            part = options.json.with_suffix(".part")
            part.write_text(json.dumps(results, indent=1))
            part.replace(options.json)

    end = time.perf_counter() + options.seconds
    for at, one in enumerate(sets):
        now = time.perf_counter()
        until = now + (end - now) * one.share / sum(other.share for other in sets[at:])
        same = {"title": one.title, "steps": list(one.steps), "peers": one.peers}
        found = results.get(one.key, {})
        if any(found.get(key) != value for key, value in same.items()):
            found = results[one.key] = same | {"rows": {}, "failed": {}}
        data = make(scratch / f"data-{one.key}", one.files, one.size)
        time.sleep(2.1)  # what was written a moment ago is not believed to be as it was looked at
        race(scratch, data, options, found, keep, until)
        keep(found)
        show(one.key, found)
        if one.files <= FEW_FILES:
            shutil.rmtree(data)
    if not options.keep:
        shutil.rmtree(scratch)  # last: ext4 is slow for a while after a mass deletion


if __name__ == "__main__":
    main()
