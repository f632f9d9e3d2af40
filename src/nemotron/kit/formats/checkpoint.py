"""Checkpoints: which step, which model, how many files. Pickles are counted and never loaded.

Known are Hugging Face folders, Megatron's (`latest_checkpointed_iteration.txt` beside `iter_…` folders, each
`torch_dist` or of the older kind), and PyTorch's distributed checkpoints (`.metadata` beside `*.distcp`).
"""

import re
from dataclasses import dataclass
from typing import Any, Literal

from nemotron.kit.errors import CorruptError
from nemotron.kit.formats import safetensors
from nemotron.kit.formats.reading import LOCAL, Files, PathLike, damaged, read_json, read_small, text_of, walk

LATEST_FILE = "latest_checkpointed_iteration.txt"
_STEP_FOLDER = re.compile(r"(?:iter|step|checkpoint|global_step)[_-]?(\d{1,15})")
_CONFIG_FIELDS = ("model_type", "vocab_size", "hidden_size", "num_hidden_layers", "max_position_embeddings")
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json")

Layout = Literal["huggingface", "megatron", "torch_dist", "safetensors"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a checkpoint folder holds.

    Attributes:
        layout: by whom it was written.
        step: the training step, where a file or the folder's name says so; else None.
        steps: the steps that are there, in a folder of several.
        files: of the checkpoint, or of its latest step.
        bytes: of those.
        pickles: files among them that only unpickling could read.
        tensors: parameters and dtypes, where there are safetensors.
        architecture: the class in a Hugging Face config.
        config: a few plain values of that config.
        has_tokenizer: whether a tokenizer lies there.
        has_generation_config: whether a generation config lies there.
        has_metadata: whether PyTorch's `.metadata` lies there, without which no shard can be read.
    """

    layout: Layout
    step: int | None = None
    steps: tuple[int, ...] = ()
    files: int
    bytes: int
    pickles: int
    tensors: safetensors.Tensors | None = None
    architecture: str | None = None
    config: dict[str, Any]
    has_tokenizer: bool = False
    has_generation_config: bool = False
    has_metadata: bool = False


def step_in(name: str) -> int | None:
    """The step in the name of a folder.

    >>> step_in("iter_0000500"), step_in("checkpoint-20"), step_in("model")
    (500, 20, None)
    """
    found = _STEP_FOLDER.fullmatch(name)
    return int(found[1]) if found else None


def layout_of(folder: str, files: Files = LOCAL) -> Layout | None:
    """By whom a folder was written, if it is a checkpoint."""
    names = set(files.list(folder))
    if LATEST_FILE in names or any(re.fullmatch(r"iter_\d{1,15}", name) for name in names):
        return "megatron"
    if ".metadata" in names and any(name.endswith(".distcp") for name in names):
        return "torch_dist"
    if "common.pt" in names or any(name.startswith("mp_rank_") for name in names):
        return "megatron"
    tensors = any(name.endswith((".safetensors", ".safetensors.index.json")) for name in names)
    if "config.json" in names and (tensors or _is_config(f"{folder}/config.json", files)):
        return "huggingface"
    return "safetensors" if tensors else None


def read(folder: PathLike, files: Files = LOCAL) -> Checkpoint | None:
    """Read what a folder says of itself; None if it is no checkpoint.

    Raises:
        CorruptError: a head, a config or the latest iteration is damaged.
    """
    where = text_of(folder).rstrip("/")
    layout = layout_of(where, files)
    if layout is None:
        return None
    if layout in ("huggingface", "safetensors"):
        return _with_tensors(where, layout, files)
    return _megatron(where, layout, files)


def _megatron(where: str, layout: Layout, files: Files) -> Checkpoint:
    names = files.list(where)
    found = {name: step_in(name) for name in names if name.startswith("iter_")}
    steps = sorted({step for step in found.values() if step is not None})
    step = step_in(where.rpartition("/")[2])
    content = where
    if LATEST_FILE in names or steps:
        latest = _latest(f"{where}/{LATEST_FILE}", files) if LATEST_FILE in names else steps[-1]
        folder = next((name for name in names if latest in (name, found.get(name))), None)
        if folder is None:
            raise damaged(f"{where}/{LATEST_FILE}", f"it names {latest}, and there is no such folder")
        step, content = (latest if isinstance(latest, int) else None), f"{where}/{folder}"
    count, size, pickles = _weigh(content, files)
    return Checkpoint(
        layout=layout,
        step=step,
        steps=tuple(steps),
        files=count,
        bytes=size,
        pickles=pickles,
        config={},
        has_metadata=files.what(f"{content}/.metadata") == "file",
    )


def _latest(path: str, files: Files) -> int | str:
    text = read_small(path, files, 100).strip()
    if text == b"release":
        return "release"
    if not re.fullmatch(rb"\d{1,15}", text):
        raise damaged(path, f"expected a number or `release`, found {text!r}")
    return int(text)


def _with_tensors(where: str, layout: Layout, files: Files) -> Checkpoint:
    names = files.list(where)
    config = read_json(f"{where}/config.json", files) if "config.json" in names else {}
    if not isinstance(config, dict):
        raise damaged(f"{where}/config.json", "expected a JSON object")
    architectures = config.get("architectures")
    known = {name: config[name] for name in _CONFIG_FIELDS if isinstance(config.get(name), int | str)}
    first = architectures[0] if isinstance(architectures, list) and architectures else None
    count, size, pickles = _weigh(where, files)
    step = step_in(where.rpartition("/")[2])
    return Checkpoint(
        layout=layout,
        step=_trainer_step(where, files) if "trainer_state.json" in names else step,
        files=count,
        bytes=size,
        pickles=pickles,
        tensors=_tensors(where, names, files),
        architecture=first if isinstance(first, str) else None,
        config=known,
        has_tokenizer=any(name in names for name in _TOKENIZER_FILES),
        has_generation_config="generation_config.json" in names,
    )


def _tensors(where: str, names: list[str], files: Files) -> safetensors.Tensors | None:
    indices = [name for name in names if name.endswith(".safetensors.index.json")]
    if safetensors.INDEX_FILE in indices or len(indices) == 1:
        name = safetensors.INDEX_FILE if safetensors.INDEX_FILE in indices else indices[0]
        return safetensors.read_index(f"{where}/{name}", files)
    single = [name for name in names if name.endswith(".safetensors")]
    if "model.safetensors" in single:  # what lies beside it is an adapter or another format of the same
        single = ["model.safetensors"]
    return safetensors.read_files([f"{where}/{name}" for name in single], files) if single else None


def _trainer_step(where: str, files: Files) -> int | None:
    state = read_json(f"{where}/trainer_state.json", files)
    step = state.get("global_step") if isinstance(state, dict) else None
    return step if isinstance(step, int) and not isinstance(step, bool) and step >= 0 else None


def _weigh(folder: str, files: Files) -> tuple[int, int, int]:
    count = size = pickles = 0
    for path in walk(folder, files):
        if path == f"{folder}/metadata.json" and _is_companion(path, files):
            continue
        count += 1
        size += files.size(path)
        pickles += path.endswith((".pt", ".pth", ".bin", ".pkl", "/.metadata"))
    return count, size, pickles


def _is_config(path: str, files: Files) -> bool:
    try:
        config = read_json(path, files)
    except CorruptError:
        return False  # some other program's file; whoever needs it as a config will say what is wrong
    return isinstance(config, dict) and ("model_type" in config or "architectures" in config)


def _is_companion(path: str, files: Files) -> bool:
    """Whether a `metadata.json` is the kit's own record, which is no part of a checkpoint."""
    try:
        document = read_json(path, files)
    except CorruptError:
        return False
    return isinstance(document, dict) and {"path", "type", "created_at", "tracking"} <= document.keys()
