"""All of the benchmark in one go: each part in its turn, then `RESULTS.md` and the plot beside it.

A part that is done is not done again when the command is repeated, so that a run that was stopped goes on
where it was; `--fresh` begins anew. A part that fails or takes too long is named in the report, which is
written all the same.
"""

import argparse
import json
import os
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
BASE = "cp -r"
PACKAGES = ("nemotron-kit", "blake3", "wandb", "dvc", "mlflow")
# Each part: its script and arguments, and after how many seconds it is given up.
PARTS: dict[str, dict[str, tuple[list[str], float]]] = {
    "quick": {
        "large": (["content.py", "--small", "0", "--large-mib", "64", "--seconds", "60"], 110),
        "small": (["content.py", "--large", "0", "--small", "2000", "--seconds", "70"], 150),
        "scaling": (
            ["scaling.py", "--files", "100000", "--mib", "256", "--versions", "500", "--seconds", "60"],
            110,
        ),
        "house": (["house.py", "--rounds", "5", "--versions", "300", "--names", "100"], 100),
    },
    "full": {
        "large": (
            ["content.py", "--small", "0", "--large-mib", "256", "--rounds", "5", "--seconds", "240"],
            360,
        ),
        "small": (
            ["content.py", "--large", "0", "--small", "20000", "--rounds", "5", "--seconds", "240"],
            420,
        ),
        "scaling": (
            ["scaling.py", "--files", "1000000", "--mib", "1024", "--versions", "2000", "--seconds", "420"],
            480,
        ),
        "house": (["house.py"], 180),
    },
}


