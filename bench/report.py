"""All of the benchmark in one go: each part in its turn, then `RESULTS.md` and the plot beside it.

What the parts wrote is deleted when all of them are over, for file systems are slow for a while after a mass
deletion; for the same reason the parts that write little come first. A part that is done is not done again
when the command is repeated, so that a run that was stopped goes on where it was; `--fresh` begins anew. A
part that fails or takes too long is named in the report, which is written all the same.
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
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import bars
import content

HERE = Path(__file__).parent
PACKAGES = ("nemotron-kit", "blake3", "wandb", "dvc", "mlflow")
ML_METADATA = HERE.parent / ".venv/ml-metadata/bin/python"
# Each part, in the order in which they run: its script and arguments, and after how many seconds it is given
# up; a part that has `--seconds` ends by itself after about so many. The sum of the limits, and a minute or
# two for the deletion, bound the whole.
PARTS: dict[str, dict[str, tuple[list[str], float]]] = {
    "quick": {
        "house": (["house.py", "--rounds", "5", "--versions", "300", "--names", "100"], 70),
        "lineage": (["lineage.py", "--versions", "5000", "--names", "200"], 60),
        "large": (["content.py", "--small", "0", "--large-mib", "64", "--seconds", "120"], 170),
        "scaling": (["scaling.py", "--files", "100000", "--mib", "256", "--seconds", "80"], 120),
        "small": (["content.py", "--large", "0", "--small", "2000", "--seconds", "70"], 120),
    },
    "full": {
        "house": (["house.py"], 150),
        "lineage": (["lineage.py", "--versions", "100000"], 170),
        "large": (
            ["content.py", "--small", "0", "--large-mib", "256", "--rounds", "7", "--seconds", "1250"],
            1400,
        ),
        "scaling": (["scaling.py", "--files", "1000000", "--mib", "1024", "--seconds", "400"], 460),
        "small": (
            ["content.py", "--large", "0", "--small", "20000", "--rounds", "5", "--seconds", "330"],
            420,
        ),
    },
}
# By the report itself.
WRITTEN = (":!RESULTS.md", ":!results.svg")
TITLES = {"house": "Start-up, versions, names, writers", "lineage": "Lineage"}


def commit() -> str:
    """What is measured: the commit, and whether the files are other than it."""

    def said(*command: str) -> str:
        return subprocess.run(
            ["git", "-C", str(HERE), *command], capture_output=True, text=True, check=False
        ).stdout.strip()

    return (said("rev-parse", "--short", "HEAD") or "unknown") + (
        " with changes" if said("status", "--porcelain", "-uno", "--", ":/", *WRITTEN) else ""
    )


def run_part(name: str, command: list[str], limit_s: float, folder: Path, scratch: str) -> str | None:
    """Run a part, its output shown and kept; returns what went wrong, if anything did."""
    command = [*command, "--keep", "--json", str(folder / f"{name}.json")]
    if name == "lineage" and ML_METADATA.exists():
        command += ["--ml-metadata", str(ML_METADATA)]
    with open(folder / f"{name}.txt", "w+") as out:
        process = subprocess.Popen(
            [sys.executable, "-u", str(HERE / command[0]), *command[1:]],
            env={**os.environ, "TMPDIR": scratch},
            stdout=out,  # what is said of errors, paths among it, goes to the terminal only
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


def run(parts: dict[str, tuple[list[str], float]], folder: Path, scratch: str) -> None:
    """Run what was not yet run to its end; what each part said is kept in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (command, limit_s) in parts.items():
        done, failed = folder / f"{name}.done", folder / f"{name}.failed"
        if done.exists():
            print(f"{name}: done before; --fresh measures it again")
            continue
        print(f"{name}: at most {limit_s:.0f} s …", flush=True)
        taken_at = f"{time.strftime('%Y-%m-%d', time.gmtime())}, commit {commit()}"
        start = time.perf_counter()
        problem = run_part(name, command, limit_s, folder, scratch)
        print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)
        failed.unlink(missing_ok=True)
        if problem is None:
            done.write_text(taken_at)
        else:
            failed.write_text(f"{problem}; {taken_at}")
            print(f"{name} {problem}", flush=True)


@contextmanager
def scratch_folder() -> Iterator[str]:
    """A folder for all that the parts write, deleted in the end, by `rm` for each thing that a part made."""
    with tempfile.TemporaryDirectory(prefix="kit-bench-") as folder:
        try:
            yield folder
        finally:
            start = time.perf_counter()
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                list(
                    pool.map(
                        lambda one: subprocess.run(["rm", "-rf", one], check=False), Path(folder).glob("*/*")
                    )
                )
            print(f"Deleting what was written: {time.perf_counter() - start:.0f} s", flush=True)


