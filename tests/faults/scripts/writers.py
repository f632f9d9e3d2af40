"""Many processes publish one name at once, and one reads all the while; prints what each saw as JSON.

The last version of each writer waits until so many reads were made: a busy machine runs the reader seldom.

python writers.py ROOT FOLDER WRITERS PUBLISHES READS [nolink] [snapshot]
"""

import json
import os
import sys
from functools import partial

from common import belongs_together, draft, fork, open_registry, without_hard_links

from nemotron.kit.documents.manifest import Manifest
from nemotron.kit.errors import CorruptError, NotFoundError


def write(root, folder, writer, publishes, snapshot, start, enough, say):
    registry = open_registry(root)
    os.read(start, 1)
    for step in range(publishes):
        if step == publishes - 1:
            os.read(enough, 1)  # nothing comes when the reader has ended, which shows in its exit code
        published = registry.publish(draft(folder, writer, step, snapshot))
        assert published.created
        record = published.record
        assert record.metadata["writer"] == writer
        assert record.metadata["step"] == step
        say(record.version)


def read(root, stop, whole_only, reads_min, tell_enough, say):
    """Look in every way, until told to stop; count the looks, and what was seen that is not whole."""
    registry, reads, half, last = open_registry(root), 0, 0, 0
    os.set_blocking(stop, False)
    while True:
        try:
            record = registry.resolve("race")
            assert belongs_together(record.manifest)
            assert record.version >= last, "latest went back"
            last = record.version
        except NotFoundError:
            assert last == 0
        for number in (last, last + 1, max(1, last // 2)):
            try:
                with open(f"{root}/race/v{number}/manifest.json", "rb") as file:
                    assert belongs_together(Manifest.from_bytes(file.read(), "naive"))
            except FileNotFoundError:
                pass
            except CorruptError:
                assert not whole_only
                half += 1
            reads += 1
            if reads == reads_min:
                tell_enough()
        try:
            os.read(stop, 1)
        except BlockingIOError:
            continue
        say(json.dumps({"reads": reads, "half": half}))
        return


def main(root, folder, writers, publishes, reads_min, *flags):
    if "nolink" in flags:
        without_hard_links()
    writers, publishes = int(writers), int(publishes)
    start, go = os.pipe()
    stop, halt = os.pipe()
    enough, is_enough = os.pipe()

    def written(writer, say):
        os.close(is_enough)
        write(root, folder, writer, publishes, "snapshot" in flags, start, enough, say)

    def seen_meanwhile(say):
        tell_enough = partial(os.write, is_enough, b"x" * writers)
        read(root, stop, "nolink" not in flags, int(reads_min), tell_enough, say)

    children = [fork(partial(written, n)) for n in range(writers)]
    reader = fork(seen_meanwhile)
    os.close(is_enough)
    os.write(go, b"x" * writers)
    told = {n: [int(line) for line in lines] for n, (_, lines) in enumerate(children)}
    codes = [os.waitpid(pid, 0)[1] for pid, _ in children]
    os.write(halt, b"x")
    seen = reader[1].read()
    codes.append(os.waitpid(reader[0], 0)[1])
    print(json.dumps({"told": told, "codes": codes, "seen": json.loads(seen or "{}")}))


main(*sys.argv[1:])
