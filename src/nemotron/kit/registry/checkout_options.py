"""How snapshots are laid out as folders, and how much of the user's cache they may take."""

import os
import re
from dataclasses import dataclass
from typing import Literal, cast, get_args

from nemotron.kit.errors import MisuseError

Way = Literal["reflink", "copy", "hardlink"]

WAY_VARIABLE = "NEMO_CHECKOUT"
LIMIT_VARIABLE = "NEMO_CHECKOUT_LIMIT"
LIMIT_DEFAULT = 200 << 30
_UNITS = {"": 1, "B": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_TEXT = re.compile(r"(\d+(?:\.\d+)?) ?(?:([KMGT])(I?))?B?", re.IGNORECASE)


def parse_limit(text: str, said_by: str = LIMIT_VARIABLE) -> int:
    """Bytes, from a text such as `500GiB`, `1.5TB` or `0`.

    Args:
        text: the size.
        said_by: where it was given, for the message.

    Raises:
        MisuseError: it is none.

    >>> parse_limit("2KiB"), parse_limit("1.5MB"), parse_limit("100")
    (2048, 1500000, 100)
    """
    match = _TEXT.fullmatch(text.strip())
    if match is None:
        raise MisuseError(f"Not a size: {said_by}={text!r}; expected bytes, or such as 500GiB or 1.5TB")
    number, unit, binary = match.groups()
    factor = _UNITS[(unit or "").upper()]
    if binary:
        factor = 1024 ** " KMGT".index(unit.upper())
    return int(float(number) * factor)


def _way(value: object, said_by: str) -> Way:
    if value not in get_args(Way):
        raise MisuseError(f"Unknown {said_by}: {value!r}. Must be 'reflink', 'copy' or 'hardlink'")
    return cast(Way, value)


@dataclass(frozen=True, slots=True)
class CheckoutOptions:
    """What a caller says of checkouts; what it leaves out, the environment says, or else the default.

    Attributes:
        way: "reflink" shares blocks with the store where the file system can, and copies elsewhere; "copy"
            never shares any; "hardlink" gives the store's own read-only files a second name.
        limit: bytes that checkouts in the user's cache may take, as a number or a text such as "500GiB".

    Raises:
        MisuseError: there is no such way, or the limit is no size.

    >>> CheckoutOptions("copy", "1GiB").limit_in_force
    1073741824
    """

    way: Way | None = None
    limit: int | str | None = None

    def __post_init__(self) -> None:
        if self.way is not None:
            _way(self.way, "checkout")
        if self.limit is not None:
            parse_limit(str(self.limit), "checkout_limit")

    @property
    def way_in_force(self) -> Way:
        """This one's, else that of `$NEMO_CHECKOUT`, else "reflink"."""
        said = os.environ.get(WAY_VARIABLE, "").strip()
        return self.way or (_way(said, WAY_VARIABLE) if said else "reflink")

    @property
    def limit_in_force(self) -> int:
        """Bytes: this one's, else those of `$NEMO_CHECKOUT_LIMIT`, else 200 GiB."""
        if self.limit is not None:
            return parse_limit(str(self.limit), "checkout_limit")
        text = os.environ.get(LIMIT_VARIABLE, "")
        return parse_limit(text) if text.strip() else LIMIT_DEFAULT
