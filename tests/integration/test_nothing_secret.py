"""P8: after a run that had secrets everywhere, none is in the store, the folder, a log or an error."""

import os
import subprocess
import sys
from pathlib import Path

MARK = "Xs3cr3tX"
SCRIPT = """\
import logging, os, sys
from pathlib import Path

from nemotron import kit
from nemotron.kit.errors import KitError
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry

logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
logging.getLogger("nemotron").setLevel(logging.DEBUG)
MARK, place = os.environ["HF_TOKEN"], Path(sys.argv[1])
SIGNED = f"https://127.0.0.1:9/data.jsonl?X-Amz-Credential={MARK}&X-Amz-Signature={MARK}"
KEY = f"s3://AKIAABCDEFGHIJKLMNOP:a/{MARK}+b@bucket/x"
USER = f"https://me:{MARK}@127.0.0.1:9/x"
CHAIN = f"zip://a.txt::https://me:{MARK}@127.0.0.1:9/x.zip"

kit.init(backend="fsspec", root=str(place / "store"))
data = place / "data"
data.mkdir()
(data / "part.txt").write_text("hello")
config = {
    "wandb": {"api_key": MARK},
    "db": {"password": MARK, "url": USER},
    "hf_token": MARK,
    "env": "hf_" + MARK * 3,
    "lr": 0.1,
}
try:
    with kit.run("prep", config=config):
        said = {"from": SIGNED, "deep": [{"see": USER}], "chain": CHAIN, USER: 1, "key": "hf_" + MARK * 3}
        made = kit.Artifact(path=data, metadata=said)
        made.save(name="m", inputs=[SIGNED, USER])
        again = kit.Artifact(path=data, metadata={"step": 2})
        again.save(name="m", snapshot=True, inputs=[kit.Input(CHAIN, role="data"), SIGNED, KEY])
        kit.Artifact(path=SIGNED, metadata={}).save(name="far")
        raise RuntimeError(f"cannot open {SIGNED}, {USER}")
except RuntimeError:
    pass
from nemotron.kit.exporters import FORMATS, export

graph = kit.lineage_of("art://m:v2", runs=True)
for to in FORMATS:
    (place / f"lineage.{to}").write_text(export(graph, to))
    assert to in ("mermaid", "dot") or "data.jsonl" in (place / f"lineage.{to}").read_text(), to
print(repr(graph), repr(kit.context.require_registry()), repr(kit.get_lineage_tracker()))
registry = kit.context.require_registry()
registry.alias("m", "good", 1, why=f"as {USER} says")
registry.withdraw("m:v2", f"see {SIGNED}")
registry.remap("/old", "/new", why=f"see {USER}")
for root in (USER, SIGNED, CHAIN, f"s3://key:{MARK}@bucket/x", f"sftp://me:{MARK}@127.0.0.1:9/x"):
    for call in (
        lambda: Registry.open(root).resolve("m"),
        lambda: Registry.open(root).publish(Draft(name="m", source=data)),
        lambda: kit.Artifact(path=root).save(name="m", snapshot=True),
        lambda: kit.Artifact.from_uri(root),
        lambda: registry.resolve(root),
        lambda: registry.remap(root, "/new"),
    ):
        try:
            call()
        except (KitError, ValueError) as error:
            print(type(error).__name__, error)
"""


def test_no_secret_is_written_down_or_said(tmp_path: Path) -> None:
    script = tmp_path / "prep.py"
    script.write_text(SCRIPT)
    place = tmp_path / "place"
    place.mkdir()
    secret = [
        "--api-key",
        MARK,
        f"db.password={MARK}",
        f"data.url=https://me:{MARK}@127.0.0.1:9/x",
        "--steps=5",
    ]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("NEMO_")}
    environment |= {"WANDB_API_KEY": MARK, "HF_TOKEN": MARK, "AWS_SECRET_ACCESS_KEY": MARK}
    command = [sys.executable, str(script), str(place), *secret]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert MARK not in done.stdout, done.stdout
    assert MARK not in done.stderr, done.stderr
    files = [path for path in place.rglob("*") if path.is_file()]
    assert len(files) > 10
    for path in files:
        assert MARK not in str(path)
        assert [line for line in path.read_text(errors="replace").splitlines() if MARK in line] == [], path
