"""Credentials, endpoints and options of buckets, as users of each client spell them."""

import json

import pytest

from nemotron.kit.errors import KitError, MissingExtraError, MisuseError, RefusedError
from nemotron.kit.store.bucket_options import settle
from nemotron.kit.store.connect import open_store

pytest.importorskip("obstore")

SECRET = "Xs3cr3tX"
KEYS = {"access_key_id": "AK", "secret_access_key": SECRET}


@pytest.mark.parametrize(
    ("options", "config", "client"),
    [
        ({"key": "AK", "secret": SECRET}, KEYS, {}),
        ({"key": "AK", "secret": SECRET, "token": "T"}, {**KEYS, "session_token": "T"}, {}),
        ({"access_key_id": "AK", "secret_access_key": SECRET}, KEYS, {}),
        ({"client_kwargs": {"aws_access_key_id": "AK", "aws_secret_access_key": SECRET}}, KEYS, {}),
        ({"anon": True}, {"skip_signature": True}, {}),
        ({"anon": True, "requester_pays": True}, {"skip_signature": True, "request_payer": True}, {}),
        ({"anon": True, "endpoint_url": "https://e"}, {"skip_signature": True, "endpoint": "https://e"}, {}),
        (
            {
                "anon": True,
                "client_kwargs": {"endpoint_url": "http://e", "region_name": "e", "verify": False},
            },
            {"skip_signature": True, "endpoint": "http://e", "region": "e"},
            {"allow_http": True, "allow_invalid_certificates": True},
        ),
        (
            {"anon": True, "config_kwargs": {"s3": {"addressing_style": "virtual"}, "read_timeout": 5}},
            {"skip_signature": True, "virtual_hosted_style_request": True},
            {"read_timeout": "5s"},
        ),
        ({"anon": True, "use_ssl": False}, {"skip_signature": True}, {"allow_http": True}),
        ({"anon": True, "client_options": {"timeout": "2s"}}, {"skip_signature": True}, {"timeout": "2s"}),
        ({"anon": True, "region": None}, {"skip_signature": True}, {}),
    ],
)
def test_s3(options, config, client):
    settings = settle("s3", "bucket", options)
    assert (settings.config, settings.client) == (config, client)
    assert settings.source == ("none: anonymous" if "anon" in options else "storage_options")
    assert SECRET not in repr(settings)


@pytest.mark.parametrize(
    ("variables", "config", "source"),
    [
        ({"AWS_ACCESS_KEY_ID": "AK", "AWS_SECRET_ACCESS_KEY": SECRET}, {}, "AWS_ACCESS_KEY_ID"),
        ({"AWS_WEB_IDENTITY_TOKEN_FILE": "/f"}, {}, "AWS_WEB_IDENTITY_TOKEN_FILE"),
        ({"AWS_SKIP_SIGNATURE": "true"}, {}, "none: anonymous"),
        ({"AWS_ENDPOINT_URL": "https://e"}, {"endpoint": "https://e"}, "the metadata service"),
        (
            {"AWS_ENDPOINT_URL": "https://e", "AWS_ENDPOINT_URL_S3": "http://s3"},
            {"endpoint": "http://s3"},
            "the metadata service",
        ),
        ({"AWS_DEFAULT_REGION": "eu"}, {"region": "eu"}, "the metadata service"),
        ({"AWS_DEFAULT_REGION": "eu", "AWS_REGION": "us"}, {"region": "us"}, "the metadata service"),
    ],
)
def test_s3_from_the_environment(monkeypatch, variables, config, source):
    for key, value in variables.items():
        monkeypatch.setenv(key, value)
    settings = settle("s3", "bucket", {})
    assert settings.config == config
    assert settings.source.startswith(source)
    assert settings.client == ({"allow_http": True} if "http://s3" in variables.values() else {})
    given = settle("s3", "bucket", {"endpoint": "https://mine", "key": "AK", "secret": SECRET})
    assert given.config["endpoint"] == "https://mine"


