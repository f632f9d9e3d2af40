"""The four stages as processes, on a corpus of a few kilobytes and for a handful of steps."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy
import pyarrow.parquet
import pytest
import run as pipeline
from tokenizers import Tokenizer

from nemotron import kit
from nemotron.kit import context
from nemotron.kit.artifact import Artifact, ModelArtifact

NAMES = [name for names in pipeline.STAGES.values() for name in names]
# The source datasets of the corpus, and what each function returns.
PACKAGES = {"shapes": "x + {i}", "words": "(x + {i}) * (x - {i})"}
TEXTS = [f"nano-text-{package}" for package in PACKAGES]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Two packages of four modules of six documented functions."""
    folder = tmp_path / "my corpus"
    for package, body in PACKAGES.items():
        (folder / package).mkdir(parents=True)
        for module in range(4):
            functions = [
                f'def {package}_{module}_{i}(x):\n    """Return {package} {i}."""\n    return {code}\n'
                for i, code in ((i, body.format(i=i)) for i in range(6))
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
    assert versions(root) == dict.fromkeys([*NAMES, *TEXTS], 1)

    done = script("run", "--corpus", str(corpus))
    assert versions(root) == dict.fromkeys([*NAMES, *TEXTS], 1)
    assert re.findall(r"(\S+): unchanged, v1 kept", done.stdout) == NAMES
    first, second = content(out, 0), content(out, 1)
    assert first == second
    assert len(first) > len(NAMES)

    # Another seed of the third stage: its model, and the one that was made of it, not the data.
    script("sft", "--seed", "1")
    done = script("run", "--corpus", str(corpus))
    assert "nano-sft-model: new version v3" in done.stdout  # seed 0 again: a return is a new version
    texts = dict.fromkeys(TEXTS, 1)
    assert versions(root) == dict.fromkeys(NAMES, 1) | texts | {"nano-sft-model": 3, "nano-rl-model": 2}

    (corpus / "words" / "module0.py").write_text('def other(x):\n    """Return x."""\n    return x\n')
    done = script("run", "--corpus", str(corpus))
    texts["nano-text-words"] = 2
    assert versions(root) == dict.fromkeys(NAMES, 2) | texts | {"nano-sft-model": 4, "nano-rl-model": 3}
    assert re.findall(r"(\S+): new version", done.stdout) == NAMES
    for name, before, after in (("nano-pretrain-data", 1, 2), ("nano-rl-model", 2, 3)):
        one_file_is_the_first_cause(root, corpus, f"{name}:v{before}", f"{name}:v{after}")
    said = json.loads(nemotron(root, "diff", "nano-pretrain-data:v1", "nano-pretrain-data:v2", "--json"))
    assert {file["path"] for file in said["files"]} == differing(second, content(out, -1), "data_prep/")


def one_file_is_the_first_cause(root: Path, corpus: Path, before: str, after: str) -> None:
    """Of versions between which a file of the corpus changed `diff` names that first; the rest follows."""
    sections = re.split(r"^(?=\S)", nemotron(root, "diff", before, after), flags=re.M)[1:]
    title, changed, total = sections[0].splitlines()
    assert title == "art://nano-text-words:v1 → art://nano-text-words:v2"
    assert changed == "  file      ~ words/module0.py"
    assert re.fullmatch(r"  total     ~ bytes: [\d,]+ → [\d,]+", total)
    assert len(sections) == (2 if before.startswith("nano-pretrain-data") else 7)
    noise = ("created", "elapsed", "run", "time", "out", "path", "config", "seed", "code", "package")
    for section in sections[1:]:
        lines = section.splitlines()[1:]
        assert lines[0].startswith("  input     ~ "), section
        assert {line.split()[0] for line in lines} <= {"input", "use", "share", "metadata", "file", "total"}
        assert not [line for line in lines if any(word in line.split(":")[0] for word in noise)], section
    said = json.loads(nemotron(root, "diff", before, after, "--json"))
    first = said["upstream"][0]
    assert (first["a"], first["b"]) == ("art://nano-text-words:v1", "art://nano-text-words:v2")
    assert first["files"] == [{"path": "words/module0.py", "verdict": "changed"}]
    assert (first["inputs"], first["metadata"]) == ([], {})
    assert set(said["composition"]) == {(corpus / name).as_uri() for name in PACKAGES}
    for one in (*said["upstream"], said):
        assert [one[key] for key in ("type", "config", "seeds", "code", "packages")] == [None, {}, {}, {}, {}]
        assert {file["verdict"] for file in one["files"]} == {"changed"}
        assert all(change["a"] != change["b"] for change in one["metadata"].values())


def differing(old: dict[str, bytes], new: dict[str, bytes], stage: str) -> set[str]:
    """The files of a stage that are not the same in two runs; some are."""
    names = {name for name in {*old, *new} if name.startswith(stage)}
    found = {name.removeprefix(stage) for name in names if old.get(name) != new.get(name)}
    assert 0 < len(found) < len(names)
    return found


def nemotron(root: Path, *arguments: str) -> str:
    """What a command says."""
    command = [sys.executable, "-m", "nemotron.kit.cli", "kit", *arguments, "--root", str(root)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_lineage_is_what_went_in(tmp_path: Path, corpus: Path, script: Callable[..., object]) -> None:
    done = script("run", "--corpus", str(corpus))
    with kit.using(root=tmp_path / "my store"):
        registry = context.require_registry()
        inputs = {name: set(registry.resolve(name).inputs) for name in NAMES}
        sources = {name: registry.resolve(name).inputs for name in TEXTS}
        data = Artifact.from_uri("art://nano-pretrain-data")
        model = Artifact.from_uri("art://nano-rl-model")
        sft = Artifact.from_uri("art://nano-sft-data")
    assert inputs == {
        "nano-pretrain-data": {"art://nano-text-shapes:v1", "art://nano-text-words:v1"},
        "nano-base-model": {"art://nano-pretrain-data:v1"},
        "nano-sft-data": {
            *("art://nano-pretrain-data:v1", "art://nano-pretrain-data:v1/tokenizer.json"),
            *("art://nano-text-shapes:v1", "art://nano-text-words:v1"),
        },
        "nano-sft-model": {"art://nano-base-model:v1", "art://nano-sft-data:v1"},
        "nano-rl-data": {"art://nano-sft-data:v1"},
        "nano-rl-model": {"art://nano-sft-model:v1", "art://nano-rl-data:v1"},
    }
    assert sources == {f"nano-text-{name}": [(corpus / name).as_uri()] for name in PACKAGES}
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

    shares_are_those_counted_by_hand(tmp_path, corpus)

    # What a person sees: the tree, and three commands that can be pasted.
    assert "art://nano-rl-model:v1" in done.stdout
    commands = [line for line in done.stdout.splitlines() if " kit " in line and "--root 'my store'" in line]
    assert len(commands) == 3
    for command in commands:
        shell = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert shell.returncode == 0, shell.stderr
        assert "nano-rl-model" in shell.stdout


def shares_are_those_counted_by_hand(tmp_path: Path, corpus: Path) -> None:
    """What `composition` says, against counts of the raw files that no code of kit or pipeline has made."""
    (saved,) = (tmp_path / "demo" / "out" / "data_prep").glob("*/tokenizer.json")
    tokenizer = Tokenizer.from_file(str(saved))

    def count(text: str) -> int:
        return len(tokenizer.encode(text).ids)

    def order(path: Path) -> bytes:
        return sha256(path.relative_to(corpus).as_posix().encode()).digest()

    # Pretraining data: weights are roots of sizes. Of four files the one whose name hashes lowest is
    # held out; each document of the others ends with one token more.
    roots, train = {}, 0
    for package in PACKAGES:
        files = sorted((corpus / package).iterdir(), key=order)
        roots[package] = sum(path.stat().st_size for path in files) ** 0.5
        train += sum(count(path.read_text()) + 1 for path in files[1:])
    weights = {package: round(root / sum(roots.values()), 4) for package, root in roots.items()}
    base = 7 * 4 * 128  # `--scale tiny` is 7 of 700 steps, of 4 windows of 128 tokens

    # SFT data: each documented function of each file, once, as a prompt and an answer.
    asked = {
        package: sum(count(f"<|user|>Return {package} {i}.<|assistant|>") for i in range(6))
        for package in PACKAGES
    }
    pairs = {package: 4 * tokens for package, tokens in asked.items()}
    for package, body in PACKAGES.items():
        answers = (
            f"def {package}_{module}_{i}(x):\n    return {body.format(i=i)}<|end|>"
            for module in range(4)
            for i in range(6)
        )
        pairs[package] += sum(map(count, answers))
    sft = {package: tokens / sum(pairs.values()) for package, tokens in pairs.items()}
    assert abs(sft["words"] - weights["words"]) > 0.01  # so that the one can't pass for the other
    (packed,) = (tmp_path / "demo" / "out" / "sft_data").glob("*/splits/train/*.parquet")
    lengths = [len(row) for row in pyarrow.parquet.read_table(packed)["input_ids"].to_pylist()]
    rng = numpy.random.default_rng(0)
    seen = sum(lengths[row] for _ in range(2) for row in rng.choice(len(lengths), 6))  # 2 of 250 steps

    # RL data: each prompt once in either split. It is mixed like the SFT data, by rule.
    rl = 2 * sum(asked.values())
    tuned = {name: base * weights[name] + seen * sft[name] for name in PACKAGES}
    for name, tokens in {
        "nano-pretrain-data": {name: train * share for name, share in weights.items()},
        "nano-base-model": {name: base * share for name, share in weights.items()},
        "nano-sft-data": pairs,
        "nano-sft-model": tuned,
        "nano-rl-model": {name: tuned[name] + rl * sft[name] for name in PACKAGES},
    }.items():
        said = json.loads(nemotron(tmp_path / "my store", "composition", name, "--json"))
        total = sum(tokens.values())
        expected = {(corpus / package).as_uri(): amount for package, amount in tokens.items()}
        shares = {uri: amount / total for uri, amount in expected.items()}
        assert {one["uri"]: one["tokens"] for one in said["sources"]} == pytest.approx(expected), name
        assert {one["uri"]: one["share"] for one in said["sources"]} == pytest.approx(shares), name
        assert (said["tokens"], said["unknown_share"]) == (pytest.approx(total), pytest.approx(0)), name


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
    assert {node.name for node in graph if node.kind == "artifact"} == {*NAMES, *TEXTS}
    sources = {node.uri for node in graph if node.kind == "external"}
    assert {(corpus / name).as_uri() for name in ("shapes", "words")} <= sources
    made = {node.name: graph.run_of(node.uri) for node in graph if node.kind == "artifact"}
    assert {name: run and (run.name, run.metadata["status"]) for name, run in made.items()} == {
        **{name: (stage, "finished") for stage, names in pipeline.STAGES.items() for name in names},
        **dict.fromkeys(TEXTS, ("data_prep", "finished")),
    }
    # The same on the command line: each artifact, its run, and the corpus's folders.
    text = nemotron(tmp_path / "my store", "lineage", "art://nano-rl-model")
    assert all(f"art://{name}:v1  " in text for name in (*NAMES, *TEXTS))
    assert {stage for stage in pipeline.STAGES if f"run {stage}  finished  " in text} == set(pipeline.STAGES)
    assert all(f"{(corpus / name).as_uri()}  external" in text for name in PACKAGES)
    assert {edge.role for edge in graph.edges_to("art://nano-sft-model:v1")} == {"base_model", "data"}
