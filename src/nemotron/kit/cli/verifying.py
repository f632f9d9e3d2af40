"""`verify`: is the content of a version still what was published?"""

from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from nemotron.kit.cli.failures import FAILED
from nemotron.kit.cli.options import Json, Quiet, Ref, Root, session

if TYPE_CHECKING:
    from nemotron.kit.documents.manifest import Evidence


class Looking(Enum):
    """How closely the bytes are compared."""

    stat = "stat"
    sampled = "sampled"
    full = "full"


EvidenceOption = Annotated[
    Looking | None,
    typer.Option(
        "--evidence",
        metavar="stat|sampled|full",
        help="How closely to look: at size, time and etag alone, or also at the bytes, as far as a digest "
        "or a sample of them is known. By default as closely as when it was published.",
        show_default=False,
    ),
]


RepairFrom = Annotated[
    str | None,
    typer.Option(
        "--repair-from",
        metavar="PATH|REF",
        help="Take what is damaged or missing of a snapshot again, from a folder, the root of another store, "
        "or another version that has the right bytes. The source is only read.",
        show_default=False,
    ),
]


def verify(
    ref: Ref,
    evidence: EvidenceOption = None,
    repair_from: RepairFrom = None,
    root: Root = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare the files of a version with what was published, and say how sure the answer is.

    Of a snapshot, the store's own copy is looked at, and the folder where it is laid out, if it is. Of data
    at a URL, its server is asked for a listing or a head; an object with another etag and the same size
    counts as changed, and is shown as changed? where no digest tells more.

    Exit code 1 means that a file is changed, missing or extra; touched alone does not count.

    Example: nemotron kit verify my-data:v3 --evidence full

    Example: nemotron kit verify my-data:v3 --repair-from /backup/my-data
    """
    from nemotron.kit.cli.listing import version
    from nemotron.kit.console.verification import VerificationView

    registry, output = session(root, as_json, quiet)
    level: Evidence | None = evidence.value if evidence else None
    record = version(registry, ref)
    with output.progress("Reading", of_bytes=True) as progress:
        found = registry.verify(record.uri, level, progress=progress)
    repaired: list[str] | None = None
    if repair_from is not None:
        with output.progress("Repairing", of_bytes=True) as progress:
            repaired = registry.repair(record.uri, repair_from, found, progress=progress)
        if found.files:
            with output.progress("Reading", of_bytes=True) as progress:
                found = registry.verify(record.uri, level, progress=progress)
        if left := [file.path for file in found.files if file.place == "store"]:
            more = f" and {len(left) - 1:,} more" if len(left) > 1 else ""
            output.note(f"{repair_from} does not hold what was published as {left[0]}{more}")
    output.show(VerificationView(found, repaired))
    if not found.ok:
        raise typer.Exit(FAILED)
