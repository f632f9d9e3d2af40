"""Google's buckets: obstore's real client against its XML interface, which is S3's with other conditions.

No emulator that can be installed honours `x-goog-if-generation-match` there, so moto does the work behind a
proxy that translates the headers of conditions and copies.
"""

import functools
import logging

import pytest

from bucket_server import Proxy, new_bucket, serving
from nemotron.kit.errors import RefusedError
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store.connect import open_store
from nemotron.kit.testing.store_suite import StoreSuite

pytest.importorskip("obstore")
pytest.importorskip("moto.server")

CONDITION = "x-goog-if-generation-match"


class Google(Proxy):
    """Google's interface over an S3 server.

    Attributes:
        conditions: the value of the condition in each write that had one.
    """

    def __init__(self, target):
        self.conditions = []
        super().__init__(target)

    def forward(self, method, path, headers, body):
        said = {key.lower(): value for key, value in headers.items()}
        if condition := said.pop(CONDITION, None):
            self.conditions.append(condition)
            said["if-none-match"] = "*"
        if copied := said.pop("x-goog-copy-source", None):
            said["x-amz-copy-source"] = copied
        said["authorization"] = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request"
        return super().forward(method, path, said, body)


@pytest.fixture(scope="module")
def server():
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    with serving() as target:
        yield target


@pytest.fixture
def google(server, monkeypatch):
    google = Google(server)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", google.url)
    yield google
    google.close()


class TestGoogle(StoreSuite):
    reads_min = 50
    writes_min = 10
    race_keys = 5

    @pytest.fixture
    def opener(self, server, google):
        return functools.partial(open_store, f"gs://{new_bucket(server)}/team/artifacts")


def test_the_claim_is_conditional_on_generation_0(server, google, tmp_path):
    registry = Registry.open(f"gs://{new_bucket(server)}/x")
    registry.publish(Draft(name="m", source=tmp_path))
    google.conditions.clear()
    registry.publish(Draft(name="m", source=tmp_path, metadata={"i": 1}))
    assert google.conditions == ["0", "0"]  # the journal and the claim


def test_the_only_writer_is_never_told_that_it_lost(server, google, tmp_path):
    root = f"gs://{new_bucket(server)}/x"
    Registry.open(root).publish(Draft(name="m", source=tmp_path))
    for lost in range(1, 6):
        puts = iter(range(1, 10**9))
        google.fault = lambda method, path, puts=puts, lost=lost: (
            "drop" if method == "PUT" and next(puts) == lost else None
        )
        published = Registry.open(root).publish(Draft(name="m", source=tmp_path, metadata={"i": lost}))
        assert (published.created, published.record.version) == (True, lost + 1)


def test_one_that_ignores_the_condition_is_refused(server, google, tmp_path, monkeypatch):
    monkeypatch.setattr(Google, "forward", _without_condition)
    with pytest.raises(RefusedError, match="ignores conditional writes"):
        Registry.open(f"gs://{new_bucket(server)}/x").publish(Draft(name="m", source=tmp_path))


def _without_condition(self, method, path, headers, body):
    said = {key.lower(): value for key, value in headers.items() if key.lower() != CONDITION}
    said["authorization"] = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request"
    return Proxy.forward(self, method, path, said, body)
