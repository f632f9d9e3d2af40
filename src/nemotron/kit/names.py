"""The one grammar of `art://NAME[:VERSION][/path/inside]`.

Every part of the kit (store, CLI, resolvers, file system) parses references here and nowhere else.
Parsing looks at text only: which of several readings exists is the registry's question
(`ArtifactRef.readings`). For every reference `r`, `ArtifactRef.parse(str(r)) == r`.

>>> ref = ArtifactRef.parse("art://nano3/pretrain/data:v3/train/000.bin")
>>> ref.name.key, str(ref.selector), ref.inside
('nano3-pretrain-data', 'v3', 'train/000.bin')
>>> ref.uri
'art://nano3-pretrain-data:v3/train/000.bin'
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import unquote

from nemotron.kit.errors import InvalidNameError, InvalidReferenceError, OutsideRootError

SCHEME = "art://"
NAME_LENGTH_MAX = 128
REFERENCE_LENGTH_MAX = 4096
INSIDE_LENGTH_MAX = 3800  # so that with any name and version in front it can still be read back
VERSION_DIGITS_MAX = 18

_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)
_QUERY = re.compile(r"[A-Za-z0-9._-]+=[A-Za-z0-9._-]+(?:&[A-Za-z0-9._-]+=[A-Za-z0-9._-]+)*", re.ASCII)
_VERSION = re.compile(r"v?(0|[1-9][0-9]*)", re.ASCII)
_VERSION_LIKE = re.compile(r"[vV]?[0-9]+", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def _shown(text: str) -> str:
    """A short, printable form of whatever was passed, for messages."""
    scheme, mark, rest = text.rpartition("://")
    if mark and re.search("[@?]", rest):  # a URL, which may hold a password or a signature
        text = f"{scheme}://…"
    shown = repr(text)
    return shown if len(shown) <= 80 else f"{shown[:60]}… ({len(text)} characters)"


def _segment_problem(segment: str) -> str | None:
    """Why `segment` is no name, or None."""
    if not segment:
        return "it is empty"
    if len(segment) > NAME_LENGTH_MAX:
        return f"it has {len(segment)} characters, at most {NAME_LENGTH_MAX} are allowed"
    if not _SEGMENT.fullmatch(segment):
        return "it may hold ASCII letters, digits, '.', '_' and '-', and starts with a letter or digit"
    if re.fullmatch(r"[vV][0-9]+", segment, re.ASCII):
        return "it looks like a version"
    return None


@dataclass(frozen=True, slots=True)
class ArtifactName:
    """An artifact's name: one segment, or several with slashes (a *semantic* name), and perhaps a query.

    Attributes:
        semantic: the name as its author wrote it, `nano3/sft/data?sample=10`.
        key: the name in the store: slashes and the query's marks become dashes.
    """

    semantic: str
    key: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        path, mark, query = self.semantic.partition("?")
        for segment in path.split("/"):
            if problem := _segment_problem(segment):
                raise InvalidNameError(
                    f"Invalid artifact name: {_shown(self.semantic)}: {problem}. Example: my-model"
                )
        if mark and not _QUERY.fullmatch(query):
            raise InvalidNameError(
                f"Invalid artifact name: {_shown(self.semantic)}: after '?' expected key=value[&key=value]"
            )
        object.__setattr__(self, "key", re.sub(r"[/?&=]", "-", self.semantic))
        if problem := _segment_problem(self.key):
            raise InvalidNameError(
                f"Invalid artifact name: {_shown(self.semantic)}: as a key ({_shown(self.key)}) {problem}"
            )

    @classmethod
    def parse(cls, text: str) -> "ArtifactName":
        """Read a name; `art://` in front is allowed, a version is not.

        Raises:
            InvalidNameError: what is wrong with it.
        """
        if not isinstance(text, str):
            raise InvalidNameError(f"Invalid artifact name: {text!r}: it is no text. Example: my-model")
        return cls(text.removeprefix(SCHEME))

    def __str__(self) -> str:
        return self.semantic


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """A version number. The kit counts from 1; W&B from 0."""

    number: int

    def __post_init__(self) -> None:
        if self.number < 0:
            raise InvalidReferenceError(f"Invalid version: {self.number}; versions are v0, v1, …")

    @classmethod
    def parse(cls, text: "str | int | Version") -> "Version":
        """Read `v3`, `3` or 3.

        Raises:
            InvalidReferenceError: it is none of these.
        """
        if isinstance(text, Version):
            return text
        match = _VERSION.fullmatch(str(text))
        if not match or len(match[1]) > VERSION_DIGITS_MAX:
            raise InvalidReferenceError(f"Invalid version: {_shown(str(text))}; expected v3 or 3")
        return cls(int(match[1]))

    def __str__(self) -> str:
        return f"v{self.number}"


@dataclass(frozen=True, slots=True, order=True)
class Alias:
    """A movable name of a version, such as `production`; `latest` is the one the kit moves itself."""

    name: str

    def __post_init__(self) -> None:
        if _VERSION_LIKE.fullmatch(self.name):
            raise InvalidNameError(f"Invalid alias: {_shown(self.name)} looks like a version")
        if problem := _segment_problem(self.name):
            raise InvalidNameError(f"Invalid alias: {_shown(self.name)}: {problem}")

    def __str__(self) -> str:
        return self.name


Selector = Version | Alias
LATEST = Alias("latest")


def is_key(text: str) -> bool:
    """Whether it can be the name of an artifact in a store.

    >>> is_key("nano3-data"), is_key("nano3/data"), is_key(".kit")
    (True, False, False)
    """
    return _segment_problem(text) is None


def is_alias(text: str) -> bool:
    """Whether it can be an alias.

    >>> is_alias("production"), is_alias("v3")
    (True, False)
    """
    return not _VERSION_LIKE.fullmatch(text) and _segment_problem(text) is None


def parse_selector(text: str | int | None) -> Selector:
    """Read what stands behind the colon; None and "" mean `latest`.

    >>> parse_selector("3"), parse_selector("production"), parse_selector(None)
    (Version(number=3), Alias(name='production'), Alias(name='latest'))
    """
    if text is None or text == "":
        return LATEST
    text = str(text)
    return Version.parse(text) if _VERSION_LIKE.fullmatch(text) else Alias(text)


def near(text: str, known: Iterable[str], most: int = 1) -> list[str]:
    """The names that look like `text`, whatever its case, the likeliest first; [] if none does.

    >>> near("stpe", ["step", "type"]), near("Trian", ["data", "train"]), near("x", ["train"])
    (['step'], ['train'], [])
    """
    import difflib

    meant = text.lower()
    by_lower: dict[str, list[str]] = {}
    for name in known:
        by_lower.setdefault(name.lower(), []).append(name)
    candidates = difflib.get_close_matches(meant, by_lower, n=max(most, 8), cutoff=0.6)
    # Letters that changed places are the commonest slip, and no better to the matcher than other letters.
    candidates.sort(key=lambda other: sorted(other) != sorted(meant))
    # Of names that differ in case alone (`artifact`, `Artifact`) the one written more like the text.
    spelt = [
        sorted(by_lower[other], key=lambda name: -difflib.SequenceMatcher(None, text, name).ratio())
        for other in candidates
    ]
    return [name for names in spelt for name in names][:most]


def normalise_inside(path: str) -> str:
    """The canonical form of a path inside an artifact; "" is the artifact itself.

    Raises:
        OutsideRootError: it leaves the artifact, or tries to by an encoding.
    """
    if _CONTROL.search(path):
        raise OutsideRootError(f"Invalid path inside an artifact: {_shown(path)} has control characters")
    if path.startswith("/"):
        raise OutsideRootError(f"Invalid path inside an artifact: {_shown(path)} is absolute; expected a/b")
    parts: list[str] = []
    for part in path.split("/"):
        plain = unquote(part)
        if plain != part and (plain in (".", "..") or "/" in plain or _CONTROL.search(plain)):
            raise OutsideRootError(
                f"Invalid path inside an artifact: {_shown(path)} hides a path in an encoding"
            )
        if part in ("", "."):
            continue
        if part != "..":
            parts.append(part)
        elif parts:
            parts.pop()
        else:
            raise OutsideRootError(f"Invalid path inside an artifact: {_shown(path)} leaves the artifact")
    return "/".join(parts)


@dataclass(frozen=True, slots=True)
class ArtifactRef:
    """A parsed `art://` reference.

    Attributes:
        name: the artifact.
        selector: a version, an alias, or None where none was written (latest).
        inside: a normalised path inside the artifact, or "".
        is_cut: whether no version was written, and the name ends where a part is none: it may end before.
    """

    name: ArtifactName
    selector: Selector | None = None
    inside: str = ""
    is_cut: bool = field(default=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "inside", normalise_inside(self.inside))
        if self.inside and self.selector is None:
            object.__setattr__(self, "selector", LATEST)
        if len(self.inside) > INSIDE_LENGTH_MAX:
            raise InvalidReferenceError(
                f"Invalid path inside an artifact: {_shown(self.inside)}: at most {INSIDE_LENGTH_MAX} "
                "characters are allowed"
            )

    @classmethod
    def parse(cls, text: "str | ArtifactRef") -> "ArtifactRef":
        """Read a reference, with or without `art://`.

        Raises:
            InvalidReferenceError: it is not a reference; the message begins `Invalid art:// URI: `.
            OutsideRootError: its inner path leaves the artifact.
        """
        return text if isinstance(text, ArtifactRef) else _parse(text)

    def at(self, selector: Selector) -> "ArtifactRef":
        """The same artifact and inner path at another version."""
        return ArtifactRef(self.name, selector, self.inside)

    def readings(self) -> "tuple[ArtifactRef, ...]":
        """What the text can mean, longest name first.

        `a/b/c` without a version is the artifact `a/b/c`, or `c` inside `a/b`, or `b/c` inside `a`; `a/b/c d`
        is `c d` inside `a/b`, or `b/c d` inside `a`.
        """
        parts = self.name.semantic.split("/")
        if (self.selector is not None and not self.is_cut) or "?" in self.name.semantic:
            return (self,)
        shorter = (
            ArtifactRef(ArtifactName("/".join(parts[:n])), LATEST, "/".join([*parts[n:], self.inside]))
            for n in range(len(parts) - 1, 0, -1)
        )
        return (self, *shorter)

    @property
    def is_latest(self) -> bool:
        """Whether it names no fixed version and no alias but `latest`."""
        return self.selector is None or self.selector == LATEST

    @property
    def wandb(self) -> tuple[str, str, str] | None:
        """(entity, project, name) where the text can also be a W&B reference, else None."""
        parts = self.name.semantic.split("/")
        if len(parts) != 3 or "?" in self.name.semantic:
            return None
        return parts[0], parts[1], parts[2]

    @property
    def uri(self) -> str:
        """The spelling with the key, as documents hold it."""
        return _spell(self.name.key, self.selector, self.inside)

    def __str__(self) -> str:
        return _spell(self.name.semantic, self.selector, self.inside)


def meant(
    readings: Sequence[ArtifactRef], there: Callable[[ArtifactRef], bool | None]
) -> tuple[ArtifactRef, ...]:
    """Which readings of a text are meant, of those whose names exist: the longest name wins.

    One is the answer. Several are an ambiguity: the longest is there, and so are others. None leaves the text
    to whoever is asked next.

    >>> a_b, a = ArtifactRef.parse("art://a/b").readings()
    >>> [len(meant([a_b, a], {a_b: True, a: is_inside}.get)) for is_inside in (False, True)]
    [1, 2]
    >>> meant([a], {a: False}.get)
    ()

    Args:
        readings: the longest name first.
        there: whether a reading is there, its inner path included; None if that can't be told.
    """
    told = {reading: there(reading) for reading in readings}
    certain = tuple(reading for reading, is_there in told.items() if is_there)
    if readings and readings[0] in certain:
        return certain
    return tuple(readings[:1]) if certain or None in told.values() else ()


def _spell(name: str, selector: Selector | None, inside: str) -> str:
    version = "" if selector is None else f":{selector}"
    return f"{SCHEME}{name}{version}{'/' if inside else ''}{inside}"


@lru_cache(maxsize=4096)
def _parse(text: str) -> ArtifactRef:
    body = text.removeprefix(SCHEME)
    try:
        if len(text) > REFERENCE_LENGTH_MAX:
            raise InvalidNameError(
                f"it has {len(text)} characters, at most {REFERENCE_LENGTH_MAX} are allowed"
            )
        if "://" in body:
            raise InvalidNameError("expected art://NAME[:VERSION][/path]")
        if body.startswith("/"):
            raise InvalidNameError("an absolute path names no version; expected NAME[:VERSION][/path]")
        head, colon, tail = body.partition(":")
        if colon:
            version, _, inside = tail.partition("/")
            if not version:
                raise InvalidNameError("the version after ':' is empty")
            return ArtifactRef(ArtifactName(head), parse_selector(version), inside)
        return _parse_unversioned(body)
    except (InvalidNameError, InvalidReferenceError) as error:
        raise InvalidReferenceError(f"Invalid art:// URI: {_shown(text)}: {_within(error, text)}") from None
    except OutsideRootError as error:
        raise OutsideRootError(f"Invalid art:// URI: {_shown(text)}: {error}") from None


def _within(error: InvalidNameError | InvalidReferenceError, text: str) -> str:
    """What is wrong with a part of a reference, without saying again that it is, or what all of it is."""
    said = re.sub(r"^Invalid (?:artifact )?(?=(?:name|alias|version): )", "", str(error))
    for whole in (text, text.removeprefix(SCHEME)):
        said = said.removeprefix(f"name: {_shown(whole)}: ")
    return said


def _parse_unversioned(body: str) -> ArtifactRef:
    """A name, or a name with a path behind it that can't be part of the name."""
    path, mark, query = body.partition("?")
    if mark:
        query, _, inside = query.partition("/")
        return ArtifactRef(ArtifactName(f"{path}?{query}"), None, inside)
    parts = path.rstrip("/").split("/")
    count = next((i for i, segment in enumerate(parts) if _segment_problem(segment)), len(parts))
    while count > 1 and len("/".join(parts[:count])) > NAME_LENGTH_MAX:
        count -= 1
    if count == 0 or count == len(parts):
        return ArtifactRef(ArtifactName("/".join(parts)))
    return ArtifactRef(ArtifactName("/".join(parts[:count])), LATEST, "/".join(parts[count:]), is_cut=True)


def local_path(uri: str) -> str | None:
    """The path in `art:///absolute/path`, which names an unpublished artifact by where it lies; else None.

    >>> local_path("art:///data/run1"), local_path("art://data:v1")
    ('/data/run1', None)

    Raises:
        InvalidReferenceError: the path has control characters.
    """
    path = uri.removeprefix(SCHEME)
    if path == uri or not path.startswith("/"):
        return None
    if _CONTROL.search(path):
        raise InvalidReferenceError(f"Invalid art:// URI: {_shown(uri)} has control characters")
    return path
