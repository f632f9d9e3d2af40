"""Errors of fsspec's backends become the kit's, whichever library they are from."""

import importlib
import sys
import types

import pytest

from nemotron.kit.errors import KitError, MisuseError, PathNotFoundError, RefusedError, UnavailableError
from nemotron.kit.formats import remote

# Names as their packages spell them; what is installed is looked through, the rest is described by stand-ins.
INSTALLED = ("obstore.exceptions", "botocore.exceptions")


def raised(error: Exception, url: str = "s3://b/x") -> KitError:
    with pytest.raises(KitError) as caught, remote.translated("read", url):
        raise error
    return caught.value


@pytest.mark.parametrize("module", INSTALLED)
def test_every_error_of_a_backend_is_in_the_table(module: str) -> None:
    pytest.importorskip(module)
    known = (OSError, ImportError, ValueError, NotImplementedError, *remote.foreign_errors())
    errors = [
        value
        for value in vars(importlib.import_module(module)).values()
        if isinstance(value, type)
        and issubclass(value, Exception)
        and not issubclass(value, Warning)
        and value.__module__ == module
    ]
    assert errors
    assert [error for error in errors if not issubclass(error, known)] == []


class _Response:
    status_code = 403


@pytest.mark.parametrize(
    ("attributes", "error"),
    [
        ({"response": {"ResponseMetadata": {"HTTPStatusCode": 404}}}, PathNotFoundError),
        ({"response": {"ResponseMetadata": {"HTTPStatusCode": 403}}}, RefusedError),
        ({"response": {}}, UnavailableError),
        ({"status": 401}, RefusedError),
        ({"code": "404"}, PathNotFoundError),
        ({"status_code": 503}, UnavailableError),
        ({"code": "SlowDown"}, UnavailableError),
    ],
)
def test_the_status_decides(monkeypatch, attributes: dict[str, object], error: type[KitError]) -> None:
    module = types.ModuleType("azure.core.exceptions")
    module.AzureError = type("AzureError", (Exception,), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    thrown = module.AzureError("GET https://a/b?sig=secret failed")
    vars(thrown).update(attributes)
    found = raised(thrown)
    assert type(found) is error
    assert "s3://b/x" in str(found)
    assert "secret" not in str(found)


def test_what_is_no_error_of_a_backend_passes() -> None:
    with pytest.raises(RuntimeError, match="ours"), remote.translated("read", "s3://b/x"):
        raise RuntimeError("ours")


@pytest.mark.parametrize(
    ("thrown", "error"),
    [
        (FileNotFoundError(2, "No such file", "x"), PathNotFoundError),
        (FileNotFoundError("s3 said so"), PathNotFoundError),
        (PermissionError("Forbidden"), RefusedError),
        (TimeoutError(), UnavailableError),
        (ImportError("Install s3fs"), MisuseError),
        (NotImplementedError(), MisuseError),
        (ValueError("port"), MisuseError),
    ],
)
def test_built_in_errors(thrown: Exception, error: type[KitError]) -> None:
    assert type(raised(thrown)) is error


@pytest.mark.parametrize(
    ("cause", "error"),
    [
        (ConnectionRefusedError(111, "refused"), UnavailableError),
        (TimeoutError(), UnavailableError),
        (PermissionError("Forbidden"), RefusedError),
        (FileNotFoundError("x"), PathNotFoundError),
        (RuntimeError("odd"), PathNotFoundError),
    ],
)
def test_what_fsspec_calls_not_found_is_what_is_behind_it(cause: Exception, error: type[KitError]) -> None:
    thrown = FileNotFoundError("http://h/x")
    thrown.__cause__ = cause
    with pytest.raises(KitError) as caught, remote.translated("read", "http://h/x"):
        raise thrown
    assert type(caught.value) is error


@pytest.mark.parametrize(
    ("url", "remedy"), [("s3://b/x", "nemotron-kit[s3]"), ("https://h/x", "install requests aiohttp")]
)
def test_a_client_that_is_missing_is_named_with_what_brings_it(url: str, remedy: str) -> None:
    error = raised(ImportError("no such client"), url)
    assert isinstance(error, MisuseError)
    assert remedy in error.message
