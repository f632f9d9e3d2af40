"""How much of the user's cache checkouts may take: those that were not used for longest go first.

Beside each checkout lies a folder of marks: its size, and one for each process that uses it. One in use by a
living process stays, whatever the limit; so does one whose user can't be asked after (another machine that
shares the home folder) until its mark is a week old.

A checkout that is being laid out lies in a temporary folder beside it, named after it and after the process.
What a killed one left there is gone on with by who lays out the same next, and counts like a checkout until
then.
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
_LEFT = "left"


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


def begin(target: str) -> str:
    """A folder to lay out a checkout in: that of a process that was killed over the same, if there is one.

    Args:
        target: the checkout, which this process has marked as used.
    """
    parent = os.path.dirname(target)
    mine = f"{parent}/{_temporary(target)}{_own_name()}.{secrets.token_hex(4)}"
    for name in sorted(os.listdir(parent)):
        if name.startswith(_temporary(target)) and _is_left(parent, name):
            try:
                os.rename(f"{parent}/{name}", mine)  # of several that find it, one does
            except OSError as error:
                log.debug("%s can't be gone on with: %s", name, error)
                continue
            os.utime(mine)
            return mine
    os.mkdir(mine)
    return mine


def leave(building: str) -> None:
    """Let whoever comes next go on with what was laid out so far."""
    head = building.rpartition(".")[0].rpartition(".")[0]
    try:
        os.rename(building, f"{head}.{_LEFT}.{secrets.token_hex(4)}")
    except OSError as error:  # then it goes with this process
        log.debug("%s can't be left to others: %s", building, error)


def _temporary(target: str) -> str:
    return f"{TEMPORARY}{os.path.basename(target)}."


def _is_left(parent: str, name: str) -> bool:
    """Whether nobody works in a temporary folder any more, as far as it tells."""
    head, _, owner = name.rpartition(".")[0].rpartition(".")
    mark = f"{parent}/{head[len(TEMPORARY) :]}{MARKS}/{owner}.json"
    return owner == _LEFT or (os.path.exists(mark) and not _is_living(mark))


def make_room(base: str, most: int, target: str = "") -> list[str]:
    """Remove checkouts, the one that was not used for longest first, until the rest fits.

    Args:
        base: the folder of all checkouts in the user's cache.
        most: bytes that may stay.
        target: a checkout that is to be laid out; what there is of it stays, and does not count.

    Returns:
        The folders that were removed.
    """
    found = sorted(_checkouts(base, target))
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


def _checkouts(base: str, target: str) -> list[tuple[float, int, str]]:
    """When each was last used, its size, and where it is; what was left unfinished, but for the target's."""
    found = []
    for folder, names, _ in os.walk(base):
        marked = {name[: -len(MARKS)] for name in names if name.endswith(MARKS)}
        for name in marked & set(names):
            place = f"{folder}/{name}"
            try:
                with open(f"{place}{MARKS}/{_SIZE}", encoding="utf-8") as file:
                    found.append((os.stat(place + MARKS).st_mtime, int(file.read()), place))
            except (OSError, ValueError):
                continue  # being marked, or being removed by somebody else
        for name in names:
            place = f"{folder}/{name}"
            if not name.startswith(TEMPORARY):
                continue
            if _is_given_up(place):
                shutil.rmtree(place, ignore_errors=True)
            elif not place.startswith(f"{os.path.dirname(target)}/{_temporary(target)}"):
                found += _left(folder, name)
        names[:] = [name for name in names if not marked and not name.startswith(TEMPORARY)]
    return found


def _left(folder: str, name: str) -> list[tuple[float, int, str]]:
    place = f"{folder}/{name}"
    try:
        if not _is_left(folder, name):
            return []
        walked = [(os.stat(inside), files, inside) for inside, _, files in os.walk(place)]
        size = sum(os.lstat(f"{inside}/{file}").st_size for _, files, inside in walked for file in files)
        return [(max(seen.st_mtime for seen, _, _ in walked), size, place)]
    except (OSError, ValueError):
        return []  # somebody goes on with it, or removes it


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
