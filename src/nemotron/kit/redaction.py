"""What opens doors is not written down, sent, logged or shown: one cleaner for all texts of the kit.

`clean` is for values that are kept: what is left of a URL is a reference that others can open with their own
rights, and that reads the same on every day. `message` is for what other people's clients say. Both see a
secret by its place in a URL or by its form; by the name of its field, `documents/secrets.py` does.

>>> clean({"from": "https://me:pw@host/x?part=1&token=abc", "see": ["s3://k:a/b@bucket/y?X-Amz-Date=1&sig=c"]})
{'from': 'https://host/x?part=1', 'see': ['s3://bucket/y']}
>>> clean("nano3/sft/data?sample=10"), clean("s3://bucket/data?versionId=7"), clean("sftp://me@host/x")
('nano3/sft/data?sample=10', 's3://bucket/data?versionId=7', 'sftp://me@host/x')
"""

import re
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

REDACTED = "(redacted)"


def _late(pattern: str, flags: int = 0) -> Callable[[], re.Pattern[str]]:
    """A pattern that is compiled when it is first asked for: many processes never have a text to look at."""
    return cache(partial(re.compile, pattern, flags))


# Of bounded length: a long text of words joined by dashes would be looked at from each of them.
_SCHEME = r"[A-Za-z][A-Za-z0-9+.-]{0,30}://"
_URL = _late(rf"\b{_SCHEME}[^\s\"'<>\\]+")
# What people write before a host, quotes and slashes of passwords included.
_USER = _late(
    # In front of a host of the web, whoever it is: a token stands there alone as well.
    r"\b(https?://)[^\s/?#\"<>]*@"
    # Elsewhere a name may stand alone: `sftp://me@host`, `abfss://container@account`.
    rf"|\b({_SCHEME})[^\s/?#\"<>:]*:[^\s/?#\"<>]*@(?!sha256:)"
    # Amazon's secret keys have slashes. No port, no chain of URLs, and no `art://name:version/file`.
    r"|(?<!\bart)(?<=[A-Za-z0-9])(://)[^\s/?#:@\[\"<>]*:(?!\d{1,5}[/?#]|:[a-z][a-z0-9+.-]+://)(?:(?!\b[a-z][a-z0-9+.-]{1,30}://)[^\s@\"<>])*@(?!sha256:)",
    re.IGNORECASE,
)
_PERCENT = _late(r"%([0-9A-Fa-f]{2})")
_IN_PATH = _late(r";([^;=/]+)=[^;/]*")

# With one of these all parameters are a signature: Amazon's, Google's, Azure's, CloudFront's.
_SIGNING = _late(r"x_amz_\w+|x_goog_\w+|sig|signature|awsaccesskeyid|googleaccessid")
_BEARING = frozenset(
    {"key", "sessionid", "session_id", "jsessionid", "phpsessid", "jwt", "accesskeyid", "key_pair_id"}
)

# A name is looked at in lower case, its words joined by one underscore.
_SECRET_NAMES = _late(
    r"secret|passw(?:or)?d|passphrase|credential|(?:^|_)pwd(?:$|_)|(?:^|_)(?:api|access|private|signing"
    r"|encryption|account|storage|ssh|wandb|ngc)_?key(?:_id)?(?:$|_)|apikey|(?:^|_)auth(?:$|_header|orization)"
    r"|connection_string|(?:^|_)(?:session_)?cookies?(?:$|_)|(?:^|_)sas(?:$|_)|bearer"
)
_TOKEN = _late(r"(?:^|_)tokens?$")
# What tokenizers and models call their tokens: a text there is a piece of text.
_TOKENS_OF_TEXT = _late(
    r"(?:^|_)(?:bos|eos|pad|unk|sep|cls|mask|eod|eot|eom|fim|special|additional_special|extra|image|video|audio|"
    r"start|end|stop|begin|next|first|last|new|bad|text|prompt|think|thinking|tool|user|system|assistant|"
    r"max|min|num|total|n|per|seen|train|valid|trained|consumed|target|draft|decoder_start|forced_bos|forced_eos"
    r")_tokens?$|^tokens$"
)
# What looks like a key, wherever it stands. `task-…` is no `sk-…`, and neither is what words joined by dashes
# are called: `sk` is the code of a language as well. Behind `bearer` prose has words; a token has digits, or
# stands behind a header's `Bearer`.
_FORMS = _late(
    r"(?<![A-Za-z0-9])(?:hf_[A-Za-z0-9]{20,}|sk-[A-Za-z0-9]{20,}[A-Za-z0-9_-]*"
    r"|sk-(?:proj|svcacct|admin|None|ant|or|lf)-[A-Za-z0-9_-]{16,}|gh[pousr]_[A-Za-z0-9]{20,}"
    r"|github_pat_[A-Za-z0-9_]{20,}|glpat-[A-Za-z0-9_-]{16,}|nvapi-[A-Za-z0-9_-]{20,}"
    r"|wandb_v[0-9]_[A-Za-z0-9_]{20,}|(?:AKIA|ASIA)[A-Z0-9]{16}|xox[abprs]-[A-Za-z0-9-]{10,}"
    r"|AIza[A-Za-z0-9_-]{30,}|eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]*)"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|(?:\bBearer\s+|(?i:\bbearer\s+)(?=[A-Za-z._~+/=-]{0,40}\d))[A-Za-z0-9._~+/=-]{8,}"
    r"|(?i:(?<=\bauthorization: ))\S+(?: \S+)?",
    re.DOTALL,
)
# The same by the name before it: parts of connection strings, and a signed query that has lost its URL.
_NAMED_FORMS = _late(
    r"(\b(?:AccountKey|SharedAccessKey|SharedAccessSignature)=)[^;\s\"'<>]+"
    r"|((?<![\w-])(?:X-Amz-[\w-]+|X-Goog-[\w-]+|AWSAccessKeyId|GoogleAccessId)=)[^;&\s\"'<>]+"
    r"|((?<![\w-])(?:sig|signature)=)[A-Za-z0-9%+/=_~-]{16,}",
    re.IGNORECASE,
)

