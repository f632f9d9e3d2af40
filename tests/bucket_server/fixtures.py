"""Fixtures for tests with a real S3 server: one a module, and a proxy that can misbehave for each test.

A test module takes them by `from bucket_server.fixtures import proxy, server`.
"""

import logging
from collections.abc import Iterator

import pytest

from bucket_server import Proxy, environment, serving

__all__ = ["proxy", "server"]


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, int]]:
    """A moto server's address."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with serving() as target:
        yield target


@pytest.fixture
def proxy(server: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A proxy before the server, which the environment points to."""
    proxy = Proxy(server)
    for key, value in environment(proxy.url).items():
        monkeypatch.setenv(key, value)
    yield proxy
    proxy.close()
