"""`register`, `rm`: versions come and go."""

import json
import os
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nemotron.kit.cli import completion
from nemotron.kit.cli.listing import version
from nemotron.kit.cli.options import Json, Quiet, Ref, Root, session
from nemotron.kit.errors import MisuseError, RefusedError

if TYPE_CHECKING:
    from nemotron.kit.console.output import Progress
    from nemotron.kit.console.views import DoneView
    from nemotron.kit.registry.records import Record
    from nemotron.kit.registry.registry import Registry

AUTO, GENERIC = "auto", "artifact"
_PATH_LIKE = ("/", "./", "../", "~")


class Evidence(Enum):
    """How closely the bytes are looked at."""

    stat = "stat"
    sampled = "sampled"
    full = "full"


Source = Annotated[
    str, typer.Argument(metavar="PATH", help="A file, a folder, or a URL.", show_default=False)
]
NameOption = Annotated[
    str,
    typer.Option(
        "--name",
        metavar="NAME",
        help="The artifact.",
        autocompletion=completion.names,
        show_default=False,
    ),
]
Type = Annotated[
    str,
    typer.Option(
        "--type",
        metavar="TYPE",
        help="What it is: a class such as ModelArtifact, one of your own as MODULE:CLASS, or any word in "
        "lower case; `auto` looks at the bytes.",
    ),
]
Snapshot = Annotated[
    bool, typer.Option("--snapshot", help="Copy the bytes into the store, instead of referring to them.")
]
FollowLinks = Annotated[
    bool,
    typer.Option(
        "--follow-links",
        help="Take the targets of links that leave the folder as content, as in a Hugging Face cache.",
    ),
]
EvidenceOption = Annotated[
    Evidence | None,
    typer.Option(
        "--evidence",
        metavar="stat|sampled|full",
        help="How closely to look: at size and time (at a URL also at the etag), also at three blocks of "
        "each file, or at every byte. `stat` by default; of a snapshot every byte is read, whatever it says.",
        show_default=False,
    ),
]
Metadata = Annotated[
    list[str] | None,
    typer.Option(
        "--metadata",
        metavar="KEY=VALUE",
        help="Something to know about it; numbers, true, false and other JSON keep their type. "
        "May be repeated.",
        show_default=False,
    ),
]
Inputs = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        metavar="REF",
        help="What it was made from: an artifact, a path or a URL. May be repeated.",
        autocompletion=completion.refs,
        show_default=False,
    ),
]
Aliases = Annotated[
    list[str] | None,
    typer.Option(
        "--alias", metavar="ALIAS", help="An alias to move to it. May be repeated.", show_default=False
    ),
]
Reason = Annotated[
    str,
    typer.Option(
        "-m",
        "--why",
        metavar="WHY",
        help="What a user of the version must know; everybody who asks for it reads this.",
        show_default=False,
    ),
]


DeleteData = Annotated[
    str | None,
    typer.Option(
        "--delete-data",
        metavar="PATH",
        help="Delete its data too, which lies at PATH.",
        show_default=False,
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="Delete, rather than only say what would be.")]


