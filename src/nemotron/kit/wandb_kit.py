"""What a recipe says to Weights & Biases: start a run if one is configured, tag it, show its config, finish.

>>> config = WandbConfig(project="nano3", tags=("pretrain",))
>>> config.enabled
True
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from nemotron.kit import context, start
from nemotron.kit.integrations import megatron_bridge, nemo_rl
from nemotron.kit.integrations.checkpoints import store_tracker as _get_manifest_tracker
from nemotron.kit.integrations.nemo_run import outside_path as _resolve_to_lustre_path
from nemotron.kit.integrations.wandb import beginning
from nemotron.kit.integrations.wandb import run as wandb_run
from nemotron.kit.integrations.wandb.patches import digests, lineage, run_ids

__all__ = [
    "WandbConfig",
    "_get_manifest_tracker",
    "_resolve_to_lustre_path",
    "add_run_tags",
    "finish_run",
    "init_wandb_if_configured",
    "log_wandb_config",
    "patch_checkpoint_logging_both",
    "patch_manifest_checkpoint_logging",
    "patch_manifest_nemo_rl_checkpoint_logging",
    "patch_nemo_rl_checkpoint_logging",
    "patch_nemo_rl_checkpoint_logging_both",
    "patch_wandb_checkpoint_logging",
    "patch_wandb_http_handler_skip_digest_verification",
    "patch_wandb_init_for_lineage",
    "patch_wandb_local_file_handler_skip_digest_verification",
    "patch_wandb_runid_for_seeded_random",
]


@dataclass(frozen=True)
class WandbConfig:
    """Where runs go; without a project W&B is not used.

    Attributes:
        project: the W&B project.
        entity: the user or team; None for the account's default.
        run_name: the run's display name; None lets W&B choose.
        tags: tags of the run.
        notes: notes of the run.
    """

    project: str | None = None
    entity: str | None = None
    run_name: str | None = None
    tags: tuple[str, ...] = ()
    notes: str | None = None

    @property
    def enabled(self) -> bool:
        """Whether a project is set."""
        return bool(self.project)


def init_wandb_if_configured(
    wandb_config: WandbConfig | None, job_type: str = "data-prep", tags: Iterable[str] | None = None
) -> None:
    """Tell W&B of this process's artifacts and start a run, if a project is configured.

    A store that is in force stays: artifacts go there first and to W&B second. An active run stays too. With
    a store, a server that can't be reached or refuses is a warning, and the run goes on offline.

    Args:
        wandb_config: where to; None or without a project nothing happens.
        job_type: the run's job type.
        tags: tags beyond the configuration's.

    Raises:
        ImportError: the wandb package is missing.
        UnavailableError: the server can't be reached, and there is no store.
        RefusedError: not logged in, or not allowed, and there is no store.
    """
    if wandb_config is None or not wandb_config.project:
        return
    if context.current_registry() is None and context.current_tracker() is None:
        start.init(backend="wandb", wandb_project=wandb_config.project, wandb_entity=wandb_config.entity)
    else:
        start.add_wandb(wandb_config.project, wandb_config.entity)
    beginning.start(
        project=wandb_config.project,
        entity=wandb_config.entity,
        name=wandb_config.run_name,
        tags=[*wandb_config.tags, *(tags or ())],
        notes=wandb_config.notes,
        job_type=job_type,
    )


def add_run_tags(tags: Iterable[str]) -> None:
    """Merge tags into the active run's, in order and without duplicates; nothing happens without a run."""
    wandb_run.add_tags(tags)


def log_wandb_config(cfg: Any) -> None:
    """Show a configuration on the active run; nothing happens without one.

    Args:
        cfg: a dataclass, pydantic model, OmegaConf configuration or mapping; paths become text at any depth.
    """
    wandb_run.log_config(cfg)


def finish_run(exit_code: int = 0) -> None:
    """Finish the active run; nothing happens without one."""
    wandb_run.finish(exit_code)


# -- the client, changed while it runs ---------------------------------------------------------------------


def patch_wandb_init_for_lineage(
    *, artifact_qualified_names: Iterable[str], tags: Iterable[str] | None = None
) -> None:
    """Make artifacts inputs of every run that `wandb.init` starts from now on, and of the active one at once.

    A run that W&B gives no edge goes on; a warning says which artifact it was.

    Args:
        artifact_qualified_names: `entity/project/name:vN`; later calls add to them.
        tags: tags of these runs.

    Raises:
        ImportError: the wandb package is missing.
    """
    lineage.use_after_init(artifact_qualified_names, tags)


def patch_wandb_http_handler_skip_digest_verification() -> None:
    """Let `http(s)://` references that have changed be downloaded, with a warning that names them."""
    digests.allow_changed("http_handler")


def patch_wandb_local_file_handler_skip_digest_verification() -> None:
    """Let `file://` references that have changed be downloaded, with a warning that names them."""
    digests.allow_changed("local_file_handler")


def patch_wandb_runid_for_seeded_random() -> None:
    """Keep run ids independent of `random.seed`; clients that are need nothing and are left alone."""
    run_ids.draw_independently()


# -- checkpoints -------------------------------------------------------------------------------------------


def patch_wandb_checkpoint_logging() -> None:
    """Record Megatron-Bridge's checkpoints on W&B."""
    megatron_bridge.record_checkpoints("wandb")


def patch_manifest_checkpoint_logging() -> None:
    """Record Megatron-Bridge's checkpoints in the store."""
    megatron_bridge.record_checkpoints("store")


def patch_checkpoint_logging_both() -> None:
    """Record Megatron-Bridge's checkpoints in the store and on W&B."""
    megatron_bridge.record_checkpoints("both")


def patch_nemo_rl_checkpoint_logging(artifact_name: str = "rl") -> None:
    """Record NeMo-RL's checkpoints on W&B, as versions of an artifact."""
    nemo_rl.record_checkpoints("wandb", artifact_name)


def patch_manifest_nemo_rl_checkpoint_logging(artifact_name: str = "rl") -> None:
    """Record NeMo-RL's checkpoints in the store, as versions of an artifact."""
    nemo_rl.record_checkpoints("store", artifact_name)


def patch_nemo_rl_checkpoint_logging_both(artifact_name: str = "rl") -> None:
    """Record NeMo-RL's checkpoints in the store and on W&B, as versions of an artifact."""
    nemo_rl.record_checkpoints("both", artifact_name)
