"""The client's GraphQL operations, each answered by the function of that name.

A function takes the state, the server's URL and the variables, and returns the `data` of the reply. It may
return more fields than were asked for: the client takes what it needs.
"""

import json
from collections.abc import Callable
from typing import Any

from wandb_server.state import CREATED_AT, Artifact, File, State
from wandb_server.values import (
    Answer,
    alias_info,
    artifact_info,
    collection_info,
    page,
    project_info,
    run_info,
)


class Refused(Exception):
    """The server's answer is an error."""

    def __init__(self, message: str, status: int = 200) -> None:
        super().__init__(message)
        self.status = status


class Unknown(Exception):
    """The client asks for what this server can't do."""


class Session:
    """One request's view of the server."""

    def __init__(self, state: State, url: str) -> None:
        self.state = state
        self.url = url

    def answer(self, operation: str, variables: dict[str, Any]) -> Answer:
        handler: Callable[[Session, dict[str, Any]], Answer] | None = HANDLERS.get(operation)
        if handler is None:
            raise Unknown(f"wandb_server does not know the operation {operation}: {variables}")
        # Some operations, in some versions of the client, have an input object, others the fields one by one.
        flat = {**variables, **(variables.get("input") or {})}
        for short, long in (("entity", "entityName"), ("project", "projectName"), ("run", "runName")):
            flat.setdefault(short, flat.get(long))
        with self.state.lock:
            return handler(self, flat)

    def upload(self, file: File) -> Answer:
        return {"id": file.id, "uploadUrl": f"{self.url}/upload/{file.id}", "uploadHeaders": []}

    def download(self, file: File | None) -> str | None:
        return f"{self.url}/download/{file.id}" if file else None

    def artifact(self, artifact_id: str) -> Artifact:
        try:
            return self.state.artifacts[artifact_id]
        except KeyError:
            raise Refused(f"artifact {artifact_id} not found", 404) from None


# -- runs --------------------------------------------------------------------------------------------------


def viewer(session: Session, v: dict[str, Any]) -> Answer:
    entity = session.state.entity
    return {
        "viewer": {
            "id": "viewer",
            "entity": entity,
            "username": "tester",
            "name": "tester",
            "email": "tester@example.test",
            "admin": False,
            "flags": "{}",
            "teams": page([{"name": entity}]),
        }
    }


def server_features(session: Session, v: dict[str, Any]) -> Answer:
    return {
        "serverInfo": {
            "features": [],
            "latestLocalVersionInfo": None,
            "cliVersionInfo": {"max_cli_version": "99.0.0"},
        }
    }


# What older clients ask about types before they send them; they leave out what is not named here.
SCHEMA = {
    "Artifact": "ttlDurationSeconds ttlIsInherited tags historyStep aliases",
    "CreateArtifactInput": (
        "entityName projectName runName artifactTypeName artifactCollectionName digest digestAlgorithm"
        " description aliases metadata clientID sequenceClientID enableDigestDeduplication"
    ),
}


def type_info(session: Session, v: dict[str, Any]) -> Answer:
    name = v.get("typeName") or v.get("name") or "UseArtifactInput"
    fields = [{"name": field, "args": []} for field in SCHEMA.get(name, "").split()]
    answer = {"name": name, "fields": fields, "inputFields": fields}
    return dict.fromkeys(("TypeInfo", "type", "UseArtifactInputInfoType"), answer)


def run_stopped(session: Session, v: dict[str, Any]) -> Answer:
    return {"project": {"run": {"stopped": False}}}


def core_weave_organization(session: Session, v: dict[str, Any]) -> Answer:
    return {"entity": {"organization": {"coreWeaveOrganizationId": None}}}


def upsert_bucket(session: Session, v: dict[str, Any]) -> Answer:
    run, inserted = session.state.upsert_run(
        v.get("entity"),
        v["project"],
        v.get("name"),
        display_name=v.get("displayName"),
        job_type=v.get("jobType"),
        notes=v.get("notes"),
        tags=v.get("tags"),
        config=json.loads(v["config"]) if v.get("config") else None,
        state=v.get("state"),
    )
    return {"upsertBucket": {"bucket": run_info(run), "inserted": inserted}}