def run_part(name: str, command: list[str], limit_s: float, folder: Path) -> str | None:
    """Run a part, its output shown and kept; returns what went wrong, if anything did."""
    figures, text = folder / f"{name}.json", folder / f"{name}.txt"
    if name != "house":
        command = [*command, "--json", str(figures)]
    with open(text, "w+") as out, tempfile.TemporaryDirectory(prefix="kit-bench-") as scratch:
        process = subprocess.Popen(
            [sys.executable, "-u", str(HERE / command[0]), *command[1:]],
            env={**os.environ, "TMPDIR": scratch},
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        problem = None
        try:
            code = process.wait(limit_s)
            problem = f"ended with exit code {code}" if code else None
        except subprocess.TimeoutExpired:
            problem = f"was not over after {limit_s:.0f} s"
        finally:
            if process.poll() is None:  # its group has its children, and nobody else, in it
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        out.seek(0)
        print(out.read(), end="", flush=True)
    return problem


def run(parts: dict[str, tuple[list[str], float]], folder: Path) -> None:
    """Run what was not yet run; what each part said is kept in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (command, limit_s) in parts.items():
        done = folder / f"{name}.done"
        if done.exists():
            print(f"{name}: done before; --fresh measures it again")
            continue
        print(f"{name}: at most {limit_s:.0f} s …", flush=True)
        start = time.perf_counter()
        problem = run_part(name, command, limit_s, folder)
        if problem is None:
            done.write_text(f"{time.perf_counter() - start:.0f}")
        else:
            (folder / f"{name}.failed").write_text(problem)
            print(f"{name} {problem}", flush=True)


# -- the report --------------------------------------------------------------------------------------------


def machine() -> list[str]:
    """What it was measured on, without names of hosts or places."""
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    kind = subprocess.run(
        ["df", "--output=fstype", tempfile.gettempdir()], capture_output=True, text=True, check=False
    )
    versions = []
    for package in PACKAGES:
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            versions.append(f"{package} not installed")
    return [
        f"- {os.cpu_count()} cores ({platform.machine()}), {memory_gib:.0f} GiB of memory, "
        f"{(kind.stdout.split() or ['unknown'])[-1]} file system, page cache warm",
        f"- Linux {platform.release().split('-')[0]}, Python {platform.python_version()}, "
        f"{', '.join(versions)}",
    ]


def content_table(title: str, taken: dict[str, dict[str, list[float]]]) -> list[str]:
    """One set of data: medians, ranges, and ratios to `cp -r` in the same step of the same run."""
    steps = list(taken[BASE])
    rounds = len(taken[BASE][steps[0]])
    lines = [
        "",
        f"## {title}",
        "",
        f"Seconds, median of {rounds} interleaved rounds (least to most), and ratio to `{BASE}`.",
        "",
        f"| | {' | '.join(steps)} |",
        f"| --- |{' --- |' * len(steps)}",
    ]
    for name, by_step in taken.items():
        cells = []
        for step in steps:
            seconds = by_step[step]
            median, base = statistics.median(seconds), statistics.median(taken[BASE][step])
            cells.append(f"{median:.3f} ({min(seconds):.3f} to {max(seconds):.3f}) **{median / base:.2f}**")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def scaling_tables(found: dict[str, Any]) -> list[str]:
    """The curves as tables."""
    lines = [
        "",
        "## Scaling",
        "",
        "Microseconds of CPU a file (64 bytes each), and the peak of the process's memory, in MiB.",
        "",
        "| files | evidence | first | unchanged | peak, MiB |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in found["files"]:
        first, again = (row[f"{step}_cpu_s"] / row["files"] * 1e6 for step in ("first", "unchanged"))
        lines.append(
            f"| {row['files']:,} | {row['how']} | {first:.1f} | {again:.1f} "
            f"| {row['unchanged_peak_mib']:.0f} |"
        )
    lines += [
        "",
        "One large file.",
        "",
        "| MiB | evidence | s | `cp -r`, s | peak, MiB |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in found["bytes"]:
        lines.append(
            f"| {row['mib']:,} | {row['how']} | {row['first_s']:.3f} | {row['cp_s']:.3f} "
            f"| {row['first_peak_mib']:.0f} |"
        )
    medians = found["versions"]
    lines += [
        "",
        f"Publishing one more version of a name, by reference, synced: {medians[0]:.2f} ms for the first "
        f"hundred, {medians[-1]:.2f} ms for the last of {len(medians)} hundreds (medians).",
    ]
    return lines


def plot(figures: dict[str, Any], target: Path) -> bool:
    """Draw it; False without matplotlib."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ImportError:
        return False
    contents = [item for part in ("large", "small") for item in figures.get(part, {}).items()]
    scaling = figures.get("scaling")
    figure, axes = pyplot.subplots(1, len(contents) + 2 * bool(scaling), figsize=(6 * (len(contents) + 2), 6))
    axes = list(axes) if hasattr(axes, "__len__") else [axes]
    for axis, (title, taken) in zip(axes, contents, strict=False):
        names = list(taken)[::-1]
        axis.barh(
            names, [statistics.median(taken[name]["first"]) for name in names], height=0.4, label="first"
        )
        again = [statistics.median(taken[name]["unchanged"]) for name in names]
        axis.barh(names, again, height=0.2, label="unchanged")
        axis.set(title=title, xlabel="seconds", xscale="log")
        axis.legend()
    for axis, key, label in zip(
        axes[len(contents) :],
        ("first_cpu_s", "unchanged_peak_mib"),
        ("µs of CPU a file", "peak, MiB"),
        strict=False,
    ):
        for how in ("stat", "full", "snapshot"):
            rows = [row for row in scaling["files"] if row["how"] == how]
            values = [row[key] / row["files"] * 1e6 if key == "first_cpu_s" else row[key] for row in rows]
            axis.plot([row["files"] for row in rows], values, marker="o", label=how)
        axis.set(title=label, xlabel="files", xscale="log", ylim=(0, None))
        axis.legend()
    figure.tight_layout()
    figure.savefig(target, metadata={"Date": None})
    return True


def report(mode: str, parts: dict[str, Any], folder: Path, target: Path) -> None:
    """Write what was found."""
    figures, missing = {}, []
    for name in parts:
        file = folder / f"{name}.json"
        if file.exists():  # what was not over has the rounds that were
            figures[name] = json.loads(file.read_text())
        if not (folder / f"{name}.done").exists():
            why = folder / f"{name}.failed"
            missing.append(f"{name} ({why.read_text() if why.exists() else 'not run'})")
    lines = [
        "# What it costs, measured",
        "",
        f"Written by `make bench{'-full' if mode == 'full' else ''}`. Times move between machines: "
        "compare the ratios, which are of one run.",
        "",
        *machine(),
    ]
    if missing:
        lines += ["", f"Not measured to the end: {', '.join(missing)}."]
    if plot(figures, target / "results.svg"):
        lines += ["", "![Seconds, CPU a file and memory](results.svg)"]
    for part in ("large", "small"):
        for title, taken in figures.get(part, {}).items():
            lines += content_table(title, taken)
    if "scaling" in figures:
        lines += scaling_tables(figures["scaling"])
    if (folder / "house.txt").exists():
        said = [line for line in (folder / "house.txt").read_text().splitlines() if "scratch in" not in line]
        lines += ["", "## Start-up, versions, names, writers", "", "```text", *said, "```"]
    (target / "RESULTS.md").write_text("\n".join(lines) + "\n")
    print(f"Written: {target.name}/RESULTS.md")


def main() -> None:
    """Measure what is missing, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="larger, with more rounds (25 minutes)")
    parser.add_argument("--fresh", action="store_true", help="measure again what was measured before")
    parser.add_argument("--only", default="", help="only the part of this name")
    parser.add_argument("--out", type=Path, default=HERE, help="where RESULTS.md goes")
    arguments = parser.parse_args()
    mode = "full" if arguments.full else "quick"
    folder = HERE / ".results" / mode
    parts = {name: part for name, part in PARTS[mode].items() if arguments.only in ("", name)}
    for name in parts if arguments.fresh else ():
        for old in (folder / f"{name}.done", folder / f"{name}.failed", folder / f"{name}.json"):
            old.unlink(missing_ok=True)
    run(parts, folder)
    report(mode, PARTS[mode], folder, arguments.out)


if __name__ == "__main__":
    main()
