"""Checkouts in the user's cache: how much they may take, and which go first."""

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemotron.kit.documents.run import Process
from nemotron.kit.errors import MisuseError
from nemotron.kit.registry import checkout_cache
from nemotron.kit.registry.checkout_options import parse_limit
from nemotron.kit.registry.processes import this_process
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store.memory import MemoryStore

SIZE = 1000


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/nemotron-kit/checkouts"


@pytest.fixture
def ended():
    """A process of this machine that is over."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        process = this_process(child.pid)
        child.communicate(b"\n")
    return process


@pytest.fixture
def checkout(cache):
    """Makes a checkout of so many bytes, used by a process at a time."""

    def checkout(name, used_s, process):
        target = cache / "store" / name / "v1-aa"
        target.mkdir(parents=True)
        (target / "data.bin").write_bytes(bytes(SIZE))
        checkout_cache.mark_used(str(target), SIZE)
        [mark] = Path(f"{target}.used").glob("*.json")
        mark.write_text(json.dumps(asdict(process)))
        os.utime(mark, (used_s, used_s))
        os.utime(f"{target}.used", (used_s, used_s))
        return target

    return checkout


def test_what_was_not_used_for_longest_goes_first(checkout, cache, ended):
    old, newer, newest = (checkout(name, at, ended) for name, at in (("b", 10), ("c", 20), ("a", 30)))
    assert checkout_cache.make_room(str(cache), 2 * SIZE) == [str(old)]
    assert [path.exists() for path in (old, newer, newest)] == [False, True, True]
    assert not Path(f"{old}.used").exists()
    assert checkout_cache.make_room(str(cache), 2 * SIZE) == []
    assert checkout_cache.make_room(str(cache), 0) == [str(newer), str(newest)]
    assert not list(cache.rglob("*.bin"))


def test_one_in_use_by_a_living_process_stays(checkout, cache, ended):
    used, free = checkout("used", 10, this_process()), checkout("free", 20, ended)
    assert checkout_cache.make_room(str(cache), 0) == [str(free)]
    assert used.exists()


def test_a_user_on_another_machine_is_believed_for_a_week(checkout, cache, monkeypatch):
    import time

    elsewhere = Process(host="elsewhere", machine="00", boot="x", pid=1)
    lately, long_ago = checkout("b", time.time() - 3600, elsewhere), checkout("a", 10, elsewhere)
    assert checkout_cache.make_room(str(cache), 0) == [str(long_ago)]
    assert lately.exists()


def test_a_mark_of_a_newer_kit_counts(checkout, cache, ended):
    target = checkout("a", 10, ended)
    [mark] = Path(f"{target}.used").glob("*.json")
    mark.write_text('{"unknown": 1}')
    assert checkout_cache.make_room(str(cache), 0) == []


def test_who_comes_while_it_is_removed_keeps_it(checkout, cache, ended, monkeypatch):
    target, real = checkout("a", 10, ended), os.rename

    def rename(old, new):
        if old == str(target):
            checkout_cache.mark_used(str(target), SIZE)
        real(old, new)

    monkeypatch.setattr(os, "rename", rename)
    assert checkout_cache.make_room(str(cache), 0) == []
    assert (target / "data.bin").exists()


def test_laying_out_makes_room(cache, data, monkeypatch):
    registry = Registry(MemoryStore())
    records = []
    for number in range(3):
        (data / "large.bin").write_bytes(bytes([number]) * SIZE)
        records.append(registry.publish(Draft(name="m", source=data, snapshot=True)).record)
    first = registry.folder(records[0])
    monkeypatch.setenv("NEMO_CHECKOUT_LIMIT", "2KB")
    assert registry.folder(records[1]).exists()
    assert first.exists()  # this process uses it
    for mark in cache.rglob("*.json"):
        if mark.parent.name.endswith(".used"):
            mark.unlink()
    assert registry.folder(records[2]).exists()
    assert not first.exists()
    assert (registry.folder(records[0]) / "large.bin").read_bytes() == bytes(SIZE)  # and again


def test_what_is_changed_in_the_cache_is_noticed_on_use(cache, data):
    registry = Registry(MemoryStore())
    record = registry.publish(Draft(name="m", source=data, snapshot=True)).record
    path = registry.folder(record) / "part.txt"
    path.chmod(0o644)
    path.write_text("overwritten")
    assert (Registry(registry.store).folder(record) / "part.txt").read_text() == "hello"


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("500GiB", 500 << 30),
        ("1.5 TB", 1_500_000_000_000),
        ("2k", 2000),
        ("3 MiB", 3 << 20),
        ("7B", 7),
    ],
)
def test_sizes(text, size):
    assert parse_limit(text) == size


@pytest.mark.parametrize("text", ["many", "-1", "1PiBs", "1 2", "GB", "1e9"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(MisuseError, match="Not a size"):
        parse_limit(text)


@given(st.integers(0, 2**50))
def test_plain_bytes_are_bytes(size):
    assert parse_limit(str(size)) == size
