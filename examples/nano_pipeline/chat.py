"""What a conversation with the model looks like, and how source code becomes one."""

import ast
import warnings
from collections.abc import Iterator

END_OF_TEXT, USER, ASSISTANT, END = "<|endoftext|>", "<|user|>", "<|assistant|>", "<|end|>"
SPECIAL_TOKENS = [END_OF_TEXT, USER, ASSISTANT, END]
FUNCTION = ast.FunctionDef | ast.AsyncFunctionDef


def prompt(request: str) -> str:
    """What the model is given to answer a request."""
    return f"{USER}{request}{ASSISTANT}"


def functions(source: str) -> Iterator[tuple[str, str]]:
    """Docstring and code of each documented function in a Python file, outer ones first.

    The docstring is cut to its first paragraph and taken out of the code, whose layout is made uniform.
    """
    try:
        module = parse(source)
    except SyntaxError:
        return
    for node in ast.walk(module):
        if not isinstance(node, FUNCTION) or len(node.body) < 2:
            continue
        if docstring := ast.get_docstring(node):
            node.body = node.body[1:]
            yield " ".join(docstring.split("\n\n")[0].split()), ast.unparse(node)


def is_function(code: str) -> bool:
    """Whether some text parses, and is one function: the reward of the RL stage."""
    try:
        body = parse(code).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False  # ValueError: a NUL in the code; the last two: nested too deeply for the parser.
    return len(body) == 1 and isinstance(body[0], FUNCTION)


def parse(code: str) -> ast.Module:
    """The syntax tree, without the compiler's remarks on style."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SyntaxWarning)
        warnings.simplefilter("ignore", DeprecationWarning)  # what Python 3.11 says of invalid escapes
        return ast.parse(code)
