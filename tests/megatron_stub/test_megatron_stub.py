import ast
import dataclasses
import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from nemotron.kit import megatron_stub
from nemotron.kit.megatron_stub import ConfigContainer
from nemotron.kit.train_script import omegaconf_to_dataclass

# What API says, field by field, in order.
DEFAULTS: dict[str, dict[str, Any]] = {
    "data": {
        "data_path": None,
        "mock": False,
        "seq_length": 4096,
        "micro_batch_size": 1,
        "global_batch_size": 8,
    },
    "model": {
        "name": "nemotron-nano",
        "num_layers": 32,
        "hidden_size": 4096,
        "num_attention_heads": 32,
        "ffn_hidden_size": 14336,
        "vocab_size": 128256,
    },
    "optimizer": {"lr": 1e-4, "min_lr": 1e-5, "weight_decay": 0.1, "adam_beta1": 0.9, "adam_beta2": 0.95},
    "training": {
        "max_steps": 1000,
        "log_interval": 10,
        "eval_interval": 100,
        "save_interval": 500,
        "fp16": False,
        "bf16": True,
    },
    "checkpoint": {"dir": Path("./checkpoints"), "save_on_train_end": True, "resume_from": None},
}
CLASSES = {
    "data": "DataConfig",
    "model": "ModelConfig",
    "optimizer": "OptimizerConfig",
    "training": "TrainingConfig",
    "checkpoint": "CheckpointConfig",
}

# The fields of the real thing that the stub's fields stand for, read from its sources as PyPI has them.
RECORDED = json.loads(Path(__file__).with_name("megatron_bridge_0.3.1.json").read_text())


def test_fields_order_and_defaults() -> None:
    assert dataclasses.asdict(ConfigContainer()) == DEFAULTS
    assert [field.name for field in dataclasses.fields(ConfigContainer)] == list(DEFAULTS)
    for section, defaults in DEFAULTS.items():
        part = getattr(ConfigContainer(), section)
        assert type(part) is getattr(megatron_stub, CLASSES[section])
        assert [field.name for field in dataclasses.fields(part)] == list(defaults)


def test_two_containers_share_nothing() -> None:
    one, other = ConfigContainer(), ConfigContainer()
    one.training.max_steps = 1
    assert other.training.max_steps == 1000


def test_a_config_becomes_one() -> None:
    made = omegaconf_to_dataclass(
        {"data": {"data_path": "x", "mock": True}, "checkpoint": {"dir": "c"}}, ConfigContainer
    )
    assert (made.data.data_path, made.data.mock, made.checkpoint.dir) == (Path("x"), True, Path("c"))
    assert made.data.seq_length == 4096


COUNTERPARTS: dict[str, tuple[str, ...]] = {
    "data.data_path": ("dataset.blend",),
    "data.mock": ("dataset.mock",),
    "data.seq_length": ("dataset.sequence_length", "model.seq_length"),
    "data.micro_batch_size": ("train.micro_batch_size",),
    "data.global_batch_size": ("train.global_batch_size",),
    "model.name": (),
    **{f"model.{name}": (f"model.{name}",) for name in list(DEFAULTS["model"])[1:]},
    **{f"optimizer.{name}": (f"optimizer.{name}",) for name in DEFAULTS["optimizer"]},
    "training.max_steps": ("train.train_iters",),
    "training.log_interval": ("logger.log_interval",),
    "training.eval_interval": ("train.eval_interval",),
    "training.save_interval": ("checkpoint.save_interval",),
    "training.fp16": ("model.fp16",),
    "training.bf16": ("model.bf16",),
    "checkpoint.dir": ("checkpoint.save",),
    "checkpoint.save_on_train_end": (),
    "checkpoint.resume_from": ("checkpoint.load",),
}


def test_every_difference_from_megatron_bridge_is_known_and_documented() -> None:
    documentation = megatron_stub.__doc__ or ""
    assert set(COUNTERPARTS) == {f"{section}.{name}" for section, names in DEFAULTS.items() for name in names}
    for here, there in COUNTERPARTS.items():
        assert f".{here.partition('.')[2]}`" in documentation
        for name in there:
            section, _, field = name.partition(".")
            assert field in RECORDED[section]
            assert name == here or f"`{name}`" in documentation


@pytest.mark.skipif(importlib.util.find_spec("megatron") is None, reason="megatron-bridge is not installed")
def test_the_recorded_fields_are_those_of_the_installed_megatron_bridge() -> None:
    spec = importlib.util.find_spec("megatron")
    assert spec is not None
    for folder in spec.submodule_search_locations or ():
        source = Path(folder) / "bridge" / "training" / "config.py"
        if source.is_file():
            classes = {
                node.name: node
                for node in ast.parse(source.read_text()).body
                if isinstance(node, ast.ClassDef)
            }
            sections = {"train": "TrainingConfig", "checkpoint": "CheckpointConfig", "logger": "LoggerConfig"}
            for section, name in sections.items():
                fields = {
                    node.target.id
                    for node in classes[name].body
                    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
                }
                assert set(RECORDED[section]) <= fields
