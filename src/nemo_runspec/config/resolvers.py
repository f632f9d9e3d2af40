"""Resolvers of configs: `${art:NAME,FIELD}`, `${manifest:DIR,KEY}`, `${auto_mount:git+URL@REF[,TARGET]}`.

See `nemotron.kit.integrations.omegaconf`.
"""

from typing import Any

from nemotron.kit.integrations.config_references import is_reference as _is_artifact_reference
from nemotron.kit.integrations.git_mounts import clear_git_mounts
from nemotron.kit.integrations.git_mounts import git_mounts as get_git_mounts
from nemotron.kit.integrations.omegaconf import (
    _ARTIFACT_CACHE,
    _ARTIFACT_REGISTRY,
    clear_artifact_cache,
    register_auto_mount_resolver,
    register_manifest_resolver,
    register_resolvers,
    register_resolvers_from_config,
)
from nemotron.kit.integrations.omegaconf import current_job_id as _get_job_id
from nemotron.kit.integrations.omegaconf import marker_path as _get_marker_path

__all__ = [
    "_ARTIFACT_CACHE",
    "_ARTIFACT_REGISTRY",
    "_get_job_id",
    "_get_marker_path",
    "_is_artifact_reference",
    "clear_artifact_cache",
    "clear_git_mounts",
    "get_git_mounts",
    "register_auto_mount_resolver",
    "register_manifest_resolver",
    "register_resolvers",
    "register_resolvers_from_config",
    "resolve_artifact_pre_init",
]


def resolve_artifact_pre_init(
    ref: str, *, entity: str | None = None, project: str | None = None, patch_http_digest: bool = False
) -> dict[str, Any]:
    """Resolve a W&B reference before there is a run.

    Args:
        ref: `name:alias`, or `entity/project/name:v3`.
        entity: the user or team; `$WANDB_ENTITY` by default.
        project: the project; `$WANDB_PROJECT` by default.
        patch_http_digest: download `http(s)://` references that have changed as well, with a warning.

    Returns:
        path, version, name, type, qualified_name, metadata_dir and iteration. The path is the metadata's
        `absolute_path`, an `iter_NNN` at its end cut into iteration; else the parent of the first `file://`
        reference; else a download.

    Raises:
        NotFoundError: W&B has no such artifact.
        UnavailableError: W&B can't be reached.
    """
    from nemotron.kit.integrations.wandb.resolving import allow_changed_references, find

    if patch_http_digest:
        allow_changed_references()
    found = find(ref, entity=entity, project=project)
    return {key: value for key, value in found.items() if key not in ("fields", "downloaded")}
