import chat
import pytest

SOURCE = '''
class Thing:
    def value(self):
        """Return the value.

        More on it.
        """
        return  self._value   # as it is

def undocumented():
    return 1

def only_a_docstring():
    """Nothing else."""

async def later():
    """Come   back
    later."""
    pattern = "\\d"
    await sleep(1)
'''


def test_documented_functions_become_pairs() -> None:
    assert sorted(chat.functions(SOURCE)) == [
        ("Come back later.", "async def later():\n    pattern = '\\\\d'\n    await sleep(1)"),
        ("Return the value.", "def value(self):\n    return self._value"),
    ]


def test_what_is_no_python_holds_no_functions() -> None:
    assert list(chat.functions("print 'hello'")) == []


@pytest.mark.parametrize(
    ("code", "rewarded"),
    [
        ("def f():\n    return 1", True),
        ("async def f(): pass", True),
        ("def f():", False),
        ("f(x)", False),
        ("def f(): pass\ndef g(): pass", False),
        ("", False),
        ("# a comment", False),
        ("def f(): return '\\d'", True),
        ("\0", False),
        ("(" * 10_000, False),
    ],
)
def test_the_reward_is_for_one_function_that_parses(code: str, rewarded: bool) -> None:
    assert chat.is_function(code) is rewarded
