"""What a tracker is: four methods, so that other people's trackers plug in."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypedDict, runtime_checkable

from nemotron.kit.documents.edge import InputEdge
from nemotron.kit.registry.flags import check_flag

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from nemotron.kit.registry.registry import Registry

EvidenceLevel = Literal["stat", "sampled", "full"]
# Given what is done, a context in which its progress, in bytes, is told: those done and those in all.
Showing = Callable[[str], AbstractContextManager[Callable[[int, int], object] | None]]


class TrackingRecord(TypedDict, total=False):
    """What `log_artifact` returns; every key but `artifact_type` may be None.

    Keys:
        artifact_id: `name:vN`; on W&B `entity/project/name:vN`.
        artifact_type: the class name of the artifact.
        run_id: the run that made it.
        url: a page that shows it.
        used_artifacts: references of the artifacts that it was made from.
        source_uris: (W&B) the URIs of its external inputs.
        input_artifact_refs: (W&B) the W&B artifacts that stand for these.
    """

    artifact_id: str | None
    artifact_type: str | None
    run_id: str | None
    url: str | None
    used_artifacts: list[str]
    source_uris: list[str]
    input_artifact_refs: list[str]


@runtime_checkable
class Trackable(Protocol):
    """What a tracker reads of an artifact, so that no tracker needs to know its class."""

    path: Any
    type: str
    metadata: dict[str, Any]
    created_at: str

    def get_wandb_files(self) -> list[tuple[str, str]]:
        """Small local files to upload: (local path, name in the artifact)."""
        ...

    def get_wandb_references(self) -> list[tuple[str, str]]:
        """Data that stays where it is: (uri, name in the artifact)."""
        ...

    def get_input_uris(self) -> list[str]:
        """URIs of source datasets and tokenizers."""
        ...


@runtime_checkable
class LineageTracker(Protocol):
    """The contract of every tracker, the kit's own and third-party ones."""

    def is_active(self) -> bool:
        """Whether it records now."""
        ...

    def use_artifact(self, ref: str, artifact_type: str) -> Path:
        """Mark an artifact as an input of the current run and return its folder."""
        ...

    def log_artifact(self, artifact: Any, name: str, used_refs: list[str]) -> dict[str, Any]:
        """Record an artifact under a name, made from `used_refs`; returns a `TrackingRecord`."""
        ...

    def get_run_id(self) -> str | None:
        """The id of the current run, if there is one."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SaveOptions:
    """What `Artifact.save` was asked for beyond the four-method protocol.

    Attributes:
        snapshot: copy the bytes into the store (True), refer to them (False), or as configured (None).
        evidence: how closely the bytes are looked at, or as configured (None).
        aliases: aliases to move to the version.
        follow_links: take the targets of links that leave the folder as content.
        external_inputs: URIs of inputs that are no artifacts, beyond `get_input_uris()`.
        edges: what is said of inputs beyond that they are: roles, parts, weights.
        executor: who reads, hashes and copies the files, or threads (None).
        showing: shows a person how far a store is, or nobody looks (None).

    Raises:
        MisuseError: a flag is none.
    """

    snapshot: bool | None = None
    evidence: EvidenceLevel | None = None
    aliases: tuple[str, ...] = ()
    follow_links: bool = False
    external_inputs: tuple[str, ...] = ()
    edges: tuple[InputEdge, ...] = ()
    executor: "Executor | None" = None
    showing: Showing | None = None

    def __post_init__(self) -> None:
        check_flag("snapshot", self.snapshot, may_be_none=True)
        check_flag("follow_links", self.follow_links)


@runtime_checkable
class StoreTracker(LineageTracker, Protocol):
    """A tracker that also takes `SaveOptions`; `Artifact.save` asks for this before it passes any."""

    def log_artifact_with(
        self, artifact: Any, name: str, used_refs: list[str], options: SaveOptions
    ) -> dict[str, Any]:
        """`log_artifact` with the caller's options."""
        ...


@runtime_checkable
class FollowingTracker(LineageTracker, Protocol):
    """A tracker that comes after a store, and keeps in its outbox what it can't deliver at once."""

    def follows(self) -> bool:
        """Whether it wants to be told of what is saved now."""
        ...

    def follow(
        self, artifact: Any, name: str, stored: dict[str, Any], options: SaveOptions, registry: "Registry"
    ) -> dict[str, Any]:
        """Record what was committed to the store as `stored`, now or later; asked also while not active."""
        ...


@runtime_checkable
class RunBoundTracker(LineageTracker, Protocol):
    """A tracker that records on a run which its user has to start."""

    def missing_run(self) -> str | None:
        """What to do where it is inactive for want of a run; None where that is what its user wants."""
        ...


def empty_record(artifact_type: str | None) -> dict[str, Any]:
    """The record of a tracker that recorded nothing."""
    return {
        "artifact_id": None,
        "artifact_type": artifact_type,
        "run_id": None,
        "url": None,
        "used_artifacts": [],
    }
