"""Access points of S3: where their ARNs lead, and that a client really asks that host."""

import socket
import threading

import pytest

from nemotron.kit.errors import KitError, MisuseError
from nemotron.kit.store.access_points import access_point
from nemotron.kit.store.connect import open_store

ARN = "arn:aws:s3:us-west-2:123456789012:accesspoint"


@pytest.mark.parametrize(
    ("place", "host", "prefix"),
    [
        (f"{ARN}/team", "team-123456789012.s3-accesspoint.us-west-2.amazonaws.com", ""),
        (f"{ARN}:team/a/b", "team-123456789012.s3-accesspoint.us-west-2.amazonaws.com", "a/b"),
        (
            "arn:aws-cn:s3:cn-north-1:123456789012:accesspoint/my-ap/x",
            "my-ap-123456789012.s3-accesspoint.cn-north-1.amazonaws.com.cn",
            "x",
        ),
    ],
)
def test_where_it_leads(place, host, prefix):
    point = access_point(place)
    assert (point.endpoint, point.prefix) == (f"https://{host}", prefix)


@pytest.mark.parametrize("place", ["bucket/arn:aws:s3", "bucket", "team-abc-s3alias/x"])
def test_buckets_are_none(place):
    assert access_point(place) is None


@pytest.mark.parametrize(
    "place",
    [
        "arn:aws:s3-outposts:us-west-2:123456789012:outpost/op-1/accesspoint/team",
        "arn:aws:s3:::bucket/x",
        "arn:secret@host/x",
        f"{ARN}/team/x?X-Amz-Signature=secret",
        f"{ARN}/Team_1/x",
    ],
)
def test_what_is_no_access_point_is_refused_and_not_repeated(place):
    with pytest.raises(MisuseError, match="no ARN of an access point") as caught:
        access_point(place)
    assert "secret" not in str(caught.value)


@pytest.fixture
def tunnel():
    """A proxy that notes which host it is asked for, and says no."""
    asked = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                with client:
                    asked.append(client.recv(4096).split(b"\r\n")[0].decode())
                    client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_the_client_asks_its_host(tunnel, monkeypatch, variable):
    pytest.importorskip("obstore")
    url, asked = tunnel
    monkeypatch.setenv(variable, "http://127.0.0.1:9")  # one for buckets
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "Xs3cr3tX")
    options = {"client_options": {"proxy_url": url}, "retry_config": {"max_retries": 0}}
    store = open_store(f"s3://{ARN}/team/artifacts", options)
    assert store.url == f"s3://{ARN}/team/artifacts"
    with pytest.raises(KitError) as caught:
        store.read("m/v1/manifest.json")
    assert asked[0] == "CONNECT team-123456789012.s3-accesspoint.us-west-2.amazonaws.com:443 HTTP/1.1"
    assert "Xs3cr3tX" not in str(caught.value)


@pytest.mark.parametrize("root", [f"s3://{ARN}/team", "s3://team"])
@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT"])
def test_an_endpoint_that_is_given_wins(tunnel, monkeypatch, root, variable):
    pytest.importorskip("obstore")
    url, asked = tunnel
    monkeypatch.setenv(variable, "https://127.0.0.1:9")
    options = {
        "anon": True,
        "endpoint": "https://team-1.vpce-1.s3.us-west-2.vpce.amazonaws.com",
        "client_options": {"proxy_url": url},
        "retry_config": {"max_retries": 0},
    }
    with pytest.raises(KitError):
        open_store(root, options).list()
    assert asked[0].startswith("CONNECT team-1.vpce-1.s3.us-west-2.vpce.amazonaws.com:443 ")
