"""Every exception that a client of a store can raise has its place among the kit's errors."""

import inspect
import subprocess
import sys

import pytest

from nemotron.kit.errors import KitError, UnavailableError
from nemotron.kit.store import bucket_errors, hub_errors
from store_servers import free_port

SECRET = "Xs3cr3tX"
WHERE = "s3://team-bucket/artifacts/m/v1/manifest.json"


def classes_of(module):
    found = {kind for kind in vars(module).values() if inspect.isclass(kind) and issubclass(kind, Exception)}
    return sorted(found, key=lambda kind: kind.__name__)


# -- obstore -------------------------------------------------------------------------------------------------

OBSTORE = {
    "AlreadyExistsError": "there_already",
    "PreconditionError": "there_already",
    "NotFoundError": "path_not_found",
    "PermissionDeniedError": "refused",
    "UnauthenticatedError": "refused",
    "InvalidPathError": "outside_root",
    "NotSupportedError": "misuse",
    "UnknownConfigurationKeyError": "misuse",
    "BaseError": "unavailable",
    "GenericError": "unavailable",
    "JoinError": "unavailable",
    "NotModifiedError": "unavailable",
}


def test_every_class_of_obstore_is_in_the_table():
    exceptions = pytest.importorskip("obstore.exceptions")
    assert {kind.__name__ for kind in classes_of(exceptions)} == set(OBSTORE)
    for kind in classes_of(exceptions):
        said = bucket_errors.translate(kind("it said so"), "write", WHERE)
        assert said.kind == OBSTORE[kind.__name__], kind
        assert str(said).startswith(f"Cannot write {WHERE}: it said so")


# obstore raises one class for many replies; what they say tells them apart.
REPLIES = {
    "404 Not Found: <Code>NoSuchBucket</Code>": "not_found",
    "404 Not Found: <Code>ContainerNotFound</Code>": "not_found",
    "404: The specified bucket does not exist": "not_found",
    "403 Forbidden: <Code>AccessDenied</Code>": "refused",
    "401 Unauthorized": "refused",
    "400: <Code>InvalidAccessKeyId</Code>": "refused",
    "Error performing PUT http://169.254.169.254/latest/api/token: timed out": "refused",
    "500 Internal Server Error": "unavailable",
    "503 Slow Down": "unavailable",
    "error sending request: connection refused": "unavailable",
}


@pytest.mark.parametrize(("reply", "kind"), REPLIES.items())
def test_what_a_reply_says_tells_them_apart(reply, kind):
    exceptions = pytest.importorskip("obstore.exceptions")
    text = f"{reply} http://h/x?X-Amz-Signature={SECRET}\n\nDebug source: {SECRET}"
    said = bucket_errors.translate(exceptions.GenericError(text), "read", WHERE, "AWS_ACCESS_KEY_ID")
    assert said.kind == kind
    assert SECRET not in str(said)
    if kind == "refused":
        assert "AWS_ACCESS_KEY_ID" in str(said)
        assert "s3://team-bucket" in str(said).partition("Cannot read")[2].partition(". ")[2]


@pytest.mark.parametrize("kind", ["GenericError", "NotFoundError", "PermissionDeniedError"])
@pytest.mark.parametrize(
    ("where", "asked", "variable"),
    [
        (WHERE, "PUT http://169.254.169.254/latest/api/token", "set AWS_ACCESS_KEY_ID and AWS_SECRET"),
        ("gs://b/x", "GET http://metadata.google.internal/computeMetadata/v1", "set GOOGLE_APPLICATION_CRED"),
        ("abfs://b/x", "GET http://169.254.169.254/metadata/identity", "set AZURE_STORAGE_CONNECTION_STRING"),
    ],
)
def test_without_credentials_it_says_which_to_give(kind, where, asked, variable):
    exceptions = pytest.importorskip("obstore.exceptions")
    retries = "after 10 retries, max_retries: 10, retry_timeout: 180s"
    text = (
        f"Generic S3 error: Error performing {asked} in 7.1ms, {retries} - 404 Not Found\n\nDebug source: x"
    )
    said = bucket_errors.translate(getattr(exceptions, kind)(text), "read", where, "the metadata service")
    assert said.kind == "refused"
    assert str(said).startswith(f"Cannot read {where}: no credentials found (looked at the metadata service)")
    assert variable in str(said)
    assert not any(raw in str(said) for raw in ("169.254", "internal", "retries", "Generic"))


def test_a_key_that_reads_like_a_lack_of_credentials_is_only_absent():
    exceptions = pytest.importorskip("obstore.exceptions")
    text = "Object at 169.254.169.254 not found: Error performing GET http://h/b/NoCredentials in 1ms - x"
    assert bucket_errors.translate(exceptions.NotFoundError(text), "read", WHERE).kind == "path_not_found"


def test_who_did_not_answer_is_told_and_not_how_often_it_was_tried():
    pytest.importorskip("obstore")
    from nemotron.kit.store.object import BucketStore

    endpoint = f"http://127.0.0.1:{free_port()}"
    options = {"endpoint": endpoint, "access_key_id": "a", "secret_access_key": "b"}
    store = BucketStore("s3://bucket/x", {**options, "retry_config": {"max_retries": 1}})
    with pytest.raises(UnavailableError) as caught:
        store.read("a")
    assert str(caught.value).startswith(f"Cannot read s3://bucket/x/a: {endpoint}: HTTP error: ")
    assert "retr" not in str(caught.value)
    assert "max_retries" in str(caught.value.__cause__)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (FileExistsError("x"), "there_already"),
        (FileNotFoundError("x"), "path_not_found"),
        (PermissionError("x"), "refused"),
        (NotImplementedError("x"), "misuse"),
        (OSError(28, "No space left on device"), "disk_full"),
        (ConnectionResetError("x"), "unavailable"),
        (TimeoutError("x"), "unavailable"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else value,
)
def test_errors_of_the_system(error, kind):
    pytest.importorskip("obstore")
    assert bucket_errors.translate(error, "read", WHERE).kind == kind


