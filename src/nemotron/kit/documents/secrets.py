"""Secrets kept out of what is written down, by the name that a value has; `redaction.py` does it by form.

It errs towards keeping `max_tokens` and `eos_token` readable, and towards dropping what a name calls secret.

>>> without_secrets({"lr": 0.1, "hf_token": "abc", "max_tokens": 5, "url": "https://me:pw@host/x"})
{'lr': 0.1, 'hf_token': '(redacted)', 'max_tokens': 5, 'url': 'https://host/x'}
>>> command_without_secrets(["train.py", "--api-key", "abc", "db.password=x", "--steps=5"])
['train.py', '--api-key', '(redacted)', 'db.password=(redacted)', '--steps=5']
"""

from collections.abc import Mapping, Sequence
from typing import Any

from nemotron.kit.redaction import REDACTED, clean_text, is_secret_name, is_secret_whatever


def without_secrets(value: Any, name: str = "") -> Any:
    """A JSON value without secrets.

    Args:
        value: as `codec.plain` makes it.
        name: of the field that it is the value of.
    """
    if value is None or isinstance(value, bool):
        return value
    if name and is_secret_name(name):
        # A number called a token is an amount; one called a password is a password.
        is_amount = isinstance(value, int | float) and not is_secret_whatever(name)
        return value if is_amount or value in ("", [], {}) else REDACTED
    if isinstance(value, Mapping):
        return {clean_text(str(key)): without_secrets(one, str(key)) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [without_secrets(one) for one in value]
    return clean_text(value) if isinstance(value, str) else value


def command_without_secrets(words: Sequence[str]) -> list[str]:
    """A command line without the values of options and overrides whose name calls them secret."""
    shown = []
    hide_next = False
    for word in words:
        name, equals, value = word.partition("=")
        last = name.rsplit(".", 1)[-1]
        if hide_next and not word.startswith("-"):
            shown.append(REDACTED)
        elif equals and is_secret_name(last) and "://" not in name:
            shown.append(f"{name}={REDACTED}" if value else word)
        else:
            shown.append(clean_text(word))
        hide_next = not equals and word.startswith("-") and is_secret_name(last)
    return shown
