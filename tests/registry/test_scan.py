"""What a scan finds in a folder: all that is there, each thing once, in the order of the listing."""

import errno
import inspect
import os
import resource
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemotron.kit.documents.entry import INTEGER_MAX
from nemotron.kit.errors import ConflictError, PathNotFoundError, RefusedError, UnavailableError
from nemotron.kit.registry.scan import scan_folder

# Names whose order is not that of their paths once something is in them: "a/x" lies between "a.b" and "a0".
NAMES = st.sampled_from(
    ["a", "a.b", "a-", "a0", "a ", "b", "ä", "metadata.json", ".metadata.json.1.tmp", "Z"]
)
FOLDERS = st.recursive(
    st.sampled_from(["file", "exec", "link"]), lambda inside: st.dictionaries(NAMES, inside, max_size=6)
)


def make(folder: Path, inside: dict) -> None:
    folder.mkdir()
    for name, what in inside.items():
        path = folder / name
        if isinstance(what, dict):
            make(path, what)
        elif what == "link":
            path.symlink_to(f"to {name}")
        else:
            path.write_bytes(bytes(len(name)))
            path.chmod(0o755 if what == "exec" else 0o644)


def looked_at(top: Path) -> Iterator[tuple]:
    """What there is, found the plain way."""
    for at, folders, files in os.walk(top):
        for path in (Path(at, name) for name in [*folders, *files]):
            inside, info = str(path.relative_to(top)), path.lstat()
            if path.is_symlink():
                yield inside, "link", os.readlink(path), 0, 0, 0, 0
            elif path.is_dir():
                if not os.listdir(path):
                    yield inside, "dir", None, 0, 0, 0, 0
            else:
                kind = "exec" if info.st_mode & stat.S_IXUSR else "file"
                yield inside, kind, None, info.st_size, info.st_mtime_ns, info.st_ino, info.st_ctime_ns


def found(folder: Path, **how) -> list[tuple]:
    return [
        (item.path, item.kind, item.target, item.size, item.mtime_ns, item.inode, item.ctime_ns)
        for item in scan_folder(str(folder), **how).entries
    ]


@given(inside=st.dictionaries(NAMES, FOLDERS, max_size=8))
@settings(max_examples=60)
def test_all_that_is_there_is_found_in_order(tmp_path_factory, inside):
    top = tmp_path_factory.mktemp("scan") / "top"
    make(top, inside)
    there = sorted(item for item in looked_at(top) if item[0] != ".metadata.json.1.tmp")
    assert found(top) == there
    tree = scan_folder(str(top))
    assert scan_folder(str(top), like=tree) == tree


def test_the_kits_own_files_are_told_from_others_by_their_place_and_content(data):
    own = '{"path": 1, "type": 1, "created_at": 1, "producer": 1, "tracking": 1}'
    names = ["metadata.json", ".metadata.json.ab1.tmp", ".metadata.json.A.tmp", ".metadata.json", "metadata"]
    for name in names:
        (data / name).write_text(own)
        (data / "sub" / name).write_text(own)
    kept = {*names[2:], *(f"sub/{name}" for name in names), "part.txt", "sub/more.bin"}
    assert {path for path, *_ in found(data)} == kept
    (data / "metadata.json").write_text("{}")
    assert {path for path, *_ in found(data)} == {*kept, "metadata.json"}


@pytest.mark.parametrize("name", ["part.txt", "sub", "link"])
def test_what_vanishes_while_it_looks_is_gone(data, monkeypatch, name):
    (data / "link").symlink_to("nowhere")
    there = found(data)
    listed = os.listdir

    def then_gone(folder):
        names = listed(folder)
        if name in names:
            (data / name).rename(data.with_name("away"))
        return names

    monkeypatch.setattr(os, "listdir", then_gone)
    assert found(data) == [item for item in there if item[0].partition("/")[0] != name]


def test_what_vanishes_between_two_looks_is_gone(data, monkeypatch):
    """A link and a folder are looked at twice."""
    (data / "link").symlink_to("nowhere")
    (data / "sub2").mkdir()
    look = os.stat

    def then_gone(path, **how):
        info = look(path, **how)
        if path in ("link", "sub2"):
            (data / path).rename(data.with_name(f"{path} away"))
        return info

    monkeypatch.setattr(os, "stat", then_gone)
    assert [path for path, *_ in found(data)] == ["part.txt", "sub/more.bin"]


@pytest.mark.parametrize("name", ["part.txt", "sub"])
def test_what_may_not_be_looked_at_is_named(data, monkeypatch, name):
    """The system refuses, as it does to users who may not; the message has the path all the same."""
    refused = {"part.txt": "stat", "sub": "open"}[name]
    real = getattr(os, refused)

    def refuse(path, *args, **how):
        if str(path).endswith(name):
            raise PermissionError(13, "Permission denied", path)
        return real(path, *args, **how)

    monkeypatch.setattr(os, refused, refuse)
    with pytest.raises(RefusedError, match=str(data / name)):
        found(data)


