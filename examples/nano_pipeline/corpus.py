"""Where the text comes from: source datasets of Python files, chosen and split the same way on each run."""

import hashlib
import platform
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# Packages of the standard library that are read by default, beside its top-level modules.
PACKAGES = ("asyncio", "email", "http", "multiprocessing")
VALID_SHARE = 0.05


@dataclass(frozen=True)
class Source:
    """A source dataset.

    Attributes:
        name: short, fit for a file name.
        uri: where it comes from; the same on each run.
        train: texts to train on.
        valid: texts to measure on; a file is in one of the two.
        files: all of the texts, by the names of their files.
    """

    name: str
    uri: str
    train: list[str]
    valid: list[str]
    files: dict[str, str]

    @property
    def documents(self) -> int:
        """How many files."""
        return len(self.train) + len(self.valid)

    @property
    def size_bytes(self) -> int:
        """The size of the text as UTF-8."""
        return sum(len(text.encode()) for text in (*self.train, *self.valid))


def standard_library(limit_bytes: int) -> list[Source]:
    """The sources of the Python that runs this: its top-level modules and a few of its packages."""
    lib = Path(sysconfig.get_paths()["stdlib"])
    base = f"python-stdlib://{platform.python_version()}"
    # _sysconfigdata… is not written by people and differs by machine.
    modules = [path for path in lib.glob("*.py") if not path.name.startswith("_sysconfigdata")]
    folders = [(name, f"{base}/{name}", (lib / name).rglob("*.py")) for name in PACKAGES]
    return _sources([("modules", f"{base}/*.py", modules), *folders], lib, limit_bytes)


def folder(corpus: Path, limit_bytes: int) -> list[Source]:
    """A folder of Python files: each folder in it is a source dataset, and so are the files beside them."""
    corpus = corpus.resolve()
    children = [path for path in sorted(corpus.iterdir()) if path.is_dir() and path.name[0] != "."]
    found = [(child.name, child.as_uri(), child.rglob("*.py")) for child in children]
    beside = corpus.name if corpus.name not in {child.name for child in children} else f"{corpus.name}-files"
    found.append((beside, corpus.as_uri(), corpus.glob("*.py")))
    return _sources(found, corpus, limit_bytes)


def _sources(found: Iterable[tuple[str, str, Iterable[Path]]], base: Path, limit_bytes: int) -> list[Source]:
    sources = []
    for name, uri, paths in found:
        files = _texts(paths, base, limit_bytes)
        texts = list(files.values())
        if texts:
            held_out = max(1, round(VALID_SHARE * len(texts))) if len(texts) > 1 else 0
            sources.append(Source(name, uri, texts[held_out:], texts[:held_out], files))
    if not any(source.valid for source in sources):
        raise SystemExit(f"Not enough text: {base} holds no folder with two Python files that are UTF-8")
    return sources


def _texts(paths: Iterable[Path], base: Path, limit_bytes: int) -> dict[str, str]:
    """What fits within the limit, in an order that depends on the files' names alone and mixes them well."""

    def order(path: Path) -> str:
        return hashlib.sha256(path.relative_to(base).as_posix().encode()).hexdigest()

    texts: dict[str, str] = {}
    left = limit_bytes
    for path in sorted((path for path in paths if path.is_file()), key=order):
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # Some of the standard library's sources are in other encodings: not for this example.
        size = len(text.encode())
        if 0 < size <= left:
            texts[path.relative_to(base).as_posix()] = text
            left -= size
    return texts