# -- profiles ------------------------------------------------------------------------------------------------


@pytest.fixture
def profiles(tmp_path, monkeypatch):
    pytest.importorskip("botocore")
    (tmp_path / "credentials").write_text(
        f"[team]\naws_access_key_id = AKTEAM\naws_secret_access_key = {SECRET}\n"
        f"[default]\naws_access_key_id = AKDEFAULT\naws_secret_access_key = {SECRET}\n"
    )
    (tmp_path / "config").write_text(
        "[profile team]\nregion = eu-west-3\nendpoint_url = https://team.example\n"
        "[profile empty]\nregion = x\n"
        "[profile broken]\ncredential_process = /bin/false\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.mark.parametrize("by", ["option", "variable"])
def test_a_profile(profiles, monkeypatch, by):
    if by == "variable":
        monkeypatch.setenv("AWS_PROFILE", "team")
    settings = settle("s3", "bucket", {"profile": "team"} if by == "option" else {})
    assert settings.source == "the AWS profile team"
    assert settings.config == {"region": "eu-west-3", "endpoint": "https://team.example"}
    credentials = settings.provider()
    assert (credentials["access_key_id"], credentials["secret_access_key"]) == ("AKTEAM", SECRET)
    assert SECRET not in repr(settings) + repr(settings.provider)


def test_the_default_profile_and_what_goes_before_it(profiles, monkeypatch):
    assert settle("s3", "bucket", {}).provider()["access_key_id"] == "AKDEFAULT"
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://mine")
    assert settle("s3", "bucket", {"profile": "team"}).config["endpoint"] == "https://mine"
    monkeypatch.setenv("AWS_PROFILE", "team")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AK")
    assert settle("s3", "bucket", {}).source == "AWS_ACCESS_KEY_ID"
    assert settle("s3", "bucket", {"anon": True}).provider is None


def test_a_profile_that_is_not_there_or_has_nothing(profiles):
    with pytest.raises(MisuseError, match="AWS profile nobody"):
        settle("s3", "bucket", {"profile": "nobody"})
    with pytest.raises(RefusedError, match="AWS profile empty: it has no credentials"):
        settle("s3", "bucket", {"profile": "empty"})


def test_a_profile_whose_login_failed_is_not_an_outage(profiles):
    with pytest.raises(RefusedError, match=r"Cannot use the AWS profile broken: .*Log in again"):
        open_store("s3://bucket/x", {"profile": "broken"}).read("a")


def test_a_profile_without_botocore(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "botocore.exceptions", None)
    with pytest.raises(MissingExtraError, match="pip install boto3"):
        settle("s3", "bucket", {"profile": "team"})


# -- Google and Azure ----------------------------------------------------------------------------------------


def test_gcs(monkeypatch):
    key = {"client_email": "me", "private_key": SECRET}
    assert settle("gcs", "b", {"token": "anon"}).config == {"skip_signature": True}
    assert settle("gcs", "b", {"token": "/key.json"}).config == {"service_account": "/key.json"}
    assert json.loads(settle("gcs", "b", {"token": key}).config["service_account_key"]) == key
    assert settle("gcs", "b", {"token": "google_default", "project": "p"}).config == {}
    assert settle("gcs", "b", {"endpoint_url": "http://e"}).client == {"allow_http": True}
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/x")
    assert settle("gcs", "b", {}).source == "GOOGLE_APPLICATION_CREDENTIALS"
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "127.0.0.1:9")
    emulated = settle("gcs", "b", {})
    assert json.loads(emulated.config["service_account_key"])["gcs_base_url"] == "http://127.0.0.1:9"
    assert emulated.source == "none: an emulator"
    assert emulated.client == {"allow_http": True}


AZURE = {"account_name": "acct", "account_key": SECRET}
CONNECTION = (
    f"DefaultEndpointsProtocol=https;AccountName=acct;AccountKey={SECRET};EndpointSuffix=core.windows.net"
)


