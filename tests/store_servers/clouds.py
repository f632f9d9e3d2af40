"""One face for the servers of all object stores: moto, Ceph's gateway, Azurite, and Google's interface."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import bucket_server
from google_server import Google
from store_servers import ceph, node

NEEDS = {"moto": (), "radosgw": ceph.COMMANDS, "azurite": ("node", "azurite-blob")}


@dataclass
class Server:
    """A running server.

    Attributes:
        name: what it is.
        target: host and port.
        is_atomic: whether its conditional writes are; moto looks and then writes.
    """

    name: str
    target: tuple[str, int]
    is_atomic: bool = True
    made: int = 0
    google: Google | None = None

    def environment(self, endpoint: str) -> dict[str, str]:
        """What a client needs to know."""
        if self.name == "azurite":
            return {
                "AZURE_STORAGE_ACCOUNT_NAME": node.ACCOUNT,
                "AZURE_STORAGE_ACCOUNT_KEY": node.KEY,
                "AZURE_STORAGE_ENDPOINT": f"{endpoint}/{node.ACCOUNT}",
            }
        if self.name == "google":
            return {"STORAGE_EMULATOR_HOST": endpoint}
        return bucket_server.environment(endpoint)

    def new_bucket(self) -> str:
        """The URL of a fresh bucket."""
        if self.name == "azurite":
            self.made += 1
            node.new_container(self.target, f"c{self.made:04d}")
            return f"az://c{self.made:04d}"
        if self.google is not None:
            return f"gs://{self.google.new_bucket()}"
        if self.name == "radosgw":
            return f"s3://{ceph.new_bucket(self.target)}"
        return f"s3://{bucket_server.new_bucket(self.target)}"

    def new_root(self) -> str:
        """A root in a fresh bucket."""
        return f"{self.new_bucket()}/team/artifacts"


@contextmanager
def started(name: str) -> Iterator[Server]:
    """A server by its name: one of `NEEDS`, or `google`."""
    # Sockets of Ceph lie in the folder, and their paths must be short.
    with tempfile.TemporaryDirectory(prefix="kit") as folder:
        if name == "radosgw":
            with ceph.serving(Path(folder)) as target:
                yield Server(name, target)
        elif name == "azurite":
            with node.azurite(Path(folder)) as target:
                yield Server(name, target)
        elif name == "google":
            google = Google()
            yield Server(name, google.address, google=google)
            google.close()
        else:
            with bucket_server.serving_apart(Path(folder)) as target:
                yield Server(name, target, is_atomic=False)
