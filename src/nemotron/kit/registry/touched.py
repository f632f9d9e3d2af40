"""Files that were written since, with the same size: what is known of their bytes, and how to know more."""

from collections.abc import Iterator
from dataclasses import dataclass

from nemotron.kit.documents.columns import DIGEST, SAMPLED
from nemotron.kit.documents.manifest import Evidence
from nemotron.kit.documents.positions import Positions
from nemotron.kit.documents.tree import Tree
from nemotron.kit.registry.differences import Difference, Differences
from nemotron.kit.registry.records import Record

NAMED_MAX = 3


@dataclass(slots=True)
class Some:
    """Some files: how many, and what the first ones are called."""

    count: int = 0
    names: tuple[str, ...] = ()

    def add(self, item: Difference) -> None:
        """One more."""
        self.count += 1
        if self.count <= NAMED_MAX:
            place = f" (in the {item.place})" if item.place else ""
            self.names = (*self.names, f"{item.path}{place}")

    @property
    def counted(self) -> str:
        """How many, as the subject of a sentence.

        >>> Some(1).counted, Some(1200).counted
        ('1 file was', '1,200 files were')
        """
        return "1 file was" if self.count == 1 else f"{self.count:,} files were"

    @property
    def named(self) -> str:
        """The first names.

        >>> Some(5, ("a", "b", "c")).named
        'a, b, c and 2 more'
        """
        more = self.count - len(self.names)
        return ", ".join(self.names) + (f" and {more:,} more" if more else "")


@dataclass(slots=True)
class Touched:
    """The touched files whose bytes may be others than those that were published, by what could tell.

    Attributes:
        told_by_digest: nobody read them now; digests are known.
        told_by_sample: the same goes for samples, or these are the same, which proves no more than that.
        untold: nothing but size and time was ever known of them.
    """

    told_by_digest: Some
    told_by_sample: Some
    untold: Some

    @property
    def not_compared(self) -> Some:
        """All of them."""
        groups = (self.told_by_digest, self.told_by_sample, self.untold)
        names = [name for group in groups for name in group.names]
        return Some(sum(group.count for group in groups), tuple(names[:NAMED_MAX]))


def touched_of(tree: Tree, found: Differences) -> Touched:
    """Sort the touched files among some differences, without those that are proven to be the same.

    Args:
        tree: the listing of the version.
        found: what became of its files.
    """
    sorted_out = Touched(Some(), Some(), Some())
    if found.is_proven:
        return sorted_out
    then, marks = Positions(tree.columns.paths), tree.columns.marks
    for item in found:
        if item.verdict != "touched" or item.is_proven:
            continue
        at = then.find(item.path)
        known = 0 if at is None else marks[at]
        if known & DIGEST:
            sorted_out.told_by_digest.add(item)
        elif known & SAMPLED:
            sorted_out.told_by_sample.add(item)
        else:
            sorted_out.untold.add(item)
    return sorted_out


def notes(record: Record, tree: Tree, wanted: Evidence, found: Differences) -> Iterator[str]:
    """What a `verify` that looked at `wanted` evidence says of touched files, a sentence for each kind."""
    touched, verify = touched_of(tree, found), f"`nemotron kit verify {record.name}:v{record.version}"
    if group := _any(touched.told_by_digest):
        yield (
            f"{_written(group)} and the bytes were not compared: {group.named}. "
            f"{verify} --evidence full` compares them"
        )
    if group := _any(touched.told_by_sample):
        if wanted == "stat":
            yield (
                f"{_written(group)} and the bytes were not compared: {group.named}. "
                f"{verify} --evidence sampled` compares samples, which is all that is known"
            )
        else:
            yield (
                f"{_written(group)} and the samples are the same: {group.named}. That proves the samples "
                f"only, whether the other bytes are the same can't be told: {_NEXT_TIME}"
            )
    if group := _any(touched.untold):
        yield (
            f"{_written(group)}: {group.named}. No digests are known, so whether the bytes are the same "
            f"can't be told: {_NEXT_TIME}"
        )


_NEXT_TIME = "publish with --evidence full to have digests from then on"


def _any(group: Some) -> Some | None:
    return group if group.count else None


def _of_whom(part: Some, group: Some) -> str:
    """Whose digests they are.

    >>> _of_whom(Some(1), Some(1)), _of_whom(Some(2), Some(2)), _of_whom(Some(1), Some(2))
    ('of it', 'of them', 'of some of them')
    """
    if part.count < group.count:
        return "of some of them"
    return "of it" if group.count == 1 else "of them"


def _written(group: Some) -> str:
    return f"{group.counted} written since (another time, the same size)"


def refused(record: Record, touched: Touched) -> str:
    """Why touched files are not used where nothing may be used that was not compared, and how to go on."""
    group, ways = touched.not_compared, []
    those = "it" if group.count == 1 else "they"
    if touched.told_by_digest.count:
        ways.append(
            f"`nemotron kit verify {record.name}:v{record.version} --evidence full` compares the digests, "
            "and records the newer times of what is the same"
        )
    if touched.told_by_sample.count:
        whom = _of_whom(touched.told_by_sample, group)
        ways.append(
            f"No more than samples are known {whom}, which prove too little: publish the data again as a new "
            "version"
        )
    if touched.untold.count:
        whom = _of_whom(touched.untold, group)
        ways.append(
            f"No digests are known {whom}: publish the data again as a new version, with evidence='full' to "
            "have digests from then on"
        )
    return (
        f"{record.uri}: {_written(group)}, and the bytes were not compared: {group.named}. "
        f"{'. '.join(ways)}. With on_drift='warn' {those} can be used uncompared"
    )
