"""A disk that counts what is read from it."""

from pathlib import Path
from typing import Any, BinaryIO, cast

from nemotron.kit.formats.reading import LocalFiles

GOLDEN = Path(__file__).parents[1] / "golden" / "formats"


class CountingFiles(LocalFiles):
    """`LocalFiles` that adds up the bytes of all reads."""

    def __init__(self) -> None:
        self.read = 0

    def open(self, path: str) -> BinaryIO:
        return cast(BinaryIO, _Counting(super().open(path), self))


class _Counting:
    def __init__(self, file: BinaryIO, counter: CountingFiles) -> None:
        self._file, self._counter = file, counter

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._counter.read += len(data)
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> "_Counting":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
