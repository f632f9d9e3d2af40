"""Build the wheel, install it alone into a fresh environment, and use it there as a stranger would.

It shows that the base install is enough to save, resolve and look around, that both packages and their types
are in the wheel, and that whatever needs an extra names the `pip install` that brings it.
"""

import os
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

CHECKOUT = Path(__file__).parents[1]

IN_THE_WHEEL = (
    "nemotron/kit/__init__.py",
    "nemotron/py.typed",
    "nemotron/kit/py.typed",
    "nemo_runspec/__init__.py",
    "nemo_runspec/py.typed",
)

USE = """
from pathlib import Path
from nemotron.kit import PretrainBlendsArtifact

PretrainBlendsArtifact(path=Path("output/data"), total_tokens=25_000_000_000).save(name="my-artifact")

from nemotron import kit

kit.init(root="store")
data = PretrainBlendsArtifact(path=Path("output/data"), total_tokens=25_000_000_000).save(name="my-artifact")
assert data.uri == "art://my-artifact:v1", data.uri
Path("output/data/part.txt").write_text("text")
data = PretrainBlendsArtifact(path=Path("output/data"), total_tokens=25_000_000_000).save(name="my-artifact")
found = kit.Artifact.from_uri("art://my-artifact")
assert (found.uri, found.total_tokens) == ("art://my-artifact:v2", 25_000_000_000), found
import fsspec

assert fsspec.open("art://my-artifact/part.txt", "rt").open().read() == "text"
import nemo_runspec
"""

# What needs an extra, and the extra that it must name.
EXTRAS = {
    "kit.init(backend='wandb', wandb_project='p')": "wandb",
    "kit.init(root='store', wandb_project='p')": "wandb",
    "kit.WandbTracker()": "wandb",
    "kit.init(root='s3://bucket/store'); kit.context.current_registry().list()": "s3",
    "kit.ModelArtifact(path='s3://bucket/model', step=1)": "remote",
}

NOT_IN_THE_BASE = ("wandb", "numpy", "pyarrow", "torch", "tokenizers", "obstore", "upath", "pytest")


def main() -> None:
    # A space in the path, because there it breaks first.
    with tempfile.TemporaryDirectory(prefix="a stranger ") as place:
        wheel = build(Path(place))
        python = install(Path(place), wheel)
        use(Path(place), python)
    print("The base install is small and works.")


def build(place: Path) -> Path:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    run([*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", str(place), str(CHECKOUT)], place)
    (wheel,) = place.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    missing = [name for name in IN_THE_WHEEL if name not in names]
    strays = [name for name in names if not name.startswith(("nemotron/", "nemo_runspec/", "nemotron_kit-"))]
    check(not missing, f"missing from the wheel: {missing}")
    check(not strays, f"does not belong into the wheel: {strays}")
    print(f"{wheel.name}: {len(names)} files, {wheel.stat().st_size // 1024} KiB")
    return wheel


def install(place: Path, wheel: Path) -> Path:
    venv.create(place / "venv", with_pip=True)
    python = place / "venv" / "bin" / "python"
    run([str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", str(wheel)], place)
    for name in NOT_IN_THE_BASE:
        found = run([str(python), "-c", f"import importlib.util as u; print(u.find_spec({name!r}))"], place)
        check(found.strip() == "None", f"the base install brings {name}")
    return python


def use(place: Path, python: Path) -> None:
    run([str(python), "-W", "error", "-c", USE], place)
    nemotron = str(python.parent / "nemotron")
    resolved = run([nemotron, "kit", "resolve", "art://my-artifact", "--root", "store"], place)
    check(resolved == f"{place.resolve()}/output/data\n", f"resolve printed {resolved!r}")
    listed = run([nemotron, "kit", "ls", "--root", "store"], place)
    check("my-artifact" in listed, f"ls printed {listed!r}")
    for call, extra in EXTRAS.items():
        code = f"from nemotron import kit\ntry:\n    {call}\nexcept ImportError as error:\n    print(error)"
        said = run([str(python), "-c", code], place)
        check(
            f"pip install 'nemotron-kit[{extra}]'" in said,
            f"{call} says {said!r}, and not how to get {extra}",
        )


def run(command: list[str], place: Path) -> str:
    ours = ("NEMO_", "WANDB_", "PYTHONPATH", "VIRTUAL_ENV")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, check=False)
    check(done.returncode == 0, f"{command} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def check(holds: bool, otherwise: str) -> None:
    if not holds:
        raise SystemExit(f"test-install: {otherwise}")


if __name__ == "__main__":
    main()
