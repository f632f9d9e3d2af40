"""One reference, seen through every door of the kit; as a script, from a process of its own.

Each view is asked for the version of a reference and for what `part.txt` says there.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

View = Callable[[str], tuple[str, str]]


def from_uri(ref: str) -> tuple[str, str]:
    from nemotron.kit import Artifact

    artifact = Artifact.from_uri(ref)
    assert artifact.uri is not None
    return artifact.uri, (Path(artifact.path) / "part.txt").read_text()


def art_path(ref: str) -> tuple[str, str]:
    from nemotron.kit import Artifact

    again = Artifact.from_uri(Artifact.from_uri(ref).art_path)
    assert again.uri is not None
    return again.uri, (Path(again.path) / "part.txt").read_text()


def tracked(ref: str) -> tuple[str, str]:
    from nemotron.kit import Artifact, get_lineage_tracker

    tracker = get_lineage_tracker()
    assert tracker is not None
    folder = tracker.use_artifact(ref, "artifact")
    artifact = Artifact.load(tracked_artifact=ref.removeprefix("art://"))
    assert artifact.uri is not None
    return artifact.uri, (folder / "part.txt").read_text()


def registry(ref: str) -> tuple[str, str]:
    from nemotron.kit import context

    store = context.require_registry()
    record = store.resolve(ref)
    [entry] = [entry for entry in store.list() if entry.name == record.name]
    assert record.version in entry.versions
    assert record in store.versions(record.name)
    return record.uri, store.inside(f"{record.uri}/part.txt").read_text()


def file_system(ref: str) -> tuple[str, str]:
    import fsspec

    with fsspec.open(f"{ref}/part.txt", "rt") as file:
        text = file.read()
    return fsspec.filesystem("art").info(ref)["uri"], text


def index(ref: str) -> tuple[str, str]:
    from nemo_runspec.artifact_registry import get_artifact_registry

    store = get_artifact_registry()
    name, _, version = ref.removeprefix("art://").partition(":")
    folder = store.resolve(name, version or None)
    entry = store.get(name)
    assert entry is not None
    assert entry in store.list()
    [found] = [one for one in entry.versions if one.path == str(folder)]
    return f"art://{entry.name}:v{found.version}", (folder / "part.txt").read_text()


def lineage(ref: str) -> tuple[str, str]:
    from nemotron.kit import lineage_of

    node = lineage_of(ref).root
    assert node.path is not None
    return node.uri, (Path(node.path) / "part.txt").read_text()


def command(ref: str) -> tuple[str, str]:
    """`nemotron kit resolve`, in this process, as it would be typed."""
    from typer.testing import CliRunner

    from nemotron.kit import context
    from nemotron.kit.cli import app

    root = context.require_registry().root
    shown = CliRunner().invoke(app, ["kit", "resolve", ref, "--root", root, "--json"])
    assert shown.exit_code == 0, shown.output
    document = json.loads(shown.stdout)
    plain = CliRunner().invoke(app, ["kit", "resolve", f"{ref}/part.txt", "--root", root])
    assert plain.exit_code == 0, plain.output
    return document["uri"], Path(plain.stdout.strip()).read_text()


VIEWS: tuple[View, ...] = (from_uri, art_path, tracked, registry, file_system, index, lineage, command)


def see(refs: list[str]) -> dict[str, dict[str, tuple[str, str]]]:
    """For each view, what each reference is."""
    return {view.__name__: {ref: view(ref) for ref in refs} for view in VIEWS}


if __name__ == "__main__":
    root, *refs = sys.argv[1:]
    if root:
        from nemotron import kit

        kit.init(backend="fsspec", root=root)
    json.dump(see(refs), sys.stdout)