def run_resume_status(session: Session, v: dict[str, Any]) -> Answer:
    run = session.state.run(v.get("entity"), v["project"], v["name"])
    # "t" is the client's own time stamp: without it, a run counts as never started and is not resumed.
    bucket = run and {
        **run_info(run),
        "logLineCount": 0,
        "eventsLineCount": 0,
        "historyTail": "[]",
        "eventsTail": "[]",
        "notes": run.notes,
        "wandbConfig": json.dumps({"t": 1} if run.config else {}),
    }
    return {
        "model": {**project_info(v.get("entity") or session.state.entity, v["project"]), "bucket": bucket}
    }


def create_run_files(session: Session, v: dict[str, Any]) -> Answer:
    made = [session.state.new_file(name) for name in v["files"]]
    session.state.run_files.update(file.id for file in made)
    files = [{"name": file.name, **session.upload(file)} for file in made]
    return {"createRunFiles": {"runID": v["run"], "uploadHeaders": [], "files": files}}


def run_query(session: Session, v: dict[str, Any]) -> Answer:
    run = session.state.run(v.get("entity"), v["project"], v.get("name") or v["run"])
    return {
        "project": {
            **project_info(v.get("entity") or session.state.entity, v["project"]),
            "run": run and run_info(run),
        }
    }


def run_artifacts(which: str) -> Callable[[Session, dict[str, Any]], Answer]:
    def answer(session: Session, v: dict[str, Any]) -> Answer:
        run = session.state.run(v["entity"], v["project"], v["run"])
        nodes = [artifact_info(artifact) for artifact in getattr(run, which)] if run else []
        return {"project": {"run": run and {"artifacts": page(nodes)}}}

    return answer


# -- artifacts: writing ------------------------------------------------------------------------------------


def artifact_type(session: Session, v: dict[str, Any]) -> Answer:
    """The type of an existing artifact; the client asks before it logs one of the same name."""
    found = session.state.find(v["entity"], v["project"], v["name"])
    return {"project": {"artifact": found and {"artifactType": {"name": found.type}}}}


def create_artifact(session: Session, v: dict[str, Any]) -> Answer:
    try:
        artifact = session.state.create(v)
    except ValueError as error:
        raise Refused(str(error), 400) from None
    versions = artifact.collection.versions
    latest = {"id": versions[-1].id} if versions else None
    return {
        "createArtifact": {
            "artifact": {**artifact_info(artifact), "artifactSequence": {"latestArtifact": latest}}
        }
    }


def create_manifest(session: Session, v: dict[str, Any]) -> Answer:
    """Called twice: without an upload URL before the files are sent, and with one after."""
    artifact = session.artifact(v["artifactID"])
    if artifact.manifest is None:
        artifact.manifest = session.state.new_file(v["name"])
    return {"createArtifactManifest": {"artifactManifest": manifest_info(session, artifact)}}


def update_manifest(session: Session, v: dict[str, Any]) -> Answer:
    artifact = session.artifact(v["artifactManifestID"].removeprefix("manifest-"))
    return {"updateArtifactManifest": {"artifactManifest": manifest_info(session, artifact)}}


def manifest_info(session: Session, artifact: Artifact) -> Answer:
    assert artifact.manifest is not None
    return {"id": f"manifest-{artifact.id}", "file": session.upload(artifact.manifest)}


def create_files(session: Session, v: dict[str, Any]) -> Answer:
    nodes = []
    for spec in v["artifactFiles"]:
        artifact = session.artifact(spec["artifactID"])
        file = artifact.files.setdefault(spec["name"], session.state.new_file(spec["name"]))
        nodes.append(
            {
                **session.upload(file),
                "name": spec["name"],
                "storagePath": f"wandb_artifacts/{file.id}",
                "uploadMultipartUrls": None,
                "artifact": {"id": artifact.id},
            }
        )
    return {"createArtifactFiles": {"files": page(nodes)}}


