"""A store driven at random by two handles, beside a model that is a dict and knows no code of the store."""

import json
import os
import shutil
import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from nemotron.kit.errors import (
    ArtifactNotFoundError,
    ArtifactVersionNotFoundError,
    ConflictError,
    CorruptError,
    KitError,
    NameConflictError,
    UnavailableError,
    WithdrawnError,
)
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store.local import LocalStore
from nemotron.kit.testing.faults import Crashed, Fault, FaultyStore

KEYS = {"m": "m", "a/b": "a-b", "a-b": "a-b", "d?n=1": "d-n-1"}
handles = st.integers(0, 1)
names = st.sampled_from(sorted(KEYS))
folders = st.sampled_from(["one", "two"])
numbers = st.integers(1, 9)
aliases = st.sampled_from(["best", "production"])
metadata = st.dictionaries(st.sampled_from(["x", "y"]), st.sampled_from([1, True, "1", None]), max_size=2)
inputs = st.lists(st.sampled_from(["hf://x", "hf://y"]), unique=True, max_size=2)


class Version(dict):
    """What was published, as plain values; `torn` for a number that holds no version."""


class StoreMachine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.old_reader = None
        self.place = Path(tempfile.mkdtemp())
        self.root = self.place / "store"
        self.handles = [Registry.open(self.root), Registry.open(self.root)]
        self.files = {"one": {}, "two": {}}  # folder: {file: (bytes, time)}
        self.versions = {}  # key: [Version, …]
        self.aliases = {}  # (key, alias): [version number, …], every move
        self.clock = 10**18

    def teardown(self):
        shutil.rmtree(self.place)

    # -- the model -----------------------------------------------------------------------------------------

    def latest(self, key):
        """(number, version) of the highest living version, or (None, None)."""
        found = list(enumerate(self.versions.get(key, []), 1))
        return next(
            ((n, v) for n, v in reversed(found) if not v.get("torn") and not v.get("withdrawn")), (None, None)
        )

    def spelling(self, key):
        found = [version["name"] for version in self.versions.get(key, []) if not version.get("torn")]
        return found[-1] if found else None

    def described(self, name, folder, snapshot, said, used):
        files = self.files[folder]
        return Version(
            name=name,
            place=None if snapshot else folder,
            files={f: data if snapshot else (len(data), time) for f, (data, time) in files.items()},
            bytes=dict(files) if snapshot else None,
            said=json.dumps(said, sort_keys=True),
            used=sorted(used),
        )

    def is_same(self, old, new):
        return all(old[part] == new[part] for part in ("name", "place", "files", "said", "used"))

    # -- what happens --------------------------------------------------------------------------------------

    @initialize()
    def begin(self):
        for folder in self.files:
            (self.place / folder).mkdir()
            self.write(folder, "a", b"1")

    @rule(folder=folders, file=st.sampled_from("abc"), data=st.sampled_from([b"", b"1", b"2", b"33"]))
    def write(self, folder, file, data):
        self.clock += 10**9
        path = self.place / folder / file
        path.write_bytes(data)
        os.utime(path, ns=(self.clock, self.clock))
        self.files[folder][file] = (data, self.clock)

    @rule(folder=folders, file=st.sampled_from("bc"))
    def delete(self, folder, file):
        (self.place / folder / file).unlink(missing_ok=True)
        self.files[folder].pop(file, None)

    @rule(who=handles, name=names, folder=folders, snapshot=st.booleans(), said=metadata, used=inputs)
    def publish(self, who, name, folder, snapshot, said, used):
        self.publish_by(self.handles[who], name, folder, snapshot, said, used)

    def publish_by(self, registry, name, folder, snapshot, said, used):
        key = KEYS[name]
        draft = self.draft(name, folder, snapshot, said, used)
        if self.spelling(key) not in (None, name):
            with pytest.raises(NameConflictError):
                registry.publish(draft)
            return
        new = self.described(name, folder, snapshot, said, used)
        number, latest = self.latest(key)
        published = registry.publish(draft)
        if latest is not None and self.is_same(latest, new):
            assert (published.created, published.record.version) == (False, number)
        else:
            self.versions.setdefault(key, []).append(new)
            assert (published.created, published.record.version) == (True, len(self.versions[key]))

    def draft(self, name, folder, snapshot, said, used):
        return Draft(
            name=name, source=self.place / folder, snapshot=snapshot, metadata=said, inputs=tuple(used)
        )

    @rule(
        name=names,
        folder=folders,
        snapshot=st.booleans(),
        said=metadata,
        when=st.sampled_from(["before", "after", "lost"]),
        call=st.integers(1, 12),
        error=st.sampled_from([UnavailableError, Crashed]),
    )
    def publish_through_a_fault(self, name, folder, snapshot, said, when, call, error):
        key = KEYS[name]
        if self.spelling(key) not in (None, name):
            return
        registry = Registry(FaultyStore(LocalStore(self.root), Fault(when, call=call, error=error)))
        new = self.described(name, folder, snapshot, said, [])
        number, latest = self.latest(key)
        same = latest is not None and self.is_same(latest, new)
        expected = len(self.versions.get(key, [])) + 1
        try:
            published = registry.publish(self.draft(name, folder, snapshot, said, []))
        except (UnavailableError, Crashed):
            landed = (self.root / key / f"v{expected}/manifest.json").exists()
            assert not (same and landed)
        else:
            landed = not same
            assert (published.created, published.record.version) == (landed, expected if landed else number)
        if landed:
            self.versions.setdefault(key, []).append(new)

    @rule(
        who=handles,
        name=names,
        alias=aliases,
        number=numbers,
        if_current=st.none() | numbers,
    )
    def move(self, who, name, alias, number, if_current):
        key = KEYS[name]
        registry, moves = self.handles[who], self.aliases.get((key, alias), [])
        ask = partial(registry.alias, key, alias, number, if_current=if_current)
        version = self.at(key, number)
        if version is None:
            with pytest.raises((ArtifactNotFoundError, ArtifactVersionNotFoundError)):
                ask()
        elif version.get("torn"):
            with pytest.raises(CorruptError):
                ask()
        elif version.get("withdrawn"):
            with pytest.raises(WithdrawnError):
                ask()
        elif if_current is not None and moves[-1:] != [if_current]:
            with pytest.raises(ConflictError):
                ask()
        else:
            assert ask().version == number
            if moves[-1:] != [number]:
                self.aliases.setdefault((key, alias), []).append(number)

    def at(self, key, number):
        found = self.versions.get(key, [])
        return found[number - 1] if number <= len(found) else None

    @rule(who=handles, name=names, number=numbers)
    def withdraw(self, who, name, number):
        key, ref = KEYS[name], f"{KEYS[name]}:v{number}"
        version = self.at(key, number)
        if version is None:
            with pytest.raises((ArtifactNotFoundError, ArtifactVersionNotFoundError)):
                self.handles[who].withdraw(ref, "x")
        elif version.get("torn"):
            with pytest.raises(CorruptError):
                self.handles[who].withdraw(ref, "x")
        elif version.get("withdrawn"):
            with pytest.raises(WithdrawnError):
                self.handles[who].withdraw(ref, "x")
        else:
            self.handles[who].withdraw(ref, f"reason {number}")
            version["withdrawn"] = f"reason {number}"

    @rule(who=handles)
    def reopen(self, who):
        self.handles[who] = Registry.open(self.root)

    # -- house-keeping -------------------------------------------------------------------------------------

    @rule(days=st.sampled_from([1, 8]))
    def days_pass(self, days):
        for path in self.root.rglob("*"):
            if path.is_file() and ".kit/checkouts" not in path.as_posix():
                os.utime(path, (path.stat().st_mtime - days * 86_400,) * 2)

    def collect_by(self, registry):
        """A run of gc; where a number holds no version, only who insists is served."""
        torn = any(version.get("torn") for found in self.versions.values() for version in found)
        if torn:
            with pytest.raises(CorruptError, match="--forget-damaged"):
                registry.gc(apply=True, grace="7d")
        registry.gc(apply=True, grace="7d", forget_damaged=torn)

    @rule(who=handles)
    def collect(self, who):
        self.collect_by(self.handles[who])

    @rule(
        when=st.sampled_from(["before", "after", "lost"]),
        call=st.integers(1, 40),
        error=st.sampled_from([UnavailableError, Crashed]),
    )
    def collect_through_a_fault(self, when, call, error):
        registry = Registry(FaultyStore(LocalStore(self.root), Fault(when, call=call, error=error)))
        with suppress(UnavailableError, Crashed):
            registry.gc(apply=True, grace="7d", forget_damaged=True)

    @rule(name=names, folder=folders, said=metadata, call=st.integers(1, 25), days=st.sampled_from([0, 8]))
    def collect_while_somebody_publishes(self, name, folder, said, call, days):
        """Just before it commits, what the publisher found there already is taken away as an orphan."""
        calls = []
        self.days_pass(days)

        def collect(method, key):
            calls.append(method)
            if len(calls) == call:
                Registry.open(self.root).gc(apply=True, grace="7d", forget_damaged=True)

        self.publish_by(
            Registry(FaultyStore(LocalStore(self.root), on_call=collect)), name, folder, True, said, []
        )

    @rule()
    def lose_the_checkouts(self):
        shutil.rmtree(self.root / ".kit/checkouts", ignore_errors=True)

    @precondition(lambda self: self.versions)
    @rule(data=st.data())
    def somebody_begins_to_read(self, data):
        key = data.draw(st.sampled_from(sorted(self.versions)))
        number, version = self.latest(key)
        if version is not None:
            registry = Registry.open(self.root)
            self.old_reader = (registry, registry.resolve(f"{key}:v{number}"))

    @precondition(lambda self: self.old_reader)
    @rule()
    def and_reads_on_much_later(self):
        registry, record = self.old_reader
        version = self.at(record.name, record.version)
        if version["place"] is not None or version.get("withdrawn"):
            return
        assert registry.verify(record.uri, "full").ok
        assert registry.folder(record).is_dir()

    @precondition(lambda self: self.versions)
    @rule(data=st.data(), hint=st.none() | st.sampled_from(["v1", "v2", "v77", "v0", "", "rubbish"]))
    def spoil_the_hint(self, data, hint):
        path = self.root / data.draw(st.sampled_from(sorted(self.versions))) / "latest"
        path.unlink(missing_ok=True)
        if hint is not None:
            path.write_text(hint)
        # Whoever is running has seen better; who comes next has only the hint.
        self.handles[1] = Registry.open(self.root)

    @precondition(lambda self: self.versions)
    @rule(data=st.data(), torn=st.booleans())
    def crash_of_a_writer(self, data, torn):
        """What a killed process leaves: an empty folder, or without hard links a torn manifest."""
        key = data.draw(st.sampled_from(sorted(self.versions)))
        folder = self.root / key / f"v{len(self.versions[key]) + 1}"
        folder.mkdir(exist_ok=True)
        (folder / ".tmp-00112233").write_bytes(b'{"half": ')
        if torn:
            (folder / "manifest.json").write_bytes(b'{"half": ')
            self.versions[key].append(Version(torn=True))

    @precondition(lambda self: self.versions)
    @rule(who=handles, data=st.data())
    def lay_out(self, who, data):
        key = data.draw(st.sampled_from(sorted(self.versions)))
        number, version = self.latest(key)
        if version is None:
            return
        registry = self.handles[who]
        folder = registry.folder(registry.resolve(f"{key}:v{number}"))
        if version["place"] is None:
            found = {path.name: path.read_bytes() for path in folder.iterdir() if path.name in "abc"}
            assert found == {file: data for file, (data, _) in version["bytes"].items()}
        else:
            assert folder == self.place / version["place"]

    # -- what must hold ------------------------------------------------------------------------------------

    @invariant()
    def everybody_sees_what_the_model_says(self):
        for registry in self.handles:
            shown = {entry.name: entry for entry in registry.list()}
            assert shown.keys() == self.versions.keys()
            for key, versions in self.versions.items():
                self.check_name(registry, key, versions, shown[key])

    def check_name(self, registry, key, versions, entry):
        whole = [n for n, version in enumerate(versions, 1) if not version.get("torn")]
        living = [n for n in whole if not versions[n - 1].get("withdrawn")]
        number, _ = self.latest(key)
        assert entry.latest == number
        assert [n for n in entry.versions if n in whole] == living
        assert [record.version for record in registry.versions(key)] == living
        assert entry.semantic_name == (self.spelling(key) if whole else key)
        if number is None:
            with pytest.raises(ArtifactVersionNotFoundError):
                registry.resolve(key)
        else:
            assert registry.resolve(key).version == number
        moves = {alias: found[-1] for (name, alias), found in self.aliases.items() if name == key}
        assert entry.aliases == moves
        for alias, target in moves.items():
            self.check_ref(registry, f"{key}:{alias}", versions, target)
        for n in range(1, len(versions) + 2):
            self.check_ref(registry, f"{key}:v{n}", versions, n)

    def check_ref(self, registry, ref, versions, number):
        try:
            record, problem = registry.resolve(ref), None
        except KitError as error:
            record, problem = None, error
        version = versions[number - 1] if number <= len(versions) else None
        if version is None:
            assert type(problem) is ArtifactVersionNotFoundError
        elif version.get("torn"):
            assert type(problem) is CorruptError
        elif version.get("withdrawn"):
            assert type(problem) is WithdrawnError
            assert version["withdrawn"] in str(problem)
        else:
            assert record.version == number
            assert record.manifest.semantic_name == version["name"]
            assert json.dumps(record.metadata, sort_keys=True) == version["said"]
            assert sorted(record.inputs) == version["used"]

    @invariant()
    def the_disk_holds_what_the_model_says(self):
        found = {}
        for path in self.root.glob("*/v*/manifest.json"):
            found.setdefault(path.parts[-3], set()).add(int(path.parts[-2][1:]))
        assert found == {key: set(range(1, len(v) + 1)) for key, v in self.versions.items()}
        for (key, alias), moves in self.aliases.items():
            files = sorted((self.root / key / "aliases" / alias).glob("*.json"))
            assert [json.loads(file.read_text())["version"] for file in files] == moves

    @invariant()
    def the_store_has_what_its_snapshots_are_made_of(self):
        registry = Registry.open(self.root)
        for key, versions in self.versions.items():
            for number, version in enumerate(versions, 1):
                if not version.get("torn") and not version.get("withdrawn") and version["place"] is None:
                    assert registry.verify(f"{key}:v{number}", "full").ok, (key, number)

    @invariant()
    def nothing_lies_outside_the_root(self):
        assert sorted(os.listdir(self.place)) in (["one", "two"], ["one", "store", "two"], [])


TestStore = StoreMachine.TestCase