@pytest.mark.parametrize(
    ("number", "expected"), [(errno.EACCES, RefusedError), (errno.ENOTCONN, UnavailableError)]
)
def test_a_folder_that_can_not_be_looked_at_is_not_called_absent(data, monkeypatch, number, expected):
    def refuse(path, **how):
        raise OSError(number, os.strerror(number), path)

    monkeypatch.setattr(os, "stat", refuse)
    with pytest.raises(expected, match=f"{data}.*{os.strerror(number)}"):
        found(data)


@pytest.mark.parametrize("what", ["none", "part.txt"])
def test_what_is_no_folder(data, what):
    with pytest.raises(PathNotFoundError, match=f"No such folder: {data / what}"):
        found(data / what)


def test_deep_folders_need_few_files_open(tmp_path):
    top = tmp_path / "top"
    deep = top.joinpath(*"d" * 200)
    deep.mkdir(parents=True)
    (deep / "file").write_bytes(b"")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    spare = [os.open("/", os.O_RDONLY) for _ in range(10)]  # between those that are open there may be gaps
    for descriptor in spare:
        os.close(descriptor)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(spare) + 1, before[1]))
    try:
        assert [path for path, *_ in found(top)] == ["d/" * 200 + "file"]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_folders_that_are_nested_too_deep_are_refused(tmp_path):
    (tmp_path / "/".join("d" * 100)).mkdir(parents=True)
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + 100)
    try:
        with pytest.raises(RefusedError, match=rf"Cannot look into {tmp_path}: it has hundreds of folders"):
            scan_folder(str(tmp_path))
    finally:
        sys.setrecursionlimit(before)


@pytest.mark.parametrize(
    ("time_ns", "kept_ns"),
    [(-5, -5), (INTEGER_MAX, INTEGER_MAX), (2**63, INTEGER_MAX), (-(2**63), -INTEGER_MAX)],
)
def test_times_are_kept_as_far_as_a_listing_can(data, monkeypatch, time_ns, kept_ns):
    """Which times a file can have is up to its file system, so these are said to be there."""
    look = os.stat

    class Late:
        def __init__(self, info):
            self.info = info
            self.st_mtime_ns = time_ns

        def __getattr__(self, name):
            return getattr(self.info, name)

    monkeypatch.setattr(
        os, "stat", lambda path, **how: Late(look(path, **how)) if path == "part.txt" else look(path, **how)
    )
    tree = scan_folder(str(data))
    assert tree.entries[0].mtime_ns == kept_ns


@pytest.mark.parametrize("becomes", ["link", "link on a Mac", "file"])
def test_a_folder_that_is_replaced_before_it_is_looked_into(data, monkeypatch, becomes):
    """A link would lead anywhere: to the whole machine, say."""
    real = os.open

    def as_on_a_mac(path, flags, *args, **how):
        if flags & os.O_NOFOLLOW and os.path.islink(path):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        return real(path, flags, *args, **how)

    def replaced(_: int) -> None:
        sub = data / "sub"
        if not sub.is_symlink() and sub.is_dir():
            sub.rename(data.with_name("moved"))
            sub.touch() if becomes == "file" else sub.symlink_to("/")

    if becomes == "link on a Mac":
        monkeypatch.setattr(os, "open", as_on_a_mac)
    with pytest.raises(ConflictError, match=r"sub was replaced while it was looked at"):
        scan_folder(str(data), told=replaced)


@pytest.mark.parametrize("follow_links", [False, True])
def test_a_link_that_is_replaced_before_it_is_read(data, monkeypatch, follow_links):
    (data / "link").symlink_to("sub")
    real = os.readlink

    def replaced(path, *args, **how):
        if str(path).endswith("/link"):
            (data / "link").unlink(missing_ok=True)
            (data / "link").touch()
        return real(path, *args, **how)

    monkeypatch.setattr(os, "readlink", replaced)
    with pytest.raises(ConflictError, match="link was replaced while it was looked at"):
        scan_folder(str(data), follow_links=follow_links)


def test_a_link_that_goes_while_it_is_followed_is_looked_at_again(publish, data, monkeypatch):
    (data / "link").symlink_to("/nowhere")
    real, gone = os.readlink, []

    def goes(path, *args, **how):
        if str(path).endswith("/link") and inspect.stack()[1].function == "_joinrealpath" and not gone:
            gone.append(path)
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return real(path, *args, **how)

    monkeypatch.setattr(os, "readlink", goes)
    assert publish(snapshot=True).created
    assert gone
