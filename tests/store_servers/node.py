"""Servers from npm: Azurite, Azure's blob service, and s3rver, an S3-like that ignores conditions."""

import base64
import hashlib
import hmac
import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from store_servers import find, free_port, running, wait_for

# Azurite's one account, and its published key: of no secret.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
VERSION = "2021-08-06"


@contextmanager
def azurite(folder: Path) -> Iterator[tuple[str, int]]:
    """Azure's blob service, in memory."""
    port, log = free_port(), folder / "azurite.out"
    command = [str(find("azurite-blob")), "--blobHost", "127.0.0.1", "--blobPort", str(port), "--silent"]
    command += [
        "--inMemoryPersistence",
        "--skipApiVersionCheck",
        "--disableTelemetry",
    ]
    with running(command, log) as process:
        wait_for(port, process, log)
        yield "127.0.0.1", port


def new_container(target: tuple[str, int], name: str) -> None:
    """Make a container; signed by hand, so that no client of Azure's is needed."""
    path = f"/{ACCOUNT}/{name}"
    date = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    headers = {"x-ms-date": date, "x-ms-version": VERSION}
    said = "".join(f"{key}:{value}\n" for key, value in headers.items())
    # Verb, eleven standard headers that are empty, the x-ms- headers, the resource.
    text = f"PUT{chr(10) * 12}{said}/{ACCOUNT}{path}\nrestype:container"
    signature = hmac.digest(base64.b64decode(KEY), text.encode(), hashlib.sha256)
    headers["Authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(signature).decode()}"
    connection = http.client.HTTPConnection(*target)
    connection.request("PUT", f"{path}?restype=container", headers={**headers, "Content-Length": "0"})
    reply = connection.getresponse()
    said = reply.read().decode()
    connection.close()
    assert reply.status == 201, said


@contextmanager
def s3rver(folder: Path, bucket: str) -> Iterator[tuple[str, int]]:
    """An S3-like that overwrites whatever the condition."""
    port, log = free_port(), folder / "s3rver.out"
    command = [str(find("s3rver")), "-d", str(folder), "-a", "127.0.0.1", "-p", str(port), "--silent"]
    with running([*command, "--configure-bucket", bucket], log) as process:
        wait_for(port, process, log)
        yield "127.0.0.1", port
