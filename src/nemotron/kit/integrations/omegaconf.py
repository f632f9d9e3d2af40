"""Resolvers for OmegaConf: `${art:NAME,FIELD}`, `${manifest:DIR,KEY}`, `${auto_mount:git+URL@REF[,TARGET]}`.

>>> import tempfile
>>> from omegaconf import OmegaConf
>>> from nemotron.kit import context
>>> from nemotron.kit.registry.records import Draft
>>> from nemotron.kit.registry.registry import Registry
>>> root = tempfile.mkdtemp()
>>> context.set_registry(Registry.open(f"{root}/store"))
>>> _ = context.require_registry().publish(Draft(name="my-data", source=root, metadata={"tokens": 12}))
>>> register_resolvers({"data": "my-data:latest"}, mode="local")
[]
>>> config = OmegaConf.create({"version": "${art:data,version}", "tokens": "${art:data,tokens}"})
>>> config.version, config.tokens
(1, 12)
>>> context.reset()
"""

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from nemotron.kit import context
from nemotron.kit.errors import (
    ArtifactNotFoundError,
    InvalidReferenceError,
    MisuseError,
    NotFoundError,
    PathNotFoundError,
)
from nemotron.kit.integrations import git_mounts
from nemotron.kit.integrations.config_references import is_reference, written_out
from nemotron.kit.integrations.omegaconf_parsing import parse_once
from nemotron.kit.integrations.pins import Info, Mode, asked, pin, read_metadata
from nemotron.kit.names import SCHEME, ArtifactRef, near
from nemotron.kit.registry.scan import METADATA_FILE
from nemotron.kit.store.attempt import job_id, key_of
from nemotron.kit.store.launcher import launcher
from nemotron.kit.store.node_folder import node_folder_path

# Name in the config → what it was resolved to.
_ARTIFACT_REGISTRY: dict[str, Info] = {}
# What was looked up besides: metadata by its file, references written in an interpolation by store and text.
_ARTIFACT_CACHE: dict[str, Any] = {}

_BASE_FIELDS = ("path", "version", "name", "type", "iteration")


class NoSuchFieldError(NotFoundError, KeyError):
    """An artifact or a manifest has no such field; the message says what there is."""

    kind = "no_such_field"


def register_resolvers(
    artifacts: Mapping[str, str] | None = None,
    *,
    replace: bool = True,
    mode: Mode = "active_run",
    pre_init_patch_http_digest: bool = False,
) -> list[str]:
    """Register `${art:NAME,FIELD}`, and resolve what NAME stands for: once for all ranks of the job.

    What is resolved becomes an input of the current run.

    Args:
        artifacts: NAME → reference, such as `{"data": "nano3-data:latest"}`.
        replace: take the place of a resolver `art` that is there.
        mode: `active_run`: the store if there is one, else W&B through the active run; `pre_init`: W&B,
            before there is a run; `local`: the store.
        pre_init_patch_http_digest: with `pre_init`, download `http(s)://` references that have changed too.

    Returns:
        The qualified names of those that W&B has, `entity/project/name:vN`.

    Raises:
        NotFoundError: there is no such artifact.
        MisuseError: a reference or the mode is none, or the resolver is there and `replace` is False.
        DriftError, RefusedError, UnavailableError: files of a reference differ or can't be compared, and
            `on_drift` is "error".
    """
    if pre_init_patch_http_digest and mode == "pre_init":
        from nemotron.kit.integrations.wandb.resolving import allow_changed_references

        allow_changed_references()
    found = pin(dict(artifacts or {}), mode)
    register("art", _art, replace=replace)
    _ARTIFACT_REGISTRY.update(found)
    for info in found.values():
        _record_use(info)
    return [info["qualified_name"] for info in found.values() if info.get("qualified_name")]


