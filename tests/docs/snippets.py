"""Runs what a Markdown document shows, from top to bottom, as a reader would who copies it."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sybil import Document, Example
from sybil.parsers.markdown import CodeBlockParser
from sybil.parsers.markdown.lexers import FencedCodeBlockLexer

# Commands that a document shows and this harness leaves out.
NOT_RUN_HERE = {
    "make": "CI runs each of them itself",
    "pip install": "`make test-install` installs the built wheel alone and uses it",
    "git clone": "CI works in a fresh clone",
    "cd": "follows git clone",
}

# Languages of blocks that show something and are not run; anything else is either run or a mistake.
SHOWN = {"", "text", "json", "yaml", "toml", "mermaid", "markdown"}
RUN = {"python", "console"}

_NOT_RUN = re.compile(r"<!-- not run: \S.* -->\s*\Z")


class SnippetError(AssertionError):
    """A document shows something that does not work, or that works differently."""


@dataclass
class Walk:
    """One reading of a document: its blocks share a namespace, a folder (the current one) and an environment.

    Attributes:
        environment: of the shell blocks; what one exports, the next ones see.
        ran: the lines at which blocks were run.
    """

    environment: dict[str, str] = field(default_factory=lambda: _environment())
    ran: list[int] = field(default_factory=list)

    def read(self, path: Path) -> None:
        """Run the document's blocks in order.

        Raises:
            SnippetError: a block says something else than what happens.
        """
        parsers = (
            CodeBlockParser(language="python", evaluator=self._python),
            CodeBlockParser(language="console", evaluator=self._console),
        )
        for example in Document.parse(str(path), *parsers):
            if not _NOT_RUN.search(example.document.text[: example.start]):
                self.ran.append(example.line)
                example.evaluate()

    def _python(self, example: Example) -> None:
        """Run it; where a line that prints has a comment, the comment begins with what is printed."""
        offset = example.line + example.parsed.line_offset
        source = "\n" * offset + example.parsed
        said = _comments_on_prints(source)
        namespace = example.namespace
        namespace.setdefault("__name__", "__main__")

        def printing(*values: Any, sep: str = " ", **_: Any) -> None:
            line = sys._getframe(1).f_lineno
            printed = sep.join(str(value) for value in values)
            if line in said and not said[line].startswith(printed):
                raise SnippetError(f"{example.path}:{line} says {said[line]!r}, and prints {printed!r}")

        namespace["print"] = printing
        exec(compile(source, example.path, "exec", dont_inherit=True), namespace)

    def _console(self, example: Example) -> None:
        """Run the lines after `$ `; each must succeed. Lines without are shown output, and not compared."""
        commands = [command for command in _commands(example.parsed) if not _left_out(command)]
        if not commands:
            return
        script = "\n".join(["set -e", *commands, "env -0 >.environment"])
        result = subprocess.run(
            ["bash", "-c", script],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        if result.returncode != 0:
            shown = "\n".join(["", *commands, result.stdout + result.stderr])
            raise SnippetError(f"{example.path}:{example.line} fails with {result.returncode}:{shown}")
        said = Path(".environment").read_text(encoding="utf-8").split("\0")
        self.environment = dict(pair.split("=", 1) for pair in said if "=" in pair)
        Path(".environment").unlink()


def _environment() -> dict[str, str]:
    """The test's own, with the environment's commands in front."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def _comments_on_prints(source: str) -> dict[int, str]:
    """Line → comment at its end, for lines that hold nothing but a call of print."""
    lines = source.splitlines()
    found = {}
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Expr(value=ast.Call(func=ast.Name(id="print"))) if node.lineno == node.end_lineno:
                code, mark, comment = lines[node.lineno - 1][node.end_col_offset or 0 :].partition("#")
                if mark and not code.strip():
                    found[node.lineno] = comment.strip()
    return found


def _commands(block: str) -> Iterator[str]:
    """The commands of a console block, lines that go on after a backslash joined."""
    command: list[str] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            command = [line[2:]]
        elif command:
            command.append(line.removeprefix("> "))
        if command and not command[-1].endswith("\\"):
            yield "\n".join(command)
            command = []


def _left_out(command: str) -> bool:
    return any(f"{command} ".startswith(f"{start} ") for start in NOT_RUN_HERE)


def languages(path: Path) -> dict[str, list[int]]:
    """Language → the lines at which a document has blocks of it."""
    lexer = FencedCodeBlockLexer(language=r".*", mapping={"language": "language", "source": "source"})
    document = Document.parse(str(path))
    found: dict[str, list[int]] = {}
    for region in lexer(document):
        line = document.text.count("\n", 0, region.start) + 1
        found.setdefault(region.lexemes["language"].strip(), []).append(line)
    return found
