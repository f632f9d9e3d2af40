"""The suite on a bucket of a real S3 server."""

import functools
import logging

import pytest

from nemotron.kit.store.connect import open_store
from nemotron.kit.testing.store_suite import StoreSuite

pytest.importorskip("obstore")
pytest.importorskip("moto.server")

from bucket_server import Proxy, environment, new_bucket, serving


@pytest.fixture(scope="module")
def server():
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with serving() as target:
        yield target


class TestBucket(StoreSuite):
    reads_min = 50
    writes_min = 10
    race_keys = 10

    @pytest.fixture
    def opener(self, server, monkeypatch):
        proxy = Proxy(server)
        for key, value in environment(proxy.url).items():
            monkeypatch.setenv(key, value)
        yield functools.partial(open_store, f"s3://{new_bucket(server)}/team/artifacts")
        proxy.close()
