"""A stand-in for Megatron-Bridge's `ConfigContainer` where Megatron-Bridge is not installed.

It lets a recipe's config be built, printed and tested on a machine without GPUs. It is no subset of the real
one: Megatron-Bridge (0.3.1) spells and places some fields in other ways.

| here | there |
| --- | --- |
| `data.data_path` | `dataset.blend` |
| `data.mock` | `dataset.mock` (derived: no blend) |
| `data.seq_length` | `dataset.sequence_length`, `model.seq_length` |
| `data.micro_batch_size`, `data.global_batch_size` | `train.micro_batch_size`, `train.global_batch_size` |
| `model.name` | none: the model provider's class |
| `model.num_layers`, `.hidden_size`, `.num_attention_heads`, `.ffn_hidden_size`, `.vocab_size` | the same |
| `optimizer.lr`, `.min_lr`, `.weight_decay`, `.adam_beta1`, `.adam_beta2` | the same |
| `training.max_steps` | `train.train_iters` |
| `training.log_interval` | `logger.log_interval` |
| `training.eval_interval` | `train.eval_interval` |
| `training.save_interval` | `checkpoint.save_interval` |
| `training.fp16`, `training.bf16` | `model.fp16`, `model.bf16`, set by `mixed_precision` |
| `checkpoint.dir` | `checkpoint.save` |
| `checkpoint.save_on_train_end` | none: the last step is saved when `save` is set |
| `checkpoint.resume_from` | `checkpoint.load` |
"""

from dataclasses import dataclass, field
from pathlib import Path

from nemotron.kit.integrations.megatron_padding import derive_pad_seq_to_mult

__all__ = [
    "CheckpointConfig",
    "ConfigContainer",
    "DataConfig",
    "ModelConfig",
    "OptimizerConfig",
    "TrainingConfig",
    "derive_pad_seq_to_mult",
]


@dataclass
class DataConfig:
    """The training data.

    Attributes:
        data_path: the prefix of the `.bin`/`.idx` pair, or a blend file; None with mock data.
        mock: made-up data instead.
        seq_length: tokens per sequence.
        micro_batch_size: sequences per step and GPU.
        global_batch_size: sequences per optimizer step, over all GPUs.
    """

    data_path: Path | None = None
    mock: bool = False
    seq_length: int = 4096
    micro_batch_size: int = 1
    global_batch_size: int = 8


@dataclass
class ModelConfig:
    """The shape of the model.

    Attributes:
        name: what it is called.
        num_layers: transformer layers.
        hidden_size: width of the residual stream.
        num_attention_heads: attention heads per layer.
        ffn_hidden_size: width inside the feed-forward blocks.
        vocab_size: entries of the embedding.
    """

    name: str = "nemotron-nano"
    num_layers: int = 32
    hidden_size: int = 4096
    num_attention_heads: int = 32
    ffn_hidden_size: int = 14336
    vocab_size: int = 128256


@dataclass
class OptimizerConfig:
    """Adam and its learning rate.

    Attributes:
        lr: peak learning rate.
        min_lr: learning rate that the schedule ends at.
        weight_decay: decoupled weight decay.
        adam_beta1: decay of the first moment.
        adam_beta2: decay of the second moment.
    """

    lr: float = 1e-4
    min_lr: float = 1e-5
    weight_decay: float = 0.1
    adam_beta1: float = 0.9
    adam_beta2: float = 0.95


@dataclass
class TrainingConfig:
    """The training loop; intervals are in optimizer steps.

    Attributes:
        max_steps: optimizer steps in all.
        log_interval: steps between two lines of the log.
        eval_interval: steps between two evaluations.
        save_interval: steps between two checkpoints.
        fp16: train in float16.
        bf16: train in bfloat16.
    """

    max_steps: int = 1000
    log_interval: int = 10
    eval_interval: int = 100
    save_interval: int = 500
    fp16: bool = False
    bf16: bool = True


@dataclass
class CheckpointConfig:
    """Where checkpoints go, and where to go on from.

    Attributes:
        dir: folder that checkpoints are written to.
        save_on_train_end: write one after the last step.
        resume_from: checkpoint to start from; None starts anew.
    """

    dir: Path = Path("./checkpoints")
    save_on_train_end: bool = True
    resume_from: Path | None = None


@dataclass
class ConfigContainer:
    """All of it.

    Attributes:
        data: the training data.
        model: the shape of the model.
        optimizer: Adam and its learning rate.
        training: the training loop.
        checkpoint: where checkpoints go.

    >>> ConfigContainer().training.max_steps
    1000
    """

    data: DataConfig = field(default_factory=DataConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