# -- botocore, for profiles ----------------------------------------------------------------------------------


def test_every_class_of_botocore_is_translated():
    exceptions = pytest.importorskip("botocore.exceptions")
    kinds = {}
    for kind in classes_of(exceptions):
        if issubclass(kind, exceptions.BotoCoreError):
            error = kind.__new__(kind)
            Exception.__init__(error, f"it said so: https://h/x?token={SECRET}")
            said = bucket_errors.translate_botocore(error, "the AWS profile team")
            assert isinstance(said, KitError)
            assert SECRET not in str(said)
            kinds[kind.__name__] = said.kind
    assert kinds["ProfileNotFound"] == kinds["ConfigParseError"] == "misuse"
    assert kinds["EndpointConnectionError"] == kinds["ConnectTimeoutError"] == "unavailable"
    assert kinds["UnauthorizedSSOTokenError"] == kinds["CredentialRetrievalError"] == "refused"
    assert set(kinds.values()) == {"misuse", "unavailable", "refused"}


# -- the Hugging Face Hub ------------------------------------------------------------------------------------

# Of what the package defines, these are for other services than repositories: nothing here calls those.
ELSEWHERE = (
    *(
        "CacheNotFound",
        "CorruptedCacheException",
        "CachedRepoTreeNotFoundError",
        "OIDCError",
        "DeviceCodeError",
    ),
    *("InferenceEndpointError", "InferenceEndpointTimeoutError", "SafetensorsParsingError"),
    *("NotASafetensorsRepoError", "RevisionResolutionError", "FileDuplicationError", "ConfirmationError"),
    *("CLIError", "CLIExtensionInstallError", "SandboxError", "SandboxCommandError"),
    *("DDUFError", "DDUFCorruptedFileError", "DDUFExportError", "DDUFInvalidEntryNameError"),
    *("StrictDataclassError", "StrictDataclassDefinitionError", "StrictDataclassFieldValidationError"),
    "StrictDataclassClassValidationError",
)
HUB = {
    "RepositoryNotFoundError": "not_found",
    "RevisionNotFoundError": "not_found",
    "GatedRepoError": "refused",
    "DisabledRepoError": "refused",
    "LocalTokenNotFoundError": "refused",
    "EntryNotFoundError": "path_not_found",
    "RemoteEntryNotFoundError": "path_not_found",
    "LocalEntryNotFoundError": "unavailable",
    "IncompleteSnapshotError": "unavailable",
    "OfflineModeIsEnabled": "unavailable",
    "HTTPError": "unavailable",
    "HfHubHTTPError": "unavailable",
    "XetDownloadError": "unavailable",
    "HFValidationError": "misuse",
    "HfUriError": "misuse",
    "BadRequestError": "misuse",
}


class _Reply:
    def __init__(self, status):
        self.status_code = status


def _made(kind, status=None):
    error = kind.__new__(kind)
    Exception.__init__(error, f"it said so: https://h/x?token={SECRET} hf_{SECRET}")
    if status is not None:
        error.response = _Reply(status)
    return error


def test_every_class_of_the_hub_is_in_the_table():
    errors = pytest.importorskip("huggingface_hub.errors")
    foreign = hub_errors.foreign()
    for kind in classes_of(errors):
        if kind.__name__ in ELSEWHERE:
            continue
        assert issubclass(kind, foreign), kind
        said = hub_errors.translate(_made(kind), "write", "hf://o/r/x", "o/r", "HF_TOKEN")
        assert isinstance(said, KitError)
        assert SECRET not in str(said)
        assert said.kind == HUB.get(kind.__name__, "unavailable"), kind


@pytest.mark.parametrize(
    ("status", "kind", "again"),
    [
        (400, "misuse", False),
        (401, "refused", False),
        (403, "refused", False),
        (404, "path_not_found", False),
        (408, "unavailable", True),
        (413, "misuse", False),
        (429, "unavailable", True),
        (500, "unavailable", True),
        (503, "unavailable", True),
    ],
)
def test_the_status_tells_them_apart(status, kind, again):
    errors = pytest.importorskip("huggingface_hub.errors")
    error = _made(errors.HfHubHTTPError, status)
    said = hub_errors.translate(error, "write", "hf://o/r/x", "o/r", "HF_TOKEN")
    assert said.kind == kind
    assert hub_errors.is_transient(error) is again
    if kind == "refused":
        assert "HF_TOKEN" in str(said)
        assert "write to o/r" in str(said)


def test_nothing_secret_is_said_by_a_process_that_fails(tmp_path):
    # As a user sees it: the command's own output, with everything that can be logged.
    pytest.importorskip("obstore")
    code = (
        "import logging, sys; logging.basicConfig(level=1)\n"
        "from nemotron.kit.store.connect import open_store\n"
        f"options = dict(key='AK', secret='{SECRET}', endpoint_url='http://127.0.0.1:9', region='x')\n"
        "options['retry_config'] = {'max_retries': 0}\n"
        "store = open_store('s3://bucket/x', options)\n"
        "print(store, vars(store))\n"
        "store.read('a')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "UnavailableError" in done.stderr
    assert SECRET not in done.stdout + done.stderr