def commit_artifact(session: Session, v: dict[str, Any]) -> Answer:
    artifact = session.artifact(v["artifactID"])
    session.state.commit(artifact)
    return {"commitArtifact": {"artifact": artifact_info(artifact)}}


def update_artifact(session: Session, v: dict[str, Any]) -> Answer:
    artifact = session.artifact(v["artifactID"])
    if v.get("metadata") is not None:
        artifact.metadata = json.loads(v["metadata"])
    if v.get("description") is not None:
        artifact.description = v["description"]
    # Older clients don't rename the field.
    return {key: {"artifact": artifact_info(artifact)} for key in ("result", "updateArtifact")}


def add_aliases(session: Session, v: dict[str, Any]) -> Answer:
    artifact = session.artifact(v["artifactID"])
    for alias in v["aliases"]:
        artifact.collection.aliases[alias["alias"]] = artifact
    return {key: {"success": True} for key in ("result", "addAliases", "deleteAliases")}


def delete_aliases(session: Session, v: dict[str, Any]) -> Answer:
    artifact = session.artifact(v["artifactID"])
    for alias in v["aliases"]:
        artifact.collection.aliases.pop(alias["alias"], None)
    return {key: {"success": True} for key in ("result", "addAliases", "deleteAliases")}


# -- artifacts: reading ------------------------------------------------------------------------------------


def membership_by_name(session: Session, v: dict[str, Any]) -> Answer:
    found = session.state.find(v["entity"], v["project"], v["name"])
    membership = found and {
        "__typename": "ArtifactCollectionMembership",
        "id": f"membership-{found.id}",
        "versionIndex": found.index,
        "createdAt": CREATED_AT,
        "aliases": alias_info(found),
        "artifactCollection": collection_info(found.collection),
        "artifact": artifact_info(found),
    }
    return {"project": {"artifactCollectionMembership": membership}}


def artifact_by_name(session: Session, v: dict[str, Any]) -> Answer:
    """What older clients ask instead of `membership_by_name`."""
    found = session.state.find(v["entity"], v["project"], v["name"])
    return {"project": {"artifact": found and artifact_info(found)}}


def use_artifact(session: Session, v: dict[str, Any]) -> Answer:
    artifact = session.artifact(v["artifactID"])
    run = session.state.run(v.get("entityName"), v["projectName"], v["runName"])
    if run is None:
        raise Refused(f"run {v['runName']} not found", 404)
    session.state.use(artifact, run)
    return {"useArtifact": {"artifact": {"id": artifact.id}}}


def artifact_by_id(session: Session, v: dict[str, Any]) -> Answer:
    return {"artifact": artifact_info(session.artifact(v["id"]))}


def artifact_manifest(session: Session, v: dict[str, Any]) -> Answer:
    artifact = session.artifact(v.get("id") or v["artifact_id"])
    return {"artifact": {"currentManifest": {"file": {"directUrl": session.download(artifact.manifest)}}}}


def downloads(session: Session, artifact: Artifact) -> Answer:
    return page(
        [
            {"__typename": "File", "name": file.name, "directUrl": session.download(file)}
            for file in artifact.files.values()
        ]
    )


def file_urls(session: Session, v: dict[str, Any]) -> Answer:
    found = session.state.find(v["entity"], v["project"], f"{v['collection']}:{v['alias']}")
    membership = found and {"files": downloads(session, found)}
    collection = {"__typename": "ArtifactSequence", "artifactMembership": membership}
    return {"project": {"artifactCollection": collection}}


def file_urls_by_id(session: Session, v: dict[str, Any]) -> Answer:
    """What older clients ask instead of `file_urls`."""
    return {"artifact": {"files": downloads(session, session.artifact(v["id"]))}}


