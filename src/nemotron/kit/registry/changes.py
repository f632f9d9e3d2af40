"""The decisions of publishing as pure functions: what is identical, what differs."""

from bisect import bisect_left

from nemotron.kit.documents.columns import FILE_MAX, HASH_BYTES, KIND_MASK, Columns
from nemotron.kit.documents.digest import SAMPLED_WHOLE_MAX
from nemotron.kit.documents.edge import InputEdge
from nemotron.kit.documents.entry import CODES
from nemotron.kit.documents.manifest import Manifest
from nemotron.kit.documents.positions import side_by_side
from nemotron.kit.documents.tree import Entry, Tree
from nemotron.kit.registry.differences import Difference, Differences
from nemotron.kit.registry.resolved import folder_of, rebase

_DIR = CODES["dir"]
_TIMES = frozenset({"created_at", "elapsed_sec"})
# How etags begin that are digests of the content: those of the Hugging Face Hub.
CONTENT_ETAGS = ("sha256:", "git-sha1:")


def same_file(old: Entry, new: Entry) -> bool:
    """Whether two entries of one path hold the same: by digest where both have one, else by size and time.

    Where both have a sample, it must agree as well: it can prove that files differ, not that they are equal.
    For objects with etags these take the place of the time: a store changes an etag with the bytes.
    """
    if (old.kind, old.size, old.target) != (new.kind, new.size, new.target):
        return False
    if old.digest and new.digest:
        return old.digest == new.digest
    if old.sample and new.sample and old.sample != new.sample:
        return False
    if old.etag and new.etag:
        return old.etag == new.etag
    return old.mtime_ns == new.mtime_ns


def same_tree(old: Tree | None, new: Tree | None) -> bool:
    """Whether two listings hold the same files."""
    if old is None or new is None or old is new:
        return old is new
    before, after = old.columns, new.columns
    if before.sizes != after.sizes or before.paths != after.paths:
        return False
    if not old.unread() and not new.unread():  # all have digests, and these decide
        return (before.marks, before.hashes, before.targets) == (after.marks, after.hashes, after.targets)
    return before.same_as(after) or all(map(same_file, old.entries, new.entries))


def identical(old: Manifest, old_tree: Tree | None, new: Manifest, new_tree: Tree | None) -> bool:
    """Whether publishing `new` would say nothing that `old` does not say.

    Both speak of the same name, type, content, metadata (without times; paths inside the artifact count
    relative to it), inputs and, for references, location. The old version itself as an input of the new one
    does not count.
    """
    if (old.semantic_name or old.name) != (new.semantic_name or new.name) or _type(old) != _type(new):
        return False
    if _mode(old) != _mode(new) or _shape(old) != _shape(new):
        return False
    if _mode(old) == "reference" and old.path != new.path:
        return False
    itself = f"{old.name}:v{old.version}"
    used = {item for item in new.used_artifacts if item != itself}
    if used != {item for item in old.used_artifacts if item != itself} or set(old.inputs) != set(new.inputs):
        return False
    if _said_of_inputs(old, itself) != _said_of_inputs(new, itself):
        return False
    return _identity(old) == _identity(new) and same_tree(old_tree, new_tree)


def _said_of_inputs(manifest: Manifest, itself: str) -> set[InputEdge]:
    return {edge for edge in manifest.edges if edge.uri != f"art://{itself}"}


def _type(manifest: Manifest) -> str:
    """The type, of which the plainest has two spellings."""
    return "Artifact" if manifest.type == "artifact" else manifest.type


def _mode(manifest: Manifest) -> str:
    return manifest.content.mode if manifest.content else "reference"


def _shape(manifest: Manifest) -> tuple[str | None, str]:
    return (manifest.content.entry, manifest.content.scope) if manifest.content else (None, "folder")


def _identity(manifest: Manifest) -> str:
    """The metadata as text, so that NaN equals NaN and 1 differs from true."""
    import json

    origin = manifest.content.origin if manifest.content else None
    said = {key: value for key, value in manifest.metadata.items() if key not in _TIMES}
    return json.dumps(rebase(said, origin or folder_of(manifest), "."), sort_keys=True)


