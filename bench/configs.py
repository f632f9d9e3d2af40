"""What `${art:…}` costs: 1,000 of them in a config, after the first, beside OmegaConf without the kit's help.

Prints processor time and asserts nothing; the peer is the same resolver with every text parsed, as OmegaConf
does by itself. Then what it takes to find 1,000 artifacts, and to see whether they are still what was
published.
Run: python bench/configs.py
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import omegaconf
from house import table
from omegaconf import OmegaConf, base

from nemotron import kit
from nemotron.kit import context
from nemotron.kit.integrations.omegaconf import register_resolvers

COUNT = 1000
ROUNDS = 5
LIMIT_MS = 100


def resolving_ms(text: Callable[[int], str]) -> float:
    """The median over fresh configs, each with one interpolation resolved before."""
    times = []
    for turn in range(ROUNDS):
        config = OmegaConf.create({f"key{n}": text(turn * COUNT + n) for n in range(COUNT + 1)})
        assert config[f"key{COUNT}"] is not None
        started = time.process_time()
        for n in range(COUNT):
            config[f"key{n}"]
        times.append(time.process_time() - started)
    return statistics.median(times) * 1000


def looking_ms(scratch: str, reaction: context.Reaction) -> float:
    """Of finding 1,000 artifacts of one file each, which were not looked at before."""
    with kit.using(root=f"{scratch}/{reaction}"):
        for n in range(COUNT + 1):
            folder = Path(scratch, reaction, "data", str(n))
            folder.mkdir(parents=True)
            (folder / "part").write_bytes(b"1")
            kit.Artifact(path=folder).save(name=f"own-{n}")
    with kit.using(root=f"{scratch}/{reaction}", on_drift=reaction):
        register_resolvers({"first": f"own-{COUNT}:v1"}, mode="local")  # what is imported is there
        started = time.process_time()
        register_resolvers({f"own-{n}": f"own-{n}:v1" for n in range(COUNT)}, mode="local")
        return (time.process_time() - started) * 1000


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch, kit.using(root=f"{scratch}/store"):
        fields = {f"field_{n}": n for n in range(COUNT)}
        artifact = kit.Artifact(path=Path(scratch, "data"), metadata=fields)
        artifact.save(name="data")
        register_resolvers({f"data-{n}": "data:v1" for n in range(COUNT)}, mode="local")
        patched, own = base.parse, base.parse.__wrapped__  # type: ignore[attr-defined]
        rows: list[tuple[object, ...]] = [
            ("1,000 interpolations", "ours, ms", "OmegaConf parsing each, ms", "limit, ms")
        ]
        for label, text in (
            ("the same field", lambda n: "${art:data-0,field_0}"),
            ("another field each", lambda n: f"${{art:data-0,field_{n % COUNT}}}"),
            ("another name each", lambda n: f"${{art:data-{n % COUNT},version}}"),
            ("another shard each", lambda n: f"${{art:data-0,path}}/shard-{n}.bin"),
        ):
            ours = resolving_ms(text)
            base.parse = own  # type: ignore[attr-defined]
            theirs = resolving_ms(text)
            base.parse = patched  # type: ignore[attr-defined]
            rows.append((label, f"{ours:.0f}", f"{theirs:.0f}", LIMIT_MS))
        table(f"configs, OmegaConf {omegaconf.__version__}", rows)
        head = ("1,000 artifacts of 1 file", "found, ms", "found and looked at, ms")
        blind, looking = looking_ms(scratch, "ignore"), looking_ms(scratch, "warn")
        table("references in a config", [head, ("each once", f"{blind:.0f}", f"{looking:.0f}")])


if __name__ == "__main__":
    main()
