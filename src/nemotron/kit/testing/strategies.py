"""Hypothesis strategies for what the kit parses and stores.

They are written from the grammar in the documentation, not from the code that reads it, so that they can
disagree with it.
"""

import string
from typing import Any

from nemotron.kit.errors import MissingExtraError

try:
    from hypothesis import strategies as st
except ImportError as missing:
    raise MissingExtraError(
        "The strategies need hypothesis: pip install 'nemotron-kit[test]' (no module named hypothesis)"
    ) from missing

from nemotron.kit.documents.alias import AliasMove, Tombstone
from nemotron.kit.documents.digest import digest_of, sample_of
from nemotron.kit.documents.manifest import Content, Manifest
from nemotron.kit.documents.tree import Entry, Tree
from nemotron.kit.names import Alias, ArtifactName, ArtifactRef, Selector, Version

LETTERS_AND_DIGITS = string.ascii_letters + string.digits
NAME_CHARACTERS = LETTERS_AND_DIGITS + "._-"
VERSION_MAX = 10**15


def segments(max_size: int = 40) -> st.SearchStrategy[str]:
    """One segment of a name, or an alias: never a version's spelling."""
    text = st.builds(
        str.__add__,
        st.sampled_from(LETTERS_AND_DIGITS),
        st.text(NAME_CHARACTERS, max_size=max_size - 1),
    )
    return text.filter(lambda segment: not (segment[0] in "vV" and segment[1:].isdigit()))


def keys() -> st.SearchStrategy[str]:
    """A name of one segment, as it is spelt in a store."""
    return segments()


def _queries() -> st.SearchStrategy[str]:
    word = st.text(NAME_CHARACTERS, min_size=1, max_size=6)
    pairs = st.lists(st.tuples(word, word).map("=".join), min_size=1, max_size=2)
    return pairs.map("&".join).map("?{}".format)


def names() -> st.SearchStrategy[ArtifactName]:
    """Plain and semantic names, with and without a query."""
    path = st.lists(segments(20), min_size=1, max_size=4).map("/".join)
    return st.builds(str.__add__, path, st.just("") | _queries()).map(ArtifactName)


def versions() -> st.SearchStrategy[Version]:
    """Version numbers from 0."""
    return st.integers(0, VERSION_MAX).map(Version)


def aliases() -> st.SearchStrategy[Alias]:
    """Aliases, `latest` among them."""
    return st.just(Alias("latest")) | segments().filter(lambda text: not text.isdigit()).map(Alias)


def selectors() -> st.SearchStrategy[Selector | None]:
    """What may stand behind the colon, or None."""
    return st.none() | versions() | aliases()


def file_names() -> st.SearchStrategy[str]:
    """What a POSIX file can be called: not `/`, NUL, `.`, `..`; surrogates stand for odd bytes."""
    text = st.text(st.characters(exclude_characters="/\x00", exclude_categories=()), min_size=1, max_size=12)
    # Of the surrogates only those that stand for a byte of an undecodable name occur in names.
    return text.filter(
        lambda name: (
            name not in (".", "..")
            and not any("\ud800" <= c <= "\udfff" and not "\udc80" <= c <= "\udcff" for c in name)
        )
    )


def inside_paths() -> st.SearchStrategy[str]:
    """Normal paths inside an artifact, "" among them; such as `art://` can spell."""
    part = file_names().filter(lambda name: "%" not in name and all(" " <= c != "\x7f" for c in name))
    return st.lists(part, max_size=4).map("/".join)


def refs() -> st.SearchStrategy[ArtifactRef]:
    """References of every form."""
    return st.builds(ArtifactRef, names(), selectors(), inside_paths())


def _scalars() -> st.SearchStrategy[Any]:
    numbers = st.integers(-(2**70), 2**70) | st.floats(allow_nan=True, allow_infinity=True)
    return st.none() | st.booleans() | numbers | st.text(max_size=20)


