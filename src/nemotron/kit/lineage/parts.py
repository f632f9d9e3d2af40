"""Parts of an artifact, such as its shards: which files they are, and which share of a use they make up.

>>> sizes = {"train/a.bin": 30, "train/b.bin": 10, "valid/c.bin": 60}
>>> share_of_part(sizes, "train/a.bin", ()), share_of_part(sizes, "train/a", ("train",))
(0.3, 0.75)
>>> share_of_part(sizes, "train/a.bin", ("train/b.bin",))
0.0
>>> share_of_part({**sizes, "tokenizer.json": 10}, "tokenizer.json", ()) is None
True
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from nemotron.kit.documents.edge import InputEdge
from nemotron.kit.documents.tree import Tree
from nemotron.kit.lineage.composition import Cut
from nemotron.kit.lineage.mixing import Confidence, Mix

RULE = "by the sizes of the data files that were taken"
# Files that say something of the data beside them: blends, tokenizers, indexes, notes.
_BESIDE_DATA = (".json", ".yaml", ".yml", ".toml", ".md", ".idx", ".model")


def covers(said: str, file: str) -> bool:
    """Whether a file is what somebody called `said`: itself, in that folder, or its name without endings.

    >>> covers("data/part-0", "data/part-0.bin"), covers("data", "data/part-0.bin"), covers("dat", "data/x")
    (True, True, False)
    """
    said = said.strip("/")
    return not said or file == said or file.startswith((f"{said}/", f"{said}."))


def share_of_part(sizes: Mapping[str, int], part: str, taken: Sequence[str]) -> float | None:
    """Which share of what was taken is a part; None where nobody knows.

    Args:
        sizes: bytes of each file of the artifact, by path; {} if they are not known.
        part: a file, a folder, or a name without endings (`data/part-0` for its `.bin` and `.idx`).
        taken: the same of what was taken; () for all.
    """
    data = _data_of(sizes)
    if part and sizes and not any(covers(part, file) for file in data):
        return None  # a tokenizer, say: it is no share of the data
    whole = {file for file in data if not taken or any(covers(one, file) for one in taken)}
    if taken and not whole:  # called by names that are no files, or the files are not known
        return None if part not in taken else 1.0 if len(set(taken)) == 1 else None
    size = sum(sizes[file] for file in whole)
    found = [file for file in whole if covers(part, file)]
    if taken and not found:
        return 0.0
    return sum(sizes[file] for file in found) / size if size else None


def leaves_out(sizes: Mapping[str, int], part: str, use: InputEdge) -> bool:
    """Whether a use said that it took other files than a part; who said nothing took all of them.

    >>> sizes = {"train/a.bin": 30, "train/b.bin": 10, "valid/c.bin": 60}
    >>> leaves_out(sizes, "train/a.bin", InputEdge(uri="art://d:v1", shards=("train/b.bin",)))
    True
    >>> leaves_out(sizes, "train", InputEdge(uri="art://d:v1", shards=("train/b.bin",)))
    False
    >>> leaves_out(sizes, "train/a.bin", InputEdge(uri="art://d:v1"))
    False

    Args:
        sizes: bytes of each file of the artifact, by path; {} if they are not known.
        part: a file, a folder, or a name without endings.
        use: of the artifact.
    """
    taken = _taken(sizes, use)
    data = _data_of(sizes)
    whole = [file for file in data if any(covers(one, file) for one in taken)]
    is_data = any(covers(part, file) for file in data)
    return is_data and bool(whole) and not any(covers(part, file) for file in whole)


def _data_of(sizes: Mapping[str, int]) -> set[str]:
    return {file for file in sizes if not file.endswith(_BESIDE_DATA)} or set(sizes)


def _taken(sizes: Mapping[str, int], use: InputEdge) -> tuple[str, ...]:
    """What a use said that it took: shards, or a split that is a folder; () for all."""
    is_folder = use.split is not None and any(file.startswith(f"{use.split}/") for file in sizes)
    return use.shards or ((use.split,) if use.split is not None and is_folder else ())


def sizes_of(tree: Tree | None) -> dict[str, int]:
    """Bytes of each file, by path; links and folders have none."""
    entries = () if tree is None else tree.entries
    return {one.path: one.size for one in entries if one.kind in ("file", "exec")}


def cut(uri: str, part: str, sizes: Mapping[str, int]) -> Cut:
    """Divide each use of an artifact in the part and the rest; see `share_of_part`.

    Args:
        uri: of the artifact, which counts as a source; the part is then the source `URI/part`.
        part: a file, a folder, or a name without endings.
        sizes: bytes of each file of the artifact, by path.
    """

    def divided(mix: Mix, use: InputEdge) -> Mix:
        share = share_of_part(sizes, part, _taken(sizes, use))
        if share is None:
            return replace(mix, shares={}, sure={}, unknown=1.0, lost=frozenset((uri, f"{uri}/{part}")))
        shares = {one: of_it for one, of_it in ((f"{uri}/{part}", share), (uri, 1.0 - share)) if of_it}
        level: Confidence = "estimated" if len(shares) > 1 else "measured"
        return replace(mix, shares=shares, sure=dict.fromkeys(shares, level))

    return divided
