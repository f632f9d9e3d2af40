"""What the server knows: projects, runs, collections, artifacts with their versions, aliases and files."""

import base64
import itertools
import json
import threading
import uuid
from dataclasses import dataclass, field
from typing import Any

CREATED_AT = "2026-01-01T00:00:00Z"


@dataclass(eq=False, repr=False)
class Run:
    """One run; `name` is what the client calls its id."""

    id: str
    name: str
    entity: str
    project: str
    display_name: str = ""
    job_type: str | None = None
    notes: str | None = None
    tags: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    state: str = "running"
    exit_code: int | None = None
    outputs: "list[Artifact]" = field(default_factory=list)
    inputs: "list[Artifact]" = field(default_factory=list)

    def __repr__(self) -> str:
        return f"<Run {self.entity}/{self.project}/{self.name} {self.state}>"

    def settings(self) -> dict[str, Any]:
        """The config as the user wrote it, without the client's own part and its wrapping."""
        return {k: v["value"] for k, v in self.config.items() if k != "_wandb"}


@dataclass(eq=False, repr=False)
class File:
    """Bytes that were, or will be, uploaded."""

    id: str
    name: str
    data: bytes | None = None


@dataclass(eq=False, repr=False)
class Artifact:
    """One version of a collection; `index` is None until it is committed."""

    id: str
    collection: "Collection"
    digest: str
    description: str | None
    metadata: dict[str, Any]
    created_by: Run | None
    client_id: str | None
    index: int | None = None
    wanted_aliases: list[str] = field(default_factory=list)
    manifest: File | None = None
    files: dict[str, File] = field(default_factory=dict)
    used_by: list[Run] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"<Artifact {self.name} {self.aliases}>"

    @property
    def type(self) -> str:
        return self.collection.type

    @property
    def name(self) -> str:
        return f"{self.collection.name}:v{self.index}"

    @property
    def aliases(self) -> list[str]:
        return sorted(a for a, version in self.collection.aliases.items() if version is self)

    def entries(self) -> dict[str, dict[str, Any]]:
        """The manifest: path in the artifact → digest, size, and `ref` for what was not uploaded."""
        assert self.manifest is not None
        assert self.manifest.data is not None
        contents = json.loads(self.manifest.data)["contents"]
        return dict(contents)

    def references(self) -> dict[str, str]:
        return {path: entry["ref"] for path, entry in self.entries().items() if entry.get("ref")}

    def read(self, path: str) -> bytes:
        """The bytes of an uploaded file."""
        data = self.files[path].data
        assert data is not None, f"{path} was announced and never uploaded"
        return data


@dataclass(eq=False, repr=False)
class Collection:
    """All versions under one name; the type is fixed by the first."""

    id: str
    name: str
    type: str
    entity: str
    project: str
    versions: list[Artifact] = field(default_factory=list)
    aliases: dict[str, Artifact] = field(default_factory=dict)

    def find(self, selector: str) -> Artifact | None:
        for version in self.versions:
            if selector in (f"v{version.index}", version.digest):
                return version
        return self.aliases.get(selector)


class State:
    """Everything, behind one lock. Ids are unique over servers, since the client caches artifacts by id."""

    def __init__(self, entity: str = "test-entity") -> None:
        self.entity = entity
        self.lock = threading.RLock()
        self.runs: dict[tuple[str, str, str], Run] = {}
        self.collections: dict[tuple[str, str, str], Collection] = {}
        self.artifacts: dict[str, Artifact] = {}
        self.files: dict[str, File] = {}
        # The ids of those that are a run's own: its output, its settings.
        self.run_files: set[str] = set()
        self._count = itertools.count()
        self._salt = uuid.uuid4().hex

    def new_id(self, kind: str) -> str:
        return base64.b64encode(f"{kind}:{next(self._count)}:{self._salt}".encode()).decode()

    # -- runs

    def upsert_run(
        self, entity: str | None, project: str, name: str | None, **changes: Any
    ) -> tuple[Run, bool]:
        """The run, and whether it is new."""
        key = (entity or self.entity, project, name or uuid.uuid4().hex[:8])
        inserted = key not in self.runs
        if inserted:
            self.runs[key] = Run(self.new_id("Run"), key[2], key[0], key[1])
        run = self.runs[key]
        for field_name, value in changes.items():
            if value is not None:
                setattr(run, field_name, value)
        return run, inserted

    def run(self, entity: str | None, project: str, name: str) -> Run | None:
        return self.runs.get((entity or self.entity, project, name))

    # -- artifacts

    def collection(self, entity: str, project: str, name: str) -> Collection | None:
        return self.collections.get((entity, project, name))

    def in_project(self, entity: str, project: str) -> list[Collection]:
        return [each for key, each in self.collections.items() if key[:2] == (entity, project)]

    def find(self, entity: str, project: str, name: str) -> Artifact | None:
        """An artifact by `name:selector`, or by `name` (latest)."""
        base, _, selector = name.partition(":")
        collection = self.collection(entity, project, base)
        return collection.find(selector or "latest") if collection else None

    def create(self, request: dict[str, Any]) -> Artifact:
        """A draft, or the version that already has this digest.

        Raises:
            ValueError: the collection is of another type.
        """
        entity = request["entityName"] or self.entity
        key = (entity, request["projectName"], request["artifactCollectionName"])
        collection = self.collections.get(key)
        if collection is None:
            collection = Collection(self.new_id("Collection"), key[2], request["artifactTypeName"], *key[:2])
            self.collections[key] = collection
        if collection.type != request["artifactTypeName"]:
            raise ValueError(f"artifact collection {key[2]} is of type {collection.type}")
        aliases = [alias["alias"] for alias in request.get("aliases") or ()]
        run = self.run(*key[:2], request["runName"]) if request.get("runName") else None
        if request.get("enableDigestDeduplication"):
            for version in collection.versions:
                if version.digest == request["digest"]:
                    self._committed(version, aliases, run)
                    return version
        artifact = Artifact(
            id=self.new_id("Artifact"),
            collection=collection,
            digest=request["digest"],
            description=request.get("description"),
            metadata=json.loads(request.get("metadata") or "{}"),
            created_by=run,
            client_id=request.get("clientID"),
            wanted_aliases=aliases,
        )
        self.artifacts[artifact.id] = artifact
        return artifact

    def commit(self, artifact: Artifact) -> None:
        """Give the draft its version number and its aliases."""
        if artifact.index is None:
            artifact.index = len(artifact.collection.versions)
            artifact.collection.versions.append(artifact)
        self._committed(artifact, artifact.wanted_aliases, artifact.created_by)

    def _committed(self, artifact: Artifact, aliases: list[str], run: Run | None) -> None:
        for alias in aliases:
            artifact.collection.aliases[alias] = artifact
        if run and artifact not in run.outputs:
            run.outputs.append(artifact)

    def use(self, artifact: Artifact, run: Run) -> None:
        if artifact not in run.inputs:
            run.inputs.append(artifact)
            artifact.used_by.append(run)

    def new_file(self, name: str) -> File:
        file = File(self.new_id("File"), name)
        self.files[file.id] = file
        return file
