"""The four stages as processes, on a corpus of a few kilobytes and for a handful of steps."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import run as pipeline

from nemotron import kit
from nemotron.kit import context
from nemotron.kit.artifact import Artifact, ModelArtifact

NAMES = [name for names in pipeline.STAGES.values() for name in names]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Two packages of four modules of six documented functions."""
    folder = tmp_path / "my corpus"
    for package in ("shapes", "words"):
        (folder / package).mkdir(parents=True)
        for module in range(4):
            functions = [
                f'def {package}_{module}_{i}(x):\n    """Return {package} {i}."""\n    return x + {i}\n'
                for i in range(6)
            ]
            (folder / package / f"module{module}.py").write_text("\n\n".join(functions))
    return folder


@pytest.fixture
def script(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a script of the pipeline in a store whose path has a space; returns the finished process."""

    def call(name: str, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, str(pipeline.HERE / f"{name}.py"), "--scale", "tiny", *arguments],
            cwd=tmp_path,
            env=os.environ | {"NEMO_ARTIFACT_ROOT": "my store"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done

    return call


def versions(root: Path) -> dict[str, int | None]:
    with kit.using(root=root):
        registry = context.require_registry()
        return {entry.name: entry.latest for entry in registry.list()}


def content(out: Path, which: int) -> dict[str, bytes]:
    """What the n-th run wrote, by stage and path, but for the kit's own metadata.json, which has times."""
    files = {}
    for stage in sorted(out.iterdir()):
        folder = sorted(stage.iterdir(), key=lambda folder: folder.stat().st_mtime_ns)[which]
        for path in folder.rglob("*"):
            if path.is_file() and path.name != "metadata.json":
                files[f"{stage.name}/{path.relative_to(folder)}"] = path.read_bytes()
    return files


@pytest.mark.slow
def test_versions_follow_what_changed(tmp_path: Path, corpus: Path, script: Callable[..., object]) -> None:
    root, out = tmp_path / "my store", tmp_path / "demo" / "out"
    script("run", "--corpus", str(corpus))
    assert versions(root) == dict.fromkeys(NAMES, 1)

    done = script("run", "--corpus", str(corpus))
    assert versions(root) == dict.fromkeys(NAMES, 1)
    assert re.findall(r"(\S+): unchanged, v1 kept", done.stdout) == NAMES
    first, second = content(out, 0), content(out, 1)
    assert first == second
    assert len(first) > len(NAMES)

    # Another seed of the third stage: its model, and the one that was made of it, not the data.
    script("sft", "--seed", "1")
    done = script("run", "--corpus", str(corpus))
    assert "nano-sft-model: new version v3" in done.stdout  # seed 0 again: a return is a new version
    assert versions(root) == dict.fromkeys(NAMES, 1) | {"nano-sft-model": 3, "nano-rl-model": 2}

    (corpus / "words" / "module0.py").write_text('def other(x):\n    """Return x."""\n    return x\n')
    done = script("run", "--corpus", str(corpus))
    assert versions(root) == dict.fromkeys(NAMES, 2) | {"nano-sft-model": 4, "nano-rl-model": 3}
    assert re.findall(r"(\S+): new version", done.stdout) == NAMES


@pytest.mark.slow
def test_the_lineage_is_what_went_in(tmp_path: Path, corpus: Path, script: Callable[..., object]) -> None:
    done = script("run", "--corpus", str(corpus))
    with kit.using(root=tmp_path / "my store"):
        registry = context.require_registry()
        inputs = {name: set(registry.resolve(name).inputs) for name in NAMES}
        data = Artifact.from_uri("art://nano-pretrain-data")
        model = Artifact.from_uri("art://nano-rl-model")
        sft = Artifact.from_uri("art://nano-sft-data")
    assert inputs == {
        "nano-pretrain-data": {(corpus / name).as_uri() for name in ("shapes", "words")},
        "nano-base-model": {"art://nano-pretrain-data:v1"},
        "nano-sft-data": {"art://nano-pretrain-data:v1", "art://nano-pretrain-data:v1/tokenizer.json"},
        "nano-sft-model": {"art://nano-base-model:v1", "art://nano-sft-data:v1"},
        "nano-rl-data": {"art://nano-sft-data:v1"},
        "nano-rl-model": {"art://nano-sft-model:v1", "art://nano-rl-data:v1"},
    }
    assert isinstance(model, ModelArtifact)
    assert 0 <= model.metadata["reward"] <= 1

    # The counts are those of the files.
    sizes = {path.stem: path.stat().st_size // 2 for path in Path(data.path).glob("*.bin")}
    assert data.total_tokens == sum(sizes.values())
    assert data.valid_tokens == sum(size for name, size in sizes.items() if name.startswith("valid-"))
    assert data.total_sequences == 8
    import packing

    splits = (Path(split) for split in (sft.training_path, sft.validation_path))
    packs = [pack for split in splits for pack in packing.read(split)]
    assert (len(packs), sum(len(pack.input_ids) for pack in packs)) == (sft.total_sequences, sft.total_tokens)

    # What a person sees: the tree, and three commands that can be pasted.
    assert "art://nano-rl-model:v1" in done.stdout
    commands = [line for line in done.stdout.splitlines() if " kit " in line and "--root 'my store'" in line]
    assert len(commands) == 3
    for command in commands:
        shell = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert shell.returncode == 0, shell.stderr
        assert "nano-rl-model" in shell.stdout


def test_the_first_failure_ends_it(tmp_path: Path, script: Callable[..., object]) -> None:
    (tmp_path / "empty").mkdir()
    done = script("run", "--corpus", "empty", code=1)
    assert "Not enough text" in done.stderr
    assert "pretrain" not in done.stdout
    assert not (tmp_path / "my store" / "nano-pretrain-data").exists()


def test_a_stage_says_what_is_missing(script: Callable[..., object]) -> None:
    done = script("pretrain", code=1)
    assert "nano-pretrain-data" in done.stderr


def test_a_model_with_another_tokenizer_is_refused(corpus: Path, script: Callable[..., object]) -> None:
    script("data_prep", "--corpus", str(corpus))
    script("pretrain")
    script("data_prep", "--corpus", str(corpus), "--vocabulary", "280")
    done = script("sft", code=1)
    assert "art://nano-base-model:v1 has another tokenizer than art://nano-pretrain-data:v2" in done.stderr


@pytest.mark.slow
def test_the_lineage_of_the_last_model_shows_stages_runs_and_sources(
    tmp_path: Path, corpus: Path, script: Callable[..., object]
) -> None:
    script("run", "--corpus", str(corpus))
    with kit.using(root=tmp_path / "my store"):
        graph = kit.lineage_of("art://nano-rl-model", runs=True)
    assert {node.name for node in graph if node.kind == "artifact"} == set(NAMES)
    sources = {node.uri for node in graph if node.kind == "external"}
    assert {(corpus / name).as_uri() for name in ("shapes", "words")} <= sources
    made = {node.name: graph.run_of(node.uri) for node in graph if node.kind == "artifact"}
    assert {name: run and (run.name, run.metadata["status"]) for name, run in made.items()} == {
        name: (stage, "finished") for stage, names in pipeline.STAGES.items() for name in names
    }
    assert {edge.role for edge in graph.edges_to("art://nano-sft-model:v1")} == {"base_model", "data"}
