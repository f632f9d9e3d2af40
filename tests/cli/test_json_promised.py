"""What scripts read of `--json`: the fields of each command."""

from typing import Any

import pytest

from cli.table import COMMANDS
from nemotron.kit.registry.registry import Registry

VERSION = "uri name version type path created_at metadata inputs"
# Of one object, or of each in a list; `files.path` is a field of each in `files`.
PROMISED = {
    "ls": "name latest versions type aliases",
    "versions": VERSION,
    "show": VERSION,
    "resolve": VERSION,
    "register": VERSION,
    "alias": VERSION,
    "doctor": "ok findings",
    "verify": "uri ok evidence bytes_read files",
    "diff": "a b files metadata inputs uses",
    "inspect": "path type measured unreadable",
    "lineage": "uri nodes edges nodes.uri nodes.type edges.from edges.to edges.role",
    "composition": "uri tokens unknown_share sources.uri sources.tokens sources.share sources.confidence",
    "recall": "uri share path aliases",
    "impact": "uri share path aliases",
    "sync": "delivered waiting set_aside",
    "outbox": "delivered waiting set_aside",
}


def fields(value: Any, path: str) -> list[Any]:
    """What is at a path, in each of the objects on the way."""
    found = value if isinstance(value, list) else [value]
    for name in path.split("."):
        found = [one[name] for one in found]
        found = [each for one in found for each in (one if isinstance(one, list) else [one])]
    return found


@pytest.mark.parametrize("name", PROMISED)
def test_fields_of_a_command(kit, store: Registry, name: str) -> None:
    said = kit(*COMMANDS[name], "--json")
    assert said.code == 0, said.err
    assert said.json
    for path in PROMISED[name].split():
        fields(said.json, path)


def test_shares_sum_to_one(kit, store: Registry) -> None:
    said = kit("composition", "base", "--json").json
    assert sum(source["share"] for source in said["sources"]) + said["unknown_share"] == pytest.approx(1)