def register_resolvers_from_config(
    config: Any,
    artifacts_key: str = "run",
    *,
    replace: bool = True,
    mode: Mode | None = None,
    pre_init_patch_http_digest: bool = False,
) -> list[str]:
    """`register_resolvers` with the references that a config has under a key.

    Args:
        config: an OmegaConf config, or a dict.
        artifacts_key: the section; each of its values that is a reference gets its key as a name.
        replace: as for `register_resolvers`.
        mode: as for `register_resolvers`; by default `local` where there is a store, else `pre_init`.
        pre_init_patch_http_digest: as for `register_resolvers`.
    """
    if mode is None:
        mode = "pre_init" if context.current_registry() is None else "local"
    return register_resolvers(
        references_in(config, artifacts_key),
        replace=replace,
        mode=mode,
        pre_init_patch_http_digest=pre_init_patch_http_digest,
    )


def references_in(config: Any, key: str = "run") -> dict[str, str]:
    """The references right under a key of a config.

    Raises:
        InvalidReferenceError: a value that begins with `art://` is none; the message names its key.
    """
    from omegaconf import DictConfig, OmegaConf

    whole = config if isinstance(config, DictConfig) else OmegaConf.create(dict(config or {}))
    section = OmegaConf.select(whole, key)
    found: dict[str, str] = {}
    if not isinstance(section, DictConfig):
        return found
    plain: Any = OmegaConf.to_container(section, resolve=False)
    for name, raw in plain.items():
        if OmegaConf.is_missing(section, name) or not isinstance(raw, str) or "${art:" in raw:
            continue
        value = section[name] if "${" in raw else raw
        if is_reference(value):
            found[str(name)] = value
        elif written_out(value):
            raise InvalidReferenceError(f"{key}.{name} is {value}, which is no reference: {_why_not(value)}")
    return found


def _why_not(value: str) -> str:
    try:
        ref = ArtifactRef.parse(value)
    except (MisuseError, PermissionError) as error:
        return str(error)
    return f"it names {ref.inside} inside an artifact; name the artifact, and add the path where it is used"


def clear_artifact_cache() -> None:
    """Forget what was resolved."""
    _ARTIFACT_REGISTRY.clear()
    _ARTIFACT_CACHE.clear()


def register(name: str, resolver: Callable[..., Any], *, replace: bool) -> None:
    """Register a resolver with the OmegaConf that is installed.

    Raises:
        MisuseError: there is one of that name, and it is not to be replaced.
    """
    import omegaconf

    config = omegaconf.OmegaConf
    if not replace and config.has_resolver(name):
        raise MisuseError(f"resolver '{name}' is already registered; pass replace=True")
    # 2.3 has a register_resolver as well: that of OmegaConf 1, which hands everything over as text.
    major, minor = (int(part) for part in omegaconf.__version__.split(".")[:2])
    is_new = (major, minor) >= (2, 4)
    put: Callable[..., None] = config.register_resolver if is_new else config.register_new_resolver
    put(name, resolver, replace=replace)
    parse_once()


# -- ${art:NAME,FIELD} -------------------------------------------------------------------------------------


def _art(name: Any, field: Any = "path") -> Any:
    name, field = str(name), str(field)
    info = _ARTIFACT_REGISTRY.get(name)
    if info is None:
        info = _written_in_place(name)
    _record_use(info)
    return _field(name, info, field)


def _written_in_place(name: str) -> Info:
    """What a reference means that stands in the interpolation itself: `${art:my-data:v3,path}`."""
    registry = context.current_registry()
    if registry is None:
        raise _unknown(name, "and there is no artifact store to look in (kit.init or NEMO_ARTIFACT_ROOT)")
    key = f"{registry.root}\n{name}"
    if key not in _ARTIFACT_CACHE:
        try:
            _ARTIFACT_CACHE[key] = pin({name: name}, "local")[name]
        except ArtifactNotFoundError as error:
            raise _unknown(name, f"and {error}") from error
    found: Info = _ARTIFACT_CACHE[key]
    return found


def _unknown(name: str, why: str) -> ArtifactNotFoundError:
    there = ", ".join(sorted(_ARTIFACT_REGISTRY)) or "none"
    return ArtifactNotFoundError(name, f"Artifact '{name}' is not registered, {why}. Registered: {there}")


