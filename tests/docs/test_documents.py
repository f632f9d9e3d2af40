"""Every Python and console block in the documents runs, in an empty folder, with the kit not started."""

import re
from pathlib import Path

import pytest

from docs.snippets import NOT_RUN_HERE, RUN, SHOWN, SnippetError, Walk, languages

ROOT = Path(__file__).parents[2]

DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "src/**/*.md", "examples/**/*.md", "bench/**/*.md")
    for path in ROOT.glob(pattern)
)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_document_works_as_it_is_written(path: Path) -> None:
    Walk().read(path)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_block_is_left_out_by_its_language(path: Path) -> None:
    assert set(languages(path)) <= RUN | SHOWN, languages(path)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_between_documents_lead_somewhere(path: Path) -> None:
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)\s#]+)(?:#[^)\s]*)?\)", text)
    broken = [to for to in targets if "://" not in to and not (path.parent / to).exists()]
    assert broken == []


def test_the_main_documents_are_among_them() -> None:
    names = {path.relative_to(ROOT).as_posix() for path in DOCUMENTS}
    assert {"README.md", "docs/nemotron/kit.md", "src/nemotron/kit/README.md"} <= names


# The harness itself: what works passes, and what does not is noticed, at its line.


def read(text: str, tmp_path: Path) -> Walk:
    document = tmp_path / "document.md"
    document.write_text(text, encoding="utf-8")
    walk = Walk()
    walk.read(document)
    return walk


def block(language: str, *lines: str) -> str:
    return "\n".join([f"```{language}", *lines, "```", ""])


def test_blocks_share_names_folder_and_environment(tmp_path: Path) -> None:
    walk = read(
        "# T\n\n"
        + block("python", "from pathlib import Path", "Path('a').write_text('1')")
        + block("console", "$ cat a", "1", "$ export X=two", "$ make demo")
        + block("text", "shown only")
        + block("console", '$ test "$X" = two && \\', "> test -f a", "$ command -v python")
        + block("python", "print(Path('a').read_text())  # 1: what was written"),
        tmp_path,
    )
    assert walk.ran == [3, 7, 16, 21]
    assert walk.environment["X"] == "two"


@pytest.mark.parametrize(
    "text",
    [
        block("python", "print(1 + 1)  # 3"),
        block("python", "print('a',", "      'b')", "print(2)   # 3: wrong"),
        block("console", "$ false"),
        block("console", "$ false", "$ true"),
        block("console", "$ cat nowhere"),
    ],
)
def test_what_does_not_work_is_noticed(text: str, tmp_path: Path) -> None:
    with pytest.raises(SnippetError, match=r"document\.md:\d"):
        read(text, tmp_path)


def test_an_error_has_the_documents_line(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        read("# T\n\n" + block("python", "x = 1", "x / 0"), tmp_path)
    assert caught.traceback[-1].path == tmp_path / "document.md"
    assert caught.traceback[-1].lineno + 1 == 5


def test_a_block_can_be_left_out_with_a_reason(tmp_path: Path) -> None:
    walk = read("<!-- not run: needs an account -->\n" + block("python", "1 / 0"), tmp_path)
    assert walk.ran == []
    with pytest.raises(ZeroDivisionError):
        read("<!-- not run: -->\n" + block("python", "1 / 0"), tmp_path)
    with pytest.raises(ZeroDivisionError):
        read("<!-- not run: this one -->\n" + block("python", "1 / 0") * 2, tmp_path)


@pytest.mark.parametrize("start", NOT_RUN_HERE)
def test_commands_that_run_elsewhere_are_left_out(start: str, tmp_path: Path) -> None:
    read(block("console", f"$ {start} nowhere-at-all"), tmp_path)


def test_languages_are_found(tmp_path: Path) -> None:
    document = tmp_path / "document.md"
    document.write_text(block("bash", "false") + block("", "x") + block("python", "x"), encoding="utf-8")
    assert languages(document) == {"bash": [1], "": [4], "python": [7]}
