"""`cat`, `cp`, `open`: what is in an artifact, for other programs and for people."""

import os
import shutil
import subprocess
import sys
from typing import Annotated

import typer

from nemotron.kit.cli import completion
from nemotron.kit.cli.options import Json, Quiet, Root, session
from nemotron.kit.cli.resolving import where
from nemotron.kit.console.output import is_terminal, warn, write_bytes
from nemotron.kit.errors import MisuseError

JSON_BYTES_MAX = 64 << 20

Inside = Annotated[
    str,
    typer.Argument(
        metavar="REF[/PATH]",
        help="An artifact, or a file or folder inside it, such as my-data:v3/train/000.txt.",
        autocompletion=completion.refs,
        show_default=False,
    ),
]
Destination = Annotated[
    str,
    typer.Argument(
        metavar="DEST",
        help="A file or folder on this machine; the folder you are in is a dot.",
        show_default=False,
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Replace files that are there and differ.")]


def cat(ref: Inside, root: Root = None, as_json: Json = False, quiet: Quiet = False) -> None:
    """Write a file of an artifact to standard output, byte for byte.

    Of an artifact that is one file (blend.json), that file. With --json its text, or base64 where it is none.

    Example: nemotron kit cat my-data:v3/part.txt | head
    """
    from nemotron.kit.integrations.copying import chunks

    registry, output = session(root, as_json, quiet)
    if as_json:
        from nemotron.kit.console.content import ContentView
        from nemotron.kit.integrations.artifact_places import find

        data = bytearray()
        for chunk in chunks(registry, ref):
            data += chunk
            if len(data) > JSON_BYTES_MAX:
                raise MisuseError(
                    f"{ref} has more than {JSON_BYTES_MAX:,} bytes; leave out --json, or copy it"
                )
        output.show(ContentView(find(registry, ref).uri, bytes(data)))
        return
    terminal = is_terminal()
    for chunk in chunks(registry, ref):
        if terminal and b"\x00" in chunk:
            raise MisuseError(
                f"{ref} is binary, which would garble the terminal; send it to a file or a pipe"
            )
        write_bytes(chunk)


def cp(
    ref: Inside,
    to: Destination,
    force: Force = False,
    root: Root = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Copy a file, or all that is in an artifact or a folder of it, to this machine.

    A file goes to DEST, or into it if that is a folder; the content of a folder goes into DEST, which is
    made. What is there already and the same is not copied again, so a copy that broke off goes on: by the
    digests of the version, and where it has none by all bytes, which are read in both places. Where a file
    differs nothing is copied at all, unless --force says to replace it. Where the version has digests,
    what arrives is compared with them; if a file is not what was published, DEST is left as it was. Links are
    copied as links where what they lead to is copied too, or is nowhere; those that lead out of the artifact
    are left out, and a warning names them. The kit's own metadata.json comes along and is not counted; that
    of another version of the same artifact is replaced.

    Example: nemotron kit cp my-data:v3/train ./train
    """
    from nemotron.kit.console.content import CopiedView
    from nemotron.kit.integrations.copying import copy_out

    registry, output = session(root, as_json, quiet)
    with output.progress("Copying", of_bytes=True) as progress:
        copied = copy_out(registry, ref, to, force=force, progress=progress)
    view = CopiedView(copied)
    if warning := view.warning():
        warn(warning)
    output.show(view)


def open_(ref: Inside, root: Root = None, as_json: Json = False, quiet: Quiet = False) -> None:
    """Show an artifact, or something inside it, in the file manager or whatever opens such a file.

    Its path is printed as well. Without a display, and with --json or --quiet, that is all that happens.

    Example: nemotron kit open my-data:v3
    """
    from nemotron.kit.console.path import PathView

    registry, output = session(root, as_json, quiet)
    record, folder, path, inside = where(registry, ref, output)
    output.show(PathView(record, folder, path, inside))
    if as_json or quiet:
        return
    opener = _opener()
    if opener is None:
        if is_terminal():
            output.note("There is no display to open it on; this is where it lies.")
        return
    # Whatever opens it goes on by itself; this command is done.
    subprocess.Popen(
        [opener, path],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _opener() -> str | None:
    """The program that opens paths on this desktop, or None if there is no desktop."""
    if sys.platform == "darwin":
        return shutil.which("open")
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        return shutil.which("xdg-open")
    return None
