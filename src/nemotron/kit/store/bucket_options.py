"""Credentials, endpoints and options of buckets, in the words that users of the usual clients know.

Options are obstore's own, or spelt as for s3fs, gcsfs and adlfs; the environment is that of those clients
too. What is given wins over the environment. An option that nobody knows is refused by name.
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nemotron.kit.errors import MissingExtraError, MisuseError, RefusedError
from nemotron.kit.store.bucket_errors import translate_botocore

# s3fs, and the arguments of boto3 that it passes on.
_S3_NAMES = {
    "key": "access_key_id",
    "secret": "secret_access_key",
    "token": "session_token",
    "anon": "skip_signature",
    "endpoint_url": "endpoint",
    "requester_pays": "request_payer",
    "aws_access_key_id": "access_key_id",
    "aws_secret_access_key": "secret_access_key",
    "aws_session_token": "session_token",
    "region_name": "region",
}
_GCS_NAMES = {"endpoint_url": "base_url", "anon": "skip_signature"}
_AZURE_NAMES = {"sas_token": "sas_key", "anon": "skip_signature", "account_host": "endpoint"}
# An account of Azurite and of its predecessors; published, so of no secret.
_EMULATOR = (
    "AccountName=devstoreaccount1;BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;AccountKey="
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
_CONNECTION = {
    "accountname": "account_name",
    "accountkey": "account_key",
    "sharedaccesssignature": "sas_key",
    "blobendpoint": "endpoint",
}


@dataclass(slots=True)
class Settings:
    """How to reach a bucket.

    Attributes:
        config: obstore's configuration of the store.
        client: obstore's options of the HTTP client.
        retry: obstore's options of retries, or None.
        source: where the credentials come from, for messages; never the credentials.
        provider: gives credentials when asked, or None.
    """

    config: dict[str, Any]
    client: dict[str, Any]
    retry: Any
    source: str
    provider: "ProfileCredentials | None" = field(default=None)

    def __repr__(self) -> str:
        return f"Settings(credentials from {self.source})"


def settle(kind: str, host: str, options: Mapping[str, Any]) -> Settings:
    """What a bucket's client is to be told.

    Args:
        kind: `s3`, `gcs` or `azure`.
        host: from the URL: the bucket, or Azure's `container@account.dfs.core.windows.net`.
        options: as the user gave them.

    Raises:
        MisuseError: two options contradict each other, or one is unknown here.
        MissingExtraError: an AWS profile is named, and botocore is not installed.
    """
    given = dict(options)
    client = dict(given.pop("client_options", None) or {})
    retry = given.pop("retry_config", None)
    settings = {"s3": _s3, "gcs": _gcs, "azure": _azure}[kind](given, client, host)
    settings.retry = retry if retry is not None else settings.retry
    endpoint = settings.config.get("endpoint") or settings.config.get("base_url") or ""
    # Whoever writes http:// means it; boto3 and s3fs ask for no second word.
    settings.client = _over_http(settings.client, str(endpoint))
    return settings


def _s3(given: dict[str, Any], client: dict[str, Any], host: str) -> Settings:
    retry = _from_boto(given, client)
    profile = given.pop("profile", None)
    if given.pop("use_ssl", True) is False:
        client.setdefault("allow_http", True)
    config = _renamed(given, _S3_NAMES)
    environment = os.environ.get
    if "skip_signature" in config or environment("AWS_SKIP_SIGNATURE"):
        source = "none: anonymous"
    elif "access_key_id" in config:
        source = "storage_options"
    else:
        source = next((name for name in _AWS_SOURCES if environment(name)), "")
    keys = source in ("none: anonymous", "storage_options", _AWS_SOURCES[0])
    named = profile or (None if keys else environment("AWS_PROFILE"))
    provider = _profile(named) if named or not source else None
    said = provider.config if provider is not None else {}
    source = provider.name if provider is not None else source
    for key, names in _AWS_PLACES.items():
        value = config.get(key) or next(filter(None, map(environment, names)), None) or said.get(key)
        if value:
            config[key] = value
    if environment("AWS_ENDPOINT_URL_S3") not in (None, "", config.get("endpoint")):
        config["aws_endpoint_url_s3"] = config["endpoint"]  # obstore takes the variable before the option
    source = source or "the metadata service of this instance, as AWS_ACCESS_KEY_ID is not set"
    return Settings(config, client, retry, source, provider)


_AWS_SOURCES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)


# Options of the place, and the variables that say them, the more special one first.
_AWS_PLACES = {
    "endpoint": ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"),
    "region": ("AWS_REGION", "AWS_DEFAULT_REGION"),
}


def _from_boto(given: dict[str, Any], client: dict[str, Any]) -> dict[str, Any] | None:
    """Take in s3fs's `client_kwargs` and `config_kwargs`, which are boto3's; returns options of retries."""
    for key, value in dict(given.pop("client_kwargs", None) or {}).items():
        if key == "verify":
            if value is False:
                client["allow_invalid_certificates"] = True
        elif key == "use_ssl":
            given["use_ssl"] = value
        elif key in _S3_NAMES:
            given[key] = value
        else:
            raise MisuseError(f"Unknown storage option: client_kwargs.{key}")
    retry = None
    for key, value in dict(given.pop("config_kwargs", None) or {}).items():
        match key, value:
            case (("connect_timeout" | "read_timeout"), _):
                client[key] = f"{value}s"
            case "s3", {"addressing_style": style, **rest} if not rest:
                given["virtual_hosted_style_request"] = style == "virtual"
            case "retries", {"max_attempts": attempts}:
                retry = {"max_retries": attempts}
            case "signature_version", "s3v4":
                pass
            case _:
                raise MisuseError(f"Unknown storage option: config_kwargs.{key}")
    return retry


_NO_KEY = ("client_email", "private_key", "private_key_id")


def _over_http(client: dict[str, Any], endpoint: str) -> dict[str, Any]:
    return {"allow_http": True, **client} if endpoint.startswith("http://") else client


def _gcs(given: dict[str, Any], client: dict[str, Any], host: str) -> Settings:
    given.pop("project", None)  # gcsfs asks for it to make buckets
    token = given.pop("token", None)
    match token:
        case "anon":
            given["skip_signature"] = True
        case Mapping():
            given["service_account_key"] = json.dumps(dict(token))
        case str() if token not in ("google_default", "cloud"):
            given["service_account"] = token
    config = _renamed(given, _GCS_NAMES)
    emulator = os.environ.get("STORAGE_EMULATOR_HOST")
    if emulator and "base_url" not in config:
        place = emulator if "://" in emulator else f"http://{emulator}"
        # obstore asks for a token before it writes, whatever skip_signature says; not with such a key.
        key = {"gcs_base_url": place, "disable_oauth": True, **dict.fromkeys(_NO_KEY, "")}
        client = _over_http(client, place)
        return Settings({"service_account_key": json.dumps(key)}, client, None, "none: an emulator")
    if config.get("skip_signature"):
        source = "none: anonymous"
    elif config.keys() & {
        "service_account",
        "service_account_key",
        "application_credentials",
        "bearer_token",
    }:
        source = "storage_options"
    else:
        names = ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_KEY")
        source = next(
            (name for name in names if os.environ.get(name)), "gcloud's default, or the metadata service"
        )
    return Settings(config, client, None, source)


def _azure(given: dict[str, Any], client: dict[str, Any], host: str) -> Settings:
    environment = os.environ.get
    config = _renamed(given, _AZURE_NAMES)
    config.pop("location_mode", None)
    text = config.pop("connection_string", None)
    source = (
        "storage_options"
        if text or config.keys() & {"account_key", "sas_key", "client_secret", "token"}
        else ""
    )
    if not source and not text and (text := environment("AZURE_STORAGE_CONNECTION_STRING")):
        source = "AZURE_STORAGE_CONNECTION_STRING"
    for key, value in (_connection(text) if text else {}).items():
        config.setdefault(key, value)
    account, _, domain = host.partition("@")[2].partition(".")
    if account:
        config.setdefault("account_name", account)
        if domain and not domain.endswith("core.windows.net"):
            config.setdefault("endpoint", f"https://{account}.blob.{domain.partition('.')[2]}")
    # As the az command spells them.
    for key, name in {"account_name": "AZURE_STORAGE_ACCOUNT", "account_key": "AZURE_STORAGE_KEY"}.items():
        if not source and key not in config and (value := environment(name)):
            config[key] = value
    if "://" not in (endpoint := str(config.get("endpoint") or environment("AZURE_STORAGE_ENDPOINT") or "")):
        endpoint = f"https://{endpoint}" if endpoint else ""
    if endpoint:
        config["endpoint"] = endpoint
    if config.get("skip_signature"):
        source = "none: anonymous"
    names = ("ACCOUNT_KEY", "ACCESS_KEY", "KEY", "SAS_TOKEN", "SAS_KEY", "CLIENT_SECRET", "TOKEN")
    named = [name for end in names for name in (f"AZURE_STORAGE_{end}", f"AZURE_{end}") if environment(name)]
    return Settings(config, client, None, source or next(iter(named), "the managed identity of this machine"))


def _connection(text: str) -> dict[str, Any]:
    """The options in one of Azure's connection strings."""
    parts = dict(part.split("=", 1) for part in text.split(";") if "=" in part)
    said = {key.strip().lower(): value.strip() for key, value in parts.items()}
    if said.get("usedevelopmentstorage", "").lower() == "true":
        return _connection(_EMULATOR)
    options = {_CONNECTION[key]: value for key, value in said.items() if key in _CONNECTION}
    suffix = said.get("endpointsuffix", "core.windows.net")
    if "endpoint" not in options and suffix != "core.windows.net" and "account_name" in options:
        protocol = said.get("defaultendpointsprotocol", "https")
        options["endpoint"] = f"{protocol}://{options['account_name']}.blob.{suffix}"
    if not options.keys() & {"account_name", "endpoint"}:
        raise MisuseError("Not a connection string of Azure: it has neither AccountName nor BlobEndpoint")
    return options


