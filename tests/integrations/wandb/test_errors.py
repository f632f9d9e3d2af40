"""The table from the client's exceptions to the kit's."""

import inspect
from types import SimpleNamespace

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
from nemotron.kit.integrations.wandb.errors import CLASSES, classify, translate, translated

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


def test_every_exception_of_the_client_has_a_place() -> None:
    pytest.importorskip("wandb")
    from wandb.errors import errors
    from wandb.sdk.artifacts import exceptions
    from wandb.sdk.lib import retry
    from wandb.sdk.lib.service import service_connection
    from wandb.sdk.mailbox import mailbox, mailbox_handle

    for module in (errors, exceptions, retry, service_connection, mailbox, mailbox_handle):
        for name, cls in inspect.getmembers(module, inspect.isclass):
            if issubclass(cls, Exception) and cls.__module__ == module.__name__:
                known = [base.__name__ for base in cls.__mro__ if base.__name__ in CLASSES]
                assert known, f"{module.__name__}.{name} is mapped to no error of the kit"


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
    assert str(error) == "W&B could not log my-model: PUT https://s3.test/f?… giving up after 1 attempt(s)"
