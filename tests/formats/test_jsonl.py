"""JSON lines."""

import gzip
from pathlib import Path

import pytest
import zstandard

from nemotron.kit.errors import CorruptError
from nemotron.kit.formats import jsonl

TEXT = b'{"a": 1}\n\n  \n{broken\n[1]\nnull\n{"b": "\xc3\xa4"}\n\xff\n{"last": true}'


def test_records_blank_lines_and_broken_ones(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(TEXT)
    assert jsonl.read(path) == jsonl.Lines(7, len(TEXT), 2, (4, 8))
    assert jsonl.read(path, parse=False) == jsonl.Lines(7, len(TEXT), None, ())


@pytest.mark.parametrize("chunk", [1, 2, 7])
def test_lines_across_pieces(tmp_path: Path, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonl, "CHUNK_BYTES", chunk)
    test_records_blank_lines_and_broken_ones(tmp_path)


def test_compressed_says_the_same(tmp_path: Path) -> None:
    plain, gz, zst = (tmp_path / f"a.jsonl{suffix}" for suffix in ("", ".gz", ".zst"))
    plain.write_bytes(TEXT)
    gz.write_bytes(gzip.compress(TEXT[:10]) + gzip.compress(TEXT[10:]))
    zst.write_bytes(zstandard.compress(TEXT[:10]) + zstandard.compress(TEXT[10:]))
    assert jsonl.read(gz) == jsonl.read(zst) == jsonl.read(plain)


@pytest.mark.parametrize(("suffix", "compress"), [(".gz", gzip.compress), (".zst", zstandard.compress)])
def test_damaged_streams(tmp_path: Path, suffix: str, compress) -> None:
    path = tmp_path / f"a.jsonl{suffix}"
    path.write_bytes(b"garbage, not compressed")
    with pytest.raises(CorruptError, match="compressed data ends or breaks"):
        jsonl.read(path)
    if suffix == ".gz":
        path.write_bytes(compress(TEXT * 100)[:-10])
        with pytest.raises(CorruptError, match="compressed data ends or breaks"):
            jsonl.read(path)


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_bomb(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonl, "GROWTH_FREE_BYTES", 0)
    monkeypatch.setattr(jsonl, "GROWTH_MAX", 100)
    path = tmp_path / f"a.jsonl{suffix}"
    bomb = b"\0" * (8 << 20)
    path.write_bytes(gzip.compress(bomb) if suffix == ".gz" else zstandard.compress(bomb))
    with pytest.raises(CorruptError, match="decompresses to more than"):
        jsonl.read(path)


def test_a_line_without_end_stays_out_of_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonl, "LINE_BYTES_MAX", 1000)
    monkeypatch.setattr(jsonl, "CHUNK_BYTES", 100)
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'"' + b"x" * 5000 + b'"\n{}\n')
    assert jsonl.read(path) == jsonl.Lines(2, 5006, 1, (1,))


def test_deep_lines_are_broken(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"[" * 200_000 + b"\n{}\n")
    assert jsonl.read(path).broken == 1


def test_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"")
    assert jsonl.read(path) == jsonl.Lines(0, 0, 0, ())