def project_collection(session: Session, v: dict[str, Any]) -> Answer:
    found = session.state.collection(v["entity"], v["project"], v["name"])
    return {"project": {"artifactType": {"artifactCollection": found and collection_info(found)}}}


def artifact_types(session: Session, v: dict[str, Any]) -> Answer:
    kinds = sorted({c.type for c in session.state.in_project(v["entity"], v["project"])})
    nodes = [
        {"__typename": "ArtifactType", "id": kind, "name": kind, "description": "", "createdAt": CREATED_AT}
        for kind in kinds
    ]
    return {"project": {"artifactTypes": page(nodes)}}


def type_collections(session: Session, v: dict[str, Any]) -> Answer:
    kind = v.get("type") or v["artifactType"]
    collections = [c for c in session.state.in_project(v["entity"], v["project"]) if c.type == kind]
    found = page([collection_info(each) for each in collections])
    # Older clients ask for the same by another name.
    return {"project": {"artifactType": {"artifactCollections": found, "artifactSequences": found}}}


def collection_versions(session: Session, v: dict[str, Any]) -> Answer:
    found = session.state.collection(v["entity"], v["project"], v["collection"])
    versions = found.versions if found else []
    edges = [{"node": artifact_info(each), "cursor": "", "version": f"v{each.index}"} for each in versions]
    collection = {"__typename": "ArtifactSequence", "artifacts": {**page([]), "edges": edges}}
    collection["artifacts"]["totalCount"] = len(edges)
    return {"project": {"artifactType": {"artifactCollection": collection}}}


def artifact_users(session: Session, v: dict[str, Any]) -> Answer:
    artifact = session.artifact(v["id"])
    return {"artifact": {"usedBy": page([run_info(run) for run in artifact.used_by])}}


def artifact_creator(session: Session, v: dict[str, Any]) -> Answer:
    run = session.artifact(v["id"]).created_by
    return {"artifact": {"createdBy": run and run_info(run)}}


HANDLERS: dict[str, Callable[[Session, dict[str, Any]], Answer]] = {
    "Viewer": viewer,
    "viewer": viewer,
    "GetDefaultEntity": viewer,
    "ServerFeaturesQuery": server_features,
    "ServerInfo": server_features,
    "RunStoppedStatus": run_stopped,
    "ProbeServerUseArtifactInput": type_info,
    "InputFields": type_info,
    "TypeFields": type_info,
    "TypeInfo": type_info,
    "OrganizationCoreWeaveOrganizationID": core_weave_organization,
    "UpsertBucket": upsert_bucket,
    "RunResumeStatus": run_resume_status,
    "CreateRunFiles": create_run_files,
    "Run": run_query,
    "RunInputArtifacts": run_artifacts("inputs"),
    "RunOutputArtifacts": run_artifacts("outputs"),
    "ArtifactType": artifact_type,
    "CreateArtifact": create_artifact,
    "CreateArtifactManifest": create_manifest,
    "UpdateArtifactManifest": update_manifest,
    "CreateArtifactFiles": create_files,
    "CommitArtifact": commit_artifact,
    "UpdateArtifact": update_artifact,
    "AddAliases": add_aliases,
    "DeleteAliases": delete_aliases,
    "ArtifactMembershipByName": membership_by_name,
    "ArtifactByName": artifact_by_name,
    "UseArtifact": use_artifact,
    "ArtifactByID": artifact_by_id,
    "ArtifactManifest": artifact_manifest,
    "FetchArtifactManifest": artifact_manifest,
    "GetArtifactMembershipFileUrls": file_urls,
    "ArtifactFileUrls": file_urls_by_id,
    "GetArtifactFileUrls": file_urls_by_id,
    "ProjectArtifactCollection": project_collection,
    "ProjectArtifactTypes": artifact_types,
    "ArtifactTypeArtifactCollections": type_collections,
    "ProjectArtifactCollections": type_collections,
    "ProjectArtifacts": collection_versions,
    "ArtifactUsedBy": artifact_users,
    "ArtifactCreatedBy": artifact_creator,
}
