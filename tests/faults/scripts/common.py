"""What the scripts here share. They are run by their path, each as one process that forks the others."""

import errno
import hashlib
import os
import sys
from pathlib import Path

# Imported before the forks, so that every child starts at once.
from nemotron.kit.registry import checkouts, publishing  # noqa: F401
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry


def without_hard_links():
    """As on a file system that has none: the O_EXCL path."""

    def refuse(*arguments, **named):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    os.link = refuse


def payload(writer, step):
    """What a writer puts into its file: recognisable as its own, and long enough to be cut."""
    return f"writer {writer} step {step} ".encode() * 50


def draft(folder, writer, step, snapshot=False):
    """A version that says in three places whose it is: metadata, producer and content."""
    path = Path(folder, f"writer-{writer}")
    path.mkdir(parents=True, exist_ok=True)
    data = payload(writer, step)
    (path / "part.txt").write_bytes(data)
    return Draft(
        name="race",
        source=path,
        metadata={"writer": writer, "step": step, "sha": hashlib.sha256(data).hexdigest()},
        producer=f"writer-{writer}",
        used_artifacts=(f"input-{writer}:v1",),
        snapshot=snapshot,
    )


def belongs_together(manifest):
    """Whether all that a version says is of one writer and one step."""
    said = manifest.metadata
    data = payload(said["writer"], said["step"])
    return (
        manifest.producer == f"writer-{said['writer']}"
        and manifest.used_artifacts == (f"input-{said['writer']}:v1",)
        and said["sha"] == hashlib.sha256(data).hexdigest()
        and (manifest.content.size, manifest.content.files) == (len(data), 1)
    )


def fork(work):
    """Run `work(write_line)` in a child; returns its pid and a reader of its lines."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, os.fdopen(reading, "r")
    code = 1
    try:
        os.close(reading)
        with os.fdopen(writing, "w", buffering=1) as file:
            work(lambda line: file.write(f"{line}\n"))
        code = 0
    except BaseException:
        import traceback

        traceback.print_exc(file=sys.stderr)
    finally:
        os._exit(code)


def open_registry(root):
    """As another process would open it."""
    return Registry.open(root)
