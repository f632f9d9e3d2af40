"""What the text right of `=` means.

The grammar is OmegaConf's own, which is that of Hydra's command line (the public resolver `oc.decode`).
Around it: YAML's words (`yes`, `off`, `none`, `~`, …) mean in an override what they mean in the config file,
interpolations stay unresolved, quoted text may hold anything, and characters that the grammar does not know
(`é`, `=`, `#`) need no quotes.
"""

import re
from dataclasses import dataclass, field
from typing import Any

from nemotron.kit.errors import MisuseError

_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("null", "none", "~")),
    **dict.fromkeys(("true", "yes", "on"), True),
    **dict.fromkeys(("false", "no", "off"), False),
}
_QUOTED = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"", re.DOTALL)
_UNKNOWN_TO_GRAMMAR = re.compile(r"[^\s\[\]{},:A-Za-z0-9_/\-\\+.$%*@?|]+")
_EMPTY_ELEMENT = re.compile(r"[\[{,]\s*,|,\s*[\]}]")
_NUMBER_AT_MOST = 100  # characters; what is longer is text, and not worth a parser


def parse_value(text: str) -> Any:
    """Read the value of an override.

    Args:
        text: what stands right of `=`.

    Returns:
        None, a bool, an int, a float, a list, a dict, or else the text itself. Interpolations
        (`${data.path}`) are kept as text for OmegaConf to resolve.

    Raises:
        MisuseError: a list or map that is not well formed.

    >>> [parse_value(text) for text in ("~", "yes", "3", "1e-4", "[1, a b, ${x.y}]", "{a: 1}", "'3'", "c:d")]
    [None, True, 3, 0.0001, [1, 'a b', '${x.y}'], {'a': 1}, '3', 'c:d']
    """
    bare = text.strip()
    if bare.lower() in _WORDS:
        return _WORDS[bare.lower()]
    if _QUOTED.fullmatch(bare):
        return _unquote(bare)
    if bare.startswith(("[", "{")):
        return _Protected.parse(bare)
    if not bare or "${" in bare or len(bare) > _NUMBER_AT_MOST:
        return text
    try:
        value = _decode(bare)
    except ValueError:
        return text
    return value if isinstance(value, int | float) else text


def _decode(text: str) -> Any:
    """Parse by OmegaConf's grammar; ValueError with its reason."""
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    config = OmegaConf.create({"text": text, "value": "${oc.decode:${text}}"})
    try:
        value = config.value
    except OmegaConfBaseException as error:
        reason = str(error).partition("\n")[0].partition("resolving interpolation: ")[2]
        raise ValueError(reason or str(error)) from error
    return OmegaConf.to_container(value) if OmegaConf.is_config(value) else value


def _unquote(quoted: str) -> str:
    """Return the text between quotes; a backslash counts only before the quote itself, as in Hydra."""
    quote = quoted[0]
    return quoted[1:-1].replace("\\" + quote, quote)


@dataclass
class _Protected:
    """A list or map in which what the grammar would refuse or change is replaced by names it accepts."""

    source: str
    prefix: str
    quoted: dict[str, str] = field(default_factory=dict)
    verbatim: dict[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, source: str) -> Any:
        """Read a list or a map."""
        prefix = "nk_"
        while prefix in source:
            prefix += "_"
        protected = cls(source, prefix)
        text = protected._replaced()
        try:
            if _EMPTY_ELEMENT.search(text):
                raise ValueError("an empty element between commas")
            value = _decode(text)
        except ValueError as error:
            raise MisuseError(f"{source!r} is not a list or map that OmegaConf can read: {error}") from error
        return protected._restored(value)

    def _replaced(self) -> str:
        out: list[str] = []
        position, starts_element = 0, True
        while position < len(self.source):
            character = self.source[position]
            quoted = _QUOTED.match(self.source, position) if starts_element else None
            if quoted:
                out.append(self._name(self.quoted, _unquote(quoted[0])))
                end = quoted.end()
            elif self.source.startswith("${", position):
                end = _interpolation_end(self.source, position)
                out.append(self._name(self.verbatim, self.source[position:end]))
            elif unknown := _UNKNOWN_TO_GRAMMAR.match(self.source, position):
                end = unknown.end()
                out.append(self._name(self.verbatim, unknown[0]))
            else:
                end = position + 1
                out.append(character)
            starts_element = character in "[{,:" or (starts_element and character.isspace())
            position = end
        return "".join(out)

    def _name(self, names: dict[str, str], text: str) -> str:
        name = f"{self.prefix}{len(self.quoted) + len(self.verbatim)}_"
        names[name] = text
        return name

    def _restored(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._restored(element) for element in value]
        if isinstance(value, dict):
            return {self._text(key): self._restored(element) for key, element in value.items()}
        if not isinstance(value, str) or value in self.quoted:
            return self._text(value)
        text: str = self._text(value)
        return _WORDS.get(text.lower(), text)

    def _text(self, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        names = self.quoted | self.verbatim
        return re.sub(rf"{self.prefix}\d+_", lambda match: names[match[0]], value)


def _interpolation_end(text: str, start: int) -> int:
    """Return the position after the `}` that closes the `${` at `start`; the end when nothing does."""
    depth = 0
    for position in range(start, len(text)):
        if text[position] == "{":
            depth += 1
        elif text[position] == "}":
            depth -= 1
            if depth == 0:
                return position + 1
    return len(text)
