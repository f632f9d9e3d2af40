"""Projects, runs, collections and artifacts as the client reads them in a reply."""

import json
from typing import Any

from wandb_server.state import CREATED_AT, Artifact, Collection, Run

Answer = dict[str, Any]


def project_info(entity: str, project: str) -> Answer:
    return {
        "id": f"project-{project}",
        "internalId": "UHJvamVjdDox",
        "name": project,
        "entity": {"id": f"entity-{entity}", "name": entity},
    }


def collection_info(collection: Collection) -> Answer:
    return {
        "__typename": "ArtifactSequence",
        "id": collection.id,
        "name": collection.name,
        "description": None,
        "createdAt": CREATED_AT,
        "updatedAt": CREATED_AT,
        "digestAlgorithm": "MANIFEST_MD5",
        "project": project_info(collection.entity, collection.project),
        "type": {"name": collection.type},
        "tags": {"edges": []},
    }


def alias_info(artifact: Artifact) -> list[Answer]:
    return [
        {
            "__typename": "ArtifactAlias",
            "id": f"alias-{alias}-{artifact.id}",
            "alias": alias,
            "artifactCollection": collection_info(artifact.collection),
        }
        for alias in artifact.aliases
    ]


def artifact_info(artifact: Artifact) -> Answer:
    return {
        "__typename": "Artifact",
        "id": artifact.id,
        "artifactSequence": collection_info(artifact.collection),
        "versionIndex": artifact.index,
        "artifactType": {"name": artifact.type},
        "description": artifact.description,
        "metadata": json.dumps(artifact.metadata),
        "ttlDurationSeconds": -2,
        "ttlIsInherited": True,
        "tags": [],
        "historyStep": None,
        "state": "PENDING" if artifact.index is None else "COMMITTED",
        "size": "0",
        "digest": artifact.digest,
        "digestAlgorithm": "MANIFEST_MD5",
        "commitHash": artifact.digest[:20],
        "fileCount": len(artifact.files),
        "createdAt": CREATED_AT,
        "updatedAt": CREATED_AT,
        "aliases": alias_info(artifact),
    }


def run_info(run: Run) -> Answer:
    return {
        "__typename": "Run",
        "id": run.id,
        "name": run.name,
        "displayName": run.display_name,
        "description": run.notes,
        "state": run.state,
        "config": json.dumps(run.config),
        "summaryMetrics": "{}",
        "sweepName": None,
        "tags": run.tags,
        "jobType": run.job_type,
        "createdAt": CREATED_AT,
        "heartbeatAt": CREATED_AT,
        "historyLineCount": 0,
        "user": {"name": "tester", "username": "tester"},
        "project": project_info(run.entity, run.project),
        "projectId": "1",
        "readOnly": False,
        "group": None,
        "systemMetrics": "{}",
        "historyKeys": None,
    }


def page(nodes: list[Answer], **extra: Any) -> Answer:
    return {
        "totalCount": len(nodes),
        "pageInfo": {"__typename": "PageInfo", "endCursor": None, "hasNextPage": False},
        "edges": [{"node": node, "cursor": "", **extra} for node in nodes],
    }
