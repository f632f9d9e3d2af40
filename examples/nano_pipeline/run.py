"""The whole pipeline: data_prep, pretrain, sft, rl, each a process of its own; then the model's lineage.

Run again, it makes new versions of what has changed and of what depends on it; the rest keeps its version.
"""

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import stage

from nemotron import kit

HERE = Path(__file__).resolve().parent
STAGES = {
    "data_prep": ["nano-pretrain-data"],
    "pretrain": ["nano-base-model"],
    "sft": ["nano-sft-data", "nano-sft-model"],
    "rl": ["nano-rl-data", "nano-rl-model"],
}
MODEL = "art://nano-rl-model"


def main() -> None:
    os.environ.setdefault("NEMO_ARTIFACT_ROOT", "demo/store")
    parser = stage.parser(__doc__)
    parser.add_argument("--corpus", type=Path, help="a folder of Python files [the standard library]")
    args = parser.parse_args()
    common = ["--root", args.root, "--out", str(args.out), "--scale", args.scale]
    began = time.monotonic()
    for number, (name, makes) in enumerate(STAGES.items(), start=1):
        say(f"\n[{number}/{len(STAGES)}] {name}")
        extra = ["--corpus", str(args.corpus)] if args.corpus and name == "data_prep" else []
        before = latest(args.root, makes)
        call([str(HERE / f"{name}.py"), *common, *extra], stdout=subprocess.DEVNULL)
        for artifact, version in latest(args.root, makes).items():
            kept = version == before[artifact]
            say(f"{artifact}: " + (f"unchanged, v{version} kept" if kept else f"new version v{version}"))
    say(f"\nAll four stages took {time.monotonic() - began:.0f} s. Where the model comes from:\n")
    call(["-m", "nemotron.kit.cli", "kit", "lineage", MODEL, "--root", args.root])
    say("\nTo look further:\n")
    for command in ("ls", f"show {MODEL}", f"resolve {MODEL}"):
        say(
            f"  {shlex.quote(shown(Path(sys.executable).parent / 'nemotron'))} kit {command} "
            f"--root {shlex.quote(shown(Path(args.root)))}"
        )


def latest(root: str, names: list[str]) -> dict[str, int | None]:
    """The highest version of each artifact, or None."""
    with kit.using(root=root) as registry:
        entries = {name: registry.get(name) for name in names}
    return {name: entry.latest if entry else None for name, entry in entries.items()}


def call(arguments: list[str], **options: int) -> None:
    """Run Python in a process of its own; if that fails, so does this one, with the same exit code."""
    try:
        code = subprocess.run([sys.executable, *arguments], check=False, **options).returncode
    except KeyboardInterrupt:
        code = 130
    if code:
        # A process that a signal has ended: as shells say it.
        raise SystemExit(code if code > 0 else 128 - code)


def shown(path: Path) -> str:
    """A path as it is typed here: relative to the working folder if it is in it."""
    absolute = Path(os.path.abspath(path))
    return str(absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else absolute)


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    stage.run(main)
