"""House-keeping: what no living version names goes, by way of the trash; leftovers go at once.

What is decided is in `garbage`; here it is seen and done. The order is what makes it safe: list what is
there, then read what versions name, then move.
"""

import logging
import os
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta

from nemotron.kit.documents import codec
from nemotron.kit.documents.manifest import Manifest
from nemotron.kit.errors import CorruptError, DiskFullError
from nemotron.kit.registry import census, copying, garbage, in_doubt, layout, leftovers, newer_stats, stamps
from nemotron.kit.registry.census import Census
from nemotron.kit.registry.flags import check_flags
from nemotron.kit.registry.founding import is_founded
from nemotron.kit.registry.garbage import Action, Item, Sweep, What
from nemotron.kit.registry.trees import read_tree
from nemotron.kit.registry.work import Progress
from nemotron.kit.store.protocol import Found, Store
from nemotron.kit.store.system_errors import translating
from nemotron.kit.workers import Workers

log = logging.getLogger(__name__)


def collect(
    store: Store,
    grace: timedelta,
    *,
    apply: bool,
    forget_damaged: bool = False,
    progress: Progress | None = None,
) -> Sweep:
    """See `Registry.gc`."""
    check_flags(apply=apply, forget_damaged=forget_damaged)
    if not is_founded(store):  # a root that is misspelt is not made, either
        return Sweep(root=store.url, applied=apply, grace=grace, items=())
    run = _Run(store, grace, apply, progress or (lambda done, total: None))
    try:
        return run.sweep(forget_damaged)
    finally:
        run.close()