def json_values() -> st.SearchStrategy[Any]:
    """Anything that a document can hold, NaN and infinity included."""
    return st.recursive(
        _scalars(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
        max_leaves=12,
    )


def metadata() -> st.SearchStrategy[dict[str, Any]]:
    """An artifact's metadata."""
    return st.dictionaries(st.text(max_size=12), json_values(), max_size=6)


def digests() -> st.SearchStrategy[str]:
    """Digests in the kit's spelling."""
    return st.binary(max_size=4).map(digest_of)


def samples() -> st.SearchStrategy[str]:
    """Digests of samples."""
    return st.binary(max_size=4).map(lambda block: sample_of(len(block), block, block, block))


def _entries() -> st.SearchStrategy[dict[str, Any]]:
    size, time = st.integers(0, 2**50), st.integers(-(2**62), 2**62)
    file = st.fixed_dictionaries(
        {
            "kind": st.sampled_from(["file", "exec"]),
            "size": size,
            "mtime_ns": time,
            "digest": st.none() | digests(),
        }
    )
    sampled = st.fixed_dictionaries(
        {"kind": st.sampled_from(["file", "exec"]), "size": size, "mtime_ns": time, "sample": samples()}
    )
    link = st.fixed_dictionaries({"kind": st.just("link"), "target": st.text("./ab", min_size=1, max_size=9)})
    return file | file | file | sampled | link | st.just({"kind": "dir"})


def trees(max_size: int = 8) -> st.SearchStrategy[Tree]:
    """Listings as a scan makes them: no path twice, nothing below a file."""
    paths = st.lists(file_names(), min_size=1, max_size=3).map("/".join)
    listed = st.dictionaries(paths, _entries(), max_size=max_size)
    return listed.map(
        lambda found: Tree.of(
            Entry(path, **rest)
            for path, rest in found.items()
            if not any(path.startswith(f"{other}/") for other in found)
        )
    )


@st.composite
def contents(draw: st.DrawFn) -> Content:
    """What a manifest says of the bytes."""
    tree = draw(trees())
    inline = draw(st.booleans())
    files = [entry.path for entry in tree.entries if entry.is_file and "\\" not in entry.path]
    plain = [path for path in files if all(" " <= c != "\x7f" and c != "%" for c in path)]
    return Content(
        mode=draw(st.sampled_from(["reference", "snapshot"])),
        evidence=draw(st.sampled_from(["stat", "sampled", "full"])),
        scope=draw(st.sampled_from(["folder", "file"])),
        entry=draw(st.none() | st.sampled_from(plain)) if plain else None,
        origin=draw(st.none() | st.just("/data/run 1")),
        files=tree.files,
        size=tree.size,
        digest=tree.digest,
        tree=None if inline else digest_of(tree.lines()),
        listing=tree if inline else None,
    )


def manifests() -> st.SearchStrategy[Manifest]:
    """Whole manifests, unknown fields included."""
    name, text = names(), st.text(max_size=20)
    uris = st.lists(st.sampled_from(["hf://x/y", "s3://b/k", "file:///d"]), unique=True, max_size=3).map(
        tuple
    )
    used = st.lists(st.builds("{}:v{}".format, keys(), st.integers(1, 99)), max_size=3).map(tuple)
    unknown = st.dictionaries(keys().map("x-{}".format), json_values(), max_size=2)
    return st.builds(
        lambda name, **rest: Manifest(name=name.key, semantic_name=name.semantic, **rest),
        name,
        version=st.integers(1, VERSION_MAX),
        type=text,
        path=text,
        created_at=text,
        producer=st.none() | text,
        metadata=metadata(),
        inputs=uris,
        used_artifacts=used,
        run=st.none() | text,
        write_id=text,
        content=st.none() | contents(),
        extra=unknown,
    )


def alias_moves() -> st.SearchStrategy[AliasMove]:
    """Entries of an alias log."""
    number, text = st.integers(1, VERSION_MAX), st.text(max_size=20)
    return st.builds(
        AliasMove,
        sequence=number,
        version=number,
        previous=st.none() | number,
        moved_at=text,
        moved_by=text,
        why=st.none() | text,
        write_id=text,
    )


def tombstones() -> st.SearchStrategy[Tombstone]:
    """Withdrawals."""
    text = st.text(max_size=20)
    return st.builds(Tombstone, reason=text, withdrawn_at=text, withdrawn_by=text)
