"""The index of a store in a bucket: the same answers, few requests, and an outage is no absence."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bucket_server import Proxy, new_bucket
from bucket_server.fixtures import proxy, server
from nemotron.kit.errors import UnavailableError
from nemotron.kit.lineage import catch_up as catching
from nemotron.kit.lineage.collect import collect
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry

pytest.importorskip("obstore")
pytest.importorskip("moto.server")

__all__ = ["proxy", "server"]  # fixtures


@pytest.fixture
def chain(server: tuple[str, int], proxy: Proxy) -> Registry:
    """hf://x → a:v1 → b:v1 → c:v1, and d that has nothing to do with them."""
    registry = Registry.open(f"s3://{new_bucket(server)}/team")
    make(registry, "a", inputs=("hf://x",))
    make(registry, "b", "a:v1")
    make(registry, "c", "b:v1")
    make(registry, "d")
    return registry


def make(registry: Registry, name: str, *used: str, inputs: tuple[str, ...] = ()) -> None:
    registry.publish(Draft(name=name, source="s3://elsewhere/x", used_artifacts=used, inputs=inputs))


def down(root: str, ref: str) -> list[str]:
    return [node.uri for node in collect(Registry.open(root), ref, direction="down")][1:]


BOTH = ["art://b:v1", "art://c:v1"]


def test_both_directions_are_answered(chain: Registry) -> None:
    assert [node.uri for node in collect(chain, "c")] == ["art://c:v1", "art://b:v1", "art://a:v1", "hf://x"]
    assert down(chain.root, "a") == BOTH
    assert down(chain.root, "hf://x") == ["art://a:v1", *BOTH]


def test_after_a_publish_by_another_machine_the_journal_alone_is_asked(chain: Registry, proxy: Proxy) -> None:
    assert down(chain.root, "a") == BOTH
    make(Registry.open(chain.root), "e", "c:v1")
    registry = Registry.open(chain.root)
    collect(registry, "d")
    proxy.seen.clear()
    assert [node.uri for node in collect(registry, "a", direction="down")][1:] == [*BOTH, "art://e:v1"]
    manifests = [path for method, path in proxy.seen if method == "GET" and path.endswith("manifest.json")]
    read = {path.split("/")[-3] for path in manifests}
    assert "d" not in read
    assert {"b", "c"}.isdisjoint(read)  # what is known is looked at by a listing, and not read


def test_another_machine_with_an_empty_cache_says_the_same(
    chain: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert down(chain.root, "a") == BOTH
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    assert down(chain.root, "a") == BOTH


@pytest.mark.parametrize("fault", ["refuse", "cut", "503"])
def test_an_outage_is_an_error_and_no_absence(chain: Registry, proxy: Proxy, fault: str) -> None:
    proxy.fault = lambda method, path: fault
    with pytest.raises(UnavailableError):
        down(chain.root, "a")
    proxy.fault = lambda method, path: None
    assert down(chain.root, "a") == BOTH


@pytest.mark.slow  # the client tries again before it gives up
def test_a_request_that_fails_at_any_place_leaves_no_half_answer_behind(
    chain: Registry, proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy.seen.clear()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "counting"))
    assert down(chain.root, "a") == BOTH
    total = len(proxy.seen)
    for place in range(1, total, total // 4 or 1):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / f"cache{place}"))
        calls = iter(range(total * 20))

        def fault(method: str, path: str, place: int = place, calls: Iterator[int] = calls) -> str | None:
            return "503" if next(calls) >= place else None

        proxy.fault = fault
        with pytest.raises(UnavailableError):
            down(chain.root, "a")
        proxy.fault = lambda method, path: None
        assert down(chain.root, "a") == BOTH


def test_a_version_without_a_journal_entry_is_found_by_the_next_sweep(
    chain: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert down(chain.root, "a") == BOTH
    make(chain, "late", "a:v1")
    for day in chain.store.list(catching.JOURNAL):
        for entry in chain.store.list(f"{catching.JOURNAL}/{day}"):
            if entry.endswith(".late"):
                chain.store.remove(f"{catching.JOURNAL}/{day}/{entry}")
    monkeypatch.setattr(catching, "SWEEP_EVERY_S", 0.0)
    assert down(chain.root, "a") == ["art://b:v1", "art://late:v1", "art://c:v1"]
