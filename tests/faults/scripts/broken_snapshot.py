"""Publishes a snapshot, and is killed, by itself, at a given point of it.

    python broken_snapshot.py ROOT FOLDER POINT

POINT is `remember:N` (when what is done is remembered for the N-th time), `link:N` and `linked:N` (before and
after a blob gets its name for the N-th time), `half:N` (in the middle of the N-th large file), `sync`,
`journal`, `manifest` (before each).
"""

import os
import signal
import sys

from nemotron.kit.registry import content, digest_cache, parallel
from nemotron.kit.registry.records import Draft
from nemotron.kit.registry.registry import Registry
from nemotron.kit.store import file_copy, files, local


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def at_call(real, number, *, after=False, only=lambda *_: True):
    """The real function, killing the process at its n-th call of interest."""
    calls = []

    def call(*arguments, **named):
        if only(*arguments):
            calls.append(True)
            if len(calls) == number and not after:
                die()
        result = real(*arguments, **named)
        if len(calls) == number and after:
            die()
        return result

    return call


def arm(point):
    kind, _, number = point.partition(":")
    is_blob = lambda source, target, *_: "/.kit/blobs/" in target  # noqa: E731
    if kind in ("link", "linked"):
        os.link = at_call(os.link, int(number), after=kind == "linked", only=is_blob)
    elif kind == "remember":
        remember = digest_cache.DigestCache.remember
        digest_cache.DigestCache.remember = at_call(remember, int(number), after=True)
    elif kind == "half":
        file_copy.copy = half_of(file_copy.copy, int(number))
    elif kind == "sync":
        local.LocalStore.sync_since = at_call(local.LocalStore.sync_since, 1)
    else:
        wanted = {"journal": ".kit/journal", "manifest": "m/v1/manifest.json"}[kind]
        only = lambda store, key, *_: key.startswith(wanted)  # noqa: E731
        local.LocalStore.create = at_call(local.LocalStore.create, 1, only=only)


def half_of(real, number):
    """The real copying of a large file, that gets no further than its middle at the n-th one."""
    calls = []

    def copy(source, target, *arguments, **named):
        calls.append(True)
        if len(calls) == number:
            files.write_all(target, os.pread(source, 700_000, 0))
            die()
        return real(source, target, *arguments, **named)

    return copy


def main(root, folder, point):
    arm(point)
    digest_cache.SETTLED_NS = -(10**12)  # as if the files had been written long ago
    content.REMEMBER_EVERY_S = content.REMEMBER_SHARE = 0
    parallel.CHUNK_FILES = 1
    Registry.open(root).publish(Draft(name="m", source=folder, snapshot=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