def register(
    path: Source,
    name: NameOption,
    type_: Type = GENERIC,
    snapshot: Snapshot = False,
    evidence: EvidenceOption = None,
    follow_links: FollowLinks = False,
    metadata: Metadata = None,
    inputs: Inputs = None,
    aliases: Aliases = None,
    root: Root = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Publish data that is there already as the next version of an artifact.

    What is identical to the latest version stays that version. With the type of a class, counts are read from
    the bytes, and a count in --metadata that is not what they say is refused, as is metadata that the class
    can't hold. With --type auto the bytes say which class it is.

    Example: nemotron kit register ./out --name my-data --metadata total_tokens=25000 --input raw-text:v3
    """
    from nemotron.kit.console.views import DoneView
    from nemotron.kit.context import current_run
    from nemotron.kit.registry.records import Draft

    facts, path = _facts(metadata or []), _place(path)
    registry, output = session(root, as_json, quiet)
    entry = None
    if type_ != GENERIC:
        with output.progress("Reading"):
            type_, facts, entry = _looked_at(path, type_, facts)
    used, external = _inputs(registry, inputs or [])
    draft = Draft(
        name=name.removeprefix("art://"),
        source=path,
        entry=entry,
        type=type_,
        metadata=facts,
        inputs=external,
        used_artifacts=used,
        producer=os.environ.get("NEMO_EXPERIMENT_ID") or "local",
        run=current_run().id,
        snapshot=snapshot,
        evidence=(evidence or Evidence.stat).value,
        follow_links=follow_links,
        aliases=tuple(aliases or ()),
        at_url={} if "://" in path else None,
        must_be_there=True,
    )
    if snapshot and evidence not in (None, Evidence.full):
        output.note(
            f"--evidence {evidence.value} is passed over: a snapshot is copied, so every byte is read and "
            "its evidence is full. Leave it out, or leave out --snapshot to refer to the data where it is"
        )
    with output.progress("Copying" if snapshot else "Reading", of_bytes=True) as progress:
        published = registry.publish(draft, progress=progress)
    record = published.record
    said = f"published {_described(record)}" if published.created else f"{record.uri} is the same already"
    also = f"  ({', '.join(draft.aliases)})" if draft.aliases else ""
    extra = {"created": published.created, "aliases": list(draft.aliases)}
    output.show(DoneView(record, f"{said}{also}", extra))
    content = record.manifest.content
    if published.created and content is not None and not content.files:
        output.note(
            f"{record.uri} is empty: there was no file in {path}. Register it again once it is written"
        )


def _place(path: str) -> str:
    """Where data lies that is to be published: a path on this machine, also if it is written as a URL."""
    scheme = path.partition("://")[0].lower() if "://" in path else ""
    if scheme == "art":
        raise MisuseError(
            f"{path} names an artifact, which is published. `nemotron kit alias` gives a version another "
            "name; to publish its data as another artifact, register the path that "
            f"`nemotron kit resolve {path}` prints"
        )
    if scheme != "file":
        return path
    from nemotron.kit.artifacts.paths import to_path

    return str(to_path(path))


def _described(record: "Record") -> str:
    """A version, and how much it is, if that is known: a URL may be out of reach."""
    from nemotron.kit.console import words

    content = record.manifest.content
    if content is None:
        return f"{record.uri}: no evidence"
    much = f"{words.many(content.files, 'file')}, {words.size(content.size)}"
    return f"{record.uri}: {much}, {content.evidence} evidence"


def _looked_at(path: str, type_: str, facts: dict[str, Any]) -> tuple[str, dict[str, Any], str | None]:
    """What lies at a path: its type, its counts, and for a folder that a file in it describes, that file."""
    from pydantic import ValidationError

    from nemotron.kit.artifacts import kinds
    from nemotron.kit.artifacts.base import Artifact
    from nemotron.kit.artifacts.measuring import inspect

    cls = Artifact if type_ == AUTO else kinds.meant(type_)
    if cls is None or (cls is Artifact and type_ != AUTO):
        return type_, facts, None
    try:
        artifact = inspect(cls, path, facts)
    except ValidationError as error:
        problems = "; ".join(f"{problem['loc'][0]}: {problem['msg']}" for problem in error.errors())
        raise MisuseError(f"A {cls.__name__} can't hold this metadata: {problems}") from error
    place = os.path.expanduser(path)
    described = os.path.isdir(place) and str(artifact.path) != os.path.abspath(place)
    return artifact.type, dict(artifact.metadata), artifact.path.name if described else None


def _facts(pairs: list[str]) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    for pair in pairs:
        key, mark, text = pair.partition("=")
        if not mark or not key:
            raise MisuseError(f"Invalid metadata: {pair!r}; expected KEY=VALUE, such as tokens=25000")
        if key in facts:
            raise MisuseError(f"Invalid metadata: {key!r} is given twice")
        try:
            facts[key] = json.loads(text)
        except (ValueError, RecursionError):
            facts[key] = text  # no JSON: it is text, which needs no quotes here
    return facts


def _inputs(registry: "Registry", refs: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The artifacts among some inputs, as `name:vN`, and the URIs of the others."""
    used: list[str] = []
    external: list[str] = []
    for ref in refs:
        if ref.startswith(_PATH_LIKE):
            external.append(f"file://{os.path.abspath(os.path.expanduser(ref))}")
        elif "://" in ref and not ref.startswith("art://"):
            external.append(ref)
        else:
            record = version(registry, ref)
            used.append(f"{record.name}:v{record.version}")
    return tuple(used), tuple(external)


def rm(
    ref: Ref,
    why: Reason,
    delete_data: DeleteData = None,
    yes: Yes = False,
    root: Root = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Withdraw a version: it resolves no more. Its data, its number and its lineage stay.

    REF must say which version. With --delete-data the files that the version lists are deleted as well, if
    the path is the one that it was published with, and no other version needs any of them. What a snapshot
    holds is freed by gc.

    Example: nemotron kit rm my-data:v3 -m "half of the shards are missing"
    """
    from nemotron.kit.console.views import DoneView

    registry, output = session(root, as_json, quiet)
    if delete_data is not None:
        with output.progress("Looking who needs it") as progress:
            output.show(_delete(registry, ref, why, delete_data, yes, progress))
        return
    record = registry.withdraw(ref, why)
    output.show(DoneView(record, f"withdrawn {record.uri}", {"withdrawn": {"reason": why}}))


def _delete(
    registry: "Registry", ref: str, why: str, path: str, yes: bool, progress: "Progress"
) -> "DoneView":
    from nemotron.kit.console import words
    from nemotron.kit.console.views import DoneView
    from nemotron.kit.registry import deleting

    found = deleting.plan(registry, ref, path, progress)
    what = f"{words.many(len(found.files), 'file')} ({words.size(found.size)}) in {found.path}"
    if found.kept:
        what += f", and keep {words.many(len(found.kept), 'other')}"
    if not yes:
        raise RefusedError(f"This would delete {what}, for good. Nothing was done; to do it, add --yes")
    if not found.is_withdrawn:
        registry.withdraw(ref, why)
    found.carry_out()
    deleted = {
        "path": found.path,
        "files": len(found.files),
        "bytes": found.size,
        "kept": list(found.kept),
    }
    extra = {"withdrawn": {"reason": why}, "deleted": deleted}
    return DoneView(found.record, f"withdrawn {found.record.uri}, and deleted {what}", extra)
