"""What is kept out of documents, logs and errors."""

import pytest

from nemotron.kit.documents.urls import clean_urls
from nemotron.kit.store.redaction import one_line, public_url


@pytest.mark.parametrize(
    ("url", "left"),
    [
        ("s3://key:secret@bucket/x", "s3://bucket/x"),
        ("sftp://me:secret@host:22/x", "sftp://host:22/x"),
        ("https://secret@github.com/o/r", "https://github.com/o/r"),
        ("git+https://me:secret@host/r.git", "git+https://host/r.git"),
        ("zip://a::https://me:secret@host/x.zip", "zip://a::https://host/x.zip"),
        ("simplecache::https://secret@host/x", "simplecache::https://host/x"),
        ("https://h/x?X-Amz-Signature=secret&X-Amz-Date=1", "https://h/x"),
        ("https://h/x?a=1&sig=secret", "https://h/x"),
        ("https://h/x?access_token=secret", "https://h/x"),
        ("https://h/x?api_key=secret", "https://h/x"),
        ("gs://b/x?GoogleAccessId=a&Signature=secret", "gs://b/x"),
    ],
)
def test_secrets_go(url, left):
    assert public_url(url) == left
    assert clean_urls({"a": [url, 1], "b": {"c": url}}) == {"a": [left, 1], "b": {"c": left}}
    assert "secret" not in one_line(f"Error performing GET {url} in 3 ms - 403")


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket/data?versionId=7",
        "abfss://container@account.dfs.core.windows.net/x",
        "sftp://me@host/x",
        "hf://datasets/org/name",
        "nano3/sft/data?sample=10",
        "https://h/x?page=2&signed=no",
        "/data/a@b:c?sig",
        "art://m:v1",
        "mail me@host",
    ],
)
def test_the_rest_stays(url):
    assert public_url(url) == url
    assert clean_urls(url) == url


@pytest.mark.parametrize(
    "text",
    [
        "Bearer secret rest",
        "Authorization: SharedKey secret",
        "AccountName=a;AccountKey=secret;x=y",
        "hf_secret is wrong",
        "<Error><AWSAccessKeyId>secret</AWSAccessKeyId><SignatureProvided>secret</SignatureProvided></Error>",
        "<StringToSign>AWS4\n2026\nsecret</StringToSign>",
    ],
)
def test_messages_hold_no_tokens(text):
    said = one_line(text)
    assert "secret" not in said
    assert "\n" not in said
