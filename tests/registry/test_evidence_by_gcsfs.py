"""Evidence of data at gs:// where gcsfs is installed and obstore is not, against an emulator of Google's."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from store_servers import google

pytestmark = pytest.mark.skipif(
    not (os.environ.get("TEST_STORES") and google.PYTHON.exists()),
    reason="an environment of its own with gcsfs; run `make test-stores`",
)

SCRIPT = """
import json
import sys

import gcsfs

from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry

files = gcsfs.GCSFileSystem(project="p", token="anon")
files.mkdir("bucket")
for key, data in {"a.bin": b"aaaa", "sub/b.bin": b"bbbbbb", "sub/deep/c.bin": b"c"}.items():
    files.pipe_file(f"bucket/data/{key}", data)
registry = Registry.open(sys.argv[1])


def verified(**more):
    found = registry.verify("d", storage_options={"token": "anon"}, **more)
    return [[item.path, item.verdict, item.is_sure] for item in found.files], found.bytes_read, found.requests


draft = Draft(name="d", source="gs://bucket/data", at_url={"token": "anon"})
record = registry.publish(draft).record
found = registry.tree(record).entries
entries = [[entry.path, entry.size, entry.etag, bool(entry.object_version)] for entry in found]
same, again = verified(), registry.publish(draft).created
files.pipe_file("bucket/data/a.bin", b"AAAA")
files.pipe_file("bucket/data/sub/b.bin", b"longer than before")
files.pipe_file("bucket/data/new.bin", b"new")
files.rm("bucket/data/sub/deep/c.bin")
print(json.dumps({"entries": entries, "same": same, "again": again, "later": verified()}))
"""


def test_evidence_by_gcsfs(tmp_path: Path) -> None:
    with google.emulator(tmp_path) as url:
        # Without this gcsfs asks by gRPC what kind of bucket it is, which no emulator answers.
        more = {"STORAGE_EMULATOR_HOST": url, "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false"}
        done = subprocess.run(
            [str(google.PYTHON), "-c", SCRIPT, str(tmp_path / "root")],
            env={**os.environ, **more},
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["entries"] == [  # each etag as Google's XML interface tells it, which obstore asks
        ["a.bin", 4, '"74b87337454200d4d33f80c4663dc5e5"', True],
        ["sub/b.bin", 6, '"875f26fdb1cecf20ceb4ca028263dec6"', True],
        ["sub/deep/c.bin", 1, '"4a8a08f09d37b73795649038408b5f33"', True],
    ]
    assert (said["same"], said["again"]) == ([[], 0, 3], False)  # a listing for each of three folders
    assert said["later"][:2] == [
        [
            ["a.bin", "changed", False],
            ["new.bin", "extra", True],
            ["sub/b.bin", "changed", True],
            ["sub/deep/c.bin", "missing", True],
        ],
        0,
    ]
