"""`evidence="sampled"`: three blocks of a large file, all of a small one, and never taken for more."""

import itertools
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from nemotron.kit.documents.digest import SAMPLE_BLOCK, is_digest, is_sample
from nemotron.kit.documents.tree import Entry
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store.local import LocalStore

SIZE = 10 * SAMPLE_BLOCK
SMALL = 3 * SAMPLE_BLOCK


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "large.bin").write_bytes(os.urandom(SIZE))
    (folder / "small.bin").write_bytes(os.urandom(SMALL))
    return folder


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry.open(tmp_path / "store")


@pytest.fixture
def publish(registry: Registry, data: Path) -> Callable[..., str]:
    def publish(evidence: str = "sampled", **more: object) -> str:
        draft = Draft(name="x", source=data, evidence=evidence, **more)  # type: ignore[arg-type]
        return registry.publish(draft).record.uri

    return publish


def overwrite(path: Path, at: int, *, keep_time: bool = True) -> None:
    """Change one byte, and put the time back."""
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))
    if keep_time:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def verdicts(registry: Registry, evidence: str | None = None) -> dict[str, str]:
    found = registry.verify("art://x", evidence)  # type: ignore[arg-type]
    return {file.path: file.verdict for file in found.files}


def test_it_is_recorded_for_each_file_what_was_read_of_it(registry: Registry, publish) -> None:
    publish()
    record = registry.resolve("x")
    content, tree = record.manifest.content, registry.tree(record)
    assert content is not None
    assert tree is not None
    assert (content.evidence, content.digest) == ("sampled", None)
    large, small = tree.entries
    assert is_sample(large.sample)
    assert large.digest is None
    assert is_digest(small.digest)
    assert small.sample is None
    assert not is_digest(large.sample)
    assert not is_sample(small.digest)


def test_verify_says_how_sure_it_is_and_how_much_it_read(registry: Registry, publish) -> None:
    publish()
    for evidence in (None, "sampled", "full"):
        found = registry.verify("x", evidence)  # type: ignore[arg-type]
        assert (found.ok, found.evidence, found.bytes_read) == (True, "sampled", 3 * SAMPLE_BLOCK + SMALL)
    assert registry.verify("x", "stat").evidence == "stat"


def test_a_version_of_small_files_is_known_in_full(registry: Registry, data: Path, publish) -> None:
    (data / "large.bin").unlink()
    publish()
    assert registry.verify("x").evidence == "full"


def test_asked_for_a_sample_of_what_has_digests_it_reads_all(registry: Registry, data: Path, publish) -> None:
    publish("full")
    overwrite(data / "large.bin", 2 * SAMPLE_BLOCK)
    assert registry.verify("x", "sampled").evidence == "full"
    assert verdicts(registry, "sampled") == {"large.bin": "changed"}


def give_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """As some file systems do: no call reads all that is asked for, nor the same number of bytes twice."""
    real, most = os.pread, itertools.cycle([1000, 7, SAMPLE_BLOCK - 1])
    monkeypatch.setattr(os, "pread", lambda file, size, at: real(file, min(size, next(most)), at))


def test_reads_that_give_less_than_was_asked_for_make_no_other_sample(
    registry: Registry, publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish()
    give_less(monkeypatch)
    assert verdicts(registry) == {}


def test_such_reads_have_a_touched_file_known_all_the_same(
    data: Path, publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    (data / "huge.bin").write_bytes(os.urandom(2 << 20))
    assert publish(snapshot=True) == "art://x:v1"
    os.utime(data / "huge.bin", (0, 0))
    give_less(monkeypatch)
    monkeypatch.setattr(LocalStore, "stage", None)  # nothing is copied
    assert publish(snapshot=True) == "art://x:v1"


@pytest.mark.parametrize("at", [0, SIZE // 2, SIZE - 1])
def test_a_byte_in_a_block_is_seen(registry: Registry, data: Path, publish, at: int) -> None:
    publish()
    overwrite(data / "large.bin", at)
    assert verdicts(registry) == {"large.bin": "changed"}
    assert verdicts(registry, "stat") == {}
    assert publish() == "art://x:v2"


def test_a_byte_between_the_blocks_is_not_seen_and_the_verdict_admits_it(
    registry: Registry, data: Path, publish
) -> None:
    publish()
    overwrite(data / "large.bin", 2 * SAMPLE_BLOCK)
    found = registry.verify("x")
    assert (found.ok, found.evidence) == (True, "sampled")


def test_a_sample_does_not_make_a_rewritten_file_the_same(registry: Registry, data: Path, publish) -> None:
    publish()
    os.utime(data / "large.bin", ns=(1, 1))
    assert verdicts(registry) == {"large.bin": "touched"}
    assert publish() == "art://x:v2"  # it may differ where nobody looked
    assert publish() == "art://x:v2"


def test_samples_and_digests_are_not_compared_with_each_other(publish) -> None:
    assert publish("sampled") == "art://x:v1"
    assert publish("full") == "art://x:v1"
    assert publish("stat") == "art://x:v1"


def test_loading_finds_by_the_sample_that_a_touched_file_is_changed(
    registry: Registry, data: Path, publish
) -> None:
    publish()
    record = registry.resolve("x")
    os.utime(data / "large.bin", ns=(1, 1))
    assert [item.verdict for item in registry.check(record)] == ["touched"]
    overwrite(data / "large.bin", 0, keep_time=False)
    assert [item.verdict for item in registry.check(record)] == ["changed"]


def test_a_snapshot_is_always_read_whole(registry: Registry, publish) -> None:
    publish("sampled", snapshot=True)
    record = registry.resolve("x")
    assert record.manifest.content is not None
    assert record.manifest.content.evidence == "full"
    assert all(isinstance(e, Entry) and e.digest for e in (registry.tree(record) or ()).entries)  # type: ignore[union-attr]
    assert registry.verify("x", "sampled").evidence == "full"


def test_a_file_that_shrank_below_a_sample(registry: Registry, data: Path, publish) -> None:
    publish()
    os.truncate(data / "large.bin", 10)
    assert verdicts(registry) == {"large.bin": "changed"}


def test_on_every_way_in(kit_root: Path, data: Path) -> None:
    from nemotron.kit import start
    from nemotron.kit.artifacts import Artifact

    start.init(root=kit_root, evidence="sampled")
    assert Artifact(path=data).save("a").verify().evidence == "sampled"
    start.init(root=kit_root)
    assert Artifact(path=data).save("b", evidence="sampled").verify().evidence == "sampled"
    assert Artifact(path=data).save("c").verify().evidence == "stat"


@pytest.fixture
def kit_root(tmp_path: Path) -> Path:
    return tmp_path / "kit"
