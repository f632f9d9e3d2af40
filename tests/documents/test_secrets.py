"""What is secret stays out; what only sounds so stays readable."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemotron.kit.documents.secrets import command_without_secrets, without_secrets
from nemotron.kit.redaction import REDACTED, is_secret_name

SECRET = [
    "token",
    "hf_token",
    "HF_TOKEN",
    "accessToken",
    "github-token",
    "auth_token",
    "refresh_token",
    "api_token",
    "api_key",
    "apiKey",
    "API-KEY",
    "apikey",
    "wandb_api_key",
    "openai_api_key",
    "aws_access_key_id",
    "aws_secret_access_key",
    "client_secret",
    "SECRET",
    "password",
    "db_passwd",
    "passphrase",
    "pwd",
    "DB_PWD",
    "private_key",
    "ssh_key",
    "credentials",
    "connection_string",
    "authorization",
    "auth",
    "session_cookie",
]
PLAIN = [
    "tokenizer",
    "tokenizer_model",
    "max_tokens",
    "num_tokens",
    "tokens",
    "total_tokens",
    "train_tokens",
    "eos_token",
    "bos_token",
    "pad_token",
    "pad_token_id",
    "unk_token",
    "additional_special_tokens",
    "eod_token",
    "image_token",
    "tokens_per_sample",
    "key",
    "keys",
    "sort_key",
    "monkey",
    "key_value_heads",
    "num_key_value_heads",
    "author",
    "text_field",
    "lr",
    "seed",
    "path",
    "name",
    "compass",
]
KEYS = [
    "hf_abcdefghijklmnopqrstuvwxyz",
    "sk-abcdefghijklmnopqrstuv",
    "ghp_abcdefghijklmnopqrstuv",
    "AKIAABCDEFGHIJKLMNOP",
    "nvapi-abcdefghijklmnopqrstuvw",
    "Bearer abcdefghijkl",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0.abc",
    "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----",
]


@pytest.mark.parametrize("name", SECRET)
def test_names_that_call_it_secret(name: str) -> None:
    assert is_secret_name(name)
    assert without_secrets({"deep": [{name: "x1y2z3"}]}) == {"deep": [{name: REDACTED}]}


@pytest.mark.parametrize("name", PLAIN)
def test_names_that_only_sound_so(name: str) -> None:
    assert not is_secret_name(name)
    assert without_secrets({name: "x1y2z3"}) == {name: "x1y2z3"}


@pytest.mark.parametrize("key", KEYS)
def test_what_looks_like_a_key_goes_wherever_it_stands(key: str) -> None:
    said = json.dumps(without_secrets({"note": f"use {key} here", "list": [key], key: 1}))
    assert key not in said.encode().decode("unicode_escape")
    assert "use" in said


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("t.py --token abc --lr 1", f"t.py --token {REDACTED} --lr 1"),
        ("t.py --token=abc", f"t.py --token={REDACTED}"),
        ("t.py model.api_key=abc +x.password=", f"t.py model.api_key={REDACTED} +x.password="),
        ("t.py --no-auth --steps 5", "t.py --no-auth --steps 5"),
        ("t.py --password --steps 5", "t.py --password --steps 5"),
        ("t.py --max-tokens 5 eos_token=x", "t.py --max-tokens 5 eos_token=x"),
        ("t.py a=https://u:p@h/x", "t.py a=https://h/x"),
    ],
)
def test_command_lines(said: str, shown: str) -> None:
    assert command_without_secrets(said.split()) == shown.split()


def test_amounts_of_tokens_are_no_secrets_and_numbers_can_be_passwords() -> None:
    assert without_secrets({"my_token": 5, "password": 12345, "token": None, "api_key": ""}) == {
        **{"my_token": 5, "password": REDACTED, "token": None, "api_key": ""}
    }


jsons = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda one: st.lists(one, max_size=3) | st.dictionaries(st.sampled_from(PLAIN), one, max_size=3),
)


@given(jsons)
def test_what_holds_nothing_secret_stays_as_it_is(value: object) -> None:
    assert without_secrets(value) == value