class _Run:
    def __init__(self, store: Store, grace: timedelta, apply: bool, progress: Progress) -> None:
        self.store = store
        self.grace = grace
        self.apply = apply
        self.progress = progress
        self.began_s = time.monotonic()
        self.batch = stamps.uuid7()
        self.unfinished: str | None = None
        self.next_at: float | None = None
        self._counts: dict[tuple[What, Action], tuple[int, int]] = {}
        self._moved = False
        # What is kept though no version of the kit was committed with it.
        self._unsworn: set[str] = set()
        self._gone: set[str] = set()
        self._not_put_back = 0
        self.now = self._begin() if apply else time.time()

    # -- the run -------------------------------------------------------------------------------------------

    def sweep(self, forget_damaged: bool) -> Sweep:
        trash = self._trash()
        old = garbage.candidates(
            (found for place in (layout.BLOBS, layout.TREES) for found in self.store.walk(place)),
            self.now,
            self.grace,
        )
        seen = census.take(self.store, self.progress)
        named = self._named(seen, forget_damaged)
        for batch, objects in trash.items():
            self._settle(batch, objects, named)
        self._delete_leftovers(seen)
        self._set_aside(garbage.unnamed(old, named))
        self._end_doubt(named)
        if self._not_put_back and self.unfinished is None:
            self.unfinished = (
                f"the disk is full: {self._not_put_back:,} that versions need stay in the trash, where "
                "readers find them; run it again once there is some space"
            )
        order = sorted(self._counts.items())
        items = [Item(what=key[0], action=key[1], count=n, size=size) for key, (n, size) in order if n]
        return Sweep(
            root=self.store.url,
            applied=self.apply,
            grace=self.grace,
            items=tuple(items),
            next_at=self.next_at,
            unfinished=self.unfinished,
        )

    def _begin(self) -> float:
        """Begin a batch of the trash, and tell the time by the store's clock."""
        document = {"begun_at": stamps.now(), "by": stamps.who(), "grace_s": self.grace.total_seconds()}
        if not self._mark(self.batch, document):
            self.unfinished = "the disk is full: nothing was set aside; run it again once there is some space"
        # What was written last was not written after now.
        place = ".kit" if self.unfinished else f"{layout.TRASH}/{self.batch}"
        return max((found.modified for found in self.store.walk(place)), default=0.0)

    def _mark(self, batch: str, document: dict[str, object]) -> bool:
        """Say that the time of a batch begins; False where the disk has no space even for an empty file."""
        for data in (codec.encode(document), b""):  # the file's time is what counts
            try:
                self.store.create(layout.batch(batch), data)
            except DiskFullError:
                continue
            return True
        return False

    def close(self) -> None:
        """Leave no batch behind that nothing was put into."""
        if self.apply and not self._moved:
            self.store.remove(layout.batch(self.batch))
            self.store.prune(f"{layout.TRASH}/{self.batch}")

    def _count(self, what: What, action: Action, found: Iterable[Found]) -> None:
        count, size = self._counts.get((what, action), (0, 0))
        for item in found:
            count, size = count + 1, size + item.size
        self._counts[what, action] = count, size

    def _each(self, objects: list[Found], work: Callable[[Found], object]) -> None:
        """Do something to many objects; on a bucket each costs a request or three."""
        if not self.apply or not objects:
            return
        with Workers(census.WORKERS, "kit-gc") as pool:
            done = 0
            for batch in census.batches(objects):
                list(pool.map(work, batch))
                done += len(batch)
                self.progress(done, len(objects))

    # -- what versions name --------------------------------------------------------------------------------

    def _named(self, seen: Census, forget_damaged: bool) -> set[str]:
        """The keys of all blobs and trees that are needed."""
        named: set[str] = set()
        unknown = [f"{e}" for (name, n), e in seen.damaged.items() if n not in seen.older[name]]
        for manifest in seen.living:
            try:
                named.update(_keys(self.store, manifest))
            except CorruptError as error:
                unknown.append(f"{error}. To give {manifest.uri} up, withdraw it: nemotron kit rm")
        if unknown and not forget_damaged:
            more = f" (and {len(unknown) - 1} more like this)" if len(unknown) > 1 else ""
            raise CorruptError(
                f"Nothing was collected: {unknown[0]}{more}. What it needs is not known. Restore it from a "
                "backup; or, to give up what only it needs, add --forget-damaged"
            )
        adopted = {key(d) for d in census.adopted(self.store) for key in (layout.blob, layout.tree)}
        self._unsworn = adopted - named
        return named | adopted | newer_stats.listings(self.store)

    # -- the trash -----------------------------------------------------------------------------------------

    def _trash(self) -> dict[str, list[Found]]:
        """What earlier runs set aside, by batch, where a grace period is over."""
        batches: dict[str, list[Found]] = defaultdict(list)
        for found in self.store.walk(layout.TRASH):
            batches[found.key.split("/")[2]].append(found)
        for empty in set(self.store.list(layout.TRASH)) - batches.keys() if self.apply else ():
            self.store.prune(f"{layout.TRASH}/{empty}")  # a run was killed just before or after it was there
        batches.pop(self.batch, None)
        over: dict[str, list[Found]] = {}
        for batch, objects in sorted(batches.items()):
            begun = next((f.modified for f in objects if f.key == layout.batch(batch)), None)
            if begun is not None and garbage.is_over(begun, self.now, self.grace):
                over[batch] = objects
                continue
            if begun is None and self.apply:  # somebody tidied up by hand: its time begins now
                self._mark(batch, {"begun_at": stamps.now()})
            if self._waits(objects):  # else a run was killed, or is about to begin
                self._come_back(self.now if begun is None else begun)
        return over

    def _waits(self, objects: Iterable[Found]) -> bool:
        waiting = [(key, found) for found in objects if (key := layout.put_back(found.key))]
        for key, found in waiting:
            self._count(_kind(key), "waiting", [found])
        return bool(waiting)

    def _come_back(self, begun: float) -> None:
        due = begun + self.grace.total_seconds()
        self.next_at = due if self.next_at is None else min(self.next_at, due)

    def _settle(self, batch: str, objects: list[Found], named: set[str]) -> None:
        settled = garbage.settle(objects, named)
        for found in settled.deleted:
            self._count(_kind(layout.put_back(found.key) or ""), "deleted", [found])
        self._gone.update(found.key for found in (*settled.put_back, *settled.deleted))
        left = self._put_all_back(list(settled.put_back))
        self._each(list(settled.deleted), lambda found: self.store.remove(found.key))
        left = self._put_all_back(left)  # now there may be room
        for found in set(settled.put_back).difference(left):
            self._count(_kind(layout.put_back(found.key) or ""), "put back", [found])
        self._not_put_back += len(left)
        self._waits(left)
        if self.apply and not left:
            # Last: as long as the mark is there, a run that was killed here is taken up by the next one.
            self.store.remove(layout.batch(batch))
            self.store.prune(f"{layout.TRASH}/{batch}")

    def _put_all_back(self, objects: list[Found]) -> list[Found]:
        """Put objects back; those for whose folders a full disk has no space stay where they are."""
        left: list[Found] = []

        def put_back(found: Found) -> None:
            try:
                self._put_back(found)
            except DiskFullError:
                left.append(found)

        self._each(objects, put_back)
        if self.apply and len(left) < len(objects):
            self.store.sync()
        return left

    def _put_back(self, found: Found) -> None:
        key = layout.put_back(found.key)
        assert key is not None
        if copying.holds(self.store, key, found.size):
            self.store.remove(found.key)
        elif self.store.move(found.key, key):
            self.store.rely_on(key)

    def _set_aside(self, objects: list[Found]) -> None:
        if self.apply and self.unfinished and objects:  # what was deleted since may have made room
            self.unfinished = None
            self.now = self._begin()
        if self.apply and self.unfinished:
            return
        aside: list[Found] = []

        def move(found: Found) -> None:
            # Whoever relied on it must have committed when the batch's time is over.
            if time.monotonic() - self.began_s > self.grace.total_seconds() / 4:
                self.unfinished = "it took too long for this grace period; run it again for the rest"
                return
            try:
                if self.store.move(found.key, layout.set_aside(self.batch, found.key)):
                    aside.append(found)
            except DiskFullError:  # folders of the trash take space where a rename does not
                self.unfinished = "the disk is full; run it again for the rest once there is some space"

        self._moved = bool(objects)
        self._each(objects, move)
        self._moved = bool(aside)
        for found in aside if self.apply else objects:
            self._count(_kind(found.key), "set aside", [found])
        if aside or (objects and not self.apply):
            self._come_back(self.now)

    # -- what a failed sync casts doubt on -----------------------------------------------------------------

    def _end_doubt(self, named: set[str]) -> None:
        """Say that the mark of a failed sync is void, if nothing is left of what it is about."""
        until_ns = self.store.doubtful_until()
        if not until_ns or not garbage.is_over(until_ns / 1e9, self.now, self.grace):
            return

        def is_sound(key: str) -> bool:
            return key in named and key not in self._unsworn

        if in_doubt.is_left(self.store, until_ns, is_sound, () if self.apply else self._gone):
            return
        try:
            if self.apply:
                self.store.end_doubt(until_ns)
        except DiskFullError as error:
            log.info("%s. A failed sync is still told of", error)
            return
        self._count("doubt", "deleted", [Found(".kit/doubtful", 0, 0.0)])

    # -- leftovers -----------------------------------------------------------------------------------------

    def _delete_leftovers(self, seen: Census) -> None:
        self._delete("stats", newer_stats.superseded(self.store, seen.withdrawn), self.grace)
        self._delete("temporary", leftovers.all_in(self.store, seen.older), self.grace)
        # A job may run longer than a short grace period, and its ranks ask again when they are restarted.
        answers = self.store.walk(".kit/resolutions")
        self._delete("resolutions", answers, max(self.grace, garbage.GRACE_DEFAULT))
        entries = self.store.walk(".kit/journal")
        for found in self._delete("journal", entries, max(self.grace, garbage.JOURNAL_KEPT)):
            if self.apply:
                self.store.prune(found.key.rpartition("/")[0])
        self._delete_checkouts(seen)

    def _delete(self, what: What, things: Iterable[Found], age: timedelta) -> list[Found]:
        """Delete those that are old enough; for the journal, tell one of each folder."""
        old = [found for found in things if garbage.is_over(found.modified, self.now, age)]
        self._count(what, "deleted", old)
        self._gone.update(found.key for found in old)
        self._each(old, lambda found: self.store.remove(found.key))
        return list({found.key.rpartition("/")[0]: found for found in old}.values())

    def _delete_checkouts(self, seen: Census) -> None:
        """Folders of snapshots that were withdrawn a grace period ago, and half-made ones."""
        for name in sorted(self.store.list(".kit/checkouts")):
            folder = self.store.local_path(f".kit/checkouts/{name}")
            if folder is None or not folder.is_dir():
                continue
            for child in sorted(os.listdir(folder)):
                key = f".kit/checkouts/{name}/{child}"
                if self._is_given_up(seen, name, child):
                    self._count_folder(key)
                    if self.apply:
                        _remove_folder(str(folder), child)

    def _is_given_up(self, seen: Census, name: str, child: str) -> bool:
        number = layout.version_number(child)
        if number is not None:
            stone = layout.tombstone(name, number)
            return (name, number) in seen.withdrawn and any(
                found.key == stone and garbage.is_over(found.modified, self.now, self.grace)
                for found in self.store.walk(f"{name}/v{number}")
            )
        path = self.store.local_path(f".kit/checkouts/{name}/{child}")
        if not garbage.is_temporary(child) or path is None:
            return False
        try:
            begun = path.lstat().st_mtime
        except FileNotFoundError:
            return False
        return garbage.is_over(begun, self.now, max(self.grace, garbage.GRACE_DEFAULT))

    def _count_folder(self, key: str) -> None:
        size = sum(found.size for found in self.store.walk(key))
        self._count("checkouts", "deleted", [Found(key, size, 0.0)])


def _keys(store: Store, manifest: Manifest) -> Iterator[str]:
    """The keys of the objects that a version needs."""
    looked_at = manifest.content
    if looked_at is None:
        return
    if looked_at.tree is not None:
        yield layout.tree(looked_at.tree)
    tree = read_tree(store, manifest) if looked_at.mode == "snapshot" else None
    for entry in tree.entries if tree else ():
        if entry.digest is not None:
            yield layout.blob(entry.digest)


def _kind(key: str) -> What:
    return "trees" if key.startswith(layout.TREES) else "blobs"


def _remove_folder(parent: str, child: str) -> None:
    """Take a folder away; at no time does half of it lie under its name."""
    aside = f"{parent}/{child}" if garbage.is_temporary(child) else f"{parent}/.tmp-{os.urandom(8).hex()}"
    with translating("remove", f"{parent}/{child}"):
        try:
            if not garbage.is_temporary(child):
                os.rename(f"{parent}/{child}", aside)
            shutil.rmtree(aside)
        except FileNotFoundError:
            return  # another run did