def compare(old: Tree, new: Tree) -> Differences:
    """What became of each file of `old`, and what `new` has besides; sorted by path, without the same ones.

    An empty folder that has something in it in the other listing is there in both.

    >>> a, b = Entry("a", 1, 10), Entry("b", 1, 10)
    >>> compare(Tree.of([a, b]), Tree.of([Entry("a", 2, 11)]))
    [Difference(path='a', verdict='changed'), Difference(path='b', verdict='missing')]
    """
    found = Differences()
    before, after = old.columns.in_order(), new.columns.in_order()
    if before.same_as(after):
        return found
    for then, now in side_by_side(before.paths, after.paths):
        if then is not None and now is not None:
            if not _is_plainly_same(before, then, after, now) and (
                difference := became(before.entry(then), after.entry(now))
            ):
                found.extend((difference,))
        elif then is not None:
            if not _is_filled(before, then, after):
                found.add(before.paths[then], "missing")
        elif now is not None and not _is_filled(after, now, before):
            found.add(after.paths[now], "extra")
    return found


def _is_filled(columns: Columns, at: int, others: Columns) -> bool:
    """Whether an entry is an empty folder that is one with something in it among other entries."""
    if columns.marks[at] & KIND_MASK != _DIR:
        return False
    inside = f"{columns.paths[at]}/"
    first = bisect_left(others.paths, inside)
    return first < len(others) and others.paths[first].startswith(inside)


def _is_plainly_same(before: Columns, then: int, after: Columns, now: int) -> bool:
    """Whether a look at the columns alone shows that one file is the same, as it does for nearly all."""
    one, other = before.marks[then], after.marks[now]
    if before.sizes[then] != after.sizes[now] or before.mtimes_ns[then] != after.mtimes_ns[now]:
        return False
    if (one ^ other) & KIND_MASK or one & KIND_MASK > FILE_MAX or (before.etags and after.etags):
        return False
    if not one & other & ~KIND_MASK:
        return True
    return (
        before.hashes[HASH_BYTES * then : HASH_BYTES * (then + 1)]
        == after.hashes[HASH_BYTES * now : HASH_BYTES * (now + 1)]
    )


def became(old: Entry, new: Entry) -> Difference | None:
    """What became of one file; None if it is the same."""
    if (old.kind, old.size, old.target) != (new.kind, new.size, new.target):
        return Difference(old.path, "changed")
    is_other_state = old.etag is not None and new.etag is not None and old.etag != new.etag
    is_other_time = is_other_state or old.mtime_ns != new.mtime_ns
    for then, now in ((old.digest, new.digest), (old.sample, new.sample)):
        if then and now and then != now:
            return Difference(old.path, "changed")
        if then and now:
            return _touched(old, new) if is_other_time else None
    if is_other_state:
        return Difference(old.path, "changed", is_sure=is_of_content(old.etag) and is_of_content(new.etag))
    return _touched(old, new) if is_other_time else None


def _touched(old: Entry, new: Entry) -> Difference:
    """A file of the same size and another time; proven is what was compared whole, or has no bytes."""
    is_compared = (
        (old.digest is not None and old.digest == new.digest)
        or (old.sample is not None and old.sample == new.sample and old.size <= SAMPLED_WHOLE_MAX)
        or (old.etag is not None and old.etag == new.etag)
        # At a URL 0 may mean that the server tells no size; there is no inode then, but 0 or 1.
        or (old.size == 0 and new.inode > 1)
    )
    return Difference(old.path, "touched", is_proven=is_compared)


def is_of_content(etag: str | None) -> bool:
    """Whether an etag is made of the bytes alone, so that another one means other bytes.

    Those of S3 are not: they depend on how an object was uploaded and encrypted as well.

    >>> is_of_content("sha256:9f86d081"), is_of_content('"9f86d081-3"')
    (True, False)
    """
    return etag is not None and etag.startswith(CONTENT_ETAGS)
