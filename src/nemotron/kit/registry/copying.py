"""Taking files into the store: each byte is read once, hashed, and written under the name of its digest."""

import time
from collections.abc import Container
from contextlib import nullcontext

from blake3 import blake3

from nemotron.kit.documents.columns import Columns
from nemotron.kit.documents.digest import ALGORITHM, SAMPLE_BLOCK
from nemotron.kit.documents.entry import Entry
from nemotron.kit.errors import DiskFullError
from nemotron.kit.registry import layout, reading
from nemotron.kit.registry.work import Told, each
from nemotron.kit.store import files, plain
from nemotron.kit.store.protocol import Store

# What an earlier try has brought into the store lies together, and asking for a small file is less work than
# writing it. After so many that were not there, asking would be a sixth of the work, for nothing.
NEW_IN_A_ROW = 8


def copy_chunk(
    store: Store,
    folder: str,
    likely: dict[str, str],
    part: Columns,
    threads: int = 1,
    told: Told | None = None,
    *,
    durably: bool = False,
    doubtful_until: int = 0,
    listed: Container[str] = (),
) -> Columns:
    """Copy files into the store, and return their entries with digests.

    Args:
        store: takes the copies.
        folder: where the files are.
        likely: the digest that a file may well have, by path: it had that in an earlier version.
        part: the files.
        threads: how many hash one large file.
        told: hears of the bytes done.
        durably: sync them: what another process wrote, such as an executor's, nobody else can.
        doubtful_until: see `Store.doubtful_until`.
        listed: digests of contents that a listing shows a far store to have; nothing is asked about these.
    """
    copying = _Copying(store, folder, threads, told, doubtful_until, listed)
    with store.mark() if durably else nullcontext() as mark:
        taken = each(part, lambda entry: copying.file(entry, likely.get(entry.path)))
        if mark is not None:
            store.sync_since(mark)
    return taken


def holds(store: Store, key: str, size: int) -> bool:
    """Whether the store has some content under its key, as far as the size tells; the trash does not count.

    A power loss between a copy and its sync may leave an empty file under a good name.
    """
    path = store.local_path(key)
    if path is None:
        return store.exists(key)
    try:
        return path.stat().st_size == size
    except FileNotFoundError:
        return False


