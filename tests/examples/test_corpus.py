from pathlib import Path

import corpus
import pytest


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a/one.py", "a/two.py", "b/deep/er/three.py", "four.py", "a/note.txt", ".git/hook.py"):
        path = tmp_path / "code" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {name}\n")
    (tmp_path / "code" / "a" / "latin.py").write_bytes(b"# caf\xe9\n")
    return tmp_path / "code"


def test_each_folder_is_a_source_and_so_are_the_files_beside_them(folder: Path) -> None:
    sources = {source.name: source for source in corpus.folder(folder, 1000)}
    assert {name: source.documents for name, source in sources.items()} == {"a": 2, "b": 1, "code": 1}
    assert sources["a"].uri == (folder / "a").as_uri()
    assert sources["a"].size_bytes == len("# a/one.py\n") * 2
    assert len(sources["a"].train) == len(sources["a"].valid) == 1
    assert sources["b"].train == ["# b/deep/er/three.py\n"]


def test_no_two_sources_share_a_name(folder: Path) -> None:
    (folder / "code").mkdir()
    (folder / "code" / "five.py").write_text("# five\n")
    names = [source.name for source in corpus.folder(folder, 1000)]
    assert sorted(names) == ["a", "b", "code", "code-files"]


def test_a_source_ends_at_the_limit(folder: Path) -> None:
    (folder / "a" / "big.py").write_text("x = 1\n" * 1000)
    sources = {source.name: source for source in corpus.folder(folder, 30)}
    assert sources["a"].documents == 2


def test_too_little_text_is_an_error_that_says_where(tmp_path: Path) -> None:
    (tmp_path / "only.py").write_text("x = 1\n")
    with pytest.raises(SystemExit, match=f"Not enough text: {tmp_path}"):
        corpus.folder(tmp_path, 1000)


def test_the_standard_library_is_there_and_comes_the_same_each_time() -> None:
    sources = corpus.standard_library(50_000)
    assert [source.name for source in sources] == ["modules", *corpus.PACKAGES]
    assert all(source.train and source.valid and source.size_bytes <= 50_000 for source in sources)
    assert all(source.uri.startswith("python-stdlib://3.") for source in sources)
    assert sources == corpus.standard_library(50_000)
