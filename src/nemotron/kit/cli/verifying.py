"""`verify`: is the content of a version still what was published?"""

from enum import Enum
from typing import Annotated

import typer

from nemotron.kit.cli.failures import FAILED
from nemotron.kit.cli.options import Json, Quiet, Ref, Root, session


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
        help="How closely to look: at size and time alone, or also at the bytes, as far as a digest or a "
        "sample of them is known. By default as closely as when it was published.",
        show_default=False,
    ),
]


def verify(
    ref: Ref,
    evidence: EvidenceOption = None,
    root: Root = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Compare the files of a version with what was published, and say how sure the answer is.

    Exit code 1 means that a file is changed, missing or extra; touched alone does not count.

    Example: nemotron kit verify my-data:v3 --evidence full
    """
    from nemotron.kit.cli.listing import version
    from nemotron.kit.console.verification import VerificationView

    registry, output = session(root, as_json, quiet)
    record = version(registry, ref)
    with output.progress("Reading", of_bytes=True) as progress:
        found = registry.verify(record.uri, evidence.value if evidence else None, progress=progress)
    output.show(VerificationView(found))
    if not found.ok:
        raise typer.Exit(FAILED)