def _record_use(info: Info) -> None:
    uri = info.get("uri") or (f"{SCHEME}{info['qualified_name']}" if info.get("qualified_name") else None)
    if uri:
        context.record_use(uri)


def _field(name: str, info: Info, field: str) -> Any:
    if field in _BASE_FIELDS and info.get(field) is not None:
        return info[field]
    fields = info.get("fields") or {}
    found = _look(fields, field)
    if found is None and not info.get("uri"):  # of W&B: the file has more than W&B was told
        fields = {**fields, **_metadata_beside(info)}
        found = _look(fields, field)
    if found is None:
        nested = fields.get("metadata")
        there = {*(key for key in _BASE_FIELDS if info.get(key) is not None), *fields}
        there |= nested.keys() if isinstance(nested, Mapping) else set()
        meant = near(field, there)
        hint = f"; did you mean {meant[0]}?" if meant else ""
        raise NoSuchFieldError(f"Artifact '{name}' has no field '{field}'. There is: {_listed(there)}{hint}")
    return found[0]


def _metadata_beside(info: Info) -> dict[str, Any]:
    """The `metadata.json` of an artifact, read once."""
    path = str(info.get("path", ""))
    folder = info.get("metadata_dir") or (os.path.dirname(path) if os.path.isfile(path) else path)
    file = f"{folder}/{METADATA_FILE}"
    if file not in _ARTIFACT_CACHE:
        _ARTIFACT_CACHE[file] = read_metadata(file)
    found: dict[str, Any] = _ARTIFACT_CACHE[file]
    return found


def _look(fields: Mapping[str, Any], field: str) -> tuple[Any] | None:
    """A field at the top, in `metadata`, or by a dotted path; in a tuple, since its value may be None."""
    nested = fields.get("metadata")
    for place in (fields, nested if isinstance(nested, Mapping) else {}):
        if field in place:
            return (place[field],)
        value: Any = place
        for part in field.split("."):
            if not isinstance(value, Mapping) or part not in value:
                break
            value = value[part]
        else:
            return (value,)
    return None


def _listed(names: Iterable[Any]) -> str:
    return ", ".join(sorted(map(str, names)))


# -- ${manifest:DIR,KEY} and ${auto_mount:…} ---------------------------------------------------------------


def register_manifest_resolver(*, replace: bool = True) -> None:
    """Register `${manifest:DIR,KEY}`: a value of the `manifest.json` in a folder; KEY may be dotted."""
    register("manifest", _manifest, replace=replace)


def _manifest(folder: Any, key: Any) -> Any:
    place = Path(str(folder))
    file = place if place.name.endswith(".json") else place / "manifest.json"
    try:
        stamp = file.stat().st_mtime_ns
    except OSError as error:
        raise PathNotFoundError(f"Manifest not found: {file} ({error.strerror})") from error
    cached = f"{file}\n{stamp}"
    if cached not in _ARTIFACT_CACHE:
        _ARTIFACT_CACHE[cached] = read_metadata(str(file))
    document = _ARTIFACT_CACHE[cached]
    found = _look(document, str(key))
    if found is None:
        raise NoSuchFieldError(f"{file} has no '{key}'. There is: {_listed(document)}")
    return found[0]


def register_auto_mount_resolver(*, replace: bool = True) -> None:
    """Register `${auto_mount:git+URL@REF[,TARGET]}`; `git_mounts.git_mounts()` tells what was asked for."""
    register("auto_mount", git_mounts.mount, replace=replace)


# -- what callers look at ----------------------------------------------------------------------------------


def current_job_id() -> str:
    """A short name of the job, for people: `nemo_<id>`, `slurm_<id>`, else `host_<…>`."""
    return job_id(os.environ, os.getppid())


def marker_path(artifacts: Mapping[str, str]) -> Path:
    """Where the ranks of this node find what references mean; it differs by attempt and by references."""
    key = key_of(os.environ, sys.argv, asked(artifacts, "local"), launcher)
    return Path(node_folder_path(os.environ), f"{key}.json")