class _Copying:
    """One after another, files of a folder are copied into a store.

    Args:
        store: takes the copies.
        folder: where the files are.
        threads: how many hash one large file.
        told: hears of the bytes done.
        doubtful_until: what the store was given until then is taken again.
        listed: digests of contents that it surely has.
    """

    def __init__(
        self,
        store: Store,
        folder: str,
        threads: int,
        told: Told | None,
        doubtful_until: int,
        listed: Container[str],
    ) -> None:
        self._store, self._folder = store, folder
        self._threads, self._told = threads, told
        self._doubtful_until = doubtful_until
        self._listed = listed
        self._new_in_a_row = 0

    def file(self, entry: Entry, likely: str | None) -> Entry:
        """Copy one, and return its entry with the digest.

        Args:
            entry: as it was looked at.
            likely: the digest that it may well have.
        """
        if entry.digest and self._holds(entry.digest, entry.size):
            self._store.rely_on(layout.blob(entry.digest))  # who copied it may have been killed before a sync
            return entry
        if likely and entry.size > reading.SMALL_SIZE_MAX and self._looks_like(entry, likely):
            probed = reading.hash_file(self._folder, entry, self._threads)
            if probed.digest == likely:
                return probed

        def take(descriptor: int, size: int) -> tuple[str, int]:  # as large as it is by now
            is_small = size <= reading.SMALL_SIZE_MAX
            return self._small(descriptor, size, likely) if is_small else self._large(descriptor, size)

        try:
            return reading.steadily(self._folder, entry, take)
        except DiskFullError:
            held = self._held(entry)
            if held is None:
                raise
            return held

    def _held(self, entry: Entry) -> Entry | None:
        """The entry with its digest, if the store has the content, under whatever name it came; None if not.

        A large file is copied before its digest is known: on a full disk it is read once more, to see whether
        it needs any space.
        """
        if entry.size <= reading.SMALL_SIZE_MAX or self._store.local_path(layout.BLOBS) is None:
            return None
        probed = reading.hash_file(self._folder, entry, self._threads, self._told)
        if probed.digest is None or not self._holds(probed.digest, probed.size):
            return None
        self._store.rely_on(layout.blob(probed.digest))
        return probed

    def _looks_like(self, entry: Entry, digest: str) -> bool:
        """Whether a few blocks of a file are those of a blob, so that reading all of it may save a copy."""
        blob = self._store.local_path(layout.blob(digest))
        if blob is None:
            return False
        try:
            with (
                open(f"{self._folder}/{entry.path}", "rb", buffering=0, opener=plain.opener) as one,
                open(blob, "rb", buffering=0) as other,
            ):
                starts = (0, (entry.size - SAMPLE_BLOCK) // 2, entry.size - SAMPLE_BLOCK)
                return all(
                    files.read_at(one.fileno(), SAMPLE_BLOCK, start)
                    == files.read_at(other.fileno(), SAMPLE_BLOCK, start)
                    for start in starts
                )
        except OSError:
            return False  # copying it will tell what is wrong

    def _small(self, descriptor: int, size: int, likely: str | None) -> tuple[str, int]:
        """Put what a small file holds into the store under its digest; tells that, and how much it was."""
        data = reading.read_small(descriptor, size)
        count = len(data)
        if self._told is not None:
            self._told(count)
        if count != size:
            return "", count  # nobody will want it
        digest = f"{ALGORITHM}:{blake3(data).hexdigest()}"
        if digest in self._listed or (digest == likely and holds(self._store, layout.blob(digest), count)):
            return digest, count
        key = layout.blob(digest)
        is_asked = self._new_in_a_row < NEW_IN_A_ROW and self._store.at_once == 1
        if is_asked and self._holds(digest, count):
            self._store.rely_on(key)
            self._new_in_a_row = 0
            return digest, count
        if self._doubtful_until:
            self._make_way(key)
        created = self._store.put(key, data)
        self._new_in_a_row = self._new_in_a_row + 1 if created else 0
        return digest, self._kept(digest, count, created=created)

    def _large(self, descriptor: int, size: int) -> tuple[str, int]:
        """The same for a large one, which is hashed while it is copied."""
        hasher = blake3(max_threads=reading.beside_copying(self._threads))
        with self._store.stage() as staging:
            staging.told = self._told
            seen = reading.up_to(size, hasher.update)
            count = staging.fill(descriptor, seen, reading.COPY_BUFFER_SIZE, ahead=self._threads > 1)
            digest = f"{ALGORITHM}:{hasher.hexdigest()}"
            if self._doubtful_until:
                self._make_way(layout.blob(digest))
            created = staging.commit(layout.blob(digest))
        return digest, self._kept(digest, count, created=created)

    def _kept(self, digest: str, count: int, *, created: bool) -> int:
        """The number of bytes there were; -1, for one more try, where the store has others under the name."""
        if created or self._holds(digest, count):
            return count
        self._store.remove(layout.blob(digest))
        return -1

    def _make_way(self, key: str) -> None:
        """Put into the trash what is in doubt: a version that names it has it from there."""
        if self._is_doubtful(key):
            batch = layout.doubtful_batch(self._doubtful_until, time.time())
            self._store.move(key, layout.set_aside(batch, key))

    def _holds(self, digest: str, size: int) -> bool:
        key = layout.blob(digest)
        return holds(self._store, key, size) and not (self._doubtful_until and self._is_doubtful(key))

    def _is_doubtful(self, key: str) -> bool:
        path = self._store.local_path(key)
        found = files.looked_at(str(path)) if path is not None else None
        return found is not None and found.st_mtime_ns <= self._doubtful_until
