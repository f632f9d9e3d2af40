"""Rules of this code base that no linter has: each takes a source file and gives the places that break it."""

import ast
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TypeGuard

SRC = Path(__file__).parents[2] / "src"

MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 70

# Where a foreign failure must stop, whatever it is.
MAY_CATCH_ALL = ("nemotron/kit/integrations/", "nemotron/kit/tracking/composite.py")
MAY_PRINT = ("nemotron/kit/cli/", "nemotron/kit/console")

PURE = (
    "nemotron/kit/names.py",
    "nemotron/kit/documents/",
    *("nemotron/kit/registry/changes.py", "nemotron/kit/registry/resolved.py"),
    "nemotron/kit/registry/differences.py",
    "nemotron/kit/lineage/",
    "nemotron/kit/exporters/",
)
NOT_PURE = tuple(
    f"nemotron/kit/lineage/{n}.py"
    for n in ("collect", "index", "catch_up", "reading", "questions", "impact", "runs")
)
# All that a pure room may import from outside the kit: what computes; no files, no framework.
PURE_IMPORTS = {
    *("abc", "array", "base64", "bisect", "blake3", "collections", "collections.abc", "dataclasses"),
    "datetime",
    *("difflib", "enum", "functools", "hashlib", "heapq", "html", "itertools", "json", "math"),
    *("operator", "re", "string", "textwrap", "types", "typing", "unicodedata", "urllib.parse"),
    *("uuid", "zlib"),
}
# Rooms that pure rooms may lean on.
PURE_ROOMS = (
    *("redaction", "errors", "names", "documents", "lineage", "exporters"),
    *("registry.changes", "registry.differences", "registry.resolved"),
)


@dataclass(frozen=True)
class Source:
    """A file of src: its path below src, in posix form, and its text."""

    path: str
    text: str

    @property
    def tree(self) -> ast.Module:
        """Its syntax tree."""
        return ast.parse(self.text)


Rule = Callable[[Source], Iterator[str]]


def sources() -> list[Source]:
    """All Python files of src."""
    return [
        Source(path.relative_to(SRC).as_posix(), path.read_text(encoding="utf-8"))
        for path in sorted(SRC.rglob("*.py"))
    ]


def prints_nothing(source: Source) -> Iterator[str]:
    """Library code is silent: no print, no sys.stdout outside the rooms that own the terminal."""
    if source.path.startswith(MAY_PRINT):
        return
    for node in ast.walk(source.tree):
        match node:
            case ast.Call(func=ast.Name(id="print" | "input")):
                yield f"{source.path}:{node.lineno}: {ast.unparse(node.func)}()"
            case ast.Call(
                func=ast.Attribute(
                    value=ast.Attribute(value=ast.Name(id="sys"), attr="stdout" | "stderr"), attr="write"
                )
            ):
                yield f"{source.path}:{node.lineno}: {ast.unparse(node.func)}()"


def catches_no_unknown(source: Source) -> Iterator[str]:
    """No bare or broad except outside the edges, unless it raises again after cleaning up."""
    if source.path.startswith(MAY_CATCH_ALL):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler) and _is_broad(node.type) and not _raises_again(node):
            yield f"{source.path}:{node.lineno}: a broad except; name the errors that can happen here"
        if _is_suppress(node) and any(_is_broad(argument) for argument in node.args):
            yield f"{source.path}:{node.lineno}: suppresses everything"


def _is_broad(kind: ast.expr | None) -> bool:
    kinds = kind.elts if isinstance(kind, ast.Tuple) else [kind]
    return any(kind is None or ast.unparse(kind) in ("Exception", "BaseException") for kind in kinds)


def _is_suppress(node: ast.AST) -> TypeGuard[ast.Call]:
    return isinstance(node, ast.Call) and ast.unparse(node.func) in ("suppress", "contextlib.suppress")


def _raises_again(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def swallows_nothing(source: Source) -> Iterator[str]:
    """No handler that only passes."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler) and all(_does_nothing(line) for line in node.body):
            yield f"{source.path}:{node.lineno}: an except that only passes"


def _does_nothing(line: ast.stmt) -> bool:
    return isinstance(line, ast.Pass) or (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant))


def fits_in_the_head(source: Source) -> Iterator[str]:
    """Files and functions stay short."""
    if (lines := len(source.text.splitlines())) > MAX_FILE_LINES:
        yield f"{source.path}: {lines} lines, more than {MAX_FILE_LINES}"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > MAX_FUNCTION_LINES:
                where = f"{source.path}:{node.lineno}"
                yield f"{where}: {node.name} has {lines} lines, more than {MAX_FUNCTION_LINES}"


def is_finished(source: Source) -> Iterator[str]:
    """No marker of unfinished work, and nothing that raises NotImplementedError."""
    for token in tokenize.generate_tokens(StringIO(source.text).readline):
        if token.type == tokenize.COMMENT and {"TODO", "FIXME", "XXX"} & set(
            token.string.replace(":", " ").replace("(", " ").split()
        ):
            yield f"{source.path}:{token.start[0]}: {token.string}"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Raise) and node.exc and "NotImplementedError" in ast.unparse(node.exc):
            yield f"{source.path}:{node.lineno}: raises NotImplementedError"


def stays_pure(source: Source) -> Iterator[str]:
    """Pure rooms import values and functions only, at any depth and under TYPE_CHECKING too."""
    if not source.path.startswith(PURE) or source.path in NOT_PURE:
        return
    allowed = tuple(f"nemotron.kit.{room}" for room in PURE_ROOMS)
    for node in ast.walk(source.tree):
        for module in _imported(node):
            if module in PURE_IMPORTS or module.startswith(allowed):
                continue
            yield f"{source.path}:{node.lineno}: a pure room imports {module}"  # type: ignore[attr-defined]


def _imported(node: ast.AST) -> list[str]:
    match node:
        case ast.Import(names=names):
            return [alias.name for alias in names]
        case ast.ImportFrom(module="nemotron.kit", names=names):
            return [f"nemotron.kit.{alias.name}" for alias in names]
        case ast.ImportFrom(module=module, level=0):
            return [module or ""]
        case ast.ImportFrom():
            return ["a relative name"]
    return []