# What only messages of clients hold: headers, and what a store tells of a request that it refused.
_IN_MESSAGES = _late(
    r"\bhf_\w{4,}|(?i:(?<=\bBearer )\S+|(?<=\bBasic )\S+|(?<=\bSharedKey )\S+)"
    r"|(?<=<StringToSign>).*?(?=</|$)|(?<=<AWSAccessKeyId>).*?(?=</|$)|(?<=<SignatureProvided>).*?(?=</|$)",
    re.DOTALL,
)
_QUERY = _late(rf"(\b{_SCHEME}[^\s?#\"'<>]*)\?[^\s\"'<>]*")


def is_secret_name(name: str) -> bool:
    """Whether a field of this name holds what nobody must read.

    >>> [is_secret_name(name) for name in ("WANDB_API_KEY", "authToken", "eos_token", "num_tokens")]
    [True, True, False, False]
    """
    words = _words(name)
    if _SECRET_NAMES().search(words):
        return True
    return bool(_TOKEN().search(words)) and not _TOKENS_OF_TEXT().search(words)


def is_secret_whatever(name: str) -> bool:
    """Whether even a number in a field of this name is a secret: a password is, a `token` is an amount."""
    return bool(_SECRET_NAMES().search(_words(name)))


def clean(value: Any) -> Any:
    """The same JSON value, without what opens doors in its texts and in the names of its fields."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, Mapping):
        return {clean(key): clean(item) for key, item in value.items()}
    return [clean(item) for item in value] if isinstance(value, list | tuple) else value


def clean_text(text: str) -> str:
    """The same text, whose URLs have no user with a password and no signature, and that holds no keys.

    >>> clean_text("use hf_abcdefghijklmnopqrstuvwxyz for task-abcdefghijklmnopqrstuvwxyz")
    'use (redacted) for task-abcdefghijklmnopqrstuvwxyz'
    """
    if "://" in text:
        text = _USER().sub(lambda found: found[1] or found[2] or found[3], text)
        text = _URL().sub(lambda found: _clean_url(found[0]), text)
    text = _FORMS().sub(REDACTED, text)
    return _NAMED_FORMS().sub(lambda found: f"{found[1] or found[2] or found[3]}{REDACTED}", text)


def message(text: str) -> str:
    """What a client said, for people: without parameters of URLs, passwords, headers and tokens.

    >>> message("Error performing GET http://x/y?X-Amz-Signature=abc in 3ms:  Bearer hf_abcdef")
    'Error performing GET http://x/y in 3ms:  Bearer …'
    """
    return _IN_MESSAGES().sub("…", _QUERY().sub(r"\1", clean_text(_IN_MESSAGES().sub("…", text))))


def one_line(text: str, length_max: int = 300) -> str:
    """The same as one line, cut at a length."""
    return message(" ".join(text.split()))[:length_max].rstrip(" .:<")


class Unshown:
    """Options that may hold keys: no log, message or debugger's list of variables shows them by itself.

    >>> Unshown({"secret": "s3cr3t"})
    options
    """

    __slots__ = ("value",)

    def __init__(self, value: dict[str, Any]) -> None:
        self.value = value

    def __repr__(self) -> str:
        return "options"


def _words(name: str) -> str:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip("-"))
    return re.sub(r"[^a-z0-9]+", "_", words.lower())


def _clean_url(url: str) -> str:
    rest, mark, fragment = url.partition("#")
    head, question, query = rest.partition("?")
    head = _IN_PATH().sub(lambda part: "" if _opens(part[1]) else part[0], head)
    query = _clean_query(query)
    if "=" in fragment or "?" in fragment:
        fragment = _clean_query(fragment)
    return f"{head}{question if query else ''}{query}{mark if fragment else ''}{fragment}"


def _clean_query(query: str) -> str:
    parts = re.split(r"[&;?]", query)
    names = [part.partition("=")[0] for part in parts]
    if any(_SIGNING().fullmatch(_parameter(name)) for name in names):
        return ""
    kept = [part for part, name in zip(parts, names, strict=True) if not _opens(name)]
    return query if len(kept) == len(parts) else "&".join(kept)


def _opens(name: str) -> bool:
    words = _parameter(name)
    return words in _BEARING or bool(_SIGNING().fullmatch(words)) or is_secret_name(_decoded(name))


def _parameter(name: str) -> str:
    return _decoded(name).lower().replace("-", "_")


def _decoded(name: str) -> str:
    return _PERCENT().sub(lambda found: chr(int(found[1], 16)), name)
