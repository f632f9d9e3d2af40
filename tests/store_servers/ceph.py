"""Ceph's S3 gateway over a cluster of one: a monitor, a manager, an OSD in memory, radosgw.

Debian: `apt-get install --no-install-recommends ceph-mon ceph-mgr ceph-osd radosgw ceph-common`.
"""

import base64
import hashlib
import hmac
import http.client
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from email.utils import formatdate
from pathlib import Path

from store_servers import free_port, run, running, wait_for

COMMANDS = ("ceph", "ceph-mon", "ceph-mgr", "ceph-osd", "radosgw", "radosgw-admin")
ACCESS, SECRET = "test", "test-secret"
CONFIGURATION = """\
[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{v2}/0,v1:127.0.0.1:{v1}/0]
public network = 127.0.0.0/8
keyring = {folder}/keyring
run dir = {folder}
log file = {folder}/$name.log
admin socket = {folder}/$name.asok
pid file = {folder}/$name.pid
mon data = {folder}/mon
mgr data = {folder}/mgr
osd data = {folder}/osd
osd objectstore = memstore
memstore device bytes = 1073741824
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd crush chooseleaf type = 0
mon allow pool size one = true

[client.rgw.a]
rgw data = {folder}/rgw
rgw frontends = beast endpoint=127.0.0.1:{rgw}
"""


@contextmanager
def serving(folder: Path) -> Iterator[tuple[str, int]]:
    """A gateway whose one user is ACCESS with SECRET; its files are in `folder`, whose path must be short."""
    for name in ("mon", "mgr", "osd", "rgw"):
        (folder / name).mkdir(parents=True)
    fsid, v1, v2, rgw = str(uuid.uuid4()), free_port(), free_port(), free_port()
    configuration, keyring, map_ = folder / "ceph.conf", folder / "keyring", folder / "monmap"
    configuration.write_text(CONFIGURATION.format(folder=folder, fsid=fsid, v1=v1, v2=v2, rgw=rgw))
    run(
        "ceph-authtool",
        "--create-keyring",
        str(keyring),
        "--gen-key",
        "-n",
        "mon.",
        "--cap",
        "mon",
        "allow *",
    )
    all_of_it = [word for what in ("mon", "osd", "mgr") for word in ("--cap", what, "allow *")]
    for who in ("client.admin", "client.rgw.a", "mgr.a", "osd.0"):
        run("ceph-authtool", str(keyring), "--gen-key", "-n", who, *all_of_it)
    address = f"[v2:127.0.0.1:{v2},v1:127.0.0.1:{v1}]"
    run("monmaptool", "--create", "--addv", "a", address, "--fsid", fsid, str(map_))
    use = ("-c", str(configuration))
    run("ceph-mon", *use, "--mkfs", "-i", "a", "--monmap", str(map_), "--keyring", str(keyring))
    with ExitStack() as stack:

        def start(name: str, *command: str, port: int | None = None) -> None:
            log = folder / f"{name}.out"
            process = stack.enter_context(running([*command, "-f", *use], log))
            if port is not None:
                wait_for(port, process, log)

        start("mon", "ceph-mon", "-i", "a", port=v1)
        start("mgr", "ceph-mgr", "-i", "a")
        number = run("ceph", *use, "osd", "create").strip()
        run("ceph-osd", *use, "-i", number, "--mkfs")
        start("osd", "ceph-osd", "-i", number)
        start("rgw", "radosgw", "-n", "client.rgw.a", port=rgw)
        keys = (f"--access-key={ACCESS}", f"--secret-key={SECRET}")
        run("radosgw-admin", *use, "user", "create", "--uid=kit", "--display-name=kit", *keys)
        yield "127.0.0.1", rgw


def new_bucket(target: tuple[str, int]) -> str:
    """Make a bucket with a fresh name, by a request signed in the oldest way; returns the name."""
    name = f"b{uuid.uuid4().hex[:12]}"
    date = formatdate(usegmt=True)
    signature = hmac.digest(SECRET.encode(), f"PUT\n\n\n{date}\n/{name}/".encode(), hashlib.sha1)
    said = f"AWS {ACCESS}:{base64.b64encode(signature).decode()}"
    connection = http.client.HTTPConnection(*target)
    connection.request("PUT", f"/{name}/", headers={"Date": date, "Authorization": said})
    reply = connection.getresponse()
    body = reply.read().decode()
    connection.close()
    assert reply.status == 200, body
    return name
