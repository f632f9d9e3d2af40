"""Files that a copy out of an artifact has not finished: how they are called, so that none is taken as data.

`nemotron kit cp` writes a file under such a name beside where it is to be, and then renames it. What is left
under one is of a copy that was killed, or that still runs; the next copy into that folder removes the former.
"""

import os
import re
from dataclasses import dataclass

PART = ".kit-part"
# Of a file's name, so that a temporary one is still a name: most file systems hold 255.
_NAME_BYTES_MAX = 100
_OWNED = re.compile(rf"\..*\.([0-9a-f]{{16}})-([0-9]{{1,10}})-([0-9]{{1,20}})-[0-9a-f]{{8}}{PART}", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose such a file is.

    Attributes:
        where: the machine, boot and container in which its process has its number, as 16 hex digits.
        pid: that number.
        started: when the process was started, in ticks since the boot; 0 if that is not known.
    """

    where: str
    pid: int
    started: int

    def part(self, path: str, unique: str) -> str:
        """Where a file is written that is to be at a path.

        >>> Owner("0123456789abcdef", 7, 0).part("/out/a.txt", "01234567")
        '/out/.a.txt.0123456789abcdef-7-0-01234567.kit-part'

        Args:
            path: of the file.
            unique: eight hex digits that no other file of this owner has.
        """
        folder, name = os.path.split(path)
        name = os.fsdecode(os.fsencode(name)[:_NAME_BYTES_MAX])
        return os.path.join(folder, f".{name}.{self.where}-{self.pid}-{self.started}-{unique}{PART}")


def owner_of(name: str) -> Owner | None:
    """Whose unfinished file has a name; None if it is no such name.

    >>> owner_of(".a.txt.0123456789abcdef-7-0-01234567.kit-part")
    Owner(where='0123456789abcdef', pid=7, started=0)
    >>> owner_of("a.txt") is None, owner_of(".a.txt.kit-part") is None
    (True, True)
    """
    if not name.endswith(PART) or (match := _OWNED.fullmatch(name)) is None:
        return None
    where, pid, started = match.groups()
    return Owner(where, int(pid), int(started))