# -- the report --------------------------------------------------------------------------------------------


def processor() -> str:
    """What the processor calls itself."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or "unknown processor"


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
    if not ML_METADATA.exists():
        versions.append("ml-metadata not installed")
    return [
        f"- {processor()}, {os.cpu_count()} cores ({platform.machine()}), {memory_gib:.0f} GiB of memory, "
        f"{(kind.stdout.split() or ['unknown'])[-1]} file system, page cache warm",
        f"- Linux {platform.release().split('-')[0]}, Python {platform.python_version()}, "
        f"{', '.join(versions)}",
    ]


def bars_table(figures: dict[str, Any]) -> list[str]:
    """All bars, what was measured, and whether they hold."""
    rows = []
    for part in ("large", "small"):
        for key, found in figures.get(part, {}).items():
            rows += [(found["title"], said) for said in bars.of_content(key, found["rows"])]
    for part, title in (("scaling", "scaling"), ("house", "house"), ("lineage", "lineage")):
        rows += [(title, said) for said in figures.get(part, {}).get("bars", ())]
    kept = sum(said["holds"] == "holds" for _, said in rows)
    without = [
        f"{found['title']}: {', '.join(what)}"
        for part in ("large", "small")
        for key, found in figures.get(part, {}).items()
        if (what := bars.unmeasured(key, found["rows"]))
    ]
    return [
        "",
        "## Bars",
        "",
        f"{kept} of {len(rows)} hold. A ratio is the median of those of each round, with the "
        "least and the greatest; where one of the two has more figures, it is the ratio of the medians.",
        "",
        "| | what | measured | bar | |",
        "| --- | --- | --- | --- | --- |",
        *(
            f"| {title} | {said['what']} | {said['measured']} | {said['bar']} | {said['holds']} |"
            for title, said in rows
        ),
        *(["", f"Bars without a figure: {'; '.join(without)}."] if without else []),
    ]


def content_table(key: str, found: dict[str, Any]) -> list[str]:
    """One set of data: medians, ranges, and ratios to `cp -r` in the same step of the same run."""
    lines = [
        "",
        f"## {found['title'][0].upper()}{found['title'][1:]}",
        "",
        f"Seconds, median of interleaved rounds (least to most), and ratio to `{content.BASE}`.",
        "",
        f"| | rounds | {' | '.join(found['steps'])} |",
        f"| --- | --- |{' --- |' * len(found['steps'])}",
    ]
    for name in found["rows"]:
        cells = [content.cell(found["rows"], name, step) for step in found["steps"]]
        lines.append(f"| {name} | {content.rounds_of(found, name)} | {' | '.join(cells)} |")
    if absent := bars.absent(found):
        lines += ["", f"Took no part: {'; '.join(absent)}."]
    return lines


def scaling_tables(found: dict[str, Any]) -> list[str]:
    """The curves as tables."""
    lines = [
        "",
        "## Scaling",
        "",
        "Files of 64 bytes: microseconds of CPU a file, seconds of all, and the peak of memory. The CPU is "
        "that of the process and of all that it started; the peak is the sum of their own peaks, what they "
        "share counted in each.",
        "",
        "| files | evidence | first, µs each | unchanged, µs each | first, s | unchanged, s | peak, MiB |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in sorted(found["files"], key=lambda row: row["files"]):
        first, again = (row[f"{step}_cpu_s"] / row["files"] * 1e6 for step in ("first", "unchanged"))
        lines.append(
            f"| {row['files']:,} | {row['how']} | {first:.1f} | {again:.1f} "
            f"| {row['first_s']:.2f} | {row['unchanged_s']:.2f} | {row['peak_mib']:.0f} |"
        )
    later = [row for row in found["files"] if "changed_s" in row and "verify_s" in row]
    if later:
        lines += [
            "",
            "Then a twentieth of the files is changed and all are published again, and all are verified with "
            "the evidence that there is; each in a process of its own.",
            "",
            "| files | evidence | changed, s | peak, MiB | verify, s | peak, MiB |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
    for row in later:
        changed, verify = (
            f"{row[f'{step}_s']:.2f} | {row[f'{step}_peak_mib']:.0f}" for step in ("changed", "verify")
        )
        lines.append(f"| {row['files']:,} | {row['how']} | {changed} | {verify} |")
    if missing := found.get("missing"):
        lines += ["", f"Not measured: {'; '.join(missing)}."]
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
            f"| {row['peak_mib']:.0f} |"
        )
    if rates := found.get("entries"):
        lines += [
            "",
            f"Listings: {rates['written']:,.0f} entries a second written, {rates['read']:,.0f} read "
            "(of processor time).",
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
    contents = [found for part in ("large", "small") for found in figures.get(part, {}).values()]
    contents = [found for found in contents if found["rows"]]
    scaling = figures.get("scaling", {}).get("files")
    count = len(contents) + 2 * bool(scaling)
    if not count:
        return False
    figure, axes = pyplot.subplots(1, count, figsize=(6 * count, 6), squeeze=False)
    axes = list(axes[0])
    for axis, found in zip(axes, contents, strict=False):
        for step, height in (("first", 0.4), ("unchanged", 0.2)):
            taken = {name: rows[step] for name, rows in found["rows"].items() if rows.get(step)}
            names = list(taken)[::-1]
            axis.barh(names, [statistics.median(taken[name]) for name in names], height=height, label=step)
        axis.set(title=found["title"], xlabel="seconds", xscale="log")
        axis.legend()
    for axis, key, label in zip(
        axes[len(contents) :],
        ("first_cpu_s", "peak_mib"),
        ("µs of CPU a file", "peak, MiB"),
        strict=False,
    ):
        for how in ("stat", "full", "snapshot"):
            rows = [row for row in scaling or () if row["how"] == how]
            values = [row[key] / row["files"] * 1e6 if key == "first_cpu_s" else row[key] for row in rows]
            axis.plot([row["files"] for row in rows], values, marker="o", label=how)
        axis.set(title=label, xlabel="files", xscale="log", ylim=(0, None))
        axis.legend()
    figure.tight_layout()
    figure.savefig(target, metadata={"Date": None})
    return True


def report(mode: str, parts: dict[str, Any], folder: Path, target: Path) -> None:
    """Write what was found."""
    figures, missing, taken_at = {}, [], {}
    for name in parts:
        file, done, failed = (folder / f"{name}.{end}" for end in ("json", "done", "failed"))
        if file.exists():  # what was not over has the figures that were taken
            figures[name] = json.loads(file.read_text())
        if done.exists():
            taken_at[name] = done.read_text()
        else:
            why = failed.read_text() if failed.exists() else "not run"
            missing.append(f"{name} ({why})")
    dates = [
        f"{', '.join(n for n in taken_at if taken_at[n] == at)}: {at}"
        for at in dict.fromkeys(taken_at.values())
    ]
    lines = [
        "# What it costs, measured",
        "",
        f"Written by `make bench{'-full' if mode == 'full' else ''}`. Times move between machines: "
        "compare the ratios, which are of one run.",
        "",
        *machine(),
        *(f"- {text}" for text in dates),
    ]
    if missing:
        lines += ["", f"Not measured to the end: {'; '.join(missing)}."]
    lines += bars_table(figures)
    if plot(figures, target / "results.svg"):
        lines += ["", "![Seconds, CPU a file and memory](results.svg)"]
    for part in ("large", "small"):
        for key, found in figures.get(part, {}).items():
            lines += content_table(key, found)
    if "scaling" in figures:
        lines += scaling_tables(figures["scaling"])
    for part, title in TITLES.items():
        text = folder / f"{part}.txt"
        if text.exists() and part in figures:
            said = text.read_text().partition("\nBars\n")[0].strip()
            lines += ["", f"## {title}", "", "```text", said, "```"]
    (target / "RESULTS.md").write_text("\n".join(lines) + "\n")
    print(f"Written: {target.name}/RESULTS.md")


def main() -> None:
    """Measure what is missing, and write the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help="larger, with more rounds (40 minutes)")
    parser.add_argument("--fresh", action="store_true", help="measure again what was measured before")
    parser.add_argument("--only", default="", help="only the part of this name")
    parser.add_argument("--out", type=Path, default=HERE, help="where RESULTS.md goes")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # not without its part
    mode = "full" if arguments.full else "quick"
    folder = HERE / ".results" / mode
    parts = {name: part for name, part in PARTS[mode].items() if arguments.only in ("", name)}
    for name in parts if arguments.fresh else ():
        for old in (folder / f"{name}.done", folder / f"{name}.failed", folder / f"{name}.json"):
            old.unlink(missing_ok=True)
    with scratch_folder() as scratch:
        run(parts, folder, scratch)
        report(mode, PARTS[mode], folder, arguments.out)


if __name__ == "__main__":
    main()
