"""Looking into a listing finds what looking into the folder finds; the oracle is a real folder."""

import os
import shutil
import tempfile
from itertools import chain
from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from nemotron.kit.documents.look_up import LookUp
from nemotron.kit.errors import OutsideRootError
from nemotron.kit.registry.scan import leaves, scan_folder

NAMES = st.sampled_from(["a", "a.txt", "a-", "a0", "b", "ä"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
TARGETS = st.lists(st.sampled_from(["a", "a.txt", "a0", "b", "..", "."]), min_size=1, max_size=4).map(
    "/".join
)


@example({"a/a": "a.txt/../../.."}, [])
@example({"a/a": "../a/../../a"}, [])
@given(st.dictionaries(PATHS, st.one_of(st.just(None), TARGETS), max_size=12), st.lists(PATHS, max_size=8))
def test_it_finds_what_a_folder_holds(made: dict[str, str | None], asked: list[str]) -> None:
    folder = tempfile.mkdtemp()
    try:
        for path, target in made.items():
            place = Path(folder, path)
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
                if target is None:
                    place.mkdir()
                elif target == "b":
                    place.write_text(path)
                else:
                    place.symlink_to(target)
            except OSError:
                continue  # another one is in its way
        compare(folder, {*made, *asked})
    finally:
        shutil.rmtree(folder)


def compare(folder: str, asked: set[str]) -> None:
    look = LookUp(scan_folder(folder))
    top = os.path.realpath(folder)
    paths = {
        os.path.relpath(os.path.join(above, name), folder)
        for above, *kinds in os.walk(folder)
        for name in chain(*kinds)
    }
    for path in sorted(paths | asked):
        full = f"{folder}/{path}"
        strict = real(full)
        try:
            seen = look.at(path)
        except OutsideRootError:
            assert goes_out(folder, path, look), path
            continue
        if strict is None:
            assert seen is None or seen.kind == "link", path
            assert (seen is not None) == os.path.islink(full), path
        else:
            assert not leaves(full, top), path
            assert seen is not None, path
            assert seen.is_link == os.path.islink(full), path
            is_above = os.path.islink(full) and any(
                os.path.realpath(above) == strict
                for above in Path(full).parents
                if str(above).startswith(folder)
            )
            kind = "directory" if os.path.isdir(full) else "file"
            assert seen.kind == ("link" if is_above else kind), path
            if kind == "directory":
                names = [name for name in os.listdir(full) if not goes_out(folder, f"{path}/{name}", look)]
                assert look.names(path) == sorted(names), path


def real(path: str) -> str | None:
    try:
        return os.path.realpath(path, strict=True)
    except OSError:
        return None


def goes_out(folder: str, path: str, look: LookUp) -> bool:
    """Whether a path leads out of the folder at any step, worked out step by step.

    From what is no folder no step leads up: such a path leads nowhere, as the system says too.
    """
    done: list[str] = []
    todo = path.split("/")
    for _ in range(500):
        if not todo:
            return False
        part = todo.pop(0)
        if part == "..":
            if not done:
                return True
            if not os.path.isdir("/".join([folder, *done])):
                return False
            done.pop()
        elif part != ".":
            target = look.target("/".join([*done, part]))
            if target is None:
                done.append(part)
            else:
                todo = target.split("/") + todo
    return False