def _renamed(given: dict[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    renamed: dict[str, Any] = {}
    for key, value in given.items():
        if value is None:
            continue
        name = names.get(key, key)
        if renamed.setdefault(name, value) != value:
            raise MisuseError(f"Two storage options contradict each other: {key} is another word for {name}")
    return renamed


# -- profiles of the AWS configuration files ----------------------------------------------------------------


class ProfileCredentials:
    """Credentials of a profile, by botocore: keys, assumed roles, SSO, processes.

    Attributes:
        name: for messages.
        config: what else the profile says: region, endpoint.
        problem: what botocore said last, if it failed.
    """

    def __init__(self, name: str, credentials: Any, config: dict[str, Any]) -> None:
        self.name = name
        self.config = config
        self.problem: Exception | None = None
        self._credentials = credentials

    def __call__(self) -> Any:
        """Called by obstore, from any thread."""
        from datetime import UTC, datetime, timedelta

        from botocore.exceptions import BotoCoreError

        try:
            frozen = self._credentials.get_frozen_credentials()
        except BotoCoreError as error:
            self.problem = error
            raise
        return {
            "access_key_id": frozen.access_key,
            "secret_access_key": frozen.secret_key,
            "token": frozen.token,
            "expires_at": datetime.now(UTC) + timedelta(minutes=5),
        }


def _profile(name: str | None) -> ProfileCredentials | None:
    """A profile's credentials; None where no profile is asked for, and the default one has none."""
    home: Callable[[str], str] = os.path.expanduser
    files = (
        os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or home("~/.aws/credentials"),
        os.environ.get("AWS_CONFIG_FILE") or home("~/.aws/config"),
    )
    if not name and not any(os.path.exists(path) for path in files):
        return None
    shown = f"the AWS profile {name or 'default'}"
    try:
        from botocore.exceptions import BotoCoreError
        from botocore.session import Session
    except ImportError as error:
        if not name:
            return None
        raise MissingExtraError(f"Cannot use {shown}: it takes botocore: pip install boto3") from error
    try:
        session = Session(profile=name)
        said = session.get_scoped_config()
        credentials = session.get_credentials()
    except BotoCoreError as error:
        raise translate_botocore(error, shown) from error
    if credentials is None:
        if not name:
            return None
        raise RefusedError(f"Cannot use {shown}: it has no credentials; look at {' and '.join(files)}")
    known = {"region": said.get("region"), "endpoint": said.get("endpoint_url")}
    return ProfileCredentials(shown, credentials, {key: value for key, value in known.items() if value})
