"""How much of the user's cache checkouts may take: those that were not used for longest go first.

Beside each checkout lies a folder of marks: its size, and one for each process that uses it. One in use by a
living process stays, whatever the limit; so does one whose user can't be asked after (another machine that
shares the home folder) until its mark is a week old.
"""

import json
import logging
import os
import secrets
import shutil
import time
from dataclasses import asdict
from functools import cache

from nemotron.kit.documents.run import Process
from nemotron.kit.registry.processes import life_of, this_process

log = logging.getLogger(__name__)

UNKNOWN_KEPT_S = 7 * 86_400
MARKS = ".used"
TEMPORARY = ".tmp-"
_SIZE = "size"


def mark_used(target: str, size: int) -> None:
    """Say that this process uses a checkout; before it is looked at or laid out, so that it stays.

    Args:
        target: its folder.
        size: bytes of its files.
    """
    marks = target + MARKS
    try:
        os.makedirs(marks, exist_ok=True)
        _write(f"{marks}/{_own_name()}.json", json.dumps(asdict(this_process())))
        _write(f"{marks}/{_SIZE}", str(size))
        os.utime(marks)
    except OSError as error:  # a cache that can't be written is found out, and said, by who lays out
        log.debug("the use of %s can't be marked: %s", target, error)


@cache
def _own_name_of(pid: int) -> str:
    return f"{pid}-{secrets.token_hex(6)}"


def _own_name() -> str:
    return _own_name_of(os.getpid())


def _write(path: str, text: str) -> None:
    temporary = f"{path}.{secrets.token_hex(4)}.tmp"
    with open(temporary, "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(temporary, path)


def make_room(base: str, most: int) -> list[str]:
    """Remove checkouts, the one that was not used for longest first, until the rest fits.

    Args:
        base: the folder of all checkouts in the user's cache.
        most: bytes that may stay.

    Returns:
        The folders that were removed.
    """
    found = sorted(_checkouts(base))
    total = sum(size for _, size, _ in found)
    removed = []
    for _, size, target in found:
        if total <= most:
            break
        if not _is_used(target) and _remove(target):
            removed.append(target)
            total -= size
    if total > most:
        log.info(
            "checkouts in %s take %d bytes, more than %d; all that are left are in use", base, total, most
        )
    return removed


def _checkouts(base: str) -> list[tuple[float, int, str]]:
    """When each was last used, its size, and where it is."""
    found = []
    for folder, names, _ in os.walk(base):
        marked = {name[: -len(MARKS)] for name in names if name.endswith(MARKS)}
        for name in marked & set(names):
            target = f"{folder}/{name}"
            try:
                with open(f"{target}{MARKS}/{_SIZE}", encoding="utf-8") as file:
                    found.append((os.stat(target + MARKS).st_mtime, int(file.read()), target))
            except (OSError, ValueError):
                continue  # being marked, or being removed by somebody else
        for name in names:
            if name.startswith(TEMPORARY) and _is_given_up(f"{folder}/{name}"):
                shutil.rmtree(f"{folder}/{name}", ignore_errors=True)
        names[:] = [name for name in names if not marked and not name.startswith(TEMPORARY)]
    return found


def _is_given_up(building: str) -> bool:
    """Whether nothing was laid out for so long in what a killed process may have left."""
    try:
        newest_s = max(os.stat(folder).st_mtime for folder, _, _ in os.walk(building))
    except (OSError, ValueError):
        return False  # it was given its name, or removed by somebody else
    return time.time() - newest_s > UNKNOWN_KEPT_S


def _is_used(target: str) -> bool:
    marks = target + MARKS
    try:
        names = os.listdir(marks)
    except OSError:
        return False
    return any(_is_living(f"{marks}/{name}") for name in names if name.endswith(".json"))


def _is_living(mark: str) -> bool:
    try:
        with open(mark, encoding="utf-8") as file:
            life = life_of(Process(**json.load(file)))
        age_s = time.time() - os.stat(mark).st_mtime
    except FileNotFoundError:
        return False
    except (OSError, ValueError, TypeError):
        return True  # of a newer kit, say: to be on the safe side
    return life == "alive" or (life == "unknown" and age_s < UNKNOWN_KEPT_S)


def _remove(target: str) -> bool:
    aside = f"{os.path.dirname(target)}/{TEMPORARY}{secrets.token_hex(8)}"
    try:
        os.rename(target, aside)
    except OSError:
        return False  # somebody else did
    if _is_used(target):  # by who came just now, and looks for it after marking it
        try:
            os.rename(aside, target)
            return False
        except OSError:
            pass_by = target  # it was laid out anew meanwhile
            log.debug("%s was laid out anew while it was removed", pass_by)
    else:
        shutil.rmtree(target + MARKS, ignore_errors=True)
    shutil.rmtree(aside, ignore_errors=True)
    return True
