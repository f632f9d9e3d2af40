"""The table from the client's exceptions to the kit's."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace

import pytest

from nemotron.kit import errors as kit_errors
from nemotron.kit.errors import (
    ConflictError,
    KitError,
    MisuseError,
    NotFoundError,
    PathNotFoundError,
    RefusedError,
    UnavailableError,
)
from nemotron.kit.integrations.wandb.errors import CLASSES, STATUSES, TEXTS, classify, translate, translated

# What wandb 0.31 raised against a local server that was told to fail, or was not there.
MEASURED = [
    ('ArtifactSaver.createArtifact: returned error 400: {"data":null}', RefusedError),
    ('ArtifactSaver.createArtifact: returned error 401: {"data":null}', RefusedError),
    ('ArtifactSaver.commitArtifact: returned error 403: {"data":null}', RefusedError),
    ('ArtifactSaver.createArtifact: returned error 404: {"data":null}', NotFoundError),
    ('ArtifactSaver.createArtifact: returned error 409: {"data":null}', ConflictError),
    ("giving up after 2 attempt(s)\nwhile retrying: HTTP 429: slow down", UnavailableError),
    ("giving up after 2 attempt(s)\nwhile retrying: HTTP 500: not found", UnavailableError),
    ("artifact membership 'nope:v0' not found in 'me/proj'", NotFoundError),
    ("type 'model' specified but this artifact is of type 'dataset'", MisuseError),
    ("Artifact my-data already exists with type 'dataset'; cannot create another", ConflictError),
    (
        "Failed to execute API request: the service process is busy and did not respond in time.",
        UnavailableError,
    ),
    ("Failed to verify credentials with http://h: … did not respond in time.", UnavailableError),
    ('Timed out while retrying: Post "http://h": dial tcp: connect: connection refused', UnavailableError),
    ("user is not logged in", RefusedError),
    ("Artifact must not have more than 100 metadata keys.", MisuseError),
]


@pytest.mark.parametrize(("message", "expected"), MEASURED)
def test_what_the_text_tells(message: str, expected: type[KitError]) -> None:
    assert classify(ValueError(message)) is expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (401, RefusedError),
        (404, NotFoundError),
        (409, ConflictError),
        (422, RefusedError),
        (503, UnavailableError),
    ],
)
def test_what_the_status_behind_it_tells(status: int, expected: type[KitError]) -> None:
    wandb_errors = pytest.importorskip("wandb.errors")
    cause = RuntimeError("refused")
    cause.response = SimpleNamespace(http_status=status)  # type: ignore[attr-defined]
    error = wandb_errors.CommError("something not found")
    error.__cause__ = cause
    assert classify(error) is expected


PACKAGES = ("errors", "sdk.artifacts", "sdk.lib", "sdk.lib.service", "sdk.mailbox", "apis.public")


def exceptions_of_the_client() -> Iterator[type[Exception]]:
    """Every exception class of the packages whose errors can come out of a call of ours."""
    pytest.importorskip("wandb")
    for package in (importlib.import_module(f"wandb.{name}") for name in PACKAGES):
        inner = [
            _module(f"{package.__name__}.{each.name}") for each in pkgutil.iter_modules(package.__path__)
        ]
        for module in filter(None, (package, *inner)):
            for _, cls in inspect.getmembers(module, inspect.isclass):
                is_error = issubclass(cls, Exception) and not issubclass(cls, Warning)
                if is_error and cls.__module__ == module.__name__:
                    yield cls


def _module(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(name)
    except ImportError:  # it needs a package that is not there: nothing comes out of it here
        return None


def test_every_exception_of_the_client_is_in_the_table_by_its_own_name() -> None:
    found = {cls.__name__ for cls in exceptions_of_the_client()}
    assert {"Error", "CommError", "AuthenticationError", "UsageError", "MailboxClosedError"} <= found
    assert found - CLASSES.keys() == set()


def test_every_error_of_the_table_is_the_kit_s() -> None:
    for errors in (CLASSES.values(), STATUSES.values(), (error for _, error in TEXTS)):
        assert all(issubclass(error, KitError) and error is not KitError for error in errors)


@pytest.mark.parametrize("status", range(400, 600))
def test_every_status_has_a_place(status: int) -> None:
    kind = classify(ValueError(f"returned error {status}: whatever"))
    assert kind is not None
    assert issubclass(kind, UnavailableError) == (status >= 500 or status in (408, 425, 429))


def test_what_the_client_raises_offline_is_no_mistake_of_the_program() -> None:
    assert classify(TypeError("Cannot use artifact when in offline mode.")) is UnavailableError


def test_the_three_groups_are_kept_apart() -> None:
    kinds = {expected for _, expected in MEASURED}
    assert {UnavailableError, NotFoundError, RefusedError} < kinds
    assert kinds <= {cls for _, cls in inspect.getmembers(kit_errors, inspect.isclass)}


def test_local_trouble_stays_local() -> None:
    assert classify(FileNotFoundError("no such file")) is PathNotFoundError
    assert classify(PermissionError("not allowed")) is RefusedError
    assert classify(ConnectionResetError()) is UnavailableError


def test_a_mistake_in_a_program_is_left_alone() -> None:
    bug = ZeroDivisionError("division by zero")
    assert translate(bug, "log x") is bug
    with pytest.raises(ZeroDivisionError), translated("log x"):
        raise bug
    own = NotFoundError("mine")
    assert translate(own, "log x") is own


def test_the_message_says_what_was_asked_and_tells_no_secret() -> None:
    error = translate(
        ValueError("PUT https://me:secret@s3.test/f?X-Goog-Signature=abc giving up after 1 attempt(s)"),
        "log my-model",
    )
    assert str(error) == "W&B could not log my-model: PUT https://s3.test/f giving up after 1 attempt(s)"
