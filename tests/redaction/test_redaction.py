"""What opens doors is in nothing that is written down, sent, logged or shown; the rest stays as it is."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemotron.kit.documents.secrets import command_without_secrets, without_secrets
from nemotron.kit.errors import ArtifactNotFoundError, UnavailableError
from nemotron.kit.redaction import clean, message, one_line


@pytest.mark.parametrize(
    ("url", "left"),
    [
        ("s3://key:secret@bucket/x", "s3://bucket/x"),
        ("sftp://me:secret@host:22/x", "sftp://host:22/x"),
        ("https://secret@github.com/o/r", "https://github.com/o/r"),
        ("git+https://me:secret@host/r.git", "git+https://host/r.git"),
        ("postgresql+x://u:secret@h:5/d?sslmode=on", "postgresql+x://h:5/d?sslmode=on"),
        ("s3://AKIAABCDEFGHIJKLMNOP:sec/ret+secret@bucket/x", "s3://bucket/x"),
        ("redis://:sec@ret@host/x", "redis://host/x"),
        ("zip://a::https://me:secret@host/x.zip", "zip://a::https://host/x.zip"),
        ("simplecache::https://secret@host/x", "simplecache::https://host/x"),
        ("https://h/x?X-Amz-Signature=secret&X-Amz-Date=1", "https://h/x"),
        ("https://h/x?%58-Amz-Signature=secret&a=1", "https://h/x"),
        ("https://h/x?a=1&sig=secret", "https://h/x"),
        ("https://h/x?access_token=secret", "https://h/x"),
        ("https://h/x?api_key=secret#top", "https://h/x#top"),
        ("https://h/x?a=1?token=secret", "https://h/x?a=1"),
        ("https://h/x#access_token=secret&a=1", "https://h/x#a=1"),
        ("https://h/x;jsessionid=secret/y;part=2", "https://h/x/y;part=2"),
        ("gs://b/x?GoogleAccessId=a&Signature=secret", "gs://b/x"),
    ],
)
def test_secrets_go(url: str, left: str) -> None:
    assert clean({"a": [url, 1], "b": {"c": url}, url: 2}) == {"a": [left, 1], "b": {"c": left}, left: 2}
    assert "secret" not in one_line(f"Error performing GET {url} in 3 ms - 403")


@pytest.mark.parametrize(
    "text",
    [
        "s3://bucket/data?versionId=7",
        "abfss://container@account.dfs.core.windows.net/x",
        "sftp://me@host/x",
        "ssh://git@host/o/r.git",
        "git@host:org/repo",
        "hf://datasets/org/name",
        "docker://image:24.07@sha256:abcdef",
        "nano3/sft/data?sample=10",
        "https://h/x?page=2&signed=no&max_tokens=5",
        "https://h:443/@user/x?mail=a@b.c",
        "http://[::1]:80/a@b",
        "/data/a@b:c?sig",
        "/data/task-summaries-of-long-documents/disk-abcdefghijklmnopqrstuvw",
        "/data/sk-wikipedia-20231101-train.jsonl",
        "sk-SK_wikipedia_2024_deduplicated",
        "the ring-bearer destroyed it",
        "art://m:v1",
        "art://m:best/a@b",
        "mail me@host",
        "the bearer of it",
        "model.sig=0.05",
    ],
)
def test_the_rest_stays(text: str) -> None:
    assert clean(text) == text


KEYS = (
    "hf_{}abcdefghijklmnopqrst",
    "sk-proj-{}abcdefghijklmnop",
    "sk-ant-api03-{}_a-b_c-d_e",
    "sk-{}abcdefghijklmnop",
    "ghp_{}abcdefghijklmnopqrst",
    "glpat-{}abcdefghijklmnop",
    "nvapi-{}abcdefghijklmnopqrst",
    "wandb_v1_{}abcdefghijklmnopqrst",
    "Bearer {}abcdefgh",
    "Authorization: Basic {}",
    "AccountName=a;AccountKey={}",
    "BlobEndpoint=https://h/;SharedAccessSignature=sv=2026&sig={}",
    "X-Amz-Signature={}",
    "sv=2026-08-04&ss=b&sig={}abcdefghijklmnop",
    "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----",
)
PARAMETERS = (
    *("X-Amz-Signature", "X-Amz-Credential", "X-Amz-Security-Token", "x-goog-signature", "sig", "Signature"),
    *("token", "access_token", "hf-token", "authToken", "AWSAccessKeyId", "AccessKeyId", "GoogleAccessId"),
    *("api_key", "apikey", "key", "password", "client_secret", "%73ig", "sas", "sessionid", "Key-Pair-Id"),
)
MARK = "S3cr3tM4rk"
plain = st.text("abcXYZ019._~-", min_size=1, max_size=6)
hosts = st.from_regex(r"[a-z]{1,6}(\.test)?(:[0-9]{2,4})?", fullmatch=True)
# Whatever people put between `://` and `@`, quotes and slashes included; with `/` and `@` it is a path.
passwords = st.builds("{}{}{}".format, st.text("ab/+=%:@!'$", max_size=4), st.just(MARK), plain).filter(
    lambda password: "@" not in password or "/" not in password
)


@st.composite
def urls(draw: st.DrawFn) -> str:
    """A URL that holds the mark in one or more of the places where a secret can be."""
    scheme = draw(st.sampled_from(["https", "http", "s3", "gs", "sftp", "git+ssh", "postgresql", "HTTPS"]))
    places = draw(st.sets(st.sampled_from(["user", "query", "fragment"]), min_size=1))
    user = f"{draw(plain)}:{draw(passwords)}@" if "user" in places else ""
    said = [f"{draw(plain)}={draw(plain)}" for _ in range(draw(st.integers(0, 2)))]
    if "query" in places:
        said.insert(
            draw(st.integers(0, len(said))), f"{draw(st.sampled_from(PARAMETERS))}={MARK}{draw(plain)}"
        )
    query = draw(st.sampled_from("&;")).join(said)
    fragment = f"#{draw(st.sampled_from(PARAMETERS))}={MARK}" if "fragment" in places else ""
    chain = draw(st.sampled_from(["", "", "simplecache::", "zip://a.txt::"]))
    return f"{chain}{scheme}://{user}{draw(hosts)}/{draw(plain)}{'?' if query else ''}{query}{fragment}"


secrets = urls() | st.sampled_from(KEYS).map(lambda form: form.format(MARK))
words = st.sampled_from(["", "see", "cannot open:", "lr=0.1,", "--url", "(", "it's"])


@given(secrets, words, words)
def test_no_form_of_a_secret_survives_anywhere(secret: str, before: str, after: str) -> None:
    kept: list[Any] = [
        clean({"deep": [{"x": secret}], secret: f"{before} {secret} {after}"}),
        without_secrets({"x": [secret]}),
        command_without_secrets(["t.py", secret, f"--data={secret}", f"x.y={secret}"]),
        message(f"{before} {secret} {after}"),
        one_line(f"{before} {secret} {after}", 5000),
        str(UnavailableError(f"{before} {secret}")),
        repr(ArtifactNotFoundError(secret)),
    ]
    assert MARK not in json.dumps(kept)
    once = clean(f"{before} {secret}")
    assert clean(once) == once


@pytest.mark.parametrize("piece", ["a-", "a:", "x://a:b", "://", "a@", "sig=", "eyJ.", "?a=1"])
def test_a_long_text_takes_no_longer_for_each_of_its_letters(piece: str) -> None:
    """Ten times the text is ten times the work, not a hundred; counted in CPU time, with room for noise."""

    def cost(count: int) -> float:
        text = f"x://{piece * count} s3://k:v@b"
        began = time.process_time()
        clean(text)
        return time.process_time() - began

    small = min(cost(2_000) for _ in range(3))
    assert cost(20_000) < 40 * max(small, 0.002)


@given(st.text(max_size=40) | st.builds("https://{}/{}?{}=1".format, hosts, plain, plain))
def test_cleaning_is_harmless_twice_and_for_what_is_clean(text: str) -> None:
    once = clean(text)
    assert clean(once) == once


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
def test_messages_hold_no_tokens(text: str) -> None:
    said = one_line(text)
    assert "secret" not in said
    assert "\n" not in said