@pytest.mark.parametrize(
    ("host", "options", "config"),
    [
        ("c", AZURE, AZURE),
        ("c", {"connection_string": CONNECTION}, AZURE),
        (
            "c",
            {"connection_string": CONNECTION.replace("core.windows.net", "core.cn")},
            {**AZURE, "endpoint": "https://acct.blob.core.cn"},
        ),
        ("c@acct.dfs.core.windows.net", {"account_key": SECRET}, AZURE),
        ("c@acct.dfs.core.cn", {"account_key": SECRET}, {**AZURE, "endpoint": "https://acct.blob.core.cn"}),
        ("c", {"account_name": "acct", "sas_token": "?sig=x"}, {"account_name": "acct", "sas_key": "?sig=x"}),
        ("c", {"account_name": "acct", "anon": True}, {"account_name": "acct", "skip_signature": True}),
        ("c", {**AZURE, "account_host": "h.example"}, {**AZURE, "endpoint": "https://h.example"}),
    ],
)
def test_azure(host, options, config):
    settings = settle("azure", host, options)
    assert settings.config == config
    assert settings.source == ("none: anonymous" if "anon" in options else "storage_options")
    assert SECRET not in repr(settings)


def test_azure_from_the_environment(monkeypatch):
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT", "acct")
    monkeypatch.setenv("AZURE_STORAGE_KEY", SECRET)
    settings = settle("azure", "c", {})
    assert (settings.config, settings.source) == (AZURE, "AZURE_STORAGE_KEY")
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", "UseDevelopmentStorage=true")
    settings = settle("azure", "c", {})
    assert settings.config["endpoint"] == "http://127.0.0.1:10000/devstoreaccount1"
    assert settings.client == {"allow_http": True}
    assert settings.source == "AZURE_STORAGE_CONNECTION_STRING"


def test_what_is_no_connection_string():
    with pytest.raises(MisuseError, match="neither AccountName nor BlobEndpoint") as caught:
        settle("azure", "c", {"connection_string": f"AccountKey={SECRET}"})
    assert SECRET not in str(caught.value)


# -- what nobody knows ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("root", "options", "named"),
    [
        ("s3://b/x", {"no_such": SECRET}, "no_such"),
        ("s3://b/x", {"client_kwargs": {"no_such": SECRET}}, "client_kwargs.no_such"),
        ("s3://b/x", {"config_kwargs": {"no_such": SECRET}}, "config_kwargs.no_such"),
        ("s3://b/x", {"client_options": {"no_such": SECRET}}, "no_such"),
        ("s3://b/x", {"key": "a", "access_key_id": SECRET}, "access_key_id"),
        ("gs://b/x", {"no_such": SECRET}, "no_such"),
        ("gs://b/x", {"client_options": {"no_such": SECRET}}, "no_such"),
        ("az://b/x", {"account_name": "a", "no_such": SECRET}, "no_such"),
    ],
)
def test_an_option_that_nobody_knows_is_named_and_its_value_is_not(root, options, named):
    with pytest.raises(MisuseError, match=named) as caught:
        open_store(root, options)
    assert SECRET not in str(caught.value)
    assert caught.value.__cause__ is None or SECRET not in str(caught.value.__cause__)


@pytest.mark.parametrize(
    ("root", "options"),
    [
        ("gs://b/x", {"token": {"private_key": SECRET}}),
        ("az://b/x", {"account_name": "a", "account_key": f"{SECRET}!!"}),
        ("s3://b/x", {"retry_config": {"no_such": SECRET}}),
        ("s3://b/x", {"client_options": {"proxy_url": f"http://me:{SECRET}@h"}}),
    ],
)
def test_an_option_that_can_not_be_read_is_not_repeated(root, options):
    try:
        store = open_store(root, options)
        said = repr(store) + store.url
    except KitError as error:
        said = str(error)
    assert SECRET not in said
