"""Keeping secrets out of what is written down: by the name that a value has, and by what it looks like.

It errs towards keeping `max_tokens` and `eos_token` readable, and towards dropping what a name calls secret.

>>> without_secrets({"lr": 0.1, "hf_token": "abc", "max_tokens": 5, "url": "https://me:pw@host/x"})
{'lr': 0.1, 'hf_token': '(redacted)', 'max_tokens': 5, 'url': 'https://(redacted)@host/x'}
>>> command_without_secrets(["train.py", "--api-key", "abc", "db.password=x", "--steps=5"])
['train.py', '--api-key', '(redacted)', 'db.password=(redacted)', '--steps=5']
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

REDACTED = "(redacted)"

# A name is looked at in lower case, its words joined by one underscore.
_SECRET_NAMES = re.compile(
    r"secret|passw(?:or)?d|passphrase|credential|(?:^|_)pwd(?:$|_)|(?:^|_)(?:api|access|private|signing"
    r"|encryption|account|storage|ssh|wandb|ngc)_?key(?:_id)?(?:$|_)|apikey|(?:^|_)auth(?:$|_header|orization)"
    r"|connection_string|(?:^|_)(?:session_)?cookies?(?:$|_)|(?:^|_)sas(?:$|_)|bearer"
)
_TOKEN = re.compile(r"(?:^|_)tokens?$")
# What tokenizers and models call their tokens: a text there is a piece of text.
_TOKENS_OF_TEXT = re.compile(
    r"(?:^|_)(?:bos|eos|pad|unk|sep|cls|mask|eod|eot|eom|fim|special|additional_special|extra|image|video|audio|"
    r"start|end|stop|begin|next|first|last|new|bad|text|prompt|think|thinking|tool|user|system|assistant|"
    r"max|min|num|total|n|per|seen|train|valid|trained|consumed|target|draft|decoder_start|forced_bos|forced_eos"
    r")_tokens?$|^tokens$"
)
_SHAPES = re.compile(
    r"hf_[A-Za-z0-9]{20,}|sk-[A-Za-z0-9_-]{20,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}"
    r"|glpat-[A-Za-z0-9_-]{16,}|nvapi-[A-Za-z0-9_-]{20,}|(?:AKIA|ASIA)[A-Z0-9]{16}|xox[abprs]-[A-Za-z0-9-]{10,}"
    r"|AIza[A-Za-z0-9_-]{30,}|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|(?i:\bbearer\s+)[A-Za-z0-9._~+/=-]{8,}",
    re.DOTALL,
)
_USER_IN_URL = re.compile(r"(?<=://)[^/@\s?#]+(?=@)")
_PARAMETER = re.compile(r"([?&;]([A-Za-z0-9_.-]+)=)[^&;#\s]*")
_SIGNATURES = frozenset(
    {"sig", "signature", "x_amz_signature", "x_amz_credential", "x_goog_signature", "key"}
)


def is_secret_name(name: str) -> bool:
    """Whether a field of this name holds what nobody must read.

    >>> [is_secret_name(name) for name in ("WANDB_API_KEY", "authToken", "eos_token", "num_tokens")]
    [True, True, False, False]
    """
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip("-"))
    words = re.sub(r"[^a-z0-9]+", "_", words.lower())
    if _SECRET_NAMES.search(words):
        return True
    return bool(_TOKEN.search(words)) and not _TOKENS_OF_TEXT.search(words)


def text_without_secrets(text: str) -> str:
    """A text without what looks like a key, and without the user and the signature in URLs.

    >>> text_without_secrets("s3://me:pw@host/x?X-Amz-Signature=abc&part=1")
    's3://(redacted)@host/x?X-Amz-Signature=(redacted)&part=1'
    """
    text = _USER_IN_URL.sub(REDACTED, _SHAPES.sub(REDACTED, text))
    return _PARAMETER.sub(_parameter, text) if "://" in text else text


def _parameter(found: "re.Match[str]") -> str:
    name = found[2].lower().replace("-", "_")
    return found[1] + REDACTED if name in _SIGNATURES or is_secret_name(name) else found[0]


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
        is_amount = isinstance(value, int | float) and not _SECRET_NAMES.search(name.lower())
        return value if is_amount or value in ("", [], {}) else REDACTED
    if isinstance(value, Mapping):
        return {text_without_secrets(str(key)): without_secrets(one, str(key)) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [without_secrets(one) for one in value]
    return text_without_secrets(value) if isinstance(value, str) else value


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
            shown.append(text_without_secrets(word))
        hide_next = not equals and word.startswith("-") and is_secret_name(last)
    return shown
